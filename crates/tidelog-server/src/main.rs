//! The program `tidelog`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidelog_server::cli::run()
}
