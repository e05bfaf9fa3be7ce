//! Payloads that a server checks by JSON Schema.

use crate::harness::{BIN, Server, text, uuid};
use serde_json::{Value, json};
use std::process::Command;
use tempfile::TempDir;

const ADDED: &str = r##"{
    "type": "object", "additionalProperties": false, "required": ["title"],
    "properties": { "title": { "type": "string", "minLength": 1 }, "tags": { "type": "array", "items": { "$ref": "#/$defs/tag" } } },
    "$defs": { "tag": { "type": "string" } }
}"##;

fn commit(id: &str, seq: u64, events: &[Value]) -> Value {
    json!({ "id": id, "seq": seq, "events": events })
}

fn event(event_type: &str, schema: u32, data: &Value) -> Value {
    json!({
        "stream": "todo/1", "type": event_type, "schema": schema, "data": data,
        "occurredAt": "2026-01-01T00:00:00Z",
    })
}

fn added(data: &Value) -> Value {
    event("todo.added", 1, data)
}

fn serve(directory: TempDir, more: &[&str]) -> Server {
    let mut arguments = vec!["--dev", "--log", "todos"];
    arguments.extend(more);
    Server::start(directory, &arguments)
}

fn with_schemas() -> TempDir {
    let directory = TempDir::new().expect("a directory");
    let folder = directory.path().join("schemas");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("todo.added.1.json"), ADDED).expect("a file");
    std::fs::write(folder.join("todo.added.2.json"), "true").expect("a file");
    std::fs::write(folder.join("README"), "not a schema").expect("a file");
    directory
}

#[test]
fn a_commit_with_a_wrong_payload_is_refused_whole_and_says_where() {
    let server = serve(with_schemas(), &["--schemas", "schemas"]);
    let good = added(&json!({ "title": "Milk" }));
    let bad = added(&json!({ "title": "Milk", "tags": ["a", 7] }));
    let (first, second) = (uuid(), uuid());
    let commits = [
        commit(&first, 1, &[good.clone(), bad]),
        commit(&second, 2, &[good]),
        commit(&uuid(), 3, &[added(&json!({ "title": "" }))]),
        commit(&uuid(), 4, &[added(&json!("Milk"))]),
        commit(
            &uuid(),
            5,
            &[
                event("todo.added", 2, &json!(1)),
                event("else", 1, &json!(1)),
            ],
        ),
    ];
    let results = server.push(&uuid(), &commits);
    let verdicts: Vec<&str> = results
        .iter()
        .filter_map(|one| one["verdict"].as_str())
        .collect();
    assert_eq!(
        verdicts,
        ["rejected", "accepted", "rejected", "rejected", "accepted"]
    );
    for (index, says) in [
        (0, "event 1 (todo.added, schema 1) is refused at /tags/1: "),
        (2, "event 0 (todo.added, schema 1) is refused at /title: "),
        (3, "event 0 (todo.added, schema 1) is refused at its root: "),
    ] {
        assert_eq!(results[index]["code"], "invalid_payload");
        let message = results[index]["message"].as_str().expect("text");
        assert!(message.contains(says), "{message}");
    }
    assert_eq!(server.head(), 3);
    // One event from any client is looked at, too.
    let body = json!({ "type": "todo.added", "data": { "name": "Milk" } });
    let problem = server
        .post("/v1/logs/todos/streams/todo/2", &body)
        .is_problem(422, "rejected");
    assert_eq!(problem["rejection"], "invalid_payload");
}

#[test]
fn what_was_stored_before_it_was_forbidden_still_gets_its_receipt() {
    let server = serve(with_schemas(), &[]);
    let (replica, id, other) = (uuid(), uuid(), uuid());
    let bad = [added(&json!({ "name": "Milk" }))];
    let first = server.push(&replica, &[commit(&id, 1, &bad)]);
    assert_eq!(first[0]["verdict"], "accepted");
    let directory = server.stop("TERM");
    let server = serve(directory, &["--schemas", "schemas"]);
    let again = server.push(&replica, &[commit(&id, 1, &bad), commit(&other, 2, &bad)]);
    assert_eq!(again[0]["verdict"], "duplicate");
    assert_eq!(again[0]["positions"], first[0]["positions"]);
    assert_eq!(again[1]["code"], "invalid_payload");
    // The order of the verdicts is the protocol's: a copied device, then the payload, then conflicts.
    let mut late = commit(&uuid(), 3, &bad);
    late["conditions"] = json!([{ "stream": "todo/1", "expected": "noStream" }]);
    let taken = commit(&uuid(), 1, &bad);
    let results = server.push(&replica, &[late, taken]);
    assert_eq!(results[0]["code"], "invalid_payload");
    assert_eq!(results[1]["code"], "seq_reused");
}

#[test]
fn strict_schemas_refuse_what_has_none() {
    let directory = with_schemas();
    let all = json!({ "todo.added": { "1": serde_json::from_str::<Value>(ADDED).expect("JSON") } });
    std::fs::write(directory.path().join("all.json"), all.to_string()).expect("a file");
    let server = serve(directory, &["--schemas", "all.json", "--schemas-strict"]);
    let results = server.push(
        &uuid(),
        &[
            commit(&uuid(), 1, &[added(&json!({ "title": "Milk" }))]),
            commit(
                &uuid(),
                2,
                &[event("todo.added", 2, &json!({ "title": "Milk" }))],
            ),
            commit(&uuid(), 3, &[event("else", 1, &json!(1))]),
        ],
    );
    assert_eq!(results[0]["verdict"], "accepted");
    for result in &results[1..] {
        assert_eq!(result["code"], "invalid_payload");
        let message = result["message"].as_str().expect("text");
        assert!(
            message.ends_with("this server has no schema for it"),
            "{message}"
        );
    }
}

#[test]
fn schemas_that_cannot_be_used_are_refused_by_name_and_nothing_is_fetched() {
    let directory = TempDir::new().expect("a directory");
    let bait = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    bait.set_nonblocking(true).expect("a socket");
    let elsewhere = format!(
        r#"{{"$ref": "http://{}/schema"}}"#,
        bait.local_addr().expect("an address")
    );
    for (name, content, says) in [
        ("a.1.json", "{", "this is not JSON"),
        ("a.0.json", "true", "no version from 1"),
        ("a.x.json", "true", "no version from 1"),
        ("a.json", "true", "the name is not"),
        (
            "a.1.json",
            r#"{"type": "text"}"#,
            "the schema of a, version 1",
        ),
        ("a.1.json", elsewhere.as_str(), "the schema of a, version 1"),
        (
            "a.1.json",
            r#"{"$ref": "file:///etc/hostname"}"#,
            "the schema of a, version 1",
        ),
        ("a.txt", "true", "holds no schema"),
    ] {
        let folder = directory.path().join("schemas");
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::write(folder.join(name), content).expect("a file");
        let output = Command::new(BIN)
            .args(["serve", "--dev", "--db", "x.db", "--schemas", "schemas"])
            .current_dir(directory.path())
            .output()
            .expect("it runs");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(says), "{said:?} should say {says:?}");
        std::fs::remove_dir_all(&folder).expect("removed");
    }
    assert!(bait.accept().is_err(), "the server called {elsewhere}");
}
