//! Reading: a few connections of their own, each read inside one transaction.

use super::{rows, schema};
use crate::store::{
    After, Direction, LogState, Page, PageCap, StoreError, Stored, StreamEvent, StreamPage,
    StreamRange,
};
use rusqlite::{Connection, Transaction, params};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tidelog_core::{ChainHash, Cursor, LogName, Position, StreamId, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many reads run at once; more wait their turn.
const CONNECTIONS: usize = 8;

/// Idle connections, and how many may be out.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            idle: Mutex::default(),
            turns: Arc::new(Semaphore::new(CONNECTIONS)),
        }
    }

    /// Waits until another read may begin. `None` only if the semaphore were closed, which nobody does.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turns).acquire_owned().await.ok()
    }

    /// Runs a read. A connection whose read failed is not used again.
    pub(super) fn with<T>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => schema::open_reader(&self.path)?,
        };
        let result = read(&mut connection);
        if !matches!(result, Err(StoreError::Unavailable { .. })) {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
        }
        result
    }
}

/// Where a reader stands, as a position: a cursor is checked against the log's history.
pub(super) fn resolve(
    connection: &Connection,
    log: i64,
    state: LogState,
    after: After,
) -> Result<Position, StoreError> {
    let (position, cursor) = match after {
        After::Position(position) => (position, None),
        After::Cursor(cursor) if cursor == Cursor::default() => return Ok(Position::START),
        After::Cursor(cursor) if cursor.epoch != state.epoch => {
            return Err(StoreError::CursorMismatch { state });
        }
        After::Cursor(cursor) => (cursor.position, Some(cursor)),
    };
    if position > state.head.position {
        return Err(StoreError::CursorAhead { position, state });
    }
    match cursor {
        Some(cursor) if chain_at(connection, log, state, position)? != Some(cursor.chain) => {
            Err(StoreError::CursorMismatch { state })
        }
        _ => Ok(position),
    }
}

/// The chain hash at a position, which must be the end of a commit.
fn chain_at(
    connection: &Connection,
    log: i64,
    state: LogState,
    position: Position,
) -> Result<Option<ChainHash>, StoreError> {
    if position == state.head.position {
        return Ok(Some(state.head.chain));
    }
    if position == Position::START {
        return Ok(Some(ChainHash::default()));
    }
    let sql = "SELECT last, chain FROM commits WHERE log = ?1 AND first <= ?2
               ORDER BY first DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query(params![log, rows::to_sql(position.value())])?;
    match found.next()? {
        Some(row) if rows::from_sql(row.get(0)?) == position.value() => {
            Ok(Some(ChainHash::from_bytes(rows::blob(row, 1)?)))
        }
        _ => Ok(None),
    }
}

pub(super) fn page(
    connection: &mut Connection,
    log: &LogName,
    after: After,
    cap: PageCap,
) -> Result<Page, StoreError> {
    let transaction = connection.transaction()?;
    let row = rows::log(&transaction, log)?;
    let after = resolve(&transaction, row.id, row.state, after)?;
    let mut page = Page {
        state: row.state,
        chain_before: row.state.head.chain,
        commits: Vec::new(),
    };
    if after == row.state.head.position {
        return Ok(page);
    }
    // Reading begins with the commit that holds the next position.
    let sql = "SELECT first, chain, frame FROM commits WHERE log = ?1 AND first >=
                 (SELECT max(first) FROM commits WHERE log = ?1 AND first <= ?2)
               ORDER BY first";
    let mut statement = transaction.prepare_cached(sql)?;
    let mut found = statement.query(params![row.id, rows::to_sql(after.next().value())])?;
    let (mut bytes, mut events) = (0_usize, 0_u64);
    while let Some(commit) = found.next()? {
        let first = Position::new(rows::from_sql(commit.get(0)?));
        let chain = ChainHash::from_bytes(rows::blob(commit, 1)?);
        let frame = commit
            .get_ref(2)?
            .as_blob()
            .map_err(rusqlite::Error::from)?;
        let (stored, chain_before) = rows::stored(log, first, chain, frame)?;
        bytes += stored.bytes;
        events += stored.recorded.commit.events.len() as u64;
        if page.commits.is_empty() {
            page.chain_before = chain_before;
        } else if bytes > cap.bytes || events > cap.events {
            break;
        }
        page.commits.push(stored);
    }
    Ok(page)
}

pub(super) fn stream(
    connection: &mut Connection,
    log: &LogName,
    stream: &StreamId,
    range: StreamRange,
) -> Result<StreamPage, StoreError> {
    let transaction = connection.transaction()?;
    let row = rows::log(&transaction, log)?;
    let Some(found) = rows::stream(&transaction, row.id, stream)? else {
        return Ok(StreamPage {
            version: Version::NONE,
            events: Vec::new(),
        });
    };
    let version = found.head.version;
    let (from, order) = match range.direction {
        Direction::Forward => (
            range.from.unwrap_or(Version::new(1)),
            "last >= ?2 ORDER BY first",
        ),
        Direction::Backward => (
            range.from.unwrap_or(version),
            "first <= ?2 ORDER BY first DESC",
        ),
    };
    let wanted = |version: Version| match range.direction {
        Direction::Forward => version >= from,
        Direction::Backward => version <= from,
    };
    let sql = format!("SELECT position FROM stream_commits WHERE stream = ?1 AND {order}");
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut positions = statement.query(params![found.id, rows::to_sql(from.value())])?;
    let mut events = Vec::new();
    while events.len() < range.limit
        && let Some(place) = positions.next()?
    {
        let stored = commit_at(&transaction, log, row.id, place.get(0)?)?;
        let commit = Arc::new(stored.recorded);
        let versions = commit.event_versions();
        let mut here: Vec<StreamEvent> = (commit.commit.events.iter().zip(versions).enumerate())
            .filter(|(_, (event, version))| &event.stream == stream && wanted(*version))
            .map(|(index, (_, version))| StreamEvent {
                commit: Arc::clone(&commit),
                index,
                version,
            })
            .collect();
        if range.direction == Direction::Backward {
            here.reverse();
        }
        here.truncate(range.limit - events.len());
        events.extend(here);
    }
    Ok(StreamPage { version, events })
}

fn commit_at(
    transaction: &Transaction<'_>,
    log: &LogName,
    id: i64,
    first: i64,
) -> Result<Stored, StoreError> {
    let sql = "SELECT chain, frame FROM commits WHERE log = ?1 AND first = ?2";
    let mut statement = transaction.prepare_cached(sql)?;
    let (chain, frame): ([u8; 32], Vec<u8>) = statement.query_row(params![id, first], |row| {
        Ok((rows::blob(row, 0)?, row.get(1)?))
    })?;
    let position = Position::new(rows::from_sql(first));
    Ok(rows::stored(log, position, ChainHash::from_bytes(chain), &frame)?.0)
}
