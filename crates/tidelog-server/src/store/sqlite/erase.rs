//! Erasing, and what is written down of it.

use super::ledger::Log;
use super::rows::{self, blob, from_sql, to_sql};
use super::{SqliteStore, schema};
use crate::clock;
use crate::store::audit::Columns;
use crate::store::erase::{InRows, Rewritten, Work};
use crate::store::{Audited, Erase, Erased, ErasurePlace, ErasureRecord, StoreError};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tidelog_core::erasure::VersionRange;
use tidelog_core::{ChainHash, CommitId, LogName, Position, Subject, Timestamp};

impl SqliteStore {
    /// Erases, and empties the write-ahead log of what was there.
    pub(super) async fn erase_and_fold(&self, erase: &Erase) -> Result<InRows, StoreError> {
        let random = clock::random().map_err(|error| StoreError::Unavailable {
            detail: error.to_string(),
        })?;
        let asked = erase.clone();
        let done = self
            .writer
            .run(move |connection| {
                let now = clock::now();
                let id = CommitId::mint(now, random);
                let transaction =
                    connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                schema::demand_layout(&transaction)?;
                let done = rewrite(&transaction, &asked, id, now)?;
                if matches!(done, InRows::Erased(_)) {
                    transaction.commit()?;
                }
                Ok(done)
            })
            .await?;
        if let InRows::Erased(erased) = &done
            && erased.record.is_some()
        {
            self.writer.fold().await;
            self.heads.moved(&erase.log, erased.state.head.position);
        }
        Ok(done)
    }
}

/// Erases in the transaction. What is in the archive, or an error, leaves it half done: then the caller rolls it back.
fn rewrite(
    transaction: &Transaction<'_>,
    erase: &Erase,
    id: CommitId,
    now: Timestamp,
) -> Result<InRows, StoreError> {
    let mut log = Log::of(transaction, &erase.log)?;
    let (log_id, epoch) = (log.seen.row.id, log.seen.row.state.epoch);
    let stream = rows::stream(transaction, log_id, &erase.stream)?;
    let known = stream.map(|row| (row.head.version, row.tombstoned));
    let mut work = Work::new(erase, known)?;
    for range in work.wanted() {
        for first in places(transaction, stream.map_or(0, |row| row.id), range)? {
            let sql = "SELECT chain, frame FROM commits WHERE log = ?1 AND first = ?2";
            let mut statement = transaction.prepare_cached(sql)?;
            let (chain, frame): ([u8; 32], Vec<u8>) = statement
                .query_row(params![log_id, first], |row| {
                    Ok((blob(row, 0)?, row.get(1)?))
                })?;
            let position = Position::new(from_sql(first));
            let chain = ChainHash::from_bytes(chain);
            match work.commit(epoch, position, chain, &frame)? {
                Rewritten::Same => {}
                Rewritten::Frame(frame) => {
                    let sql = "UPDATE commits SET frame = ?3 WHERE log = ?1 AND first = ?2";
                    let mut statement = transaction.prepare_cached(sql)?;
                    statement.execute(params![log_id, first, frame])?;
                }
                Rewritten::Archived => return Ok(InRows::Archived(position)),
            }
        }
    }
    let segments = work.segments();
    let audited = work.store(&mut log, id, now)?;
    let state = log.seen.row.state;
    let Some(audited) = audited else {
        let record = None;
        return Ok(InRows::Erased(Erased { state, record }));
    };
    log.save_head()?;
    if !audited.record.versions.is_empty() {
        let sql = "UPDATE logs SET revision = revision + 1 WHERE id = ?1";
        transaction.execute(sql, [log_id])?;
    }
    for number in segments {
        let sql = "DELETE FROM segments WHERE log = ?1 AND number = ?2";
        transaction.execute(sql, params![log_id, to_sql(number)])?;
    }
    remember(transaction, log_id, &erase.log, &audited)?;
    let record = Some(audited.record);
    Ok(InRows::Erased(Erased { state, record }))
}

/// Where the commits begin that hold these versions.
fn places(
    transaction: &Transaction<'_>,
    stream: i64,
    range: VersionRange,
) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT position FROM stream_commits WHERE stream = ?1 AND first <= ?3 AND first >=
                 coalesce((SELECT max(first) FROM stream_commits WHERE stream = ?1 AND first <= ?2), 0)
               ORDER BY first";
    let (first, last) = (to_sql(range.first.value()), to_sql(range.last.value()));
    let mut statement = transaction.prepare_cached(sql)?;
    let places = statement.query_map(params![stream, first, last], |row| row.get(0))?;
    Ok(places.collect::<Result<_, _>>()?)
}

/// Writes an erasure down, and closes its stream if it does.
pub(super) fn remember(
    transaction: &Transaction<'_>,
    log_id: i64,
    log: &LogName,
    audited: &Audited,
) -> Result<(), StoreError> {
    let record = &audited.record;
    if record.tombstoned {
        let sql = "UPDATE streams SET tombstoned = 1 WHERE log = ?1 AND name = ?2";
        transaction.execute(sql, params![log_id, record.stream.as_str()])?;
    }
    let sql = "INSERT OR REPLACE INTO erasures
                 (log, commit_id, stream, position, versions, tombstoned, reason, actor, recorded_at, events)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    transaction.execute(
        sql,
        params![
            log.as_str(),
            record.commit.as_bytes(),
            record.stream.as_str(),
            to_sql(record.position.value()),
            audited.versions_column(),
            record.tombstoned,
            record.reason.as_str(),
            record.actor.as_ref().map(Subject::as_str),
            record.recorded_at.millis(),
            audited.events_column(),
        ],
    )?;
    Ok(())
}

/// What was written down of the logs of a name, oldest first.
pub(super) fn audited(connection: &Connection, log: &LogName) -> Result<Vec<Audited>, StoreError> {
    written_down(connection, "events", log, None, usize::MAX)
}

/// So many records of the logs of a name, oldest first, after a place. The events, which may be many, are not read.
pub(super) fn listed(
    connection: &Connection,
    log: &LogName,
    after: Option<ErasurePlace>,
    limit: usize,
) -> Result<Vec<ErasureRecord>, StoreError> {
    let audited = written_down(connection, "x''", log, after, limit)?;
    Ok(audited.into_iter().map(|one| one.record).collect())
}

fn written_down(
    connection: &Connection,
    events: &str,
    log: &LogName,
    after: Option<ErasurePlace>,
    limit: usize,
) -> Result<Vec<Audited>, StoreError> {
    let sql = format!(
        "SELECT stream, commit_id, position, versions, tombstoned, reason, actor, recorded_at, {events}
         FROM erasures
         WHERE log = ?1 AND (?2 IS NULL OR (recorded_at, position, commit_id) > (?2, ?3, ?4))
         ORDER BY recorded_at, position, commit_id LIMIT ?5"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let part = params![
        log.as_str(),
        after.map(|place| place.recorded_at.millis()),
        after.map(|place| to_sql(place.position.value())),
        after.map(|place| place.commit.as_bytes().to_vec()),
        i64::try_from(limit).unwrap_or(i64::MAX),
    ];
    let records = statement.query_map(part, |row| {
        Ok(Columns {
            stream: row.get(0)?,
            commit: blob(row, 1)?,
            position: from_sql(row.get(2)?),
            versions: row.get(3)?,
            tombstoned: row.get(4)?,
            reason: row.get(5)?,
            actor: row.get(6)?,
            recorded_at: row.get(7)?,
            events: row.get(8)?,
        })
    })?;
    let records: Vec<Columns> = records.collect::<Result<_, _>>()?;
    Ok(records.into_iter().filter_map(Columns::read).collect())
}
