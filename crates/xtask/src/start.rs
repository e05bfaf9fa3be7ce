//! The demo on real data: builds what is missing, imports once, serves on loopback.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use crate::project::Project;
use crate::run::{check, command, say};
use crate::{Outcome, build, setup};

/// Event histories of 13,087 real loan applications, if somebody put them beside the checkout.
pub(crate) const REAL_LOANS: &str = "../shared/data/loan-applications.ndjson.gz";
/// How many events to invent when they did not: as many as the real ones.
const INVENTED_LOANS: &str = "262200";

/// Serves the demo until it is interrupted. `PORT` chooses the port.
pub(crate) fn run(project: &Project) -> Outcome {
    let port = port()?;
    let address = format!("127.0.0.1:{port}");
    free(&address)?;
    setup::for_build(project)?;
    build::all(project)?;
    let server = build::server(project, true)?;
    let database = project.data().join("tidelog.db");
    import(project, &server, &database)?;

    say(&format!("todos:     http://{address}/todomvc/"));
    say(&format!("loan desk: http://{address}/loans/"));
    say("ctrl-c stops it");
    let mut serve = with_database(project, &server, "serve", &database);
    serve
        .args([
            "--listen", &address, "--dev", "--log", "todos", "--log", "loans", "--www",
        ])
        .arg(project.path("www/dist"));
    check(serve)
}

fn port() -> Outcome<u16> {
    match std::env::var("PORT") {
        Ok(text) => text
            .parse()
            .map_err(|error| format!("PORT={text} is no port: {error}")),
        Err(_) => Ok(8787),
    }
}

/// Says at once, before minutes of building, that somebody else listens there.
fn free(address: &str) -> Outcome {
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Err(format!(
            "{address} is taken by another program; try PORT=8788 npm start"
        )),
        Err(error) => Err(format!("cannot listen on {address}: {error}")),
    }
}

/// Imports the loans once into a database of its own name, which then takes the real one: an
/// interrupted import leaves nothing behind that looks done.
fn import(project: &Project, server: &Path, database: &Path) -> Outcome {
    if database.exists() {
        say("data: already imported (remove .data to start over)");
        return Ok(());
    }
    let fresh = project.data().join("importing");
    let _absent_is_fine = fs::remove_dir_all(&fresh);
    fs::create_dir_all(&fresh).map_err(|error| format!("{}: {error}", fresh.display()))?;
    let unfinished = fresh.join("tidelog.db");
    let mut import = with_database(project, server, "import", &unfinished);
    import.args(["--log", "loans"]);
    let real = project.path(REAL_LOANS);
    if real.is_file() {
        say("data: importing real loan applications");
        import.arg(real);
    } else {
        say("data: no real loan applications here, inventing some of the same shape");
        import.args(["--generate", INVENTED_LOANS]);
    }
    check(import)?;
    for suffix in ["-wal", "-shm", ""] {
        let name = format!("tidelog.db{suffix}");
        let from = fresh.join(&name);
        if from.exists() {
            fs::rename(&from, project.data().join(&name))
                .map_err(|error| format!("cannot move {}: {error}", from.display()))?;
        }
    }
    let _an_empty_folder_does_no_harm = fs::remove_dir(&fresh);
    Ok(())
}

fn with_database(project: &Project, server: &Path, what: &str, database: &Path) -> Command {
    let mut command = command(&project.root, server, [what, "--db"]);
    command.arg(database);
    command
}
