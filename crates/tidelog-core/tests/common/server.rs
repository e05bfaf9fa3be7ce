//! The smallest storage around the admission rule: maps, and every rule of the log checked as it grows.

use std::collections::{BTreeMap, BTreeSet};
use tidelog_core::authority::{Admission, Facts, Known, Receipt, admit};
use tidelog_core::hash::commit_digest;
use tidelog_core::*;

#[derive(Debug, Default)]
pub struct Server {
    pub heads: BTreeMap<StreamId, StreamHead>,
    pub log: Vec<Recorded>,
    known: BTreeMap<CommitId, Known>,
    seqs: BTreeMap<(ReplicaId, Seq), CommitId>,
    pub head: Position,
    pub tombstoned: BTreeSet<StreamId>,
}

impl Server {
    pub fn push(&mut self, commit: &Commit) -> Admission {
        self.push_as(None, commit)
    }

    pub fn push_as(&mut self, actor: Option<&str>, commit: &Commit) -> Admission {
        let actor = actor.map(|name| Subject::new(name).unwrap());
        let facts = Facts {
            head: self.head,
            actor: actor.clone(),
            known: self.known.get(&commit.id).cloned(),
            seq_taken_by: self.seqs.get(&(commit.replica, commit.seq)).copied(),
            tombstoned: self.tombstoned.iter().cloned().collect(),
        };
        let admission = admit(commit, &facts, |stream| self.heads.get(stream).copied());
        if let Admission::Accept(receipt) = &admission {
            self.store(commit, receipt, actor);
        }
        admission
    }

    fn store(&mut self, commit: &Commit, receipt: &Receipt, actor: Option<Subject>) {
        assert_eq!(receipt.attempt, commit.attempt);
        assert_eq!(receipt.first, self.head.next(), "positions have no gaps");
        assert_eq!(receipt.last, self.head.plus(commit.events.len() as u64));
        let recorded = Recorded {
            commit: commit.clone(),
            position: receipt.first,
            recorded_at: Timestamp::default(),
            actor: actor.clone(),
            versions: receipt.versions.clone(),
        };
        assert_eq!(recorded.last_position(), receipt.last);
        let versions = recorded.event_versions();
        for (index, (event, version)) in commit.events.iter().zip(versions).enumerate() {
            let before = self
                .heads
                .get(&event.stream)
                .map_or(Version::NONE, |head| head.version);
            assert_eq!(version, before.next(), "versions have no gaps");
            let head = StreamHead {
                version,
                last: commit.event_id(index),
            };
            self.heads.insert(event.stream.clone(), head);
        }
        for versions in &receipt.versions {
            let head = &self.heads[&versions.stream];
            assert_eq!(head.version, versions.last);
            assert_eq!(Some(head.last), commit.last_on(&versions.stream));
        }
        self.head = receipt.last;
        self.seqs.insert((commit.replica, commit.seq), commit.id);
        let digest = commit_digest(commit);
        self.known.insert(
            commit.id,
            Known {
                receipt: receipt.clone(),
                digest,
                actor,
            },
        );
        self.log.push(recorded);
    }
}
