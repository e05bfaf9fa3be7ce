//! A device's database: the contract of `tidelog_core::store` in memory, with an index for the oracle.
//!
//! As IndexedDB does, it runs a transaction whole or not at all, and a relaxed one may be gone after a loss of power, with
//! everything behind it: what is left is always what was there at some moment since the last flush.

mod content;
mod upkeep;

pub use content::{Content, Pending, Snapshot, Stored};

use crate::canary::Canary;
use crate::hold;
use crate::reading;
use std::collections::{BTreeMap, BTreeSet};
use tidelog_core::frame::{self, Body};
use tidelog_core::store::{
    Durability, Loaded, LostFrame, Outcome, ParkedRecord, PendingFrame, StoreError, StoreOp,
    WriteBatch, Written,
};
use tidelog_core::{Attempt, Commit, CommitId, Digest, Position, ReplicaId};

/// The end of all tabs at a change of the disk.
#[derive(Debug, Clone, Copy)]
pub struct Crash {
    /// How many changes there are before.
    pub left: usize,
    /// Was that change still made?
    pub made: bool,
    pub happened: bool,
}

impl Crash {
    /// At this change?
    #[must_use]
    pub const fn at(change: usize, made: bool) -> Self {
        Self {
            left: change,
            made,
            happened: false,
        }
    }

    /// The next change comes. Is it the end, and is the change still made?
    pub fn strikes(&mut self) -> Option<bool> {
        if self.happened || self.left > 0 {
            self.left = self.left.saturating_sub(1);
            return None;
        }
        self.happened = true;
        Some(self.made)
    }
}

/// How a write goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    Quota,
    Abort,
    LostBefore,
    LostAfter,
}

#[derive(Debug, Clone)]
pub struct Disk {
    pub content: Content,
    /// What is left after a loss of power, if that is less.
    flushed: Option<Box<Content>>,
    /// Is it worth remembering what was flushed?
    pub may_lose_power: bool,
    /// Handles of another life find their database gone.
    pub life: u64,
    /// What every attempt that was ever written here said.
    pub written: BTreeMap<(CommitId, Attempt), Digest>,
    /// The bug planted in this model.
    pub canary: Option<Canary>,
    /// The machine stops at one of the next changes.
    pub crash: Option<Crash>,
    /// Attempts may be written twice with other bytes: an older copy was put back.
    pub rolled_back: bool,
    /// Commits whose place the last write changed.
    pub touched: Vec<CommitId>,
    writes: u64,
}

impl Disk {
    #[must_use]
    pub fn new(replica: ReplicaId) -> Self {
        Self {
            content: Content::new(replica),
            flushed: None,
            may_lose_power: false,
            life: 0,
            written: BTreeMap::new(),
            canary: None,
            crash: None,
            rolled_back: false,
            touched: Vec::new(),
            writes: 0,
        }
    }

    /// May the next change be made?
    fn alive(&mut self) -> bool {
        let Some(crash) = &mut self.crash else {
            return true;
        };
        !crash.happened && crash.strikes().unwrap_or(true)
    }

    pub fn wipe(&mut self, replica: ReplicaId) {
        self.content = Content::new(replica);
        self.flushed = None;
        self.life += 1;
    }

    /// Puts another content in its place.
    pub fn put_back(&mut self, content: Content) {
        self.content = content;
        self.flushed = None;
        self.life += 1;
    }

    /// The machine loses power. Was anything lost?
    pub fn lose_power(&mut self) -> bool {
        self.life += 1;
        let Some(flushed) = self.flushed.take() else {
            return false;
        };
        let lost = flushed.head.generation != self.content.head.generation;
        self.content = *flushed;
        lost
    }

    /// Before a change: one that is relaxed may be lost, one that is strict flushes everything before it.
    fn flush(&mut self, durability: Durability) {
        match durability {
            _ if !self.may_lose_power => {}
            Durability::Strict => self.flushed = None,
            Durability::Relaxed if self.flushed.is_none() => {
                self.flushed = Some(Box::new(self.content.clone()));
            }
            Durability::Relaxed => {}
        }
    }

    /// The browser flushes on its own now and then.
    pub fn flush_all(&mut self) {
        self.flushed = None;
    }

    pub fn write(&mut self, batch: &WriteBatch, fault: Fault) -> Result<Written, StoreError> {
        self.touched.clear();
        let detail = String::from("injected");
        match fault {
            Fault::Quota => return Err(StoreError::QuotaExceeded { detail }),
            Fault::Abort => return Err(StoreError::Aborted { detail }),
            Fault::LostBefore => return Err(StoreError::ConnectionLost { detail }),
            Fault::None | Fault::LostAfter => {}
        }
        if batch.replica != self.content.replica {
            return Err(StoreError::Wiped);
        }
        if !self.alive() {
            return Err(StoreError::ConnectionLost { detail });
        }
        let actual = self.content.head.generation;
        if batch.expected != actual && self.canary != Some(Canary::StoreWithoutFence) {
            return Ok(Written::Stale { actual });
        }
        self.writes += 1;
        if self.canary == Some(Canary::WriteNotKept) && self.writes % 16 == 15 {
            self.content.head.generation = batch.head.generation;
            return Ok(Written::Done);
        }
        hold!(
            0,
            batch.head.generation == batch.expected.next(),
            "a write moves the generation by another step than one"
        );
        let durability = match self.canary {
            Some(Canary::PendingRelaxed) => Durability::Relaxed,
            _ => batch.durability,
        };
        self.flush(durability);
        let before = self.content.head.cursor;
        let mut cut = false;
        for op in &batch.ops {
            cut |= matches!(op, StoreOp::ClearLog | StoreOp::TruncateLog { .. });
            self.apply(op);
        }
        let content = &mut self.content;
        content.head = batch.head;
        hold!(
            3,
            cut || content.head.cursor.position >= before.position,
            "the cursor moved back from {before} to {}",
            content.head.cursor
        );
        hold!(
            6,
            content.log_end() == content.head.cursor.position,
            "the cursor is at {} and the log ends at {}",
            content.head.cursor.position,
            content.log_end()
        );
        if durability == Durability::Strict {
            self.flushed = None;
        }
        match fault {
            Fault::LostAfter => Err(StoreError::ConnectionLost { detail }),
            _ => Ok(Written::Done),
        }
    }

    fn apply(&mut self, op: &StoreOp) {
        let touched = &mut self.touched;
        let content = &mut self.content;
        match op {
            StoreOp::AddPending {
                first,
                frame,
                outcomes,
            } => {
                let Body::Local(locals) = frame::decode(frame).unwrap().body else {
                    panic!("a recorded frame under pending");
                };
                hold!(
                    0,
                    locals.len() == outcomes.len(),
                    "outcomes do not fit their frame"
                );
                hold!(
                    0,
                    locals[0].commit.seq == *first,
                    "a frame under another key"
                );
                for local in &locals {
                    let id = local.commit.id;
                    content.index.enter(id);
                    touched.push(id);
                    note(&mut self.written, self.rolled_back, &local.commit);
                }
                let pending = Pending {
                    frame: frame.as_slice().into(),
                    outcomes: outcomes.clone(),
                    ids: locals.iter().map(|local| local.commit.id).collect(),
                };
                let taken = content.pending.insert(*first, pending);
                hold!(0, taken.is_none(), "pending {first} is taken");
            }
            StoreOp::PutOutcomes { first, outcomes } => {
                let pending = content.pending.get_mut(first).expect("no pending frame");
                hold!(
                    0,
                    pending.outcomes.len() == outcomes.len(),
                    "outcomes do not fit their frame"
                );
                let places = pending.outcomes.iter().zip(outcomes).zip(&*pending.ids);
                for ((old, new), id) in places {
                    let settled = (*old == Outcome::Settled, *new == Outcome::Settled);
                    hold!(7, settled != (true, false), "settled {id} came back");
                    if settled == (false, true) {
                        content.index.leave(*id);
                        if matches!(old, Outcome::Acked(_)) && !content.filters.kept.is_everything()
                        {
                            // A gap may stand for it.
                            content.elsewhere.insert(*id);
                        }
                        touched.push(*id);
                    }
                }
                pending.outcomes.clone_from(outcomes);
                if outcomes.iter().all(|outcome| *outcome == Outcome::Settled) {
                    content.pending.remove(first);
                }
            }
            StoreOp::AddLog { .. }
                if self.canary == Some(Canary::CursorBeforeEvents) && self.writes % 8 == 7 => {}
            StoreOp::AddLog { first, frame } => {
                let ids = reading::recorded(frame).ids();
                hold!(
                    3,
                    content.log_end().next() == *first,
                    "the log has a gap before {first}"
                );
                touched.extend(&ids);
                content.enter_log(*first, frame, ids);
            }
            StoreOp::ClearLog => {
                content.cut_log(Position::START);
                content.gaps.clear();
                content.snapshot = None;
                content.read_anew();
                content.damaged = false;
            }
            StoreOp::TruncateLog { after, gaps } => {
                content.cut_log(*after);
                content.gaps.clone_from(gaps);
                content.read_anew();
                content.damaged = false;
            }
            StoreOp::Erase {
                from,
                through,
                frames,
                lost,
            } => {
                let frames: &[_] = match self.canary {
                    Some(Canary::ErasedStays) => &[],
                    _ => frames,
                };
                let lost: &[_] = match self.canary {
                    Some(Canary::ErasedStaysLost) => &[],
                    _ => lost,
                };
                content.erase(*from, *through, frames, lost);
            }
            StoreOp::Quarantine { first } => content.leave_log(*first),
            StoreOp::PutParked { .. } if self.canary == Some(Canary::ParkingNotStored) => {}
            StoreOp::PutParked { id, record } => {
                let parked = tidelog_core::replica::Parked::decode(record).unwrap();
                hold!(
                    0,
                    parked.local.commit.id == *id,
                    "a parked record under another id"
                );
                content.park(*id, record);
                touched.push(*id);
            }
            StoreOp::RemoveParked { id } => {
                content.unpark(*id);
                touched.push(*id);
            }
            StoreOp::SetReplica { replica } => {
                content.replica = *replica;
                content.renamed = true;
            }
            StoreOp::SetFilters { filters } => content.filters.clone_from(filters),
            StoreOp::AddLost { frame } => {
                let last = content.lost.last_key_value();
                let number = last.map_or(1, |(number, _)| number + 1);
                content.lost.insert(number, frame.as_slice().into());
            }
        }
    }

    #[must_use]
    pub fn load(&self, after: Position, max_bytes: usize) -> Loaded {
        let content = &self.content;
        let mut log = Vec::new();
        let mut bytes = 0;
        let mut more = false;
        let straddling = content.log.range(..=after).next_back();
        let straddling = straddling
            .filter(|(_, (frame, _))| frame::header(frame).unwrap().last_position() > after);
        let later = content.log.range(after.next()..);
        for (frame, _) in straddling.into_iter().chain(later).map(|(_, frame)| frame) {
            bytes += frame.len();
            if bytes > max_bytes && !log.is_empty() {
                more = true;
                break;
            }
            log.push(frame.to_vec());
        }
        let pending = content.pending.iter().map(|(first, pending)| PendingFrame {
            first: *first,
            frame: pending.frame.to_vec(),
            outcomes: pending.outcomes.clone(),
        });
        let parked = content.parked.iter().map(|(id, record)| ParkedRecord {
            id: *id,
            record: record.to_vec(),
        });
        Loaded {
            replica: content.replica,
            head: content.head,
            pending: pending.collect(),
            parked: parked.collect(),
            log,
            more,
            gaps: content.gaps.clone(),
            filters: content.filters.clone(),
            erased: content.erased,
        }
    }

    #[must_use]
    pub fn frames(&self) -> Vec<Vec<u8>> {
        let frames = self.content.log.values();
        frames.map(|(frame, _)| frame.to_vec()).collect()
    }

    /// The frames of lost histories.
    #[must_use]
    pub fn lost(&self) -> Vec<LostFrame> {
        let frames = self.content.lost.iter();
        let frames = frames.map(|(number, frame)| LostFrame {
            number: *number,
            frame: frame.to_vec(),
        });
        frames.collect()
    }

    /// All commits it holds, each in one place.
    pub fn places(&self) -> Result<BTreeSet<CommitId>, String> {
        self.content.places()
    }
}

fn note(written: &mut BTreeMap<(CommitId, Attempt), Digest>, rolled_back: bool, commit: &Commit) {
    let digest = reading::digest(commit);
    let known = written.insert((commit.id, commit.attempt), digest);
    hold!(
        5,
        rolled_back || known.is_none_or(|known| known == digest),
        "attempt {} of {} was written with other bytes before",
        commit.attempt,
        commit.id
    );
}
