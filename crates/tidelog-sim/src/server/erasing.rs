//! Erasing as the server does it: a fact in its log, and the payloads are gone from what it sends.

use super::Server;
use std::collections::BTreeMap;
use tidelog_core::authority::Receipt;
use tidelog_core::erasure::{
    Erasure, Reason, VersionRange, closed_by, erased_by, is_reserved, version_ranges,
};
use tidelog_core::{
    Attempt, Commit, CommitId, Event, Payload, Position, Recorded, ReplicaId, Seq, StreamId,
    StreamVersions, Timestamp, Version,
};

impl Server {
    /// Erases payloads of a stream.
    pub fn redact(&mut self, now: i64, id: CommitId, stream: &StreamId, versions: &[VersionRange]) {
        self.say(now, id, stream, &Erasure::Redacted(versions.to_vec()));
        for recorded in &mut self.log {
            let numbers = recorded.event_versions();
            for (event, number) in recorded.commit.events.iter_mut().zip(numbers) {
                let named = versions.iter().any(|range| range.holds(number));
                if event.stream == *stream && named && !is_reserved(&event.event_type) {
                    event.data = Payload::Erased(event.data.digest());
                }
            }
        }
    }

    /// Closes a stream for ever.
    pub fn tombstone(&mut self, now: i64, id: CommitId, stream: &StreamId) {
        self.say(now, id, stream, &Erasure::Tombstoned);
        self.closed.insert(stream.clone());
    }

    /// The oldest event that has its payload still.
    #[must_use]
    pub fn first_whole(&self) -> Option<(StreamId, Version)> {
        self.log.iter().find_map(|recorded| {
            let events = recorded.commit.events.iter();
            let mut events = events.zip(recorded.event_versions());
            let is_whole =
                |event: &Event| event.data.text().is_some() && !is_reserved(&event.event_type);
            let (event, version) = events.find(|(event, _)| is_whole(event))?;
            Some((event.stream.clone(), version))
        })
    }

    /// Has it been closed?
    #[must_use]
    pub fn is_closed(&self, stream: &StreamId) -> bool {
        self.closed.contains(stream)
    }

    fn say(&mut self, now: i64, id: CommitId, stream: &StreamId, erasure: &Erasure) {
        let reason = Reason::new("asked for").unwrap();
        let commit = Commit {
            id,
            attempt: Attempt::FIRST,
            replica: ReplicaId::from_bytes(*id.as_bytes()),
            seq: Seq::new(1),
            conditions: Vec::new(),
            events: vec![erasure.event(stream, &reason, Timestamp::from_millis(now))],
        };
        let position = self.head().position.next();
        let version = self.heads[stream].version.next();
        let receipt = Receipt {
            attempt: commit.attempt,
            first: position,
            last: position,
            versions: vec![StreamVersions {
                stream: stream.clone(),
                first: version,
                last: version,
            }],
        };
        self.store(now, &commit, &receipt);
        // It is answered after the flush, as everything is.
        self.synced = self.log.len();
    }

    /// After a restore: what a backup has that was erased since is erased again, by new events, and what was closed is closed
    /// again. What was written down of erasures outlives the log, as the erased payloads of this model do.
    pub(super) fn erase_again(&mut self) {
        let mut erased: BTreeMap<StreamId, Vec<Version>> = BTreeMap::new();
        for recorded in &self.log {
            let versions = recorded.event_versions();
            for (event, version) in recorded.commit.events.iter().zip(versions) {
                if event.data.text().is_none() {
                    let versions = erased.entry(event.stream.clone()).or_default();
                    versions.push(version);
                }
            }
        }
        let mut closed = core::mem::take(&mut self.closed);
        closed.retain(|stream| self.heads.contains_key(stream));
        for recorded in &self.log {
            for (stream, said) in erased_by(recorded).unwrap() {
                if let Some(versions) = erased.get_mut(stream) {
                    versions.retain(|version| !said.iter().any(|range| range.holds(*version)));
                }
            }
            for stream in closed_by(recorded) {
                closed.remove(stream);
                self.closed.insert(stream.clone());
            }
        }
        let now = self.log.last().map_or(0, |last| last.recorded_at.millis());
        for (stream, versions) in erased {
            if !versions.is_empty() {
                let id = self.id_of_its_own();
                self.redact(now, id, &stream, &version_ranges(versions));
            }
        }
        for stream in closed {
            let id = self.id_of_its_own();
            self.tombstone(now, id, &stream);
        }
    }

    /// One that nobody else has, without dice.
    fn id_of_its_own(&self) -> CommitId {
        let mut id = *self.epoch.as_bytes();
        let end = self
            .log
            .last()
            .map_or(Position::START, Recorded::last_position);
        for (byte, end) in id.iter_mut().rev().zip(end.value().to_le_bytes()) {
            *byte ^= end;
        }
        CommitId::from_bytes(id)
    }
}
