//! What a machine needs before anything can be built: each thing is looked for first.

use std::path::{Path, PathBuf};

use crate::project::Project;
use crate::run::{check, command, read, say};
use crate::{Outcome, packages, stamp};

/// Everything but PostgreSQL: the wasm target, npm packages and a browser.
pub(crate) fn all(project: &Project) -> Outcome {
    for_build(project)?;
    browser(project)
}

/// What `build` needs: no browser.
pub(crate) fn for_build(project: &Project) -> Outcome {
    wasm_target(project)?;
    npm(project)
}

/// A headless browser and its driver, for the tests.
pub(crate) fn browser(project: &Project) -> Outcome {
    let wanted = [
        ("/usr/bin/chromium", "chromium"),
        ("/usr/bin/chromedriver", "chromium-driver"),
    ];
    let missing: Vec<&str> = wanted
        .into_iter()
        .filter(|(file, _)| !Path::new(file).exists())
        .map(|(_, package)| package)
        .collect();
    if missing.is_empty() {
        say("browser: chromium is there");
        return Ok(());
    }
    packages::install(project, &missing)
}

/// PostgreSQL's programs: the server's tests start clusters of their own with them.
pub(crate) fn postgres(project: &Project) -> Outcome {
    let versions = std::fs::read_dir("/usr/lib/postgresql");
    let is_there = versions.is_ok_and(|mut versions| {
        versions.any(|entry| entry.is_ok_and(|entry| entry.path().join("bin/initdb").exists()))
    });
    if is_there {
        say("postgres: PostgreSQL is there");
        return Ok(());
    }
    packages::install(project, &["postgresql"])
}

/// The standard library for wasm, and its sources if they can be had.
pub(crate) fn wasm_target(project: &Project) -> Outcome {
    let library = rustlib(project)?.join("wasm32-unknown-unknown/lib");
    if library.is_dir() {
        say("rust: wasm32-unknown-unknown is there");
    } else {
        say("rust: adding the target wasm32-unknown-unknown");
        rustup(project, ["target", "add", "wasm32-unknown-unknown"])?;
    }
    if !has_std_sources(project)? {
        say("rust: adding the sources of std");
        if let Err(error) = rustup(project, ["component", "add", "rust-src"]) {
            say(&format!("rust: going on without them, because {error}"));
        }
    }
    Ok(())
}

/// Are the sources of `std` there?
pub(crate) fn has_std_sources(project: &Project) -> Outcome<bool> {
    Ok(rustlib(project)?
        .join("src/rust/library/Cargo.lock")
        .is_file())
}

fn rustlib(project: &Project) -> Outcome<PathBuf> {
    let sysroot = read(command(&project.root, "rustc", ["--print", "sysroot"]))?;
    Ok(Path::new(sysroot.trim()).join("lib/rustlib"))
}

fn rustup(project: &Project, arguments: [&str; 3]) -> Outcome {
    check(command(&project.root, "rustup", arguments))
}

/// `npm ci` when the lock file is not the one that was installed last.
fn npm(project: &Project) -> Outcome {
    let inputs = [
        "package-lock.json",
        "package.json",
        "js/package.json",
        "www/package.json",
        "tests/package.json",
    ]
    .map(|file| project.path(file));
    let output = project.path("node_modules/.package-lock.json");
    stamp::unless_fresh(project, "npm", &inputs, &output, || {
        say("npm: installing packages");
        check(command(
            &project.root,
            "npm",
            ["ci", "--no-audit", "--no-fund"],
        ))
    })
}
