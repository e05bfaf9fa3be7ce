//! What a replica remembers of the confirmed log: where each stream ends and which frames hold it.

use super::heads::Ends;
use super::places::Places;
use crate::commit::Recorded;
use crate::filter::Filter;
use crate::frame::{Body, Columns, Frame, Step};
use crate::gap::GapReason;
use crate::map::StreamMap;
use crate::number::{Position, Version};
use crate::stream::{StreamHead, StreamId};
use alloc::string::String;

/// Why a recorded frame does not follow what is confirmed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InconsistentLog {
    /// A frame of commits that are not confirmed.
    #[error("a frame of unconfirmed commits stands where confirmed ones should be")]
    NotRecorded,
    /// The frame begins elsewhere.
    #[error("the log continues at position {found} and should continue at {expected}")]
    Position {
        /// The next position.
        expected: Position,
        /// What came.
        found: Position,
    },
    /// A stream's versions have a gap or a repetition.
    #[error("stream {stream} continues at version {found} and should continue at {expected}")]
    Version {
        /// The stream.
        stream: StreamId,
        /// The next version.
        expected: Version,
        /// What came.
        found: Version,
    },
    /// Something is left out that was asked for.
    #[error("positions {from} to {to} are left out, although everything was asked for")]
    LeftOut {
        /// The first position.
        from: Position,
        /// The last.
        to: Position,
    },
    /// The chain hash does not fit: something before or in the frame was changed.
    #[error("the hash chain breaks at position {position}: what the server sends was changed")]
    Chain {
        /// Where.
        position: Position,
    },
    /// The bytes are not a frame.
    #[error("{0}")]
    Frame(#[from] crate::frame::FrameError),
    /// A commit with the same content twice, or the like.
    #[error("the log is not valid: {detail}")]
    Invalid {
        /// What is wrong.
        detail: String,
    },
}

/// The confirmed log, as far as a replica has to remember it.
#[derive(Debug, Default)]
pub(super) struct Confirmed {
    pub(super) ends: Ends,
    pub(super) places: Places,
}

impl Confirmed {
    /// What a snapshot says of the log up to a position.
    pub(super) fn restored(ends: Ends, position: Position) -> Self {
        Self {
            ends,
            places: Places::after(position),
        }
    }

    pub(super) fn head(&self, stream: &StreamId) -> Option<StreamHead> {
        self.ends.of(stream.as_str())
    }

    /// Checks that a frame follows `position`, whole and without a gap but for what the filter leaves out. Nothing changes.
    pub(super) fn check(
        &self,
        frame: &Frame,
        position: Position,
        heads: &mut StreamMap<Version>,
        filter: &Filter,
    ) -> Result<(), InconsistentLog> {
        if !matches!(frame.body, Body::Recorded(_)) {
            return Err(InconsistentLog::NotRecorded);
        }
        let mut expected = position.next();
        for step in frame.steps() {
            if step.first() != expected {
                return Err(InconsistentLog::Position {
                    expected,
                    found: step.first(),
                });
            }
            expected = step.last().next();
            match step {
                Step::Commit(recorded) => self.check_versions(recorded, heads, filter)?,
                Step::Gap(record)
                    if record.gap.reason == GapReason::Filter && !filter.is_everything() => {}
                Step::Gap(record) => {
                    return Err(InconsistentLog::LeftOut {
                        from: record.gap.from,
                        to: record.gap.to,
                    });
                }
            }
        }
        Ok(())
    }

    fn check_versions(
        &self,
        recorded: &Recorded,
        heads: &mut StreamMap<Version>,
        filter: &Filter,
    ) -> Result<(), InconsistentLog> {
        let written = recorded.commit.written();
        if written.len() != recorded.versions.len() || written.is_empty() {
            return Err(InconsistentLog::Invalid {
                detail: String::from("a commit's versions do not name the streams it writes"),
            });
        }
        for ((stream, count), versions) in written.into_iter().zip(&recorded.versions) {
            let before = heads
                .get(stream)
                .copied()
                .unwrap_or_else(|| self.head(stream).map_or(Version::NONE, |head| head.version));
            // Of a stream outside the filter there may be others that were left out.
            let skipped = !filter.wants(stream) && versions.first > before;
            let before = match versions.first.value().checked_sub(1) {
                Some(left) if skipped => Version::new(left),
                _ => before,
            };
            if stream != &versions.stream
                || versions.first != before.next()
                || versions.last != before.plus(count)
            {
                return Err(InconsistentLog::Version {
                    stream: stream.clone(),
                    expected: before.next(),
                    found: versions.first,
                });
            }
            heads.insert(stream.clone(), versions.last);
        }
        Ok(())
    }

    /// Takes in a frame that follows.
    pub(super) fn extend(&mut self, frame: &Columns) -> Result<(), InconsistentLog> {
        for end in frame.streams() {
            let head = StreamHead {
                version: end.last,
                last: end.event,
            };
            self.ends
                .set(end.stream, head)
                .ok_or_else(|| InconsistentLog::Invalid {
                    detail: String::from("a stream's id is not valid"),
                })?;
        }
        self.places.add(frame);
        Ok(())
    }
}
