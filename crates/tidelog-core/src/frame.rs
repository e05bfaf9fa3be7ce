//! The one binary record: a run of commits as bytes, the same on disk, on the wire and in exports.
//!
//! A frame is either *recorded* (confirmed commits with their positions, versions and chain) or *local* (commits not
//! yet confirmed, on disk with the commands that made them). Frames delimit themselves, so a sequence of them is
//! just their bytes one after the other ([`split`]).
//!
//! Layout, integers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | magic `TIDE` |
//! | 4 | format version, 1 to 3 |
//! | 5 | flags: bit 0 recorded |
//! | 6..8 | zero |
//! | 8..12 | length of the whole frame in bytes |
//! | 12..16 | CRC-32C (Castagnoli, RFC 3720) of the frame without these four bytes |
//! | 16..32 | epoch (zero in a local frame) |
//! | 32..40 | first position (recorded) or first sequence number (local) |
//! | 40..44 | number of commits |
//! | 44..48 | number of events |
//! | 48..80 | chain hash before the first commit (zero in a local frame) |
//! | 80..88 | of format 3 only: how many positions its gaps leave out |
//! | 80.., 88.. | sections, each behind its length as a varint: gaps (format 3), the dictionary, lanes, the payloads |
//!
//! Format 1 has two lanes: all of each commit, one after the other, and all of each event. It goes over the wire, and it is
//! what is pending. Format 2 is for what stays on disk: a lane for each field, in the order of the table below, so that
//! like bytes stand together and the browser's own compression (Snappy, which finds repeated bytes and nothing else) has
//! more to find. What follows from the rest of the frame is left out of it. It holds recorded commits only. Format 3 is format 2
//! with gaps between its commits or at its ends (`frame/gaps.rs`): for a replica that asks for a part of the log. It may hold
//! gaps only.
//!
//! | of a commit | format 1 | formats 2, 3 |
//! |---|---|---|
//! | time in its id | | signed: from the id before |
//! | id | 16 bytes | its last 10 bytes |
//! | recorded time | signed: from the commit before | signed: from the time in its id |
//! | attempt; replica | varints | the same |
//! | sequence number | signed: from the commit before | the same |
//! | number of conditions; of each: stream | varints | the same |
//! | kind of a condition: any, no stream, exists, exact, exact with its event | byte 0..=4 | 5: exact, the stream's last event before it in the frame |
//! | its version (3, 4, 5) | varint | signed: from the stream's last version named before |
//! | its event (4): commit, attempt, index | 16 bytes, varints | the same |
//! | number of events | varint | the same |
//! | policy and command | of a local frame only | |
//! | actor | varint: text + 1, 0 for none | the same |
//! | number of streams written; of each: its text | varints | the same |
//! | its first version | varint | signed: from the one that follows the stream's last |
//! | how many more | varint | the same |
//!
//! | of an event | all formats |
//! |---|---|
//! | stream; type; schema version | varints |
//! | time | signed: from the event before |
//! | number of tags; each | varints |
//! | correlation, causation, device | varints: text + 1, 0 for none |
//! | length of the payload + 1, or 0 if it was erased | varint |
//! | digest of an erased payload | 32 bytes |
//!
//! In format 1 the fields of a commit stand in this order but for the recorded time, which stands before the actor.
//!
//! Varints are LEB128, signed ones zigzag first. The dictionary is the number of replicas and their ids, then the number of
//! texts and each behind its length. The payload section is the payloads' JSON joined by commas, so that
//! a reader in JavaScript can parse a whole frame's payloads at once; an erased payload stands there as `null`.
//!
//! Invariants: decoding any bytes returns a frame or a [`FrameError`] and never panics; decoding what was encoded
//! gives it back, payload bytes included.
//!
//! ```
//! use tidelog_core::{frame, *};
//! let commit = Commit {
//!     id: CommitId::from_bytes([1; 16]), attempt: Attempt::FIRST, replica: ReplicaId::from_bytes([2; 16]),
//!     seq: Seq::new(1), conditions: vec![],
//!     events: vec![Event {
//!         stream: StreamId::new("todo/1")?, event_type: EventType::new("todo.added")?,
//!         schema: SchemaVersion::FIRST, data: Payload::json(r#"{"title":"Milk"}"#),
//!         occurred_at: Timestamp::from_millis(0), tags: vec![], meta: Meta::default(),
//!     }],
//! };
//! let local = Local { commit, command: None, policy: Policy::Rerun };
//! let bytes = frame::encode_local(Seq::new(1), std::slice::from_ref(&local));
//! let frame::Body::Local(back) = frame::decode(&bytes)?.body else { unreachable!() };
//! assert_eq!(back, [local]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checksum;
mod columns;
mod decode;
mod encode;
mod gaps;
mod layout;
mod merge;
pub(crate) mod reader;
mod scan;
pub(crate) mod writer;

pub(crate) use checksum::crc32c;
pub use columns::{Columns, Extra, StreamEnd};
pub use gaps::Step;
pub use merge::{MergeError, Merged};

use crate::commit::{Local, Recorded};
use crate::filter::Filter;
use crate::gap::GapRecord;
use crate::hash::ChainHash;
use crate::id::Epoch;
use crate::number::{Position, Seq};
use crate::text::TextError;
use alloc::sync::Arc;
use alloc::vec::Vec;
use layout::Layout;

/// The least number of bytes before the sections.
pub const HEADER_BYTES: usize = 80;
const MAGIC: [u8; 4] = *b"TIDE";
/// Format 1: rows. What goes over the wire, and what is pending.
const FORMAT_ROWS: u8 = 1;
/// Format 2: lanes. What is merged for the disk.
const FORMAT_LANES: u8 = 2;
/// Format 3: lanes with gaps.
const FORMAT_GAPS: u8 = 3;
const NEWEST_FORMAT: u8 = FORMAT_GAPS;
const RECORDED: u8 = 1;

/// A decoded frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The history it belongs to; all zeros in a local frame.
    pub epoch: Epoch,
    /// The chain hash before its first commit; all zeros in a local frame.
    pub chain_before: ChainHash,
    /// Its commits.
    pub body: Body,
    /// What it leaves out between them and at its ends, by position. None in a local frame.
    pub gaps: Vec<GapRecord>,
    /// All payloads as JSON texts joined by commas.
    pub payloads: Arc<str>,
}

impl Frame {
    /// Its commits and gaps by position. None of a local frame.
    pub fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        let commits = match &self.body {
            Body::Recorded(commits) => commits.as_slice(),
            Body::Local(_) => &[],
        };
        gaps::steps(commits, &self.gaps)
    }
}

/// The commits of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Confirmed commits, contiguous in position but for the frame's gaps.
    Recorded(Vec<Recorded>),
    /// Commits that this replica has not seen confirmed.
    Local(Vec<Local>),
}

/// What a frame's header says, without a look at the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The frame's format.
    pub format: u8,
    /// Does it hold confirmed commits?
    pub recorded: bool,
    /// The length of the whole frame in bytes.
    pub length: usize,
    /// The history it belongs to.
    pub epoch: Epoch,
    /// First position (recorded) or first sequence number (local).
    pub first: u64,
    /// How many commits it holds.
    pub commits: u32,
    /// How many events it holds.
    pub events: u32,
    /// How many positions it leaves out.
    pub left_out: u64,
    /// The chain hash before its first commit.
    pub chain_before: ChainHash,
}

impl Header {
    /// The first position that it covers, if it is recorded: of an event, or of a gap.
    #[must_use]
    pub fn first_position(&self) -> Position {
        Position::new(self.first)
    }

    /// The last position that it covers, if it is recorded.
    #[must_use]
    pub fn last_position(&self) -> Position {
        Position::new(
            self.first
                .saturating_add(u64::from(self.events))
                .saturating_add(self.left_out)
                .saturating_sub(1),
        )
    }
}

/// Why bytes are not a frame. The bytes are damaged, cut or were never one: quarantine them and fetch them again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Fewer bytes than the frame says it has.
    #[error("the frame ends after {have} bytes and needs {need}")]
    Truncated {
        /// How many bytes there are.
        have: usize,
        /// How many there must be.
        need: usize,
    },
    /// The bytes do not begin as a frame does.
    #[error("these bytes are not a Tidelog frame (they do not begin with TIDE)")]
    NotAFrame,
    /// A newer format.
    #[error("the frame has format {found}; this build reads up to format {newest}. Update Tidelog")]
    NewerFormat {
        /// The frame's format.
        found: u8,
        /// The newest one this build reads.
        newest: u8,
    },
    /// The checksum does not match: the bytes were changed.
    #[error(
        "the frame's checksum is {actual:08x} and should be {expected:08x}: its bytes were changed"
    )]
    Checksum {
        /// What the frame says.
        expected: u32,
        /// What its bytes give.
        actual: u32,
    },
    /// A field has a value that no encoder writes.
    #[error("the frame's {field} is not valid (at byte {at} of its section)")]
    Malformed {
        /// Which field.
        field: &'static str,
        /// The offset in the section.
        at: usize,
    },
    /// The frame holds commits that are not confirmed, where confirmed ones are needed.
    #[error("the frame holds commits that are not confirmed; only confirmed ones have positions")]
    NotRecorded,
    /// A name in it breaks the rules of names.
    #[error("the frame holds a name that is not valid: {0}")]
    Name(#[from] TextError),
}

/// Encodes confirmed commits in format 1, which every build reads: for the wire. They must be contiguous: each begins at
/// the position after the one before.
#[must_use]
pub fn encode_recorded(epoch: Epoch, chain_before: ChainHash, commits: &[Recorded]) -> Vec<u8> {
    encode::encode_recorded(Layout::Rows, epoch, chain_before, commits)
}

/// Encodes confirmed commits in format 2, which takes up to half the disk of format 1 and the same time to read: for what
/// stays. They must be contiguous.
#[must_use]
pub fn encode_segment(epoch: Epoch, chain_before: ChainHash, commits: &[Recorded]) -> Vec<u8> {
    encode::encode_recorded(Layout::Lanes, epoch, chain_before, commits)
}

/// Encodes confirmed commits and what is left out between them and at their ends, both by position: in format 3, or in
/// format 2 if there is no gap. Together they must be contiguous.
#[must_use]
pub fn encode_with_gaps(
    epoch: Epoch,
    chain_before: ChainHash,
    commits: &[Recorded],
    gaps: &[GapRecord],
) -> Vec<u8> {
    encode::encode_with_gaps(epoch, chain_before, commits, gaps)
}

/// Encodes commits that are not confirmed, with the commands that made them.
#[must_use]
pub fn encode_local<'a>(first: Seq, commits: impl IntoIterator<Item = &'a Local>) -> Vec<u8> {
    let commits: Vec<&Local> = commits.into_iter().collect();
    encode::encode_local(first, &commits)
}

/// Reads the header of the frame that begins these bytes. The checksum is not looked at.
///
/// # Errors
/// [`FrameError`] if no frame of a known format begins here.
pub fn header(bytes: &[u8]) -> Result<Header, FrameError> {
    layout::header(bytes)
}

/// The checksum that a frame, or its header, names.
pub(crate) fn named_checksum(bytes: &[u8]) -> Option<u32> {
    layout::named_checksum(bytes)
}

/// Checks a frame's header, length and checksum, and gives header and checksum: by the latter one knows a frame again.
pub(crate) fn checked(bytes: &[u8]) -> Result<(Header, u32), FrameError> {
    layout::checked(bytes)
}

/// Decodes one whole frame and checks all of it.
///
/// # Errors
/// [`FrameError`] if the bytes are not exactly one valid frame.
pub fn decode(bytes: &[u8]) -> Result<Frame, FrameError> {
    decode::decode(bytes)
}

/// Reads a recorded frame as columns: the fast way to every event of it. Agrees with [`decode`] on every frame that an
/// encoder wrote; the rules of names are not checked again.
///
/// # Errors
/// [`FrameError`] if the bytes are not exactly one recorded frame.
pub fn columns(bytes: Vec<u8>) -> Result<Columns, FrameError> {
    columns::columns(bytes)
}

/// Makes one frame (of format 2 or 3) of recorded frames of one epoch that follow each other. The chain hashes of all commits are computed
/// again, and each frame must continue the chain of the one before: so what was changed at rest shows. Gaps stay, and frames
/// with neither commits nor gaps are passed over.
///
/// # Errors
/// [`MergeError`] if one is damaged, or they do not follow each other.
pub fn merge(frames: &[&[u8]]) -> Result<Merged, MergeError> {
    merge::merge(frames)
}

/// A recorded frame without the commits that a filter does not ask for, with gaps in their places: for what a server sends
/// that cannot leave anything out. `None` if there is nothing to leave out.
#[must_use]
pub fn leave_out(frame: &Frame, filter: &Filter) -> Option<Vec<u8>> {
    gaps::leave_out(frame, filter)
}

/// The chain hash behind a recorded frame's last commit, from the one before its first and all it holds. Some
/// microseconds for each commit.
///
/// # Errors
/// [`FrameError`] if the bytes are not exactly one recorded frame.
pub fn chain_after(bytes: &[u8]) -> Result<ChainHash, FrameError> {
    merge::chain_after(bytes)
}

/// Splits a sequence of frames.
///
/// # Errors
/// [`FrameError`] at the first place where no whole frame begins.
pub fn split(mut bytes: &[u8]) -> Result<Vec<&[u8]>, FrameError> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let need = header(bytes)?.length;
        let (frame, rest) = bytes.split_at_checked(need).ok_or(FrameError::Truncated {
            have: bytes.len(),
            need,
        })?;
        frames.push(frame);
        bytes = rest;
    }
    Ok(frames)
}
