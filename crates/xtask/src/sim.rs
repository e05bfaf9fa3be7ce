//! The simulator, built with optimisation and every check of the language.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::Outcome;
use crate::project::Project;
use crate::run::{check, command};

/// Builds the simulator, with the bugs planted in the core if they are asked for, and gives the program.
///
/// The two live side by side, so that neither makes the other build again.
pub(crate) fn build(project: &Project, canaries: bool) -> Outcome<PathBuf> {
    let mut cargo = command(
        &project.root,
        "cargo",
        [
            "build",
            "--quiet",
            "--profile",
            "sim",
            "--package",
            "tidelog-sim",
        ],
    );
    if canaries {
        cargo.args(["--bin", "tidelog-sim-canaries", "--features", "canaries"]);
    } else {
        cargo.args(["--bin", "tidelog-sim"]);
    }
    check(cargo)?;
    let name = if canaries {
        "tidelog-sim-canaries"
    } else {
        "tidelog-sim"
    };
    Ok(project.binary("sim", name))
}

/// The simulator with these words.
pub(crate) fn program(project: &Project, words: &[String]) -> Outcome<Command> {
    let canaries = words.iter().any(|word| word == "--canaries");
    let program = build(project, canaries)?;
    Ok(command(&project.root, program, words))
}

/// `cargo xtask sim …`.
pub(crate) fn run(project: &Project, words: &[String]) -> Outcome<ExitCode> {
    let mut program = program(project, words)?;
    let status = program
        .status()
        .map_err(|error| format!("cannot start the simulator: {error}"))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
