//! What was promised to whom, and whether it was kept.
//!
//! It looks at what a step changed, so that looking after every step costs little; everything is looked at again now and
//! then and at the end.

use crate::disk::Disk;
use crate::hold;
use crate::reading;
use crate::server::Server;
use crate::trace::Trace;
use std::collections::{BTreeMap, BTreeSet};
use tidelog_core::protocol::{CommitResult, Verdict};
use tidelog_core::replica::ReceiptState;
use tidelog_core::{
    Attempt, ChainHash, Commit, CommitId, Digest, Epoch, Position, Recorded, ReplicaId, StreamHead,
    StreamId,
};

#[derive(Debug, Clone, Copy)]
pub struct Origin {
    pub device: usize,
    pub tab: u64,
    pub ordinal: usize,
}

#[derive(Debug, Default)]
pub struct Oracle {
    pub created: BTreeMap<CommitId, Origin>,
    /// Durable receipts, by device.
    pub promised: BTreeMap<usize, BTreeSet<CommitId>>,
    pub failed: BTreeSet<CommitId>,
    /// Commands that had nothing left to do.
    pub satisfied: BTreeSet<CommitId>,
    pub discarded: BTreeSet<CommitId>,
    pub parked_ever: BTreeSet<CommitId>,
    /// In the memory of a tab that was killed, or on a disk that was wiped or put back: it may be gone.
    pub excused: BTreeSet<CommitId>,
    /// The server erased in them: a history that lost them does not get them again.
    pub erased: BTreeSet<CommitId>,
    /// Every history that a server ever had.
    pub histories: BTreeMap<Epoch, BTreeMap<Position, ChainHash>>,
    /// Order is not promised: a history, a disk or a profile was replaced.
    pub unordered: bool,
    /// How often rare things happened.
    pub sometimes: BTreeMap<&'static str, u64>,
    /// The story so far.
    pub trace: Trace,
    order: Order,
    /// What every attempt said that was ever sent.
    pub sent: BTreeMap<(CommitId, Attempt), Digest>,
    /// An attempt may be decided anew: a disk was wiped, put back or copied.
    pub rolled_back: bool,
    /// What the server answered about each commit of a history.
    answered: BTreeMap<(Epoch, CommitId), (Attempt, Position)>,
}

/// The server's log as the oracle reads it, as far as it has read.
#[derive(Debug, Default)]
struct Order {
    read: usize,
    ordinals: BTreeMap<(u64, StreamId), (usize, CommitId)>,
    seqs: BTreeMap<(ReplicaId, StreamId), u64>,
    heads: BTreeMap<StreamId, StreamHead>,
}

impl Oracle {
    /// One that has seen nothing yet.
    #[must_use]
    pub fn new(trace: Trace) -> Self {
        Self {
            trace,
            ..Self::default()
        }
    }

    /// A rare thing happened.
    pub fn saw(&mut self, what: &'static str) {
        *self.sometimes.entry(what).or_default() += 1;
    }

    pub fn receipt(&mut self, device: usize, id: CommitId, state: &ReceiptState) {
        self.trace.mark(word(id));
        match state {
            ReceiptState::Durable => {
                self.trace.mark(1);
                self.promised.entry(device).or_default().insert(id);
                hold!(15, !self.failed.contains(&id), "{id} failed and is durable");
            }
            ReceiptState::Failed(_) => {
                self.trace.mark(2);
                self.saw("a write failed");
                let promised = self.promised.entry(device).or_default();
                hold!(2, !promised.contains(&id), "durable {id} failed");
                self.failed.insert(id);
            }
            ReceiptState::Parked => {
                self.trace.mark(3);
                self.saw("parked");
                self.parked_ever.insert(id);
            }
            ReceiptState::Acked(position) => self.trace.mark(position.value() << 8 | 4),
            ReceiptState::Confirmed(position) => self.trace.mark(position.value() << 8 | 5),
            _ => self.trace.mark(6),
        }
    }

    fn is_accounted_for(&self, id: CommitId) -> bool {
        self.satisfied.contains(&id) || self.discarded.contains(&id) || self.excused.contains(&id)
    }

    /// Invariants 2, 6, 7 and 15 of what the last write of a device changed.
    pub fn check_write(&mut self, device: usize, disk: &Disk) {
        let promised = self.promised.get(&device);
        for id in &disk.touched {
            let places = disk.content.places_of(*id);
            hold!(7, places <= 1, "{id} is in {places} places of one database");
            if disk.content.parked.contains_key(id) {
                self.parked_ever.insert(*id);
            }
            hold!(
                15,
                places == 0 || !self.failed.contains(id),
                "failed {id} is on disk"
            );
            if places == 0 && promised.is_some_and(|promised| promised.contains(id)) {
                hold!(
                    2,
                    disk.content.elsewhere.contains(id)
                        || self.is_accounted_for(*id)
                        || disk.content.kept_aside().contains(id),
                    "durable {id} has left its database"
                );
            }
        }
    }

    /// The same of everything on a device.
    pub fn check_disk(&mut self, device: usize, disk: &Disk) {
        self.parked_ever.extend(disk.content.parked.keys());
        let places = disk.places().unwrap_or_else(|message| {
            crate::violation::broken(7, format_args!("{message}"));
        });
        let aside = disk.content.kept_aside();
        for id in self.promised.get(&device).into_iter().flatten() {
            hold!(
                2,
                places.contains(id)
                    || disk.content.elsewhere.contains(id)
                    || aside.contains(id)
                    || self.is_accounted_for(*id),
                "durable {id} is in no place of its database"
            );
        }
        for id in &self.failed {
            hold!(15, !places.contains(id), "failed {id} is on disk");
        }
    }

    /// Invariants 1 and 4 of what a server answers.
    pub fn check_answer(&mut self, epoch: Epoch, result: &CommitResult) {
        let (Verdict::Accepted {
            accepted_attempt,
            positions,
            ..
        }
        | Verdict::Duplicate {
            accepted_attempt,
            positions,
            ..
        }) = &result.verdict
        else {
            return;
        };
        let answer = (*accepted_attempt, positions.last);
        let first = *self.answered.entry((epoch, result.id)).or_insert(answer);
        hold!(
            4,
            first == answer,
            "{} got another receipt than the first time",
            result.id
        );
    }

    /// Invariant 1: what was acknowledged is in every later state of the server.
    pub fn check_acknowledged(&self, server: &Server) {
        for ((epoch, id), (attempt, position)) in &self.answered {
            if *epoch == server.epoch {
                let receipt = server.receipt(*id);
                let there = receipt.map(|receipt| (receipt.attempt, receipt.last));
                hold!(
                    1,
                    there == Some((*attempt, *position)),
                    "{id} was acknowledged at {position} and is at {there:?}"
                );
            }
        }
    }

    /// The server has another log: it is read again from the beginning.
    pub fn read_again(&mut self) {
        self.order = Order::default();
    }

    /// Invariants 5, 8 and 15 of what a server has stored since it was last looked at.
    pub fn check_server(&mut self, server: &Server) {
        if self.order.read > server.log.len() {
            self.read_again();
        }
        if self.order.read == server.log.len() {
            return;
        }
        let history = self.histories.entry(server.epoch).or_default();
        if self.order.read == 0 {
            history.insert(Position::START, ChainHash::default());
        }
        for recorded in &server.log[self.order.read..] {
            let commit = &recorded.commit;
            let sent = self.sent.get(&(commit.id, commit.attempt));
            hold!(
                6,
                self.rolled_back || sent.is_none_or(|sent| *sent == reading::digest(commit)),
                "{} is not on the server as it was sent",
                commit.id
            );
            let last = recorded.last_position();
            history.insert(last, server.chains[&last]);
        }
        for recorded in &server.log[self.order.read..] {
            self.read(recorded);
        }
        self.order.read = server.log.len();
    }

    fn read(&mut self, recorded: &Recorded) {
        let commit = &recorded.commit;
        self.trace
            .mark(word(commit.id) ^ u64::from(commit.attempt.value()));
        self.trace.mark(recorded.position.value());
        hold!(
            15,
            !self.failed.contains(&commit.id),
            "failed {} is on the server",
            commit.id
        );
        let order = &mut self.order;
        for condition in &commit.conditions {
            let head = order.heads.get(&condition.stream);
            hold!(
                5,
                condition.expected.holds(head),
                "{} was taken with a stale expectation",
                commit.id
            );
        }
        for versions in &recorded.versions {
            let version = versions.last;
            let last = commit.last_on(&versions.stream).unwrap();
            let head = StreamHead { version, last };
            let before = order.heads.insert(versions.stream.clone(), head);
            hold!(
                3,
                versions.first == before.map(|head| head.version).unwrap_or_default().next(),
                "a gap in {}",
                versions.stream
            );
        }
        if self.unordered {
            return;
        }
        let Some(origin) = self.created.get(&commit.id) else {
            return;
        };
        for (stream, _) in commit.written() {
            let seq = commit.seq.value();
            let before = order.seqs.insert((commit.replica, stream.clone()), seq);
            hold!(
                8,
                before.is_none_or(|before| before < seq),
                "{} reached {stream} out of the order of its replica",
                commit.id
            );
            if self.parked_ever.contains(&commit.id) {
                continue;
            }
            let key = (origin.tab, stream.clone());
            let before = order.ordinals.insert(key, (origin.ordinal, commit.id));
            if let Some((ordinal, other)) = before {
                hold!(
                    8,
                    ordinal < origin.ordinal,
                    "{} reached {stream} after {other}, which was made later",
                    commit.id
                );
            }
        }
    }

    /// Invariant 7 when all is quiet: every commit is somewhere, and in one place.
    pub fn check_end<'d>(&self, server: &Server, disks: impl Iterator<Item = &'d Disk> + Clone) {
        let aside: BTreeSet<CommitId> = disks
            .clone()
            .flat_map(|disk| disk.content.kept_aside())
            .collect();
        let log = server.log.iter().map(|recorded| &recorded.commit);
        let log: BTreeMap<CommitId, &Commit> = log.map(|commit| (commit.id, commit)).collect();
        for (id, origin) in &self.created {
            let mut parked = disks
                .clone()
                .filter(|disk| disk.content.parked.contains_key(id));
            let confirmed = log.get(id);
            // What a copied profile no longer asks for may have been confirmed by the original, behind a gap.
            let both = confirmed.is_some_and(|commit| {
                let mut parked = parked.clone();
                parked.any(|disk| disk.content.filters.kept.matches(commit))
            });
            hold!(7, !both, "{id} is confirmed and parked");
            let (parked, confirmed) = (parked.next().is_some(), confirmed.is_some());
            hold!(
                7,
                parked
                    || confirmed
                    || aside.contains(id)
                    || self.failed.contains(id)
                    || (self.histories.len() > 1 && self.erased.contains(id))
                    || self.is_accounted_for(*id),
                "{id} of {origin:?} is nowhere"
            );
        }
    }
}

/// A commit as a number for the trace.
#[must_use]
pub fn word(id: CommitId) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&id.as_bytes()[..8]);
    u64::from_le_bytes(word)
}
