//! One stream: reading it, and appending one event to it.

use crate::harness::{Server, commit, uuid};
use serde_json::{Value, json};

const PATH: &str = "/v1/logs/todos/streams/todo%2F1";

fn append(server: &Server, headers: &[(&str, &str)], body: &Value) -> crate::harness::Answer {
    server.post_with(PATH, headers, body.to_string().as_bytes())
}

#[test]
fn appends_demand_the_version_they_name() {
    let server = Server::dev();
    let body = json!({ "type": "todo.done", "data": {} });
    append(&server, &[("if-match", "*")], &body).is_problem(412, "version_conflict");
    let first = append(&server, &[("if-none-match", "*")], &body);
    assert_eq!((first.status, first.header("etag")), (201, "\"1\""));
    assert_eq!(first.json()["verdict"], "accepted");
    let problem =
        append(&server, &[("if-none-match", "*")], &body).is_problem(412, "version_conflict");
    assert_eq!(
        (&problem["actual"], &problem["stream"]),
        (&json!(1), &json!("todo/1"))
    );
    let second = append(&server, &[("if-match", "\"1\"")], &body);
    assert_eq!((second.status, second.header("etag")), (201, "\"2\""));
    let stale = append(&server, &[("if-match", "\"1\"")], &body);
    stale.is_problem(412, "version_conflict");
    assert_eq!(stale.header("etag"), "\"2\"");
    assert_eq!(append(&server, &[], &body).header("etag"), "\"3\"");
    assert_eq!(
        append(&server, &[("if-match", "*")], &body).header("etag"),
        "\"4\""
    );
    for headers in [
        &[("if-match", "1")][..],
        &[("if-match", "\"-1\"")],
        &[("if-match", "W/\"4\"")],
        &[("if-none-match", "\"4\"")],
        &[("if-match", "\"4\""), ("if-none-match", "*")],
    ] {
        append(&server, headers, &body).is_problem(400, "bad_request");
    }
    assert_eq!(server.head(), 4);
}

#[test]
fn an_append_with_an_id_may_be_repeated() {
    let server = Server::dev();
    let id = uuid();
    let body = json!({ "type": "todo.done", "data": {}, "id": id });
    let first = append(&server, &[("if-none-match", "*")], &body);
    let again = append(&server, &[("if-none-match", "*")], &body);
    assert_eq!((first.status, again.status), (201, 200));
    assert_eq!(first.json()["positions"], again.json()["positions"]);
    assert_eq!(again.header("etag"), "\"1\"");
    let other = json!({ "type": "todo.done", "data": 2, "id": id });
    let problem = append(&server, &[("if-none-match", "*")], &other).is_problem(422, "rejected");
    assert_eq!(problem["rejection"], "attempt_mismatch");
    let no_time = json!({ "type": "t", "data": 2, "id": "00000000-0000-4000-8000-000000000000" });
    append(&server, &[], &no_time).is_problem(400, "bad_request");
    for wrong in [
        json!({ "type": "t" }),
        json!({ "type": "t", "data": 1, "version": 3 }),
        json!([]),
    ] {
        append(&server, &[], &wrong).is_problem(400, "bad_request");
    }
    assert_eq!(server.head(), 1);
}

#[test]
fn a_stream_is_read_either_way() {
    let server = Server::dev();
    let replica = uuid();
    let commits: Vec<Value> = (1..=6)
        .map(|seq| {
            commit(
                seq,
                if seq % 3 == 0 { "todo/2" } else { "todo/1" },
                &json!("any"),
            )
        })
        .collect();
    server.push(&replica, &commits);
    let versions = |query: &str| {
        let stream = server.get(&format!("{PATH}?{query}"));
        let stream = stream.json();
        assert_eq!(stream["version"], 4);
        let events = stream["events"].as_array().expect("events").iter();
        events
            .map(|event| event["version"].as_u64().expect("a version"))
            .collect::<Vec<_>>()
    };
    assert_eq!(versions(""), [1, 2, 3, 4]);
    assert_eq!(versions("from=3"), [3, 4]);
    assert_eq!(versions("limit=2"), [1, 2]);
    assert_eq!(versions("direction=backward"), [4, 3, 2, 1]);
    assert_eq!(versions("direction=backward&from=3&limit=2"), [3, 2]);
    assert_eq!(versions("from=9"), [0; 0]);
    let none = server.get("/v1/logs/todos/streams/todo/none");
    assert_eq!(
        (none.json()["version"].as_u64(), none.header("etag")),
        (Some(0), "\"0\"")
    );
    for query in ["from=0", "from=x", "limit=0", "direction=up"] {
        server
            .get(&format!("{PATH}?{query}"))
            .is_problem(400, "bad_request");
    }
    server
        .get("/v1/logs/todos/streams/nokey")
        .is_problem(400, "bad_request");
}
