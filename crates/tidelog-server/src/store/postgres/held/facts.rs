//! What a group of pushes needs to know, looked up at once.

use super::{Held, StreamRow, bytes, number, small, subject};
use crate::store::postgres::failure::Failure;
use crate::store::postgres::held::to_sql;
use crate::store::{LogState, Push, admission, stored};
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};
use std::collections::BTreeSet;
use tidelog_core::authority::{Known, Receipt};
use tidelog_core::protocol::LogHead;
use tidelog_core::{
    Attempt, ChainHash, CommitId, Cursor, Digest, Epoch, EventId, LogName, Position, ReplicaId,
    Seq, StreamHead, StreamId, Timestamp, Version,
};

impl Held {
    /// Looks up the log, and all that deciding on these pushes can ask for, without a lock: `None` if it has another name by
    /// now. What is decided on it can be written if the log's row is still the same then.
    pub(in crate::store::postgres) async fn look(
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
    pub(in crate::store::postgres) async fn look_up(
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
        let senders = pushes.iter().map(|push| (push.replica, Seq::default()));
        self.last_seqs = senders.collect();
        for row in rows {
            self.fact(row)?;
        }
        self.look_up_chains(connection, pushes).await
    }

    /// Takes in a row of what was looked up: a known commit, a taken number, a stream, a replica or its highest number.
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
            5 => {
                let replica = ReplicaId::from_bytes(bytes(row, "key")?);
                self.last_seqs.insert(replica, Seq::new(number(row, "a")?));
            }
            // The log itself.
            _ => {}
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
SELECT 5, asked, NULL, seq, 0, 0, NULL, NULL
  FROM unnest($6::bytea[]) AS asked
  JOIN LATERAL (SELECT seq FROM tidelog.commits WHERE log = $1 AND replica = asked ORDER BY seq DESC LIMIT 1) AS newest ON true
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
