//! `tidelog erasures`.

use super::erase::told;
use super::target::Target;
use super::{Failure, output};
use crate::http::ErasureJson;
use crate::store::{ErasureRecord, LogStore};
use clap::Args;
use tidelog_core::LogName;
use tidelog_core::protocol::json::Instant;

/// How many are in memory at once.
const PAGE: usize = 1_000;

/// List what was erased from a log: what, when, by whom and why.
///
/// The log says so itself, in events of the types `tidelog.redacted` and `tidelog.tombstoned`. This list is kept beside it, under the log's
/// name, so that a backup from before is restored without what was erased since.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidelog erasures --db tidelog.db loans
  tidelog erasures --db tidelog.db loans --json | jq .reason")]
pub(super) struct Erasures {
    #[command(flatten)]
    target: Target,
    /// The log.
    #[arg(value_name = "LOG")]
    log: LogName,
    /// A line of JSON for each.
    #[arg(long)]
    json: bool,
}

impl Erasures {
    pub(super) fn run(self) -> Result<(), Failure> {
        let runtime = super::runtime()?;
        let store = runtime.block_on(self.target.open_to_read())?;
        let mut after = None;
        loop {
            let records = runtime.block_on(store.erasures(&self.log, after, PAGE))?;
            let Some(last) = records.last() else {
                return Ok(());
            };
            after = Some(last.place());
            for record in records {
                self.print(record)?;
            }
        }
    }

    fn print(&self, record: ErasureRecord) -> Result<(), Failure> {
        if self.json {
            let line = ErasureJson::from(record);
            output::line(serde_json::to_string(&line).map_err(Failure::failed)?);
            return Ok(());
        }
        let by = record.actor.as_ref();
        let by = by.map_or_else(String::new, |actor| format!("  by {actor}"));
        output::line(format_args!(
            "{}  {}  {}  {}{by}",
            String::from(Instant(record.recorded_at)),
            record.position,
            told(&record),
            record.reason
        ));
        Ok(())
    }
}
