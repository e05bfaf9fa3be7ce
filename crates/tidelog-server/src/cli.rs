//! The program `tidelog`.

mod archive;
mod backup;
mod config;
mod conformance;
mod erase;
mod erasures;
mod export;
mod files;
mod generate;
mod import;
mod ndjson;
mod openapi;
mod otel;
mod output;
mod progress;
mod serve;
mod stats;
mod tail;
mod target;
mod verify;

use clap::{Parser, Subcommand};
use config::Arguments;
use std::process::ExitCode;

/// Tidelog's sync server: append-only event logs in one SQLite file or a PostgreSQL database, over HTTP.
///
/// A log is a named database of events. Replicas in browsers push commits to it and pull everybody's commits from it in
/// one order; a commit built on a version that is no longer the newest is answered with a conflict, never lost.
///
/// Some releases change a database's layout. The first command of a new one that writes (serve, import, restore, archive, redact, tombstone) does
/// so, and servers of the older release take no pushes from then on; commands that only read leave it as it is and say so.
#[derive(Debug, Parser)]
#[command(
    name = "tidelog",
    version,
    after_help = "\
Examples:
  tidelog serve --db tidelog.db --listen 127.0.0.1:8080 --dev --log todos
  tidelog serve --db tidelog.db --listen 0.0.0.0:8080 --log todos --tokens tokens.txt --www dist
  TIDELOG_STORE=postgres://tidelog@db.internal/tidelog tidelog serve --listen 0.0.0.0:8080 --tokens tokens.txt
  tidelog import --db tidelog.db --log loans loan-applications.ndjson.gz
  tidelog import --db tidelog.db --log loans --generate 10000
  tidelog export --db tidelog.db --log loans -o loans.ndjson
  tidelog verify --db tidelog.db
  tidelog backup --db tidelog.db -o backup-2026-01-31
  tidelog restore --db new.db backup-2026-01-31
  tidelog archive --db tidelog.db todos --to s3://history/tidelog --before 2026-01-01
  tidelog redact --db tidelog.db loans person/4711 --all --reason 'asked by the person'
  tidelog stats --db tidelog.db
  tidelog tail --db tidelog.db --log todos
  tidelog openapi > openapi.json
  tidelog conformance http://127.0.0.1:8080 --log todos"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Serve>),
    Import(import::Import),
    Export(export::Export),
    Verify(verify::Verify),
    Openapi(openapi::Openapi),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Archive(archive::Archive),
    Redact(erase::Redact),
    Tombstone(erase::Tombstone),
    Erasures(erasures::Erasures),
    Stats(stats::Stats),
    Tail(tail::Tail),
    Conformance(conformance::Conformance),
}

/// Runs the program with the process's arguments. Exit codes: 0 done; 1 it failed, or what was verified is damaged;
/// 2 the arguments ask for what is refused.
#[must_use]
pub fn run() -> ExitCode {
    let Arguments { all, file } = match config::arguments(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(failure) => return failure.exit(),
    };
    let cli = Cli::try_parse_from(all).unwrap_or_else(|error| match file {
        Some(file) if error.use_stderr() => {
            // It cannot be seen from the error, and may be on no line that was typed.
            let _ = error.print();
            output::error(&format!("some of these options are in {}", file.display()));
            std::process::exit(error.exit_code())
        }
        _ => error.exit(),
    });
    let done = match cli.command {
        Command::Serve(serve) => serve.run(),
        Command::Import(import) => import.run(),
        Command::Export(export) => export.run(),
        Command::Verify(verify) => verify.run(),
        Command::Openapi(openapi) => openapi.run(),
        Command::Backup(backup) => backup.run(),
        Command::Restore(restore) => restore.run(),
        Command::Archive(archive) => archive.run(),
        Command::Redact(redact) => redact.run(),
        Command::Tombstone(tombstone) => tombstone.run(),
        Command::Erasures(erasures) => erasures.run(),
        Command::Stats(stats) => stats.run(),
        Command::Tail(tail) => tail.run(),
        Command::Conformance(conformance) => conformance.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.exit(),
    }
}

/// Why a command ended early, in words for whoever typed it.
#[derive(Debug)]
enum Failure {
    /// It was not begun: the arguments ask for something refused.
    Refused(String),
    /// It was begun and failed.
    Failed(String),
}

/// A runtime for commands that do one thing after the other.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::failed)
}

impl Failure {
    /// Says it, and how the process ends.
    fn exit(self) -> ExitCode {
        let (message, code) = match self {
            Self::Refused(message) => (message, ExitCode::from(2)),
            Self::Failed(message) => (message, ExitCode::FAILURE),
        };
        output::error(&message);
        code
    }

    fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<crate::store::StoreError> for Failure {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Failed(said(error))
    }
}

/// What a database failed with. Who types commands may know what it said itself, unlike a client of the server.
fn said(error: crate::store::StoreError) -> String {
    match error {
        crate::store::StoreError::Unavailable { detail } => detail,
        error => error.to_string(),
    }
}
