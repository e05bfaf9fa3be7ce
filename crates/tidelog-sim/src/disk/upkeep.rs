//! What goes on in a database besides a replica's writes: compaction, snapshots, pruning, damage.

use super::{Disk, Snapshot};
use std::rc::Rc;
use tidelog_core::frame;
use tidelog_core::store::Durability;
use tidelog_core::{Gap, GapReason, Position};

impl Disk {
    /// Merges a run of frames. `false` if one of them is damaged.
    pub fn compact(&mut self, from: usize, count: usize) -> bool {
        if !self.alive() {
            return false;
        }
        let run = self.content.log.iter().skip(from).take(count);
        let run: Vec<_> = run
            .map(|(first, (frame, ids))| (*first, Rc::clone(frame), Rc::clone(ids)))
            .collect();
        let frames: Vec<&[u8]> = run.iter().map(|(_, frame, _)| &**frame).collect();
        let Some((first, ..)) = run.first() else {
            return true;
        };
        let Ok(merged) = frame::merge(&frames) else {
            return false;
        };
        self.flush(Durability::Relaxed);
        let ids = run
            .iter()
            .flat_map(|(.., ids)| ids.iter().copied())
            .collect();
        for (first, ..) in &run {
            self.content.log.remove(first);
        }
        self.content.log.insert(*first, (merged.frame.into(), ids));
        true
    }

    /// Forgets frames that a snapshot stands for.
    pub fn prune(&mut self, frames: usize) {
        if !self.alive() {
            return;
        }
        let Some(snapshot) = &self.content.snapshot else {
            return;
        };
        let checkpoint = snapshot.checkpoint.position;
        self.flush(Durability::Relaxed);
        for _ in 0..frames {
            let Some((first, (frame, _))) = self.content.log.first_key_value() else {
                return;
            };
            let last = frame::header(frame).unwrap().last_position();
            if last > checkpoint {
                return;
            }
            let first = *first;
            self.content.leave_log(first);
            let (from, reason) = (Position::new(1), GapReason::Retention);
            self.content.gaps = vec![Gap {
                from,
                to: last,
                reason,
            }];
            self.content.head.generation = self.content.head.generation.next();
        }
    }

    /// Saves a tab's state by the rules of a store.
    pub fn save(&mut self, mut new: Snapshot, whole: bool, base: Position) -> bool {
        if !self.alive() {
            return false;
        }
        let head = self.content.head.cursor;
        if new.filter != self.content.filters.kept {
            return false;
        }
        if new.checkpoint.position < self.content.erased.through {
            return false;
        }
        if new.checkpoint.epoch != head.epoch || new.checkpoint.position > head.position {
            return false;
        }
        let old = self.content.snapshot.as_ref();
        let old = old.filter(|old| old.checkpoint.epoch == head.epoch && !old.unfollowed);
        if old.is_some_and(|old| old.checkpoint.position > new.checkpoint.position) {
            return false;
        }
        if !whole {
            let Some(old) = old else { return false };
            if old.checkpoint.position != base || old.buckets != new.buckets {
                return false;
            }
            let mut heads = old.heads.clone();
            heads.append(&mut new.heads);
            new.heads = heads;
        }
        self.flush(Durability::Relaxed);
        self.content.snapshot = Some(Rc::new(new));
        true
    }

    /// The snapshot, if it is one of the log as it is.
    #[must_use]
    pub fn snapshot(&self) -> Option<Snapshot> {
        let head = self.content.head.cursor;
        let snapshot = self.content.snapshot.as_deref().filter(|snapshot| {
            let at = snapshot.checkpoint;
            at.epoch == head.epoch && at.position <= head.position
        })?;
        Some(Snapshot {
            erased: self.content.erased.generation,
            ..snapshot.clone()
        })
    }

    /// Flips a bit of a frame, behind its header.
    pub fn damage(&mut self, frame: usize, byte: usize) {
        self.content.damaged = true;
        let (bytes, _) = self.content.log.values_mut().nth(frame).unwrap();
        let mut damaged = bytes.to_vec();
        // The header of a frame with gaps is eight bytes longer.
        let header = frame::HEADER_BYTES + if damaged[4] > 2 { 8 } else { 0 };
        let inside = header + byte % (damaged.len() - header);
        damaged[inside] ^= 1;
        *bytes = damaged.into();
    }
}
