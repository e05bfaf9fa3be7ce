//! Feeds a log's rows to the check that all databases share, some at a time.

use super::archive;
use super::failure::Failure;
use super::held::{bytes, number, small, state, to_sql};
use crate::store::archive::{Archive, Frames, lost};
use crate::store::verify::{CommitRow, Verified, Walk};
use crate::store::{StoreError, stored};
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgPool, PgRow};
use std::collections::{BTreeMap, BTreeSet};
use tidelog_core::{
    Attempt, ChainHash, CommitId, Digest, EventId, LogName, Position, ReplicaId, Seq, StreamHead,
    StreamId, StreamVersions, Timestamp, Version, frame,
};

/// How many commits, and about how many bytes of them, are read at once.
const READ_COMMITS: i64 = 1_024;
const READ_BYTES: i64 = 4 * 1024 * 1024;
/// How many commits are checked at once: that many frames of the archive are in memory.
const CHECK_COMMITS: usize = 64;

pub(super) async fn verify(
    pool: &PgPool,
    log: &LogName,
    shelf: Option<&Archive>,
) -> Result<Verified, Failure> {
    // One moment for the whole walk, however long it takes.
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    let mut transaction = pool.begin_with(begin).await?;
    sqlx::raw_sql(
        "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0",
    )
    .execute(&mut *transaction)
    .await?;
    let sql = "SELECT id, epoch, head, chain FROM tidelog.logs WHERE name = $1";
    let row = sqlx::query(sql)
        .bind(log.as_str())
        .fetch_optional(&mut *transaction)
        .await?
        .ok_or_else(|| StoreError::UnknownLog { log: log.clone() })?;
    let id: i64 = row.try_get("id")?;
    let mut walk = Walk::new(log, state(&row)?);
    let mut frames = Frames::new(log, shelf);
    let mut after = 0;
    loop {
        let mut rows = commits(&mut transaction, id, after).await?;
        let Some(last) = rows.last() else { break };
        after = to_sql(last.first.value());
        for rows in rows.chunks_mut(CHECK_COMMITS) {
            for row in rows.iter_mut().filter(|row| stored::is_stub(&row.frame)) {
                let run = archive::run_at(&mut *transaction, id, row.first).await?;
                let run = run.ok_or_else(|| lost(log, row.first))?;
                row.frame = frames.of(&run, row.first, &row.frame).await?;
            }
            let index = index(&mut transaction, id, rows).await?;
            for row in rows {
                walk.commit(row, |versions, position| {
                    Ok(index.contains(&place(versions, position)))
                })?;
                row.frame = Vec::new();
            }
        }
    }
    let streams = streams(&mut transaction, id).await?;
    let indexed = "SELECT count(*) FROM tidelog.stream_commits WHERE log = $1";
    let indexed: i64 = sqlx::query_scalar(indexed)
        .bind(id)
        .fetch_one(&mut *transaction)
        .await?;
    transaction.commit().await?;
    let head_of = |stream: &StreamId| Ok(streams.get(stream.as_str()).copied());
    let indexed = usize::try_from(indexed).unwrap_or(usize::MAX);
    Ok(walk.end(head_of, streams.len(), indexed)?)
}

async fn commits(
    connection: &mut PgConnection,
    log: i64,
    after: i64,
) -> Result<Vec<CommitRow>, Failure> {
    let sql = "
SELECT * FROM (
  SELECT *, sum(length(frame)) OVER (ORDER BY first) - length(frame) AS before
  FROM (SELECT * FROM tidelog.commits WHERE log = $1 AND first > $2 ORDER BY first LIMIT $3) AS next
) AS summed WHERE before <= $4 ORDER BY first";
    let rows = sqlx::query(sql)
        .bind(log)
        .bind(after)
        .bind(READ_COMMITS)
        .bind(READ_BYTES)
        .fetch_all(connection)
        .await?;
    rows.iter().map(commit).collect()
}

fn commit(row: &PgRow) -> Result<CommitRow, Failure> {
    Ok(CommitRow {
        first: Position::new(number(row, "first")?),
        last: Position::new(number(row, "last")?),
        id: CommitId::from_bytes(bytes(row, "id")?),
        attempt: Attempt::new(small(row, "attempt")?),
        replica: ReplicaId::from_bytes(bytes(row, "replica")?),
        seq: Seq::new(row.try_get::<i64, _>("seq")?.cast_unsigned()),
        digest: Digest::from_bytes(bytes(row, "digest")?),
        chain: ChainHash::from_bytes(bytes(row, "chain")?),
        recorded_at: Timestamp::from_millis(row.try_get("recorded_at")?),
        actor: row.try_get("actor")?,
        frame: row.try_get("frame")?,
    })
}

type Indexed = (String, i64, i64, i64);

fn place(versions: &StreamVersions, position: Position) -> Indexed {
    (
        versions.stream.as_str().to_owned(),
        to_sql(versions.first.value()),
        to_sql(versions.last.value()),
        to_sql(position.value()),
    )
}

/// What the stream index says of these commits. A frame that cannot be read has nothing here: the walk says so.
async fn index(
    connection: &mut PgConnection,
    log: i64,
    rows: &[CommitRow],
) -> Result<BTreeSet<Indexed>, Failure> {
    let (mut names, mut firsts) = (Vec::new(), Vec::new());
    for row in rows {
        if let Ok(frame::Body::Recorded(commits)) = frame::decode(&row.frame).map(|one| one.body) {
            for versions in commits.iter().flat_map(|recorded| &recorded.versions) {
                names.push(versions.stream.as_str().to_owned());
                firsts.push(to_sql(versions.first.value()));
            }
        }
    }
    // Row by row through the keys. A plain join is planned by statistics, and tables that were just filled have none: reading
    // all of the index for every few commits is then thought to be cheap.
    let sql = "
SELECT s.name, c.first, c.last, c.position
FROM unnest($2::text[], $3::int8[]) AS asked (asked_name, asked_first)
JOIN LATERAL (SELECT id, name FROM tidelog.streams WHERE log = $1 AND name = asked_name LIMIT 1) AS s ON true
JOIN LATERAL (SELECT first, last, position FROM tidelog.stream_commits
              WHERE log = $1 AND stream = s.id AND first = asked_first LIMIT 1) AS c ON true";
    let rows = sqlx::query(sql)
        .bind(log)
        .bind(names)
        .bind(firsts)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            Ok((
                row.try_get("name")?,
                row.try_get("first")?,
                row.try_get("last")?,
                row.try_get("position")?,
            ))
        })
        .collect()
}

async fn streams(
    connection: &mut PgConnection,
    log: i64,
) -> Result<BTreeMap<String, (StreamHead, bool)>, Failure> {
    let sql = "SELECT name, version, last_commit, last_attempt, last_index, tombstoned FROM tidelog.streams
               WHERE log = $1";
    let rows = sqlx::query(sql).bind(log).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let head = StreamHead {
                version: Version::new(number(row, "version")?),
                last: EventId {
                    commit: CommitId::from_bytes(bytes(row, "last_commit")?),
                    attempt: Attempt::new(small(row, "last_attempt")?),
                    index: small(row, "last_index")?,
                },
            };
            Ok((row.try_get("name")?, (head, row.try_get("tombstoned")?)))
        })
        .collect()
}
