//! `npm run load`: load on a real server, by the crate `tidelog-load`, which says what there is.

use std::process::ExitCode;

use crate::project::Project;
use crate::run::{check, command, say};
use crate::{Outcome, setup};

/// Builds and measures with these words.
pub(crate) fn run(project: &Project, words: &[String]) -> Outcome<ExitCode> {
    setup::postgres(project)?;
    say("load: building");
    let arguments = ["build", "--quiet", "--release", "--package", "tidelog-load"];
    check(command(&project.root, "cargo", arguments))?;
    let mut program = command(
        &project.root,
        project.binary("release", "tidelog-load"),
        words,
    );
    let status = program
        .status()
        .map_err(|error| format!("cannot start the load: {error}"))?;
    Ok(match status.success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
