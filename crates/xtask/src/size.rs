//! What the package costs a page: a hello-world built by Vite, in gzipped bytes.

use crate::project::Project;
use crate::run::{check, command, say};
use crate::{Outcome, build, setup};

/// Prints the gz size of each file of the page that a first visit loads; last line `total: N KB`.
pub(crate) fn run(project: &Project) -> Outcome {
    setup::for_build(project)?;
    build::package(project)?;
    say("size: building a hello-world page from the packed package");
    check(command(
        &project.path("tests"),
        "node",
        ["packaging/size.mjs"],
    ))
}
