//! Commits: what is appended as one, and what the server adds when it takes one.

use crate::condition::Condition;
use crate::erasure::is_reserved;
use crate::event::{Event, EventType};
use crate::id::{CommitId, EventId, ReplicaId};
use crate::limits;
use crate::number::{Attempt, Position, Seq, Timestamp, Version};
use crate::stream::{StreamId, Subject};
use crate::text::SharedText;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What is appended atomically: events over one or more streams, and what must hold for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Stable over retries and reruns.
    pub id: CommitId,
    /// Which decision of it this is.
    pub attempt: Attempt,
    /// The replica that made it.
    pub replica: ReplicaId,
    /// The replica's number for this attempt.
    pub seq: Seq,
    /// What must hold.
    pub conditions: Vec<Condition>,
    /// What happened, at least one event.
    pub events: Vec<Event>,
}

/// What a parser of JSON skips around a value.
const JSON_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Why a commit cannot be appended anywhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// It holds no event.
    #[error("the commit has no events; append at least one")]
    Empty,
    /// It is too large.
    #[error(
        "the commit has about {bytes} bytes, more than the {max} allowed; split it into several commits"
    )]
    TooLarge {
        /// Its size as [`Commit::weight`] counts it.
        bytes: usize,
        /// The largest size allowed.
        max: usize,
    },
    /// It holds too many of something.
    #[error("the commit has {count} {what}, more than the {max} allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// The most allowed.
        max: usize,
    },
    /// An event's payload was erased: only a server may record that.
    #[error("event {index} has no payload")]
    ErasedPayload {
        /// The event's place in the commit.
        index: usize,
    },
    /// Two conditions name the same stream.
    #[error("two conditions name the stream {stream}; give one condition per stream")]
    RepeatedCondition {
        /// The stream.
        stream: StreamId,
    },
    /// An event has a type that only servers may append.
    #[error(
        "event {index} has a type that begins with {}, which only a server may append",
        crate::erasure::RESERVED
    )]
    ReservedType {
        /// The event's place in the commit.
        index: usize,
    },
    /// JSON cannot say this payload as it is. The chain counts its bytes, so readers of JSON would compute another one.
    #[error("the data of event {index} has white space around it; leave it out")]
    PaddedPayload {
        /// The event's place in the commit.
        index: usize,
    },
    /// JSON cannot say this time, as with [`CommitError::PaddedPayload`].
    #[error(
        "event {index} occurred at {millis} ms since 1970, outside of {} to {}",
        limits::TIMES.start(), limits::TIMES.end()
    )]
    TimeOutOfRange {
        /// The event's place in the commit.
        index: usize,
        /// The time.
        millis: i64,
    },
    /// An attempt is counted from 1.
    #[error("the attempt is 0; attempts are counted from 1")]
    AttemptZero,
    /// A payload version is counted from 1.
    #[error("event {index} has schema version 0; schema versions are counted from 1")]
    SchemaZero {
        /// The event's place in the commit.
        index: usize,
    },
}

impl Commit {
    /// The identity of its event with this index.
    #[must_use]
    pub fn event_id(&self, index: usize) -> EventId {
        EventId {
            commit: self.id,
            attempt: self.attempt,
            index: u32::try_from(index).unwrap_or(u32::MAX),
        }
    }

    /// Its size in bytes as caps count it: payloads, names, metadata, and 64 bytes for each event and condition.
    #[must_use]
    pub fn weight(&self) -> usize {
        let events = self.events.iter().map(|event| {
            64 + event.stream.as_str().len()
                + event.event_type.as_str().len()
                + event.data.text().map_or(0, str::len)
                + event
                    .tags
                    .iter()
                    .map(|tag| tag.as_str().len())
                    .sum::<usize>()
                + event
                    .meta
                    .references()
                    .map(|reference| reference.as_str().len())
                    .sum::<usize>()
        });
        let conditions = self
            .conditions
            .iter()
            .map(|condition| 64 + condition.stream.as_str().len());
        events.chain(conditions).sum()
    }

    /// Checks all that can be checked of a commit by itself before it is appended.
    ///
    /// # Errors
    /// The first [`CommitError`] found.
    pub fn check(&self) -> Result<(), CommitError> {
        for (index, event) in self.events.iter().enumerate() {
            let Some(text) = event.data.text() else {
                return Err(CommitError::ErasedPayload { index });
            };
            if text.trim_matches(JSON_SPACE) != text {
                return Err(CommitError::PaddedPayload { index });
            }
            let millis = event.occurred_at.millis();
            if !limits::TIMES.contains(&millis) {
                return Err(CommitError::TimeOutOfRange { index, millis });
            }
            if is_reserved(&event.event_type) {
                return Err(CommitError::ReservedType { index });
            }
        }
        self.check_recorded()
    }

    /// The same of one that a log has recorded, here or elsewhere: it may be erased, and say what was erased.
    ///
    /// # Errors
    /// The first [`CommitError`] found.
    pub fn check_recorded(&self) -> Result<(), CommitError> {
        if self.events.is_empty() {
            return Err(CommitError::Empty);
        }
        if self.attempt.value() == 0 {
            return Err(CommitError::AttemptZero);
        }
        for (what, count, max) in [
            ("events", self.events.len(), limits::MAX_COMMIT_EVENTS),
            (
                "conditions",
                self.conditions.len(),
                limits::MAX_COMMIT_CONDITIONS,
            ),
        ] {
            if count > max {
                return Err(CommitError::TooMany { what, count, max });
            }
        }
        for (index, event) in self.events.iter().enumerate() {
            let count = event.tags.len();
            if count > limits::MAX_EVENT_TAGS {
                return Err(CommitError::TooMany {
                    what: "tags on one event",
                    count,
                    max: limits::MAX_EVENT_TAGS,
                });
            }
            if event.schema.value() == 0 {
                return Err(CommitError::SchemaZero { index });
            }
        }
        for (at, condition) in self.conditions.iter().enumerate() {
            if self
                .conditions
                .iter()
                .take(at)
                .any(|other| other.stream == condition.stream)
            {
                return Err(CommitError::RepeatedCondition {
                    stream: condition.stream.clone(),
                });
            }
        }
        match self.weight() {
            bytes if bytes > limits::MAX_COMMIT_BYTES => Err(CommitError::TooLarge {
                bytes,
                max: limits::MAX_COMMIT_BYTES,
            }),
            _ => Ok(()),
        }
    }

    /// The streams it writes, each once, in the order of their first event, with how many events each gets.
    #[must_use]
    pub fn written(&self) -> Vec<(&StreamId, u64)> {
        let mut streams: Vec<(&StreamId, u64)> = Vec::new();
        for event in &self.events {
            // Events of one stream often follow each other.
            match streams
                .iter_mut()
                .rev()
                .find(|(stream, _)| *stream == &event.stream)
            {
                Some((_, count)) => *count += 1,
                None => streams.push((&event.stream, 1)),
            }
        }
        streams
    }

    /// The identity of its last event on a stream.
    #[must_use]
    pub fn last_on(&self, stream: &StreamId) -> Option<EventId> {
        self.events
            .iter()
            .rposition(|event| &event.stream == stream)
            .map(|at| self.event_id(at))
    }
}

/// What a commit's events became on one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamVersions {
    /// The stream.
    pub stream: StreamId,
    /// The version of the commit's first event there.
    pub first: Version,
    /// The version of its last event there.
    pub last: Version,
}

/// A commit that the server took: confirmed, with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// What was appended.
    pub commit: Commit,
    /// The position of its first event; the others follow.
    pub position: Position,
    /// When the server took it, by the server's clock.
    pub recorded_at: Timestamp,
    /// Who appended it.
    pub actor: Option<Subject>,
    /// The versions its events have, per stream in the order of first appearance.
    pub versions: Vec<StreamVersions>,
}

impl Recorded {
    /// The position of its last event.
    #[must_use]
    pub fn last_position(&self) -> Position {
        self.position
            .plus((self.commit.events.len() as u64).saturating_sub(1))
    }

    /// The version of each event, in order.
    #[must_use]
    pub fn event_versions(&self) -> Vec<Version> {
        let mut next: Vec<Version> = self
            .versions
            .iter()
            .map(|versions| versions.first)
            .collect();
        self.commit
            .events
            .iter()
            .map(|event| {
                let at = self
                    .versions
                    .iter()
                    .position(|versions| versions.stream == event.stream);
                match at.and_then(|at| next.get_mut(at)) {
                    Some(version) => {
                        let this = *version;
                        *version = this.next();
                        this
                    }
                    None => Version::NONE,
                }
            })
            .collect()
    }
}

/// The command that made a commit. Kept locally so that it can be decided again; never sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The stream it was given to.
    pub stream: StreamId,
    /// Its name.
    pub name: EventType,
    /// Its arguments as JSON text.
    pub args: SharedText,
}

/// What happens to a commit whose conditions no longer hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Policy {
    /// Decide the command again on the new state. The default for commands.
    #[default]
    Rerun,
    /// Keep the events and take new versions: for facts that commute.
    Rebase,
    /// Park it until somebody decides.
    Ask,
    /// Have the app merge its events with what came between; where that is not possible, decide the command again, or park
    /// what no command made.
    Merge,
}

/// A commit as the replica that made it keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// What will be sent.
    pub commit: Commit,
    /// What made it, if a command did.
    pub command: Option<Command>,
    /// What to do on a conflict.
    pub policy: Policy,
}
