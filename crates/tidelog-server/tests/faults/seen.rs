//! What anybody ever saw of the log: which commit is where, and its chain hash. It never becomes another.

use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A commit's place, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) id: String,
    pub(crate) last: u64,
    chain: Value,
}

#[derive(Debug, Default)]
pub(crate) struct Seen {
    commits: Mutex<BTreeMap<u64, Placed>>,
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Placed>> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits that a reader got who had read up to a position: what follows on it, and what everybody else saw there. Gives
    /// the position that they end at.
    pub(crate) fn follow(&self, mut end: u64, commits: &Value) -> u64 {
        for commit in commits.as_array().expect("commits") {
            let first = end + 1;
            for event in commit["events"].as_array().expect("events") {
                end += 1;
                assert_eq!(event["position"], end, "no hole, and nothing twice");
            }
            let placed = Placed {
                id: commit["id"].as_str().expect("an id").to_owned(),
                last: end,
                chain: commit["chain"].clone(),
            };
            assert!(placed.chain.is_string(), "{commit}");
            let before = self.lock().insert(first, placed.clone());
            assert!(
                before.as_ref().is_none_or(|before| *before == placed),
                "position {first} was {before:?} and is {placed:?}"
            );
        }
        end
    }

    /// Everything, by the first position.
    pub(crate) fn into_inner(self) -> BTreeMap<u64, Placed> {
        self.commits.into_inner().expect("nobody failed")
    }
}

#[cfg(test)]
mod tests {
    use super::Seen;
    use serde_json::{Value, json};

    fn commit(id: &str, first: u64, chain: &str) -> Value {
        let events = [
            json!({ "position": first }),
            json!({ "position": first + 1 }),
        ];
        json!([{ "id": id, "events": events, "chain": chain }])
    }

    /// What two readers get, one after the other, from the beginning on.
    fn is_seen(one: &Value, other: &Value) -> bool {
        let seen = Seen::default();
        assert_eq!(seen.follow(0, one), 2);
        std::panic::catch_unwind(|| seen.follow(0, other)).is_err()
    }

    #[test]
    fn another_commit_another_history_and_a_hole_are_seen() {
        let first = commit("a", 1, "x");
        assert!(!is_seen(&first, &first));
        assert!(is_seen(&first, &commit("b", 1, "x")));
        assert!(is_seen(&first, &commit("a", 1, "y")));
        assert!(is_seen(&first, &commit("c", 2, "x")));
    }
}
