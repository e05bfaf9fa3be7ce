//! What the log takes on this device, whether the browser may delete it, and whether it is what was written.

use crate::error::ClientError;
use crate::log::Log;
use crate::platform::describe;
use crate::read::damaged;
use crate::remote::before;
use js_sys::{Function, Promise, Reflect};
use tidelog_core::directory::DirectoryRecord;
use tidelog_core::frame;
use tidelog_core::store::{Direction, Store, StoreError};
use tidelog_core::{ChainHash, Filter, Gap, Position};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// About how many bytes of frames are looked at in one transaction.
const READ_BYTES: usize = 1024 * 1024;

/// What the log takes on this device.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Storage {
    /// Confirmed events held here.
    pub events: u64,
    /// The position of the oldest one; 0 for none.
    pub oldest: Position,
    /// Recorded frames, sealed ones included.
    pub frames: u64,
    /// Sealed segments.
    pub segments: u64,
    /// Damaged frames that were moved aside.
    pub quarantined: u64,
    /// Frames of histories that the server has lost.
    pub lost: u64,
    /// Bytes of the recorded frames as they are encoded; the browser may take less, as it compresses, or more.
    pub bytes: u64,
    /// What is no longer kept, by position: the server has it.
    pub gaps: Vec<Gap>,
    /// Which kinds and streams of the server's log are held here.
    pub filter: Filter,
    /// How many positions from the oldest on are gaps, because the filter does not ask for their events.
    pub left_out: u64,
    /// Bytes that this origin uses, as the browser estimates.
    pub usage: Option<f64>,
    /// Bytes that this origin may use, as the browser estimates.
    pub quota: Option<f64>,
    /// Has the browser promised not to delete it by itself?
    pub persisted: Option<bool>,
}

/// How far [`Log::verify`] has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Everything up to here is as it was written; 0 if there is nothing.
    pub position: Position,
    /// Was that the end of the log?
    pub done: bool,
}

impl Log {
    /// What the log takes on this device. Costs O(segments + bytes of the frames that are not sealed).
    ///
    /// ```no_run
    /// # async fn example(log: tidelog_client::Log) -> Result<(), tidelog_client::ClientError> {
    /// let storage = log.storage().await?;
    /// let per_event = storage.bytes.checked_div(storage.events);
    /// # let _ = per_event;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Store`] if the database cannot be read.
    pub async fn storage(&self) -> Result<Storage, ClientError> {
        let store = self.runtime.store()?;
        let usage = store.usage().await?;
        let end = self.position();
        let (mut bytes, mut held) = (0, 0);
        let mut sealed = Position::START;
        for (_, record) in self.runtime.directory().await? {
            if let Ok(record) = DirectoryRecord::decode(&record) {
                bytes += u64::from(record.bytes);
                held += u64::from(record.events);
                sealed = record.last;
            }
        }
        let mut from = sealed.next();
        while from <= end {
            let range = self
                .runtime
                .range(from, end, Direction::Forward, READ_BYTES);
            let page = range.await?;
            for frame in &page.frames {
                bytes += frame.len() as u64;
                let header = frame::header(frame).map_err(|error| damaged(&error))?;
                held += u64::from(header.events);
                from = from.max(header.last_position().next());
            }
            if !page.more {
                break;
            }
        }
        let (gaps, filter) = {
            let replica = self.runtime.replica.borrow();
            (replica.gaps().to_vec(), replica.filter().clone())
        };
        let oldest = usage.oldest.unwrap_or_default();
        let covered = match usage.oldest {
            Some(oldest) => (end.value() + 1).saturating_sub(oldest.value()),
            None => 0,
        };
        // Without a filter every position has its event, whatever a damaged directory says.
        let held = match filter.is_everything() {
            true => covered,
            false => held,
        };
        let (origin_usage, quota) = estimate().await;
        Ok(Storage {
            events: held,
            oldest,
            frames: usage.frames,
            segments: usage.segments,
            quarantined: usage.quarantined,
            lost: usage.lost,
            bytes,
            gaps,
            left_out: covered.saturating_sub(held),
            filter,
            usage: origin_usage,
            quota,
            persisted: ask("persisted").await.and_then(|value| value.as_bool()),
        })
    }

    /// Asks the browser never to delete this origin's data by itself. Firefox asks the person; others decide silently.
    /// Gives what the browser answered; `false` where it cannot be asked.
    pub async fn persist(&self) -> bool {
        ask("persist").await.is_some_and(|value| value.is_truthy())
    }

    /// Recomputes checksums and the hash chain of the frames from the one that holds `from` on, about `max_bytes` of them.
    /// Begin at 1, go on behind the position it gives, until it is done. Costs O(bytes), about a hash of each.
    ///
    /// # Errors
    /// [`ClientError::Tampered`] where the hash chain breaks: bytes were changed by something that made their checksum fit.
    /// [`ClientError::Store`] if a frame is damaged or missing, or the database cannot be read.
    pub async fn verify(&self, from: Position, max_bytes: usize) -> Result<Verified, ClientError> {
        let head = self.runtime.replica.borrow().head().cursor;
        let store = self.runtime.store()?;
        let oldest = store.usage().await?.oldest.unwrap_or(head.position.next());
        let from = from.max(oldest);
        if from > head.position {
            return Ok(Verified {
                position: head.position,
                done: true,
            });
        }
        // The frame before is read again, so that the slices hang together.
        let mut next = before(from).max(oldest);
        let mut chain: Option<ChainHash> = None;
        while next <= from {
            let range = self
                .runtime
                .range(next, head.position, Direction::Forward, max_bytes);
            let page = range.await?;
            if page.frames.is_empty() {
                return Err(missing(next));
            }
            for bytes in &page.frames {
                let columns = frame::columns(bytes.clone()).map_err(|error| damaged(&error))?;
                let (first, last) = (columns.first_position(), columns.last_position());
                if !(first..=last).contains(&next) {
                    return Err(missing(next));
                }
                let header = columns.header();
                let breaks = chain.is_some_and(|chain| chain != header.chain_before);
                let after = frame::chain_after(bytes).ok();
                let ends = last != head.position || after == Some(head.chain);
                if breaks || header.epoch != head.epoch || after.is_none() || !ends {
                    return Err(ClientError::Tampered { position: first });
                }
                chain = after;
                next = last.next();
            }
        }
        let position = before(next);
        Ok(Verified {
            position,
            done: position >= head.position,
        })
    }
}

fn missing(position: Position) -> ClientError {
    ClientError::Store(StoreError::Corrupt {
        place: "log".into(),
        detail: format!("no frame holds position {position}"),
    })
}

/// Bytes used and allowed, as far as the browser says.
async fn estimate() -> (Option<f64>, Option<f64>) {
    let Some(estimate) = ask("estimate").await else {
        return (None, None);
    };
    let number = |name: &str| Reflect::get(&estimate, &name.into()).ok()?.as_f64();
    (number("usage"), number("quota"))
}

/// Calls a function of `navigator.storage`, where there is one.
async fn ask(name: &str) -> Option<JsValue> {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into()).ok()?;
    let storage = Reflect::get(&navigator, &"storage".into()).ok()?;
    let function: Function = Reflect::get(&storage, &name.into()).ok()?.dyn_into().ok()?;
    let asked = function
        .call0(&storage)
        .map_err(|error| describe(&error))
        .ok()?;
    JsFuture::from(Promise::resolve(&asked)).await.ok()
}
