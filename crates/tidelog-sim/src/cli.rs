//! The command line. It alone looks at a real clock, and only to say how long it took.

mod campaign;
mod canaries;
mod exhaustive;
mod replay;
mod wish;

use std::process::ExitCode;
use wish::{Mode, Wish};

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Does what the words ask for. Did all go well?
fn run(words: &[String]) -> Result<bool, String> {
    let wish = Wish::read(words)?;
    // A world that breaks an invariant panics; what it says is printed once, with the options that led there.
    std::panic::set_hook(Box::new(|_| {}));
    match &wish.mode {
        Mode::Seeds => campaign::run(&wish),
        Mode::Replay(path) => replay::run(path, wish.lines),
        Mode::Exhaustive(most) => exhaustive::run(*most, wish.threads),
        Mode::Canaries => canaries::run(&wish),
        Mode::Hashes => {
            println!(
                "{} {}",
                wish.steps,
                crate::run::hashes(wish.seeds, wish.steps)
            );
            Ok(true)
        }
    }
}
