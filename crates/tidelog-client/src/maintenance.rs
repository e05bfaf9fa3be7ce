//! What the leading tab does when nothing else is to be done: compacts the log, and drops what is not to be kept.
//!
//! Work comes in slices: one transaction over at most one segment, then the page has its turn. Nothing here is needed for
//! correctness, and nothing changes what a reader sees: every transaction checks that the frames it was made for are still
//! there, and one that comes too late writes nothing and is planned anew.

mod plan;

use crate::error::ClientError;
use crate::log::Log;
use crate::options::Retain;
use crate::platform::{next_task, now, spawn};
use crate::reads::Boxed;
use crate::remote::before;
use crate::runtime::Runtime;
use gloo_timers::future::TimeoutFuture;
use js_sys::{Function, Promise, Reflect};
use std::cell::Cell;
use std::rc::Rc;
use tidelog_core::directory::DirectoryRecord;
use tidelog_core::frame::{self, Header};
use tidelog_core::limits::SEGMENT_TARGET_BYTES;
use tidelog_core::store::{Compaction, Direction, Pruning, Store, StoreError, StoreOp, WriteBatch};
use tidelog_core::{Gap, GapReason, Position};
use tidelog_indexeddb::IndexedDbStore;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// After so many frames or bytes of new log, there is something to compact.
const DUE_FRAMES: usize = plan::FEWEST;
/// So often a slice that came too late is planned anew before it is left for another time.
const TRIES: u32 = 3;
/// An import that pauses for so long may be over, in milliseconds.
const IMPORT_PAUSE: u32 = 500;
/// How long to wait for an idle moment, in milliseconds, at most.
const PATIENCE: i32 = 2_000;

/// What maintenance remembers between its slices.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    running: Cell<bool>,
    pub(crate) erasing: Cell<bool>,
    /// New frames and bytes of the log since it was last compacted.
    frames: Cell<usize>,
    bytes: Cell<usize>,
    /// This tab has not looked yet.
    unknown: Cell<bool>,
    retain: Cell<bool>,
    /// An import goes on, and nothing of this is to hold it up before this time.
    held_until: Cell<i64>,
}

impl Upkeep {
    /// Nobody knows what an earlier page left to do.
    pub(crate) fn look(&self) {
        self.unknown.set(true);
    }

    /// A clock that was set back does not hold it up.
    fn is_held(&self) -> bool {
        let left = self.held_until.get() - now().millis();
        (1..=i64::from(IMPORT_PAUSE)).contains(&left)
    }
}

/// What a slice came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slice {
    /// Nothing is left to do.
    Rest,
    /// Something was done; `sealed` says whether it made a segment.
    Done { sealed: bool },
    /// The log changed meanwhile: plan anew.
    Late,
}

impl Log {
    /// Compacts until there is nothing left to do, in slices that leave the page free. Gives the number of segments made. Any
    /// tab may do it. O(bytes that are not sealed).
    ///
    /// # Errors
    /// [`ClientError::Store`] if the database cannot be read or written, or a frame is damaged.
    pub async fn compact(&self) -> Result<u32, ClientError> {
        let mut late = 0;
        let mut sealed = 0;
        loop {
            match self.runtime.compact_slice().await? {
                Slice::Rest => break,
                Slice::Late if late == TRIES => break,
                Slice::Late => late += 1,
                Slice::Done { sealed: one } => {
                    late = 0;
                    sealed += u32::from(one);
                }
            }
            next_task().await;
        }
        self.runtime.upkeep.frames.set(0);
        self.runtime.upkeep.bytes.set(0);
        self.runtime.prune().await?;
        Ok(sealed)
    }
}

impl Runtime {
    /// A write is about to be given to the store: how much of it is new log?
    pub(crate) fn count_new(&self, batch: &WriteBatch) {
        for op in &batch.ops {
            if let StoreOp::AddLog { frame, .. } = op {
                let upkeep = &self.upkeep;
                upkeep.frames.set(upkeep.frames.get() + 1);
                upkeep.bytes.set(upkeep.bytes.get() + frame.len());
            }
        }
    }

    /// Events are being imported: maintenance waits until no more come.
    pub(crate) fn hold_upkeep(&self) {
        let pause = i64::from(IMPORT_PAUSE);
        self.upkeep.held_until.set(now().millis() + pause);
    }

    /// Prunes when there is time, now that there are newer snapshots.
    pub(crate) fn retain_soon(&self) {
        if self.options.retain != Retain::All {
            self.upkeep.retain.set(true);
            self.schedule();
        }
    }

    /// Begins maintenance in the background if this tab leads, is idle and has something to do.
    pub(crate) fn maintain(self: &Rc<Self>) {
        let upkeep = &self.upkeep;
        let due = upkeep.unknown.get()
            || upkeep.frames.get() >= DUE_FRAMES
            || upkeep.bytes.get() >= SEGMENT_TARGET_BYTES
            || upkeep.retain.get();
        if !due || upkeep.running.get() || !self.is_quiet() {
            return;
        }
        upkeep.running.set(true);
        let me = Rc::clone(self);
        spawn(async move {
            while me.upkeep.is_held() {
                TimeoutFuture::new(IMPORT_PAUSE).await;
            }
            let result = me.maintain_while_quiet().await;
            me.upkeep.running.set(false);
            if result.is_err() {
                // Another occasion comes with the next frames.
                me.upkeep.frames.set(0);
                me.upkeep.bytes.set(0);
                me.upkeep.unknown.set(false);
                me.upkeep.retain.set(false);
            }
        });
    }

    async fn maintain_while_quiet(&self) -> Result<(), ClientError> {
        let mut late = 0;
        loop {
            idle_moment().await;
            if !self.is_quiet() || self.upkeep.is_held() {
                return Ok(());
            }
            let (frames, bytes) = (self.upkeep.frames.get(), self.upkeep.bytes.get());
            match self.compact_slice().await? {
                Slice::Done { .. } => late = 0,
                Slice::Late if late < TRIES => late += 1,
                Slice::Late | Slice::Rest => {
                    let upkeep = &self.upkeep;
                    upkeep.unknown.set(false);
                    upkeep
                        .frames
                        .set(upkeep.frames.get().saturating_sub(frames));
                    upkeep.bytes.set(upkeep.bytes.get().saturating_sub(bytes));
                    break;
                }
            }
        }
        self.upkeep.retain.set(false);
        self.prune().await
    }

    /// Does this tab lead, with nothing under way?
    fn is_quiet(&self) -> bool {
        self.leads() && {
            let replica = self.replica.borrow();
            !replica.is_storing() && replica.backlog() == 0
        }
    }

    fn compact_slice(&self) -> Boxed<'_, Slice> {
        Box::pin(self.compact_once())
    }

    async fn compact_once(&self) -> Result<Slice, ClientError> {
        let store = self.store()?;
        let (replica, end, erased) = {
            let replica = self.replica.borrow();
            let end = replica.head().cursor.position;
            (replica.id(), end, replica.erased())
        };
        let after = sealed_until(&store).await?;
        // Enough to fill a segment and to see what follows it.
        let bytes = SEGMENT_TARGET_BYTES / 4 * 5;
        let page = self.range(after.next(), end, Direction::Forward, bytes);
        let page = page.await?;
        let mut frames = Vec::with_capacity(page.frames.len());
        let mut next = None;
        for bytes in page.frames {
            let header = self.header(&bytes)?;
            if next.is_some_and(|next| next != header.first_position()) {
                break;
            }
            next = Some(header.last_position().next());
            frames.push((header, bytes));
        }
        let tail: Vec<plan::Tail> = frames
            .iter()
            .map(|(_, bytes)| plan::Tail { bytes: bytes.len() })
            .collect();
        let Some(step) = plan::next(&tail, SEGMENT_TARGET_BYTES) else {
            return Ok(Slice::Rest);
        };
        let (from, to, seal) = match step {
            plan::Step::Seal => (0, 1, true),
            plan::Step::Segment { frames } => (0, frames, true),
            plan::Step::Merge { from, to } => (from, to, false),
        };
        let covered = frames.get_mut(from..to).unwrap_or_default();
        let positions = covered.iter().map(|(header, _)| header.first_position());
        let positions: Vec<Position> = positions.collect();
        let segment = match &*covered {
            [_] => None,
            many => {
                let parts: Vec<&[u8]> = many.iter().map(|(_, bytes)| bytes.as_slice()).collect();
                Some(frame::merge(&parts).map_err(|error| self.broken(&error))?)
            }
        };
        let directory = if seal {
            let bytes = match (&segment, covered) {
                (Some(merged), _) => merged.frame.clone(),
                (None, [(_, bytes), ..]) => std::mem::take(bytes),
                (None, []) => return Ok(Slice::Rest),
            };
            let columns = frame::columns(bytes).map_err(|error| self.broken(&error))?;
            Some(DirectoryRecord::of(&columns).encode())
        } else {
            None
        };
        let done = store
            .compact(Compaction {
                replica,
                covered: positions,
                segment: segment.map(|merged| merged.frame),
                directory,
                erased,
            })
            .await?;
        Ok(if done {
            Slice::Done { sealed: seal }
        } else {
            Slice::Late
        })
    }

    pub(crate) fn header(&self, bytes: &[u8]) -> Result<Header, ClientError> {
        frame::header(bytes).map_err(|error| self.broken(&error))
    }

    /// What lies on the disk is not what was written: the replica sees to it.
    fn broken(&self, error: &dyn std::fmt::Display) -> ClientError {
        self.damaged();
        crate::read::damaged(error)
    }

    /// Drops segments that the app does not want to keep, if snapshots stand for them.
    fn prune(&self) -> Boxed<'_, ()> {
        Box::pin(self.prune_once())
    }

    async fn prune_once(&self) -> Result<(), ClientError> {
        if self.options.retain == Retain::All || self.endpoint.is_none() {
            return Ok(());
        }
        let store = self.store()?;
        let (replica, head, gaps) = {
            let replica = self.replica.borrow();
            (replica.id(), *replica.head(), replica.gaps().to_vec())
        };
        let covered = self.stored.borrow().covered;
        let mut through = None;
        for (_, record) in self.directory().await? {
            let Ok(record) = DirectoryRecord::decode(&record) else {
                break;
            };
            let unwanted = match self.options.retain {
                Retain::All => false,
                Retain::Newest(events) => {
                    record.last.value().saturating_add(events) <= head.cursor.position.value()
                }
                Retain::Since(time) => record.recorded_until < time,
            };
            if !unwanted || record.last > covered {
                break;
            }
            through = Some(record.last);
        }
        let Some(through) = through else {
            return Ok(());
        };
        let pruned = store
            .prune(Pruning {
                replica,
                epoch: head.cursor.epoch,
                through,
                gaps: with_retention(gaps, through),
            })
            .await?;
        if pruned {
            // It has moved the generation on, so the gaps are read again, here and in the other tabs.
            let generation = head.generation.next();
            self.replica.borrow_mut().handle_hint(generation);
            self.hint(generation);
            self.schedule();
        }
        Ok(())
    }

    /// The disk is full: gives back what can be made again.
    pub(crate) async fn reclaim(&self) -> Result<(), ClientError> {
        let mut kept = vec![tidelog_core::replica::heads_name()];
        kept.extend(self.options.folds.iter().cloned());
        self.store()?.forget(&kept).await?;
        while let Slice::Done { .. } = self.compact_slice().await? {}
        self.prune().await
    }
}

/// All gaps, now that everything up to a position is left out.
fn with_retention(gaps: Vec<Gap>, through: Position) -> Vec<Gap> {
    let mut all = vec![Gap {
        from: Position::START.next(),
        to: through,
        reason: GapReason::Retention,
    }];
    all.extend(gaps.into_iter().filter(|gap| gap.from > through));
    all
}

/// The last position of the sealed segments.
async fn sealed_until(store: &IndexedDbStore) -> Result<Position, StoreError> {
    let Some((first, record)) = store.last_sealed().await? else {
        return Ok(Position::START);
    };
    if let Ok(record) = DirectoryRecord::decode(&record) {
        return Ok(record.last);
    }
    // The record is damaged; the segment itself knows where it ends.
    let frames = store.frames(&[first]).await?;
    let header = frames.first().and_then(|bytes| frame::header(bytes).ok());
    Ok(header.map_or(before(first), |header| header.last_position()))
}

/// Waits until the page has nothing better to do.
async fn idle_moment() {
    let global: JsValue = js_sys::global().into();
    let function = |name: &str| -> Option<Function> {
        Reflect::get(&global, &name.into()).ok()?.dyn_into().ok()
    };
    let promise = Promise::new(&mut |resolve, _reject| {
        let asked = function("requestIdleCallback").map(|ask| {
            let options = js_sys::Object::new();
            let _set = Reflect::set(&options, &"timeout".into(), &PATIENCE.into());
            ask.call2(&global, &resolve, &options)
        });
        if !matches!(asked, Some(Ok(_))) {
            let later = function("setTimeout").map(|set| set.call2(&global, &resolve, &50.into()));
            if !matches!(later, Some(Ok(_))) {
                let _now = resolve.call0(&JsValue::UNDEFINED);
            }
        }
    });
    // It is only ever resolved.
    let _idle = JsFuture::from(promise).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(from: u64, to: u64, reason: GapReason) -> Gap {
        Gap {
            from: Position::new(from),
            to: Position::new(to),
            reason,
        }
    }

    #[test]
    fn retention_swallows_older_gaps_and_keeps_newer_ones() {
        let gaps = vec![
            gap(1, 5, GapReason::Retention),
            gap(7, 7, GapReason::Redaction),
            gap(12, 13, GapReason::Redaction),
        ];
        assert_eq!(
            with_retention(gaps, Position::new(10)),
            [
                gap(1, 10, GapReason::Retention),
                gap(12, 13, GapReason::Redaction)
            ]
        );
    }
}
