//! Answers of the protocol have exactly the agreed JSON shapes, in both directions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use common::{commit_id, strategy, stream};
use proptest::prelude::*;
use serde_json::{Value, json};
use tidelog_core::authority::{Admission, Receipt, Rejection, RejectionCode};
use tidelog_core::condition::Conflict;
use tidelog_core::protocol::{CommitResult, LogHead, PushResponse, Verdict};
use tidelog_core::*;

fn receipt() -> Receipt {
    Receipt {
        attempt: Attempt::new(2),
        first: Position::new(8),
        last: Position::new(9),
        versions: vec![StreamVersions {
            stream: stream("todo/a"),
            first: Version::new(3),
            last: Version::new(4),
        }],
    }
}

/// An admission, and the JSON that a client reads of it besides `id` and `attempt`.
fn shapes() -> Vec<(Admission, Value)> {
    let landed = |verdict: &str| {
        json!({
            "verdict": verdict, "acceptedAttempt": 2, "positions": {"first": 8, "last": 9},
            "versions": [{"stream": "todo/a", "first": 3, "last": 4}],
        })
    };
    let event = EventId {
        commit: commit_id(5),
        attempt: Attempt::FIRST,
        index: 2,
    };
    let conflict = |check_index, expected, actual| Conflict {
        check_index,
        stream: stream("todo/a"),
        expected,
        actual: Version::new(actual),
    };
    let exact = |event| Expected::Exact {
        exact: Version::new(3),
        event,
    };
    let mut shapes = vec![
        (Admission::Accept(receipt()), landed("accepted")),
        (Admission::Duplicate(receipt()), landed("duplicate")),
        (
            Admission::Conflict(vec![
                conflict(0, Expected::NoStream, 4),
                conflict(2, Expected::Exists, 0),
                conflict(3, exact(None), 4),
                conflict(4, exact(Some(event)), 3),
            ]),
            json!({"verdict": "conflict", "conflicts": [
                {"checkIndex": 0, "stream": "todo/a", "expected": "noStream", "actual": 4},
                {"checkIndex": 2, "stream": "todo/a", "expected": "exists", "actual": 0},
                {"checkIndex": 3, "stream": "todo/a", "expected": {"exact": 3}, "actual": 4},
                {"checkIndex": 4, "stream": "todo/a",
                 "expected": {"exact": 3, "event": format!("{}/1/2", commit_id(5))}, "actual": 3},
            ]}),
        ),
    ];
    for (code, text) in [
        (RejectionCode::InvalidCommit, "invalid_commit"),
        (RejectionCode::AttemptMismatch, "attempt_mismatch"),
        (RejectionCode::IdTaken, "id_taken"),
        (RejectionCode::SeqReused, "seq_reused"),
        (RejectionCode::InvalidPayload, "invalid_payload"),
        (RejectionCode::StreamTombstoned, "stream_tombstoned"),
        (RejectionCode::Forbidden, "forbidden"),
    ] {
        shapes.push((
            Admission::Reject(Rejection {
                code,
                message: "why".into(),
            }),
            json!({"verdict": "rejected", "code": text, "message": "why"}),
        ));
    }
    shapes
}

#[test]
fn verdicts_have_the_agreed_shapes() {
    for (admission, mut shape) in shapes() {
        shape["id"] = json!(commit_id(1));
        shape["attempt"] = json!(3);
        let result = CommitResult {
            id: commit_id(1),
            attempt: Attempt::new(3),
            verdict: admission.into(),
        };
        assert_eq!(serde_json::to_value(&result).unwrap(), shape);
        let text = serde_json::to_string(&result).unwrap();
        assert_eq!(serde_json::from_str::<CommitResult>(&text).unwrap(), result);
        assert_eq!(
            serde_json::from_value::<CommitResult>(shape).unwrap(),
            result
        );
    }
}

#[test]
fn a_push_response_has_the_agreed_shape() {
    let response = PushResponse {
        epoch: Epoch::from_bytes([0xe0; 16]),
        head: LogHead {
            position: Position::new(9),
            chain: ChainHash::from_bytes([0xab; 32]),
        },
        results: vec![],
    };
    let shape = json!({
        "epoch": "e0e0e0e0-e0e0-e0e0-e0e0-e0e0e0e0e0e0",
        "head": {"position": 9, "chain": "ab".repeat(32)},
        "results": [],
    });
    assert_eq!(serde_json::to_value(&response).unwrap(), shape);
    assert_eq!(
        serde_json::from_value::<PushResponse>(shape).unwrap(),
        response
    );
}

#[test]
fn an_answer_that_is_not_one_is_refused() {
    for text in [
        "{}",
        "[]",
        "null",
        "<html>sign in</html>",
        r#"{"epoch":"e0e0e0e0-e0e0-e0e0-e0e0-e0e0e0e0e0e0","head":{"position":9},"results":[]}"#,
    ] {
        assert!(
            serde_json::from_str::<PushResponse>(text).is_err(),
            "{text}"
        );
    }
    let unheard = json!({"id": commit_id(1), "attempt": 1, "verdict": "maybe"});
    assert!(serde_json::from_value::<CommitResult>(unheard).is_err());
}

#[test]
fn a_newer_server_may_say_more() {
    let more = json!({"id": commit_id(1), "attempt": 1, "verdict": "conflict", "conflicts": [], "hint": 1});
    let result: CommitResult = serde_json::from_value(more).unwrap();
    assert_eq!(result.verdict, Verdict::Conflict { conflicts: vec![] });
}

proptest! {
    #[test]
    fn expectations_and_cursors_come_back(condition in strategy::condition(), cursor in strategy::cursor()) {
        let text = serde_json::to_string(&condition).unwrap();
        prop_assert_eq!(serde_json::from_str::<Condition>(&text).unwrap(), condition);
        let text = serde_json::to_string(&cursor).unwrap();
        prop_assert_eq!(serde_json::from_str::<Cursor>(&text).unwrap(), cursor);
    }
}
