//! A server: `authority::admit` around an ordered log, on a store that commits and flushes as a database does.
//!
//! A push is one transaction: what it stores is there whole or not at all, and its answer leaves after the flush. So a kill
//! in its middle, a full disk and a loss of power each leave the log as some transaction left it.

mod erasing;

use crate::canary::Canary;
use crate::hold;
use crate::reading;
use std::collections::{BTreeMap, BTreeSet};
use tidelog_core::authority::{Admission, Facts, Known, Receipt, Rejection, RejectionCode, admit};
use tidelog_core::frame;
use tidelog_core::protocol::{CommitResult, LogHead, PushResponse, Verdict};
use tidelog_core::{
    Attempt, ChainHash, Commit, CommitId, Cursor, Epoch, EventId, Expected, Filter, Gap, GapReason,
    GapRecord, Position, Recorded, ReplicaId, Seq, StreamHead, StreamId, Timestamp,
};

#[derive(Debug, Clone, Default)]
pub struct Server {
    pub epoch: Epoch,
    pub log: Vec<Recorded>,
    /// The chain after each commit, by the position of its last event.
    pub chains: BTreeMap<Position, ChainHash>,
    heads: BTreeMap<StreamId, StreamHead>,
    known: BTreeMap<CommitId, Known>,
    seqs: BTreeMap<(ReplicaId, Seq), CommitId>,
    receipts: BTreeMap<(CommitId, Attempt), Receipt>,
    /// Streams that take no more events.
    closed: BTreeSet<StreamId>,
    /// What each stored commit found, to be put back if its transaction is rolled back.
    undo: Vec<Vec<(StreamId, Option<StreamHead>)>>,
    /// How many commits of the log are on disk for sure.
    synced: usize,
    /// The bug planted in this model.
    pub canary: Option<Canary>,
    transactions: u64,
}

impl Server {
    #[must_use]
    pub fn new(epoch: Epoch) -> Self {
        let chains = BTreeMap::from([(Position::START, ChainHash::default())]);
        Self {
            epoch,
            chains,
            ..Self::default()
        }
    }

    #[must_use]
    pub fn head(&self) -> LogHead {
        self.head_at(self.log.len())
    }

    /// The head when the log had so many commits.
    #[must_use]
    pub fn head_at(&self, commits: usize) -> LogHead {
        let last = commits.checked_sub(1).map(|last| &self.log[last]);
        let position = last.map_or(Position::START, Recorded::last_position);
        LogHead {
            position,
            chain: self.chains[&position],
        }
    }

    #[must_use]
    pub fn has(&self, id: CommitId) -> bool {
        self.known.contains_key(&id)
    }

    /// Where a commit landed.
    #[must_use]
    pub fn receipt(&self, id: CommitId) -> Option<&Receipt> {
        self.known.get(&id).map(|known| &known.receipt)
    }

    /// One transaction, and its answer.
    pub fn push(
        &mut self,
        now: i64,
        commits: &[Commit],
        forbids: &mut impl FnMut(&Commit) -> bool,
    ) -> PushResponse {
        let results = commits.iter().map(|commit| CommitResult {
            id: commit.id,
            attempt: commit.attempt,
            verdict: if !self.has(commit.id) && forbids(commit) {
                let code = RejectionCode::Forbidden;
                let message = String::from("the server's own rule");
                Verdict::Rejected(Rejection { code, message })
            } else {
                self.admit(now, commit).into()
            },
        });
        let results = results.collect();
        self.transactions += 1;
        // Full synchronisation: an answer leaves after the flush.
        if self.canary != Some(Canary::ServerFsyncSkipped) || self.transactions.is_multiple_of(8) {
            self.synced = self.log.len();
        }
        PushResponse {
            epoch: self.epoch,
            head: self.head(),
            results,
        }
    }

    fn admit(&mut self, now: i64, commit: &Commit) -> Admission {
        let head = self.head();
        let known = self.known.get(&commit.id);
        let place = (commit.replica, commit.seq);
        let facts = Facts {
            head: head.position,
            actor: None,
            known: known.cloned(),
            seq_taken_by: self.seqs.get(&place).copied(),
            tombstoned: self.closed.iter().cloned().collect(),
        };
        let (judged, facts) = self.misjudge(commit, facts);
        let judged = judged.as_ref().unwrap_or(commit);
        let admission = admit(judged, &facts, |stream| self.heads.get(stream).copied());
        match &admission {
            Admission::Accept(_)
                if self.canary == Some(Canary::AcceptedNotStored)
                    && commit.id.as_bytes()[1] < 20 => {}
            Admission::Accept(receipt) => self.store(now, commit, receipt),
            Admission::Duplicate(receipt) => {
                let first = self.receipts.get(&(commit.id, receipt.attempt));
                hold!(
                    4,
                    first == Some(receipt),
                    "a repeated push of {} got another receipt",
                    commit.id
                );
            }
            Admission::Conflict(_) => {
                hold!(
                    5,
                    !self.has(commit.id),
                    "an own retry of {} conflicts",
                    commit.id
                );
            }
            Admission::Reject(_) => {}
        }
        admission
    }

    /// What a planted bug makes of what is to be judged.
    fn misjudge(&self, commit: &Commit, mut facts: Facts) -> (Option<Commit>, Facts) {
        let mut judged = None;
        match self.canary {
            Some(Canary::StaleExpectationTaken) if facts.known.is_none() => {
                judged = Some(Commit {
                    conditions: Vec::new(),
                    ..commit.clone()
                });
            }
            Some(Canary::ExpectedOffByOne) if facts.known.is_none() => {
                let mut other = commit.clone();
                for condition in &mut other.conditions {
                    let head = self.heads.get(&condition.stream);
                    if let (Expected::Exact { exact, .. }, Some(head)) = (condition.expected, head)
                        && exact.next() == head.version
                    {
                        condition.expected = Expected::seen(Some(head));
                    }
                }
                judged = Some(other);
            }
            Some(Canary::DuplicateBySeq) => {
                if let Some(other) = facts.seq_taken_by.take() {
                    facts.known = self.known.get(&other).cloned().map(|known| Known {
                        digest: reading::digest(commit),
                        ..known
                    });
                }
            }
            Some(Canary::DuplicateForgotten) => {
                facts.known = None;
                facts.seq_taken_by = None;
            }
            Some(Canary::OtherBytesTaken) => {
                if let Some(known) = &mut facts.known {
                    known.digest = reading::digest(commit);
                }
            }
            _ => {}
        }
        (judged, facts)
    }

    fn store(&mut self, now: i64, commit: &Commit, receipt: &Receipt) {
        let head = self.head();
        let recorded = Recorded {
            commit: commit.clone(),
            position: receipt.first,
            recorded_at: Timestamp::from_millis(now),
            actor: None,
            versions: receipt.versions.clone(),
        };
        hold!(
            3,
            recorded.position == head.position.next(),
            "a hole before {}",
            recorded.position
        );
        let mut undo = Vec::new();
        for versions in &receipt.versions {
            let last: EventId = commit.last_on(&versions.stream).unwrap();
            let version = versions.last;
            let head = StreamHead { version, last };
            let before = self.heads.insert(versions.stream.clone(), head);
            hold!(
                3,
                versions.first.value() == before.map_or(0, |head| head.version.value()) + 1,
                "a gap in {}",
                versions.stream
            );
            undo.push((versions.stream.clone(), before));
        }
        self.undo.push(undo);
        let chain = head.chain.after(&recorded);
        self.chains.insert(receipt.last, chain);
        let known = Known {
            receipt: receipt.clone(),
            digest: reading::digest(commit),
            actor: None,
        };
        hold!(
            4,
            self.known.insert(commit.id, known).is_none(),
            "{} is stored twice",
            commit.id
        );
        self.seqs.insert((commit.replica, commit.seq), commit.id);
        self.receipts
            .insert((commit.id, commit.attempt), receipt.clone());
        self.log.push(recorded);
    }

    /// A transaction that did not commit is as if it had not been.
    pub fn roll_back(&mut self, commits: usize) {
        while self.log.len() > commits {
            let (recorded, undo) = (self.log.pop().unwrap(), self.undo.pop().unwrap());
            let commit = &recorded.commit;
            self.chains.remove(&recorded.last_position());
            self.known.remove(&commit.id);
            self.seqs.remove(&(commit.replica, commit.seq));
            self.receipts.remove(&(commit.id, commit.attempt));
            for (stream, before) in undo.into_iter().rev() {
                match before {
                    Some(head) => self.heads.insert(stream, head),
                    None => self.heads.remove(&stream),
                };
            }
        }
        self.synced = self.synced.min(commits);
    }

    /// What was not flushed is gone.
    pub fn lose_power(&mut self) {
        self.roll_back(self.synced);
    }

    /// Is a cursor one of this history, as it was at so many commits?
    #[must_use]
    pub fn knows(&self, cursor: Cursor, commits: usize) -> bool {
        cursor.position == Position::START
            || (cursor.epoch == self.epoch
                && cursor.position <= self.head_at(commits).position
                && self.chains.get(&cursor.position) == Some(&cursor.chain))
    }

    /// Frames of about `per_frame` commits after a cursor, at most `frames`, or that the cursor is of another history.
    #[must_use]
    pub fn pull(
        &self,
        cursor: Cursor,
        filter: &Filter,
        per_frame: usize,
        frames: usize,
    ) -> Option<(Vec<Vec<u8>>, Position)> {
        self.pull_at(self.log.len(), cursor, filter, per_frame, frames)
    }

    /// A pull that sees the log as it was at so many commits.
    #[must_use]
    pub fn pull_at(
        &self,
        commits: usize,
        cursor: Cursor,
        filter: &Filter,
        per_frame: usize,
        frames: usize,
    ) -> Option<(Vec<Vec<u8>>, Position)> {
        if !self.knows(cursor, commits) {
            return None;
        }
        let log = &self.log[..commits];
        let after = log.partition_point(|recorded| recorded.position <= cursor.position);
        let runs = log[after..].chunks(per_frame.max(1)).take(frames.max(1));
        let frames = runs.map(|run| {
            let before = Position::new(run[0].position.value() - 1);
            let chain = self.chains[&before];
            let mut hides = false;
            let (asked, left) = run.iter().partition::<Vec<_>, _>(|recorded| {
                let asked = self.sends(&recorded.commit, filter) && !hides;
                hides = self.canary == Some(Canary::GapHidesOne) && !asked && !hides;
                asked
            });
            let mut gaps = Vec::new();
            for recorded in left {
                let (from, to) = (recorded.position, recorded.last_position());
                let reason = GapReason::Filter;
                let (gap, chain) = (Gap { from, to, reason }, self.chains[&to]);
                GapRecord { gap, chain }.push(&mut gaps);
            }
            let asked: Vec<Recorded> = asked.into_iter().cloned().collect();
            // Old runs come as segments, which have another format.
            if !gaps.is_empty() {
                frame::encode_with_gaps(self.epoch, chain, &asked, &gaps)
            } else if run.len() > 3 {
                frame::encode_segment(self.epoch, chain, run)
            } else {
                frame::encode_recorded(self.epoch, chain, run)
            }
        });
        Some((frames.collect(), self.head_at(commits).position))
    }

    fn sends(&self, commit: &Commit, filter: &Filter) -> bool {
        if self.canary == Some(Canary::FilterDropsCommit) {
            return commit
                .events
                .iter()
                .all(|event| filter.wants(&event.stream));
        }
        filter.matches(commit)
    }

    /// A server restored from a copy that has the first `commits` of the log.
    #[must_use]
    pub fn restored(&self, epoch: Epoch, commits: usize) -> Self {
        let mut server = Self {
            epoch,
            ..self.clone()
        };
        server.roll_back(commits);
        server.erase_again();
        server
    }
}
