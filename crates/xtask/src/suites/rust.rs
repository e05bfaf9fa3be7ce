//! Formatting, lints and the native tests of the workspace.

use crate::Outcome;
use crate::project::Project;
use crate::run::{command, tee};
use crate::setup;
use crate::tally::{self, Tally};

/// The crates that only a browser can run whole.
pub(crate) const BROWSER_CRATES: [&str; 3] =
    ["tidelog-indexeddb", "tidelog-client", "tidelog-wasm"];

/// Whether every file is formatted: one check.
pub(crate) fn fmt(project: &Project, _: &[String]) -> Outcome<Tally> {
    let heard = tee(command(&project.root, "cargo", ["fmt", "--all", "--check"]))?;
    Ok(Tally::one(heard.success))
}

/// No warning anywhere: one check natively, one for what runs in a browser.
pub(crate) fn clippy(project: &Project, _: &[String]) -> Outcome<Tally> {
    setup::wasm_target(project)?;
    let native = tee(command(
        &project.root,
        "cargo",
        [
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            // Left out of all targets, because it has a suite of its own.
            "--test",
            "conformance",
            "--",
            "-D",
            "warnings",
        ],
    ))?;
    let mut arguments = vec!["clippy", "--quiet", "--all-targets"];
    arguments.extend(["--target", "wasm32-unknown-unknown"]);
    arguments.extend(BROWSER_CRATES.iter().flat_map(|name| ["--package", name]));
    arguments.extend(["--", "-D", "warnings"]);
    let wasm = tee(command(&project.root, "cargo", arguments))?;
    let mut tally = Tally::one(native.success);
    tally.add(Tally::one(wasm.success));
    Ok(tally)
}

/// Unit, integration and property tests, natively. `extra` replaces `--workspace`.
pub(crate) fn unit(project: &Project, extra: &[String]) -> Outcome<Tally> {
    setup::postgres(project)?;
    let mut tally = test(project, &["--lib", "--bins", "--tests"], extra)?;
    if extra.is_empty() {
        // What is left out by default.
        let left_out = ["--test", "otel", "--features", "tidelog-server/otel"];
        tally.add(test(project, &left_out, extra)?);
    }
    Ok(tally)
}

/// The examples in the documentation.
pub(crate) fn doc(project: &Project, extra: &[String]) -> Outcome<Tally> {
    test(project, &["--doc"], extra)
}

fn test(project: &Project, kind: &[&str], extra: &[String]) -> Outcome<Tally> {
    let mut cargo = command(&project.root, "cargo", ["test", "--no-fail-fast"]);
    cargo.args(kind);
    if extra.is_empty() {
        cargo.arg("--workspace");
    }
    let heard = tee({
        cargo.args(extra);
        cargo
    })?;
    Ok(tally::libtest(&heard.text).judged(heard.success))
}
