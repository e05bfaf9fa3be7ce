//! Following the log's erasures: what an erasure event names goes from the recorded frames of this device, too.
//!
//! A replica notes every erasure event that it reads or pulls behind [`Erased::through`]. The host of one tab takes the work with
//! [`Replica::erasing`], gives it the frames that may hold the named events and runs the batch that comes of it. That is one
//! transaction: the frames without the payloads, the snapshots that had folded them gone, and the mark moved. A crash leaves
//! the old or the new, and the event is still behind the mark at the next start.
//!
//! Frames of histories that the server has lost hold the same events at other versions, so the commit says which they are. Where
//! the log no longer shows it, the version has to do, and of a stream that is closed and empty everything goes: nothing of it
//! can come back.
//!
//! Invariants:
//!
//! - State that may hold what is gone is never kept: where [`Erased::generation`] is another than this tab knows, its host folds
//!   the log again ([`Notice::Erased`]), and no snapshot is made while an erasure waits.
//! - A snapshot whose checkpoint is at or behind an erasure event was folded after that erasure was followed. So one that was
//!   read just before it went shows by its checkpoint, and none from before is saved after it.

use super::{Notice, Replica};
use crate::directory::DirectoryRecord;
use crate::erasure::{RESERVED, TOMBSTONED, VersionRange, closed_by, erased_by, is_reserved};
use crate::event::{Event, Payload};
use crate::frame::{self, Body, Columns, FrameError};
use crate::id::{CommitId, ReplicaId};
use crate::map::{Map, Set};
use crate::number::{Attempt, Generation, Position, Version};
use crate::store::{Durability, Erased, ErasedFrame, ErasedLost, Head, StoreOp, WriteBatch};
use crate::stream::StreamId;
use alloc::vec::Vec;

/// So many erasures are followed by one transaction.
const AT_ONCE: usize = 64;

/// What the log says is to be erased, and how far that is done.
#[derive(Debug, Default)]
pub(super) struct State {
    /// As the store said last.
    known: Option<Erased>,
    /// Behind the mark, by position.
    waiting: Vec<Waiting>,
    /// All there is comes from [a state](crate::store::StoredSnapshot::unfollowed) that may hold what was to be erased before it.
    /// It stays on the screen until the server answers; then everything is pulled again (`filtering.rs`). Without a server it stays for
    /// good, and nothing is saved on it: that would count as followed, should there be a server again.
    pub(super) unfollowed: bool,
}

#[derive(Debug, Clone)]
struct Waiting {
    position: Position,
    stream: StreamId,
    /// None: the stream was closed.
    versions: Vec<VersionRange>,
}

impl State {
    /// The store has come so far. Has what this tab folded up to `here` been read before payloads were erased?
    pub(super) fn learn(&mut self, erased: Erased, here: Position) -> bool {
        let known = self.known.replace(erased);
        self.waiting
            .retain(|waiting| waiting.position > erased.through);
        here > Position::START && known.is_some_and(|known| known.generation != erased.generation)
    }

    /// All there is comes from a state that was read when this was [`Erased::generation`].
    pub(super) fn begin(&mut self, unfollowed: bool, generation: Generation) {
        self.unfollowed = unfollowed;
        self.known = Some(Erased {
            generation,
            ..Erased::default()
        });
    }

    /// A frame follows.
    pub(super) fn note(&mut self, frame: &Columns) {
        // Few frames have one, so that one search in the dictionary spares decoding the others.
        if !frame.names_text().contains(RESERVED) {
            return;
        }
        let Ok(frame) = frame::decode(frame.bytes()) else {
            return;
        };
        let Body::Recorded(commits) = frame.body else {
            return;
        };
        let through = self.known.map_or(Position::START, |known| known.through);
        let last = self.waiting.last();
        let after = last.map_or(through, |last| last.position.max(through));
        for recorded in &commits {
            let position = recorded.last_position();
            // One that names what is not there cannot be followed: a server that makes it is broken.
            let Ok(erased) = erased_by(recorded) else {
                continue;
            };
            let closed = closed_by(recorded).map(|stream| (stream, Vec::new()));
            let said = erased.into_iter().chain(closed);
            let said = said.filter(|_| position > after);
            self.waiting.extend(said.map(|(stream, versions)| Waiting {
                position,
                stream: stream.clone(),
                versions,
            }));
        }
    }

    /// The log is read again from its beginning.
    pub(super) fn forget(&mut self) {
        self.waiting.clear();
        self.unfollowed = false;
    }
}

impl Replica {
    /// Is there an erasure that has not been followed on this device, or may there be one?
    #[must_use]
    pub fn is_to_erase(&self) -> bool {
        self.erasing.unfollowed || !self.erasing.waiting.is_empty()
    }

    /// May the host's folds hold what is erased or to be erased, as far as it has been told?
    pub(super) fn folds_hold_erased(&self) -> bool {
        let untold = self.notices.iter();
        let untold = untold.rev().any(|notice| matches!(notice, Notice::Erased));
        self.is_to_erase() || untold || self.disk.again
    }

    /// [`Erased::generation`] as this tab knows it, for what is made of recorded frames.
    #[must_use]
    pub fn erased(&self) -> Generation {
        let known = self.erasing.known;
        known.map_or_else(Generation::default, |known| known.generation)
    }

    /// What is to be erased now, the oldest first; nothing while the log is being read. One tab of a device does it for all.
    #[must_use]
    pub fn erasing(&self) -> Option<Erasing> {
        if self.erasing.unfollowed {
            // The snapshots would go, and they are all that is left of what was pruned.
            return None;
        }
        let waiting = &self.erasing.waiting;
        // The events of one commit go together.
        let last = waiting.get(AT_ONCE.min(waiting.len()).checked_sub(1)?)?;
        let through = last.position;
        let now = waiting.partition_point(|each| each.position <= through);
        let now = waiting.get(..now)?;
        // While the log is read again, what is wrong with it is not known yet.
        let disk = &self.disk;
        let reads = disk.load || disk.damaged || disk.again || disk.repair.is_some();
        (self.is_ready() && !reads).then(|| self.erasing_these(now))
    }

    /// Everything that waits, for the frames of a log that is put aside.
    pub(super) fn erasing_of(&self, log: &[Vec<u8>]) -> Erasing {
        if !self.erasing.unfollowed {
            return self.erasing_these(&self.erasing.waiting);
        }
        // The state stands for frames that this tab has not read.
        let mut read = State {
            known: self.erasing.known,
            ..State::default()
        };
        let frames = log.iter().map(|bytes| frame::columns(bytes.clone()));
        for frame in frames.flatten() {
            read.note(&frame);
        }
        self.erasing_these(&read.waiting)
    }

    fn erasing_these(&self, waiting: &[Waiting]) -> Erasing {
        let mut named: Map<StreamId, Vec<VersionRange>> = Map::new();
        for each in waiting {
            let ranges = named.entry(each.stream.clone()).or_default();
            ranges.extend_from_slice(&each.versions);
        }
        let streams = named.into_iter().map(|(stream, named)| {
            let seen = Seen {
                named,
                ..Seen::default()
            };
            (stream, seen)
        });
        let last = waiting.last();
        Erasing {
            replica: self.id,
            before: self.head,
            through: last.map_or(Position::START, |last| last.position),
            streams: streams.collect(),
            found: Map::new(),
            from: None,
            frames: Vec::new(),
            lost: Vec::new(),
        }
    }
}

/// Some erasures on their way to the store: take in the frames of their streams ([`Replica::frames_of`]), then those of lost
/// histories, write [`Erasing::batch`] and give its generation to [`Replica::handle_hint`]. One that turns out stale is begun anew.
#[derive(Debug, Clone)]
pub struct Erasing {
    replica: ReplicaId,
    before: Head,
    through: Position,
    streams: Map<StreamId, Seen>,
    /// The named events.
    found: Map<CommitId, Found>,
    /// The first position of a named event that was found.
    from: Option<Position>,
    frames: Vec<ErasedFrame>,
    lost: Vec<ErasedLost>,
}

/// What is named of a stream, and what the log's frames have shown of it, up to the last event that erases.
#[derive(Debug, Clone, Default)]
struct Seen {
    named: Vec<VersionRange>,
    /// How often one was named.
    times: u64,
    events: u64,
    newest: Version,
    /// Has one of them a payload that is not a server's own?
    holds_some: bool,
    is_closed: bool,
}

/// What is named of a commit.
#[derive(Debug, Clone)]
struct Found {
    attempt: Attempt,
    indexes: Set<u32>,
}

impl Found {
    /// Is it a named event, or may it hold what one holds? An attempt that was decided again has other events, perhaps of other
    /// streams, and nobody can tell which of the one before it they were.
    fn holds(&self, place: &Place) -> bool {
        self.attempt != place.attempt || self.indexes.contains(&place.index)
    }
}

impl Seen {
    fn is_named(&self, version: Version) -> bool {
        self.named.iter().any(|range| range.holds(version))
    }

    /// Were all named events found?
    fn is_found(&self) -> bool {
        let sizes = self.named.iter().map(|range| {
            let size = range.last.value().saturating_sub(range.first.value());
            size.saturating_add(1)
        });
        self.times >= sizes.fold(0, u64::saturating_add)
    }

    /// Is nothing left of the stream, as far back as it goes?
    fn is_gone(&self) -> bool {
        self.is_closed && !self.holds_some && self.events == self.newest.value()
    }
}

impl Erasing {
    /// The streams that it is about.
    pub fn streams(&self) -> impl Iterator<Item = &StreamId> {
        self.streams.keys()
    }

    /// Takes a recorded frame as it lies in the log. Each at most once.
    ///
    /// # Errors
    /// [`FrameError`] if it is damaged; then it cannot be known what it holds.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        let Some(bytes) = self.without(bytes)? else {
            return Ok(());
        };
        let columns = frame::columns(bytes)?;
        self.frames.push(ErasedFrame {
            first: columns.first_position(),
            directory: DirectoryRecord::of(&columns).encode(),
            frame: columns.into_bytes(),
        });
        Ok(())
    }

    /// Is there nothing to be erased?
    pub(super) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// What remains to be done about lost histories, with a log that leaves its place.
    pub(super) fn lost(self) -> StoreOp {
        StoreOp::Erase {
            from: self.through,
            through: self.through,
            frames: Vec::new(),
            lost: self.lost,
        }
    }

    /// A recorded frame of the log without what is erased; `None` if it holds nothing of that.
    pub(super) fn without(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
        if self.streams.is_empty() {
            return Ok(None);
        }
        emptied(bytes, |place, event| self.see(&place, event))
    }

    /// Is this event of the log to be erased?
    fn see(&mut self, place: &Place, event: &Event) -> bool {
        let Some(seen) = self.streams.get_mut(&event.stream) else {
            return false;
        };
        let version = place.version;
        let ranges = seen.named.iter().filter(|range| range.holds(version));
        let times = ranges.count() as u64;
        let is_own = is_reserved(&event.event_type);
        let is_erased = times > 0 && !is_own;
        if is_erased {
            seen.times += times;
            let found = self.found.entry(place.commit).or_insert_with(|| Found {
                attempt: place.attempt,
                indexes: Set::new(),
            });
            found.indexes.insert(place.index);
            let from = self.from.unwrap_or(place.position);
            self.from = Some(from.min(place.position));
        }
        if place.position <= self.through {
            seen.events += 1;
            seen.newest = seen.newest.max(version);
            seen.holds_some |= !is_own && !is_erased && event.data.text().is_some();
            seen.is_closed |= event.event_type.as_str() == TOMBSTONED;
        }
        is_erased
    }

    /// Takes a frame of a lost history with its number, behind all frames of the log. Each at most once.
    ///
    /// # Errors
    /// [`FrameError::NewerFormat`]. One that is damaged goes, because nobody can tell what it holds.
    pub fn take_lost(&mut self, number: u64, bytes: &[u8]) -> Result<(), FrameError> {
        let emptied = emptied(bytes, |place, event| {
            let found = self.found.get(&place.commit);
            let seen = self.streams.get(&event.stream);
            !is_reserved(&event.event_type)
                && (found.is_some_and(|found| found.holds(&place))
                    || seen.is_some_and(|seen| {
                        (!seen.is_found() && seen.is_named(place.version)) || seen.is_gone()
                    }))
        });
        let frame = match emptied {
            Ok(None) => return Ok(()),
            Ok(Some(frame)) => Some(frame),
            Err(error @ FrameError::NewerFormat { .. }) => return Err(error),
            Err(_) => None,
        };
        self.lost.push(ErasedLost { number, frame });
        Ok(())
    }

    /// The transaction that erases.
    #[must_use]
    pub fn batch(self) -> WriteBatch {
        let from = match self.streams.values().all(Seen::is_found) {
            true => self.from.unwrap_or(self.through),
            // What is no longer kept here may have been folded by any snapshot.
            false => Position::START.next(),
        };
        WriteBatch {
            replica: self.replica,
            expected: self.before.generation,
            head: Head {
                generation: self.before.generation.next(),
                ..self.before
            },
            ops: Vec::from([StoreOp::Erase {
                from,
                through: self.through,
                frames: self.frames,
                lost: self.lost,
            }]),
            durability: Durability::Strict,
        }
    }
}

/// Where an event is.
#[derive(Debug, Clone, Copy)]
struct Place {
    position: Position,
    version: Version,
    commit: CommitId,
    attempt: Attempt,
    index: u32,
}

/// A recorded frame without the payloads of these events; `None` if it has none of them.
fn emptied(
    bytes: &[u8],
    mut is_erased: impl FnMut(Place, &Event) -> bool,
) -> Result<Option<Vec<u8>>, FrameError> {
    let mut frame = frame::decode(bytes)?;
    let Body::Recorded(commits) = &mut frame.body else {
        return Err(FrameError::NotRecorded);
    };
    let mut changed = false;
    for recorded in commits.iter_mut() {
        let versions = recorded.event_versions();
        let mut place = Place {
            position: recorded.position,
            version: Version::NONE,
            commit: recorded.commit.id,
            attempt: recorded.commit.attempt,
            index: 0,
        };
        for (event, version) in recorded.commit.events.iter_mut().zip(versions) {
            place.version = version;
            if is_erased(place, event) {
                changed |= event.data.text().is_some();
                event.data = Payload::Erased(event.data.digest());
            }
            place.position = place.position.next();
            place.index += 1;
        }
    }
    Ok(changed
        .then(|| frame::encode_with_gaps(frame.epoch, frame.chain_before, commits, &frame.gaps)))
}
