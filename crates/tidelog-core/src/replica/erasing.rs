//! Following the log's erasures: what an erasure event names goes from the recorded frames of this device, too.
//!
//! A replica notes every erasure event that it reads or pulls behind [`Erased::through`]. The host of one tab takes the work with
//! [`Replica::erasing`], gives it the frames that may hold the named events and runs the batch that comes of it. That is one
//! transaction: the frames without the payloads, the snapshots that had folded them gone, and the mark moved. A crash leaves
//! the old or the new, and the event is still behind the mark at the next start.
//!
//! Invariants:
//!
//! - State that may hold what is gone is never kept: where [`Erased::generation`] is another than this tab knows, its host folds
//!   the log again ([`Notice::Erased`]), and no snapshot is made while an erasure waits.
//! - A snapshot whose checkpoint is at or behind an erasure event was folded after that erasure was followed. So one that was
//!   read just before it went shows by its checkpoint, and none from before is saved after it.

use super::{Notice, Replica};
use crate::directory::DirectoryRecord;
use crate::erasure::{REDACTED, VersionRange, erased_by, is_reserved};
use crate::event::Payload;
use crate::frame::{self, Body, Columns, FrameError};
use crate::id::ReplicaId;
use crate::number::{Generation, Position};
use crate::store::{Durability, Erased, ErasedFrame, Head, StoreOp, WriteBatch};
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
}

#[derive(Debug, Clone)]
struct Waiting {
    position: Position,
    stream: StreamId,
    versions: Vec<VersionRange>,
}

impl State {
    /// The store has come so far. Has what this tab folded up to `here` been read before payloads were erased?
    pub(super) fn learn(&mut self, erased: Erased, here: Position) -> bool {
        let known = self.known.replace(erased);
        self.waiting
            .retain(|waiting| waiting.position > erased.through);
        here > Position::START
            && match known {
                Some(known) => known.generation != erased.generation,
                // All there is comes from a snapshot.
                None => here < erased.through,
            }
    }

    /// A frame follows.
    pub(super) fn note(&mut self, frame: &Columns) {
        // Few frames have one, so that one search in the dictionary spares decoding the others.
        if !frame.names_text().contains(REDACTED) {
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
            let erased = erased.into_iter().filter(|_| position > after);
            self.waiting
                .extend(erased.map(|(stream, versions)| Waiting {
                    position,
                    stream: stream.clone(),
                    versions,
                }));
        }
    }

    /// The log is read again from its beginning.
    pub(super) fn forget(&mut self) {
        self.waiting.clear();
    }
}

impl Replica {
    /// Is there an erasure that has not been followed on this device?
    #[must_use]
    pub fn is_to_erase(&self) -> bool {
        !self.erasing.waiting.is_empty()
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

    /// What is to be erased now, the oldest first. One tab of a device does it for all.
    #[must_use]
    pub fn erasing(&self) -> Option<Erasing> {
        let waiting = &self.erasing.waiting;
        // The events of one commit go together.
        let last = waiting.get(AT_ONCE.min(waiting.len()).checked_sub(1)?)?;
        let through = last.position;
        let now = waiting.iter().take_while(|each| each.position <= through);
        self.is_ready().then(|| Erasing {
            replica: self.id,
            before: self.head,
            through,
            named: now
                .map(|each| (each.stream.clone(), each.versions.clone()))
                .collect(),
            found: 0,
            from: None,
            frames: Vec::new(),
        })
    }
}

/// Some erasures on their way to the store: take in the frames of their streams ([`Replica::frames_of`]), then write
/// [`Erasing::batch`] and give its generation to [`Replica::handle_hint`]. One that turns out stale is begun anew.
#[derive(Debug, Clone)]
pub struct Erasing {
    replica: ReplicaId,
    before: Head,
    through: Position,
    named: Vec<(StreamId, Vec<VersionRange>)>,
    /// How many of the named versions were found.
    found: u64,
    /// The first position of one that was found.
    from: Option<Position>,
    frames: Vec<ErasedFrame>,
}

impl Erasing {
    /// The streams that it is about.
    pub fn streams(&self) -> impl Iterator<Item = &StreamId> {
        self.named.iter().map(|(stream, _)| stream)
    }

    /// Takes a recorded frame as it lies in the store. Each at most once.
    ///
    /// # Errors
    /// [`FrameError`] if it is damaged; then it cannot be known what it holds.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        let mut frame = frame::decode(bytes)?;
        let Body::Recorded(commits) = &mut frame.body else {
            return Err(FrameError::NotRecorded);
        };
        let mut changed = false;
        for recorded in commits.iter_mut() {
            let versions = recorded.event_versions();
            let mut position = recorded.position;
            for (event, version) in recorded.commit.events.iter_mut().zip(versions) {
                let naming = self.named.iter().filter(|(stream, ranges)| {
                    *stream == event.stream && ranges.iter().any(|range| range.holds(version))
                });
                let naming = naming.count() as u64;
                if naming > 0 && !is_reserved(&event.event_type) {
                    self.found += naming;
                    self.from = Some(self.from.map_or(position, |from| from.min(position)));
                    changed |= event.data.text().is_some();
                    event.data = Payload::Erased(event.data.digest());
                }
                position = position.next();
            }
        }
        if !changed {
            return Ok(());
        }
        let bytes = frame::encode_with_gaps(frame.epoch, frame.chain_before, commits, &frame.gaps);
        let columns = frame::columns(bytes)?;
        self.frames.push(ErasedFrame {
            first: columns.first_position(),
            directory: DirectoryRecord::of(&columns).encode(),
            frame: columns.into_bytes(),
        });
        Ok(())
    }

    /// The transaction that erases.
    #[must_use]
    pub fn batch(self) -> WriteBatch {
        let sizes = self.named.iter().flat_map(|(_, ranges)| ranges);
        let named = sizes.fold(0_u64, |sum, range| {
            let size = range.last.value().saturating_sub(range.first.value());
            sum.saturating_add(size).saturating_add(1)
        });
        // What is no longer kept here may have been folded by any snapshot.
        let begin = Position::START.next();
        let from = self.from.filter(|_| self.found >= named).unwrap_or(begin);
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
            }]),
            durability: Durability::Strict,
        }
    }
}
