//! What goes to the store, in which order and in which transaction.

use super::Replica;
use super::frames::{Frames, mark, put_outcomes, settle};
use super::pull::Page;
use super::queue::{Location, State, find_from};
use super::repair::Repair;
use super::written::RETRY_MILLIS;
#[cfg(feature = "canaries")]
use crate::canary::Canary;
use crate::frame::HEADER_BYTES;
use crate::id::CommitId;
use crate::map::Map;
use crate::number::{Position, Seq, Timestamp};
use crate::store::{Durability, Filters, Head, Outcome, StoreError, StoreOp, WriteBatch};
use alloc::borrow::Cow;
use alloc::vec::Vec;

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
    /// Read replica and head ([`Store::head`](crate::store::Store::head)); answer with [`Replica::handle_head`].
    Head,
    /// Read all recorded frames; answer with [`Replica::handle_frames`].
    Log,
    /// Read all frames of lost histories; answer with [`Replica::handle_lost`].
    Lost,
    /// This tab is behind what the log on disk begins with. Read the snapshots as at the opening and answer with
    /// [`Replica::handle_snapshot`].
    Snapshot,
    /// Open the database again, within a budget of tries; answer with [`Replica::handle_reopened`].
    Reopen,
}

/// What the store is busy with and what waits for it.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) busy: Option<Busy>,
    pub(super) load: bool,
    /// The head is to be looked at: perhaps the database is another one.
    pub(super) look: bool,
    pub(super) reopen: bool,
    pub(super) repair: Option<Repair>,
    pub(super) snapshot: Sought,
    /// A reader found damage.
    pub(super) damaged: bool,
    /// Where the log is damaged that a saved state is to stand for, because nobody sends it again.
    pub(super) unread: Option<Position>,
    /// The host wants to fold everything again.
    pub(super) again: bool,
    /// Where a repair was tried last.
    pub(super) repaired: Option<Position>,
    pub(super) retry_at: Option<Timestamp>,
    /// When what is durable is confirmed on a log without a server.
    pub(super) confirm_at: Option<Timestamp>,
    /// Since when there is something to be confirmed, and how much there was when it was last looked at.
    pub(super) durable: Option<(Timestamp, usize)>,
    pub(super) error: Option<StoreError>,
}

/// A snapshot to go on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Sought {
    #[default]
    No,
    Wanted,
    Absent,
    /// It is of use, and the load that goes on behind this position is next.
    Found(Position),
}

#[derive(Debug)]
pub(super) enum Busy {
    Load,
    Head,
    Log,
    Lost,
    Snapshot,
    Reopen,
    /// Brings the log back to where it is intact.
    Repair,
    Append {
        entries: Map<CommitId, Location>,
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
    Filter {
        ops: Vec<StoreOp>,
        head: Head,
        filters: Filters,
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
        self.look_for_damage();
        let reading = self.disk.reopen
            || self.disk.load
            || self.disk.repair.is_some()
            || self.disk.snapshot == Sought::Wanted;
        if reading && !self.may_retry(now) {
            return None;
        }
        if self.disk.reopen {
            self.disk.busy = Some(Busy::Reopen);
            return Some(StoreRequest::Reopen);
        }
        if let Some(repair) = &self.disk.repair {
            self.disk.busy = Some(Busy::Repair);
            return Some(StoreRequest::Write(repair.batch()));
        }
        if self.disk.snapshot == Sought::Wanted {
            self.disk.busy = Some(Busy::Snapshot);
            return Some(StoreRequest::Snapshot);
        }
        if self.disk.load {
            self.disk.load = false;
            self.disk.busy = Some(Busy::Load);
            let after = match self.disk.snapshot {
                Sought::Found(position) => position,
                _ => self.head.cursor.position,
            };
            return Some(StoreRequest::Load { after });
        }
        if !self.opened {
            return None;
        }
        self.judge();
        if self.asked.is_some() {
            return None;
        }
        self.append_request(now)
            .or_else(|| self.rewind_request())
            .or_else(|| self.filter_request())
            .or_else(|| {
                self.confirm_here(now);
                self.sync_request(now)
            })
            .or_else(|| self.head_request(now))
    }

    fn may_retry(&self, now: Timestamp) -> bool {
        self.disk
            .retry_at
            .is_none_or(|at| at.is_due(now, RETRY_MILLIS))
    }

    /// One transaction for all that was appended, decided again, parked or discarded since the last one.
    fn append_request(&mut self, now: Timestamp) -> Option<StoreRequest> {
        let may_retry = self.may_retry(now);
        let mut ops = Vec::new();
        let mut outcomes: Map<Seq, Vec<Outcome>> = Map::new();
        let mut head = self.head;
        if let Some(replica) = self.new_id {
            ops.push(StoreOp::SetReplica { replica });
        }
        let departing = if may_retry { self.departing.len() } else { 0 };
        for departing in self.departing.iter().take(departing) {
            settle(&self.pending, &mut outcomes, departing.location);
            #[cfg(feature = "canaries")]
            if self.config.canary == Some(Canary::ParkingForgotten) {
                continue;
            }
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
        let mut entries = Map::new();
        for entry in &mut self.queue {
            let fresh = entry.location.is_none() && !entry.revived;
            if entry.state != State::Unwritten || !(fresh || may_retry) {
                continue;
            }
            if frames.total > MAX_BATCH_BYTES {
                break;
            }
            settle(&self.pending, &mut outcomes, entry.location);
            let listed = entry.revived;
            #[cfg(feature = "canaries")]
            let listed = listed && self.config.canary != Some(Canary::RevivedStaysParked);
            if listed {
                ops.push(StoreOp::RemoveParked { id: entry.id() });
            }
            entry.local.commit.replica = self.new_id.unwrap_or(self.id);
            entry.local.commit.seq = head.next_seq;
            entry.state = State::Writing;
            let local = Cow::Borrowed(&entry.local);
            entries.insert(local.commit.id, frames.push(head.next_seq, local));
            head.next_seq = head.next_seq.next();
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
        let mut outcomes: Map<Seq, Vec<Outcome>> = Map::new();
        let mut ops = Vec::new();
        let mut head = self.head;
        let acks = self.sync.acks.len();
        let mut next = 0;
        for (id, attempt, position) in &self.sync.acks {
            let place = find_from(&self.queue, next, |entry| {
                entry.id() == *id && entry.attempt() == *attempt
            });
            next = place.map_or(next, |place| place + 1);
            let entry = place.and_then(|place| self.queue.get(place));
            if let Some(location) = entry.and_then(|entry| entry.location) {
                #[cfg(feature = "canaries")]
                if self.planted(Canary::AckedIsSettled) {
                    settle(&self.pending, &mut outcomes, Some(location));
                    continue;
                }
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
            let known: Map<CommitId, Option<Location>> = self
                .queue
                .iter()
                .map(|entry| (entry.id(), entry.location))
                .collect();
            for id in page.commit_ids() {
                let location = known
                    .get(&id)
                    .copied()
                    .flatten()
                    .or_else(|| self.departing.iter().find(|d| d.id == id)?.location);
                settle(&self.pending, &mut outcomes, location);
                if self.parked.contains_key(&id) {
                    ops.push(StoreOp::RemoveParked { id });
                }
            }
            ops.extend(page.frames.iter().map(|page| StoreOp::AddLog {
                first: page.first,
                frame: page.frame.bytes().to_vec(),
            }));
            head.cursor = page.cursor;
        }
        ops.extend(put_outcomes(outcomes));
        let durability = match &page {
            Some(page) if page.only_copy => self.config.durability,
            _ => Durability::Relaxed,
        };
        let (batch, ops, head) = self.batch(head, ops, durability);
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
        // Only the bookkeeping of pending frames is needed when it is done, and their headers.
        let kept = ops.iter().filter_map(|op| match op {
            StoreOp::AddPending {
                first,
                frame,
                outcomes,
            } => Some(StoreOp::AddPending {
                first: *first,
                frame: frame.get(..HEADER_BYTES).unwrap_or_default().to_vec(),
                outcomes: outcomes.clone(),
            }),
            StoreOp::PutOutcomes { .. } => Some(op.clone()),
            _ => None,
        });
        let kept = kept.collect();
        let batch = WriteBatch {
            replica: self.id,
            expected: self.head.generation,
            head,
            ops,
            durability,
        };
        (batch, kept, head)
    }
}
