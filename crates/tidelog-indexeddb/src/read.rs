//! Consistent views, each in one transaction.

use crate::connection::Connection;
use crate::look::Look;
use crate::record;
use crate::schema::meta::{ERASED, FILTERS, GAPS};
use crate::schema::stores::{DIRECTORY, LOG, LOST, META, OUTCOME, PARKED, PENDING, QUARANTINE};
use crate::view::{Entries, Few, View, bytes, numeric};
use tidelog_core::map::Map;
use tidelog_core::store::{
    Direction, Head, Loaded, LostFrame, LostPage, Outcome, Page, ParkedRecord, PendingFrame,
    StoreError, Usage,
};
use tidelog_core::{Position, ReplicaId, Seq};
use wasm_bindgen::JsValue;

/// The replica and the head.
pub(crate) async fn head(connection: &Connection) -> Result<(ReplicaId, Head), StoreError> {
    let transaction = connection.read(&[META, PENDING])?;
    let view = View::new(connection, &transaction);
    let asked = Look::ask(&view)?;
    let look = Look::read(&view, asked).await?;
    Ok((look.stored.replica, look.head))
}

/// Everything but the log, and a page of that.
pub(crate) async fn load(
    connection: &Connection,
    after: Position,
    max_bytes: usize,
) -> Result<Loaded, StoreError> {
    let transaction = connection.read(&[META, PENDING, OUTCOME, PARKED, LOG])?;
    let view = View::new(connection, &transaction);
    let pending = view.entries(PENDING, &JsValue::UNDEFINED, None)?;
    let (outcomes, parked) = (view.ask_few(OUTCOME)?, view.ask_few(PARKED)?);
    let gaps = view.get_by(META, &GAPS.into())?;
    let filters = view.get_by(META, &FILTERS.into())?;
    let erased = view.get_by(META, &ERASED.into())?;
    let end = Position::new(u64::MAX);
    let asked = match after == end {
        true => None,
        false => Some(view.ask_log(after.next(), end, max_bytes)?),
    };
    let meta = view.meta().await?;
    let mut head = meta.head;
    let pending = read_pending(&view, &mut head, pending, outcomes).await?;
    let gaps = match view.value(Ok(gaps)).await? {
        none if none.is_undefined() => Vec::new(),
        gaps => record::read_gaps(&gaps).ok_or_else(|| record::corrupt(META, GAPS))?,
    };
    let filters = record::read_filters(&view.value(Ok(filters)).await?)?;
    let erased = record::read_erased(&view.value(Ok(erased)).await?)?;
    let parked = read_parked(&view, parked).await?;
    let log = match asked {
        Some(asked) => asked.read().await?,
        None => Page::default(),
    };
    Ok(Loaded {
        replica: meta.replica,
        head,
        pending,
        parked,
        log: log.frames,
        more: log.more,
        gaps,
        filters,
        erased,
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

/// All frames in quarantine.
pub(crate) async fn quarantined(connection: &Connection) -> Result<Vec<Vec<u8>>, StoreError> {
    let transaction = connection.read(&[QUARANTINE])?;
    let view = View::new(connection, &transaction);
    let values = view.array(transaction.all(QUARANTINE, &JsValue::UNDEFINED, None));
    (1..)
        .zip(values.await?.iter())
        .map(|(at, value)| bytes(QUARANTINE, at, &value))
        .collect()
}

/// So many lost frames are asked for at once: an old segment has 128 KiB.
const LOST_AT_ONCE: u32 = 8;

/// Frames of lost histories behind a number.
pub(crate) async fn lost_after(
    connection: &Connection,
    number: u64,
    max_bytes: usize,
) -> Result<LostPage, StoreError> {
    let transaction = connection.read(&[LOST])?;
    let view = View::new(connection, &transaction);
    let mut page = LostPage::default();
    let (mut after, mut size) = (number, 0_usize);
    loop {
        let range = view.checked(record::from(after, true))?;
        let entries = view.entries(LOST, &range, Some(LOST_AT_ONCE))?;
        let entries = view.read(entries).await?;
        if entries.is_empty() {
            return Ok(page);
        }
        for (key, value) in entries {
            let number = numeric(LOST, &key)?;
            let frame = bytes(LOST, number, &value)?;
            size = size.saturating_add(frame.len());
            if size > max_bytes && !page.frames.is_empty() {
                page.more = true;
                return Ok(page);
            }
            page.frames.push(LostFrame { number, frame });
            after = number;
        }
    }
}

/// The pending frames, and the head as the newest of them brings it along.
async fn read_pending(
    view: &View<'_>,
    head: &mut Head,
    frames: Entries,
    outcomes: Few,
) -> Result<Vec<PendingFrame>, StoreError> {
    let frames = view.read(frames).await?;
    let mut stored = Map::new();
    for (first, value) in view.few(outcomes).await? {
        stored.insert(numeric(OUTCOME, &first)?, value);
    }
    let mut pending = Vec::with_capacity(frames.len());
    for (key, value) in frames {
        let Some(found) = record::read_pending(key, &value)? else {
            continue;
        };
        found.advance(head);
        let outcomes = match stored.remove(&found.first) {
            None => vec![Outcome::Pending; found.commits],
            Some(value) => record::read_outcomes(&value)
                .filter(|outcomes| outcomes.len() == found.commits)
                .ok_or_else(|| record::corrupt(OUTCOME, found.first))?,
        };
        pending.push(PendingFrame {
            first: Seq::new(found.first),
            frame: bytes(PENDING, found.first, &found.frame)?,
            outcomes,
        });
    }
    match stored.first_key_value() {
        None => Ok(pending),
        Some((orphan, _)) => Err(record::corrupt(OUTCOME, orphan)),
    }
}

async fn read_parked(view: &View<'_>, parked: Few) -> Result<Vec<ParkedRecord>, StoreError> {
    let entries = view.few(parked).await?;
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
