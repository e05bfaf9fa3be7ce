//! Reading numbers fast: a failure is remembered instead of returned, so that a row costs a few loads and no branches
//! for errors. Whoever scans looks at [`Scan::failed`] once for each row and stops.
//!
//! What every field needs is inlined even where the Wasm is compiled for size: a call would cost more than its work.

use super::layout::LANES;
use core::ops::Range;

/// Lanes of a frame, each with its own place to read at.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    frame: &'a [u8],
    at: [usize; LANES],
    end: [usize; LANES],
    pub(super) failed: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(frame: &'a [u8], lanes: &[Range<usize>]) -> Self {
        let mut scan = Self {
            frame,
            at: [0; LANES],
            end: [0; LANES],
            failed: false,
        };
        for ((at, end), lane) in scan.at.iter_mut().zip(&mut scan.end).zip(lanes) {
            *at = lane.start;
            *end = lane.end.min(frame.len());
        }
        scan
    }

    pub(super) const fn fail(&mut self) {
        self.failed = true;
    }

    /// The place in the frame where a lane is read next.
    pub(super) fn at(&self, lane: usize) -> usize {
        self.at.get(lane).copied().unwrap_or_default()
    }

    /// How many bytes of a lane are left.
    pub(super) fn left(&self, lane: usize) -> usize {
        let end = self.end.get(lane).copied().unwrap_or_default();
        end.saturating_sub(self.at(lane))
    }

    /// Was every lane read to its end?
    pub(super) fn is_done(&self) -> bool {
        self.at == self.end
    }

    /// Are the next bytes of a lane zero? Then they are behind us.
    pub(super) fn skip_zeros<const N: usize>(&mut self, lane: usize) -> bool {
        let found = self.rest(lane).first_chunk() == Some(&[0; N]);
        if found && let Some(at) = self.at.get_mut(lane) {
            *at += N;
        }
        found
    }

    /// Are the next bytes of two lanes zero? Then all of them are behind us.
    pub(super) fn skip_zeros_in<const N: usize, const M: usize>(
        &mut self,
        one: usize,
        other: usize,
    ) -> bool {
        self.rest(other).first_chunk() == Some(&[0; M])
            && self.skip_zeros::<N>(one)
            && self.skip_zeros::<M>(other)
    }

    fn rest(&self, lane: usize) -> &'a [u8] {
        let end = self.end.get(lane).copied().unwrap_or_default();
        self.frame.get(self.at(lane)..end).unwrap_or_default()
    }

    pub(super) fn take(&mut self, lane: usize, length: usize) -> &'a [u8] {
        match (self.rest(lane).get(..length), self.at.get_mut(lane)) {
            (Some(taken), Some(at)) => {
                *at += length;
                taken
            }
            _ => {
                self.failed = true;
                &[]
            }
        }
    }

    /// LEB128 of at most 64 bits, in its shortest form; 0 after a failure.
    #[inline(always)]
    pub(super) fn varint(&mut self, lane: usize) -> u64 {
        if let (Some(at), Some(end)) = (self.at.get_mut(lane), self.end.get(lane))
            && *at < *end
            && let Some(byte) = self.frame.get(*at)
            && *byte < 0x80
        {
            *at += 1;
            return u64::from(*byte);
        }
        self.long_varint(lane)
    }

    fn long_varint(&mut self, lane: usize) -> u64 {
        let rest = self.rest(lane);
        // Most of the rest have two bytes.
        if let [one @ 0x80..=0xff, two @ 0x01..0x80, ..] = rest
            && let Some(at) = self.at.get_mut(lane)
        {
            *at += 2;
            return u64::from(*one & 0x7f) | u64::from(*two) << 7;
        }
        let mut value = 0_u64;
        let mut length = 0;
        for byte in rest {
            let shift = length * 7;
            length += 1;
            if shift > 63 || shift == 63 && *byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                if *byte == 0 && length > 1 {
                    break;
                }
                if let Some(at) = self.at.get_mut(lane) {
                    *at += length;
                }
                return value;
            }
        }
        self.failed = true;
        0
    }

    #[inline(always)]
    pub(super) fn small(&mut self, lane: usize) -> u32 {
        let value = self.varint(lane);
        u32::try_from(value).unwrap_or_else(|_too_large| {
            self.failed = true;
            0
        })
    }

    /// A number below `end`.
    #[inline(always)]
    pub(super) fn below(&mut self, lane: usize, end: usize) -> u32 {
        let value = self.small(lane);
        if value as usize >= end {
            self.failed = true;
        }
        value
    }

    /// Zigzag.
    #[inline(always)]
    #[allow(clippy::cast_possible_wrap, reason = "undoes the zigzag of the writer")]
    pub(super) fn signed(&mut self, lane: usize) -> i64 {
        let value = self.varint(lane);
        (value >> 1) as i64 ^ -((value & 1) as i64)
    }

    /// A number of things, each of which takes at least one more byte in this lane.
    pub(super) fn count(&mut self, lane: usize) -> usize {
        self.count_in(lane, lane)
    }

    /// A number of things, each of which takes at least one byte in another lane.
    pub(super) fn count_in(&mut self, lane: usize, things: usize) -> usize {
        let count = self.small(lane) as usize;
        if count > self.left(things) {
            self.failed = true;
            return 0;
        }
        count
    }
}
