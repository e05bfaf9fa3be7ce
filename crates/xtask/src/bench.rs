//! `bench`: the benchmark page of `www`, run by headless Chromium on the built package.
//!
//! Serves what `build` makes, from a copy that also holds what no visitor is sent: the real data, if somebody put it beside
//! the checkout.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::project::Project;
use crate::run::{check, command, say};
use crate::start::REAL_LOANS;
use crate::{Outcome, build, setup};

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
        serve.args(["--listen", "127.0.0.1:0", "--log", "bench", "--db"]);
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
