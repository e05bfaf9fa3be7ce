//! `tidelog verify`.

use super::target::Target;
use super::{Failure, output};
use crate::store::LogStore;
use clap::Args;
use tidelog_core::LogName;

/// Check every byte of a log: frames, hash chain, positions, versions and heads.
///
/// Exits with 1 and names the first bad position if anything is wrong.
#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    target: Target,
    /// The log.
    #[arg(long, value_name = "NAME")]
    log: LogName,
}

impl Verify {
    pub(super) fn run(self) -> Result<(), Failure> {
        let runtime = super::runtime()?;
        let store = runtime.block_on(self.target.open_existing())?;
        let verified = runtime.block_on(store.verify(&self.log))?;
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
