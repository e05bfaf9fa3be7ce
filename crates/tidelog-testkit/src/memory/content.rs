//! What a memory database holds, and its transactions.

use std::collections::BTreeMap;
use std::sync::Arc;
use tidelog_core::store::{
    Head, Loaded, Outcome, ParkedRecord, PendingFrame, StoreError, StoreOp, WriteBatch, Written,
};
use tidelog_core::{CommitId, Position, ReplicaId, Seq, frame};

/// The largest key: IndexedDB's keys are doubles, and above this two numbers become one.
const MAX_KEY: u64 = (1 << 53) - 1;

type Bytes = Arc<[u8]>;

/// Frames are shared, so that the copy which makes a transaction atomic costs no copy of the bytes.
#[derive(Debug, Clone)]
pub(super) struct Content {
    replica: ReplicaId,
    head: Head,
    pending: BTreeMap<Seq, (Bytes, Vec<Outcome>)>,
    log: BTreeMap<Position, Bytes>,
    parked: BTreeMap<CommitId, Bytes>,
    lost: Vec<Bytes>,
}

impl Content {
    pub(super) fn new(replica: ReplicaId) -> Self {
        Self {
            replica,
            head: Head::default(),
            pending: BTreeMap::new(),
            log: BTreeMap::new(),
            parked: BTreeMap::new(),
            lost: Vec::new(),
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
            StoreOp::ClearLog => self.log.clear(),
            StoreOp::PutParked { id, record } => {
                self.parked.insert(*id, record.as_slice().into());
            }
            StoreOp::RemoveParked { id } => {
                self.parked.remove(id);
            }
            StoreOp::SetReplica { replica } => self.replica = *replica,
            StoreOp::AddLost { frame } => self.lost.push(frame.as_slice().into()),
        }
        Ok(())
    }

    pub(super) fn load(&self, after: Position, max_bytes: usize) -> Loaded {
        let mut log: Vec<Vec<u8>> = Vec::new();
        let mut bytes = 0_usize;
        let mut more = false;
        for frame in self.frames_after(after) {
            bytes = bytes.saturating_add(frame.len());
            if !log.is_empty() && bytes > max_bytes {
                more = true;
                break;
            }
            log.push(frame.to_vec());
        }
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
            log,
            more,
        }
    }

    /// The frames that hold a position after this one. The first may begin before it, unless one begins right behind
    /// it; a frame whose end cannot be read from its header is not hidden, so that its reader finds the damage.
    fn frames_after(&self, after: Position) -> impl Iterator<Item = &Bytes> {
        let before = self.log.range(..=after).next_back();
        let straddling = before.filter(|(_, bytes)| {
            !self.log.contains_key(&after.next())
                && frame::header(bytes).map_or(true, |header| header.last_position() > after)
        });
        straddling
            .into_iter()
            .chain(self.log.range(after.next()..))
            .map(|(_, frame)| frame)
    }

    pub(super) fn frames(&self, first_positions: &[Position]) -> Vec<Vec<u8>> {
        first_positions
            .iter()
            .filter_map(|first| self.log.get(first))
            .map(|frame| frame.to_vec())
            .collect()
    }

    pub(super) fn lost(&self) -> Vec<Vec<u8>> {
        self.lost.iter().map(|frame| frame.to_vec()).collect()
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

fn check_outcomes(outcomes: &[Outcome]) -> Result<(), StoreError> {
    if outcomes.is_empty() {
        return Err(aborted("a pending frame has at least one commit"));
    }
    outcomes.iter().try_for_each(|outcome| match outcome {
        Outcome::Acked(position) => check_key(position.value()),
        Outcome::Pending | Outcome::Settled => Ok(()),
    })
}
