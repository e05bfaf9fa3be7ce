//! A log as a group left it: what the next group can be decided on without asking the database.
//!
//! Whatever admission looks at changes the version of the log's row too. So what is known stays true while the row is the version
//! that the group wrote, which is a condition of the statement that writes. What was not asked for is guessed to be new, and that
//! is a condition, too: a wrong guess writes nothing, and the group is decided again on what is looked up.

use super::Held;
use crate::store::{Numbering, Push, admission};
use std::collections::{BTreeMap, BTreeSet};
use tidelog_core::{CommitId, Cursor, StreamId};

/// How many chain hashes below the end are kept: of cursors of those who push.
const CHAINS: usize = 4_096;

/// What was not asked for: none of it may be there.
#[derive(Debug, Default)]
pub(super) struct Guess {
    pub(super) commits: Vec<CommitId>,
    pub(super) streams: Vec<StreamId>,
}

/// Adds the few that were looked up now to the many that are known; where both say the same, nothing changes.
fn add<K: Ord, V>(few: &mut BTreeMap<K, V>, many: BTreeMap<K, V>) {
    let few_of_now = std::mem::replace(few, many);
    few.extend(few_of_now);
}

impl Held {
    /// What stays, once what was decided on it is stored.
    pub(in crate::store::postgres) fn settled(mut self) -> Self {
        self.seqs.clear();
        self.known.clear();
        self.entries.clear();
        self.moved.clear();
        self.bound.clear();
        self.guess = None;
        // Of no use without the owner; and anybody may ask for a replica that there is not.
        let owners = &self.owners;
        self.last_seqs
            .retain(|replica, _| owners.contains_key(replica));
        while self.chains.len() > CHAINS {
            self.chains.pop_first();
        }
        self
    }

    pub(in crate::store::postgres) const fn is_guess(&self) -> bool {
        self.guess.is_some()
    }

    /// About how much it holds.
    pub(in crate::store::postgres) fn weight(&self) -> usize {
        1 + self.streams.len() + self.owners.len() + self.last_seqs.len() + self.chains.len()
    }

    /// Takes what a group before left, if it was of the same version of the log's row.
    pub(in crate::store::postgres) fn remember(&mut self, kept: Self) {
        if (kept.id, kept.base, &kept.row) == (self.id, self.base, &self.row) {
            add(&mut self.streams, kept.streams);
            add(&mut self.chains, kept.chains);
            add(&mut self.owners, kept.owners);
            add(&mut self.last_seqs, kept.last_seqs);
        }
    }

    /// Guesses all that these pushes ask for and is not known; `false` if that is not likely to be right, or cannot be a condition.
    pub(in crate::store::postgres) fn guess(&mut self, pushes: &[&Push]) -> bool {
        if !pushes.iter().all(|push| self.knows(push)) {
            return false;
        }
        let commits = || pushes.iter().flat_map(|push| &push.commits);
        let touched: BTreeSet<&StreamId> = commits()
            .flat_map(|one| admission::touched(&one.commit))
            .filter(|stream| !self.streams.contains_key(*stream))
            .collect();
        let guess = Guess {
            commits: commits().map(|one| one.commit.id).collect(),
            streams: touched.into_iter().cloned().collect(),
        };
        self.guess = Some(guess);
        true
    }

    fn knows(&self, push: &Push) -> bool {
        let cursor = push.cursor;
        let knows_place = cursor == Cursor::default()
            || cursor.epoch != self.state.epoch
            || cursor.position > self.state.head.position
            || self.chains.contains_key(&cursor.position);
        let Some(last) = self.last_seqs.get(&push.replica) else {
            return false;
        };
        // Numbers from 2⁶³ on are stored as negative ones, which the highest does not tell of.
        let is_next = |seq: u64| seq > last.value() && i64::try_from(seq).is_ok();
        let numbered = push.numbering == Numbering::Store
            || push
                .commits
                .iter()
                .all(|one| is_next(one.commit.seq.value()));
        knows_place && numbered && self.owners.contains_key(&push.replica)
    }
}
