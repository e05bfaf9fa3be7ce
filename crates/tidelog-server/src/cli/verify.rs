//! `tidelog verify`.

use super::target::Target;
use super::{Failure, output, said};
use crate::store::LogStore;
use clap::Args;
use indicatif::ProgressBar;
use std::io::IsTerminal;
use std::time::Duration;
use tidelog_core::LogName;

/// Check every byte of logs: frames, hash chain, positions, versions and heads; and the tables and indexes of an SQLite file.
///
/// Exits with 1 and names the first bad position of each log that has anything wrong, after all have been looked at.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidelog verify --db tidelog.db
  tidelog verify --db tidelog.db --log loans")]
pub(super) struct Verify {
    #[command(flatten)]
    target: Target,
    /// A log, as often as one likes; all of them if it is left out.
    #[arg(long = "log", value_name = "NAME")]
    logs: Vec<LogName>,
}

impl Verify {
    pub(super) fn run(self) -> Result<(), Failure> {
        let runtime = super::runtime()?;
        let store = runtime.block_on(self.target.open_to_read())?;
        let logs = match &self.logs[..] {
            [] => runtime.block_on(store.logs())?,
            asked => asked.to_vec(),
        };
        let mut wrong = Vec::new();
        let bar = spinner("the file".into());
        let faults = runtime.block_on(store.faults());
        bar.finish_and_clear();
        let faults = faults.unwrap_or_else(|error| vec![said(error)]);
        if !faults.is_empty() {
            wrong.push(format!(
                "the file is damaged: {}. Its server may answer wrongly: end it, and restore a backup into a new database. \
                 One can be made of this file yet, if `tidelog backup` finds every commit whole",
                faults.join("; ").replace('\n', " ")
            ));
        }
        for log in logs {
            let bar = spinner(format!("log {log}"));
            let verified = runtime.block_on(store.verify(&log));
            bar.finish_and_clear();
            match verified {
                Ok(verified) => output::line(format_args!(
                    "log {log} is whole: {} events in {} commits over {} streams, chain {}",
                    verified.state.head.position,
                    verified.commits,
                    verified.streams,
                    verified.state.head.chain
                )),
                Err(error) => match Failure::from(error) {
                    Failure::Refused(error) | Failure::Failed(error) => wrong.push(error),
                },
            }
        }
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(Failure::Failed(wrong.join("\ntidelog: "))),
        }
    }
}

/// Shows on a terminal that it goes on: the walk happens inside the database's transaction and tells nothing on its way.
fn spinner(what: String) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_message(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
