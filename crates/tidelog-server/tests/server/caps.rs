//! One more than is allowed, and other bodies that are not taken.

use crate::harness::{Server, commit, event, uuid};
use serde_json::{Value, json};

const PATH: &str = "/v1/logs/todos/commits";
const BODY: usize = 8 * 1024 * 1024;

fn push(commits: &[Value]) -> Value {
    json!({ "replica": uuid(), "commits": commits })
}

#[test]
fn a_body_may_have_8_mib_and_not_one_byte_more() {
    let server = Server::dev();
    let body = push(&[commit(1, "todo/1", &json!("any"))]).to_string();
    let padded = |length: usize| format!("{body}{}", " ".repeat(length - body.len()));
    server
        .post_with(PATH, &[], padded(BODY + 1).as_bytes())
        .is_problem(413, "payload_too_large");
    assert_eq!(server.head(), 0);
    assert_eq!(
        server.post_with(PATH, &[], padded(BODY).as_bytes()).status,
        200
    );
}

#[test]
fn a_push_may_have_1000_commits_and_not_one_more() {
    let server = Server::dev();
    let commits: Vec<Value> = (1..=1_001)
        .map(|seq| commit(seq, "todo/1", &json!("any")))
        .collect();
    server
        .post(PATH, &push(&commits))
        .is_problem(413, "too_many_commits");
    assert_eq!(server.head(), 0);
    assert_eq!(server.post(PATH, &push(&commits[..1_000])).status, 200);
    assert_eq!(server.head(), 1_000);
}

#[test]
fn a_commit_over_a_cap_is_rejected_alone() {
    let server = Server::dev();
    let commit =
        |events: Vec<Value>, seq: u64| json!({ "id": uuid(), "seq": seq, "events": events });
    let mut tagged = event("todo/1", &json!(1));
    tagged["tags"] = json!((0..17).map(|n| format!("tag{n}")).collect::<Vec<_>>());
    let commits = [
        commit(vec![event("todo/1", &json!(1)); 1_001], 1),
        commit(vec![event("todo/1", &json!("x".repeat(1024 * 1024)))], 2),
        commit(vec![tagged], 3),
        commit(vec![event("todo/1", &json!(1)); 1_000], 4),
    ];
    let results = server.push(&uuid(), &commits);
    let verdicts: Vec<&str> = results
        .iter()
        .filter_map(|one| one["verdict"].as_str())
        .collect();
    assert_eq!(verdicts, ["rejected", "rejected", "rejected", "accepted"]);
    assert!(
        results[..3]
            .iter()
            .all(|one| one["code"] == "invalid_commit")
    );
}

#[test]
fn names_may_have_256_bytes_and_not_one_more() {
    let server = Server::dev();
    let stream = |bytes: usize| format!("todo/{}", "x".repeat(bytes - 5));
    let long = push(&[commit(1, &stream(257), &json!("any"))]);
    server.post(PATH, &long).is_problem(400, "bad_request");
    assert_eq!(
        server
            .post(PATH, &push(&[commit(1, &stream(256), &json!("any"))]))
            .status,
        200
    );
}

#[test]
fn bodies_of_other_kinds_are_not_taken() {
    let server = Server::dev();
    let body = push(&[commit(1, "todo/1", &json!("any"))]).to_string();
    let body = body.as_bytes();
    for headers in [
        &[("content-type", "text/plain")][..],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[
            ("content-type", "application/json"),
            ("content-encoding", "br"),
        ],
    ] {
        server
            .post_with(PATH, headers, body)
            .is_problem(415, "unsupported_media_type");
    }
    for wrong in ["", "{", "[]", "null", "{\"replica\":1}", "NaN"] {
        server
            .post_with(PATH, &[], wrong.as_bytes())
            .is_problem(400, "bad_request");
    }
    let deep = "[".repeat(100_000);
    server
        .post_with(PATH, &[], deep.as_bytes())
        .is_problem(400, "bad_request");
    let hidden = format!(r#"{{"replica":"{}","commits":[],"x":{deep}"#, uuid());
    server
        .post_with(PATH, &[], hidden.as_bytes())
        .is_problem(400, "bad_request");
    assert_eq!(server.head(), 0);
}

#[test]
fn paths_methods_and_clients_that_are_not_served() {
    let server = Server::dev();
    for path in ["/v1", "/v1/", "/v1/nothing", "/v2", "/"] {
        server.get(path).is_problem(404, "not_found");
    }
    server.get("/v1/logs/none").is_problem(404, "unknown_log");
    server.get("/v1/logs/..").is_problem(404, "unknown_log");
    server.get("/v1/logs/%ff").is_problem(400, "bad_request");
    server
        .get("/v1/logs/todos/streams/todo/%00")
        .is_problem(400, "bad_request");
    server.get("/v1/live").is_problem(405, "method_not_allowed");
    server
        .get_with("/v1/logs/todos", &[("tidelog-client", "0")])
        .is_problem(426, "client_too_old");
    assert_eq!(
        server
            .get_with("/v1/logs/todos", &[("tidelog-client", "1")])
            .status,
        200
    );
    for query in [
        "limit=0",
        "limit=x",
        "limit=%2B1",
        "wait=x",
        "wait=-1",
        "wait=01",
    ] {
        server
            .get(&format!("{PATH}?{query}"))
            .is_problem(400, "bad_request");
    }
    let described = server.get("/v1/logs/todos").json();
    assert_eq!(described["log"], "todos");
    assert_eq!(described["horizon"], 1);
    assert_eq!(described["minClient"], 1);
    assert_eq!(described["caps"]["bodyBytes"], BODY);
}
