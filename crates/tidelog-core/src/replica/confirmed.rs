//! What a replica remembers of the confirmed log: where each stream ends and which frames hold it.

use crate::commit::Recorded;
use crate::frame::{Body, Frame};
use crate::map::Map;
use crate::number::{Position, Version};
use crate::stream::{StreamHead, StreamId};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

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

#[derive(Debug, Default)]
struct Stream {
    head: Option<StreamHead>,
    frames: Vec<u32>,
}

/// The directory of the confirmed log.
#[derive(Debug, Default)]
pub(super) struct Confirmed {
    streams: BTreeMap<StreamId, Stream>,
    frames: Vec<Position>,
}

impl Confirmed {
    pub(super) fn head(&self, stream: &StreamId) -> Option<StreamHead> {
        self.streams.get(stream).and_then(|stream| stream.head)
    }

    /// The first positions of the frames that hold events of a stream.
    pub(super) fn frames_of(&self, stream: &StreamId) -> Vec<Position> {
        let numbers = self
            .streams
            .get(stream)
            .map(|stream| stream.frames.as_slice());
        let numbers = numbers.unwrap_or_default().iter();
        numbers
            .filter_map(|number| self.frames.get(*number as usize).copied())
            .collect()
    }

    /// The first positions of the frames that hold positions after this one.
    pub(super) fn frames_after(&self, position: Position) -> &[Position] {
        let after = self.frames.partition_point(|first| *first <= position);
        self.frames
            .get(after.saturating_sub(1)..)
            .unwrap_or_default()
    }

    /// Checks that a frame follows `position`, whole and gap-free, without changing anything.
    pub(super) fn check<'f>(
        &self,
        frame: &'f Frame,
        position: Position,
        heads: &mut Map<StreamId, Version>,
    ) -> Result<&'f [Recorded], InconsistentLog> {
        let Body::Recorded(commits) = &frame.body else {
            return Err(InconsistentLog::NotRecorded);
        };
        let mut expected = position.next();
        for recorded in commits {
            if recorded.position != expected {
                return Err(InconsistentLog::Position {
                    expected,
                    found: recorded.position,
                });
            }
            expected = recorded.last_position().next();
            let written = recorded.commit.written();
            if written.len() != recorded.versions.len() || written.is_empty() {
                return Err(InconsistentLog::Invalid {
                    detail: String::from("a commit's versions do not name the streams it writes"),
                });
            }
            for ((stream, count), versions) in written.into_iter().zip(&recorded.versions) {
                let before = heads.get(stream).copied().unwrap_or_else(|| {
                    self.head(stream).map_or(Version::NONE, |head| head.version)
                });
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
        }
        Ok(commits)
    }

    /// Takes in a frame that [`Confirmed::check`] passed.
    pub(super) fn extend(&mut self, commits: &[Recorded]) {
        let Some(first) = commits.first() else { return };
        let number = u32::try_from(self.frames.len()).unwrap_or(u32::MAX);
        self.frames.push(first.position);
        for recorded in commits {
            for versions in &recorded.versions {
                let stream = self.streams.entry(versions.stream.clone()).or_default();
                if let Some(last) = recorded.commit.last_on(&versions.stream) {
                    stream.head = Some(StreamHead {
                        version: versions.last,
                        last,
                    });
                }
                if stream.frames.last() != Some(&number) {
                    stream.frames.push(number);
                }
            }
        }
    }
}
