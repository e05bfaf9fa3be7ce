//! Sealed runs of a log, made once for every new device.
//!
//! Segment `n`, from 1, ends with the commit that holds position `n ·` [`SEGMENT_EVENTS`] and begins where the one before ends. So
//! every process and every database cuts a log alike, a segment can be found without those before it, and what is sealed
//! changes only when a payload in it is erased. Its frames are in the format for the disk and about as large as what a device keeps, so they need not be merged
//! there.

use super::archive::Row;
use super::{After, LogStore, PageCap, StoreError, Stored, stored};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write};
use std::sync::Arc;
use tidelog_core::limits::SEGMENT_TARGET_BYTES;
use tidelog_core::{ChainHash, Epoch, LogName, Position, Recorded, frame};

/// How many positions lie between the ends of two segments, but for the rest of a commit.
pub const SEGMENT_EVENTS: u64 = 16_384;
/// How many bytes of stored frames a segment has at most. Events that are larger are read as fast by pulls.
pub(super) const MOST_BYTES: usize = 8 * 1024 * 1024;
/// How much is read at once.
const READ_BYTES: usize = 1024 * 1024;

/// A sealed run of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Segment {
    /// The position of its first event.
    pub first: Position,
    /// The position of its last event.
    pub last: Position,
    /// The log's [`revision`](LogStore::revision) when it was made: with the number it names these bytes.
    pub revision: u64,
    /// Its frames one after the other, gzipped.
    pub gzip: Arc<[u8]>,
}

/// What there is to keep of a segment whose positions are all there.
#[derive(Debug, Clone)]
pub(super) enum Sealed {
    /// The segment.
    Segment(Segment),
    /// It would have too many bytes.
    TooLarge {
        /// As in a segment.
        revision: u64,
    },
}

impl Sealed {
    pub(super) const fn revision(&self) -> u64 {
        match self {
            Self::Segment(segment) => segment.revision,
            Self::TooLarge { revision } => *revision,
        }
    }

    pub(super) fn segment(self) -> Option<Segment> {
        match self {
            Self::Segment(segment) => Some(segment),
            Self::TooLarge { .. } => None,
        }
    }
}

/// How many segments a log of this length has.
#[must_use]
pub const fn sealed(head: Position) -> u64 {
    head.value() / SEGMENT_EVENTS
}

/// Which positions, whole commits aside, a segment covers: after the first, up to the second.
pub(super) fn bounds(number: u64) -> Option<(Position, Position)> {
    let end = number.checked_mul(SEGMENT_EVENTS)?;
    let begin = end.checked_sub(SEGMENT_EVENTS)?;
    Some((Position::new(begin), Position::new(end)))
}

/// Reads and encodes a segment; `None` if the log has not come so far.
pub(super) async fn build<S: LogStore>(
    store: &S,
    log: &LogName,
    number: u64,
) -> Result<Option<Sealed>, StoreError> {
    let Some((begin, end)) = bounds(number) else {
        return Ok(None);
    };
    // Before anything is read: what is erased meanwhile makes it one of an old revision, which nobody keeps.
    let revision = store.revision(log).await?;
    let state = store.state(log).await?;
    if end > state.head.position {
        return Ok(None);
    }
    let cap = PageCap {
        bytes: READ_BYTES,
        events: SEGMENT_EVENTS,
    };
    let mut run = Run::default();
    let mut after = begin;
    while after < end {
        let page = store.page(log, After::Position(after), cap).await?;
        let before = page.chain_before;
        let Some(last) = page.commits.last() else {
            return Ok(None);
        };
        after = last.recorded.last_position();
        run.take(before, page.commits, begin, end);
        if run.bytes > MOST_BYTES {
            return Ok(Some(Sealed::TooLarge { revision }));
        }
    }
    let encoded = tokio::task::spawn_blocking(move || run.encode(state.epoch, revision));
    let sealed = encoded.await.map_err(io::Error::other).and_then(|it| it);
    sealed.map_err(|error| StoreError::Unavailable {
        detail: format!("a segment could not be encoded: {error}"),
    })
}

/// Encodes a run of rows as a segment is, whatever its length.
pub(super) fn encode(log: &LogName, epoch: Epoch, rows: &[Row]) -> Result<Arc<[u8]>, StoreError> {
    let mut run = Run::default();
    for row in rows {
        let (stored, chain_before) = stored::decode(log, row.first, row.chain, &row.frame)?;
        if run.commits.is_empty() {
            run.chain_before = chain_before;
        }
        run.bytes += stored.bytes;
        run.lengths.push(stored.bytes);
        run.commits.push(stored.recorded);
    }
    match run.encode(epoch, 0) {
        Ok(Some(Sealed::Segment(segment))) => Ok(segment.gzip),
        encoded => Err(StoreError::Unavailable {
            detail: format!(
                "a run could not be encoded: {:?}",
                encoded.map(|_| "it is empty")
            ),
        }),
    }
}

/// The commits of a segment.
#[derive(Default)]
struct Run {
    chain_before: ChainHash,
    commits: Vec<Recorded>,
    /// Of each commit, its length as a frame of its own.
    lengths: Vec<usize>,
    bytes: usize,
}

impl Run {
    /// Takes those commits of a page that end after `begin`'s commit and begin no later than `end`.
    fn take(
        &mut self,
        mut chain_before: ChainHash,
        commits: Vec<Stored>,
        begin: Position,
        end: Position,
    ) {
        for stored in commits {
            let first = stored.recorded.position;
            if first > end {
                break;
            }
            // One that begins at or before `begin` is the last of the segment before.
            if first > begin {
                if self.commits.is_empty() {
                    self.chain_before = chain_before;
                }
                self.bytes += stored.bytes;
                self.lengths.push(stored.bytes);
                self.commits.push(stored.recorded);
            }
            chain_before = stored.chain;
        }
    }

    fn encode(self, epoch: Epoch, revision: u64) -> io::Result<Option<Sealed>> {
        let (Some(first), Some(last)) = (self.commits.first(), self.commits.last()) else {
            return Ok(None);
        };
        let (first, last) = (first.position, last.last_position());
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        let whole = frame::encode_segment(epoch, self.chain_before, &self.commits);
        let parts = (whole.len() + SEGMENT_TARGET_BYTES / 2) / SEGMENT_TARGET_BYTES;
        if parts <= 1 {
            gzip.write_all(&whole)?;
        } else {
            let mut chain = self.chain_before;
            for part in self.split(parts) {
                gzip.write_all(&frame::encode_segment(epoch, chain, part))?;
                chain = part
                    .iter()
                    .fold(chain, |chain, recorded| chain.after(recorded));
            }
        }
        let gzip = gzip.finish()?.into();
        Ok(Some(Sealed::Segment(Segment {
            first,
            last,
            revision,
            gzip,
        })))
    }

    /// The commits in parts of about the same number of bytes.
    fn split(&self, parts: usize) -> Vec<&[Recorded]> {
        let share = self.bytes.div_ceil(parts);
        let (mut split, mut rest, mut sum) = (Vec::new(), self.commits.as_slice(), 0);
        let mut count = 0;
        for length in &self.lengths {
            count += 1;
            sum += length;
            if sum >= share
                && let Some((part, after)) = rest.split_at_checked(count)
            {
                split.push(part);
                (rest, sum, count) = (after, 0, 0);
            }
        }
        if !rest.is_empty() {
            split.push(rest);
        }
        split
    }
}
