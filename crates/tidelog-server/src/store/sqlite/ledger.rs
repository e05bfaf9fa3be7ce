//! A log as the writer's transaction sees it.

use super::rows::{self, LogRow, StreamRow, blob, from_sql, to_sql};
use super::seen::{Memory, Seen};
use crate::store::ledger::{Entry, Ledger};
use crate::store::{LogState, Push, StoreError, admission, keeping, stored};
use rusqlite::{OptionalExtension, Transaction, params};
use std::collections::BTreeMap;
use tidelog_core::authority::{Known, Receipt};
use tidelog_core::protocol::{LogHead, PushResponse};
use tidelog_core::{
    Attempt, ChainHash, CommitId, Digest, Epoch, LogName, Position, Recorded, ReplicaId, Seq,
    StreamHead, StreamId, Subject, Timestamp,
};

/// The logs that a group of pushes is for: each is looked up once, and its head written once.
pub(super) struct Logs<'a> {
    transaction: &'a Transaction<'a>,
    memory: &'a mut Memory,
    logs: BTreeMap<LogName, Log<'a>>,
}

impl<'a> Logs<'a> {
    pub(super) fn new(
        transaction: &'a Transaction<'a>,
        memory: &'a mut Memory,
    ) -> Result<Self, StoreError> {
        memory.check(transaction)?;
        Ok(Self {
            transaction,
            memory,
            logs: BTreeMap::new(),
        })
    }

    /// Decides on all commits of a push. After [`StoreError::Full`] and [`StoreError::Unavailable`] the caller rolls the transaction
    /// back; before any other error nothing of this push was written.
    pub(super) fn push(&mut self, push: &Push, now: Timestamp) -> Result<PushResponse, StoreError> {
        if !self.logs.contains_key(&push.log) {
            let log = match self.memory.take(&push.log) {
                Some(seen) => Log::seen(self.transaction, seen),
                None => Log::of(self.transaction, &push.log)?,
            };
            self.logs.insert(push.log.clone(), log);
        }
        let log = self.logs.get_mut(&push.log);
        let log = log.ok_or_else(|| StoreError::UnknownLog {
            log: push.log.clone(),
        })?;
        admission::push(log, push, now)
    }

    /// Writes where the logs end now, and gives what is known of them, to be kept once the transaction is committed.
    pub(super) fn save_heads(self) -> Result<BTreeMap<LogName, Seen>, StoreError> {
        let mut moved = self.logs.values().filter(|log| log.moved);
        moved.try_for_each(Log::save_head)?;
        let logs = self.logs.into_iter();
        Ok(logs.map(|(name, log)| (name, log.seen)).collect())
    }
}

/// Stores commits of another database. After an error the caller rolls the transaction back.
pub(super) fn restore(
    transaction: &Transaction<'_>,
    log: &LogName,
    commits: Vec<Recorded>,
) -> Result<(), StoreError> {
    let mut ledger = Log::of(transaction, log)?;
    keeping::restore(&mut ledger, log, commits)?;
    ledger.save_head()
}

/// Makes a log if there is none of this name.
pub(super) fn create(
    transaction: &Transaction<'_>,
    log: &LogName,
    now: Timestamp,
    epoch: Epoch,
) -> Result<LogRow, StoreError> {
    let sql = "INSERT INTO logs (name, epoch, head, chain, recorded_at, created_at)
               VALUES (?1, ?2, 0, ?3, 0, ?4) ON CONFLICT (name) DO NOTHING";
    let chain = ChainHash::default();
    transaction.execute(
        sql,
        params![
            log.as_str(),
            epoch.as_bytes(),
            chain.as_bytes(),
            now.millis()
        ],
    )?;
    rows::log(transaction, log)
}

/// A log inside the transaction; its head is written at the end, once.
pub(super) struct Log<'a> {
    transaction: &'a Transaction<'a>,
    pub(super) seen: Seen,
    /// Whether anything was stored.
    moved: bool,
}

impl<'a> Log<'a> {
    pub(super) fn of(transaction: &'a Transaction<'a>, log: &LogName) -> Result<Self, StoreError> {
        let row = rows::log(transaction, log)?;
        Ok(Self::seen(transaction, Seen::of(row)))
    }

    const fn seen(transaction: &'a Transaction<'a>, seen: Seen) -> Self {
        Self {
            transaction,
            seen,
            moved: false,
        }
    }

    pub(super) fn save_head(&self) -> Result<(), StoreError> {
        let sql = "UPDATE logs SET head = ?2, chain = ?3, recorded_at = ?4 WHERE id = ?1";
        let head = self.seen.row.state.head;
        self.transaction.prepare_cached(sql)?.execute(params![
            self.seen.row.id,
            to_sql(head.position.value()),
            head.chain.as_bytes(),
            self.seen.row.recorded_at.millis()
        ])?;
        Ok(())
    }

    fn store_commit(&self, entry: &Entry) -> Result<(), StoreError> {
        let sql = "INSERT INTO commits
                     (log, first, last, id, attempt, replica, seq, digest, chain, recorded_at, actor, frame)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        let recorded = &entry.recorded;
        let commit = &recorded.commit;
        self.transaction.prepare_cached(sql)?.execute(params![
            self.seen.row.id,
            to_sql(recorded.position.value()),
            to_sql(recorded.last_position().value()),
            commit.id.as_bytes(),
            commit.attempt.value(),
            commit.replica.as_bytes(),
            commit.seq.value().cast_signed(),
            entry.digest.as_bytes(),
            entry.chain.as_bytes(),
            recorded.recorded_at.millis(),
            recorded.actor.as_ref().map(Subject::as_str),
            entry.frame
        ])?;
        Ok(())
    }

    /// Moves a stream's end; makes the stream if it is new. Returns its row's id.
    fn store_stream(&self, stream: &StreamId, head: StreamHead) -> Result<i64, StoreError> {
        let (version, last) = (to_sql(head.version.value()), head.last);
        let (id, attempt) = (last.commit.as_bytes(), last.attempt.value());
        match self.seen.streams.get(stream) {
            Some(row) => {
                let sql = "UPDATE streams SET version = ?2, last_commit = ?3, last_attempt = ?4,
                           last_index = ?5 WHERE id = ?1";
                let mut statement = self.transaction.prepare_cached(sql)?;
                statement.execute(params![row.id, version, id, attempt, last.index])?;
                Ok(row.id)
            }
            None => {
                let sql = "INSERT INTO streams
                             (log, name, version, last_commit, last_attempt, last_index)
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
                let (log, name) = (self.seen.row.id, stream.as_str());
                let mut statement = self.transaction.prepare_cached(sql)?;
                Ok(statement.insert(params![log, name, version, id, attempt, last.index])?)
            }
        }
    }
}

impl Ledger for Log<'_> {
    fn state(&self) -> LogState {
        self.seen.row.state
    }

    fn recorded_at(&self) -> Timestamp {
        self.seen.row.recorded_at
    }

    fn chain_at(&mut self, position: Position) -> Result<Option<ChainHash>, StoreError> {
        rows::chain_at(self.transaction, self.seen.row.id, position)
    }

    fn owner(&mut self, replica: ReplicaId) -> Result<Option<Option<Subject>>, StoreError> {
        if let Some(owner) = self.seen.owners.get(&replica) {
            return Ok(Some(owner.clone()));
        }
        let sql = "SELECT subject FROM replicas WHERE log = ?1 AND replica = ?2";
        let mut statement = self.transaction.prepare_cached(sql)?;
        let subject: Option<Option<String>> = statement
            .query_row(params![self.seen.row.id, replica.as_bytes()], |row| {
                row.get(0)
            })
            .optional()?;
        let owner = subject.map(|subject| subject.and_then(|subject| Subject::new(subject).ok()));
        if let Some(owner) = &owner {
            self.seen.owners.insert(replica, owner.clone());
        }
        Ok(owner)
    }

    fn bind(&mut self, replica: ReplicaId, subject: Option<&Subject>) -> Result<(), StoreError> {
        let sql = "INSERT INTO replicas (log, replica, subject) VALUES (?1, ?2, ?3)";
        let (log, name) = (self.seen.row.id, subject.map(Subject::as_str));
        let mut statement = self.transaction.prepare_cached(sql)?;
        statement.execute(params![log, replica.as_bytes(), name])?;
        self.seen.owners.insert(replica, subject.cloned());
        Ok(())
    }

    fn last_seq(&mut self, replica: ReplicaId) -> Result<Seq, StoreError> {
        if let Some(seq) = self.seen.seqs.get(&replica) {
            return Ok(*seq);
        }
        let sql = "SELECT coalesce(max(seq), 0) FROM commits WHERE log = ?1 AND replica = ?2";
        let mut statement = self.transaction.prepare_cached(sql)?;
        let key = params![self.seen.row.id, replica.as_bytes()];
        let last: i64 = statement.query_row(key, |row| row.get(0))?;
        let last = Seq::new(from_sql(last));
        self.seen.seqs.insert(replica, last);
        Ok(last)
    }

    fn seq_taken_by(
        &mut self,
        replica: ReplicaId,
        seq: Seq,
    ) -> Result<Option<CommitId>, StoreError> {
        // Those from 2⁶³ on are stored as negative numbers, which the highest does not tell of.
        if i64::try_from(seq.value()).is_ok() && seq > self.last_seq(replica)? {
            return Ok(None);
        }
        let sql = "SELECT id FROM commits WHERE log = ?1 AND replica = ?2 AND seq = ?3";
        let mut statement = self.transaction.prepare_cached(sql)?;
        let key = params![
            self.seen.row.id,
            replica.as_bytes(),
            seq.value().cast_signed()
        ];
        let id = statement.query_row(key, |row| blob(row, 0)).optional()?;
        Ok(id.map(CommitId::from_bytes))
    }

    fn known(&mut self, id: CommitId) -> Result<Option<Known>, StoreError> {
        type Columns = (i64, i64, Attempt, [u8; 32], Option<String>, Vec<u8>);
        let sql = "SELECT first, last, attempt, digest, actor, frame FROM commits
                   WHERE log = ?1 AND id = ?2";
        let mut statement = self.transaction.prepare_cached(sql)?;
        let columns: Option<Columns> = statement
            .query_row(params![self.seen.row.id, id.as_bytes()], |row| {
                let attempt = Attempt::new(row.get(2)?);
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    attempt,
                    blob(row, 3)?,
                    row.get(4)?,
                    row.get(5)?,
                ))
            })
            .optional()?;
        let Some((first, last, attempt, digest, actor, bytes)) = columns else {
            return Ok(None);
        };
        let first = Position::new(from_sql(first));
        Ok(Some(Known {
            receipt: Receipt {
                attempt,
                first,
                last: Position::new(from_sql(last)),
                versions: stored::versions(first, &bytes)?,
            },
            digest: Digest::from_bytes(digest),
            actor: actor.and_then(|actor| Subject::new(actor).ok()),
        }))
    }

    fn streams(
        &mut self,
        streams: &[&StreamId],
    ) -> Result<BTreeMap<StreamId, StreamHead>, StoreError> {
        let mut heads = BTreeMap::new();
        for stream in streams.iter().copied() {
            if !self.seen.streams.contains_key(stream)
                && let Some(row) = rows::stream(self.transaction, self.seen.row.id, stream)?
            {
                self.seen.streams.insert(stream.clone(), row);
            }
            if let Some(row) = self.seen.streams.get(stream) {
                heads.insert(stream.clone(), row.head);
            }
        }
        Ok(heads)
    }

    fn is_tombstoned(&self, stream: &StreamId) -> bool {
        self.seen
            .streams
            .get(stream)
            .is_some_and(|row| row.tombstoned)
    }

    fn store(&mut self, entry: Entry) -> Result<(), StoreError> {
        self.store_commit(&entry)?;
        for (versions, head) in entry.written() {
            let id = self.store_stream(&versions.stream, head)?;
            let row = StreamRow {
                id,
                head,
                tombstoned: self.is_tombstoned(&versions.stream),
            };
            self.seen.streams.insert(versions.stream.clone(), row);
            let sql = "INSERT INTO stream_commits (stream, first, last, position)
                       VALUES (?1, ?2, ?3, ?4)";
            let mut statement = self.transaction.prepare_cached(sql)?;
            statement.execute(params![
                id,
                to_sql(versions.first.value()),
                to_sql(versions.last.value()),
                to_sql(entry.recorded.position.value())
            ])?;
        }
        self.seen.row.state.head = LogHead {
            position: entry.recorded.last_position(),
            chain: entry.chain,
        };
        let commit = &entry.recorded.commit;
        if let Some(last) = self.seen.seqs.get_mut(&commit.replica)
            && i64::try_from(commit.seq.value()).is_ok()
        {
            *last = commit.seq.max(*last);
        }
        self.seen.row.recorded_at = entry.recorded.recorded_at;
        self.moved = true;
        Ok(())
    }
}
