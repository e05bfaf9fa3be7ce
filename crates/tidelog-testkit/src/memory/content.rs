//! What a memory database holds, and its transactions.

mod log;
mod maintenance;

use std::collections::BTreeMap;
use std::sync::Arc;
use tidelog_core::store::{
    Direction, Erased, Filters, FoldName, Head, Loaded, LostFrame, LostPage, Outcome, ParkedRecord,
    PendingFrame, StoreError, StoreOp, Usage, WriteBatch, Written,
};
use tidelog_core::{CommitId, Cursor, Gap, Position, ReplicaId, Seq, gap};

/// The largest key: IndexedDB's keys are doubles, and above this two numbers become one.
const MAX_KEY: u64 = (1 << 53) - 1;
const LAST: Position = Position::new(MAX_KEY);

type Bytes = Arc<[u8]>;

/// Frames are shared, so that the copy which makes a transaction atomic costs no copy of the bytes.
#[derive(Debug, Clone)]
pub(super) struct Content {
    replica: ReplicaId,
    head: Head,
    pending: BTreeMap<Seq, (Bytes, Vec<Outcome>)>,
    log: BTreeMap<Position, Bytes>,
    directory: BTreeMap<Position, Bytes>,
    gaps: Vec<Gap>,
    filters: Filters,
    erased: Erased,
    snapshots: BTreeMap<FoldName, Snapshot>,
    quarantine: Vec<Bytes>,
    parked: BTreeMap<CommitId, Bytes>,
    lost: BTreeMap<u64, Bytes>,
}

#[derive(Debug, Clone)]
struct Snapshot {
    checkpoint: Cursor,
    buckets: u32,
    filled: BTreeMap<u32, Bytes>,
}

impl Content {
    pub(super) fn new(replica: ReplicaId) -> Self {
        Self {
            replica,
            head: Head::default(),
            pending: BTreeMap::new(),
            log: BTreeMap::new(),
            directory: BTreeMap::new(),
            gaps: Vec::new(),
            filters: Filters::default(),
            erased: Erased::default(),
            snapshots: BTreeMap::new(),
            quarantine: Vec::new(),
            parked: BTreeMap::new(),
            lost: BTreeMap::new(),
        }
    }

    pub(super) const fn replica(&self) -> ReplicaId {
        self.replica
    }

    pub(super) fn write(&mut self, batch: &WriteBatch) -> Result<Written, StoreError> {
        if batch.replica != self.replica {
            return Err(StoreError::Wiped);
        }
        if batch.expected != self.head.generation {
            return Ok(Written::Stale {
                actual: self.head.generation,
            });
        }
        if batch.head.generation != batch.expected.next() {
            return Err(aborted(
                "the new head's generation is not the expected one and one",
            ));
        }
        check_key(batch.head.next_seq.value())?;
        check_key(batch.head.generation.value())?;
        let mut after = self.clone();
        batch.ops.iter().try_for_each(|op| after.apply(op))?;
        after.head = batch.head;
        *self = after;
        Ok(Written::Done)
    }

    fn apply(&mut self, op: &StoreOp) -> Result<(), StoreError> {
        match op {
            StoreOp::AddPending {
                first,
                frame,
                outcomes,
            } => {
                check_key(first.value())?;
                check_outcomes(outcomes)?;
                let entry = (frame.as_slice().into(), outcomes.clone());
                taken(
                    "pending",
                    first.value(),
                    self.pending.insert(*first, entry).is_some(),
                )?;
            }
            StoreOp::PutOutcomes { first, outcomes } => {
                check_outcomes(outcomes)?;
                let entry = self.pending.get_mut(first).map(|(_, outcomes)| outcomes);
                match entry {
                    Some(stored) if stored.len() == outcomes.len() => stored.clone_from(outcomes),
                    _ => {
                        return Err(aborted(&format!(
                            "there is no pending frame {first} of {} commits",
                            outcomes.len()
                        )));
                    }
                }
                if outcomes.iter().all(|outcome| *outcome == Outcome::Settled) {
                    self.pending.remove(first);
                }
            }
            StoreOp::AddLog { first, frame } => {
                check_key(first.value())?;
                let frame = frame.as_slice().into();
                taken(
                    "log",
                    first.value(),
                    self.log.insert(*first, frame).is_some(),
                )?;
            }
            StoreOp::ClearLog => {
                self.log.clear();
                self.directory.clear();
                self.gaps.clear();
                self.snapshots.clear();
                self.read_anew();
            }
            StoreOp::TruncateLog { after, gaps } => {
                check_gaps(gaps)?;
                self.gaps.clone_from(gaps);
                self.log.retain(|first, _| first <= after);
                self.directory.retain(|first, _| first <= after);
                self.read_anew();
            }
            StoreOp::Erase {
                from,
                through,
                frames,
                lost,
            } => {
                self.erase(*from, *through, frames)?;
                self.erase_lost(lost)?;
            }
            StoreOp::Quarantine { first } => {
                self.directory.remove(first);
                self.quarantine.extend(self.log.remove(first));
            }
            StoreOp::PutParked { id, record } => {
                self.parked.insert(*id, record.as_slice().into());
            }
            StoreOp::RemoveParked { id } => {
                self.parked.remove(id);
            }
            StoreOp::SetReplica { replica } => self.replica = *replica,
            StoreOp::SetFilters { filters } => self.filters.clone_from(filters),
            StoreOp::AddLost { frame } => {
                let last = self.lost.last_key_value().map_or(0, |(number, _)| *number);
                self.lost.insert(last + 1, frame.as_slice().into());
            }
        }
        Ok(())
    }

    /// What was erased in the meantime comes again without its payload.
    const fn read_anew(&mut self) {
        self.erased = Erased {
            through: Position::START,
            generation: self.head.generation.next(),
        };
    }

    pub(super) const fn head(&self) -> (ReplicaId, Head) {
        (self.replica, self.head)
    }

    pub(super) fn load(&self, after: Position, max_bytes: usize) -> Loaded {
        let page = self.range(after.next(), LAST, Direction::Forward, max_bytes);
        let pending = self
            .pending
            .iter()
            .map(|(first, (frame, outcomes))| PendingFrame {
                first: *first,
                frame: frame.to_vec(),
                outcomes: outcomes.clone(),
            });
        let parked = self.parked.iter().map(|(id, record)| ParkedRecord {
            id: *id,
            record: record.to_vec(),
        });
        Loaded {
            replica: self.replica,
            head: self.head,
            pending: pending.collect(),
            parked: parked.collect(),
            log: page.frames,
            more: page.more,
            gaps: self.gaps.clone(),
            filters: self.filters.clone(),
            erased: self.erased,
        }
    }

    pub(super) fn usage(&self) -> Usage {
        Usage {
            frames: self.log.len() as u64,
            segments: self.directory.len() as u64,
            oldest: self.log.keys().next().copied(),
            quarantined: self.quarantine.len() as u64,
            lost: self.lost.len() as u64,
        }
    }

    pub(super) fn quarantined(&self) -> Vec<Vec<u8>> {
        self.quarantine.iter().map(|frame| frame.to_vec()).collect()
    }

    pub(super) fn lost_after(&self, number: u64, max_bytes: usize) -> LostPage {
        let mut page = LostPage::default();
        let mut bytes = 0_usize;
        for (number, frame) in self.lost.range(number.saturating_add(1)..) {
            bytes = bytes.saturating_add(frame.len());
            if bytes > max_bytes && !page.frames.is_empty() {
                page.more = true;
                break;
            }
            let (number, frame) = (*number, frame.to_vec());
            page.frames.push(LostFrame { number, frame });
        }
        page
    }
}

fn aborted(detail: &str) -> StoreError {
    StoreError::Aborted {
        detail: detail.into(),
    }
}

fn taken(store: &str, key: u64, taken: bool) -> Result<(), StoreError> {
    if taken {
        Err(aborted(&format!("the key {key} of {store} is taken")))
    } else {
        Ok(())
    }
}

fn check_key(key: u64) -> Result<(), StoreError> {
    match key {
        1..=MAX_KEY => Ok(()),
        _ => Err(aborted(&format!(
            "{key} is not a key: keys are 1 to {MAX_KEY}"
        ))),
    }
}

fn check_gaps(gaps: &[Gap]) -> Result<(), StoreError> {
    let ascending = gap::decode(&gap::encode(gaps)).is_some();
    if ascending && gaps.iter().all(|gap| gap.to <= LAST) {
        Ok(())
    } else {
        Err(aborted("the gaps are not in ascending order"))
    }
}

fn check_outcomes(outcomes: &[Outcome]) -> Result<(), StoreError> {
    if outcomes.is_empty() {
        return Err(aborted("a pending frame has at least one commit"));
    }
    outcomes.iter().try_for_each(|outcome| match outcome {
        Outcome::Acked(position) => check_key(position.value()),
        Outcome::Pending | Outcome::Settled => Ok(()),
    })
}
