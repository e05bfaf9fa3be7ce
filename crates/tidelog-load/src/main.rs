//! `npm run load`: load on a real server, each figure beside its reference in the same run.
//!
//! The server is this very program with other words (`tidelog-load serve …` is `tidelog serve …`), in a process of its own, on
//! a database in a temporary folder, on loopback. Everything that was started ends with the run.
//!
//! Server and reference take turns, and a figure is the median of its rounds: other work on the machine then
//! disturbs both alike.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program talks on stdout, and of its progress on stderr"
)]

mod client;
#[path = "../../tidelog-server/tests/cluster/mod.rs"]
#[expect(
    clippy::expect_used,
    reason = "the cluster that tests start; without PostgreSQL there is nothing to measure"
)]
mod cluster;
mod commits;
mod figures;
mod plan;
mod pusher;
mod reference;
mod row;
mod server;

use clap::Parser;
use plan::Plan;
use row::{Row, table};
use std::process::ExitCode;

/// What ends a run early: a sentence for the person who typed it.
type Outcome<T = ()> = Result<T, String>;

/// Says what went wrong, and at what.
fn at<E: std::fmt::Display>(what: &str) -> impl FnOnce(E) -> String {
    move |error| format!("{what}: {error}")
}

fn main() -> ExitCode {
    // As the program of the server, for the servers that this one starts.
    if std::env::args()
        .nth(1)
        .is_some_and(|word| !word.starts_with('-'))
    {
        return tidelog_server::cli::run();
    }
    match run(&Plan::parse()) {
        Ok(code) => code,
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn run(plan: &Plan) -> Outcome<ExitCode> {
    // Each connection is a file, here and in the servers that are started from here.
    let files = rlimit::increase_nofile_limit(u64::MAX).map_err(at("the limit of open files"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(at("a runtime"))?;
    let mut rows: Vec<Row> = Vec::new();
    for figure in plan.chosen()? {
        eprintln!("» {}", figure.name());
        let measured = runtime.block_on(figure.measure(plan, files))?;
        for row in &measured {
            eprintln!("  {row}");
        }
        rows.extend(measured);
        // What is there so far, in case a later figure fails.
        if let Some(file) = &plan.json {
            let json = serde_json::to_string_pretty(&rows).map_err(at("the rows"))?;
            std::fs::write(file, json + "\n").map_err(at("--json"))?;
        }
    }
    println!("{}", table(&rows));
    let missed = rows.iter().any(|row| row.ok == Some(false));
    Ok(match missed {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}
