//! From Rust to what a browser loads: wasm, the npm package `tidelog`, the demo pages.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::project::Project;
use crate::run::{check, command, say};
use crate::{Outcome, setup, stamp};

/// What `rustc` enables for wasm32-unknown-unknown since 1.82, in binaryen's words, and nothing else:
/// a feature that `wasm-opt` is not told of is one it refuses to read.
pub(crate) const WASM_FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// Builds the wasm, the npm package and the demo pages.
pub(crate) fn all(project: &Project) -> Outcome {
    package(project)?;
    pages(project)
}

/// Builds the wasm and the npm package.
pub(crate) fn package(project: &Project) -> Outcome {
    wasm(project)?;
    let inputs = [project.path("js"), project.path("package-lock.json")];
    stamp::unless_fresh(project, "js", &inputs, &project.path("js/dist"), || {
        say("js: building the npm package");
        check(command(
            &project.root,
            "npm",
            ["run", "--silent", "build", "-w", "js"],
        ))
    })
}

/// Builds `www/dist`, which the server serves.
pub(crate) fn pages(project: &Project) -> Outcome {
    let inputs = [
        project.path("www"),
        project.path("js/dist/."),
        project.path("package-lock.json"),
    ];
    stamp::unless_fresh(project, "www", &inputs, &project.path("www/dist"), || {
        say("www: building the demo");
        check(command(
            &project.root,
            "npm",
            ["run", "--silent", "build", "-w", "www"],
        ))
    })
}

/// The server binary. The profile is `dev` for tests, which share it with the Rust tests, and
/// `release` for people.
pub(crate) fn server(project: &Project, release: bool) -> Outcome<PathBuf> {
    say("server: building");
    let mut arguments = vec!["build", "--package", "tidelog-server", "--bin", "tidelog"];
    arguments.extend(release.then_some("--release"));
    check(command(&project.root, "cargo", arguments))?;
    Ok(project.binary(if release { "release" } else { "debug" }, "tidelog"))
}

/// The binary that holds wasm-bindgen and its test runner.
pub(crate) fn wasm_tool(project: &Project) -> Outcome<PathBuf> {
    let arguments = [
        "build",
        "--package",
        "xtask",
        "--bin",
        "wasm-tool",
        "--features",
        "bindgen",
    ];
    say("wasm-tool: building (minutes the first time)");
    check(command(&project.root, "cargo", arguments))?;
    Ok(project.binary("debug", "wasm-tool"))
}

fn wasm(project: &Project) -> Outcome {
    say("wasm: compiling");
    compile_wasm(project, "tidelog-wasm", "z")?;
    let compiled = project
        .target
        .join("wasm32-unknown-unknown/wasm/tidelog_wasm.wasm");
    let glue = project.path("js/src/wasm");
    let output = glue.join("tidelog_wasm_bg.wasm");
    let inputs = [
        compiled.clone(),
        project.path("Cargo.lock"),
        project.path("package-lock.json"),
    ];
    stamp::unless_fresh(project, "wasm", &inputs, &output, || {
        let tool = wasm_tool(project)?;
        say("wasm: writing its JavaScript");
        let mut bindgen = command(&project.root, tool, ["bindgen", "--target", "web"]);
        bindgen.args([
            "--omit-default-module-path",
            "--remove-producers-section",
            "--out-dir",
        ]);
        check({
            bindgen.arg(&glue).arg(&compiled);
            bindgen
        })?;
        say("wasm: optimising for size");
        let smaller = glue.join("smaller.wasm");
        let mut optimise = command(&project.root, "node_modules/.bin/wasm-opt", WASM_FEATURES);
        // Merging a function into its only caller saves bytes, but not compressed ones: the numbers of the locals of a large
        // function repeat less.
        optimise
            .args(["-Oz", "--one-caller-inline-max-function-size=0"])
            .args(["--strip-debug", "--strip-target-features"])
            .arg(&output)
            .arg("-o")
            .arg(&smaller);
        check(optimise)?;
        fs::rename(&smaller, &output)
            .map_err(|error| format!("cannot replace {}: {error}", output.display()))
    })
}

/// Compiles a package to wasm, for size (`z`) or for speed (`3`).
///
/// With the sources of `std` at hand it is compiled too, for size and without the messages of panics: a panic ends the
/// module either way, and no page sees what it says. That takes unstable switches, so it is not needed: the plain build
/// gives the same, about 10 KB larger when compressed.
pub(crate) fn compile_wasm(project: &Project, package: &str, opt_level: &str) -> Outcome {
    if setup::has_std_sources(project)? {
        let mut small = cargo_wasm(project, package, opt_level);
        small
            .args(["-Zpanic-immediate-abort", "-Zbuild-std=std,panic_abort"])
            .env("CARGO_PROFILE_WASM_PANIC", "immediate-abort")
            .env("RUSTC_BOOTSTRAP", "1");
        if opt_level == "z" {
            small.arg("-Zbuild-std-features=optimize_for_size");
        }
        match check(small) {
            Ok(()) => return Ok(()),
            Err(error) => say(&format!("wasm: std as it comes, because {error}")),
        }
    }
    check(cargo_wasm(project, package, opt_level))
}

fn cargo_wasm(project: &Project, package: &str, opt_level: &str) -> Command {
    let arguments = [
        "build",
        "--profile",
        "wasm",
        "--target",
        "wasm32-unknown-unknown",
        "--package",
        package,
    ];
    let mut cargo = command(&project.root, "cargo", arguments);
    cargo.env("CARGO_PROFILE_WASM_OPT_LEVEL", opt_level);
    cargo
}
