//! A device's database: the contract of `tidelog_core::store` in memory, with an index for the oracle.

use std::collections::{BTreeMap, BTreeSet};
use tidelog_core::frame::{self, Body};
use tidelog_core::hash::commit_digest;
use tidelog_core::replica::Parked;
use tidelog_core::store::{
    Head, Loaded, Outcome, ParkedRecord, PendingFrame, StoreError, StoreOp, WriteBatch, Written,
};
use tidelog_core::{Attempt, Commit, CommitId, Digest, Position, ReplicaId, Seq};

#[derive(Debug, Clone)]
pub(super) struct Pending {
    frame: Vec<u8>,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) ids: Vec<CommitId>,
}

#[derive(Debug, Clone)]
pub(super) struct Content {
    pub(super) replica: ReplicaId,
    pub(super) head: Head,
    pub(super) pending: BTreeMap<Seq, Pending>,
    pub(super) log: BTreeMap<Position, (Vec<u8>, Vec<CommitId>)>,
    pub(super) parked: BTreeMap<CommitId, Vec<u8>>,
    pub(super) lost: Vec<Vec<u8>>,
    /// It got another replica id: what the earlier one wrote counts as somebody else's.
    pub(super) renamed: bool,
}

/// What a store or a server does wrong, so that the oracle proves that it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Bug {
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

/// How a write goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    Quota,
    Abort,
    LostBefore,
    LostAfter,
}

#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) content: Content,
    /// Handles of another life find their database gone.
    pub(super) life: u64,
    /// What every attempt that was ever written here said.
    pub(super) written: BTreeMap<(CommitId, Attempt), Digest>,
    pub(super) bug: Bug,
    /// Attempts may be written twice with other bytes: an older copy was put back.
    pub(super) rolled_back: bool,
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
            renamed: false,
        }
    }

    pub(super) fn pending_ids(&self) -> impl Iterator<Item = CommitId> + '_ {
        self.pending.values().flat_map(|pending| {
            let outcomes = pending.ids.iter().zip(&pending.outcomes);
            outcomes.filter_map(|(id, outcome)| (*outcome != Outcome::Settled).then_some(*id))
        })
    }

    pub(super) fn log_ids(&self) -> impl Iterator<Item = CommitId> + '_ {
        self.log.values().flat_map(|(_, ids)| ids.iter().copied())
    }

    /// What a history that is no more had of an earlier replica id of this device: kept aside to be exported.
    pub(super) fn kept_aside(&self) -> BTreeSet<CommitId> {
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
    pub(super) fn new(replica: ReplicaId) -> Self {
        Self {
            content: Content::new(replica),
            life: 0,
            written: BTreeMap::new(),
            bug: Bug::None,
            rolled_back: false,
        }
    }

    pub(super) fn wipe(&mut self, replica: ReplicaId) {
        self.content = Content::new(replica);
        self.life += 1;
    }

    pub(super) fn write(
        &mut self,
        batch: &WriteBatch,
        fault: Fault,
    ) -> Result<Written, StoreError> {
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
        let cleared = batch.ops.contains(&StoreOp::ClearLog);
        assert!(
            cleared || after.head.cursor.position >= before.position,
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
            StoreOp::ClearLog => content.log.clear(),
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

    pub(super) fn load(&self, after: Position, max_bytes: usize) -> Loaded {
        let content = &self.content;
        let mut log = Vec::new();
        let mut bytes = 0;
        let mut more = false;
        for (frame, _) in content.log.range(after.next()..).map(|(_, frame)| frame) {
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
        }
    }

    pub(super) fn frames(&self, first_positions: &[Position]) -> Vec<Vec<u8>> {
        let frames = first_positions.iter();
        let frames = frames.filter_map(|first| self.content.log.get(first));
        frames.map(|(frame, _)| frame.clone()).collect()
    }

    /// All commits it holds, each in one place.
    pub(super) fn places(&self) -> Result<BTreeSet<CommitId>, String> {
        self.content.places()
    }
}

impl Content {
    fn log_end(&self) -> Position {
        self.log
            .last_key_value()
            .map_or(Position::START, |(_, (frame, _))| {
                frame::header(frame).unwrap().last_position()
            })
    }
}
