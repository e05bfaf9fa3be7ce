//! How the next group of each log is stored, and what is known of the log by then.

use super::held::Held;
use std::collections::BTreeMap;
use tidelog_core::LogName;

/// After another process was faster, so many groups of the log lock its row first.
const LOCKED_GROUPS: u32 = 16;
/// After a wrong guess, so many groups of the log look up what they need.
const UNSURE_GROUPS: u32 = 8;
/// How many logs' ids are kept.
const KNOWN_LOGS: usize = 10_000;
/// How many streams, replicas and chain hashes of all logs are kept; then it begins anew.
const MOST: usize = 50_000;

#[derive(Debug)]
struct Way {
    /// The log's id, which never changes.
    id: i64,
    /// How many groups still lock its row.
    locked: u32,
    /// How many groups still look up what they could guess.
    unsure: u32,
    /// The log as its last group left it.
    kept: Option<Held>,
}

/// What a group finds of the one before it.
pub(super) struct Kept {
    pub(super) held: Held,
    /// Whether guesses were right lately.
    pub(super) is_sure: bool,
}

/// The logs that groups were stored in.
#[derive(Debug, Default)]
pub(super) struct Ways {
    logs: BTreeMap<LogName, Way>,
    weight: usize,
}

impl Ways {
    /// The log's id, if its next group may go without a lock.
    pub(super) fn at_once(&self, log: &LogName) -> Option<i64> {
        let way = self.logs.get(log)?;
        (way.locked == 0).then_some(way.id)
    }

    /// What the last group left. A group that fails leaves nothing.
    pub(super) fn take(&mut self, log: &LogName) -> Option<Kept> {
        let way = self.logs.get_mut(log)?;
        let held = way.kept.take()?;
        self.weight = self.weight.saturating_sub(held.weight());
        let is_sure = way.unsure == 0;
        way.unsure = way.unsure.saturating_sub(1);
        Some(Kept { held, is_sure })
    }

    /// Another process was faster.
    pub(super) fn outrun(&mut self, log: &LogName) {
        if let Some(way) = self.logs.get_mut(log) {
            way.locked = LOCKED_GROUPS;
        }
    }

    pub(super) fn was_wrong(&mut self, log: &LogName) {
        if let Some(way) = self.logs.get_mut(log) {
            way.unsure = UNSURE_GROUPS;
        }
    }

    /// A group was stored.
    pub(super) fn stored(&mut self, log: &LogName, held: Held) {
        if let Some(before) = self.logs.get_mut(log).and_then(|way| way.kept.take()) {
            self.weight = self.weight.saturating_sub(before.weight());
        }
        if self.logs.len() >= KNOWN_LOGS {
            *self = Self::default();
        }
        let held = held.settled();
        self.weight += held.weight();
        let way = self.logs.entry(log.clone()).or_insert(Way {
            id: held.id,
            locked: 1,
            unsure: 0,
            kept: None,
        });
        way.id = held.id;
        way.locked = way.locked.saturating_sub(1);
        way.kept = Some(held);
        if self.weight > MOST {
            self.logs.values_mut().for_each(|way| way.kept = None);
            self.weight = 0;
        }
    }
}
