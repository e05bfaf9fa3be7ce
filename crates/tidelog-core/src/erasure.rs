//! Erasing as a fact: events that say whose payloads are gone, and that a stream is closed.
//!
//! A server appends an erasure to the stream concerned, in a commit that touches nothing else. Position, version, id, type, times and
//! the digest of what was erased stay, so the hash chain and all versions stay what they were. Whoever keeps a copy of the
//! log erases the same payloads when the event reaches it ([`erased_by`]).
//!
//! Only a server makes them: [`Commit::check`](crate::Commit::check) refuses types that begin with [`RESERVED`].
//!
//! ```
//! use tidelog_core::erasure::{Erasure, Reason, VersionRange, version_ranges};
//! use tidelog_core::{StreamId, Timestamp, Version};
//! let erasure = Erasure::Redacted(version_ranges([7, 3, 4].map(Version::new)));
//! let reason = Reason::new("asked by the person")?;
//! let event = erasure.event(&StreamId::new("user/7")?, &reason, Timestamp::from_millis(0));
//! assert_eq!(event.data.text(), Some(r#"{"versions":[[3,4],[7,7]],"reason":"asked by the person"}"#));
//! assert_eq!(Erasure::of(&event)?, Some(erasure));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod scan;

use crate::commit::Recorded;
use crate::event::{Event, EventType, Meta, Payload};
use crate::limits;
use crate::number::{SchemaVersion, Timestamp, Version};
use crate::stream::StreamId;
use crate::text::{check_text, text_newtype};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

/// What the types of a server's own events begin with.
pub const RESERVED: &str = "tidelog.";
/// The type of an event that says whose payloads are gone.
pub const REDACTED: &str = "tidelog.redacted";
/// The type of an event behind which its stream takes no other.
pub const TOMBSTONED: &str = "tidelog.tombstoned";

text_newtype! {
    /// Why something was erased, in a person's words. It stays in the log, so it must not tell what was erased.
    Reason, "reason", |what, text| check_text(what, text, limits::MAX_REASON_BYTES)
}

/// Versions of a stream from `first` to `last`, both of them included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionRange {
    /// The first.
    pub first: Version,
    /// The last, not below the first.
    pub last: Version,
}

impl VersionRange {
    /// Is this version one of them?
    #[must_use]
    pub fn holds(&self, version: Version) -> bool {
        self.first <= version && version <= self.last
    }
}

/// What an erasure event says of its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Erasure {
    /// The payloads of these versions are gone. The ranges ascend and do not touch what they have in common.
    Redacted(Vec<VersionRange>),
    /// Nothing is ever appended to the stream again.
    Tombstoned,
}

/// Why an event that erases cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErasureError {
    /// Its data is not of the form it must have.
    #[error(
        "the data of a {REDACTED} event is not {{\"versions\":[[first,last],…]}} with ascending versions from 1"
    )]
    Malformed,
    /// It names itself or what comes after it.
    #[error(
        "a {REDACTED} event at version {version} names version {named}, which is not before it"
    )]
    NotBefore {
        /// The version of the event.
        version: Version,
        /// What it names.
        named: Version,
    },
}

impl Erasure {
    /// What an event erases; `None` for an event that does not erase.
    ///
    /// # Errors
    /// [`ErasureError::Malformed`].
    pub fn of(event: &Event) -> Result<Option<Self>, ErasureError> {
        match event.event_type.as_str() {
            REDACTED => {
                let ranges = event.data.text().and_then(scan::ranges);
                ranges
                    .map(|ranges| Some(Self::Redacted(ranges)))
                    .ok_or(ErasureError::Malformed)
            }
            TOMBSTONED => Ok(Some(Self::Tombstoned)),
            _ => Ok(None),
        }
    }

    /// The event that a server appends.
    #[must_use]
    #[allow(
        clippy::missing_panics_doc,
        clippy::expect_used,
        reason = "both types are constants that are event types"
    )]
    pub fn event(&self, stream: &StreamId, reason: &Reason, at: Timestamp) -> Event {
        let event_type = match self {
            Self::Redacted(_) => REDACTED,
            Self::Tombstoned => TOMBSTONED,
        };
        Event {
            stream: stream.clone(),
            event_type: EventType::new(event_type).expect("a constant that is an event type"),
            schema: SchemaVersion::FIRST,
            data: Payload::json(&self.data(reason)),
            occurred_at: at,
            tags: Vec::new(),
            meta: Meta::default(),
        }
    }

    fn data(&self, reason: &Reason) -> String {
        let mut json = String::from("{");
        if let Self::Redacted(ranges) = self {
            json.push_str("\"versions\":[");
            for (at, VersionRange { first, last }) in ranges.iter().enumerate() {
                let comma = if at > 0 { "," } else { "" };
                // Writing to a string cannot fail.
                let _ = write!(json, "{comma}[{first},{last}]");
            }
            json.push_str("],");
        }
        json.push_str("\"reason\":\"");
        // A reason has no control characters, so only these two are written in another way.
        for character in reason.as_str().chars() {
            if matches!(character, '"' | '\\') {
                json.push('\\');
            }
            json.push(character);
        }
        json.push_str("\"}");
        json
    }
}

/// Whether events of this type are made by servers alone.
#[must_use]
pub fn is_reserved(event_type: &EventType) -> bool {
    event_type.as_str().starts_with(RESERVED)
}

/// The versions that a commit's events erase, of the streams they are on.
///
/// # Errors
/// [`ErasureError`] of the first event that cannot be followed.
pub fn erased_by(recorded: &Recorded) -> Result<Vec<(&StreamId, Vec<VersionRange>)>, ErasureError> {
    let mut erased = Vec::new();
    let events = &recorded.commit.events;
    if !events.iter().any(|event| is_reserved(&event.event_type)) {
        return Ok(erased);
    }
    for (event, version) in events.iter().zip(recorded.event_versions()) {
        let Some(Erasure::Redacted(ranges)) = Erasure::of(event)? else {
            continue;
        };
        if let Some(range) = ranges.iter().find(|range| range.last >= version) {
            let named = range.last;
            return Err(ErasureError::NotBefore { version, named });
        }
        erased.push((&event.stream, ranges));
    }
    Ok(erased)
}

/// The streams that a commit's events close.
pub fn closed_by(recorded: &Recorded) -> impl Iterator<Item = &StreamId> {
    let events = recorded.commit.events.iter();
    let closing = events.filter(|event| event.event_type.as_str() == TOMBSTONED);
    closing.map(|event| &event.stream)
}

/// Versions as ranges: ascending, and as few as can be.
#[must_use]
pub fn version_ranges(versions: impl IntoIterator<Item = Version>) -> Vec<VersionRange> {
    let mut versions: Vec<Version> = versions.into_iter().collect();
    versions.sort_unstable();
    let mut ranges: Vec<VersionRange> = Vec::new();
    for version in versions {
        match ranges.last_mut() {
            Some(range) if version <= range.last.next() => range.last = version,
            _ => ranges.push(VersionRange {
                first: version,
                last: version,
            }),
        }
    }
    ranges
}
