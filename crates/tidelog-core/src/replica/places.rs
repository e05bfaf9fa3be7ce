//! Which recorded frames hold events of a stream.
//!
//! A frame is known by its range of positions and the hashes of its streams, so a search may name a frame that holds none of
//! the stream's events, but never leaves one out. What was replayed or pulled here is known from it; what a snapshot
//! skipped is learned from the store's directory when somebody first asks. Compaction may have merged frames since: the
//! positions stay right, because a store finds the frame that holds a position.

use crate::directory::{DirectoryRecord, stream_hash};
use crate::frame::Columns;
use crate::number::Position;
use alloc::boxed::Box;
use alloc::vec::Vec;

#[derive(Debug)]
struct Place {
    first: Position,
    streams: Box<[u32]>,
    /// Sorted when somebody first asks, because most who open a log never do.
    sorted: bool,
}

impl Place {
    fn may_hold(&mut self, hash: u32) -> bool {
        if !self.sorted {
            self.streams.sort_unstable();
            self.sorted = true;
        }
        self.streams.binary_search(&hash).is_ok()
    }
}

#[derive(Debug, Default)]
pub(super) struct Places {
    /// Up to here a snapshot spared the replay.
    skipped: Position,
    /// What was skipped, once it is known.
    old: Option<Vec<Place>>,
    tail: Vec<Place>,
}

impl Places {
    pub(super) fn after(skipped: Position) -> Self {
        Self {
            skipped,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, frame: &Columns) {
        self.tail.push(Place {
            first: frame.first_position(),
            streams: frame.streams().map(|end| stream_hash(end.stream)).collect(),
            sorted: false,
        });
    }

    /// The last position of what is not known yet.
    pub(super) fn unknown(&self) -> Option<Position> {
        (self.skipped > Position::START && self.old.is_none()).then_some(self.skipped)
    }

    pub(super) fn learn(&mut self, records: Vec<(Position, DirectoryRecord)>) {
        let places = records.into_iter().map(|(first, record)| Place {
            first,
            streams: record.streams.into(),
            sorted: true,
        });
        self.old = Some(places.collect());
    }

    pub(super) fn of(&mut self, stream: &str) -> Vec<Position> {
        let hash = stream_hash(stream);
        let all = self.old.iter_mut().flatten().chain(&mut self.tail);
        all.filter_map(|place| place.may_hold(hash).then_some(place.first))
            .collect()
    }
}
