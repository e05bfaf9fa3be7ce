//! What was promised to whom, and whether it was kept.

use crate::disk::Disk;
use crate::server::Server;
use std::collections::{BTreeMap, BTreeSet};
use tidelog_core::replica::ReceiptState;
use tidelog_core::{ChainHash, CommitId, Epoch, Position, ReplicaId, StreamHead, StreamId};

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
    /// Histories of servers that are no more.
    pub histories: BTreeMap<Epoch, BTreeMap<Position, ChainHash>>,
    /// Order is not promised: a history, a disk or a profile was replaced.
    pub unordered: bool,
    /// How often rare things happened.
    pub sometimes: BTreeMap<&'static str, u64>,
}

impl Oracle {
    pub fn saw(&mut self, what: &'static str) {
        *self.sometimes.entry(what).or_default() += 1;
    }

    pub fn receipt(&mut self, device: usize, id: CommitId, state: &ReceiptState) {
        match state {
            ReceiptState::Durable => {
                self.promised.entry(device).or_default().insert(id);
                assert!(!self.failed.contains(&id), "{id} failed and is durable");
            }
            ReceiptState::Failed(_) => {
                self.saw("failed");
                let promised = self.promised.entry(device).or_default();
                assert!(!promised.contains(&id), "durable {id} failed");
                self.failed.insert(id);
            }
            ReceiptState::Parked => {
                self.saw("parked");
                self.parked_ever.insert(id);
            }
            ReceiptState::Acked(_) => self.saw("acked"),
            ReceiptState::Confirmed(_) => self.saw("confirmed"),
            _ => {}
        }
    }

    /// Invariants 2, 6, 7 and 15 of one device after one write.
    pub fn check_disk(&mut self, device: usize, disk: &Disk) {
        self.parked_ever.extend(disk.content.parked.keys());
        let places = disk.places().unwrap();
        let aside = disk.content.kept_aside();
        for id in self.promised.get(&device).into_iter().flatten() {
            assert!(
                places.contains(id)
                    || disk.content.elsewhere.contains(id)
                    || aside.contains(id)
                    || self.satisfied.contains(id)
                    || self.discarded.contains(id)
                    || self.excused.contains(id),
                "durable {id} is in no place of its database"
            );
        }
        for id in &self.failed {
            assert!(!places.contains(id), "failed {id} is on disk");
        }
    }

    /// Invariants 5, 8 and 15 of a server.
    pub fn check_server(&self, server: &Server) {
        let mut ordinals: BTreeMap<(u64, StreamId), (usize, CommitId)> = BTreeMap::new();
        let mut seqs: BTreeMap<(ReplicaId, StreamId), u64> = BTreeMap::new();
        let mut heads: BTreeMap<StreamId, StreamHead> = BTreeMap::new();
        for recorded in &server.log {
            let commit = &recorded.commit;
            assert!(
                !self.failed.contains(&commit.id),
                "failed {} is on the server",
                commit.id
            );
            for condition in &commit.conditions {
                let head = heads.get(&condition.stream);
                assert!(
                    condition.expected.holds(head),
                    "{} was taken with a stale expectation",
                    commit.id
                );
            }
            for versions in &recorded.versions {
                let version = versions.last;
                let last = commit.last_on(&versions.stream).unwrap();
                heads.insert(versions.stream.clone(), StreamHead { version, last });
            }
            if self.unordered {
                continue;
            }
            let origin = self.created[&commit.id];
            for (stream, _) in commit.written() {
                let seq = commit.seq.value();
                let before = seqs.insert((commit.replica, stream.clone()), seq);
                assert!(
                    before.is_none_or(|before| before < seq),
                    "{} reached {stream} out of the order of its replica",
                    commit.id
                );
                if self.parked_ever.contains(&commit.id) {
                    continue;
                }
                let key = (origin.tab, stream.clone());
                let before = ordinals.insert(key, (origin.ordinal, commit.id));
                if let Some((ordinal, other)) = before {
                    assert!(
                        ordinal < origin.ordinal,
                        "{} reached {stream} after {other}, which was made later",
                        commit.id
                    );
                }
            }
        }
    }

    /// Invariant 7 when all is quiet: every commit is somewhere, and in one place.
    pub fn check_end(&self, server: &Server, disks: &[Disk]) {
        for (id, origin) in &self.created {
            let parked = disks
                .iter()
                .any(|disk| disk.content.parked.contains_key(id));
            let confirmed = server.has(*id);
            let mut aside = disks.iter().filter(|disk| disk.content.renamed);
            assert!(!(parked && confirmed), "{id} is confirmed and parked");
            assert!(
                parked
                    || confirmed
                    || aside.any(|disk| disk.content.kept_aside().contains(id))
                    || self.failed.contains(id)
                    || self.satisfied.contains(id)
                    || self.discarded.contains(id)
                    || self.excused.contains(id),
                "{id} of {origin:?} is nowhere"
            );
        }
    }
}
