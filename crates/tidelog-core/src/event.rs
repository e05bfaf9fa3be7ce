//! Events: immutable facts, their types and their payloads.

use crate::hash::Digest;
use crate::limits;
use crate::number::{SchemaVersion, Timestamp};
use crate::stream::StreamId;
use crate::text::{SharedText, check_text, text_newtype};
use alloc::vec::Vec;

text_newtype! {
    /// The type of an event, such as `todo.added`.
    EventType, "event type", |what, text| check_text(what, text, limits::MAX_ID_BYTES)
}

text_newtype! {
    /// A label of an event, for queries across streams.
    Tag, "tag", |what, text| check_text(what, text, limits::MAX_ID_BYTES)
}

text_newtype! {
    /// An opaque reference in an event's metadata: a correlation id, a causation id or a device.
    Reference, "metadata reference", |what, text| check_text(what, text, limits::MAX_ID_BYTES)
}

/// What an event carries: JSON text kept byte for byte as it was authored, or the digest of a text that was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// JSON text. Core does not parse it; a server refuses text that is not JSON.
    Json(SharedText),
    /// The text was erased; its digest keeps the chain whole.
    Erased(Digest),
}

impl Payload {
    /// A payload of JSON text.
    #[must_use]
    pub fn json(text: &str) -> Self {
        Self::Json(SharedText::from(text))
    }

    /// The JSON text, unless it was erased.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Json(text) => Some(text.as_str()),
            Self::Erased(_) => None,
        }
    }

    /// SHA-256 of the text, also after it was erased.
    #[must_use]
    pub fn digest(&self) -> Digest {
        match self {
            Self::Json(text) => Digest::of(text.as_str().as_bytes()),
            Self::Erased(digest) => *digest,
        }
    }
}

/// What an author may say about an event besides its payload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meta {
    /// Ties together everything that one request caused.
    pub correlation_id: Option<Reference>,
    /// What directly caused this event.
    pub causation_id: Option<Reference>,
    /// The device it was made on.
    pub device: Option<Reference>,
}

impl Meta {
    /// The references that are there.
    pub(crate) fn references(&self) -> impl Iterator<Item = &Reference> {
        [&self.correlation_id, &self.causation_id, &self.device]
            .into_iter()
            .flatten()
    }
}

/// A fact. Its identity follows from its commit ([`crate::EventId`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// What happened.
    pub event_type: EventType,
    /// The version of the payload's shape.
    pub schema: SchemaVersion,
    /// What happened, in detail.
    pub data: Payload,
    /// When it happened, by the author's clock.
    pub occurred_at: Timestamp,
    /// Labels.
    pub tags: Vec<Tag>,
    /// Metadata.
    pub meta: Meta,
}
