//! `tidelog verify`.

use super::target::Target;
use super::{Failure, output};
use crate::store::LogStore;
use clap::Args;
use indicatif::ProgressBar;
use std::io::IsTerminal;
use std::time::Duration;
use tidelog_core::LogName;

/// Check every byte of logs: frames, hash chain, positions, versions and heads.
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
        for log in logs {
            let bar = spinner(&log);
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
fn spinner(log: &LogName) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_message(format!("log {log}"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
