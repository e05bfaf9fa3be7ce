//! Tokens that may read some kinds of streams only: what they are sent, and what they cannot find out.

use crate::harness::{Server, agent, commit, event, open_live, uuid};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use tempfile::TempDir;
use tidelog_core::ChainHash;
use tidelog_core::frame::{self, Step};

const ANN: &str = "ann-0123456789abcdef";
const GUEST: &str = "guest-0123456789abcdef";
const PATH: &str = "/v1/logs/todos/commits";

/// Ann may do anything; the guest may read todos, and read and append orders.
fn server() -> Server {
    let directory = TempDir::new().expect("a directory");
    let tokens = format!("todos {ANN} ann\ntodos {GUEST} guest append:order read:todo\n");
    std::fs::write(directory.path().join("tokens"), tokens).expect("a file");
    let server = Server::start(directory, &["--tokens", "tokens", "--log", "todos"]);
    let streams: [&[&str]; 5] = [
        &["todo/1"],
        &["secret/1"],
        &["todo/1", "secret/1"],
        &["order/1"],
        &["todo/2"],
    ];
    let mut commits: Vec<Value> = (1..)
        .zip(streams)
        .map(|(seq, streams)| {
            let events: Vec<Value> = streams
                .iter()
                .map(|stream| event(stream, &json!({ "of": stream })))
                .collect();
            json!({ "id": uuid(), "seq": seq, "events": events })
        })
        .collect();
    // The last one writes what the guest may read, and was decided on what they may not.
    commits[4]["conditions"] = json!([{ "stream": "secret/1", "expected": { "exact": 2 } }]);
    let body = json!({ "replica": uuid(), "commits": commits }).to_string();
    let answer = as_(&server, ANN, "POST", PATH, Some(&body));
    let results = answer.json();
    let results = results["results"].as_array().expect("results");
    assert!(results.iter().all(|one| one["verdict"] == "accepted"));
    server
}

fn as_(
    server: &Server,
    token: &str,
    method: &str,
    path: &str,
    body: Option<&str>,
) -> crate::harness::Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    match method {
        "GET" => server.get_with(path, &headers),
        _ => server.post_with(path, &headers, body.unwrap_or_default().as_bytes()),
    }
}

#[test]
fn a_pull_has_gaps_where_something_may_not_be_read() {
    let server = server();
    let answer = as_(&server, GUEST, "GET", PATH, None);
    assert!(!crate::harness::text(&answer.body).contains("secret"));
    let page = answer.json();
    let firsts: Vec<&Value> = page["commits"]
        .as_array()
        .expect("commits")
        .iter()
        .map(|commit| &commit["events"][0]["position"])
        .collect();
    assert_eq!(firsts, [1, 5]);
    let all = as_(&server, ANN, "GET", PATH, None).json();
    let chain_of = |commit: usize| all["commits"][commit]["chain"].clone();
    assert_eq!(
        page["gaps"],
        json!([
            { "from": 2, "to": 4, "reason": "filter", "chain": chain_of(2) },
            { "from": 6, "to": 6, "reason": "filter", "chain": chain_of(4) },
        ])
    );
    // Asking for it by name brings no more.
    let path = format!("{PATH}?kind=secret&stream=todo%2F2");
    let asked = as_(&server, GUEST, "GET", &path, None).json();
    assert_eq!(asked["commits"], json!([]));
    assert_eq!(asked["gaps"][0]["to"], 6);
}

#[test]
fn frames_leave_the_same_out_and_lead_to_the_head() {
    let server = server();
    let bearer = format!("Bearer {GUEST}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("accept", "application/vnd.tidelog.frames"),
    ];
    let page = server.get_with(PATH, &headers);
    let text = String::from_utf8_lossy(&page.body).into_owned();
    assert!(text.contains("order/1") && !text.contains("secret"));
    let (mut chain, mut position) = (ChainHash::default(), 0);
    for bytes in frame::split(&page.body).expect("whole frames") {
        for step in frame::decode(bytes).expect("a frame").steps() {
            assert_eq!(step.first().value(), position + 1);
            position = step.last().value();
            chain = step.chain_after(chain);
            if let Step::Commit(recorded) = step {
                assert!([1, 5].contains(&recorded.position.value()));
            }
        }
    }
    // What is encoded once for all is for those who may read all.
    assert_eq!(page.header("tidelog-segments"), "");
    let log = as_(&server, GUEST, "GET", "/v1/logs/todos", None).json();
    assert_eq!(log["segments"]["count"], 0);
    let epoch = log["epoch"].as_str().expect("an epoch");
    let segment = server.get_with(&format!("/v1/logs/todos/segments/{epoch}/1"), &headers);
    let problem = segment.is_problem(404, "unknown_segment");
    let detail = problem["detail"].as_str().expect("text");
    assert!(detail.contains("who may read all"), "{detail}");
    assert_eq!(page.header("tidelog-head"), position.to_string());
    assert_eq!(page.header("tidelog-chain"), chain.to_string());
}

#[test]
fn a_stream_that_may_not_be_read_is_answered_as_a_log_that_is_not_there() {
    let server = server();
    let append = json!({ "type": "t", "data": 1 }).to_string();
    let problem = |path: &str, body: Option<&str>| {
        let method = body.map_or("GET", |_| "POST");
        let mut problem = as_(&server, GUEST, method, path, body).is_problem(404, "unknown_log");
        for (field, log) in [("detail", "todos"), ("log", "todos")] {
            let text = problem[field].as_str().expect("text").replace("none", log);
            problem[field] = json!(text);
        }
        problem
    };
    for body in [None, Some(append.as_str())] {
        let missing = problem("/v1/logs/none/streams/todo/1", body);
        for stream in ["secret/1", "secret/2", "other/1"] {
            let path = format!("/v1/logs/todos/streams/{stream}");
            assert_eq!(problem(&path, body), missing);
        }
    }
    let stream = as_(&server, GUEST, "GET", "/v1/logs/todos/streams/todo/1", None);
    let stream = stream.json();
    assert_eq!(stream["version"], 2);
    assert_eq!(stream["events"][1]["data"]["of"], "todo/1");
    let path = "/v1/logs/todos/streams/todo/1";
    as_(&server, GUEST, "POST", path, Some(&append)).is_problem(403, "forbidden");
    let path = "/v1/logs/todos/streams/order/1";
    assert_eq!(as_(&server, GUEST, "POST", path, Some(&append)).status, 201);
}

#[test]
fn a_push_cannot_ask_how_far_a_stream_is_that_may_not_be_read() {
    let server = server();
    let push = |commits: &[Value]| {
        let body = json!({ "replica": uuid(), "commits": commits }).to_string();
        as_(&server, GUEST, "POST", PATH, Some(&body))
    };
    for (stream, expected) in [
        ("secret/1", json!({ "exact": 2 })),
        ("secret/1", json!({ "exact": 1 })),
        ("secret/none", json!("noStream")),
    ] {
        let mut asking = commit(1, "order/9", &json!("any"));
        asking["conditions"] = json!([{ "stream": stream, "expected": expected }]);
        let problem = push(&[commit(1, "order/9", &json!("any")), asking]);
        assert_eq!(problem.is_problem(403, "forbidden")["stream"], stream);
    }
    let answer = push(&[
        commit(1, "order/1", &json!({ "exact": 7 })),
        commit(2, "order/1", &json!({ "exact": 1 })),
    ]);
    let results = answer.json();
    assert_eq!(results["results"][0]["conflicts"][0]["stream"], "order/1");
    assert_eq!(results["results"][1]["verdict"], "accepted");
    assert_eq!(results["head"]["position"], 7, "nothing else was stored");
    push(&[commit(1, "todo/1", &json!("any"))]).is_problem(403, "forbidden");
}

#[test]
fn what_stays_open_shows_no_more() {
    let server = server();
    let bearer = format!("Bearer {GUEST}");
    let request = ureq::http::Request::get(server.url("/v1/logs/todos/live?after=0"))
        .header("authorization", &bearer)
        .body(String::new());
    let response = agent().run(request.expect("a request")).expect("an answer");
    let mut lines = BufReader::new(response.into_body().into_reader()).lines();
    let mut ids = Vec::new();
    while ids.last().is_none_or(|id| id != "5") {
        let line = lines.next().expect("a line").expect("text");
        assert!(!line.contains("secret"), "{line}");
        ids.extend(line.strip_prefix("id: ").map(str::to_owned));
    }
    assert_eq!(ids, ["1", "5"]);
    let live = json!({ "logs": [{ "log": "todos", "cursor": "0" }] }).to_string();
    let request = ureq::http::Request::post(server.url("/v1/live"))
        .header("content-type", "application/json")
        .header("authorization", &bearer)
        .body(live);
    let response = agent().run(request.expect("a request")).expect("an answer");
    let mut lines = BufReader::new(response.into_body().into_reader()).lines();
    let mut notice = String::from("{}");
    while notice == "{}" {
        notice = lines.next().expect("a line").expect("text");
    }
    let notice: Value = serde_json::from_str(&notice).expect("JSON");
    assert_eq!(notice["head"]["position"], 6);
    assert_eq!(notice.as_object().map(serde_json::Map::len), Some(3));
}

#[test]
fn a_token_that_is_taken_out_of_the_file_is_refused_and_what_it_opened_is_closed() {
    let server = server();
    let open = open_live(&server, GUEST);
    let tokens = format!("todos {ANN} ann\n");
    std::fs::write(server.directory.path().join("tokens"), tokens).expect("a file");
    for mut stream in open {
        let ended = std::io::copy(&mut stream, &mut std::io::sink());
        assert!(ended.is_ok(), "{ended:?}");
    }
    as_(&server, GUEST, "GET", PATH, None).is_problem(401, "unauthorized");
    assert_eq!(as_(&server, ANN, "GET", PATH, None).status, 200);
}
