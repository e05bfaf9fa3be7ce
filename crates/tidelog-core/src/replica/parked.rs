//! Parked commits: taken out of the state, kept with both sides until somebody resolves them.

use crate::commit::Local;
use crate::condition::Conflict;
use crate::expected::Expected;
use crate::frame::reader::Reader;
use crate::frame::writer::Section;
use crate::frame::{self, Body, FrameError};
use crate::id::EventId;
use crate::number::{Attempt, Seq, Version};
use crate::stream::StreamId;
use alloc::string::String;
use alloc::vec::Vec;

/// A commit that waits for somebody's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// What was to be appended, with the command that made it.
    pub local: Local,
    /// Why it is parked.
    pub reason: ParkReason,
    /// The conditions that did not hold; empty if none was the cause.
    pub conflicts: Vec<Conflict>,
}

/// Why a commit is parked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParkReason {
    /// Its conditions do not hold, and its policy is to ask.
    Conflict,
    /// Decided again, its command was refused.
    Refused {
        /// The decider's code.
        code: String,
        /// In words.
        message: String,
    },
    /// The server will never take it.
    Rejected {
        /// The server's code.
        code: String,
        /// In words.
        message: String,
    },
    /// This build has no such command.
    UnknownCommand,
}

/// Events of one stream: what a parked commit collided with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision {
    /// The stream.
    pub stream: StreamId,
    /// The first version that the commit did not know.
    pub from: Version,
    /// The last.
    pub to: Version,
}

impl Parked {
    /// The events it collided with, by stream and version.
    #[must_use]
    pub fn theirs(&self) -> Vec<Collision> {
        collisions(&self.conflicts)
    }

    /// As bytes for a store: format, reason, conflicts, then a local frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Section::default();
        out.byte(1);
        let (kind, code, message) = match &self.reason {
            ParkReason::Conflict => (0, "", ""),
            ParkReason::Refused { code, message } => (1, code.as_str(), message.as_str()),
            ParkReason::Rejected { code, message } => (2, code.as_str(), message.as_str()),
            ParkReason::UnknownCommand => (3, "", ""),
        };
        out.byte(kind);
        text(&mut out, code);
        text(&mut out, message);
        out.length(self.conflicts.len());
        for conflict in &self.conflicts {
            out.varint(u64::from(conflict.check_index));
            text(&mut out, conflict.stream.as_str());
            match conflict.expected {
                Expected::Any => out.byte(0),
                Expected::NoStream => out.byte(1),
                Expected::Exists => out.byte(2),
                Expected::Exact { exact, event } => {
                    out.byte(if event.is_some() { 4 } else { 3 });
                    out.varint(exact.value());
                    if let Some(event) = event {
                        out.id(&event.commit);
                        out.varint(u64::from(event.attempt.value()));
                        out.varint(u64::from(event.index));
                    }
                }
            }
            out.varint(conflict.actual.value());
        }
        out.bytes(&frame::encode_local(
            Seq::new(0),
            core::slice::from_ref(&self.local),
        ));
        out.0
    }

    /// From what [`Parked::encode`] wrote.
    ///
    /// # Errors
    /// [`FrameError`] if the bytes are damaged or of a newer format.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let mut from = Reader::new(bytes);
        let format = from.byte("format of a parked commit")?;
        if format != 1 {
            return Err(FrameError::NewerFormat {
                found: format,
                newest: 1,
            });
        }
        let kind = from.byte("reason")?;
        let code = read_text(&mut from)?;
        let message = read_text(&mut from)?;
        let reason = match kind {
            0 => ParkReason::Conflict,
            1 => ParkReason::Refused { code, message },
            2 => ParkReason::Rejected { code, message },
            3 => ParkReason::UnknownCommand,
            _ => return Err(from.bad("reason")),
        };
        let count = from.count("number of conflicts")?;
        let mut conflicts = Vec::with_capacity(count.min(64));
        for _ in 0..count {
            let check_index = from.small("check index")?;
            let stream = StreamId::new(read_text(&mut from)?)?;
            let expected = match from.byte("expected version")? {
                0 => Expected::Any,
                1 => Expected::NoStream,
                2 => Expected::Exists,
                kind @ (3 | 4) => Expected::Exact {
                    exact: Version::new(from.varint("expected version")?),
                    event: if kind == 4 {
                        Some(EventId {
                            commit: from.id("expected event")?,
                            attempt: Attempt::new(from.small("expected event")?),
                            index: from.small("expected event")?,
                        })
                    } else {
                        None
                    },
                },
                _ => return Err(from.bad("expected version")),
            };
            let actual = Version::new(from.varint("actual version")?);
            conflicts.push(Conflict {
                check_index,
                stream,
                expected,
                actual,
            });
        }
        match frame::decode(from.rest())?.body {
            Body::Local(mut locals) if locals.len() == 1 => match locals.pop() {
                Some(local) => Ok(Self {
                    local,
                    reason,
                    conflicts,
                }),
                None => Err(from.bad("parked commit")),
            },
            _ => Err(from.bad("parked commit")),
        }
    }
}

/// The events behind broken conditions.
pub(super) fn collisions(conflicts: &[Conflict]) -> Vec<Collision> {
    let collisions = conflicts.iter().map(|conflict| {
        let from = match conflict.expected {
            // The expected version is there, but it is another event.
            Expected::Exact { exact, .. } if exact >= conflict.actual => conflict.actual,
            Expected::Exact { exact, .. } => exact.next(),
            Expected::Any | Expected::NoStream | Expected::Exists => Version::new(1),
        };
        Collision {
            stream: conflict.stream.clone(),
            from,
            to: conflict.actual,
        }
    });
    collisions
        // A stream that has no events (any more) collides with nothing.
        .filter(|collision| collision.from > Version::NONE && collision.to >= collision.from)
        .collect()
}

fn text(out: &mut Section, text: &str) {
    out.length(text.len());
    out.bytes(text.as_bytes());
}

fn read_text(from: &mut Reader<'_>) -> Result<String, FrameError> {
    let length = from.length("length of a text")?;
    let bytes = from.take(length, "text")?;
    core::str::from_utf8(bytes)
        .map(String::from)
        .map_err(|_cause| from.bad("text (not UTF-8)"))
}
