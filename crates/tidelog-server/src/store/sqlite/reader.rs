//! Reading: a few connections of their own, each read inside one transaction.

use super::{archive, rows, schema};
use crate::store::archive::{Paged, Place as StreamPlace};
use crate::store::place::Place;
use crate::store::stored::{self, Filling};
use crate::store::{After, Direction, PageCap, StoreError, StreamRange};
use rusqlite::{Connection, Transaction, params};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tidelog_core::{ChainHash, LogName, Position, StreamId, Version};
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

pub(super) fn page(
    connection: &mut Connection,
    log: &LogName,
    after: After,
    cap: PageCap,
) -> Result<Paged, StoreError> {
    let transaction = connection.transaction()?;
    let row = rows::log(&transaction, log)?;
    let mut place = Place::of(row.state, after)?;
    if let Some(position) = place.to_look_up() {
        place = place.confirm(row.state, rows::chain_at(&transaction, row.id, position)?)?;
    }
    let mut page = Filling::new(row.state, cap);
    if place.position() == row.state.head.position {
        return Ok(Paged::Here(page.done()));
    }
    let next = place.position().next();
    if let Some(run) = archive::run_at(&transaction, row.id, next)? {
        return Ok(Paged::Archived(row.state, next, run));
    }
    // Reading begins with the commit that holds the next position.
    let sql = "SELECT first, chain, frame FROM commits WHERE log = ?1 AND first >=
                 (SELECT max(first) FROM commits WHERE log = ?1 AND first <= ?2)
               ORDER BY first";
    let mut statement = transaction.prepare_cached(sql)?;
    let mut found = statement.query(params![row.id, rows::to_sql(next.value())])?;
    while let Some(commit) = found.next()? {
        let first = Position::new(rows::from_sql(commit.get(0)?));
        let chain = ChainHash::from_bytes(rows::blob(commit, 1)?);
        let frame = commit
            .get_ref(2)?
            .as_blob()
            .map_err(rusqlite::Error::from)?;
        // A run behind one that came back.
        if stored::is_stub(frame) {
            return Ok(Paged::Before(page.done()));
        }
        if !page.push(stored::decode(log, first, chain, frame)?) {
            break;
        }
    }
    Ok(Paged::Here(page.done()))
}

/// The newest version of a stream, and the commits that hold the events asked for.
pub(super) fn stream(
    connection: &mut Connection,
    log: &LogName,
    stream: &StreamId,
    range: StreamRange,
) -> Result<(Version, Vec<StreamPlace>), StoreError> {
    let transaction = connection.transaction()?;
    let row = rows::log(&transaction, log)?;
    let Some(found) = rows::stream(&transaction, row.id, stream)? else {
        return Ok((Version::NONE, Vec::new()));
    };
    let version = found.head.version;
    let order = match range.direction {
        Direction::Forward => {
            "last >= ?2 AND first >=
               coalesce((SELECT max(first) FROM stream_commits WHERE stream = ?1 AND first <= ?2), 0)
             ORDER BY first"
        }
        Direction::Backward => "first <= ?2 ORDER BY first DESC",
    };
    let sql =
        format!("SELECT position, first, last FROM stream_commits WHERE stream = ?1 AND {order}");
    let mut statement = transaction.prepare_cached(&sql)?;
    let from = range.begin(version);
    let mut positions = statement.query(params![found.id, rows::to_sql(from.value())])?;
    let (mut places, mut room) = (Vec::new(), range.limit as u64);
    while room > 0
        && let Some(place) = positions.next()?
    {
        let (first, last) = (rows::from_sql(place.get(1)?), rows::from_sql(place.get(2)?));
        let (first, last) = match range.direction {
            Direction::Forward => (first.max(from.value()), last),
            Direction::Backward => (first, last.min(from.value())),
        };
        room = room.saturating_sub((last + 1).saturating_sub(first));
        places.push(commit_at(&transaction, log, row.id, place.get(0)?)?);
    }
    Ok((version, places))
}

fn commit_at(
    transaction: &Transaction<'_>,
    log: &LogName,
    id: i64,
    first: i64,
) -> Result<StreamPlace, StoreError> {
    let sql = "SELECT chain, frame FROM commits WHERE log = ?1 AND first = ?2";
    let mut statement = transaction.prepare_cached(sql)?;
    let (chain, frame): ([u8; 32], Vec<u8>) = statement.query_row(params![id, first], |row| {
        Ok((rows::blob(row, 0)?, row.get(1)?))
    })?;
    let position = Position::new(rows::from_sql(first));
    if stored::is_stub(&frame) {
        return Ok(StreamPlace::Archived(position));
    }
    let (stored, _) = stored::decode(log, position, ChainHash::from_bytes(chain), &frame)?;
    Ok(StreamPlace::Here(stored.recorded))
}
