//! Any pushes at the admission rule: near each other, so that they meet, or read from any bytes.

use super::admission::Server;
use super::choices::Choices;
use std::collections::{BTreeMap, BTreeSet};
use tidelog_core::authority::Admission;
use tidelog_core::frame::{self, Body};
use tidelog_core::*;

/// Runs one input; which verdicts there were. [`Server`] checks positions and versions as its log grows.
pub fn run(bytes: &[u8]) -> BTreeSet<&'static str> {
    let mut choices = Choices(bytes);
    let mut server = Server::default();
    let mut accepted: BTreeMap<CommitId, (Option<&str>, Commit, Admission)> = BTreeMap::new();
    let mut reached = BTreeSet::new();
    while !choices.is_empty() {
        let actor = [None, Some("ada"), Some("bob")][choices.below(8).saturating_sub(5)];
        let commits = match choices.below(8) {
            0 => any_bytes(&mut choices),
            1 => again(&mut choices, &accepted),
            _ => vec![any_commit(&mut choices, &server)],
        };
        for commit in commits {
            let known = accepted.get(&commit.id);
            let stale = commit.conditions.iter().any(|condition| {
                let head = server.heads.get(&condition.stream);
                !condition.expected.holds(head)
            });
            let admission = server.push_as(actor, &commit);
            match (&admission, known) {
                (Admission::Accept(receipt), known) => {
                    assert!(known.is_none(), "an id is accepted twice");
                    assert!(!stale, "a stale expectation is accepted");
                    reached.insert("accepted");
                    let first = Admission::Duplicate(receipt.clone());
                    accepted.insert(commit.id, (actor, commit, first));
                }
                (Admission::Duplicate(_), Some((owner, _, first))) => {
                    assert_eq!((*owner, first), (actor, &admission), "another receipt");
                    reached.insert("duplicate");
                }
                (Admission::Duplicate(_), None) => panic!("a duplicate of nothing"),
                (Admission::Conflict(conflicts), known) => {
                    assert!(known.is_none(), "an own retry conflicts");
                    assert!(stale && !conflicts.is_empty(), "a conflict over nothing");
                    reached.insert("conflict");
                }
                (Admission::Reject(_), known) => {
                    if let Some((owner, first, _)) = known {
                        let same = *owner == actor && *first == commit;
                        assert!(!same, "an own retry is refused");
                    }
                    reached.insert("rejected");
                }
            }
        }
    }
    reached
}

fn any_commit(choices: &mut Choices<'_>, server: &Server) -> Commit {
    let mut conditions = Vec::new();
    for _ in 0..choices.below(3) {
        let stream = choices.stream();
        let expected = choices.expected(server.heads.get(&stream).copied());
        conditions.push(Condition { stream, expected });
    }
    let mut id = choices.id();
    id[15] = choices.byte() % 8;
    Commit {
        id: CommitId::from_bytes(id),
        attempt: Attempt::new(u32::from(choices.byte() % 4)),
        replica: ReplicaId::from_bytes(choices.id()),
        seq: Seq::new(choices.number()),
        conditions,
        events: match choices.below(32) {
            0 => Vec::new(),
            _ => choices.events(),
        },
    }
}

/// What was accepted, as it was or with one thing that is another.
fn again(
    choices: &mut Choices<'_>,
    accepted: &BTreeMap<CommitId, (Option<&str>, Commit, Admission)>,
) -> Vec<Commit> {
    let at = choices.below(accepted.len().max(1));
    let Some((_, commit, _)) = accepted.values().nth(at) else {
        return Vec::new();
    };
    let mut commit = commit.clone();
    match choices.below(5) {
        0 => commit.events = choices.events(),
        1 => commit.attempt = commit.attempt.next(),
        2 => commit.seq = Seq::new(choices.number()),
        3 => commit.conditions.clear(),
        _ => {}
    }
    vec![commit]
}

fn any_bytes(choices: &mut Choices<'_>) -> Vec<Commit> {
    let mut bytes = choices.bytes();
    super::checks::repair_frame(&mut bytes);
    match frame::decode(&bytes).map(|frame| frame.body) {
        Ok(Body::Local(locals)) => locals.into_iter().map(|local| local.commit).collect(),
        Ok(Body::Recorded(commits)) => commits.into_iter().map(|known| known.commit).collect(),
        Err(_) => Vec::new(),
    }
}
