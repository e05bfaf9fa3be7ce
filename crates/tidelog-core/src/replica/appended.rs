//! What another tab says it has appended: shown without a look at the store.
//!
//! Most writes of a tab add new commits behind everything that is stored and change nothing else. Whoever knows the store as
//! it was right before such a write knows all of it afterwards, if it is given the frames. So a tab may tell the others.
//!
//! Nobody has to believe it for ever. What is told counts only if it continues exactly what is here: the same database, the
//! next generation, the next sequence numbers, frames whose checksums fit. Anything else is a hint to look at the store.
//! Invariant: what was told is never written by who was told, and every write of this tab names the generation it takes the
//! store to have; so a word that was not true ends at the next write or load, which find the store as it is.

use super::queue::{Entry, Location, State, stored};
use super::write::Sought;
use super::{Notice, Replica};
use crate::frame::{self, Body};
use crate::id::ReplicaId;
use crate::number::{Generation, Seq};
use crate::store::{Outcome, StoreOp, WriteBatch};
use alloc::vec::Vec;

/// New commits behind everything that was stored, by a write that did nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The replica whose database it is.
    pub replica: ReplicaId,
    /// The generation after the write.
    pub generation: Generation,
    /// The sequence number that the next local commit gets.
    pub next_seq: Seq,
    /// The local frames that were added, one behind the other.
    pub frames: Vec<u8>,
}

impl Appended {
    /// What to tell of a write when it is done: nothing if it does anything but append, or appends more bytes than this.
    #[must_use]
    pub fn by(batch: &WriteBatch, max_bytes: usize) -> Option<Self> {
        let mut frames = Vec::new();
        for op in &batch.ops {
            match op {
                StoreOp::AddPending { frame, .. } if frames.len() + frame.len() <= max_bytes => {
                    frames.extend_from_slice(frame);
                }
                _ => return None,
            }
        }
        (!frames.is_empty()).then_some(Self {
            replica: batch.replica,
            generation: batch.head.generation,
            next_seq: batch.head.next_seq,
            frames,
        })
    }
}

impl Replica {
    /// Another tab appended and says what. Say it only when the write is done.
    pub fn handle_appended(&mut self, appended: &Appended) {
        let fresh = (appended.generation == self.head.generation.next())
            .then(|| self.read_appended(appended))
            .flatten();
        match fresh {
            Some(entries) => self.take_in_appended(appended, entries),
            // Of this database, and known already.
            None if appended.replica == self.id && appended.generation <= self.head.generation => {}
            None => self.handle_hint(appended.generation),
        }
    }

    /// The commits, if they continue what is here and nothing is under way that a look at the store must see first.
    fn read_appended(&self, appended: &Appended) -> Option<Vec<Entry>> {
        let disk = &self.disk;
        let looks = disk.load || disk.reopen || disk.damaged || disk.snapshot != Sought::No;
        let busy = disk.busy.is_some() || disk.repair.is_some() || self.new_id.is_some();
        let same = self.opened && !self.closed && appended.replica == self.id;
        let judging = self.asked.is_some() || self.walk.is_some() || self.heads_stale;
        if !same || looks || busy || judging || !self.departing.is_empty() {
            return None;
        }
        let mut next = self.head.next_seq;
        let mut entries = Vec::new();
        for bytes in frame::split(&appended.frames).ok()? {
            let Body::Local(locals) = frame::decode(bytes).ok()?.body else {
                return None;
            };
            let first = Seq::new(frame::header(bytes).ok()?.first);
            for (index, local) in locals.into_iter().enumerate() {
                if local.commit.seq != next || (index == 0 && first != next) {
                    return None;
                }
                if self.knows(local.commit.id) {
                    return None;
                }
                next = next.next();
                let location = Some(Location { first, index });
                entries.push(stored(local, State::Pending, location));
            }
        }
        (next == appended.next_seq && !entries.is_empty()).then_some(entries)
    }

    fn take_in_appended(&mut self, appended: &Appended, entries: Vec<Entry>) {
        for entry in &entries {
            if let Some(Location { first, .. }) = entry.location {
                let outcomes = self.pending.entry(first).or_default();
                outcomes.push(Outcome::Pending);
            }
        }
        self.head.generation = appended.generation;
        self.head.next_seq = appended.next_seq;
        // The database has not said it: whoever wants to send asks it first.
        self.sync.stale();
        self.sync.hurry = true;
        let own = self.queue.iter().rev();
        let own = own.take_while(|entry| entry.location.is_none()).count();
        if own == 0 {
            // What waits to be written again moves behind, and what comes after it on its streams must follow.
            let moves = |entry: &Entry| !matches!(entry.state, State::Pending | State::Acked(_));
            self.unjudged |= self.queue.iter().any(moves);
            for entry in entries {
                // It was decided on what its tab showed, which may be more than what is stored.
                self.unjudged |= self.conflicts(&entry, &self.heads).is_some();
                self.heads.put(&entry.local.commit, &self.confirmed);
                self.ids.insert(entry.id());
                self.queue.push(entry);
            }
        } else {
            // What this tab has not written yet comes behind it, and may no longer fit.
            let at = self.queue.len() - own;
            self.queue.splice(at..at, entries);
            self.rebuild_heads();
            self.unjudged = true;
        }
        self.notices.push_back(Notice::Queue);
        self.status_changed();
    }
}
