//! Consistent views, each in one transaction of `rexie`.
//!
//! Inside the transaction nothing is awaited but its own requests. Requests that run side by side are awaited to the
//! end even if one fails: dropping a future of `rexie`'s breaks the callback that its event calls.

use crate::connection::Connection;
use crate::error;
use crate::open::{check_format, read_replica};
use crate::record::{self, MAX_KEY};
use crate::schema::meta::{FORMAT, HEAD, REPLICA};
use crate::schema::stores::{LOG, LOST, META, OUTCOME, PARKED, PENDING};
use futures_util::future::{join, join_all, join3};
use rexie::{Direction, KeyRange, Store, Transaction};
use tidelog_core::limits::FRAME_TARGET_BYTES;
use tidelog_core::map::Map;
use tidelog_core::store::{Head, Loaded, ParkedRecord, PendingFrame, StoreError};
use tidelog_core::{Position, ReplicaId, Seq, frame};
use wasm_bindgen::JsValue;

/// Frames per request when reading the log: enough to make requests rare, few enough to bound what is read in vain.
const MAX_BATCH: usize = 1024;

/// Everything but the log, and a page of that.
pub(crate) async fn load(
    connection: &Connection,
    after: Position,
    max_bytes: usize,
) -> Result<Loaded, StoreError> {
    let transaction = connection.read(&[META, PENDING, OUTCOME, PARKED, LOG])?;
    let reader = Reader {
        connection,
        transaction,
    };
    let (replica, head) = reader.meta().await?;
    let pending = reader.pending().await?;
    let parked = reader.parked().await?;
    let (log, more) = reader.log(after, max_bytes).await?;
    Ok(Loaded {
        replica,
        head,
        pending,
        parked,
        log,
        more,
    })
}

/// The recorded frames with these first positions.
pub(crate) async fn frames(
    connection: &Connection,
    first_positions: &[Position],
) -> Result<Vec<Vec<u8>>, StoreError> {
    let reader = Reader {
        connection,
        transaction: connection.read(&[LOG])?,
    };
    let store = reader.store(LOG)?;
    // No frame has a first position that is not a key.
    let keys = first_positions
        .iter()
        .filter_map(|first| record::key(first.value()).ok());
    let found = join_all(keys.map(|key| store.get(key))).await;
    let mut frames = Vec::new();
    for (first, found) in first_positions.iter().zip(found) {
        if let Some(value) = reader.answer(found)? {
            frames.push(record::read_bytes(&value).ok_or_else(|| record::corrupt(LOG, first))?);
        }
    }
    Ok(frames)
}

/// The frames of histories that the server has lost.
pub(crate) async fn lost(connection: &Connection) -> Result<Vec<Vec<u8>>, StoreError> {
    let reader = Reader {
        connection,
        transaction: connection.read(&[LOST])?,
    };
    let values = reader.store(LOST)?.get_all(None, None).await;
    (1..)
        .zip(reader.answer(values)?)
        .map(|(at, value)| read_bytes(LOST, at, &value))
        .collect()
}

struct Reader<'a> {
    connection: &'a Connection,
    transaction: Transaction,
}

impl Reader<'_> {
    fn store(&self, name: &str) -> Result<Store, StoreError> {
        self.answer(self.transaction.store(name))
    }

    fn answer<T>(&self, result: rexie::Result<T>) -> Result<T, StoreError> {
        result.map_err(|failure| {
            let error = self.connection.note(error::reading(&failure));
            // A connection that went away while we read says why; the transaction says only that it was aborted.
            self.connection.check().err().unwrap_or(error)
        })
    }

    async fn meta(&self) -> Result<(ReplicaId, Head), StoreError> {
        let store = self.store(META)?;
        let (format, replica, head) = join3(
            store.get(FORMAT.into()),
            store.get(REPLICA.into()),
            store.get(HEAD.into()),
        )
        .await;
        let Some(format) = self.answer(format)? else {
            return Err(self.connection.note(StoreError::Wiped));
        };
        check_format(&format)?;
        let replica = read_replica(&self.answer(replica)?.unwrap_or(JsValue::UNDEFINED))?;
        let head = self.answer(head)?.as_ref().and_then(record::read_head);
        Ok((replica, head.ok_or_else(|| record::corrupt(META, HEAD))?))
    }

    async fn pending(&self) -> Result<Vec<PendingFrame>, StoreError> {
        let frames = self.entries(PENDING, None, None).await?;
        let outcomes = self.entries(OUTCOME, None, None).await?;
        let mut outcomes: Map<u64, JsValue> = numbered(OUTCOME, outcomes)?.into_iter().collect();
        let mut pending = Vec::with_capacity(frames.len());
        for (first, value) in numbered(PENDING, frames)? {
            let outcomes = outcomes
                .remove(&first)
                .as_ref()
                .and_then(record::read_outcomes);
            pending.push(PendingFrame {
                first: Seq::new(first),
                frame: read_bytes(PENDING, first, &value)?,
                outcomes: outcomes.ok_or_else(|| record::corrupt(OUTCOME, first))?,
            });
        }
        match outcomes.first_key_value() {
            None => Ok(pending),
            Some((orphan, _)) => Err(record::corrupt(OUTCOME, orphan)),
        }
    }

    async fn parked(&self) -> Result<Vec<ParkedRecord>, StoreError> {
        let entries = self.entries(PARKED, None, None).await?;
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

    /// Frames that hold positions after this one, until their bytes are more than asked for.
    async fn log(
        &self,
        after: Position,
        max_bytes: usize,
    ) -> Result<(Vec<Vec<u8>>, bool), StoreError> {
        let mut log: Vec<Vec<u8>> = self.straddling(after).await?.into_iter().collect();
        let mut bytes: usize = log.iter().map(Vec::len).sum();
        let mut last = after.value();
        loop {
            let mean = bytes
                .checked_div(log.len())
                .unwrap_or(FRAME_TARGET_BYTES)
                .max(1);
            let limit = (max_bytes.saturating_sub(bytes) / mean)
                .saturating_add(1)
                .min(MAX_BATCH);
            let range = (last < MAX_KEY)
                .then(|| record::key(last.max(1)).ok())
                .flatten();
            let Some(lower) = range else {
                return Ok((log, false));
            };
            // Before the first position there is no key to begin after.
            let range = self.answer(
                KeyRange::lower_bound(&lower, Some(last > 0)).map_err(rexie::Error::from),
            )?;
            let page = self
                .entries(LOG, Some(range), u32::try_from(limit).ok())
                .await?;
            let end = page.len() < limit;
            for (first, value) in numbered(LOG, page)? {
                let frame = read_bytes(LOG, first, &value)?;
                bytes = bytes.saturating_add(frame.len());
                if !log.is_empty() && bytes > max_bytes {
                    return Ok((log, true));
                }
                log.push(frame);
                last = first;
            }
            if end {
                return Ok((log, false));
            }
        }
    }

    /// The frame that begins at or before a position and ends after it. One whose end cannot be read from its header
    /// is not hidden, so that its reader finds the damage. None straddles if one begins right behind the position, so
    /// reading page by page reads no frame twice.
    async fn straddling(&self, after: Position) -> Result<Option<Vec<u8>>, StoreError> {
        let Ok(upper) = record::key(after.value().min(MAX_KEY)) else {
            return Ok(None);
        };
        let store = self.store(LOG)?;
        if let Ok(next) = record::key(after.next().value())
            && self.answer(store.key_exists(next).await)?
        {
            return Ok(None);
        }
        let range = self.answer(KeyRange::upper_bound(&upper, None).map_err(rexie::Error::from))?;
        let found = store
            .scan(Some(range), Some(1), None, Some(Direction::Prev))
            .await;
        let Some((first, value)) = numbered(LOG, self.answer(found)?)?.into_iter().next() else {
            return Ok(None);
        };
        let bytes = read_bytes(LOG, first, &value)?;
        let straddles = frame::header(&bytes).map_or(true, |header| header.last_position() > after);
        Ok(straddles.then_some(bytes))
    }

    async fn entries(
        &self,
        store: &str,
        range: Option<KeyRange>,
        limit: Option<u32>,
    ) -> Result<Vec<(JsValue, JsValue)>, StoreError> {
        let store = self.store(store)?;
        let (keys, values) = join(
            store.get_all_keys(range.clone(), limit),
            store.get_all(range, limit),
        )
        .await;
        Ok(self
            .answer(keys)?
            .into_iter()
            .zip(self.answer(values)?)
            .collect())
    }
}

fn numbered(
    store: &str,
    entries: Vec<(JsValue, JsValue)>,
) -> Result<Vec<(u64, JsValue)>, StoreError> {
    entries
        .into_iter()
        .map(|(key, value)| match record::number(&key) {
            Some(number) => Ok((number, value)),
            None => Err(record::corrupt(store, format_args!("{key:?}"))),
        })
        .collect()
}

fn read_bytes(store: &str, key: u64, value: &JsValue) -> Result<Vec<u8>, StoreError> {
    record::read_bytes(value).ok_or_else(|| record::corrupt(store, key))
}
