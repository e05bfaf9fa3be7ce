//! What the program writes to the terminal. A reader that has gone away is nobody's error.

use std::io::Write;

/// A result, on standard output.
pub(super) fn line(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// What goes on, on standard error.
pub(super) fn note(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Why it failed, on standard error.
pub(super) fn error(text: &str) {
    note(format_args!("tidelog: {text}"));
}
