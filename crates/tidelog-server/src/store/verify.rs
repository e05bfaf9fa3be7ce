//! Checking a stored log from its first byte to its last, against nothing but itself. The same for every database.

use super::{Erasures, LogState, StoreError, stored};
use std::collections::BTreeMap;
use tidelog_core::hash::commit_digest;
use tidelog_core::protocol::json::is_json;
use tidelog_core::{
    Attempt, ChainHash, CommitId, Digest, LogName, Position, Recorded, ReplicaId, Seq, StreamHead,
    StreamId, StreamVersions, Subject, Timestamp, Version, frame,
};

/// What a log that is whole holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Its end.
    pub state: LogState,
    /// How many commits it has.
    pub commits: u64,
    /// How many streams it has.
    pub streams: usize,
}

/// A commit's row: its frame and the columns beside it.
#[derive(Debug)]
pub(super) struct CommitRow {
    pub(super) first: Position,
    pub(super) last: Position,
    pub(super) id: CommitId,
    pub(super) attempt: Attempt,
    pub(super) replica: ReplicaId,
    pub(super) seq: Seq,
    pub(super) digest: Digest,
    pub(super) chain: ChainHash,
    pub(super) recorded_at: Timestamp,
    pub(super) actor: Option<String>,
    pub(super) frame: Vec<u8>,
}

/// What the commits so far add up to.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    log: &'a LogName,
    state: LogState,
    next: Position,
    chain: ChainHash,
    commits: u64,
    indexed: usize,
    heads: BTreeMap<StreamId, StreamHead>,
    erasures: Erasures,
}

impl<'a> Walk<'a> {
    pub(super) fn new(log: &'a LogName, state: LogState) -> Self {
        Self {
            log,
            state,
            next: Position::new(1),
            chain: ChainHash::from_bytes([0; 32]),
            commits: 0,
            indexed: 0,
            heads: BTreeMap::new(),
            erasures: Erasures::default(),
        }
    }

    fn damaged(&self, detail: impl Into<String>) -> StoreError {
        StoreError::Damaged {
            log: self.log.clone(),
            position: self.next,
            detail: detail.into(),
        }
    }

    fn demand(&self, holds: bool, detail: &str) -> Result<(), StoreError> {
        if holds {
            Ok(())
        } else {
            Err(self.damaged(detail))
        }
    }

    /// Takes the next commit. `is_indexed`: does the stream index lead from these versions to this position?
    pub(super) fn commit(
        &mut self,
        row: &CommitRow,
        is_indexed: impl FnMut(&StreamVersions, Position) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let first = row.first;
        if first != self.next {
            return Err(self.damaged(format!("the next commit begins at position {first}")));
        }
        let (stored, chain_before) = stored::decode(self.log, first, row.chain, &row.frame)?;
        let recorded = stored.recorded;
        self.demand(
            chain_before == self.chain,
            "its chain hash does not follow from the commit before",
        )?;
        self.demand(
            self.chain.after(&recorded) == row.chain,
            "its content does not give its chain hash",
        )?;
        let epoch = frame::header(&row.frame).map(|header| header.epoch);
        self.demand(epoch == Ok(self.state.epoch), "it is of another epoch")?;
        self.columns(row, &recorded)?;
        self.versions(&recorded, is_indexed)?;
        let told = self.erasures.take(&recorded);
        told.map_err(|wrong| self.damaged(wrong))?;
        self.chain = row.chain;
        self.next = recorded.last_position().next();
        self.commits += 1;
        Ok(())
    }

    /// The columns beside the frame say what the frame says.
    fn columns(&self, row: &CommitRow, recorded: &Recorded) -> Result<(), StoreError> {
        let commit = &recorded.commit;
        let same = row.last == recorded.last_position()
            && row.id == commit.id
            && row.attempt == commit.attempt
            && row.replica == commit.replica
            && row.seq == commit.seq
            && row.digest == commit_digest(commit)
            && row.recorded_at == recorded.recorded_at
            && row.actor.as_deref() == recorded.actor.as_ref().map(Subject::as_str);
        self.demand(same, "its columns differ from its frame")?;
        self.demand(!commit.events.is_empty(), "it has no events")?;
        let json = commit
            .events
            .iter()
            .all(|event| event.data.text().is_none_or(is_json));
        self.demand(json, "a payload is not JSON")
    }

    /// Its events have the versions that come next, and the stream index leads to it.
    fn versions(
        &mut self,
        recorded: &Recorded,
        mut is_indexed: impl FnMut(&StreamVersions, Position) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let written = recorded.commit.written();
        self.demand(
            written.len() == recorded.versions.len(),
            "its versions do not fit its events",
        )?;
        for ((stream, count), versions) in written.into_iter().zip(&recorded.versions) {
            let before = self
                .heads
                .get(stream)
                .map_or(Version::NONE, |head| head.version);
            let follows = &versions.stream == stream
                && versions.first == before.next()
                && versions.last == before.plus(count);
            if !follows {
                return Err(
                    self.damaged(format!("stream {stream} has a gap after version {before}"))
                );
            }
            self.demand(
                is_indexed(versions, recorded.position)?,
                "the stream index does not lead to it",
            )?;
            self.indexed += 1;
            if let Some(last) = recorded.commit.last_on(stream) {
                let version = versions.last;
                self.heads
                    .insert(stream.clone(), StreamHead { version, last });
            }
        }
        Ok(())
    }

    /// The heads of the log and of its streams are where its commits end, those streams are closed that were closed, and nothing was
    /// erased in silence. `head_of` also says whether a stream is closed; `streams` and `indexed` count the rows that there are.
    pub(super) fn end(
        self,
        mut head_of: impl FnMut(&StreamId) -> Result<Option<(StreamHead, bool)>, StoreError>,
        streams: usize,
        indexed: usize,
    ) -> Result<Verified, StoreError> {
        let head = self.state.head;
        self.demand(
            head.position.next() == self.next,
            "the log's head is elsewhere",
        )?;
        self.demand(head.chain == self.chain, "the log's chain hash is another")?;
        for (stream, head) in &self.heads {
            self.demand(
                head_of(stream)? == Some((*head, self.erasures.is_closed(stream))),
                &format!("the head of stream {stream} is elsewhere, or closed without an event"),
            )?;
        }
        self.demand(
            streams == self.heads.len(),
            "there are streams without events",
        )?;
        self.demand(
            indexed == self.indexed,
            "the stream index leads to commits that are not there",
        )?;
        self.erasures.end().map_err(|wrong| self.damaged(wrong))?;
        Ok(Verified {
            state: self.state,
            commits: self.commits,
            streams: self.heads.len(),
        })
    }
}
