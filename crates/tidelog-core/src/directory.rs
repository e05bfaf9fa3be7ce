//! The directory of stored frames: which streams a frame may hold, so that one stream's history is read without the rest
//! of the log.
//!
//! A record names streams by their hash. So it may say that a frame holds a stream that it does not hold, and never the
//! other way round: whoever asks looks into the frame. A record is made of its frame alone, so one that is damaged or
//! missing is made again.
//!
//! Layout, integers little-endian: version 1 (a byte), CRC-32C of all that follows (4 bytes), last position (8), bytes of
//! the frame (4), events (4), the latest recorded time (8), then the hashes (4 each), sorted and each once.

use crate::frame::reader::Reader;
use crate::frame::{Columns, crc32c};
use crate::number::{Position, Timestamp};
use alloc::vec::Vec;

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 5;
const FIXED_BYTES: usize = 24;

/// The hash of a stream's id or any other key: FNV-1a with 32 bits (draft-eastlake-fnv). It is on disk, so it stays as it
/// is for ever.
#[must_use]
pub fn stream_hash(key: &str) -> u32 {
    key.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// What a stored frame holds, in few bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryRecord {
    /// The position of its last event.
    pub last: Position,
    /// The length of the frame in bytes.
    pub bytes: u32,
    /// How many events it holds.
    pub events: u32,
    /// The latest time at which the server took one of its commits.
    pub recorded_until: Timestamp,
    /// The [`stream_hash`]es of its streams, sorted, each once.
    pub streams: Vec<u32>,
}

/// Why bytes are not a directory record. Make the record again from its frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// It was written by another version of Tidelog.
    #[error("the directory record has version {found}; this build reads version {known}")]
    Version {
        /// The record's version.
        found: u8,
        /// The one this build reads.
        known: u8,
    },
    /// It is cut, or its bytes were changed.
    #[error("the directory record is damaged")]
    Damaged,
}

impl DirectoryRecord {
    /// The record of a frame.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a frame's length is a 32-bit number, and its times were whole numbers"
    )]
    pub fn of(frame: &Columns) -> Self {
        let mut streams: Vec<u32> = frame.streams().map(|end| stream_hash(end.stream)).collect();
        streams.sort_unstable();
        streams.dedup();
        let times = frame.recorded_at().iter();
        Self {
            last: frame.last_position(),
            bytes: frame.bytes().len() as u32,
            events: frame.header().events,
            recorded_until: Timestamp::from_millis(
                times.map(|time| *time as i64).max().unwrap_or_default(),
            ),
            streams,
        }
    }

    /// May the frame hold events of the stream with this hash? `false` is certain.
    #[must_use]
    pub fn may_hold(&self, hash: u32) -> bool {
        self.streams.binary_search(&hash).is_ok()
    }

    /// The record as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let length = HEAD_BYTES + FIXED_BYTES + self.streams.len() * 4;
        let mut bytes = Vec::with_capacity(length);
        bytes.push(VERSION);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.last.value().to_le_bytes());
        bytes.extend_from_slice(&self.bytes.to_le_bytes());
        bytes.extend_from_slice(&self.events.to_le_bytes());
        bytes.extend_from_slice(&self.recorded_until.millis().to_le_bytes());
        for hash in &self.streams {
            bytes.extend_from_slice(&hash.to_le_bytes());
        }
        if let Some((head, body)) = bytes.split_first_chunk_mut::<HEAD_BYTES>() {
            let [a, b, c, d] = crc32c(body).to_le_bytes();
            *head = [VERSION, a, b, c, d];
        }
        bytes
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`DirectoryError`] if the bytes are not exactly one record that was written whole.
    pub fn decode(bytes: &[u8]) -> Result<Self, DirectoryError> {
        let (head, body) = bytes
            .split_first_chunk::<HEAD_BYTES>()
            .ok_or(DirectoryError::Damaged)?;
        let [version, checksum @ ..] = *head;
        if version != VERSION {
            return Err(DirectoryError::Version {
                found: version,
                known: VERSION,
            });
        }
        if u32::from_le_bytes(checksum) != crc32c(body) {
            return Err(DirectoryError::Damaged);
        }
        read(body).ok_or(DirectoryError::Damaged)
    }
}

fn read(body: &[u8]) -> Option<DirectoryRecord> {
    let mut reader = Reader::new(body);
    let record = DirectoryRecord {
        last: Position::new(u64::from_le_bytes(reader.array("last position").ok()?)),
        bytes: u32::from_le_bytes(reader.array("bytes").ok()?),
        events: u32::from_le_bytes(reader.array("events").ok()?),
        recorded_until: Timestamp::from_millis(i64::from_le_bytes(reader.array("time").ok()?)),
        streams: {
            let (hashes, []) = reader.rest().as_chunks::<4>() else {
                return None;
            };
            hashes
                .iter()
                .map(|hash| u32::from_le_bytes(*hash))
                .collect()
        },
    };
    let sorted = record.streams.is_sorted_by(|one, other| one < other);
    sorted.then_some(record)
}
