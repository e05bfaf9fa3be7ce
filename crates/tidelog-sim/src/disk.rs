//! A device's database: the contract of `tidelog_core::store` in memory, with an index for the oracle.

use crate::app::Rows;
use std::collections::{BTreeMap, BTreeSet};
use tidelog_core::frame::{self, Body};
use tidelog_core::hash::commit_digest;
use tidelog_core::replica::Parked;
use tidelog_core::store::{
    Head, Loaded, Outcome, ParkedRecord, PendingFrame, StoreError, StoreOp, WriteBatch, Written,
};
use tidelog_core::{
    Attempt, Commit, CommitId, Cursor, Digest, Gap, GapReason, Position, ReplicaId, Seq,
};

#[derive(Debug, Clone)]
pub struct Pending {
    frame: Vec<u8>,
    pub outcomes: Vec<Outcome>,
    pub ids: Vec<CommitId>,
}

#[derive(Debug, Clone)]
pub struct Content {
    pub replica: ReplicaId,
    pub head: Head,
    pub pending: BTreeMap<Seq, Pending>,
    pub log: BTreeMap<Position, (Vec<u8>, Vec<CommitId>)>,
    pub parked: BTreeMap<CommitId, Vec<u8>>,
    pub lost: Vec<Vec<u8>>,
    pub gaps: Vec<Gap>,
    pub snapshot: Option<Snapshot>,
    /// Commits of frames that were cut or pruned: the server has them.
    pub elsewhere: BTreeSet<CommitId>,
    pub damaged: bool,
    /// It got another replica id: what the earlier one wrote counts as somebody else's.
    pub renamed: bool,
}

/// What tabs save of their state.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub checkpoint: Cursor,
    pub buckets: u32,
    pub heads: BTreeMap<u32, Vec<u8>>,
    pub rows: Rows,
    pub confirmed: BTreeSet<CommitId>,
}

/// What a store or a server does wrong, so that the oracle proves that it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bug {
    #[default]
    None,
    /// A parked commit is not kept.
    ParkingForgotten,
    /// A stale writer is let through.
    NoFence,
    /// Now and then a transaction completes and is not there.
    WriteNotKept,
    /// Now and then an accepted commit is not stored.
    AckedNotStored,
    /// Conditions are not looked at.
    StaleExpectationTaken,
}

/// The end of all tabs at a change of the disk.
#[derive(Debug, Clone, Copy)]
pub struct Crash {
    /// How many changes there are before.
    pub left: usize,
    /// Was that change still made?
    pub made: bool,
    pub happened: bool,
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
    /// Handles of another life find their database gone.
    pub life: u64,
    /// What every attempt that was ever written here said.
    pub written: BTreeMap<(CommitId, Attempt), Digest>,
    pub bug: Bug,
    /// The machine stops at one of the next changes.
    pub crash: Option<Crash>,
    /// Attempts may be written twice with other bytes: an older copy was put back.
    pub rolled_back: bool,
}

impl Content {
    fn new(replica: ReplicaId) -> Self {
        Self {
            replica,
            head: Head::default(),
            pending: BTreeMap::new(),
            log: BTreeMap::new(),
            parked: BTreeMap::new(),
            lost: Vec::new(),
            gaps: Vec::new(),
            snapshot: None,
            elsewhere: BTreeSet::new(),
            damaged: false,
            renamed: false,
        }
    }

    pub fn pending_ids(&self) -> impl Iterator<Item = CommitId> + '_ {
        self.pending.values().flat_map(|pending| {
            let outcomes = pending.ids.iter().zip(&pending.outcomes);
            outcomes.filter_map(|(id, outcome)| (*outcome != Outcome::Settled).then_some(*id))
        })
    }

    pub fn log_ids(&self) -> impl Iterator<Item = CommitId> + '_ {
        self.log.values().flat_map(|(_, ids)| ids.iter().copied())
    }

    /// What a history that is no more had of an earlier replica id of this device: kept aside to be exported.
    pub fn kept_aside(&self) -> BTreeSet<CommitId> {
        let frames = self.lost.iter().filter(|_| self.renamed);
        let bodies = frames.map(|bytes| frame::decode(bytes).unwrap().body);
        let commits = bodies.flat_map(|body| match body {
            Body::Recorded(commits) => commits,
            Body::Local(_) => panic!("a local frame among the lost"),
        });
        commits.map(|recorded| recorded.commit.id).collect()
    }

    /// Every commit is in one place.
    fn places(&self) -> Result<BTreeSet<CommitId>, String> {
        let mut all = BTreeSet::new();
        let parked = self.parked.keys().copied();
        for id in self.pending_ids().chain(self.log_ids()).chain(parked) {
            if !all.insert(id) {
                return Err(format!("commit {id} is in two places of one database"));
            }
        }
        Ok(all)
    }
}

impl Disk {
    pub fn new(replica: ReplicaId) -> Self {
        Self {
            content: Content::new(replica),
            life: 0,
            written: BTreeMap::new(),
            bug: Bug::None,
            crash: None,
            rolled_back: false,
        }
    }

    /// May the next change be made?
    fn alive(&mut self) -> bool {
        let Some(crash) = &mut self.crash else {
            return true;
        };
        if crash.happened {
            return false;
        }
        if crash.left > 0 {
            crash.left -= 1;
            return true;
        }
        crash.happened = true;
        crash.made
    }

    pub fn wipe(&mut self, replica: ReplicaId) {
        self.content = Content::new(replica);
        self.life += 1;
    }

    pub fn write(&mut self, batch: &WriteBatch, fault: Fault) -> Result<Written, StoreError> {
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
        if batch.expected != actual && self.bug != Bug::NoFence {
            return Ok(Written::Stale { actual });
        }
        if self.bug == Bug::WriteNotKept && actual.value() % 7 == 6 {
            self.content.head.generation = batch.head.generation;
            return Ok(Written::Done);
        }
        assert_eq!(batch.head.generation, batch.expected.next());
        let mut after = self.content.clone();
        for op in &batch.ops {
            self.apply(&mut after, op);
        }
        let before = after.head.cursor;
        after.head = batch.head;
        let cut = batch
            .ops
            .iter()
            .any(|op| matches!(op, StoreOp::ClearLog | StoreOp::TruncateLog { .. }));
        assert!(
            cut || after.head.cursor.position >= before.position,
            "the cursor moved back from {before} to {}",
            after.head.cursor
        );
        assert_eq!(
            after.log_end(),
            after.head.cursor.position,
            "the cursor is not where the log ends"
        );
        self.content = after;
        match fault {
            Fault::LostAfter => Err(StoreError::ConnectionLost { detail }),
            _ => Ok(Written::Done),
        }
    }

    fn apply(&mut self, content: &mut Content, op: &StoreOp) {
        match op {
            StoreOp::AddPending {
                first,
                frame,
                outcomes,
            } => {
                let Body::Local(locals) = frame::decode(frame).unwrap().body else {
                    panic!("a recorded frame under pending");
                };
                assert_eq!(locals.len(), outcomes.len());
                assert_eq!(locals[0].commit.seq, *first);
                for local in &locals {
                    self.note(&local.commit, content.replica);
                }
                let pending = Pending {
                    frame: frame.clone(),
                    outcomes: outcomes.clone(),
                    ids: locals.iter().map(|local| local.commit.id).collect(),
                };
                let taken = content.pending.insert(*first, pending);
                assert!(taken.is_none(), "pending {first} is taken");
            }
            StoreOp::PutOutcomes { first, outcomes } => {
                let pending = content.pending.get_mut(first).expect("no pending frame");
                assert_eq!(pending.outcomes.len(), outcomes.len());
                let mut places = pending.outcomes.iter().zip(outcomes);
                let revived =
                    places.any(|(old, new)| *old == Outcome::Settled && *new != Outcome::Settled);
                assert!(!revived, "a settled commit came back");
                pending.outcomes.clone_from(outcomes);
                if outcomes.iter().all(|outcome| *outcome == Outcome::Settled) {
                    content.pending.remove(first);
                }
            }
            StoreOp::AddLog { first, frame } => {
                let Body::Recorded(commits) = frame::decode(frame).unwrap().body else {
                    panic!("a local frame in the log");
                };
                assert_eq!(content.log_end().next(), *first, "the log has a gap");
                let ids = commits.iter().map(|recorded| recorded.commit.id).collect();
                content.log.insert(*first, (frame.clone(), ids));
            }
            StoreOp::ClearLog => {
                let gone: Vec<_> = content.log_ids().collect();
                content.elsewhere.extend(gone);
                content.log.clear();
                content.gaps.clear();
                content.snapshot = None;
                content.damaged = false;
            }
            StoreOp::TruncateLog { after, gaps } => {
                let gone = content.log.split_off(&after.next());
                let gone = gone.into_values().flat_map(|(_, ids)| ids);
                content.elsewhere.extend(gone);
                content.gaps.clone_from(gaps);
                content.damaged = false;
            }
            StoreOp::Quarantine { first } => {
                if let Some((_, ids)) = content.log.remove(first) {
                    content.elsewhere.extend(ids);
                }
            }
            StoreOp::PutParked { .. } if self.bug == Bug::ParkingForgotten => {}
            StoreOp::PutParked { id, record } => {
                assert_eq!(Parked::decode(record).unwrap().local.commit.id, *id);
                content.parked.insert(*id, record.clone());
            }
            StoreOp::RemoveParked { id } => {
                content.parked.remove(id);
            }
            StoreOp::SetReplica { replica } => {
                content.replica = *replica;
                content.renamed = true;
            }
            StoreOp::AddLost { frame } => content.lost.push(frame.clone()),
        }
    }

    fn note(&mut self, commit: &Commit, replica: ReplicaId) {
        let _ = replica;
        let digest = commit_digest(commit);
        let known = self.written.insert((commit.id, commit.attempt), digest);
        assert!(
            self.rolled_back || known.is_none_or(|known| known == digest),
            "attempt {} of {} was written with other bytes before",
            commit.attempt,
            commit.id
        );
    }

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
            log.push(frame.clone());
        }
        let pending = content.pending.iter().map(|(first, pending)| PendingFrame {
            first: *first,
            frame: pending.frame.clone(),
            outcomes: pending.outcomes.clone(),
        });
        let parked = content.parked.iter().map(|(id, record)| ParkedRecord {
            id: *id,
            record: record.clone(),
        });
        Loaded {
            replica: content.replica,
            head: content.head,
            pending: pending.collect(),
            parked: parked.collect(),
            log,
            more,
            gaps: content.gaps.clone(),
        }
    }

    pub fn frames(&self) -> Vec<Vec<u8>> {
        let frames = self.content.log.values();
        frames.map(|(frame, _)| frame.clone()).collect()
    }

    /// Merges a run of frames. `false` if one of them is damaged.
    pub fn compact(&mut self, from: usize, count: usize) -> bool {
        if !self.alive() {
            return false;
        }
        let run = self.content.log.iter().skip(from).take(count);
        let run: Vec<_> = run
            .map(|(first, (frame, ids))| (*first, frame.clone(), ids.clone()))
            .collect();
        let frames: Vec<&[u8]> = run.iter().map(|(_, frame, _)| frame.as_slice()).collect();
        let Some((first, ..)) = run.first() else {
            return true;
        };
        let Ok(merged) = frame::merge(&frames) else {
            return false;
        };
        let ids = run
            .iter()
            .flat_map(|(.., ids)| ids.iter().copied())
            .collect();
        for (first, ..) in &run {
            self.content.log.remove(first);
        }
        self.content.log.insert(*first, (merged.frame, ids));
        true
    }

    /// Forgets frames that a snapshot stands for.
    pub fn prune(&mut self, frames: usize) {
        if !self.alive() {
            return;
        }
        let Some(snapshot) = &self.content.snapshot else {
            return;
        };
        for _ in 0..frames {
            let Some((first, (frame, ids))) = self.content.log.first_key_value() else {
                return;
            };
            let last = frame::header(frame).unwrap().last_position();
            if last > snapshot.checkpoint.position {
                return;
            }
            let (first, ids) = (*first, ids.clone());
            self.content.log.remove(&first);
            self.content.elsewhere.extend(ids);
            let (from, reason) = (Position::new(1), GapReason::Retention);
            self.content.gaps = vec![Gap {
                from,
                to: last,
                reason,
            }];
            self.content.head.generation = self.content.head.generation.next();
        }
    }

    /// Saves a tab's state by the rules of a store.
    pub fn save(&mut self, mut new: Snapshot, whole: bool, base: Position) -> bool {
        if !self.alive() {
            return false;
        }
        let head = self.content.head.cursor;
        if new.checkpoint.epoch != head.epoch || new.checkpoint.position > head.position {
            return false;
        }
        let old = self.content.snapshot.as_ref();
        let old = old.filter(|old| old.checkpoint.epoch == head.epoch);
        if old.is_some_and(|old| old.checkpoint.position > new.checkpoint.position) {
            return false;
        }
        if !whole {
            let Some(old) = old else { return false };
            if old.checkpoint.position != base || old.buckets != new.buckets {
                return false;
            }
            let mut heads = old.heads.clone();
            heads.append(&mut new.heads);
            new.heads = heads;
        }
        self.content.snapshot = Some(new);
        true
    }

    /// The snapshot, if it is one of the log as it is.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        let head = self.content.head.cursor;
        self.content.snapshot.as_ref().filter(|snapshot| {
            let at = snapshot.checkpoint;
            at.epoch == head.epoch && at.position <= head.position
        })
    }

    /// Flips a bit of a frame, behind its header.
    pub fn damage(&mut self, frame: usize, byte: usize) {
        self.content.damaged = true;
        let (bytes, _) = self.content.log.values_mut().nth(frame).unwrap();
        let inside = frame::HEADER_BYTES + byte % (bytes.len() - frame::HEADER_BYTES);
        bytes[inside] ^= 1;
    }

    /// All commits it holds, each in one place.
    pub fn places(&self) -> Result<BTreeSet<CommitId>, String> {
        self.content.places()
    }
}

impl Content {
    fn log_end(&self) -> Position {
        self.log.last_key_value().map_or(
            self.gaps.last().map_or(Position::START, |gap| gap.to),
            |(_, (frame, _))| frame::header(frame).unwrap().last_position(),
        )
    }
}
