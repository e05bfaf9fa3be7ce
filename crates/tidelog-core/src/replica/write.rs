//! What goes to the store, and what happens when it is there.

use super::queue::{Location, State};
use super::sync::Page;
use super::{Notice, ReceiptState, Replica, ResetReason};
use crate::commit::Local;
use crate::frame;
use crate::id::CommitId;
use crate::limits::FRAME_TARGET_BYTES;
use crate::number::{Position, Seq, Timestamp};
use crate::store::{Durability, Head, Outcome, StoreError, StoreOp, WriteBatch, Written};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

const RETRY_MILLIS: i64 = 1_000;
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// What the host has to do with the store. One at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreRequest {
    /// Run this transaction; answer with [`Replica::handle_written`].
    Write(WriteBatch),
    /// Load what comes after this position; answer with [`Replica::handle_loaded`].
    Load {
        /// The newest position known.
        after: Position,
    },
    /// Read these recorded frames; answer with [`Replica::handle_frames`].
    Frames {
        /// Their first positions.
        first_positions: Vec<Position>,
    },
    /// Open the database again, within a budget of tries; answer with [`Replica::handle_reopened`].
    Reopen,
}

/// What the store is busy with and what waits for it.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) busy: Option<Busy>,
    pub(super) load: bool,
    pub(super) reopen: bool,
    pub(super) retry_at: Option<Timestamp>,
    pub(super) error: Option<StoreError>,
}

#[derive(Debug)]
pub(super) enum Busy {
    Load,
    Frames,
    Reopen,
    Append {
        entries: BTreeMap<CommitId, Location>,
        departing: usize,
        ops: Vec<StoreOp>,
        head: Head,
    },
    Sync {
        page: Option<Page>,
        acks: usize,
        ops: Vec<StoreOp>,
        head: Head,
    },
    Rewind {
        ops: Vec<StoreOp>,
        head: Head,
    },
}

impl Disk {
    pub(super) fn opening() -> Self {
        Self {
            load: true,
            ..Self::default()
        }
    }
}

impl Replica {
    /// The next thing to do with the store. Call again after answering it.
    pub fn poll_store(&mut self, now: Timestamp) -> Option<StoreRequest> {
        if self.disk.busy.is_some() {
            return None;
        }
        if (self.disk.reopen || self.disk.load) && !self.may_retry(now) {
            return None;
        }
        if self.disk.reopen {
            self.disk.busy = Some(Busy::Reopen);
            return Some(StoreRequest::Reopen);
        }
        if self.disk.load {
            self.disk.load = false;
            self.disk.busy = Some(Busy::Load);
            return Some(StoreRequest::Load {
                after: self.head.cursor.position,
            });
        }
        if !self.opened {
            return None;
        }
        self.judge();
        if self.rerun.is_some() {
            return None;
        }
        self.append_request(now)
            .or_else(|| self.rewind_request())
            .or_else(|| self.sync_request(now))
    }

    fn may_retry(&self, now: Timestamp) -> bool {
        self.disk.retry_at.is_none_or(|at| at <= now)
    }

    /// One transaction for all that was appended, decided again, parked or discarded since the last one.
    fn append_request(&mut self, now: Timestamp) -> Option<StoreRequest> {
        let may_retry = self.may_retry(now);
        let mut ops = Vec::new();
        let mut outcomes: BTreeMap<Seq, Vec<Outcome>> = BTreeMap::new();
        let mut head = self.head;
        if let Some(replica) = self.new_id {
            ops.push(StoreOp::SetReplica { replica });
        }
        let departing = if may_retry { self.departing.len() } else { 0 };
        for departing in self.departing.iter().take(departing) {
            settle(&self.pending, &mut outcomes, departing.location);
            match &departing.parked {
                Some(parked) => {
                    ops.push(StoreOp::PutParked {
                        id: departing.id,
                        record: parked.encode(),
                    });
                }
                None if departing.listed => ops.push(StoreOp::RemoveParked { id: departing.id }),
                None => {}
            }
        }
        let mut frames = Frames::default();
        let mut entries = BTreeMap::new();
        for entry in &mut self.queue {
            let fresh = entry.location.is_none() && !entry.revived;
            if entry.state != State::Unwritten || !(fresh || may_retry) {
                continue;
            }
            if frames.total > MAX_BATCH_BYTES {
                break;
            }
            settle(&self.pending, &mut outcomes, entry.location);
            if entry.revived {
                ops.push(StoreOp::RemoveParked { id: entry.id() });
            }
            entry.local.commit.replica = self.new_id.unwrap_or(self.id);
            entry.local.commit.seq = head.next_seq;
            entries.insert(entry.id(), frames.push(head.next_seq, &entry.local));
            head.next_seq = head.next_seq.next();
            entry.state = State::Writing;
        }
        if entries.is_empty() && departing == 0 {
            return None;
        }
        ops.extend(put_outcomes(outcomes));
        ops.extend(frames.finish());
        let durability = self.config.durability;
        let (batch, ops, head) = self.batch(head, ops, durability);
        self.disk.busy = Some(Busy::Append {
            entries,
            departing,
            ops,
            head,
        });
        Some(StoreRequest::Write(batch))
    }

    /// One transaction for what the server said: verdicts, and a page of the confirmed log with what it settles.
    fn sync_request(&mut self, now: Timestamp) -> Option<StoreRequest> {
        // Another leader may have read on since the page came.
        let here = self.head.cursor;
        self.sync.page = self.sync.page.take().filter(|page| page.after == here);
        if !self.may_retry(now) || (self.sync.page.is_none() && self.sync.acks.is_empty()) {
            return None;
        }
        let mut outcomes: BTreeMap<Seq, Vec<Outcome>> = BTreeMap::new();
        let mut ops = Vec::new();
        let mut head = self.head;
        let acks = self.sync.acks.len();
        for (id, attempt, position) in &self.sync.acks {
            let entry = self
                .queue
                .iter()
                .find(|e| e.id() == *id && e.attempt() == *attempt);
            if let Some(location) = entry.and_then(|entry| entry.location) {
                mark(
                    &self.pending,
                    &mut outcomes,
                    location,
                    Outcome::Acked(*position),
                );
            }
        }
        let page = self.sync.page.take();
        if let Some(page) = &page {
            for id in page.commit_ids() {
                let location = self
                    .entry(id)
                    .and_then(|entry| entry.location)
                    .or_else(|| self.departing.iter().find(|d| d.id == id)?.location);
                settle(&self.pending, &mut outcomes, location);
                if self.parked.contains_key(&id) {
                    ops.push(StoreOp::RemoveParked { id });
                }
            }
            ops.extend(page.frames.iter().map(|page| StoreOp::AddLog {
                first: page.first,
                frame: page.bytes.clone(),
            }));
            head.cursor = page.cursor;
        }
        ops.extend(put_outcomes(outcomes));
        let (batch, ops, head) = self.batch(head, ops, Durability::Relaxed);
        self.disk.busy = Some(Busy::Sync {
            page,
            acks,
            ops,
            head,
        });
        Some(StoreRequest::Write(batch))
    }

    pub(super) fn batch(
        &self,
        mut head: Head,
        ops: Vec<StoreOp>,
        durability: Durability,
    ) -> (WriteBatch, Vec<StoreOp>, Head) {
        head.generation = self.head.generation.next();
        let batch = WriteBatch {
            replica: self.id,
            expected: self.head.generation,
            head,
            ops: ops.clone(),
            durability,
        };
        // Only the bookkeeping of pending frames is needed when it is done.
        let ops = ops
            .into_iter()
            .filter_map(|op| match op {
                StoreOp::AddPending {
                    first, outcomes, ..
                } => Some(StoreOp::AddPending {
                    first,
                    frame: Vec::new(),
                    outcomes,
                }),
                StoreOp::PutOutcomes { .. } => Some(op),
                _ => None,
            })
            .collect();
        (batch, ops, head)
    }

    /// The answer to [`StoreRequest::Write`].
    pub fn handle_written(&mut self, now: Timestamp, result: Result<Written, StoreError>) {
        let Some(busy) = self.disk.busy.take() else {
            return;
        };
        match result {
            Ok(Written::Done) => {
                self.disk.retry_at = None;
                if self.disk.error.take().is_some() {
                    self.notices.push_back(Notice::Status);
                }
                self.written(busy);
            }
            Ok(Written::Stale { .. }) => {
                self.disk.load = true;
                self.not_written(busy);
            }
            Err(error) => self.failed(now, busy, error),
        }
    }

    fn written(&mut self, busy: Busy) {
        match busy {
            Busy::Append {
                entries,
                departing,
                ops,
                head,
            } => {
                self.advance(head, ops);
                if let Some(id) = self.new_id.take() {
                    self.id = id;
                }
                let mut revived = false;
                for entry in &mut self.queue {
                    if let Some(location) = entries.get(&entry.id()) {
                        entry.state = State::Pending;
                        entry.location = Some(*location);
                        entry.only_copy = false;
                        revived |= core::mem::take(&mut entry.revived)
                            && self.parked.remove(&entry.id()).is_some();
                    }
                }
                for id in entries.into_keys() {
                    self.receipt(id, ReceiptState::Durable);
                }
                if departing > 0 || revived {
                    self.departed(departing);
                    self.notices.push_back(Notice::Parked);
                }
                self.notices.push_back(Notice::Queue);
            }
            Busy::Sync {
                page,
                acks,
                ops,
                head,
            } => {
                self.advance(head, ops);
                self.acked(acks);
                if let Some(page) = page {
                    for page in page.frames {
                        self.confirm(page.frame);
                    }
                    self.after_confirm();
                }
            }
            Busy::Rewind { ops, head } => {
                self.advance(head, ops);
                self.rewound(ResetReason::History);
            }
            Busy::Load | Busy::Frames | Busy::Reopen => {}
        }
    }

    /// The first departing commits are on disk as parked, or gone.
    fn departed(&mut self, count: usize) {
        for departing in self.departing.drain(..count).collect::<Vec<_>>() {
            match departing.parked {
                Some(parked) => {
                    self.parked.insert(departing.id, parked);
                    self.receipt(departing.id, ReceiptState::Parked);
                }
                None => {
                    self.parked.remove(&departing.id);
                }
            }
        }
    }

    pub(super) fn advance(&mut self, head: Head, ops: Vec<StoreOp>) {
        self.head = head;
        for op in ops {
            match op {
                StoreOp::AddPending {
                    first, outcomes, ..
                } => {
                    self.pending.insert(first, outcomes);
                }
                StoreOp::PutOutcomes { first, outcomes } => {
                    if outcomes.iter().all(|outcome| *outcome == Outcome::Settled) {
                        self.pending.remove(&first);
                    } else {
                        self.pending.insert(first, outcomes);
                    }
                }
                _ => {}
            }
        }
    }

    /// Nothing of it is on disk: as if it had not been tried.
    fn not_written(&mut self, busy: Busy) {
        if let Busy::Sync { page, .. } = busy {
            self.sync.page = page;
        }
        for entry in &mut self.queue {
            if entry.state == State::Writing {
                entry.state = State::Unwritten;
            }
        }
    }

    fn failed(&mut self, now: Timestamp, busy: Busy, error: StoreError) {
        self.disk.error = Some(error.clone());
        self.notices.push_back(Notice::Status);
        match &error {
            StoreError::ConnectionLost { .. } => {
                self.disk.reopen = true;
                if let Busy::Sync { .. } | Busy::Rewind { .. } = busy {
                    // What the server said can be asked for again.
                    self.not_written(busy);
                    self.sync.page = None;
                    return;
                }
                for entry in &mut self.queue {
                    if entry.state == State::Writing {
                        entry.state = State::Unresolved;
                    }
                }
            }
            StoreError::Wiped => {
                self.not_written(busy);
                self.disk.reopen = true;
            }
            _ => {
                if let Busy::Append { entries, .. } = &busy {
                    self.fail_fresh(entries, &error);
                }
                self.not_written(busy);
                self.sync.page = None;
                self.disk.load = true;
                self.disk.retry_at = Some(now.plus_millis(RETRY_MILLIS));
            }
        }
    }

    /// The commits of a write that failed, and those decided on top of them, leave memory. A commit of which an earlier
    /// attempt is on disk stays as that attempt was and is tried again.
    fn fail_fresh(&mut self, entries: &BTreeMap<CommitId, Location>, error: &StoreError) {
        let mut streams = BTreeSet::new();
        let mut failed = Vec::new();
        let mut parked = Vec::new();
        self.queue.retain(|entry| {
            let in_memory = matches!(entry.state, State::Writing | State::Unwritten);
            let fresh = in_memory && entry.location.is_none() && !entry.only_copy;
            let hit = entries.contains_key(&entry.id())
                || entry.touched().any(|stream| streams.contains(stream));
            if fresh && hit {
                streams.extend(
                    entry
                        .local
                        .commit
                        .events
                        .iter()
                        .map(|event| event.stream.clone()),
                );
                // One that was brought back is still in the parked list.
                let list = if entry.revived { &mut parked } else { &mut failed };
                list.push(entry.id());
            }
            !(fresh && hit)
        });
        if failed.is_empty() && parked.is_empty() {
            return;
        }
        for id in failed {
            self.receipt(id, ReceiptState::Failed(error.clone()));
        }
        for id in parked {
            self.receipt(id, ReceiptState::Parked);
        }
        self.unjudged = true;
        self.queue_changed();
    }

    /// The answer to [`StoreRequest::Reopen`]. After a failure the host may give up ([`Replica::give_up_storage`]) or have
    /// it tried again later.
    pub fn handle_reopened(&mut self, now: Timestamp, result: Result<(), StoreError>) {
        self.disk.busy = None;
        match result {
            Ok(()) => {
                self.disk.reopen = false;
                self.disk.load = true;
                self.disk.error = None;
            }
            Err(error) => {
                self.disk.error = Some(error);
                self.disk.retry_at = Some(now.plus_millis(RETRY_MILLIS));
            }
        }
        self.notices.push_back(Notice::Status);
    }

    /// A load or a read failed.
    pub fn handle_load_failed(&mut self, now: Timestamp, error: StoreError) {
        let busy = self.disk.busy.take();
        if let Some(Busy::Frames) = busy {
            self.sync.frames_failed();
        }
        match &error {
            StoreError::ConnectionLost { .. } | StoreError::Wiped => self.disk.reopen = true,
            _ => {
                self.disk.load = true;
                self.disk.retry_at = Some(now.plus_millis(RETRY_MILLIS));
            }
        }
        self.disk.error = Some(error);
        self.notices.push_back(Notice::Status);
    }
}

fn mark(
    pending: &BTreeMap<Seq, Vec<Outcome>>,
    outcomes: &mut BTreeMap<Seq, Vec<Outcome>>,
    location: Location,
    outcome: Outcome,
) {
    let Some(known) = pending.get(&location.first) else {
        return;
    };
    let changed = outcomes
        .entry(location.first)
        .or_insert_with(|| known.clone());
    if let Some(place) = changed.get_mut(location.index) {
        *place = outcome;
    }
}

pub(super) fn settle(
    pending: &BTreeMap<Seq, Vec<Outcome>>,
    outcomes: &mut BTreeMap<Seq, Vec<Outcome>>,
    location: Option<Location>,
) {
    if let Some(location) = location {
        mark(pending, outcomes, location, Outcome::Settled);
    }
}

pub(super) fn put_outcomes(
    outcomes: BTreeMap<Seq, Vec<Outcome>>,
) -> impl Iterator<Item = StoreOp> {
    outcomes
        .into_iter()
        .map(|(first, outcomes)| StoreOp::PutOutcomes { first, outcomes })
}

/// Cuts a run of commits into pending frames.
#[derive(Default)]
pub(super) struct Frames {
    open: Vec<Local>,
    first: Seq,
    weight: usize,
    pub(super) total: usize,
    done: Vec<StoreOp>,
}

impl Frames {
    pub(super) fn push(&mut self, seq: Seq, local: &Local) -> Location {
        let weight = local.commit.weight();
        if self.weight > 0 && self.weight + weight > FRAME_TARGET_BYTES {
            self.cut();
        }
        if self.open.is_empty() {
            self.first = seq;
        }
        self.open.push(local.clone());
        self.weight += weight;
        self.total += weight;
        Location {
            first: self.first,
            index: self.open.len() - 1,
        }
    }

    fn cut(&mut self) {
        if !self.open.is_empty() {
            self.done.push(StoreOp::AddPending {
                first: self.first,
                frame: frame::encode_local(self.first, &self.open),
                outcomes: alloc::vec![Outcome::Pending; self.open.len()],
            });
        }
        self.open.clear();
        self.weight = 0;
    }

    pub(super) fn finish(mut self) -> Vec<StoreOp> {
        self.cut();
        self.done
    }
}
