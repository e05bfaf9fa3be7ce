//! Where everything stands in a frame: the header, the sections and their lanes, in both formats.

use super::checksum;
use super::reader::Reader;
use super::{
    FORMAT_GAPS, FORMAT_ROWS, FrameError, HEADER_BYTES, Header, MAGIC, NEWEST_FORMAT, RECORDED,
};
use crate::hash::ChainHash;
use crate::id::{Epoch, EventId};
use alloc::vec::Vec;
use core::ops::Range;

/// What an erased payload stands as among the payloads.
pub(super) const ERASED_TEXT: &str = "null";
/// The bytes of the time that a commit's id (UUID version 7) begins with.
pub(super) const ID_TIME_BYTES: usize = 6;

/// Everything that a frame says of a commit or an event. In format 2 each has a lane of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    IdTime,
    IdRest,
    RecordedAt,
    Attempt,
    Replica,
    Seq,
    Conditions,
    ConditionStream,
    ConditionKind,
    ConditionVersion,
    ConditionEvent,
    Events,
    /// Policy and command of a local commit.
    Local,
    Actor,
    Versions,
    VersionsStream,
    VersionsFirst,
    VersionsMore,
    Stream,
    EventType,
    Schema,
    OccurredAt,
    Tags,
    References,
    PayloadLength,
    PayloadDigest,
}

/// How many lanes there are.
pub(super) const LANES: usize = Field::PayloadDigest as usize + 1;

/// Which bytes of which field stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Format 1: one lane for all fields of commits, one for all of events.
    Rows,
    /// Formats 2 and 3: a lane for each field, and numbers that follow from the frame are left out.
    Lanes,
}

impl Layout {
    pub(super) const fn lane(self, field: Field) -> usize {
        match self {
            Self::Rows => (field as usize >= Field::Stream as usize) as usize,
            Self::Lanes => field as usize,
        }
    }

    pub(super) const fn lanes(self) -> usize {
        match self {
            Self::Rows => 2,
            Self::Lanes => LANES,
        }
    }

    const fn of(format: u8) -> Self {
        match format {
            FORMAT_ROWS => Self::Rows,
            _ => Self::Lanes,
        }
    }
}

/// Where the sections of a frame are in its bytes.
#[derive(Debug)]
pub(super) struct Sections {
    pub(super) layout: Layout,
    /// Empty unless there are gaps.
    pub(super) gaps: Range<usize>,
    pub(super) dictionary: Range<usize>,
    pub(super) lanes: [Range<usize>; LANES],
    pub(super) payloads: Range<usize>,
}

pub(super) fn header(bytes: &[u8]) -> Result<Header, FrameError> {
    let short = |need| FrameError::Truncated {
        have: bytes.len(),
        need,
    };
    if bytes.len() >= MAGIC.len() && !bytes.starts_with(&MAGIC) {
        return Err(FrameError::NotAFrame);
    }
    let need = bytes
        .get(4)
        .map_or(HEADER_BYTES, |format| header_bytes(*format));
    let head = bytes.get(..need).ok_or_else(|| short(need))?;
    let mut reader = Reader::new(head);
    reader.take(4, "magic")?;
    let format = reader.byte("format")?;
    if format > NEWEST_FORMAT {
        return Err(FrameError::NewerFormat {
            found: format,
            newest: NEWEST_FORMAT,
        });
    }
    let flags = reader.byte("flags")?;
    let reserved: [u8; 2] = reader.array("reserved bytes")?;
    // Format 2 has no local frames: their commits are rewritten before there are many of them.
    let known = match format {
        0 => false,
        FORMAT_ROWS => flags & !RECORDED == 0,
        _ => flags == RECORDED,
    };
    if !known || reserved != [0, 0] {
        return Err(reader.bad("flags"));
    }
    let length = u32::from_le_bytes(reader.array("length")?);
    reader.take(4, "checksum")?;
    let header = Header {
        format,
        recorded: flags & RECORDED != 0,
        length: usize::try_from(length).map_err(|_cause| reader.bad("length"))?,
        epoch: Epoch::from_bytes(reader.array("epoch")?),
        first: u64::from_le_bytes(reader.array("first")?),
        commits: u32::from_le_bytes(reader.array("number of commits")?),
        events: u32::from_le_bytes(reader.array("number of events")?),
        chain_before: ChainHash::from_bytes(reader.array("chain hash")?),
        left_out: match format {
            FORMAT_GAPS => u64::from_le_bytes(reader.array("number of positions left out")?),
            _ => 0,
        },
    };
    if header.length < need {
        return Err(reader.bad("length"));
    }
    Ok(header)
}

/// The checksum that a frame, or its header, names.
pub(super) fn named_checksum(bytes: &[u8]) -> Option<u32> {
    bytes
        .get(12..)?
        .first_chunk()
        .copied()
        .map(u32::from_le_bytes)
}

/// Checks header, length and checksum of a frame; gives the header and the checksum.
pub(super) fn checked(bytes: &[u8]) -> Result<(Header, u32), FrameError> {
    let header = header(bytes)?;
    if bytes.len() < header.length {
        return Err(FrameError::Truncated {
            have: bytes.len(),
            need: header.length,
        });
    }
    let mut reader = Reader::new(bytes);
    reader.take(12, "header")?;
    let expected = u32::from_le_bytes(reader.array("checksum")?);
    if bytes.len() > header.length {
        return Err(reader.bad("length"));
    }
    let actual = checksum(bytes);
    if actual != expected {
        return Err(FrameError::Checksum { expected, actual });
    }
    Ok((header, actual))
}

/// Checks all of a frame but what stands in its sections: header, length, checksum.
pub(super) fn open(bytes: &[u8]) -> Result<(Header, Sections), FrameError> {
    let (header, _) = checked(bytes)?;
    let mut reader = Reader::new(bytes);
    reader.take(header_bytes(header.format), "header")?;
    let covered = header.left_out.checked_add(u64::from(header.events));
    let end = covered.and_then(|covered| header.first.checked_add(covered));
    if header.recorded && end.is_none() {
        return Err(reader.bad("first position"));
    }
    let mut section = |field| {
        let length = reader.length(field)?;
        let start = bytes.len() - reader.left();
        reader.take(length, field)?;
        Ok::<_, FrameError>(start..start + length)
    };
    let layout = Layout::of(header.format);
    let gaps = match header.format {
        FORMAT_GAPS => section("gaps")?,
        _ => 0..0,
    };
    let dictionary = section("dictionary")?;
    let mut lanes = [const { 0..0 }; LANES];
    for lane in lanes.iter_mut().take(layout.lanes()) {
        *lane = section("lane")?;
    }
    let sections = Sections {
        layout,
        gaps,
        dictionary,
        lanes,
        payloads: section("payloads")?,
    };
    reader.end("end")?;
    Ok((header, sections))
}

/// How many bytes stand before the sections.
pub(super) const fn header_bytes(format: u8) -> usize {
    match format {
        FORMAT_GAPS => HEADER_BYTES + 8,
        _ => HEADER_BYTES,
    }
}

/// CRC-32C of a frame without the four bytes that hold it.
pub(super) fn checksum(frame: &[u8]) -> u32 {
    checksum::of_parts([
        frame.get(..12).unwrap_or_default(),
        frame.get(16..).unwrap_or_default(),
    ])
}

/// The time that a commit's id begins with, and the rest.
pub(super) fn split_id(id: &[u8; 16]) -> (i64, &[u8]) {
    let (time, rest) = id.split_at(ID_TIME_BYTES);
    let time = time
        .iter()
        .fold(0, |time, byte| time << 8 | i64::from(*byte));
    (time, rest)
}

/// Undoes [`split_id`]: `None` if there is no such id.
pub(super) fn join_id(time: i64, rest: &[u8]) -> Option<[u8; 16]> {
    let [0, 0, time @ ..] = time.to_be_bytes() else {
        return None;
    };
    let mut id = [0; 16];
    let (head, tail) = id.split_first_chunk_mut::<ID_TIME_BYTES>()?;
    *head = time;
    tail.copy_from_slice(rest.first_chunk::<10>()?);
    Some(id)
}

/// Where the streams end, as far as a frame was written or read: what numbers in lanes are told from.
#[derive(Debug, Default)]
pub(super) struct Ends(Vec<End>);

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct End {
    pub(super) version: u64,
    pub(super) event: Option<EventId>,
}

impl Ends {
    /// The end of the stream whose name has this number, which the dictionary holds.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::indexing_slicing,
        reason = "the dictionary is in memory, and there is room for its last name after resizing"
    )]
    pub(super) fn of(&mut self, stream: u64) -> &mut End {
        let at = stream as usize;
        if at >= self.0.len() {
            self.0.resize(at + 1, End::default());
        }
        &mut self.0[at]
    }
}
