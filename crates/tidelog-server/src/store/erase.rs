//! Erasing payloads and closing streams: what is done, and what is written down of it. The same for every database.
//!
//! A database hands over the stored commits that may hold what is to go ([`Work::commit`]), writes back those that come
//! back changed, and appends the event that says so ([`Work::store`]), all in one transaction that holds the log's head.

use super::audit::{Audited, ErasureRecord};
use super::ledger::{Entry, Ledger};
use super::segment::SEGMENT_EVENTS;
use super::{LogState, StoreError, stored};
use crate::derived::derived_uuid;
use std::collections::BTreeSet;
use tidelog_core::erasure::{Erasure, Reason, VersionRange, is_reserved, version_ranges};
use tidelog_core::{
    Attempt, ChainHash, Commit, CommitId, Epoch, EventId, LogName, Payload, Position, Recorded,
    ReplicaId, Seq, StreamId, StreamVersions, Subject, Timestamp, Version, frame,
};

/// How many ranges an erasure names at most: it is one commit, which has a largest size.
const MOST_RANGES: usize = 10_000;

/// What is to be erased of a stream.
#[derive(Debug, Clone)]
pub struct Erase {
    /// The log.
    pub log: LogName,
    /// The stream.
    pub stream: StreamId,
    /// Whose payloads.
    pub versions: Versions,
    /// Whether the stream is closed for ever.
    pub tombstone: bool,
    /// Why.
    pub reason: Reason,
    /// Who erases.
    pub actor: Option<Subject>,
}

/// Whose payloads are to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Versions {
    /// Nobody's.
    None,
    /// Those of all events but erasures.
    All,
    /// Those of these versions.
    Ranges(Vec<VersionRange>),
}

/// What an erasure did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// The log behind it.
    pub state: LogState,
    /// What was written down; `None` if everything was erased and closed before, so that nothing is stored.
    pub record: Option<ErasureRecord>,
}

/// What came of erasing in the rows that the database has.
#[derive(Debug)]
pub(super) enum InRows {
    /// It is done.
    Erased(Erased),
    /// Nothing was changed: the commit that begins at this position is in the archive, and has to come back first.
    Archived(Position),
}

/// What becomes of a stored commit.
#[derive(Debug)]
pub(super) enum Rewritten {
    /// It stays as it is.
    Same,
    /// This frame takes its place.
    Frame(Vec<u8>),
    /// Its frame is in the archive.
    Archived,
}

/// An erasure in the making.
#[derive(Debug)]
pub(super) struct Work<'a> {
    erase: &'a Erase,
    /// Ascending, without overlaps.
    wanted: Vec<VersionRange>,
    newest: Version,
    closes: bool,
    versions: Vec<Version>,
    events: Vec<EventId>,
    segments: BTreeSet<u64>,
}

impl<'a> Work<'a> {
    /// `stream`: the newest version of the stream, and whether it is closed.
    ///
    /// # Errors
    /// [`StoreError::UnknownStream`] and [`StoreError::UnknownVersions`].
    pub(super) fn new(
        erase: &'a Erase,
        stream: Option<(Version, bool)>,
    ) -> Result<Self, StoreError> {
        let unknown = || StoreError::UnknownStream {
            stream: erase.stream.clone(),
        };
        let (newest, is_closed) = stream.ok_or_else(unknown)?;
        let wanted = match &erase.versions {
            Versions::None => Vec::new(),
            Versions::All => vec![VersionRange {
                first: Version::new(1),
                last: newest,
            }],
            Versions::Ranges(ranges) => joined(ranges),
        };
        let is_there = |range: &VersionRange| {
            range.first > Version::NONE && range.first <= range.last && range.last <= newest
        };
        if let Some(&range) = wanted.iter().find(|range| !is_there(range)) {
            let stream = erase.stream.clone();
            return Err(StoreError::UnknownVersions {
                stream,
                range,
                newest,
            });
        }
        Ok(Self {
            erase,
            wanted,
            newest,
            closes: erase.tombstone && !is_closed,
            versions: Vec::new(),
            events: Vec::new(),
            segments: BTreeSet::new(),
        })
    }

    /// The versions that are to be looked at.
    pub(super) fn wanted(&self) -> Vec<VersionRange> {
        self.wanted.clone()
    }

    /// Takes a stored commit, and says what is to be stored from now on.
    ///
    /// # Errors
    /// [`StoreError::NotErasable`] for an erasure that is named itself, [`StoreError::Damaged`].
    pub(super) fn commit(
        &mut self,
        epoch: Epoch,
        position: Position,
        chain: ChainHash,
        bytes: &[u8],
    ) -> Result<Rewritten, StoreError> {
        if stored::is_stub(bytes) {
            return Ok(Rewritten::Archived);
        }
        let (stored, chain_before) = stored::decode(&self.erase.log, position, chain, bytes)?;
        let mut recorded = stored.recorded;
        let versions = recorded.event_versions();
        let (id, attempt) = (recorded.commit.id, recorded.commit.attempt);
        let before = self.versions.len();
        for (index, (event, version)) in (0..).zip(recorded.commit.events.iter_mut().zip(versions))
        {
            let is_wanted = event.stream == self.erase.stream
                && self.wanted.iter().any(|range| range.holds(version));
            if !is_wanted || event.data.text().is_none() {
                continue;
            }
            if is_reserved(&event.event_type) {
                if self.erase.versions == Versions::All {
                    continue;
                }
                let stream = event.stream.clone();
                return Err(StoreError::NotErasable { stream, version });
            }
            event.data = Payload::Erased(event.data.digest());
            self.versions.push(version);
            self.events.push(EventId {
                commit: id,
                attempt,
                index,
            });
        }
        if self.versions.len() == before {
            return Ok(Rewritten::Same);
        }
        self.segments.insert(segment_of(position));
        let recorded = std::slice::from_ref(&recorded);
        let frame = frame::encode_recorded(epoch, chain_before, recorded);
        Ok(Rewritten::Frame(frame))
    }

    /// The numbers of the sealed runs that hold what was changed.
    pub(super) fn segments(&self) -> Vec<u64> {
        self.segments.iter().copied().collect()
    }

    /// The commit that says so, without what only the log's end can tell. `None` if there is nothing to say.
    ///
    /// # Errors
    /// [`StoreError::TooManyRanges`].
    pub(super) fn said(&self, id: CommitId, now: Timestamp) -> Result<Option<Commit>, StoreError> {
        let ranges = version_ranges(self.versions.iter().copied());
        if ranges.len() > MOST_RANGES {
            return Err(StoreError::TooManyRanges { max: MOST_RANGES });
        }
        let redacted = (!ranges.is_empty()).then_some(Erasure::Redacted(ranges));
        let tombstoned = self.closes.then_some(Erasure::Tombstoned);
        let Erase { stream, reason, .. } = self.erase;
        let erasures = redacted.into_iter().chain(tombstoned);
        let events = erasures.map(|erasure| erasure.event(stream, reason, now));
        let commit = Commit {
            events: events.collect(),
            ..skeleton(self.erase, id)
        };
        Ok((!commit.events.is_empty()).then_some(commit))
    }

    /// Appends the commit that says so.
    ///
    /// # Errors
    /// What the ledger says: then nothing of the transaction may stay.
    pub(super) fn store(
        self,
        ledger: &mut impl Ledger,
        id: CommitId,
        now: Timestamp,
    ) -> Result<Option<Audited>, StoreError> {
        let Some(mut commit) = self.said(id, now)? else {
            return Ok(None);
        };
        let Erase { stream, actor, .. } = self.erase;
        let replica = commit.replica;
        match ledger.owner(replica)? {
            None => ledger.bind(replica, actor.as_ref())?,
            Some(owner) if owner == *actor => {}
            Some(_) => return Err(StoreError::ReplicaBound { replica }),
        }
        commit.seq = ledger.last_seq(replica)?.next();
        // A ledger knows the streams that it was asked for.
        ledger.streams(&[stream])?;
        let LogState { epoch, head } = ledger.state();
        let recorded = Recorded {
            position: head.position.next(),
            recorded_at: now.max(ledger.recorded_at()),
            actor: actor.clone(),
            versions: vec![StreamVersions {
                stream: stream.clone(),
                first: self.newest.next(),
                last: self.newest.plus(commit.events.len() as u64),
            }],
            commit,
        };
        let record = ErasureRecord {
            stream: stream.clone(),
            commit: id,
            position: recorded.position,
            versions: version_ranges(self.versions),
            tombstoned: self.closes,
            reason: self.erase.reason.clone(),
            actor: actor.clone(),
            recorded_at: recorded.recorded_at,
        };
        ledger.store(Entry::of(epoch, head.chain, recorded))?;
        let events = self.events;
        Ok(Some(Audited { record, events }))
    }
}

/// The commit of an erasure, without its events and its number.
pub(super) fn skeleton(erase: &Erase, id: CommitId) -> Commit {
    Commit {
        id,
        attempt: Attempt::FIRST,
        replica: replica(erase, id),
        seq: Seq::default(),
        conditions: Vec::new(),
        events: Vec::new(),
    }
}

/// An erasure is the only commit of a replica of its own, which nobody can name before: whoever could would bind it to themselves.
fn replica(erase: &Erase, id: CommitId) -> ReplicaId {
    let name = format!("erase\n{}\n{id}", erase.log);
    ReplicaId::from_bytes(derived_uuid(name.as_bytes()))
}

/// The segment of the commit that begins at this position.
fn segment_of(position: Position) -> u64 {
    position.value().saturating_sub(1) / SEGMENT_EVENTS + 1
}

/// Ranges in order; those that overlap as one.
fn joined(ranges: &[VersionRange]) -> Vec<VersionRange> {
    let mut ranges = ranges.to_vec();
    ranges.sort_unstable_by_key(|range| range.first);
    let mut joined: Vec<VersionRange> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(before) if range.first <= before.last && before.first <= before.last => {
                before.last = before.last.max(range.last);
            }
            _ => joined.push(range),
        }
    }
    joined
}
