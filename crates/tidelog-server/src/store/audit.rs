//! What was erased, written down apart from the log.
//!
//! The log says it too; this outlives the log's rows, so that a copy that was made before can be restored without what was
//! erased since.

use std::fmt;
use std::str::FromStr;
use tidelog_core::erasure::{Reason, VersionRange};
use tidelog_core::{Attempt, CommitId, EventId, Position, StreamId, Subject, Timestamp, Version};

/// An erasure as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureRecord {
    /// The stream.
    pub stream: StreamId,
    /// The commit that says so in the log.
    pub commit: CommitId,
    /// The position of its first event.
    pub position: Position,
    /// The versions whose payloads it erased.
    pub versions: Vec<VersionRange>,
    /// Whether it closed the stream.
    pub tombstoned: bool,
    /// Why.
    pub reason: Reason,
    /// Who erased; an operator at the database is nobody.
    pub actor: Option<Subject>,
    /// When the server did.
    pub recorded_at: Timestamp,
}

impl ErasureRecord {
    /// Where it stands in the list.
    #[must_use]
    pub const fn place(&self) -> ErasurePlace {
        ErasurePlace {
            recorded_at: self.recorded_at,
            position: self.position,
            commit: self.commit,
        }
    }
}

/// A place in the list of what was erased, which is by time. A position alone is none: the list outlives the log, and a restored
/// log comes to the same position again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasurePlace {
    pub(super) recorded_at: Timestamp,
    pub(super) position: Position,
    pub(super) commit: CommitId,
}

impl fmt::Display for ErasurePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.recorded_at.millis();
        write!(f, "{millis}.{}.{}", self.position, self.commit)
    }
}

/// Why a text is no place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`after` is not what an answer gave as `next`")]
pub struct NoErasurePlace;

impl FromStr for ErasurePlace {
    type Err = NoErasurePlace;

    fn from_str(text: &str) -> Result<Self, NoErasurePlace> {
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().ok_or(NoErasurePlace);
        let recorded_at: i64 = part()?.parse().map_err(|_why| NoErasurePlace)?;
        let position: u64 = part()?.parse().map_err(|_why| NoErasurePlace)?;
        Ok(Self {
            recorded_at: Timestamp::from_millis(recorded_at),
            position: Position::new(position),
            commit: part()?.parse().map_err(|_why| NoErasurePlace)?,
        })
    }
}

/// A record with the events that it erased, by the identity that they have in every copy of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Audited {
    pub(crate) record: ErasureRecord,
    pub(crate) events: Vec<EventId>,
}

/// How many bytes an event's identity has.
const EVENT_BYTES: usize = 24;

impl Audited {
    /// The events as a column of bytes.
    pub(super) fn events_column(&self) -> Vec<u8> {
        let mut column = Vec::with_capacity(self.events.len() * EVENT_BYTES);
        for event in &self.events {
            column.extend_from_slice(event.commit.as_bytes());
            column.extend_from_slice(&event.attempt.value().to_be_bytes());
            column.extend_from_slice(&event.index.to_be_bytes());
        }
        column
    }

    /// The versions as a column of text, such as `[[3,4],[7,7]]`.
    pub(super) fn versions_column(&self) -> String {
        let ranges: Vec<(u64, u64)> = self
            .record
            .versions
            .iter()
            .map(|range| (range.first.value(), range.last.value()))
            .collect();
        serde_json::json!(ranges).to_string()
    }
}

/// A record's columns as they were read.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) stream: String,
    pub(super) commit: [u8; 16],
    pub(super) position: u64,
    pub(super) versions: String,
    pub(super) tombstoned: bool,
    pub(super) reason: String,
    pub(super) actor: Option<String>,
    pub(super) recorded_at: i64,
    pub(super) events: Vec<u8>,
}

impl Columns {
    /// What was written down; `None` if somebody else has written to the table.
    pub(super) fn read(self) -> Option<Audited> {
        let ranges: Vec<(u64, u64)> = serde_json::from_str(&self.versions).ok()?;
        let ranges = ranges.into_iter().map(|(first, last)| VersionRange {
            first: Version::new(first),
            last: Version::new(last),
        });
        let events = self.events.chunks_exact(EVENT_BYTES).map(event);
        Some(Audited {
            events: events.collect::<Option<_>>()?,
            record: ErasureRecord {
                stream: StreamId::new(self.stream).ok()?,
                commit: CommitId::from_bytes(self.commit),
                position: Position::new(self.position),
                versions: ranges.collect(),
                tombstoned: self.tombstoned,
                reason: Reason::new(self.reason).ok()?,
                actor: self.actor.map(Subject::new).transpose().ok()?,
                recorded_at: Timestamp::from_millis(self.recorded_at),
            },
        })
    }
}

fn event(bytes: &[u8]) -> Option<EventId> {
    let (commit, numbers) = bytes.split_first_chunk::<16>()?;
    let (attempt, index) = numbers.split_first_chunk::<4>()?;
    Some(EventId {
        commit: CommitId::from_bytes(*commit),
        attempt: Attempt::new(u32::from_be_bytes(*attempt)),
        index: u32::from_be_bytes(index.try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::{CommitId, ErasurePlace, Position, Timestamp};

    #[test]
    fn a_place_is_read_as_it_was_written_and_nothing_else_is() {
        for millis in [0, -5, i64::MAX] {
            let place = ErasurePlace {
                recorded_at: Timestamp::from_millis(millis),
                position: Position::new(u64::MAX),
                commit: CommitId::from_bytes([7; 16]),
            };
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for text in [
            "",
            "1",
            "1.2",
            "1.2.x",
            "1.-2.01900000-0000-7000-8000-000000000001",
        ] {
            assert!(text.parse::<ErasurePlace>().is_err(), "{text}");
        }
    }
}
