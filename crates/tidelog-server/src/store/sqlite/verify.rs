//! Feeds a log's rows to the check that all databases share.

use super::archive;
use super::rows::{self, blob, from_sql, to_sql};
use crate::store::archive::{Archive, Frames, lost};
use crate::store::verify::{CommitRow, Verified, Walk};
use crate::store::{StoreError, stored};
use rusqlite::{Connection, Row, Transaction, params};
use tidelog_core::{
    Attempt, ChainHash, CommitId, Digest, LogName, Position, ReplicaId, Seq, StreamVersions,
    Timestamp,
};
use tokio::runtime::Handle;

/// Waits for runs of the archive on this thread.
pub(super) fn verify(
    connection: &mut Connection,
    log: &LogName,
    shelf: Option<&Archive>,
    waits: &Handle,
) -> Result<Verified, StoreError> {
    let transaction = connection.transaction()?;
    let row = rows::log(&transaction, log)?;
    let mut walk = Walk::new(log, row.state);
    let mut frames = Frames::new(log, shelf);
    let sql =
        "SELECT first, last, id, attempt, replica, seq, digest, chain, recorded_at, actor, frame
               FROM commits WHERE log = ?1 ORDER BY first";
    let mut statement = transaction.prepare(sql)?;
    let mut commits = statement.query([row.id])?;
    while let Some(found) = commits.next()? {
        let mut found = commit(found)?;
        if stored::is_stub(&found.frame) {
            let run = archive::run_at(&transaction, row.id, found.first)?;
            let run = run.ok_or_else(|| lost(log, found.first))?;
            found.frame = waits.block_on(frames.of(&run, found.first, &found.frame))?;
        }
        walk.commit(&found, |versions, position| {
            is_indexed(&transaction, row.id, versions, position)
        })?;
    }
    let count = |sql: &str| -> Result<usize, StoreError> {
        let count: i64 = transaction.query_row(sql, [row.id], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    };
    let streams = count("SELECT count(*) FROM streams WHERE log = ?1")?;
    let indexed = count(
        "SELECT count(*) FROM stream_commits JOIN streams ON streams.id = stream WHERE log = ?1",
    )?;
    let head_of = |stream: &_| {
        let found = rows::stream(&transaction, row.id, stream)?;
        Ok(found.map(|row| (row.head, row.tombstoned)))
    };
    walk.end(head_of, streams, indexed)
}

fn commit(row: &Row<'_>) -> Result<CommitRow, StoreError> {
    Ok(CommitRow {
        first: Position::new(from_sql(row.get(0)?)),
        last: Position::new(from_sql(row.get(1)?)),
        id: CommitId::from_bytes(blob(row, 2)?),
        attempt: Attempt::new(row.get(3)?),
        replica: ReplicaId::from_bytes(blob(row, 4)?),
        seq: Seq::new(row.get::<_, i64>(5)?.cast_unsigned()),
        digest: Digest::from_bytes(blob(row, 6)?),
        chain: ChainHash::from_bytes(blob(row, 7)?),
        recorded_at: Timestamp::from_millis(row.get(8)?),
        actor: row.get(9)?,
        frame: row.get(10)?,
    })
}

fn is_indexed(
    transaction: &Transaction<'_>,
    log: i64,
    versions: &StreamVersions,
    position: Position,
) -> Result<bool, StoreError> {
    let sql = "SELECT count(*) FROM stream_commits JOIN streams ON streams.id = stream
               WHERE log = ?1 AND name = ?2 AND first = ?3 AND last = ?4 AND position = ?5";
    let key = params![
        log,
        versions.stream.as_str(),
        to_sql(versions.first.value()),
        to_sql(versions.last.value()),
        to_sql(position.value())
    ];
    let mut statement = transaction.prepare_cached(sql)?;
    let found: i64 = statement.query_row(key, |row| row.get(0))?;
    Ok(found == 1)
}
