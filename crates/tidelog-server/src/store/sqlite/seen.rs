//! What the writer has read of logs, kept from one transaction to the next for as long as it is true.

use super::rows::{LogRow, StreamRow};
use crate::store::StoreError;
use rusqlite::Connection;
use std::collections::BTreeMap;
use tidelog_core::{LogName, ReplicaId, Seq, StreamId, Subject};

/// How many streams and replicas of all logs are kept; then it begins anew.
const MOST: usize = 4_000;

/// Of a log: exactly what its rows say.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) row: LogRow,
    pub(super) streams: BTreeMap<StreamId, StreamRow>,
    pub(super) owners: BTreeMap<ReplicaId, Option<Subject>>,
    /// The highest sequence number of a replica.
    pub(super) seqs: BTreeMap<ReplicaId, Seq>,
}

impl Seen {
    pub(super) const fn of(row: LogRow) -> Self {
        Self {
            row,
            streams: BTreeMap::new(),
            owners: BTreeMap::new(),
            seqs: BTreeMap::new(),
        }
    }

    fn len(&self) -> usize {
        1 + self.streams.len() + self.owners.len() + self.seqs.len()
    }
}

/// Logs as the last transaction left them. What a transaction takes from here it gives back when it is committed; so nothing that
/// was rolled back stays.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// SQLite's number of what other connections have committed (`PRAGMA data_version`).
    version: Option<i64>,
    logs: BTreeMap<LogName, Seen>,
}

impl Memory {
    /// Forgets everything if another connection has written since. To be asked inside the transaction that uses it.
    pub(super) fn check(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let version = connection
            .prepare_cached("PRAGMA data_version")?
            .query_row([], |row| row.get(0))?;
        if self.version.replace(version) != Some(version) {
            self.logs.clear();
        }
        Ok(())
    }

    /// For work on the writer's own connection that is no push.
    pub(super) fn forget(&mut self) {
        self.logs.clear();
    }

    pub(super) fn take(&mut self, log: &LogName) -> Option<Seen> {
        self.logs.remove(log)
    }

    /// Takes what a transaction that is committed knows.
    pub(super) fn keep(&mut self, seen: impl Iterator<Item = (LogName, Seen)>) {
        self.logs.extend(seen);
        if self.logs.values().map(Seen::len).sum::<usize>() > MOST {
            self.logs.clear();
        }
    }
}
