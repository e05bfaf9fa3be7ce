//! A log at one moment: what a group of pushes needs to know, looked up at once, and what it stores, written at once.

mod facts;
mod kept;
mod writing;

use super::failure::Failure;
use crate::store::ledger::{Entry, Ledger};
use crate::store::{LogState, StoreError};
use kept::Guess;
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};
use std::collections::{BTreeMap, BTreeSet};
use tidelog_core::authority::{Known, Receipt};
use tidelog_core::protocol::LogHead;
use tidelog_core::{
    ChainHash, CommitId, Epoch, LogName, Position, ReplicaId, Seq, StreamHead, StreamId, Subject,
    Timestamp, Version,
};

/// Counted things fit PostgreSQL's integers: a log would need centuries to reach 2⁶³ events.
pub(super) fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A column that must have exactly `N` bytes.
pub(super) fn bytes<const N: usize>(row: &PgRow, column: &str) -> Result<[u8; N], Failure> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes.try_into().map_err(|_length| {
        Failure::from(StoreError::Unavailable {
            detail: format!("column {column} has {} bytes and not {N}", bytes.len()),
        })
    })
}

pub(super) fn number(row: &PgRow, column: &str) -> Result<u64, Failure> {
    Ok(from_sql(row.try_get(column)?))
}

/// A number that was stored as 64 bits and has 32.
pub(super) fn small(row: &PgRow, column: &str) -> Result<u32, Failure> {
    Ok(u32::try_from(number(row, column)?).unwrap_or(u32::MAX))
}

/// The columns `epoch`, `head` and `chain` of a log's row.
pub(super) fn state(row: &PgRow) -> Result<LogState, Failure> {
    Ok(LogState {
        epoch: Epoch::from_bytes(bytes(row, "epoch")?),
        head: LogHead {
            position: Position::new(number(row, "head")?),
            chain: ChainHash::from_bytes(bytes(row, "chain")?),
        },
    })
}

fn subject(name: Option<&str>) -> Option<Subject> {
    name.and_then(|name| Subject::new(name).ok())
}

#[derive(Debug, Clone, Copy)]
struct StreamRow {
    id: i64,
    head: StreamHead,
    tombstoned: bool,
}

/// A log inside the transaction that holds its row, or as it was when it was looked up.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: i64,
    /// Which version of the log's row this is, and the chain hash there. The hash covers the whole history: the number of a transaction
    /// alone may be given again after a failover.
    row: String,
    base: ChainHash,
    /// What is taken for new.
    guess: Option<Guess>,
    state: LogState,
    recorded_at: Timestamp,
    /// Of the end, and of what was asked for below it.
    chains: BTreeMap<Position, ChainHash>,
    owners: BTreeMap<ReplicaId, Option<Subject>>,
    /// The highest sequence numbers; of those from 2⁶³ on, which are stored as negative ones, nothing.
    last_seqs: BTreeMap<ReplicaId, Seq>,
    seqs: BTreeMap<(ReplicaId, Seq), CommitId>,
    known: BTreeMap<CommitId, Known>,
    streams: BTreeMap<StreamId, StreamRow>,
    entries: Vec<Entry>,
    moved: BTreeSet<StreamId>,
    bound: BTreeSet<ReplicaId>,
}

impl Held {
    /// Locks the log's row until the transaction ends. Statements after it see all that was stored before.
    pub(super) async fn lock(
        connection: &mut PgConnection,
        log: &LogName,
    ) -> Result<Self, Failure> {
        let sql = "SELECT id, xmin::text AS row, epoch, head, chain, recorded_at FROM tidelog.logs WHERE name = $1
                   FOR NO KEY UPDATE";
        let row = sqlx::query(sql)
            .bind(log.as_str())
            .fetch_optional(connection)
            .await?
            .ok_or_else(|| StoreError::UnknownLog { log: log.clone() })?;
        Ok(Self::new(
            row.try_get("id")?,
            row.try_get("row")?,
            state(&row)?,
            Timestamp::from_millis(row.try_get("recorded_at")?),
        ))
    }

    fn new(id: i64, row: String, state: LogState, recorded_at: Timestamp) -> Self {
        Self {
            id,
            row,
            base: state.head.chain,
            guess: None,
            state,
            recorded_at,
            chains: BTreeMap::from([(state.head.position, state.head.chain)]),
            owners: BTreeMap::new(),
            last_seqs: BTreeMap::new(),
            seqs: BTreeMap::new(),
            known: BTreeMap::new(),
            streams: BTreeMap::new(),
            entries: Vec::new(),
            moved: BTreeSet::new(),
            bound: BTreeSet::new(),
        }
    }

    /// The id of a stream that was looked up, and where it ends.
    pub(super) fn stream(&self, stream: &StreamId) -> Option<(i64, Version)> {
        let row = self.streams.get(stream)?;
        Some((row.id, row.head.version))
    }

    /// Where the log ends if something was stored.
    pub(super) fn moved(&self) -> Option<Position> {
        (!self.entries.is_empty()).then_some(self.state.head.position)
    }
}

impl Ledger for Held {
    fn state(&self) -> LogState {
        self.state
    }

    fn recorded_at(&self) -> Timestamp {
        self.recorded_at
    }

    fn chain_at(&mut self, position: Position) -> Result<Option<ChainHash>, StoreError> {
        Ok(self.chains.get(&position).copied())
    }

    fn owner(&mut self, replica: ReplicaId) -> Result<Option<Option<Subject>>, StoreError> {
        Ok(self.owners.get(&replica).cloned())
    }

    fn bind(&mut self, replica: ReplicaId, subject: Option<&Subject>) -> Result<(), StoreError> {
        self.owners.insert(replica, subject.cloned());
        self.bound.insert(replica);
        Ok(())
    }

    fn last_seq(&mut self, replica: ReplicaId) -> Result<Seq, StoreError> {
        Ok(self.last_seqs.get(&replica).copied().unwrap_or_default())
    }

    fn seq_taken_by(
        &mut self,
        replica: ReplicaId,
        seq: Seq,
    ) -> Result<Option<CommitId>, StoreError> {
        Ok(self.seqs.get(&(replica, seq)).copied())
    }

    fn known(&mut self, id: CommitId) -> Result<Option<Known>, StoreError> {
        Ok(self.known.get(&id).cloned())
    }

    fn streams(
        &mut self,
        streams: &[&StreamId],
    ) -> Result<BTreeMap<StreamId, StreamHead>, StoreError> {
        let found = streams.iter().filter_map(|stream| {
            let row = self.streams.get(*stream)?;
            Some(((*stream).clone(), row.head))
        });
        Ok(found.collect())
    }

    fn is_tombstoned(&self, stream: &StreamId) -> bool {
        self.streams.get(stream).is_some_and(|row| row.tombstoned)
    }

    fn store(&mut self, entry: Entry) -> Result<(), StoreError> {
        let recorded = &entry.recorded;
        let (commit, first) = (&recorded.commit, recorded.position);
        for (versions, head) in entry.written() {
            let stream = &versions.stream;
            let id = match self.streams.get(stream) {
                Some(row) => row.id,
                None => {
                    let index = commit
                        .events
                        .iter()
                        .position(|event| &event.stream == stream);
                    to_sql(first.plus(index.unwrap_or_default() as u64).value())
                }
            };
            let row = StreamRow {
                id,
                head,
                tombstoned: self.is_tombstoned(stream),
            };
            self.streams.insert(stream.clone(), row);
            self.moved.insert(stream.clone());
        }
        let known = Known {
            receipt: Receipt {
                attempt: commit.attempt,
                first,
                last: recorded.last_position(),
                versions: recorded.versions.clone(),
            },
            digest: entry.digest,
            actor: recorded.actor.clone(),
        };
        self.known.insert(commit.id, known);
        self.seqs.insert((commit.replica, commit.seq), commit.id);
        if i64::try_from(commit.seq.value()).is_ok() {
            let last = self.last_seqs.entry(commit.replica).or_default();
            *last = commit.seq.max(*last);
        }
        self.state.head = LogHead {
            position: recorded.last_position(),
            chain: entry.chain,
        };
        self.chains.insert(recorded.last_position(), entry.chain);
        self.recorded_at = recorded.recorded_at;
        self.entries.push(entry);
        Ok(())
    }
}
