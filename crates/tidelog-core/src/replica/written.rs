//! What a store's answers mean: done, stale, failed, or unknown.

use super::queue::{Location, State};
use super::write::Busy;
use super::{Notice, ReceiptState, Replica, ResetReason};
#[cfg(feature = "canaries")]
use crate::canary::Canary;
use crate::frame;
use crate::id::CommitId;
use crate::map::{Map, Set};
use crate::number::{Position, Timestamp};
use crate::store::{Head, Outcome, StoreError, StoreOp, Written};
use alloc::vec::Vec;

pub(super) const RETRY_MILLIS: i64 = 1_000;

impl Replica {
    /// The answer to [`StoreRequest::Write`].
    pub fn handle_written(&mut self, now: Timestamp, result: Result<Written, StoreError>) {
        let Some(busy) = self.disk.busy.take() else {
            return;
        };
        match result {
            Ok(Written::Done) => {
                self.disk.retry_at = None;
                if self.disk.error.take().is_some() {
                    self.status_changed();
                }
                self.sync.refreshed(now);
                if matches!(busy, Busy::Append { .. }) {
                    self.sync.push.hurry(now);
                }
                self.written(busy);
            }
            #[cfg(feature = "canaries")]
            Ok(Written::Stale { .. }) if self.planted(Canary::StaleCountsAsDone) => {
                self.written(busy);
            }
            Ok(Written::Stale { .. }) => {
                self.disk.load = true;
                self.disk.repair = None;
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
                    self.notices.push_back(Notice::Queue);
                }
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
                        // What it finds wrong was checked before it was written.
                        let _checked = self.confirm(page.frame, 0);
                    }
                    self.last_frame = None;
                    self.after_confirm();
                }
            }
            Busy::Rewind { ops, head } => {
                self.advance(head, ops);
                self.rewound(ResetReason::History);
            }
            Busy::Filter { ops, head, filters } => {
                let reason = match filters.kept == self.filters.kept {
                    true => ResetReason::Erased,
                    false => ResetReason::Filter,
                };
                let emptied = head.cursor.position == Position::START;
                let again = reason == ResetReason::Filter || (self.erasing.unfollowed && emptied);
                self.announced = true;
                self.filters = filters;
                self.advance(head, ops);
                if again {
                    self.rewound(reason);
                }
                self.status_changed();
            }
            Busy::Repair => self.repair_done(),
            Busy::Load | Busy::Head | Busy::Log | Busy::Lost | Busy::Snapshot | Busy::Reopen => {}
        }
    }

    /// The first departing commits are on disk as parked, or gone.
    fn departed(&mut self, count: usize) {
        for departing in self.departing.drain(..count).collect::<Vec<_>>() {
            match departing.parked {
                Some(parked) => {
                    self.known_parked.remove(&departing.id);
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
                    first,
                    frame,
                    outcomes,
                } => {
                    if let Some(checksum) = frame::named_checksum(&frame) {
                        self.known_frames.insert(first, checksum);
                    }
                    self.pending.insert(first, outcomes);
                }
                StoreOp::PutOutcomes { first, outcomes } => {
                    if outcomes.iter().all(|outcome| *outcome == Outcome::Settled) {
                        self.pending.remove(&first);
                        self.known_frames.remove(&first);
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
        // Loading finds it again.
        self.disk.repair = None;
        self.disk.error = Some(error.clone());
        self.status_changed();
        match &error {
            StoreError::ConnectionLost { .. } => {
                self.disk.reopen = true;
                if let Busy::Sync { .. } | Busy::Filter { .. } | Busy::Rewind { .. } = busy {
                    // What the server said can be asked for again.
                    self.not_written(busy);
                    self.sync.page = None;
                    return;
                }
                #[cfg(feature = "canaries")]
                if self.planted(Canary::UnknownCountsAsFailed)
                    && let Busy::Append { entries, .. } = &busy
                {
                    return self.fail_fresh(entries, &error);
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
    fn fail_fresh(&mut self, entries: &Map<CommitId, Location>, error: &StoreError) {
        let mut streams = Set::new();
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
                let list = if entry.revived {
                    &mut parked
                } else {
                    &mut failed
                };
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
                // It may be another database, with other frames under the same keys.
                self.known_frames.clear();
                self.disk.load = true;
                self.disk.error = None;
            }
            Err(error) => {
                self.disk.error = Some(error);
                self.disk.retry_at = Some(now.plus_millis(RETRY_MILLIS));
            }
        }
        self.status_changed();
    }

    /// A load or a read failed.
    pub fn handle_load_failed(&mut self, now: Timestamp, error: StoreError) {
        let busy = self.disk.busy.take();
        if let Some(Busy::Log | Busy::Lost) = busy {
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
        self.status_changed();
    }
}
