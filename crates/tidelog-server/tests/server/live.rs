//! Connections that stay open, and how they end.

use crate::harness::{Server, agent, commit, uuid};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

pub(crate) type Lines = std::io::Lines<BufReader<ureq::BodyReader<'static>>>;

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
pub(crate) fn notice(lines: &mut Lines) -> Value {
    loop {
        let line = next_json(lines);
        if line != json!({}) {
            return line;
        }
    }
}

fn live(server: &Server, logs: &Value) -> Lines {
    ask_live(server, &json!({ "logs": logs }))
}

/// At the log's end, and everything that follows comes along.
pub(crate) fn live_with(server: &Server, after: u64, commits: &str) -> Lines {
    let logs = json!([{ "log": "todos", "cursor": after.to_string() }]);
    let mut lines = ask_live(server, &json!({ "logs": logs, "commits": commits }));
    assert_eq!(next_json(&mut lines), json!({}), "it stands");
    lines
}

fn ask_live(server: &Server, body: &Value) -> Lines {
    let request = ureq::http::Request::post(server.url("/v1/live"))
        .header("content-type", "application/json")
        .body(body.to_string());
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

/// What came between two positions, as a pull has it.
fn pulled(server: &Server, after: u64, accept: &str) -> Vec<u8> {
    let path = format!("/v1/logs/todos/commits?after={after}");
    server.get_with(&path, &[("accept", accept)]).body
}

#[test]
fn news_carry_the_commits_that_a_pull_would_bring() {
    let server = Server::dev();
    let mut json = live_with(&server, 0, "json");
    let mut frames = live_with(&server, 0, "frames");
    let mut heads = live(&server, &json!([{ "log": "todos", "cursor": "0" }]));
    let mut end = 0;
    for seq in 1..=5 {
        let sent = [
            commit(2 * seq - 1, "todo/1", &json!("any")),
            commit(2 * seq, "todo/1", &json!("any")),
        ];
        server.push("01900000-0000-7000-8000-0000000000aa", &sent);
        let page: Value =
            serde_json::from_slice(&pulled(&server, end, "application/json")).expect("a page");
        let told = notice(&mut json);
        assert_eq!(told["commits"], page["commits"]);
        assert_eq!(
            (&told["head"], &told["epoch"]),
            (&page["head"], &page["epoch"])
        );
        let told = notice(&mut frames);
        let bytes = STANDARD.decode(told["frames"].as_str().expect("frames"));
        let media_type = "application/vnd.tidelog.frames";
        assert_eq!(bytes.expect("base64"), pulled(&server, end, media_type));
        assert_eq!(told["commits"], Value::Null, "one or the other");
        let told = notice(&mut heads);
        assert_eq!(told["head"], page["head"]);
        assert_eq!(
            (&told["commits"], &told["frames"]),
            (&Value::Null, &Value::Null)
        );
        end = told["head"]["position"].as_u64().expect("a position");
    }
}

#[test]
fn news_carry_nothing_to_those_who_have_not_read_so_far_or_if_it_is_much() {
    let server = Server::dev();
    let replica = uuid();
    server.push(&replica, &[commit(1, "todo/1", &json!("any"))]);
    let mut behind = ask_live(
        &server,
        &json!({ "logs": [{ "log": "todos", "cursor": "0" }], "commits": "json" }),
    );
    let told = notice(&mut behind);
    assert_eq!(
        (&told["head"]["position"], &told["commits"]),
        (&json!(1), &Value::Null)
    );
    server.push(&replica, &[commit(2, "todo/1", &json!("any"))]);
    let told = notice(&mut behind);
    assert_eq!(
        told["commits"][0]["events"][0]["position"], 2,
        "from where it was told of"
    );
    let mut large = commit(3, "todo/1", &json!("any"));
    large["events"][0]["data"] = json!("x".repeat(100_000));
    server.push(&replica, &[large]);
    let told = notice(&mut behind);
    assert_eq!(
        (&told["head"]["position"], &told["commits"]),
        (&json!(3), &Value::Null)
    );
    server.push(&replica, &[commit(4, "todo/1", &json!("any"))]);
    assert_eq!(
        notice(&mut behind)["commits"][0]["events"][0]["position"],
        4
    );
}

/// Many listen while many write, one of them without reading: whoever reads what the lines carry, and pulls what they do
/// not, has everything without a hole.
#[test]
fn everybody_who_listens_hears_of_everything_in_order() {
    const WRITERS: u64 = 4;
    const EACH: u64 = 60;
    let server = Server::dev();
    let mut listeners: Vec<Lines> = (0..12).map(|_| live_with(&server, 0, "json")).collect();
    std::thread::scope(|scope| {
        for writer in 1..=WRITERS {
            let server = &server;
            scope.spawn(move || {
                let replica = uuid();
                for seq in 1..=EACH {
                    let mut one = commit(seq, &format!("todo/{writer}"), &json!("any"));
                    one["events"][0]["data"] = json!("x".repeat(4_000));
                    server.push(&replica, &[one]);
                }
            });
        }
        let idle = listeners.pop().expect("a listener");
        let read: Vec<_> = listeners
            .into_iter()
            .map(|lines| scope.spawn(|| read_all(&server, lines, WRITERS * EACH)))
            .collect();
        for reader in read {
            reader.join().expect("everything in order");
        }
        // This one begins to read when all is written.
        read_all(&server, idle, WRITERS * EACH);
    });
}

/// Reads up to a position, by the lines and, where they carry nothing, by a pull.
fn read_all(server: &Server, mut lines: Lines, end: u64) {
    let mut at = 0;
    while at < end {
        let mut page = notice(&mut lines);
        let head = page["head"]["position"].as_u64().expect("a position");
        if head <= at {
            // A pull brought more than the line before it had told of.
            continue;
        }
        if page["commits"] == Value::Null {
            page = serde_json::from_slice(&pulled(server, at, "application/json")).expect("a page");
        }
        for commit in page["commits"].as_array().expect("commits") {
            for event in commit["events"].as_array().expect("events") {
                let position = event["position"].as_u64().expect("a position");
                assert!(position <= at + 1, "a hole before {position}, at {at}");
                at = at.max(position);
            }
        }
    }
}

#[test]
fn live_refuses_what_it_cannot_follow() {
    let server = Server::dev();
    let ask = |body: Value| server.post("/v1/live", &body);
    ask(json!({ "logs": [{ "log": "none" }] })).is_problem(404, "unknown_log");
    ask(json!({ "logs": [{ "log": "todos", "cursor": "-1" }] })).is_problem(400, "invalid_cursor");
    ask(json!({ "logs": "todos" })).is_problem(400, "bad_request");
    ask(json!({ "logs": [{ "log": "todos" }], "commits": "xml" })).is_problem(400, "bad_request");
    // It would count for nobody, and so for no limit.
    ask(json!({ "logs": [] })).is_problem(400, "bad_request");
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
