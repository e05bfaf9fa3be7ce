//! The admission rule: identity, caps, and where an accepted commit lands.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use common::server::Server;
use common::{commit, expecting, replica, stream};
use tidelog_core::authority::{Admission, Facts, Receipt, RejectionCode, admit};
use tidelog_core::commit::CommitError;
use tidelog_core::protocol::json;
use tidelog_core::{limits, *};

fn accepted(admission: Admission) -> Receipt {
    match admission {
        Admission::Accept(receipt) => receipt,
        other => panic!("{other:?}"),
    }
}

fn refusal(admission: Admission) -> RejectionCode {
    match admission {
        Admission::Reject(rejection) => {
            assert!(!rejection.message.is_empty());
            rejection.code
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hundred_pushes_of_an_attempt_give_one_receipt() {
    let mut server = Server::default();
    let new = expecting(
        commit(1, &["todo/a", "todo/b"]),
        "todo/a",
        Expected::NoStream,
    );
    let receipt = accepted(server.push(&new));
    server.push(&commit(2, &["todo/a"]));
    for _ in 0..100 {
        assert_eq!(server.push(&new), Admission::Duplicate(receipt.clone()));
    }
    assert_eq!(server.log.len(), 2);
}

#[test]
fn another_attempt_gets_the_receipt_of_the_first_that_was_accepted() {
    let mut server = Server::default();
    let mut second = commit(1, &["todo/a"]);
    second.attempt = Attempt::new(2);
    let receipt = accepted(server.push(&second));
    assert_eq!(receipt.attempt, Attempt::new(2));
    for attempt in [1, 3] {
        let mut other = commit(1, &["todo/a", "todo/b"]);
        (other.attempt, other.seq) = (Attempt::new(attempt), Seq::new(50));
        other = expecting(other, "todo/a", Expected::NoStream);
        assert_eq!(server.push(&other), Admission::Duplicate(receipt.clone()));
    }
    assert_eq!(server.log.len(), 1);
}

#[test]
fn the_same_attempt_with_other_bytes_is_refused() {
    let mut server = Server::default();
    server.push(&commit(1, &["todo/a"]));
    let mut other = commit(1, &["todo/a"]);
    other.events[0].data = Payload::json("{ }");
    assert_eq!(refusal(server.push(&other)), RejectionCode::AttemptMismatch);
    let other = expecting(commit(1, &["todo/a"]), "todo/a", Expected::Any);
    assert_eq!(refusal(server.push(&other)), RejectionCode::AttemptMismatch);
}

#[test]
fn a_restamped_retry_is_a_duplicate() {
    let mut server = Server::default();
    let receipt = accepted(server.push(&commit(1, &["todo/a"])));
    let mut restamped = commit(1, &["todo/a"]);
    (restamped.replica, restamped.seq) = (replica(9), Seq::new(77));
    assert_eq!(server.push(&restamped), Admission::Duplicate(receipt));
}

#[test]
fn an_id_belongs_to_the_one_who_used_it() {
    let mut server = Server::default();
    accepted(server.push_as(Some("ada"), &commit(1, &["todo/a"])));
    for actor in [Some("eve"), None] {
        let code = refusal(server.push_as(actor, &commit(1, &["todo/a"])));
        assert_eq!(code, RejectionCode::IdTaken, "{actor:?}");
    }
    let again = server.push_as(Some("ada"), &commit(1, &["todo/a"]));
    assert!(matches!(again, Admission::Duplicate(_)));
}

#[test]
fn a_reused_sequence_number_is_a_copied_profile() {
    let mut server = Server::default();
    server.push(&commit(1, &["todo/a"]));
    let mut other = commit(2, &["todo/b"]);
    other.seq = Seq::new(1);
    assert_eq!(refusal(server.push(&other)), RejectionCode::SeqReused);
    other.replica = replica(2);
    accepted(server.push(&other));
}

/// What is capped, the cap, and a commit that holds as many.
type Cap<'a> = (&'static str, usize, &'a dyn Fn(usize) -> Commit);

#[test]
fn one_more_than_each_cap_is_refused_and_the_cap_itself_is_not() {
    let with_events = |count: usize| commit(1, &vec!["todo/a"; count]);
    let with_tags = |count: usize| {
        let mut commit = commit(1, &["todo/a"]);
        commit.events[0].tags = vec![Tag::new("t").unwrap(); count];
        commit
    };
    let with_conditions = |count: usize| {
        (0..count).fold(commit(1, &["todo/a"]), |commit, n| {
            expecting(commit, &format!("todo/{n}"), Expected::Any)
        })
    };
    let of_weight = |weight: usize| {
        let mut commit = commit(1, &["todo/a"]);
        commit.events[0].data = Payload::json("");
        let text = "1".repeat(weight - commit.weight());
        commit.events[0].data = Payload::json(&text);
        assert_eq!(commit.weight(), weight);
        commit
    };
    let cases: [Cap<'_>; 4] = [
        ("events", limits::MAX_COMMIT_EVENTS, &with_events),
        ("tags", limits::MAX_EVENT_TAGS, &with_tags),
        (
            "conditions",
            limits::MAX_COMMIT_CONDITIONS,
            &with_conditions,
        ),
        ("bytes", limits::MAX_COMMIT_BYTES, &of_weight),
    ];
    for (what, most, make) in cases {
        let code = refusal(Server::default().push(&make(most + 1)));
        assert_eq!(code, RejectionCode::InvalidCommit, "{what}");
        accepted(Server::default().push(&make(most)));
    }
}

#[test]
fn all_that_an_event_carries_counts_to_the_weight() {
    let light = commit(1, &["todo/a"]).weight();
    let mut heavy = expecting(commit(1, &["todo/a"]), "todo/abc", Expected::Any);
    heavy.events[0].data = Payload::json(r#"{"x":1}"#);
    heavy.events[0].tags = vec![Tag::new("12345").unwrap()];
    let reference = Some(event::Reference::new("1234567").unwrap());
    heavy.events[0].meta = Meta {
        correlation_id: reference.clone(),
        causation_id: reference.clone(),
        device: reference,
    };
    assert_eq!(heavy.weight() - light, (64 + 8) + 5 + 5 + 3 * 7);
}

#[test]
fn a_commit_that_breaks_its_own_rules_is_refused() {
    let mut erased = commit(1, &["todo/a", "todo/b"]);
    erased.events[1].data = Payload::Erased(Digest::of(b"{}"));
    let mut reserved = commit(1, &["todo/a", "todo/b"]);
    reserved.events[1].event_type = EventType::new("tidelog.redacted").unwrap();
    let mut padded = commit(1, &["todo/a", "todo/b"]);
    padded.events[1].data = Payload::json("[1]\n");
    let mut early = commit(1, &["todo/a", "todo/b"]);
    early.events[1].occurred_at = Timestamp::from_millis(limits::TIMES.start() - 1);
    let mut late = commit(1, &["todo/a"]);
    late.events[0].occurred_at = Timestamp::from_millis(limits::TIMES.end() + 1);
    let mut attempt = commit(1, &["todo/a"]);
    attempt.attempt = Attempt::new(0);
    let mut schema = commit(1, &["todo/a", "todo/b"]);
    schema.events[1].schema = SchemaVersion::new(0);
    let mut repeated = expecting(commit(1, &["todo/a"]), "todo/a", Expected::Any);
    repeated = expecting(repeated, "todo/b", Expected::Any);
    repeated = expecting(repeated, "todo/a", Expected::Exists);
    for (bad, error) in [
        (commit(1, &[]), CommitError::Empty),
        (erased, CommitError::ErasedPayload { index: 1 }),
        (reserved, CommitError::ReservedType { index: 1 }),
        (padded, CommitError::PaddedPayload { index: 1 }),
        (
            early,
            CommitError::TimeOutOfRange {
                index: 1,
                millis: limits::TIMES.start() - 1,
            },
        ),
        (
            late,
            CommitError::TimeOutOfRange {
                index: 0,
                millis: limits::TIMES.end() + 1,
            },
        ),
        (attempt, CommitError::AttemptZero),
        (schema, CommitError::SchemaZero { index: 1 }),
        (
            repeated,
            CommitError::RepeatedCondition {
                stream: stream("todo/a"),
            },
        ),
    ] {
        assert_eq!(bad.check(), Err(error));
        let mut server = Server::default();
        assert_eq!(refusal(server.push(&bad)), RejectionCode::InvalidCommit);
        assert!(server.log.is_empty());
    }
}

#[test]
fn every_time_that_a_commit_may_have_is_the_same_time_in_json() {
    for millis in [*limits::TIMES.start(), 0, *limits::TIMES.end()] {
        let mut dated = commit(1, &["todo/a"]);
        dated.events[0].occurred_at = Timestamp::from_millis(millis);
        assert_eq!(dated.check(), Ok(()));
        let text = String::from(json::Instant(Timestamp::from_millis(millis)));
        assert_eq!(json::Instant::try_from(text).unwrap().0.millis(), millis);
    }
    let text = |millis| String::from(json::Instant(Timestamp::from_millis(millis)));
    assert_eq!(
        text(limits::TIMES.start() - 1),
        text(*limits::TIMES.start()),
        "the nearest"
    );
    assert_eq!(
        text(limits::TIMES.end() + 1),
        text(*limits::TIMES.end()),
        "the nearest"
    );
}

#[test]
fn events_of_several_streams_interleave_and_each_stream_counts_for_itself() {
    let mut server = Server::default();
    server.push(&commit(1, &["todo/a", "todo/a"]));
    let mixed = commit(2, &["todo/b", "todo/a", "list/c", "todo/b", "todo/a"]);
    let receipt = accepted(server.push(&mixed));
    assert_eq!((receipt.first.value(), receipt.last.value()), (3, 7));
    let versions: Vec<_> = receipt
        .versions
        .iter()
        .map(|v| (v.stream.as_str(), v.first.value(), v.last.value()))
        .collect();
    assert_eq!(
        versions,
        [("todo/b", 1, 2), ("todo/a", 3, 4), ("list/c", 1, 1)]
    );
    let events: Vec<u64> = server.log[1]
        .event_versions()
        .iter()
        .map(|version| version.value())
        .collect();
    assert_eq!(events, [1, 3, 1, 2, 4]);
}

#[test]
fn conditions_see_the_log_as_it_was_before_the_commit() {
    let first = expecting(
        commit(1, &["todo/a", "todo/a"]),
        "todo/a",
        Expected::NoStream,
    );
    accepted(Server::default().push(&first));
    let exists = expecting(commit(1, &["todo/a"]), "todo/a", Expected::Exists);
    assert!(matches!(
        Server::default().push(&exists),
        Admission::Conflict(_)
    ));
}

#[test]
fn a_closed_stream_takes_nothing_and_can_still_be_expected() {
    let mut server = Server::default();
    let before = commit(1, &["todo/a"]);
    let receipt = accepted(server.push(&before));
    server.tombstoned.insert(stream("todo/a"));
    // What arrived before stays what it was.
    assert_eq!(server.push(&before), Admission::Duplicate(receipt));
    let mut copied = commit(2, &["todo/a"]);
    copied.seq = before.seq;
    assert_eq!(refusal(server.push(&copied)), RejectionCode::SeqReused);
    // A stale expectation would be decided again, for nothing.
    let stale = expecting(
        commit(3, &["todo/b", "todo/a"]),
        "todo/a",
        Expected::NoStream,
    );
    assert_eq!(
        refusal(server.push(&stale)),
        RejectionCode::StreamTombstoned
    );
    let reader = expecting(commit(4, &["todo/b"]), "todo/a", Expected::Exists);
    accepted(server.push(&reader));
    let stale = expecting(commit(5, &["todo/b"]), "todo/a", Expected::NoStream);
    assert!(matches!(server.push(&stale), Admission::Conflict(_)));
}

#[test]
fn the_author_s_clock_decides_nothing() {
    for millis in [*limits::TIMES.start(), -1, *limits::TIMES.end()] {
        let mut server = Server::default();
        server.push(&commit(1, &["todo/a"]));
        let mut skewed = commit(2, &["todo/a"]);
        skewed.events[0].occurred_at = Timestamp::from_millis(millis);
        assert_eq!(accepted(server.push(&skewed)).first, Position::new(2));
    }
}

#[test]
fn the_rule_is_pure() {
    let new = expecting(commit(1, &["todo/a"]), "todo/a", Expected::Exists);
    let facts = Facts {
        head: Position::new(3),
        actor: None,
        known: None,
        seq_taken_by: None,
        tombstoned: Vec::new(),
    };
    assert_eq!(admit(&new, &facts, |_| None), admit(&new, &facts, |_| None));
}
