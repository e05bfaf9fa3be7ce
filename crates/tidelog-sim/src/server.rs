//! A server: `authority::admit` around an ordered log in memory.

use crate::disk::Bug;
use std::collections::BTreeMap;
use tidelog_core::authority::{Admission, Facts, Known, Receipt, Rejection, RejectionCode, admit};
use tidelog_core::frame;
use tidelog_core::hash::commit_digest;
use tidelog_core::protocol::{CommitResult, LogHead, PushResponse, Verdict};
use tidelog_core::{
    Attempt, ChainHash, Commit, CommitId, Cursor, Epoch, EventId, Position, Recorded, ReplicaId,
    Seq, StreamHead, StreamId, Timestamp,
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
    pub bug: Bug,
}

impl Server {
    pub fn new(epoch: Epoch) -> Self {
        let chains = BTreeMap::from([(Position::START, ChainHash::default())]);
        Self {
            epoch,
            chains,
            ..Self::default()
        }
    }

    pub fn head(&self) -> LogHead {
        let (position, chain) = self.chains.last_key_value().unwrap();
        LogHead {
            position: *position,
            chain: *chain,
        }
    }

    pub fn has(&self, id: CommitId) -> bool {
        self.known.contains_key(&id)
    }

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
        PushResponse {
            epoch: self.epoch,
            head: self.head(),
            results,
        }
    }

    fn admit(&mut self, now: i64, commit: &Commit) -> Admission {
        let head = self.head();
        let known = self.known.get(&commit.id);
        let mut free = commit.clone();
        free.conditions.clear();
        let trusting = self.bug == Bug::StaleExpectationTaken && known.is_none();
        let judged = if trusting { &free } else { commit };
        let place = (commit.replica, commit.seq);
        let facts = Facts {
            head: head.position,
            actor: None,
            known: known.cloned(),
            seq_taken_by: self.seqs.get(&place).copied(),
        };
        let admission = admit(judged, &facts, |stream| self.heads.get(stream).copied());
        match &admission {
            Admission::Accept(_)
                if self.bug == Bug::AckedNotStored && commit.id.as_bytes()[1] < 20 => {}
            Admission::Accept(receipt) => self.store(now, commit, receipt),
            Admission::Duplicate(receipt) => {
                let first = &self.receipts[&(commit.id, receipt.attempt)];
                assert_eq!(first, receipt, "a repeated push got another receipt");
            }
            Admission::Conflict(_) => {
                assert!(facts.known.is_none(), "an own retry conflicts");
            }
            Admission::Reject(_) => {}
        }
        admission
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
        assert_eq!(recorded.position, head.position.next());
        for versions in &receipt.versions {
            let before = self.heads.get(&versions.stream);
            let before = before.map_or(0, |head| head.version.value());
            assert_eq!(versions.first.value(), before + 1, "a gap in a stream");
            let last: EventId = commit.last_on(&versions.stream).unwrap();
            let version = versions.last;
            let head = StreamHead { version, last };
            self.heads.insert(versions.stream.clone(), head);
        }
        let chain = head.chain.after(&recorded);
        self.chains.insert(receipt.last, chain);
        let known = Known {
            receipt: receipt.clone(),
            digest: commit_digest(commit),
            actor: None,
        };
        assert!(
            self.known.insert(commit.id, known).is_none(),
            "stored twice"
        );
        self.seqs.insert((commit.replica, commit.seq), commit.id);
        self.receipts
            .insert((commit.id, commit.attempt), receipt.clone());
        self.log.push(recorded);
    }

    /// Frames of about `per_frame` commits after a cursor, at most `frames`, or that the cursor is of another history.
    pub fn pull(
        &self,
        cursor: Cursor,
        per_frame: usize,
        frames: usize,
    ) -> Option<(Vec<Vec<u8>>, Position)> {
        let known = cursor.position == Position::START
            || (cursor.epoch == self.epoch
                && self.chains.get(&cursor.position) == Some(&cursor.chain));
        if !known {
            return None;
        }
        let after = self
            .log
            .partition_point(|recorded| recorded.position <= cursor.position);
        let runs = self.log[after..]
            .chunks(per_frame.max(1))
            .take(frames.max(1));
        let frames = runs.map(|run| {
            let before = Position::new(run[0].position.value() - 1);
            frame::encode_recorded(self.epoch, self.chains[&before], run)
        });
        Some((frames.collect(), self.head().position))
    }

    /// A server restored from a copy that has the first `commits` of the log.
    pub fn restored(&self, epoch: Epoch, commits: usize) -> Self {
        let mut server = Self::new(epoch);
        for recorded in self.log.iter().take(commits) {
            let receipt = self.receipts[&(recorded.commit.id, recorded.commit.attempt)].clone();
            server.store(recorded.recorded_at.millis(), &recorded.commit, &receipt);
        }
        server
    }
}
