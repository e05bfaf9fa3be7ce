//! Commits as JSON, for people and for backends that do not read frames.
//!
//! Payload text is kept byte for byte in both directions. Unknown fields are refused, which is also how a client is
//! told that `position`, `version`, `recordedAt`, `actor` and `log` are the server's to set.

use crate::commit::{Commit, Recorded};
use crate::condition::Condition;
use crate::cursor::Cursor;
use crate::event::{Event, EventType, Meta, Payload, Reference, Tag};
use crate::gap::GapRecord;
use crate::hash::{ChainHash, Digest};
use crate::id::{CommitId, Epoch, EventId, ReplicaId};
use crate::limits;
use crate::number::{Attempt, Position, SchemaVersion, Seq, Timestamp, Version};
use crate::protocol::LogHead;
use crate::stream::{StreamId, Subject};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A push.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushRequest {
    /// Who sends.
    pub replica: ReplicaId,
    /// How far it has read.
    #[serde(default)]
    pub cursor: Cursor,
    /// What it appends, in the order it was made.
    pub commits: Vec<CommitJson>,
}

/// A commit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitJson {
    /// Its id.
    pub id: CommitId,
    /// Which decision of it this is.
    #[serde(default = "first_attempt")]
    pub attempt: Attempt,
    /// The replica's number for it.
    pub seq: Seq,
    /// What must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// What happened.
    pub events: Vec<EventJson>,
}

/// An event.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EventJson {
    /// Its stream.
    pub stream: StreamId,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// The version of its payload's shape.
    #[serde(default = "first_schema")]
    pub schema: SchemaVersion,
    /// Its payload.
    pub data: Box<RawValue>,
    /// When it happened, RFC 3339.
    pub occurred_at: Instant,
    /// Labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Metadata.
    #[serde(default, skip_serializing_if = "MetaJson::is_empty")]
    pub meta: MetaJson,
}

/// Metadata of an event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MetaJson {
    /// Ties together everything that one request caused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<Reference>,
    /// What directly caused the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Reference>,
    /// The device it was made on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Reference>,
}

impl MetaJson {
    fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

/// An answer to a pull.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PullResponse {
    /// The log's history.
    pub epoch: Epoch,
    /// Its end.
    pub head: LogHead,
    /// Whole commits, in order.
    pub commits: Vec<RecordedJson>,
    /// What was left out between them and at their ends, in order: only where a filter was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<GapJson>,
}

/// Positions whose events are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapJson {
    /// The first one.
    pub from: Position,
    /// The last one.
    pub to: Position,
    /// Why ([`GapReason::name`](crate::gap::GapReason::name)).
    pub reason: String,
    /// The chain hash at the last one.
    pub chain: ChainHash,
}

impl From<&GapRecord> for GapJson {
    fn from(record: &GapRecord) -> Self {
        Self {
            from: record.gap.from,
            to: record.gap.to,
            reason: record.gap.reason.name().into(),
            chain: record.chain,
        }
    }
}

/// A confirmed commit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedJson {
    /// Its id.
    pub id: CommitId,
    /// The attempt that was accepted.
    pub attempt: Attempt,
    /// The replica that made it.
    pub replica: ReplicaId,
    /// The replica's number for it.
    pub seq: Seq,
    /// What had to hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// When the server took it, RFC 3339.
    pub recorded_at: Instant,
    /// Who appended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Subject>,
    /// The chain hash after it.
    pub chain: ChainHash,
    /// What happened.
    pub events: Vec<RecordedEventJson>,
}

/// A confirmed event.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedEventJson {
    /// Its identity.
    pub id: EventId,
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the stream.
    pub version: Version,
    /// Its place in the log.
    pub position: Position,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// The version of its payload's shape.
    pub schema: SchemaVersion,
    /// Its payload, which may be `null`; absent if it was erased.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub data: Option<Box<RawValue>>,
    /// The digest of what was erased, which the chain counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Digest>,
    /// When it happened, RFC 3339.
    pub occurred_at: Instant,
    /// When the server took it, RFC 3339.
    pub recorded_at: Instant,
    /// Who appended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Subject>,
    /// Labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Metadata.
    #[serde(default, skip_serializing_if = "MetaJson::is_empty")]
    pub meta: MetaJson,
}

/// One stream, or a part of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StreamResponse {
    /// The stream.
    pub stream: StreamId,
    /// Its newest version; 0 if it does not exist.
    pub version: Version,
    /// Its events in the asked direction.
    pub events: Vec<RecordedEventJson>,
}

/// A time as RFC 3339 text in UTC, to the millisecond. Any offset is taken. A time outside of what that text can
/// say (years before -9999 or after 9999) is written as the nearest one it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Instant(pub Timestamp);

impl TryFrom<String> for Instant {
    type Error = jiff::Error;
    fn try_from(text: String) -> Result<Self, jiff::Error> {
        let time: jiff::Timestamp = text.parse()?;
        Ok(Self(Timestamp::from_millis(time.as_millisecond())))
    }
}

impl From<Instant> for String {
    fn from(Instant(time): Instant) -> Self {
        let nearest = if time.millis() < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        };
        let time = jiff::Timestamp::from_millisecond(time.millis()).unwrap_or(nearest);
        alloc::format!("{time:.3}")
    }
}

/// A field that is there is a payload, `null` too; serde would take `null` for an absent one.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

const fn first_attempt() -> Attempt {
    Attempt::FIRST
}

const fn first_schema() -> SchemaVersion {
    SchemaVersion::FIRST
}

impl From<MetaJson> for Meta {
    fn from(
        MetaJson {
            correlation_id,
            causation_id,
            device,
        }: MetaJson,
    ) -> Self {
        Self {
            correlation_id,
            causation_id,
            device,
        }
    }
}

impl From<Meta> for MetaJson {
    fn from(
        Meta {
            correlation_id,
            causation_id,
            device,
        }: Meta,
    ) -> Self {
        Self {
            correlation_id,
            causation_id,
            device,
        }
    }
}

impl From<EventJson> for Event {
    fn from(event: EventJson) -> Self {
        Self {
            stream: event.stream,
            event_type: event.event_type,
            schema: event.schema,
            data: Payload::json(event.data.get()),
            occurred_at: event.occurred_at.0,
            tags: event.tags,
            meta: event.meta.into(),
        }
    }
}

impl CommitJson {
    /// The commit, made by this replica.
    #[must_use]
    pub fn into_commit(self, replica: ReplicaId) -> Commit {
        Commit {
            id: self.id,
            attempt: self.attempt,
            replica,
            seq: self.seq,
            conditions: self.conditions,
            events: self.events.into_iter().map(Event::from).collect(),
        }
    }
}

/// The payload as raw JSON.
///
/// # Errors
/// If the text is not JSON.
fn raw(payload: &Payload) -> Result<Option<Box<RawValue>>, serde_json::Error> {
    payload
        .text()
        .map(|text| RawValue::from_string(text.to_string()))
        .transpose()
}

/// The events of a confirmed commit.
///
/// # Errors
/// If a payload is not JSON.
pub fn recorded_events(recorded: &Recorded) -> Result<Vec<RecordedEventJson>, serde_json::Error> {
    let versions = recorded.event_versions();
    let events = recorded.commit.events.iter().zip(versions).enumerate();
    events
        .map(|(index, (event, version))| {
            Ok(RecordedEventJson {
                id: recorded.commit.event_id(index),
                stream: event.stream.clone(),
                version,
                position: recorded.position.plus(index as u64),
                event_type: event.event_type.clone(),
                schema: event.schema,
                data: raw(&event.data)?,
                erased: match &event.data {
                    Payload::Json(_) => None,
                    Payload::Erased(digest) => Some(*digest),
                },
                occurred_at: Instant(event.occurred_at),
                recorded_at: Instant(recorded.recorded_at),
                actor: recorded.actor.clone(),
                tags: event.tags.clone(),
                meta: event.meta.clone().into(),
            })
        })
        .collect()
}

/// A confirmed commit with the chain hash after it.
///
/// # Errors
/// If a payload is not JSON.
pub fn recorded(recorded: &Recorded, chain: ChainHash) -> Result<RecordedJson, serde_json::Error> {
    Ok(RecordedJson {
        id: recorded.commit.id,
        attempt: recorded.commit.attempt,
        replica: recorded.commit.replica,
        seq: recorded.commit.seq,
        conditions: recorded.commit.conditions.clone(),
        recorded_at: Instant(recorded.recorded_at),
        actor: recorded.actor.clone(),
        chain,
        events: recorded_events(recorded)?,
    })
}

/// Is this text one JSON value, nested no deeper than [`limits::MAX_JSON_DEPTH`]? Nothing is built from it, and numbers
/// of any size pass.
#[must_use]
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
        && depth(text) <= limits::MAX_JSON_DEPTH
}

/// How deep a JSON text is nested, in one pass without recursion: `serde_json` skips over values without a limit of its
/// own. For other text the number means nothing.
#[must_use]
pub fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = json.bytes();
    let mut in_string = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if in_string => drop(bytes.next()),
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}
