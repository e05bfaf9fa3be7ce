//! What is in a database.

use crate::app::Rows;
use crate::hold;
use crate::reading;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use tidelog_core::frame;
use tidelog_core::number::Generation;
use tidelog_core::store::{
    Erased, ErasedFrame, ErasedLost, Filters, Head, Outcome, StoredSnapshot,
};
use tidelog_core::{CommitId, Cursor, Filter, Gap, Position, ReplicaId, Seq};

#[derive(Debug, Clone)]
pub struct Pending {
    pub(super) frame: Rc<[u8]>,
    pub outcomes: Vec<Outcome>,
    pub ids: Rc<[CommitId]>,
}

/// What tabs save of their state.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Which part of the log it has applied.
    pub filter: Filter,
    pub checkpoint: Cursor,
    pub buckets: u32,
    pub heads: BTreeMap<u32, Vec<u8>>,
    pub rows: Rows,
    pub confirmed: BTreeSet<CommitId>,
    /// [`StoredSnapshot::unfollowed`].
    pub unfollowed: bool,
    /// [`StoredSnapshot::erased`], once it is read.
    pub erased: Generation,
}

impl Snapshot {
    /// As a store gives it.
    #[must_use]
    pub fn stored(&self) -> StoredSnapshot {
        StoredSnapshot {
            checkpoint: self.checkpoint,
            filter: self.filter.clone(),
            buckets: self.buckets,
            filled: self.heads.clone().into_iter().collect(),
            unfollowed: self.unfollowed,
            erased: self.erased,
        }
    }
}

/// In how many places of the database each commit is: one, if all is well.
#[derive(Debug, Clone, Default)]
pub(super) struct Index(BTreeMap<CommitId, u32>);

impl Index {
    pub(super) fn enter(&mut self, id: CommitId) {
        *self.0.entry(id).or_default() += 1;
    }

    pub(super) fn leave(&mut self, id: CommitId) {
        if let Some(count) = self.0.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&id);
            }
        }
    }
}

/// A frame of the log, and which commits it holds.
pub type Stored = (Rc<[u8]>, Rc<[CommitId]>);

#[derive(Debug, Clone)]
pub struct Content {
    pub replica: ReplicaId,
    pub head: Head,
    pub pending: BTreeMap<Seq, Pending>,
    pub log: BTreeMap<Position, Stored>,
    pub parked: BTreeMap<CommitId, Rc<[u8]>>,
    pub lost: BTreeMap<u64, Rc<[u8]>>,
    pub gaps: Vec<Gap>,
    pub filters: Filters,
    pub erased: Erased,
    pub snapshot: Option<Rc<Snapshot>>,
    /// Commits of frames that were cut or pruned: the server has them.
    pub elsewhere: BTreeSet<CommitId>,
    pub damaged: bool,
    /// It got another replica id: what the earlier one wrote counts as somebody else's.
    pub renamed: bool,
    pub(super) index: Index,
}

impl Content {
    pub(super) fn new(replica: ReplicaId) -> Self {
        Self {
            replica,
            head: Head::default(),
            pending: BTreeMap::new(),
            log: BTreeMap::new(),
            parked: BTreeMap::new(),
            lost: BTreeMap::new(),
            gaps: Vec::new(),
            filters: Filters::default(),
            erased: Erased::default(),
            snapshot: None,
            elsewhere: BTreeSet::new(),
            damaged: false,
            renamed: false,
            index: Index::default(),
        }
    }

    /// In how many places a commit is.
    #[must_use]
    pub fn places_of(&self, id: CommitId) -> u32 {
        self.index.0.get(&id).copied().unwrap_or_default()
    }

    /// An older build was the last to look after the log: it knew no erasures.
    pub fn forget_erasing(&mut self) {
        self.erased = Erased::default();
    }

    pub(super) fn enter_log(&mut self, first: Position, frame: &[u8], ids: Vec<CommitId>) {
        for id in &ids {
            self.index.enter(*id);
        }
        self.log.insert(first, (frame.into(), ids.into()));
    }

    /// A frame goes; the server has what was in it.
    pub(super) fn leave_log(&mut self, first: Position) {
        if let Some((_, ids)) = self.log.remove(&first) {
            for id in &*ids {
                self.index.leave(*id);
                self.elsewhere.insert(*id);
            }
        }
    }

    /// In a transaction that leaves the next generation.
    pub(super) fn erase(
        &mut self,
        from: Position,
        through: Position,
        frames: &[ErasedFrame],
        lost: &[ErasedLost],
    ) {
        for erased in frames {
            let (bytes, _) = self.log.get_mut(&erased.first).unwrap();
            *bytes = erased.frame.as_slice().into();
        }
        let epoch = self.head.cursor.epoch;
        let folded = self.snapshot.take_if(|snapshot| {
            let at = snapshot.checkpoint;
            at.epoch != epoch || (from..through).contains(&at.position)
        });
        if !frames.is_empty() || folded.is_some() {
            self.erased.generation = self.head.generation.next();
        }
        self.erased.through = through;
        for ErasedLost { number, frame } in lost {
            let there = match frame {
                Some(frame) => self.lost.insert(*number, frame.as_slice().into()),
                None => self.lost.remove(number),
            };
            hold!(
                0,
                there.is_some(),
                "a lost frame {number} that is not there"
            );
        }
    }

    /// What was erased in the meantime comes again without its payload, in a transaction that leaves the next generation.
    pub(super) fn read_anew(&mut self) {
        self.erased = Erased {
            through: Position::START,
            generation: self.head.generation.next(),
        };
    }

    pub(super) fn cut_log(&mut self, after: Position) {
        let gone: Vec<Position> = self
            .log
            .range(after.next()..)
            .map(|(first, _)| *first)
            .collect();
        for first in gone {
            self.leave_log(first);
        }
    }

    pub(super) fn park(&mut self, id: CommitId, record: &[u8]) {
        if self.parked.insert(id, record.into()).is_none() {
            self.index.enter(id);
        }
    }

    pub(super) fn unpark(&mut self, id: CommitId) {
        if self.parked.remove(&id).is_some() {
            self.index.leave(id);
        }
    }

    pub fn pending_ids(&self) -> impl Iterator<Item = CommitId> + '_ {
        self.pending.values().flat_map(|pending| {
            let outcomes = pending.ids.iter().zip(&pending.outcomes);
            outcomes.filter_map(|(id, outcome)| (*outcome != Outcome::Settled).then_some(*id))
        })
    }

    pub fn log_ids(&self) -> impl Iterator<Item = CommitId> + '_ {
        self.log.values().flat_map(|(_, ids)| ids.iter().copied())
    }

    /// What a history that is no more had of an earlier replica id of this device: kept aside to be exported.
    #[must_use]
    pub fn kept_aside(&self) -> BTreeSet<CommitId> {
        let frames = self.lost.values().filter(|_| self.renamed);
        frames
            .flat_map(|bytes| reading::recorded(bytes).ids())
            .collect()
    }

    /// Every commit is in one place.
    pub(super) fn places(&self) -> Result<BTreeSet<CommitId>, String> {
        let mut all = BTreeSet::new();
        let parked = self.parked.keys().copied();
        for id in self.pending_ids().chain(self.log_ids()).chain(parked) {
            if !all.insert(id) {
                return Err(format!("commit {id} is in two places of one database"));
            }
            if self.places_of(id) != 1 {
                return Err(format!("commit {id} is not indexed as it lies"));
            }
        }
        Ok(all)
    }

    pub(super) fn log_end(&self) -> Position {
        self.log.last_key_value().map_or(
            self.gaps.last().map_or(Position::START, |gap| gap.to),
            |(_, (frame, _))| frame::header(frame).unwrap().last_position(),
        )
    }
}
