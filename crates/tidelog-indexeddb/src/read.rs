//! Consistent views, each in one transaction.

use crate::connection::Connection;
use crate::record;
use crate::schema::stores::{DIRECTORY, LOG, LOST, META, OUTCOME, PARKED, PENDING, QUARANTINE};
use crate::view::{Entries, View, bytes, numeric};
use tidelog_core::map::Map;
use tidelog_core::store::{Direction, Loaded, Page, ParkedRecord, PendingFrame, StoreError, Usage};
use tidelog_core::{Position, Seq};
use wasm_bindgen::JsValue;

/// Everything but the log, and a page of that.
pub(crate) async fn load(
    connection: &Connection,
    after: Position,
    max_bytes: usize,
) -> Result<Loaded, StoreError> {
    let transaction = connection.read(&[META, PENDING, OUTCOME, PARKED, LOG])?;
    let view = View::new(connection, &transaction);
    let all = |store| view.entries(store, &JsValue::UNDEFINED, None);
    let (pending, outcomes, parked) = (all(PENDING)?, all(OUTCOME)?, all(PARKED)?);
    let meta = view.meta().await?;
    let pending = read_pending(&view, pending, outcomes).await?;
    let parked = read_parked(&view, parked).await?;
    let end = Position::new(u64::MAX);
    let log = if after == end {
        Page::default()
    } else {
        let page = view.log(after.next(), end, Direction::Forward, max_bytes);
        page.await?
    };
    Ok(Loaded {
        replica: meta.replica,
        head: meta.head,
        pending,
        parked,
        log: log.frames,
        more: log.more,
        gaps: meta.gaps,
    })
}

pub(crate) async fn frames(
    connection: &Connection,
    positions: &[Position],
) -> Result<Vec<Vec<u8>>, StoreError> {
    let transaction = connection.read(&[LOG])?;
    View::new(connection, &transaction).frames(positions).await
}

pub(crate) async fn range(
    connection: &Connection,
    from: Position,
    to: Position,
    direction: Direction,
    max_bytes: usize,
) -> Result<Page, StoreError> {
    let transaction = connection.read(&[LOG])?;
    let view = View::new(connection, &transaction);
    view.log(from, to, direction, max_bytes).await
}

/// What the directory says of segments behind a position. An entry of another form is left out: it can be made again.
pub(crate) async fn directory(
    connection: &Connection,
    after: Position,
) -> Result<Vec<(Position, Vec<u8>)>, StoreError> {
    let transaction = connection.read(&[DIRECTORY])?;
    let view = View::new(connection, &transaction);
    let Ok(range) = record::from(after.value(), true) else {
        return Ok(Vec::new());
    };
    let entries = view.entries(DIRECTORY, &range, None)?;
    let entries = view.read(entries).await?;
    Ok(entries.iter().filter_map(sealed).collect())
}

pub(crate) async fn last_sealed(
    connection: &Connection,
) -> Result<Option<(Position, Vec<u8>)>, StoreError> {
    let transaction = connection.read(&[DIRECTORY])?;
    let view = View::new(connection, &transaction);
    let last = view.last(DIRECTORY, &JsValue::UNDEFINED).await?;
    Ok(last.and_then(|(first, value)| Some((Position::new(first), record::read_bytes(&value)?))))
}

pub(crate) async fn usage(connection: &Connection) -> Result<Usage, StoreError> {
    let transaction = connection.read(&[LOG, DIRECTORY, QUARANTINE, LOST])?;
    let view = View::new(connection, &transaction);
    let oldest = view.array(transaction.all_keys(LOG, &JsValue::UNDEFINED, Some(1)));
    let oldest = match oldest.await?.get(0) {
        none if none.is_undefined() => None,
        first => Some(Position::new(numeric(LOG, &first)?)),
    };
    Ok(Usage {
        frames: view.count(LOG).await?,
        segments: view.count(DIRECTORY).await?,
        oldest,
        quarantined: view.count(QUARANTINE).await?,
        lost: view.count(LOST).await?,
    })
}

/// All frames of a store that is not the log: quarantined ones, or those of histories that the server has lost.
pub(crate) async fn aside(
    connection: &Connection,
    store: &'static str,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let transaction = connection.read(&[store])?;
    let view = View::new(connection, &transaction);
    let values = view.array(transaction.all(store, &JsValue::UNDEFINED, None));
    (1..)
        .zip(values.await?.iter())
        .map(|(at, value)| bytes(store, at, &value))
        .collect()
}

async fn read_pending(
    view: &View<'_>,
    frames: Entries,
    outcomes: Entries,
) -> Result<Vec<PendingFrame>, StoreError> {
    let frames = view.read(frames).await?;
    let mut stored = Map::new();
    for (first, value) in view.read(outcomes).await? {
        stored.insert(numeric(OUTCOME, &first)?, value);
    }
    let mut pending = Vec::with_capacity(frames.len());
    for (first, value) in frames {
        let first = numeric(PENDING, &first)?;
        let outcomes = stored
            .remove(&first)
            .as_ref()
            .and_then(record::read_outcomes);
        pending.push(PendingFrame {
            first: Seq::new(first),
            frame: bytes(PENDING, first, &value)?,
            outcomes: outcomes.ok_or_else(|| record::corrupt(OUTCOME, first))?,
        });
    }
    match stored.first_key_value() {
        None => Ok(pending),
        Some((orphan, _)) => Err(record::corrupt(OUTCOME, orphan)),
    }
}

async fn read_parked(view: &View<'_>, parked: Entries) -> Result<Vec<ParkedRecord>, StoreError> {
    let entries = view.read(parked).await?;
    entries
        .into_iter()
        .map(|(key, value)| {
            let key = key.as_string().unwrap_or_default();
            let damaged = || record::corrupt(PARKED, &key);
            let id = key.parse().map_err(|_form| damaged())?;
            Ok(ParkedRecord {
                id,
                record: record::read_bytes(&value).ok_or_else(damaged)?,
            })
        })
        .collect()
}

fn sealed((first, value): &(JsValue, JsValue)) -> Option<(Position, Vec<u8>)> {
    Some((
        Position::new(record::number(first)?),
        record::read_bytes(value)?,
    ))
}
