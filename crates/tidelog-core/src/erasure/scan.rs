//! Reads the ranges out of an erasure's data.
//!
//! The payload was accepted as JSON before, so this knows only what nests and what is quoted; any text gives ranges or nothing. A
//! parser of all JSON would cost every browser more than this one event type is worth.

use super::VersionRange;
use crate::number::Version;
use crate::text::decimal;
use alloc::vec::Vec;

/// The ranges under `versions` of an object: at least one, from 1, ascending, none touching another's versions.
pub(super) fn ranges(json: &str) -> Option<Vec<VersionRange>> {
    let mut text = Scan(json);
    text.take('{')?;
    let mut found = None;
    loop {
        let name = text.string()?;
        text.take(':')?;
        match name {
            "versions" if found.is_none() => found = Some(text.ranges()?),
            _ => text.skip_value()?,
        }
        if text.take(',').is_none() {
            text.take('}')?;
            return found.filter(|_| text.0.trim_ascii().is_empty());
        }
    }
}

/// What is left to read.
struct Scan<'a>(&'a str);

impl<'a> Scan<'a> {
    /// Takes a character and the white space before it.
    fn take(&mut self, character: char) -> Option<()> {
        let rest = self.0.trim_ascii_start().strip_prefix(character)?;
        self.0 = rest;
        Some(())
    }

    /// Takes a string; gives what is between its quotes, as it stands there.
    fn string(&mut self) -> Option<&'a str> {
        self.take('"')?;
        let mut is_escaped = false;
        let end = self.0.bytes().position(|byte| {
            let ends = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            ends
        })?;
        let (string, rest) = (self.0.get(..end)?, self.0.get(end + 1..)?);
        self.0 = rest;
        Some(string)
    }

    fn skip_value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            self.0 = self.0.trim_ascii_start();
            match self.0.bytes().next()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.0 = self.0.get(1..)?;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.0 = self.0.get(1..)?;
                }
                b',' | b':' if depth > 0 => self.0 = self.0.get(1..)?,
                b',' | b':' => return None,
                // A number or a word ends before any sign that could follow it.
                _ => {
                    let end = self
                        .0
                        .find([',', ':', '}', ']', '"', '{', '[', ' ', '\t', '\n', '\r']);
                    self.0 = self.0.get(end?..)?;
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    fn ranges(&mut self) -> Option<Vec<VersionRange>> {
        let mut ranges: Vec<VersionRange> = Vec::new();
        self.take('[')?;
        loop {
            self.take('[')?;
            let first = self.version()?;
            self.take(',')?;
            let last = self.version()?;
            self.take(']')?;
            let before = ranges.last().map_or(Version::NONE, |range| range.last);
            if first <= before || last < first {
                return None;
            }
            ranges.push(VersionRange { first, last });
            if self.take(',').is_none() {
                self.take(']')?;
                return Some(ranges);
            }
        }
    }

    fn version(&mut self) -> Option<Version> {
        let text = self.0.trim_ascii_start();
        let end = text.find(|character: char| !character.is_ascii_digit())?;
        let (digits, rest) = (text.get(..end)?, text.get(end..)?);
        self.0 = rest;
        // The greatest number is left out, so that every version has a next one.
        decimal(digits)
            .filter(|&number: &u64| number < u64::MAX)
            .map(Version::new)
    }
}
