//! Pending frames: how commits are cut into them, and the outcomes of their commits.

use super::queue::Location;
use crate::commit::Local;
use crate::frame;
use crate::limits::FRAME_TARGET_BYTES;
use crate::map::Map;
use crate::number::Seq;
use crate::store::{Outcome, StoreOp};
use alloc::borrow::Cow;
use alloc::vec::Vec;

pub(super) fn mark(
    pending: &Map<Seq, Vec<Outcome>>,
    outcomes: &mut Map<Seq, Vec<Outcome>>,
    location: Location,
    outcome: Outcome,
) {
    let Some(known) = pending.get(&location.first) else {
        return;
    };
    let changed = outcomes
        .entry(location.first)
        .or_insert_with(|| known.clone());
    if let Some(place) = changed.get_mut(location.index) {
        *place = outcome;
    }
}

pub(super) fn settle(
    pending: &Map<Seq, Vec<Outcome>>,
    outcomes: &mut Map<Seq, Vec<Outcome>>,
    location: Option<Location>,
) {
    if let Some(location) = location {
        mark(pending, outcomes, location, Outcome::Settled);
    }
}

pub(super) fn put_outcomes(outcomes: Map<Seq, Vec<Outcome>>) -> impl Iterator<Item = StoreOp> {
    outcomes
        .into_iter()
        .map(|(first, outcomes)| StoreOp::PutOutcomes { first, outcomes })
}

/// Cuts a run of commits into pending frames.
#[derive(Default)]
pub(super) struct Frames<'a> {
    open: Vec<Cow<'a, Local>>,
    first: Seq,
    weight: usize,
    pub(super) total: usize,
    done: Vec<StoreOp>,
}

impl<'a> Frames<'a> {
    pub(super) fn push(&mut self, seq: Seq, local: Cow<'a, Local>) -> Location {
        let weight = local.commit.weight();
        if self.weight > 0 && self.weight + weight > FRAME_TARGET_BYTES {
            self.cut();
        }
        if self.open.is_empty() {
            self.first = seq;
        }
        self.open.push(local);
        self.weight += weight;
        self.total += weight;
        Location {
            first: self.first,
            index: self.open.len() - 1,
        }
    }

    fn cut(&mut self) {
        if !self.open.is_empty() {
            self.done.push(StoreOp::AddPending {
                first: self.first,
                frame: frame::encode_local(self.first, self.open.iter().map(AsRef::as_ref)),
                outcomes: alloc::vec![Outcome::Pending; self.open.len()],
            });
        }
        self.open.clear();
        self.weight = 0;
    }

    pub(super) fn finish(mut self) -> Vec<StoreOp> {
        self.cut();
        self.done
    }
}
