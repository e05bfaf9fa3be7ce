//! What operators do with whole logs, beside the contract of [`LogStore`](super::LogStore).

use super::LogState;
use super::StoreError;
use super::admission::touched;
use super::ledger::{Entry, Ledger};
use tidelog_core::{LogName, Recorded, Timestamp};

/// What a log holds, counted.
#[derive(Debug, Clone)]
pub(crate) struct Stats {
    pub(crate) state: LogState,
    pub(crate) commits: u64,
    pub(crate) streams: u64,
    pub(crate) replicas: u64,
    /// Of what is in the place of frames.
    pub(crate) bytes: u64,
    /// Sealed runs that are kept, and their bytes.
    pub(crate) segments: u64,
    pub(crate) segment_bytes: u64,
    /// Objects of the archive, the events that are there, and their bytes.
    pub(crate) archived: u64,
    pub(crate) archived_events: u64,
    pub(crate) archived_bytes: u64,
    /// When the first and the last commit were recorded.
    pub(crate) oldest: Option<Timestamp>,
    pub(crate) newest: Option<Timestamp>,
}

/// Stores commits that another database recorded, just as they are, at the end of a log. They must follow on it.
pub(super) fn restore(
    ledger: &mut impl Ledger,
    log: &LogName,
    commits: Vec<Recorded>,
) -> Result<(), StoreError> {
    for recorded in commits {
        let LogState { epoch, head } = ledger.state();
        if recorded.position != head.position.next() {
            return Err(StoreError::Damaged {
                log: log.clone(),
                position: recorded.position,
                detail: format!("it does not follow on position {}", head.position),
            });
        }
        let replica = recorded.commit.replica;
        if ledger.owner(replica)?.is_none() {
            ledger.bind(replica, recorded.actor.as_ref())?;
        }
        // A ledger knows the streams that it was asked for.
        ledger.streams(&touched(&recorded.commit))?;
        ledger.store(Entry::of(epoch, head.chain, recorded))?;
    }
    Ok(())
}
