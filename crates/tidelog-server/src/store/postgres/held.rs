//! A log at one moment: what a group of pushes needs to know, looked up at once, and what it stores, written at once.

use super::failure::Failure;
use crate::store::ledger::{Entry, Ledger};
use crate::store::{LogState, Numbering, Push, StoreError, admission, stored};
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};
use std::collections::{BTreeMap, BTreeSet};
use tidelog_core::authority::{Known, Receipt};
use tidelog_core::protocol::LogHead;
use tidelog_core::{
    Attempt, ChainHash, CommitId, Cursor, Digest, Epoch, EventId, LogName, Position, ReplicaId,
    Seq, StreamHead, StreamId, Subject, Timestamp, Version,
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
    /// Which version of the log's row this is.
    row: String,
    state: LogState,
    recorded_at: Timestamp,
    chains: BTreeMap<Position, ChainHash>,
    owners: BTreeMap<ReplicaId, Option<Subject>>,
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

    const fn new(id: i64, row: String, state: LogState, recorded_at: Timestamp) -> Self {
        Self {
            id,
            row,
            state,
            recorded_at,
            chains: BTreeMap::new(),
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

    /// Looks up the log, and all that deciding on these pushes can ask for, without a lock: `None` if it has another name by
    /// now. What is decided on it can be written if the log's row is still the same then.
    pub(super) async fn look(
        connection: &mut PgConnection,
        (log, id): (&LogName, i64),
        pushes: &[&Push],
    ) -> Result<Option<Self>, Failure> {
        let rows = facts(connection, (log, id), pushes).await?;
        let is_log = |row: &&PgRow| row.try_get::<i64, _>("kind").is_ok_and(|kind| kind == 0);
        let Some(row) = rows.iter().find(is_log) else {
            return Ok(None);
        };
        let state = LogState {
            epoch: Epoch::from_bytes(bytes(row, "key")?),
            head: LogHead {
                position: Position::new(number(row, "a")?),
                chain: ChainHash::from_bytes(bytes(row, "hash")?),
            },
        };
        let recorded_at = Timestamp::from_millis(row.try_get("b")?);
        let mut held = Self::new(id, row.try_get("name")?, state, recorded_at);
        held.take_in(connection, &rows, pushes).await?;
        Ok(Some(held))
    }

    /// Looks up all that deciding on these pushes can ask for.
    pub(super) async fn look_up(
        &mut self,
        connection: &mut PgConnection,
        log: &LogName,
        pushes: &[&Push],
    ) -> Result<(), Failure> {
        let rows = facts(connection, (log, self.id), pushes).await?;
        self.take_in(connection, &rows, pushes).await
    }

    async fn take_in(
        &mut self,
        connection: &mut PgConnection,
        rows: &[PgRow],
        pushes: &[&Push],
    ) -> Result<(), Failure> {
        for row in rows {
            self.fact(row)?;
        }
        self.look_up_numbers(&mut *connection, pushes).await?;
        self.look_up_chains(connection, pushes).await
    }
    /// Takes in a row of what was looked up: a known commit, a taken number, a stream or a replica.
    fn fact(&mut self, row: &PgRow) -> Result<(), Failure> {
        let name: Option<&str> = row.try_get("name")?;
        match row.try_get::<i64, _>("kind")? {
            1 => {
                let first = Position::new(number(row, "a")?);
                let known = Known {
                    receipt: Receipt {
                        attempt: Attempt::new(small(row, "c")?),
                        first,
                        last: Position::new(number(row, "b")?),
                        versions: stored::versions(first, row.try_get("frame")?)?,
                    },
                    digest: Digest::from_bytes(bytes(row, "hash")?),
                    actor: subject(name),
                };
                self.known
                    .insert(CommitId::from_bytes(bytes(row, "key")?), known);
            }
            2 => {
                let seq = Seq::new(row.try_get::<i64, _>("a")?.cast_unsigned());
                let replica = ReplicaId::from_bytes(bytes(row, "key")?);
                let id = CommitId::from_bytes(bytes(row, "hash")?);
                self.seqs.insert((replica, seq), id);
            }
            3 => {
                let packed = number(row, "c")?;
                let low = |number: u64| u32::try_from(number & 0xffff_ffff).unwrap_or(u32::MAX);
                let head = StreamHead {
                    version: Version::new(number(row, "b")?),
                    last: EventId {
                        commit: CommitId::from_bytes(bytes(row, "key")?),
                        attempt: Attempt::new(low(packed >> 32)),
                        index: low(packed),
                    },
                };
                let id = row.try_get("a")?;
                let tombstoned = row.try_get::<Option<&[u8]>, _>("hash")?.is_some();
                if let Some(stream) = name.and_then(|name| StreamId::new(name).ok()) {
                    let row = StreamRow {
                        id,
                        head,
                        tombstoned,
                    };
                    self.streams.insert(stream, row);
                }
            }
            4 => {
                let replica = ReplicaId::from_bytes(bytes(row, "key")?);
                self.owners.insert(replica, subject(name));
            }
            // The log itself.
            _ => {}
        }
        Ok(())
    }

    /// The highest numbers of replicas that the store numbers for.
    async fn look_up_numbers(
        &mut self,
        connection: &mut PgConnection,
        pushes: &[&Push],
    ) -> Result<(), Failure> {
        let numbered = pushes
            .iter()
            .filter(|push| push.numbering == Numbering::Store);
        self.last_seqs = numbered
            .map(|push| (push.replica, Seq::default()))
            .collect();
        if self.last_seqs.is_empty() {
            return Ok(());
        }
        let sql = "
SELECT asked AS replica, seq FROM unnest($2::bytea[]) AS asked
  JOIN LATERAL (SELECT seq FROM tidelog.commits WHERE log = $1 AND replica = asked
                ORDER BY seq DESC LIMIT 1) AS newest ON true";
        let asked: Vec<&[u8]> = self
            .last_seqs
            .keys()
            .map(|one| &one.as_bytes()[..])
            .collect();
        let rows = sqlx::query(sql)
            .bind(self.id)
            .bind(asked)
            .fetch_all(connection)
            .await?;
        for row in rows {
            let replica = ReplicaId::from_bytes(bytes(&row, "replica")?);
            self.last_seqs
                .insert(replica, Seq::new(number(&row, "seq")?));
        }
        Ok(())
    }

    /// The chain hashes at the cursors that are not at the end: those may belong to another history.
    async fn look_up_chains(
        &mut self,
        connection: &mut PgConnection,
        pushes: &[&Push],
    ) -> Result<(), Failure> {
        let LogState { epoch, head } = self.state;
        let cursors: BTreeSet<i64> = pushes
            .iter()
            .map(|push| push.cursor)
            .filter(|cursor| *cursor != Cursor::default() && cursor.epoch == epoch)
            .filter(|cursor| cursor.position < head.position)
            .map(|cursor| to_sql(cursor.position.value()))
            .collect();
        if cursors.is_empty() {
            return Ok(());
        }
        let sql = "
SELECT found.last, found.chain FROM unnest($2::int8[]) AS asked
  JOIN LATERAL (SELECT last, chain FROM tidelog.commits WHERE log = $1 AND first <= asked
                ORDER BY first DESC LIMIT 1) AS found ON found.last = asked";
        let rows = sqlx::query(sql)
            .bind(self.id)
            .bind(cursors.into_iter().collect::<Vec<i64>>())
            .fetch_all(connection)
            .await?;
        for row in rows {
            let chain = ChainHash::from_bytes(bytes(&row, "chain")?);
            self.chains
                .insert(Position::new(number(&row, "last")?), chain);
        }
        Ok(())
    }

    /// Writes all that was stored in the transaction that holds the log's row.
    pub(super) async fn write(&self, connection: &mut PgConnection) -> Result<(), Failure> {
        match self.write_at_once(connection).await? {
            true => Ok(()),
            false => {
                let detail = "the row of a log was changed although it was locked".into();
                Err(StoreError::Unavailable { detail }.into())
            }
        }
    }

    /// Writes all that was stored, if anything was, in one statement: so it is written whole or not at all, and `false` says
    /// that the log's row is another than was looked up, and nothing was written.
    pub(super) async fn write_at_once(
        &self,
        connection: &mut PgConnection,
    ) -> Result<bool, Failure> {
        if self.entries.is_empty() {
            return Ok(true);
        }
        let sql = "
WITH moved AS (
  UPDATE tidelog.logs SET head = $25, chain = $26, recorded_at = $27 WHERE id = $1 AND xmin::text = $28 RETURNING id
), new_commits AS (
  INSERT INTO tidelog.commits (log, first, last, id, attempt, replica, seq, digest, chain, recorded_at, actor, frame)
  SELECT moved.id, new.* FROM moved, unnest($2::int8[], $3::int8[], $4::bytea[], $5::int8[], $6::bytea[], $7::int8[], $8::bytea[],
                           $9::bytea[], $10::int8[], $11::text[], $12::bytea[]) AS new
), moved_streams AS (
  INSERT INTO tidelog.streams AS stream (log, name, id, version, last_commit, last_attempt, last_index)
  SELECT moved.id, new.*
  FROM moved, unnest($13::text[], $14::int8[], $15::int8[], $16::bytea[], $17::int8[], $18::int8[]) AS new
  ON CONFLICT (log, name) DO UPDATE SET version = excluded.version, last_commit = excluded.last_commit,
    last_attempt = excluded.last_attempt, last_index = excluded.last_index
), new_places AS (
  INSERT INTO tidelog.stream_commits (log, stream, first, last, position)
  SELECT moved.id, new.* FROM moved, unnest($19::int8[], $20::int8[], $21::int8[], $22::int8[]) AS new
), new_replicas AS (
  INSERT INTO tidelog.replicas (log, replica, subject)
  SELECT moved.id, new.* FROM moved, unnest($23::bytea[], $24::text[]) AS new
)
SELECT 1 FROM moved";
        let entries = &self.entries;
        let numbers = |of: fn(&Entry) -> i64| -> Vec<i64> { entries.iter().map(of).collect() };
        let query = sqlx::query(sql)
            .bind(self.id)
            .bind(numbers(|one| to_sql(one.recorded.position.value())))
            .bind(numbers(|one| to_sql(one.recorded.last_position().value())))
            .bind(blobs(entries, |one| &one.recorded.commit.id.as_bytes()[..]))
            .bind(numbers(|one| {
                i64::from(one.recorded.commit.attempt.value())
            }))
            .bind(blobs(entries, |one| {
                &one.recorded.commit.replica.as_bytes()[..]
            }))
            .bind(numbers(|one| one.recorded.commit.seq.value().cast_signed()))
            .bind(blobs(entries, |one| &one.digest.as_bytes()[..]))
            .bind(blobs(entries, |one| &one.chain.as_bytes()[..]))
            .bind(numbers(|one| one.recorded.recorded_at.millis()))
            .bind(
                entries
                    .iter()
                    .map(|one| one.recorded.actor.as_ref().map(Subject::as_str))
                    .collect::<Vec<_>>(),
            )
            .bind(blobs(entries, |one| &one.frame[..]));
        let moved: Vec<(&str, StreamRow)> = self
            .moved
            .iter()
            .filter_map(|name| Some((name.as_str(), *self.streams.get(name)?)))
            .collect();
        let last = |row: &StreamRow| row.head.last;
        let query = query
            .bind(moved.iter().map(|(name, _)| *name).collect::<Vec<_>>())
            .bind(moved.iter().map(|(_, row)| row.id).collect::<Vec<_>>())
            .bind(
                moved
                    .iter()
                    .map(|(_, row)| to_sql(row.head.version.value()))
                    .collect::<Vec<_>>(),
            )
            .bind(blobs(
                &moved,
                |(_, row)| &row.head.last.commit.as_bytes()[..],
            ))
            .bind(
                moved
                    .iter()
                    .map(|(_, row)| i64::from(last(row).attempt.value()))
                    .collect::<Vec<_>>(),
            )
            .bind(
                moved
                    .iter()
                    .map(|(_, row)| i64::from(last(row).index))
                    .collect::<Vec<_>>(),
            );
        let mut places = [const { Vec::new() }; 4];
        for entry in entries {
            for (versions, _) in entry.written() {
                let [streams, firsts, lasts, positions] = &mut places;
                streams.push(self.streams.get(&versions.stream).map_or(0, |row| row.id));
                firsts.push(to_sql(versions.first.value()));
                lasts.push(to_sql(versions.last.value()));
                positions.push(to_sql(entry.recorded.position.value()));
            }
        }
        let query = places
            .into_iter()
            .fold(query, |query, column| query.bind(column));
        let bound: Vec<(&ReplicaId, Option<&str>)> = self
            .bound
            .iter()
            .map(|replica| {
                let owner = self.owners.get(replica).and_then(Option::as_ref);
                (replica, owner.map(Subject::as_str))
            })
            .collect();
        let head = self.state.head;
        query
            .bind(blobs(&bound, |(replica, _)| &replica.as_bytes()[..]))
            .bind(bound.iter().map(|(_, owner)| *owner).collect::<Vec<_>>())
            .bind(to_sql(head.position.value()))
            .bind(&head.chain.as_bytes()[..])
            .bind(self.recorded_at.millis())
            .bind(&self.row)
            .fetch_optional(connection)
            .await
            .map(|moved| moved.is_some())
            .map_err(Failure::from)
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

/// A row of the log, and of everything that deciding on these pushes can ask for, at one moment.
async fn facts(
    connection: &mut PgConnection,
    (log, id): (&LogName, i64),
    pushes: &[&Push],
) -> Result<Vec<PgRow>, Failure> {
    let commits = || pushes.iter().flat_map(|push| &push.commits);
    let ids: Vec<&[u8]> = commits().map(|one| &one.commit.id.as_bytes()[..]).collect();
    let numbered = commits().map(|one| (one.commit.replica, one.commit.seq.value()));
    let (replicas, seqs): (Vec<ReplicaId>, Vec<u64>) = numbered.unzip();
    let replicas: Vec<&[u8]> = replicas.iter().map(|one| &one.as_bytes()[..]).collect();
    let seqs: Vec<i64> = seqs.into_iter().map(u64::cast_signed).collect();
    let touched: BTreeSet<&str> = commits()
        .flat_map(|one| admission::touched(&one.commit))
        .map(StreamId::as_str)
        .collect();
    let touched: Vec<&str> = touched.into_iter().collect();
    let senders: BTreeSet<&[u8]> = pushes
        .iter()
        .map(|push| &push.replica.as_bytes()[..])
        .collect();
    let senders: Vec<&[u8]> = senders.into_iter().collect();
    let sql = "
SELECT 1::int8 AS kind, id AS key, actor AS name, first AS a, last AS b, attempt AS c, digest AS hash, frame
  FROM unnest($2::bytea[]) AS asked
  JOIN LATERAL (SELECT * FROM tidelog.commits WHERE log = $1 AND id = asked LIMIT 1) AS found ON true
UNION ALL
SELECT 2, replica, NULL, seq, 0, 0, id, NULL
  FROM unnest($3::bytea[], $4::int8[]) AS asked (maker, number)
  JOIN LATERAL (SELECT * FROM tidelog.commits WHERE log = $1 AND replica = asked.maker AND seq = asked.number LIMIT 1)
    AS found ON true
UNION ALL
SELECT 3, last_commit, name, id, version, last_attempt * 4294967296 + last_index, CASE WHEN tombstoned THEN ''::bytea END, NULL
  FROM unnest($5::text[]) AS asked
  JOIN LATERAL (SELECT * FROM tidelog.streams WHERE log = $1 AND name = asked LIMIT 1) AS found ON true
UNION ALL
SELECT 4, replica, subject, 0, 0, 0, NULL, NULL
  FROM unnest($6::bytea[]) AS asked
  JOIN LATERAL (SELECT * FROM tidelog.replicas WHERE log = $1 AND replica = asked LIMIT 1) AS found ON true
UNION ALL
SELECT 0, epoch, xmin::text, head, recorded_at, 0, chain, NULL FROM tidelog.logs WHERE id = $1 AND name = $7";
    let rows = sqlx::query(sql)
        .bind(id)
        .bind(ids)
        .bind(replicas)
        .bind(seqs)
        .bind(touched)
        .bind(senders)
        .bind(log.as_str())
        .fetch_all(connection)
        .await?;
    Ok(rows)
}

/// A column of bytes.
fn blobs<'a, T>(rows: &'a [T], of: impl Fn(&'a T) -> &'a [u8]) -> Vec<&'a [u8]> {
    rows.iter().map(of).collect()
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
        if let Some(last) = self.last_seqs.get_mut(&commit.replica) {
            *last = commit.seq.max(*last);
        }
        self.state.head = LogHead {
            position: recorded.last_position(),
            chain: entry.chain,
        };
        self.recorded_at = recorded.recorded_at;
        self.entries.push(entry);
        Ok(())
    }
}
