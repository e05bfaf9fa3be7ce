//! Connections that stay open, and how they end.

use crate::harness::{Server, agent, commit, uuid};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

type Lines = std::io::Lines<BufReader<ureq::BodyReader<'static>>>;

fn open(request: ureq::http::Request<String>) -> Lines {
    let response = agent().run(request).expect("an answer");
    assert_eq!(response.status(), 200);
    BufReader::new(response.into_body().into_reader()).lines()
}

fn next_json(lines: &mut Lines) -> Value {
    let line = lines.next().expect("a line").expect("text");
    serde_json::from_str(&line).expect("JSON")
}

/// The next line that is no heartbeat.
fn notice(lines: &mut Lines) -> Value {
    loop {
        let line = next_json(lines);
        if line != json!({}) {
            return line;
        }
    }
}

fn live(server: &Server, logs: &Value) -> Lines {
    let request = ureq::http::Request::post(server.url("/v1/live"))
        .header("content-type", "application/json")
        .body(json!({ "logs": logs }).to_string());
    open(request.expect("a request"))
}

#[test]
fn a_live_connection_tells_when_a_head_is_elsewhere() {
    let server = Server::dev();
    server.push(&uuid(), &[commit(1, "todo/1", &json!("any"))]);
    let mut behind = live(&server, &json!([{ "log": "todos", "cursor": "0" }]));
    let told = notice(&mut behind);
    assert_eq!(
        (&told["log"], &told["head"]["position"]),
        (&json!("todos"), &json!(1))
    );
    let page = server.get("/v1/logs/todos").json();
    assert_eq!(
        (&told["epoch"], &told["head"]),
        (&page["epoch"], &page["head"])
    );
    let mut level = live(&server, &json!([{ "log": "todos", "cursor": "1" }]));
    assert_eq!(
        next_json(&mut level),
        json!({}),
        "it stands, and there is no news"
    );
    server.push(&uuid(), &[commit(1, "todo/1", &json!("any"))]);
    assert_eq!(notice(&mut behind)["head"]["position"], 2);
    assert_eq!(notice(&mut level)["head"]["position"], 2);
}

#[test]
fn live_refuses_what_it_cannot_follow() {
    let server = Server::dev();
    let ask = |body: Value| server.post("/v1/live", &body);
    ask(json!({ "logs": [{ "log": "none" }] })).is_problem(404, "unknown_log");
    ask(json!({ "logs": [{ "log": "todos", "cursor": "-1" }] })).is_problem(400, "invalid_cursor");
    ask(json!({ "logs": "todos" })).is_problem(400, "bad_request");
    ask(json!({ "logs": vec![json!({ "log": "todos" }); 65] })).is_problem(400, "bad_request");
}

#[test]
fn server_sent_events_carry_every_commit_once() {
    let server = Server::dev();
    let replica = uuid();
    server.push(
        &replica,
        &[
            commit(1, "todo/1", &json!("any")),
            commit(2, "todo/1", &json!("any")),
        ],
    );
    let follow = |last: Option<&str>| {
        let mut request = ureq::http::Request::get(server.url("/v1/logs/todos/live?after=0"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        open(request.body(String::new()).expect("a request"))
    };
    let mut fresh = follow(None);
    let mut resumed = follow(Some("2"));
    server.push(&replica, &[commit(3, "todo/1", &json!("any"))]);
    let ids = |lines: &mut Lines, count: usize| -> Vec<(String, u64)> {
        let mut ids = Vec::new();
        let mut id = String::new();
        while ids.len() < count {
            let line = lines.next().expect("a line").expect("text");
            if let Some(text) = line.strip_prefix("id: ") {
                id = text.to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                let commit: Value = serde_json::from_str(data).expect("JSON");
                let position = commit["events"][0]["position"]
                    .as_u64()
                    .expect("a position");
                ids.push((id.clone(), position));
            }
        }
        ids
    };
    let all = [
        ("1".to_owned(), 1),
        ("2".to_owned(), 2),
        ("3".to_owned(), 3),
    ];
    assert_eq!(ids(&mut fresh, 3), all);
    assert_eq!(ids(&mut resumed, 1), all[2..]);
    server
        .get("/v1/logs/todos/live?after=99")
        .is_problem(409, "cursor_ahead");
}

#[test]
fn a_shutdown_ends_everything_that_waits_and_the_process() {
    let mut server = Server::dev();
    let mut lines = live(&server, &json!([{ "log": "todos" }]));
    assert_eq!(next_json(&mut lines), json!({}));
    // Two requests in one write: when the first is answered, the second, which waits, has been received.
    let mut waiting =
        TcpStream::connect(server.base.trim_start_matches("http://")).expect("a connection");
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    let both = request("/healthz") + &request("/v1/logs/todos/commits?wait=30");
    waiting.write_all(both.as_bytes()).expect("sent");
    let mut answers = BufReader::new(waiting);
    let mut line = String::new();
    while line != "ok\n" {
        line.clear();
        assert!(
            answers.read_line(&mut line).expect("an answer") > 0,
            "closed early"
        );
    }
    server.signal("TERM");
    let mut rest = String::new();
    answers.read_to_string(&mut rest).expect("an answer");
    assert!(
        rest.starts_with("HTTP/1.1 200") && rest.contains("\"commits\":[]"),
        "{rest}"
    );
    for line in lines {
        assert_eq!(line.expect("a clean end"), "{}");
    }
    assert!(server.wait().success());
}
