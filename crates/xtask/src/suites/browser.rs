//! What needs Chromium: the wasm tests of the Rust crates and the end-to-end tests.

use super::rust::BROWSER_CRATES;
use crate::project::Project;
use crate::run::{command, tee};
use crate::tally::{self, Tally};
use crate::{Outcome, build, setup};
use std::path::Path;
use std::process::Command;

/// `wasm-bindgen-test` in headless Chromium, crate by crate: one that runs no test at all failed.
/// `extra` (say, `--package tidelog-indexeddb quota`) replaces the crates.
pub(crate) fn wasm(project: &Project, extra: &[String]) -> Outcome<Tally> {
    setup::wasm_target(project)?;
    setup::browser(project)?;
    let tool = build::wasm_tool(project)?;
    let runs: Vec<Vec<String>> = if extra.is_empty() {
        BROWSER_CRATES
            .iter()
            .map(|name| vec!["--package".into(), (*name).into()])
            .collect()
    } else {
        vec![extra.to_vec()]
    };
    let mut total = Tally::default();
    for words in runs {
        let mut cargo = in_chromium(project, &tool);
        cargo.args(words);
        let heard = tee(cargo)?;
        total.add(tally::libtest(&heard.text).judged(heard.success));
    }
    Ok(total)
}

/// `cargo test` for wasm, run in headless Chromium; which crate is still to be said.
fn in_chromium(project: &Project, tool: &Path) -> Command {
    let kind = ["test", "--no-fail-fast", "--lib", "--tests"];
    let mut cargo = command(&project.root, "cargo", kind);
    cargo
        .args(["--target", "wasm32-unknown-unknown"])
        .env(
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER",
            format!("{} run-tests", tool.display()),
        )
        .env("CHROMEDRIVER", "/usr/bin/chromedriver")
        .env(
            "WASM_BINDGEN_TEST_WEBDRIVER_JSON",
            project.path("crates/xtask/webdriver.json"),
        )
        .env("WASM_BINDGEN_TEST_TIMEOUT", "300")
        .env("WASM_BINDGEN_TEST_DRIVER_TIMEOUT", "30");
    cargo
}

/// The simulator in headless Chromium: the same seeds tell the same stories as `traces` says they do natively.
pub(crate) fn sim_traces(project: &Project, traces: &str) -> Outcome<Tally> {
    setup::wasm_target(project)?;
    setup::browser(project)?;
    let tool = build::wasm_tool(project)?;
    let mut cargo = in_chromium(project, &tool);
    cargo
        .args([
            "--profile",
            "sim",
            "--package",
            "tidelog-sim",
            "--test",
            "trace",
        ])
        .env("TIDELOG_SIM_TRACES", traces);
    let heard = tee(cargo)?;
    Ok(tally::libtest(&heard.text).judged(heard.success))
}

/// Playwright over the built demo, the built package and the `dev` server binary, which the Rust
/// tests have already compiled. `extra` goes to Playwright (a file, `--grep WORDS`).
pub(crate) fn e2e(project: &Project, extra: &[String]) -> Outcome<Tally> {
    setup::all(project)?;
    build::all(project)?;
    let server = build::server(project, false)?;
    let mut playwright = command(
        &project.path("tests"),
        project.path("node_modules/.bin/playwright"),
        ["test"],
    );
    playwright.args(extra).env("TIDELOG_SERVER", server);
    let heard = tee(playwright)?;
    Ok(tally::playwright(&heard.text).judged(heard.success))
}
