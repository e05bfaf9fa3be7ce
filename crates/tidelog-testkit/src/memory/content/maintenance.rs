//! Compaction, pruning and snapshots.

use super::{Content, Snapshot, aborted, check_gaps, check_key};
use std::collections::BTreeMap;
use tidelog_core::store::{
    Compaction, ErasedFrame, ErasedLost, FoldName, FoldSnapshot, Pruning, SnapshotSet, StoreError,
    StoredSnapshot,
};
use tidelog_core::{Cursor, Position, frame};

impl Content {
    pub(in crate::memory) fn compact(
        &mut self,
        compaction: &Compaction,
    ) -> Result<bool, StoreError> {
        if compaction.replica != self.replica {
            return Err(StoreError::Wiped);
        }
        let covered = &compaction.covered;
        let (Some(first), Some(last)) = (covered.first().copied(), covered.last().copied()) else {
            return Err(aborted("a compaction covers at least one frame"));
        };
        check_key(first.value())?;
        check_key(last.value())?;
        if !covered.is_sorted_by(|left, right| left < right) {
            return Err(aborted("the covered positions do not ascend"));
        }
        let made = match &compaction.segment {
            None if covered.len() > 1 => {
                return Err(aborted("several frames become one only by a segment"));
            }
            None => None,
            Some(segment) => Some(
                frame::header(segment)
                    .map_err(|error| aborted(&format!("the segment is no frame: {error}")))?,
            ),
        };
        let there = || self.log.range(first..=last);
        let sealed = self.directory.range(first..=last).next().is_some();
        let erased = compaction.erased != self.erased.generation;
        if sealed || erased || !there().map(|(first, _)| first).eq(covered) {
            return Ok(false);
        }
        if let Some(made) = made {
            let same = there().next_back().is_some_and(|(_, last)| {
                frame::header(last).is_ok_and(|last| {
                    (last.epoch, last.last_position()) == (made.epoch, made.last_position())
                })
            });
            if !same || made.first_position() != first {
                return Ok(false);
            }
        }
        if let Some(segment) = &compaction.segment {
            for position in covered {
                self.log.remove(position);
            }
            self.log.insert(first, segment.as_slice().into());
        }
        if let Some(directory) = &compaction.directory {
            self.directory.insert(first, directory.as_slice().into());
        }
        Ok(true)
    }

    /// In a transaction that leaves the next generation.
    pub(super) fn erase(
        &mut self,
        from: Position,
        through: Position,
        frames: &[ErasedFrame],
    ) -> Result<(), StoreError> {
        for erased in frames {
            let ends = |bytes: &[u8]| frame::header(bytes).map(|header| header.last_position());
            let there = self.log.get(&erased.first).map(|bytes| ends(bytes));
            if !matches!((there, ends(&erased.frame)), (Some(Ok(there)), Ok(new)) if there == new) {
                return Err(aborted("a frame whose payloads go is no longer there"));
            }
            let frame = erased.frame.as_slice().into();
            self.log.insert(erased.first, frame);
            if let Some(directory) = self.directory.get_mut(&erased.first) {
                *directory = erased.directory.as_slice().into();
            }
        }
        let (epoch, before) = (self.head.cursor.epoch, self.snapshots.len());
        self.snapshots.retain(|_, snapshot| {
            let at = snapshot.checkpoint;
            at.epoch == epoch && !(from..through).contains(&at.position)
        });
        self.quarantine.clear();
        if !frames.is_empty() || self.snapshots.len() < before {
            self.erased.generation = self.head.generation.next();
        }
        self.erased.through = through;
        Ok(())
    }

    pub(super) fn erase_lost(&mut self, lost: &[ErasedLost]) -> Result<(), StoreError> {
        for ErasedLost { number, frame } in lost {
            let there = match frame {
                Some(frame) => self.lost.insert(*number, frame.as_slice().into()),
                None => self.lost.remove(number),
            };
            if there.is_none() {
                return Err(aborted("a lost frame whose payloads go is no longer there"));
            }
        }
        Ok(())
    }

    pub(in crate::memory) fn prune(&mut self, pruning: &Pruning) -> Result<bool, StoreError> {
        if pruning.replica != self.replica {
            return Err(StoreError::Wiped);
        }
        let through = pruning.through;
        check_key(through.value())?;
        check_gaps(&pruning.gaps)?;
        let mut goes = self.log.range(..=through);
        let ends = goes.next_back().is_none_or(|(_, last)| {
            frame::header(last).is_ok_and(|last| last.last_position() <= through)
        });
        let sealed = |first: &Position| self.directory.contains_key(first);
        let all_sealed = self.log.range(..=through).all(|(first, _)| sealed(first));
        if pruning.epoch != self.head.cursor.epoch || !ends || !all_sealed {
            return Ok(false);
        }
        self.log.retain(|first, _| *first > through);
        self.directory.retain(|first, _| *first > through);
        self.gaps.clone_from(&pruning.gaps);
        self.head.generation = self.head.generation.next();
        Ok(true)
    }

    pub(in crate::memory) fn save(&mut self, set: &SnapshotSet) -> Result<bool, StoreError> {
        if set.replica != self.replica {
            return Err(StoreError::Wiped);
        }
        for fold in &set.folds {
            if fold.changed.iter().any(|(at, _)| *at >= fold.buckets) {
                return Err(aborted("a bucket's number is not below their count"));
            }
        }
        let writable = |fold: &FoldSnapshot| match self.snapshots.get(&fold.fold) {
            Some(stored) if stored.checkpoint.epoch == set.checkpoint.epoch => {
                stored.checkpoint.position <= set.checkpoint.position
                    && (fold.whole
                        || (stored.buckets, stored.checkpoint.position)
                            == (fold.buckets, fold.base))
            }
            _ => fold.whole,
        };
        if set.filter != self.filters.kept {
            return Ok(false);
        }
        let folded_before = set.checkpoint.position < self.erased.through;
        if folded_before || !self.reaches(set.checkpoint) || !set.folds.iter().all(writable) {
            return Ok(false);
        }
        for fold in &set.folds {
            let changed = fold
                .changed
                .iter()
                .map(|(at, bucket)| (*at, bucket.as_slice().into()));
            let mut filled = match self.snapshots.remove(&fold.fold) {
                Some(stored) if !fold.whole => stored.filled,
                _ => BTreeMap::new(),
            };
            filled.extend(changed);
            let snapshot = Snapshot {
                checkpoint: set.checkpoint,
                buckets: fold.buckets,
                filled,
            };
            self.snapshots.insert(fold.fold.clone(), snapshot);
        }
        Ok(true)
    }

    pub(in crate::memory) fn snapshots(&self, folds: &[FoldName]) -> Vec<Option<StoredSnapshot>> {
        let stored = |fold: &FoldName| {
            let snapshot = self.snapshots.get(fold)?;
            let filled = snapshot.filled.iter();
            self.reaches(snapshot.checkpoint).then(|| StoredSnapshot {
                checkpoint: snapshot.checkpoint,
                filter: self.filters.kept.clone(),
                buckets: snapshot.buckets,
                filled: filled.map(|(at, bucket)| (*at, bucket.to_vec())).collect(),
                unfollowed: false,
                erased: self.erased.generation,
            })
        };
        folds.iter().map(stored).collect()
    }

    pub(in crate::memory) fn forget(&mut self, all_but: &[FoldName]) {
        self.snapshots.retain(|fold, _| all_but.contains(fold));
    }

    /// Does the log hold what a fold with this checkpoint has applied?
    fn reaches(&self, checkpoint: Cursor) -> bool {
        let end = self.head.cursor;
        checkpoint.epoch == end.epoch && checkpoint.position <= end.position
    }
}
