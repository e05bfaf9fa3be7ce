//! Rows as values: what both the writer and the readers look up.

use crate::store::{LogState, StoreError};
use rusqlite::{Connection, OptionalExtension, Row, params};
use tidelog_core::protocol::LogHead;
use tidelog_core::{
    Attempt, ChainHash, CommitId, Epoch, EventId, LogName, Position, StreamHead, StreamId,
    Timestamp, Version,
};

/// A log's row.
#[derive(Debug, Clone)]
pub(super) struct LogRow {
    pub(super) id: i64,
    pub(super) state: LogState,
    pub(super) recorded_at: Timestamp,
}

/// A stream's row.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamRow {
    pub(super) id: i64,
    pub(super) head: StreamHead,
    /// Whether it takes no more events.
    pub(super) tombstoned: bool,
}

/// Counted things fit SQLite's integers: a log would need centuries to reach 2⁶³ events.
pub(super) fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A column that must have exactly `N` bytes.
pub(super) fn blob<const N: usize>(row: &Row<'_>, column: usize) -> rusqlite::Result<[u8; N]> {
    row.get(column)
}

pub(super) fn log(connection: &Connection, log: &LogName) -> Result<LogRow, StoreError> {
    let sql = "SELECT id, epoch, head, chain, recorded_at FROM logs WHERE name = ?1";
    let row = connection
        .prepare_cached(sql)?
        .query_row([log.as_str()], |row| {
            Ok(LogRow {
                id: row.get(0)?,
                state: LogState {
                    epoch: Epoch::from_bytes(blob(row, 1)?),
                    head: LogHead {
                        position: Position::new(from_sql(row.get(2)?)),
                        chain: ChainHash::from_bytes(blob(row, 3)?),
                    },
                },
                recorded_at: Timestamp::from_millis(row.get(4)?),
            })
        });
    row.optional()?
        .ok_or_else(|| StoreError::UnknownLog { log: log.clone() })
}

/// How often payloads of a log were erased.
pub(super) fn revision(connection: &Connection, log: &LogName) -> Result<u64, StoreError> {
    let sql = "SELECT revision FROM logs WHERE name = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row([log.as_str()], |row| row.get(0));
    found
        .optional()?
        .map(from_sql)
        .ok_or_else(|| StoreError::UnknownLog { log: log.clone() })
}

pub(super) fn stream(
    connection: &Connection,
    log: i64,
    stream: &StreamId,
) -> Result<Option<StreamRow>, StoreError> {
    let sql = "SELECT id, version, last_commit, last_attempt, last_index, tombstoned FROM streams
               WHERE log = ?1 AND name = ?2";
    let row = connection
        .prepare_cached(sql)?
        .query_row(params![log, stream.as_str()], |row| {
            Ok(StreamRow {
                id: row.get(0)?,
                head: StreamHead {
                    version: Version::new(from_sql(row.get(1)?)),
                    last: EventId {
                        commit: CommitId::from_bytes(blob(row, 2)?),
                        attempt: Attempt::new(row.get(3)?),
                        index: row.get(4)?,
                    },
                },
                tombstoned: row.get(5)?,
            })
        });
    Ok(row.optional()?)
}

/// The chain hash at a position; `None` if no commit ends there.
pub(super) fn chain_at(
    connection: &Connection,
    log: i64,
    position: Position,
) -> Result<Option<ChainHash>, StoreError> {
    let sql = "SELECT last, chain FROM commits WHERE log = ?1 AND first <= ?2
               ORDER BY first DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query(params![log, to_sql(position.value())])?;
    match found.next()? {
        Some(row) if from_sql(row.get(0)?) == position.value() => {
            Ok(Some(ChainHash::from_bytes(blob(row, 1)?)))
        }
        _ => Ok(None),
    }
}
