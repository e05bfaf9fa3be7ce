//! Reading numbers fast: a failure is remembered instead of returned, so that a row costs a few loads and no branches
//! for errors. Whoever scans looks at [`Scan::failed`] once for each row and stops.

use core::ops::Range;

#[derive(Debug)]
pub(super) struct Scan<'a> {
    /// The frame up to the end of the section.
    bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) failed: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(frame: &'a [u8], section: &Range<usize>) -> Self {
        Self {
            bytes: frame.get(..section.end).unwrap_or_default(),
            at: section.start,
            failed: false,
        }
    }

    pub(super) const fn fail(&mut self) {
        self.failed = true;
    }

    pub(super) const fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// Are these the next bytes? Then they are behind us.
    pub(super) fn skip_if<const N: usize>(&mut self, expected: [u8; N]) -> bool {
        let next = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk);
        let found = next == Some(&expected);
        if found {
            self.at += N;
        }
        found
    }

    pub(super) fn take(&mut self, length: usize) -> &'a [u8] {
        let end = self.at.saturating_add(length);
        match self.bytes.get(self.at..end) {
            Some(taken) => {
                self.at = end;
                taken
            }
            None => {
                self.failed = true;
                &[]
            }
        }
    }

    /// LEB128 of at most 64 bits, in its shortest form; 0 after a failure.
    #[inline]
    pub(super) fn varint(&mut self) -> u64 {
        match self.bytes.get(self.at) {
            Some(byte) if *byte < 0x80 => {
                self.at += 1;
                u64::from(*byte)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> u64 {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let Some(byte) = self.bytes.get(self.at).copied() else {
                break;
            };
            self.at += 1;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                if byte == 0 {
                    break;
                }
                return value;
            }
        }
        self.failed = true;
        0
    }

    #[inline]
    pub(super) fn small(&mut self) -> u32 {
        let value = self.varint();
        u32::try_from(value).unwrap_or_else(|_too_large| {
            self.failed = true;
            0
        })
    }

    /// A number below `end`.
    #[inline]
    pub(super) fn below(&mut self, end: usize) -> u32 {
        let value = self.small();
        if value as usize >= end {
            self.failed = true;
        }
        value
    }

    /// Zigzag.
    #[inline]
    #[allow(clippy::cast_possible_wrap, reason = "undoes the zigzag of the writer")]
    pub(super) fn signed(&mut self) -> i64 {
        let value = self.varint();
        (value >> 1) as i64 ^ -((value & 1) as i64)
    }

    /// A number of things, each of which takes at least one more byte here.
    pub(super) fn count(&mut self) -> usize {
        let count = self.small() as usize;
        if count > self.left() {
            self.failed = true;
            return 0;
        }
        count
    }
}
