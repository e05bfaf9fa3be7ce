//! What a frame of format 3 leaves out, between its commits and at its ends.
//!
//! The section holds the number of gaps, and of each: how many commits stand between it and the gap before (varint), how
//! many positions it leaves out (varint), why (a byte), and the chain hash at its last position (32 bytes).

use super::reader::Reader;
use super::writer::Section;
use super::{Frame, FrameError, Header, encode_with_gaps};
use crate::commit::Recorded;
use crate::filter::Filter;
use crate::gap::{Gap, GapReason, GapRecord};
use crate::hash::ChainHash;
use crate::number::Position;
use alloc::vec::Vec;

/// No gap takes fewer bytes.
const LEAST_BYTES: usize = 35;

/// A gap by what stands before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// How many commits of the frame stand before it.
    pub(super) commits: u32,
    /// How many positions it leaves out.
    pub(super) count: u64,
    reason: GapReason,
    chain: ChainHash,
}

impl Place {
    /// The gap, where it begins behind this many positions of a frame.
    pub(super) fn record(&self, first: u64, before: u64) -> GapRecord {
        let from = Position::new(first.saturating_add(before));
        GapRecord {
            gap: Gap {
                from,
                to: from.plus(self.count.saturating_sub(1)),
                reason: self.reason,
            },
            chain: self.chain,
        }
    }
}

/// Something of a recorded frame, in the order of positions.
#[derive(Debug, Clone, Copy)]
pub enum Step<'f> {
    /// A commit.
    Commit(&'f Recorded),
    /// What is left out.
    Gap(&'f GapRecord),
}

impl Step<'_> {
    /// Its first position.
    #[must_use]
    pub const fn first(&self) -> Position {
        match self {
            Self::Commit(recorded) => recorded.position,
            Self::Gap(record) => record.gap.from,
        }
    }

    /// Its last position.
    #[must_use]
    pub fn last(&self) -> Position {
        match self {
            Self::Commit(recorded) => recorded.last_position(),
            Self::Gap(record) => record.gap.to,
        }
    }

    /// The chain hash behind it, from the one before it.
    #[must_use]
    pub fn chain_after(&self, before: ChainHash) -> ChainHash {
        match self {
            Self::Commit(recorded) => before.after(recorded),
            Self::Gap(record) => record.chain,
        }
    }
}

/// Commits and gaps by position. Both are sorted.
pub(super) fn steps<'f>(
    commits: &'f [Recorded],
    gaps: &'f [GapRecord],
) -> impl Iterator<Item = Step<'f>> {
    let (mut commits, mut gaps) = (commits.iter().peekable(), gaps.iter().peekable());
    core::iter::from_fn(move || match (commits.peek(), gaps.peek()) {
        (Some(recorded), Some(record)) if record.gap.from < recorded.position => {
            gaps.next().map(Step::Gap)
        }
        (Some(_), _) => commits.next().map(Step::Commit),
        (None, _) => gaps.next().map(Step::Gap),
    })
}

/// The section, and how many positions it leaves out.
pub(super) fn write(commits: &[Recorded], gaps: &[GapRecord]) -> (Section, u64) {
    let mut section = Section::default();
    section.length(gaps.len());
    let (mut between, mut left_out) = (0_u64, 0_u64);
    for step in steps(commits, gaps) {
        match step {
            Step::Commit(_) => between += 1,
            Step::Gap(GapRecord { gap, chain }) => {
                let count = gap.to.value().saturating_sub(gap.from.value()) + 1;
                section.varint(between);
                section.varint(count);
                section.byte(gap.reason.number());
                section.bytes(chain.as_bytes());
                (between, left_out) = (0, left_out + count);
            }
        }
    }
    (section, left_out)
}

pub(super) fn read(mut section: Reader<'_>, header: &Header) -> Result<Vec<Place>, FrameError> {
    let count = section.length("number of gaps")?;
    if count > section.left() / LEAST_BYTES {
        return Err(section.bad("number of gaps"));
    }
    let mut places = Vec::with_capacity(count);
    let (mut commits, mut left_out) = (0_u32, 0_u64);
    for _ in 0..count {
        let more = commits.checked_add(section.small("place of a gap")?);
        let place = more.filter(|place| *place <= header.commits);
        commits = place.ok_or_else(|| section.bad("place of a gap"))?;
        let length = section.varint("length of a gap")?;
        let total = left_out.checked_add(length).filter(|_| length > 0);
        left_out = total.ok_or_else(|| section.bad("length of a gap"))?;
        let reason = GapReason::of_number(u64::from(section.byte("reason of a gap")?));
        places.push(Place {
            commits,
            count: length,
            reason: reason.ok_or_else(|| section.bad("reason of a gap"))?,
            chain: ChainHash::from_bytes(section.array("chain hash of a gap")?),
        });
    }
    section.end("gaps")?;
    if left_out != header.left_out {
        return Err(section.bad("length of a gap"));
    }
    Ok(places)
}

pub(super) fn leave_out(frame: &Frame, filter: &Filter) -> Option<Vec<u8>> {
    let unasked = |step: Step<'_>| matches!(step, Step::Commit(it) if !filter.matches(&it.commit));
    if filter.is_everything() || !frame.steps().any(unasked) {
        return None;
    }
    let mut commits = Vec::new();
    let mut gaps = Vec::new();
    let mut chain = frame.chain_before;
    for step in frame.steps() {
        chain = step.chain_after(chain);
        match step {
            Step::Commit(recorded) if filter.matches(&recorded.commit) => {
                commits.push(recorded.clone());
            }
            Step::Commit(recorded) => {
                let gap = Gap {
                    from: recorded.position,
                    to: recorded.last_position(),
                    reason: GapReason::Filter,
                };
                GapRecord { gap, chain }.push(&mut gaps);
            }
            Step::Gap(record) => record.push(&mut gaps),
        }
    }
    Some(encode_with_gaps(
        frame.epoch,
        frame.chain_before,
        &commits,
        &gaps,
    ))
}
