//! `bench`: the benchmark page of `www`, run by headless Chromium on the built package.
//!
//! Serves what `build` makes, from a copy that also holds what no visitor is sent: the real data, if somebody put it beside
//! the checkout, the fold written in Rust, and LiveStore, which is installed apart.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::project::Project;
use crate::run::{check, command, say};
use crate::start::REAL_LOANS;
use crate::{Outcome, build, setup, stamp};

/// Builds, serves, measures. `arguments` go to `tests/bench/run.mjs`, which says what there is.
pub(crate) fn run(project: &Project, arguments: &[String]) -> Outcome {
    setup::all(project)?;
    build::all(project)?;
    let server = build::server(project, true)?;
    let folder = project.data().join("bench");
    let site = folder.join("www");
    let _absent_is_fine = fs::remove_dir_all(&folder);
    copy(&project.path("www/dist"), &site)?;
    data(project, &site)?;
    rust_fold(project, &site)?;
    livestore(project, &site, arguments)?;

    let served = Served::start(project, &server, &folder, &site)?;
    let mut measure = command(&project.root, "node", ["tests/bench/run.mjs", "--url"]);
    measure.arg(&served.address).args(arguments);
    check(measure)
}

fn data(project: &Project, site: &Path) -> Outcome {
    let real = project.path(REAL_LOANS);
    if !real.is_file() {
        say("data: no real loan applications here, the page invents some of the same shape");
        return Ok(());
    }
    say("data: real loan applications");
    let mut convert = command(&project.root, "node", ["tests/bench/data.mjs"]);
    convert.arg(real).arg(site.join("bench/data.ndjson"));
    check(convert)
}

/// Builds `tests/bench/rust-fold` as the package's module is built, but for speed.
fn rust_fold(project: &Project, site: &Path) -> Outcome {
    say("rust-fold: compiling");
    build::compile_wasm(project, "rust-fold", "3")?;
    let target = "wasm32-unknown-unknown";
    let compiled = project.target.join(target).join("wasm/rust_fold.wasm");
    let folder = site.join("bench/rust-fold");
    let tool = build::wasm_tool(project)?;
    let arguments = ["bindgen", "--target", "web", "--out-dir"];
    let mut bindgen = command(&project.root, tool, arguments);
    bindgen.arg(&folder).arg(compiled);
    check(bindgen)?;
    let module = folder.join("rust_fold_bg.wasm");
    let optimiser = "node_modules/.bin/wasm-opt";
    let mut optimise = command(&project.root, optimiser, build::WASM_FEATURES);
    optimise.args(["-O3", "--strip-debug", "--strip-target-features"]);
    optimise.arg(&module).arg("-o").arg(&module);
    check(optimise)
}

/// Installs and builds LiveStore where it lies apart, unless it is not asked for. Without it the benchmark goes on.
fn livestore(project: &Project, site: &Path, arguments: &[String]) -> Outcome {
    let peers = arguments.iter().position(|each| each == "--peers");
    let peers = peers.and_then(|place| arguments.get(place + 1));
    if peers.is_some_and(|peers| !peers.split(',').any(|peer| peer == "livestore")) {
        return Ok(());
    }
    let folder = project.path("tests/bench/livestore");
    let built = folder.join("dist");
    let made = stamp::unless_fresh(
        project,
        "livestore",
        std::slice::from_ref(&folder),
        &built.join("livestore.js"),
        || {
            say("livestore: installing and building (a minute, once)");
            // Not `npm ci`: npm leaves other platforms' optional packages out of this lock file and then misses them.
            check(command(&folder, "npm", ["install", "--no-save"]))?;
            check(command(&folder, "npm", ["run", "--silent", "build"]))
        },
    );
    match made {
        Ok(()) => copy(&built, &site.join("bench/livestore")),
        Err(error) => {
            say(&format!("livestore: going on without it, because {error}"));
            Ok(())
        }
    }
}

fn copy(from: &Path, to: &Path) -> Outcome {
    let failed = |error: std::io::Error| format!("cannot copy {}: {error}", from.display());
    fs::create_dir_all(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (child, target) = (entry.path(), to.join(entry.file_name()));
        if child.is_dir() {
            copy(&child, &target)?;
        } else {
            fs::copy(&child, &target).map_err(failed)?;
        }
    }
    Ok(())
}

/// The server, until this is dropped.
#[derive(Debug)]
struct Served {
    child: Child,
    /// Such as `http://127.0.0.1:41234`.
    address: String,
}

impl Served {
    fn start(project: &Project, server: &Path, folder: &Path, site: &Path) -> Outcome<Self> {
        let database: PathBuf = folder.join("tidelog.db");
        let mut serve: Command = command(&project.root, server, ["serve", "--dev"]);
        serve.args(["--listen", "127.0.0.1:0", "--log", "bench", "--log", "live"]);
        serve.arg("--db");
        serve.arg(database).arg("--www").arg(site);
        let mut child = serve
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start the server: {error}"))?;
        let said = child.stdout.take().map(BufReader::new);
        let mut served = Self {
            child,
            address: String::new(),
        };
        // It says where it listens once it does.
        for line in said.into_iter().flat_map(BufRead::lines) {
            let line = line.map_err(|error| format!("cannot read the server: {error}"))?;
            if let Some(place) = line.find("http://") {
                let address = line
                    .get(place..)
                    .and_then(|rest| rest.split_whitespace().next());
                served.address = address.unwrap_or_default().trim_end_matches('/').to_owned();
                return Ok(served);
            }
        }
        Err("the server ended before it said where it listens".into())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}
