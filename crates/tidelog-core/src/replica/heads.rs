//! Where every stream of the confirmed log ends.
//!
//! A log with many streams must open without looking at each of them, so the ends come in two layers: a snapshot in
//! buckets of bytes that are searched as they lie, and a map of what has changed since. Opening costs one move of bytes,
//! lookup O(log streams of a bucket). [`Ends::settle`] moves the changes into the buckets they belong to, so that a snapshot
//! rewrites only those.
//!
//! A bucket: the number of streams (u32), where each entry ends (u32 each, counted from the first entry), then the
//! entries by ascending stream id: commit id (16 bytes), version, attempt and index as varints, the stream id. Integers
//! are little-endian. A stream is in the bucket `stream_hash(id) % buckets`; their number is a power of two.

use crate::directory::stream_hash;
use crate::frame::reader::Reader;
use crate::frame::writer::Section;
use crate::id::EventId;
use crate::map::StreamMap;
use crate::number::{Attempt, Position, Version};
use crate::stream::{StreamHead, StreamId};
use alloc::vec::Vec;

/// About how many streams a bucket has at most.
const BUCKET_STREAMS: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Ends {
    buckets: Vec<Bucket>,
    /// Not in the buckets yet.
    fresh: StreamMap<StreamHead>,
    /// The stored snapshot has another number of buckets.
    regrouped: bool,
    /// The checkpoint of the stored snapshot.
    base: Position,
}

#[derive(Debug, Default)]
struct Bucket {
    bytes: Vec<u8>,
    /// The stored snapshot has other bytes.
    unsaved: bool,
}

impl Ends {
    /// From a snapshot; a bucket that is not given is empty. `None` if this is not what [`Ends::unsaved`] gave.
    pub(super) fn restore(base: Position, count: u32, filled: Vec<(u32, Vec<u8>)>) -> Option<Self> {
        let count = usize::try_from(count).ok()?;
        if !count.is_power_of_two() {
            return None;
        }
        let mut buckets = Vec::new();
        buckets.resize_with(count, Bucket::default);
        for (number, bytes) in filled {
            let bucket = buckets.get_mut(usize::try_from(number).ok()?)?;
            entries(&bytes)?;
            bucket.bytes = bytes;
        }
        Some(Self {
            buckets,
            base,
            ..Self::default()
        })
    }

    pub(super) fn of(&self, stream: &str) -> Option<StreamHead> {
        self.fresh
            .get(stream)
            .copied()
            .or_else(|| find(&self.buckets.get(self.number(stream))?.bytes, stream))
    }

    /// A stream ends here now. `None` if this is no stream's id.
    pub(super) fn set(&mut self, stream: &str, head: StreamHead) -> Option<()> {
        match self.fresh.get_mut(stream) {
            Some(known) => *known = head,
            None => {
                self.fresh.insert(StreamId::new(stream).ok()?, head);
            }
        }
        Some(())
    }

    fn number(&self, stream: &str) -> usize {
        stream_hash(stream) as usize & self.buckets.len().saturating_sub(1)
    }

    /// Moves what is fresh into the buckets.
    fn settle(&mut self) {
        if self.fresh.is_empty() {
            return;
        }
        let settled: usize = self.buckets.iter().map(|bucket| count(&bucket.bytes)).sum();
        let wanted = (settled + self.fresh.len()).div_ceil(BUCKET_STREAMS);
        let fresh = core::mem::take(&mut self.fresh);
        let mut moving: Vec<(StreamId, StreamHead)> = fresh.into_iter().collect();
        if self.buckets.len() < wanted {
            self.regrouped = true;
            for bucket in &self.buckets {
                for (stream, head) in entries(&bucket.bytes).unwrap_or_default() {
                    if let Ok(stream) = StreamId::new(stream) {
                        moving.push((stream, head));
                    }
                }
            }
            // The order of equals stays, so what is fresh comes first and is kept.
            moving.sort_by(|a, b| a.0.cmp(&b.0));
            moving.dedup_by(|a, b| a.0 == b.0);
            self.buckets.clear();
            let doubled = (wanted * 2).next_power_of_two();
            self.buckets.resize_with(doubled, Bucket::default);
        }
        moving.sort_by(|a, b| {
            (self.number(a.0.as_str()), &a.0).cmp(&(self.number(b.0.as_str()), &b.0))
        });
        for run in moving
            .chunk_by(|a, b| self.number(a.0.as_str()) == self.number(b.0.as_str()))
            .map(<[_]>::to_vec)
            .collect::<Vec<_>>()
        {
            let Some((first, _)) = run.first() else {
                continue;
            };
            let number = self.number(first.as_str());
            if let Some(bucket) = self.buckets.get_mut(number) {
                bucket.bytes = merged(&bucket.bytes, &run);
                bucket.unsaved = true;
            }
        }
    }

    /// The buckets that the stored snapshot does not have as they are, how many there are in all, and whether the
    /// stored ones all go.
    pub(super) fn unsaved(&mut self) -> (u32, bool, Vec<(u32, Vec<u8>)>) {
        self.settle();
        if self.buckets.is_empty() {
            self.buckets.push(Bucket::default());
            self.regrouped = true;
        }
        let all = self.regrouped;
        let changed = (0..).zip(&self.buckets);
        let changed = changed.filter(|(_, bucket)| all || bucket.unsaved);
        let changed = changed
            .map(|(number, bucket)| (number, bucket.bytes.clone()))
            .collect();
        let count = u32::try_from(self.buckets.len()).unwrap_or(u32::MAX);
        (count, self.regrouped, changed)
    }

    pub(super) const fn base(&self) -> Position {
        self.base
    }

    /// The buckets are stored as they were given out, with this checkpoint; or the stored ones are others.
    pub(super) fn saved(&mut self, checkpoint: Option<Position>) {
        let Some(checkpoint) = checkpoint else {
            self.regrouped = true;
            return;
        };
        self.base = checkpoint;
        self.regrouped = false;
        for bucket in &mut self.buckets {
            bucket.unsaved = false;
        }
    }
}

fn count(bucket: &[u8]) -> usize {
    bucket
        .first_chunk()
        .map_or(0, |count| u32::from_le_bytes(*count) as usize)
}

/// The bytes of the entry with this number.
fn entry(bucket: &[u8], number: usize) -> Option<&[u8]> {
    let count = count(bucket);
    let end = |number: usize| -> Option<usize> {
        let at = 4 + 4 * number;
        let end = bucket.get(at..)?.first_chunk()?;
        Some(4 + 4 * count + u32::from_le_bytes(*end) as usize)
    };
    let start = match number.checked_sub(1) {
        Some(before) => end(before)?,
        None => 4 + 4 * count,
    };
    bucket.get(start..end(number)?)
}

fn read(entry: &[u8]) -> Option<(&str, StreamHead)> {
    let mut from = Reader::new(entry);
    let commit = from.id("commit").ok()?;
    let version = Version::new(from.varint("version").ok()?);
    let attempt = Attempt::new(from.small("attempt").ok()?);
    let index = from.small("index").ok()?;
    let stream = core::str::from_utf8(from.rest()).ok()?;
    let last = EventId {
        commit,
        attempt,
        index,
    };
    Some((stream, StreamHead { version, last }))
}

fn find(bucket: &[u8], stream: &str) -> Option<StreamHead> {
    let (mut from, mut to) = (0, count(bucket));
    while from < to {
        let middle = from + (to - from) / 2;
        let (found, head) = read(entry(bucket, middle)?)?;
        match found.cmp(stream) {
            core::cmp::Ordering::Equal => return Some(head),
            core::cmp::Ordering::Less => from = middle + 1,
            core::cmp::Ordering::Greater => to = middle,
        }
    }
    None
}

/// All entries; `None` if these bytes are no bucket.
fn entries(bucket: &[u8]) -> Option<Vec<(&str, StreamHead)>> {
    (0..count(bucket))
        .map(|number| read(entry(bucket, number)?))
        .collect()
}

/// A bucket with some streams set, given by ascending id.
fn merged(bucket: &[u8], set: &[(StreamId, StreamHead)]) -> Vec<u8> {
    let old = entries(bucket).unwrap_or_default();
    let mut old = old.into_iter().peekable();
    let mut all: Vec<(&str, StreamHead)> = Vec::new();
    for (stream, head) in set {
        while let Some(before) = old.next_if(|(other, _)| *other < stream.as_str()) {
            all.push(before);
        }
        old.next_if(|(other, _)| *other == stream.as_str());
        all.push((stream.as_str(), *head));
    }
    all.extend(old);
    let mut list = Section::default();
    let mut out = Vec::with_capacity(4 + all.len() * 48);
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a bucket has some hundred streams"
    )]
    out.extend_from_slice(&(all.len() as u32).to_le_bytes());
    for (stream, head) in &all {
        list.id(&head.last.commit);
        list.varint(head.version.value());
        list.varint(u64::from(head.last.attempt.value()));
        list.varint(u64::from(head.last.index));
        list.bytes(stream.as_bytes());
        #[allow(
            clippy::cast_possible_truncation,
            reason = "some hundred streams of some hundred bytes"
        )]
        out.extend_from_slice(&(list.0.len() as u32).to_le_bytes());
    }
    out.extend_from_slice(&list.0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::CommitId;
    use alloc::collections::BTreeMap;
    use alloc::format;
    use alloc::string::String;
    use proptest::prelude::*;

    fn head(version: u64, seed: u8) -> StreamHead {
        StreamHead {
            version: Version::new(version),
            last: EventId {
                commit: CommitId::from_bytes([seed; 16]),
                attempt: Attempt::FIRST,
                index: u32::from(seed),
            },
        }
    }

    proptest! {
        /// However often it is saved and restored in between, it says what a map says.
        #[test]
        fn ends_are_those_that_were_set_last(
            rounds in prop::collection::vec(prop::collection::vec((0..3_000_u32, any::<u8>()), 0..600), 1..6)
        ) {
            let mut ends = Ends::default();
            let mut model: BTreeMap<String, StreamHead> = BTreeMap::new();
            let mut stored: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
            for (round, set) in (1..).zip(rounds) {
                for (number, seed) in set {
                    let stream = format!("kind/{number}");
                    let head = head(round, seed);
                    prop_assert!(ends.set(&stream, head).is_some());
                    model.insert(stream, head);
                }
                let (count, whole, changed) = ends.unsaved();
                if whole {
                    stored.clear();
                }
                stored.extend(changed);
                ends.saved(Some(Position::new(round)));
                prop_assert!(ends.unsaved().2.is_empty(), "saved twice");
                if round % 2 == 0 {
                    let filled = stored.clone().into_iter().collect();
                    ends = Ends::restore(Position::new(round), count, filled).expect("it was given out so");
                }
                for (stream, head) in &model {
                    prop_assert_eq!(ends.of(stream), Some(*head));
                }
                prop_assert_eq!(ends.of("kind/none"), None);
            }
        }

        #[test]
        fn any_bytes_are_a_bucket_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(ends) = Ends::restore(Position::START, 1, alloc::vec![(0, bytes)]) {
                let _ = ends.of("kind/1");
            }
        }
    }

    #[test]
    fn a_number_of_buckets_that_is_no_power_of_two_is_refused() {
        assert!(Ends::restore(Position::START, 3, Vec::new()).is_none());
        assert!(Ends::restore(Position::START, 0, Vec::new()).is_none());
        assert!(Ends::restore(Position::START, 2, alloc::vec![(2, Vec::new())]).is_none());
    }
}
