//! What admission reads and writes of one log, inside a transaction that holds the log's head.

use super::{LogState, StoreError};
use std::collections::BTreeMap;
use tidelog_core::authority::Known;
use tidelog_core::hash::commit_digest;
use tidelog_core::{
    ChainHash, CommitId, Digest, Epoch, Position, Recorded, ReplicaId, Seq, StreamHead, StreamId,
    StreamVersions, Subject, Timestamp, frame,
};

/// One log as its holder sees it. Every read tells what was stored before and what [`Ledger::store`] has stored since.
pub(super) trait Ledger {
    /// The history and its end.
    fn state(&self) -> LogState;

    /// When the newest commit was recorded.
    fn recorded_at(&self) -> Timestamp;

    /// The chain hash at a position that is neither the beginning nor the end; `None` if no commit ends there.
    fn chain_at(&mut self, position: Position) -> Result<Option<ChainHash>, StoreError>;

    /// The subject that a replica belongs to; `None` if it is new.
    fn owner(&mut self, replica: ReplicaId) -> Result<Option<Option<Subject>>, StoreError>;

    /// Gives a new replica to a subject.
    fn bind(&mut self, replica: ReplicaId, subject: Option<&Subject>) -> Result<(), StoreError>;

    /// The highest sequence number of a replica.
    fn last_seq(&mut self, replica: ReplicaId) -> Result<Seq, StoreError>;

    /// The commit that has this sequence number of a replica.
    fn seq_taken_by(
        &mut self,
        replica: ReplicaId,
        seq: Seq,
    ) -> Result<Option<CommitId>, StoreError>;

    /// The commit of this id.
    fn known(&mut self, id: CommitId) -> Result<Option<Known>, StoreError>;

    /// Of these streams, the ends of those that exist.
    fn streams(
        &mut self,
        streams: &[&StreamId],
    ) -> Result<BTreeMap<StreamId, StreamHead>, StoreError>;

    /// Whether a stream that was asked for takes no more events.
    fn is_tombstoned(&self, stream: &StreamId) -> bool;

    /// Stores a commit and moves the log's end past it.
    fn store(&mut self, entry: Entry) -> Result<(), StoreError>;
}

/// An accepted commit with all that follows from it.
#[derive(Debug)]
pub(super) struct Entry {
    /// The commit and its place.
    pub(super) recorded: Recorded,
    /// What its author wrote.
    pub(super) digest: Digest,
    /// The chain hash after it.
    pub(super) chain: ChainHash,
    /// It as a frame of its own.
    pub(super) frame: Vec<u8>,
}

impl Entry {
    /// The commit that follows on this chain hash.
    pub(super) fn of(epoch: Epoch, chain_before: ChainHash, recorded: Recorded) -> Self {
        let alone = std::slice::from_ref(&recorded);
        Self {
            digest: commit_digest(&recorded.commit),
            chain: chain_before.after(&recorded),
            frame: frame::encode_recorded(epoch, chain_before, alone),
            recorded,
        }
    }

    /// The streams it writes, with the end that each has after it.
    pub(super) fn written(&self) -> impl Iterator<Item = (&StreamVersions, StreamHead)> {
        self.recorded.versions.iter().filter_map(|versions| {
            let last = self.recorded.commit.last_on(&versions.stream)?;
            let version = versions.last;
            Some((versions, StreamHead { version, last }))
        })
    }
}
