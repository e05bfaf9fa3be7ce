//! Every verdict, and what makes retries safe.

use crate::harness::{Server, commit, event, run, send, text, uuid};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tidelog_core::{
    Attempt, Commit, Event, EventType, Local, Meta, Payload, Policy, SchemaVersion, Seq, StreamId,
    Timestamp, frame,
};

#[test]
fn an_accepted_commit_says_where_it_is() {
    let server = Server::dev();
    let (replica, id) = (uuid(), uuid());
    let events = [
        event("todo/1", &json!(1)),
        event("todo/2", &json!(2)),
        event("todo/1", &json!(3)),
    ];
    let commit = json!({ "id": id, "attempt": 4, "seq": 1, "events": events });
    let results = server.push(&replica, &[commit]);
    assert_eq!(
        results,
        [json!({
            "id": id, "attempt": 4, "verdict": "accepted", "acceptedAttempt": 4,
            "positions": { "first": 1, "last": 3 },
            "versions": [
                { "stream": "todo/1", "first": 1, "last": 2 },
                { "stream": "todo/2", "first": 1, "last": 1 },
            ],
        })]
    );
}

#[test]
fn a_push_holds_every_verdict_and_nothing_holds_up_what_is_unrelated() {
    let server = Server::dev();
    let replica = uuid();
    let first = commit(1, "todo/1", &json!("noStream"));
    assert_eq!(
        server.push(&replica, std::slice::from_ref(&first))[0]["verdict"],
        "accepted"
    );
    let mut other_bytes = first.clone();
    other_bytes["events"][0]["data"] = json!("changed");
    let mut later_attempt = other_bytes.clone();
    later_attempt["attempt"] = json!(2);
    let reused = commit(1, "todo/9", &json!("any"));
    let stale = commit(2, "todo/1", &json!("noStream"));
    let unknown = commit(
        3,
        "todo/1",
        &json!({ "exact": 1, "event": format!("{}/1/0", uuid()) }),
    );
    let own = format!("{}/1/0", first["id"].as_str().expect("an id"));
    let right = commit(4, "todo/1", &json!({ "exact": 1, "event": own }));
    let missing = commit(5, "todo/none", &json!("exists"));
    let empty = json!({ "id": uuid(), "seq": 6, "events": [] });
    let results = server.push(
        &replica,
        &[
            first,
            other_bytes,
            later_attempt,
            reused,
            stale,
            unknown,
            right,
            missing,
            empty,
        ],
    );
    let verdicts: Vec<String> = results
        .iter()
        .map(|result| match result["code"].as_str() {
            Some(code) => code.to_owned(),
            None => result["verdict"].as_str().expect("a verdict").to_owned(),
        })
        .collect();
    assert_eq!(
        verdicts,
        [
            "duplicate",
            "attempt_mismatch",
            "duplicate",
            "seq_reused",
            "conflict",
            "conflict",
            "accepted",
            "conflict",
            "invalid_commit"
        ]
    );
    assert_eq!(
        results[2]["acceptedAttempt"], 1,
        "the first accepted attempt stands"
    );
    assert_eq!(
        results[4]["conflicts"],
        json!([{ "checkIndex": 0, "stream": "todo/1", "expected": "noStream", "actual": 1 }])
    );
    assert_eq!(
        results[5]["conflicts"][0]["actual"], 1,
        "a stranger's event of the same version"
    );
    assert_eq!(server.head(), 2);
}

#[test]
fn a_retry_gets_the_receipt_of_the_first_time_also_after_a_restart() {
    let server = Server::dev();
    let (replica, commit) = (uuid(), commit(1, "todo/1", &json!("noStream")));
    let first = server
        .push(&replica, std::slice::from_ref(&commit))
        .remove(0);
    // Others write on; then the answer that was lost is asked for again.
    server.push(
        &uuid(),
        &[crate::harness::commit(1, "todo/1", &json!("any"))],
    );
    let retry = server
        .push(&replica, std::slice::from_ref(&commit))
        .remove(0);
    let directory = server.stop("KILL");
    let server = Server::start(directory, &["--dev"]);
    let after = server.push(&replica, &[commit]).remove(0);
    for again in [retry, after] {
        assert_eq!(again["verdict"], "duplicate");
        for field in ["id", "attempt", "acceptedAttempt", "positions", "versions"] {
            assert_eq!(again[field], first[field], "{field}");
        }
    }
    assert_eq!(server.head(), 2);
}

#[test]
fn of_64_writers_that_expect_the_same_version_one_is_accepted() {
    let server = Server::dev();
    let verdicts: Vec<Value> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..64)
            .map(|_| {
                scope.spawn(|| server.push(&uuid(), &[commit(1, "todo/1", &json!("noStream"))]))
            })
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().expect("a result")[0].clone())
            .collect()
    });
    let count = |verdict: &str| {
        verdicts
            .iter()
            .filter(|one| one["verdict"] == verdict)
            .count()
    };
    assert_eq!((count("accepted"), count("conflict")), (1, 63));
    assert_eq!(server.head(), 1);
}

#[test]
fn the_same_commit_a_hundred_times_at_once_is_stored_once() {
    let server = Server::dev();
    let (replica, commit) = (uuid(), commit(1, "todo/1", &json!("noStream")));
    let results: Vec<Value> = std::thread::scope(|scope| {
        let retries: Vec<_> = (0..100)
            .map(|_| scope.spawn(|| server.push(&replica, std::slice::from_ref(&commit))))
            .collect();
        retries
            .into_iter()
            .map(|retry| retry.join().expect("a result")[0].clone())
            .collect()
    });
    let receipts: BTreeSet<String> = results
        .iter()
        .map(|result| format!("{} {}", result["positions"], result["versions"]))
        .collect();
    assert_eq!(receipts.len(), 1);
    assert_eq!(
        results
            .iter()
            .filter(|result| result["verdict"] == "accepted")
            .count(),
        1
    );
    assert_eq!(server.head(), 1);
}

#[test]
fn a_replica_belongs_to_the_subject_of_its_first_commit() {
    let server = Server::dev();
    let replica = uuid();
    let push = |subject: &str, commit: Value| {
        let body = json!({ "replica": replica, "commits": [commit] }).to_string();
        let token = format!("Bearer {subject}");
        server.post_with(
            "/v1/logs/todos/commits",
            &[("authorization", &token)],
            body.as_bytes(),
        )
    };
    let first = commit(1, "todo/1", &json!("any"));
    assert_eq!(push("ann", first.clone()).status, 200);
    push("ben", commit(2, "todo/1", &json!("any"))).is_problem(403, "replica_bound");
    assert_eq!(server.head(), 1, "nothing of it is stored");
    // Somebody else's commit id, from a replica of one's own.
    let body = json!({ "replica": uuid(), "commits": [first] }).to_string();
    let headers = [("authorization", "Bearer ben")];
    let answer = server
        .post_with("/v1/logs/todos/commits", &headers, body.as_bytes())
        .json();
    assert_eq!(answer["results"][0]["code"], "id_taken");
    assert_eq!(push("ann", commit(2, "todo/1", &json!("any"))).status, 200);
}

#[test]
fn hostile_stream_ids_are_refused_or_kept_apart() {
    let server = Server::dev();
    let apart = [
        "todo/\u{e9}",
        "todo/e\u{301}",
        "todo/..",
        "todo/../x",
        "todo/\u{202e}x",
        "todo/😀\"'",
    ];
    let commits: Vec<Value> = (1..)
        .zip(apart)
        .map(|(seq, id)| commit(seq, id, &json!("noStream")))
        .collect();
    let results = server.push(&uuid(), &commits);
    assert!(
        results.iter().all(|result| result["verdict"] == "accepted"),
        "{results:?}"
    );
    for id in apart {
        let path: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let stream = server.get(&format!("/v1/logs/todos/streams/{path}")).json();
        assert_eq!(
            (&stream["stream"], &stream["version"]),
            (&json!(id), &json!(1))
        );
    }
    for id in ["todo/a\u{0}b", "todo", "/x", "to do/x", ""] {
        let body = json!({ "replica": uuid(), "commits": [commit(1, id, &json!("any"))] });
        server
            .post("/v1/logs/todos/commits", &body)
            .is_problem(400, "bad_request");
    }
}

#[test]
fn payloads_are_kept_byte_for_byte() {
    let server = Server::dev();
    for (seq, data) in (1..).zip([
        r#"{"big":9007199254740993,"huge":1e400,"f":1.0}"#,
        r#"{"b":1, "a":2,"b":3}"#,
        "\"\\u00e9\\ud83d\\ude00\"",
        "[1,\n  2]",
    ]) {
        let body = format!(
            r#"{{"replica":"{}","commits":[{{"id":"{}","seq":{seq},"events":[
               {{"stream":"todo/{seq}","type":"t","data":{data},"occurredAt":"2026-01-01T00:00:00Z"}}]}}]}}"#,
            "01900000-0000-7000-8000-000000000abc",
            uuid()
        );
        let answer = server.post_with("/v1/logs/todos/commits", &[], body.as_bytes());
        assert_eq!(answer.status, 200, "{}", text(&answer.body));
        let stream = server.get(&format!("/v1/logs/todos/streams/todo/{seq}"));
        let expected = format!(r#""data":{data},"#);
        assert!(
            text(&stream.body).contains(&expected),
            "{}",
            text(&stream.body)
        );
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = format!(
        r#"{{"replica":"{}","commits":[{{"id":"{}","seq":1,"events":[
           {{"stream":"todo/deep","type":"t","data":{deep},"occurredAt":"2026-01-01T00:00:00Z"}}]}}]}}"#,
        uuid(),
        uuid()
    );
    let answer = server
        .post_with("/v1/logs/todos/commits", &[], body.as_bytes())
        .json();
    assert_eq!(answer["results"][0]["code"], "invalid_payload");
}

fn local(seq: u64, replica: &str, data: &str) -> Local {
    let commit = Commit {
        id: uuid().parse().expect("an id"),
        attempt: Attempt::FIRST,
        replica: replica.parse().expect("an id"),
        seq: Seq::new(seq),
        conditions: vec![],
        events: vec![Event {
            stream: StreamId::new("todo/1").expect("a stream"),
            event_type: EventType::new("todo.added").expect("a type"),
            schema: SchemaVersion::FIRST,
            data: Payload::json(data),
            occurred_at: Timestamp::from_millis(0),
            tags: vec![],
            meta: Meta::default(),
        }],
    };
    Local {
        commit,
        command: None,
        policy: Policy::Rerun,
    }
}

#[test]
fn a_push_of_frames_is_decided_like_one_of_json() {
    let server = Server::dev();
    let replica = uuid();
    let locals = [
        local(1, &replica, "{\"a\": 1}"),
        local(2, &replica, "{not json"),
    ];
    let bytes = frame::encode_local(Seq::new(1), &locals);
    let headers = [
        ("content-type", "application/vnd.tidelog.frames"),
        ("tidelog-replica", replica.as_str()),
    ];
    let answer = server.post_with("/v1/logs/todos/commits", &headers, &bytes);
    assert_eq!(answer.header("tidelog-head"), "1");
    let results = &answer.json()["results"];
    assert_eq!(results[0]["verdict"], "accepted");
    assert_eq!(results[1]["code"], "invalid_payload");

    let mut broken = bytes.clone();
    *broken.last_mut().expect("a byte") ^= 1;
    for bytes in [&broken[..], &bytes[..bytes.len() - 1], b"nonsense"] {
        server
            .post_with("/v1/logs/todos/commits", &headers, bytes)
            .is_problem(400, "invalid_frame");
    }
    let stranger = uuid();
    let headers = [headers[0], ("tidelog-replica", stranger.as_str())];
    server
        .post_with("/v1/logs/todos/commits", &headers, &bytes)
        .is_problem(400, "bad_request");
    server
        .post_with("/v1/logs/todos/commits", &headers[..1], &bytes)
        .is_problem(400, "bad_request");
    assert_eq!(server.head(), 1);
}

#[test]
fn what_a_commit_does_not_have_or_only_the_server_may_say_is_refused() {
    let server = Server::dev();
    for field in [
        "position",
        "version",
        "recordedAt",
        "actor",
        "log",
        "anything",
    ] {
        let mut commit = commit(1, "todo/1", &json!("any"));
        commit["events"][0][field] = json!(1);
        let body = json!({ "replica": uuid(), "commits": [commit] });
        server
            .post("/v1/logs/todos/commits", &body)
            .is_problem(400, "bad_request");
    }
    let body =
        json!({ "replica": uuid(), "commits": [commit(1, "todo/1", &json!({ "exakt": 1 }))] });
    let problem = server
        .post("/v1/logs/todos/commits", &body)
        .is_problem(400, "bad_request");
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(r#"{"exact": 3}"#), "{detail}");
    let twice = format!(
        r#"{{"replica":"{0}","replica":"{0}","commits":[]}}"#,
        uuid()
    );
    server
        .post_with("/v1/logs/todos/commits", &[], twice.as_bytes())
        .is_problem(400, "bad_request");
    assert_eq!(server.head(), 0);
}

#[test]
fn a_push_with_the_cursor_of_another_history_stores_nothing() {
    let server = Server::dev();
    let push = |cursor: &str| {
        let commits = [commit(1, "todo/1", &json!("any"))];
        server.post(
            "/v1/logs/todos/commits",
            &json!({ "replica": uuid(), "cursor": cursor, "commits": commits }),
        )
    };
    let zeros = "0".repeat(64);
    push(&format!("{}:0:{zeros}", uuid())).is_problem(409, "cursor_mismatch");
    let epoch = server.get("/v1/logs/todos").json()["epoch"]
        .as_str()
        .expect("an epoch")
        .to_owned();
    push(&format!("{epoch}:7:{zeros}")).is_problem(409, "cursor_ahead");
    assert_eq!(server.head(), 0);
    assert_eq!(push(&format!("{epoch}:0:{zeros}")).status, 200);
}

#[test]
fn what_was_stored_before_a_shutdown_is_whole() {
    let server = Server::dev();
    server.push(
        &uuid(),
        &[
            commit(1, "todo/1", &json!("any")),
            commit(2, "todo/1", &json!("any")),
        ],
    );
    let url = server.url("/healthz");
    let directory = server.stop("TERM");
    assert!(send("GET", &url, &[], None).is_err(), "nobody listens");
    let verified = run(
        &["verify", "--log", "todos"],
        &directory.path().join("tidelog.db"),
    );
    assert!(verified.status.success(), "{}", text(&verified.stderr));
}
