//! `tidelog verify`.

use super::{Failure, output};
use crate::store::{LogStore, SqliteStore};
use clap::Args;
use std::path::PathBuf;
use tidelog_core::LogName;

/// Check every byte of a log: frames, hash chain, positions, versions and heads.
///
/// Exits with 1 and names the first bad position if anything is wrong.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The SQLite file.
    #[arg(long, value_name = "FILE")]
    db: PathBuf,
    /// The log.
    #[arg(long, value_name = "NAME")]
    log: LogName,
}

impl Verify {
    pub(super) fn run(self) -> Result<(), Failure> {
        super::existing(&self.db)?;
        let store = SqliteStore::open(&self.db)?;
        let verified = super::runtime()?.block_on(store.verify(&self.log))?;
        output::line(format_args!(
            "log {} is whole: {} events in {} commits over {} streams, chain {}",
            self.log,
            verified.state.head.position,
            verified.commits,
            verified.streams,
            verified.state.head.chain
        ));
        Ok(())
    }
}
