//! Erasing over HTTP and from the command line: who may, what is told, and that nothing of it comes back.

use crate::harness::{Answer, Server, event, failure, open_live, output, text, uuid};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use tempfile::TempDir;
use tidelog_core::ChainHash;
use tidelog_core::frame::{self, Step};

const COMMITS: &str = "/v1/logs/todos/commits";
const ERASURES: &str = "/v1/logs/todos/erasures";

const ANN: &str = "ann-0123456789abcdef";
const OFFICER: &str = "officer-0123456789abcdef";
const BEN: &str = "ben-0123456789abcdef";

/// A server with two people in a log.
fn filled() -> Server {
    let server = Server::dev();
    fill(|body| server.post(COMMITS, body));
    server
}

fn fill(push: impl FnOnce(&Value) -> Answer) {
    let events = [
        event("person/1", &json!("the first secret")),
        event("person/2", &json!("somebody else")),
        event("person/1", &json!("the second secret")),
    ];
    let commits = [json!({ "id": uuid(), "seq": 1, "events": events })];
    let answer = push(&json!({ "replica": uuid(), "commits": commits })).json();
    assert_eq!(answer["results"][0]["verdict"], "accepted");
}

fn with(server: &Server, token: &str, path: &str, body: Option<&Value>) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    match body {
        None => server.get_with(path, &headers),
        Some(body) => server.post_with(path, &headers, body.to_string().as_bytes()),
    }
}

fn all(stream: &str) -> Value {
    json!({ "stream": stream, "versions": "all", "reason": "asked" })
}

#[test]
fn listeners_hear_of_an_erasure_and_no_answer_has_the_payload_any_more() {
    let server = filled();
    let [lines, events] = open_live(&server, "dev").map(|live| BufReader::new(live).lines());
    let answer = server.post(ERASURES, &all("person/1"));
    assert_eq!(answer.status, 201, "{}", text(&answer.body));
    let told = answer.json();
    assert_eq!(told["erasure"]["versions"], json!([[1, 2]]));
    assert_eq!(told["erasure"]["actor"], "dev");
    for (mut heard, says) in [(lines, "\"position\":4"), (events, "tidelog.redacted")] {
        heard
            .find(|line| line.as_ref().is_ok_and(|line| line.contains(says)))
            .expect("a line")
            .expect("it can be read");
    }
    for path in [
        COMMITS,
        "/v1/logs/todos/streams/person%2F1",
        "/v1/logs/todos/streams/person%2F1?direction=backward",
        ERASURES,
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, 200);
        assert!(!text(&answer.body).contains("secret"), "{path}");
    }
    let frames = [("accept", "application/vnd.tidelog.frames")];
    let page = server.get_with(COMMITS, &frames);
    assert!(!String::from_utf8_lossy(&page.body).contains("secret"));
    let mut chain = ChainHash::default();
    for bytes in frame::split(&page.body).expect("whole frames") {
        let frame = frame::decode(bytes).expect("a frame");
        assert_eq!(frame.chain_before, chain);
        chain = frame
            .steps()
            .fold(chain, |chain, step| step.chain_after(chain));
        assert!(frame.steps().all(|step| matches!(step, Step::Commit(_))));
    }
    assert_eq!(page.header("tidelog-chain"), chain.to_string());
    assert!(server.get(COMMITS).json()["commits"][0]["events"][1]["data"] == "somebody else");
}

/// Whoever may do everything else may not erase; whoever may erase one kind may not erase another.
#[test]
fn erasing_takes_a_right_of_its_own() {
    let directory = TempDir::new().expect("a directory");
    let tokens = format!(
        "todos {ANN} ann\ntodos {OFFICER} officer read:person erase:person\nother {BEN} ben append erase\n"
    );
    std::fs::write(directory.path().join("tokens"), tokens).expect("a file");
    let arguments = ["--tokens", "tokens", "--log", "todos", "--log", "other"];
    let server = Server::start(directory, &arguments);
    fill(|body| with(&server, ANN, COMMITS, Some(body)));
    let of = |token, body: &Value| with(&server, token, ERASURES, Some(body));
    of(ANN, &all("person/1")).is_problem(403, "forbidden");
    // A log that is not Ben's looks like one that is not there, and so does a stream that is not the officer's to see.
    let other = of(BEN, &all("person/1")).is_problem(404, "unknown_log");
    let none = with(
        &server,
        BEN,
        "/v1/logs/none/erasures",
        Some(&all("person/1")),
    );
    assert_eq!(none.is_problem(404, "unknown_log")["code"], other["code"]);
    of(OFFICER, &all("todo/1")).is_problem(404, "unknown_log");
    with(&server, BEN, ERASURES, None).is_problem(404, "unknown_log");
    let head =
        |token| with(&server, token, "/v1/logs/todos", None).json()["head"]["position"].clone();
    assert_eq!(head(ANN), 3, "nothing was stored");
    let erased = of(OFFICER, &all("person/1"));
    assert_eq!(erased.status, 201, "{}", text(&erased.body));
    assert_eq!(erased.json()["erasure"]["actor"], "officer");
    assert_eq!(head(ANN), 4);
    let listed = with(&server, ANN, ERASURES, None).json();
    assert_eq!(listed["erasures"][0], erased.json()["erasure"]);
    let append = json!({ "type": "person.moved", "data": 1 });
    let path = "/v1/logs/todos/streams/person%2F1";
    with(&server, OFFICER, path, Some(&append)).is_problem(403, "forbidden");
}

/// What may not be read makes no page shorter, and nothing tells that it is there.
#[test]
fn the_list_has_pages_of_what_the_caller_may_read() {
    let directory = TempDir::new().expect("a directory");
    let tokens = format!("todos {ANN} ann append erase\ntodos {BEN} ben read:open\n");
    std::fs::write(directory.path().join("tokens"), tokens).expect("a file");
    let server = Server::start(directory, &["--tokens", "tokens", "--log", "todos"]);
    let streams: Vec<String> = (0..7)
        .map(|number| format!("{}/{number}", ["open", "hidden"][number % 2]))
        .collect();
    let events: Vec<Value> = streams.iter().map(|name| event(name, &json!(1))).collect();
    let commits = [json!({ "id": uuid(), "seq": 1, "events": events })];
    let body = json!({ "replica": uuid(), "commits": commits });
    assert_eq!(with(&server, ANN, COMMITS, Some(&body)).status, 200);
    for name in &streams {
        assert_eq!(with(&server, ANN, ERASURES, Some(&all(name))).status, 201);
    }
    for (token, sizes) in [(ANN, vec![3, 3, 1]), (BEN, vec![3, 1])] {
        let (mut found, mut named) = (Vec::new(), Vec::new());
        let mut next = Some(String::new());
        while let Some(after) = next {
            let page = with(&server, token, &format!("{ERASURES}?limit=3{after}"), None).json();
            let listed = page["erasures"].as_array().expect("a list").clone();
            found.push(listed.len());
            let names = listed.iter().filter_map(|one| one["stream"].as_str());
            named.extend(names.map(str::to_owned));
            next = page["next"].as_str().map(|next| format!("&after={next}"));
        }
        assert_eq!(found, sizes);
        let is_seen = |name: &&String| token == ANN || name.starts_with("open");
        assert_eq!(
            named,
            streams.iter().filter(is_seen).cloned().collect::<Vec<_>>()
        );
    }
    let refused = with(&server, ANN, &format!("{ERASURES}?after=7"), None);
    refused.is_problem(400, "invalid_cursor");
    let refused = with(&server, ANN, &format!("{ERASURES}?limit=0"), None);
    refused.is_problem(400, "bad_request");
}

#[test]
fn a_client_s_own_erasure_is_refused_and_nothing_is_stored() {
    let server = filled();
    let mut own = event(
        "person/1",
        &json!({ "versions": [[1, 1]], "reason": "asked" }),
    );
    own["type"] = json!("tidelog.redacted");
    let commits = [json!({ "id": uuid(), "seq": 1, "events": [own] })];
    let results = server.push(&uuid(), &commits);
    assert_eq!(results[0]["code"], "invalid_commit");
    let append = json!({ "type": "tidelog.tombstoned", "data": { "reason": "asked" } });
    let answer = server.post("/v1/logs/todos/streams/person%2F1", &append);
    assert_eq!(
        answer.is_problem(422, "rejected")["rejection"],
        "invalid_commit"
    );
    assert_eq!(server.head(), 3);
}

#[test]
fn a_single_append_to_a_closed_stream_is_rejected() {
    let server = filled();
    let body = json!({ "stream": "person/1", "tombstone": true, "reason": "left" });
    assert_eq!(server.post(ERASURES, &body).status, 201);
    let append = json!({ "type": "person.moved", "data": 1 });
    let answer = server.post("/v1/logs/todos/streams/person%2F1", &append);
    assert_eq!(
        answer.is_problem(422, "rejected")["rejection"],
        "stream_tombstoned"
    );
    let read = server.get("/v1/logs/todos/streams/person%2F1").json();
    assert_eq!(
        read["events"][0]["data"], "the first secret",
        "closed, not erased"
    );
}

/// The command line: erases beside a running server, tells it once, lists it, exports it and verifies.
#[test]
fn commands_erase_list_export_and_verify() {
    let server = filled();
    let db = server.db();
    let reason = ["--reason", "asked by the person"];
    let run = |arguments: &[&str]| output(&[arguments, &reason].concat(), &db);
    let said = run(&[
        "redact",
        "todos",
        "person/1",
        "--versions",
        "1",
        "--as",
        "ann",
    ]);
    assert!(
        said.contains("person/1 payload erased (1), at position 4"),
        "{said}"
    );
    let said = run(&["tombstone", "todos", "person/1", "--redact"]);
    assert!(
        said.contains("person/1 payload erased (2), closed"),
        "{said}"
    );
    let said = run(&["redact", "todos", "person/1", "--all"]);
    assert!(said.contains("nothing left to do"), "{said}");
    let listed = output(&["erasures", "todos"], &db);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.contains("asked by the person  by ann"), "{listed}");
    let json = output(&["erasures", "todos", "--json"], &db);
    let last: Value = serde_json::from_str(json.lines().last().expect("a line")).expect("JSON");
    assert_eq!(
        (&last["versions"], &last["tombstoned"]),
        (&json!([[2, 2]]), &json!(true))
    );
    output(&["verify"], &db);
    let exported = output(&["export", "--log", "todos"], &db);
    assert!(!exported.contains("secret"), "{exported}");
    let first: Value =
        serde_json::from_str(exported.lines().next().expect("a line")).expect("JSON");
    assert!(
        first["erased"].is_string() && first.get("data").is_none(),
        "{first}"
    );
    let tail = ["tail", "--log", "todos", "--from", "1", "--no-follow"];
    let shown = output(&tail, &db);
    assert!(
        shown.contains("(erased)") && shown.contains("tidelog.tombstoned"),
        "{shown}"
    );
    // The server reads what the commands wrote.
    assert!(!text(&server.get(COMMITS).body).contains("secret"));
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("todos.ndjson");
    std::fs::write(&file, &exported).expect("a file");
    let path = file.to_str().expect("a path");
    let refused = failure(&["import", "--log", "again", path], &db, 1);
    assert!(refused.contains("backup"), "{refused}");
    for (arguments, says) in [
        (
            &["redact", "todos", "person/1", "--versions", "9"][..],
            "has versions 1 to 5",
        ),
        (
            &["redact", "todos", "person/9", "--all"],
            "no stream person/9",
        ),
        (&["redact", "none", "person/1", "--all"], "no log none"),
    ] {
        let said = failure(&[arguments, &reason].concat(), &db, 1);
        assert!(said.contains(says), "{said}");
    }
}

/// A backup from before an erasure is restored without what was erased since; one from behind it brings the erasure along.
#[test]
fn a_restored_backup_does_not_bring_back_what_was_erased() {
    let directory = TempDir::new().expect("a directory");
    let db = directory.path().join("a.db");
    output(&["import", "--log", "loans", "--generate", "300"], &db);
    let lines = output(&["export", "--log", "loans"], &db);
    let first: Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    let stream = first["stream"].as_str().expect("a stream");
    let before = directory.path().join("before");
    output(&["backup", "-o", shown(&before)], &db);
    let erase = [
        "tombstone",
        "loans",
        stream,
        "--redact",
        "--reason",
        "asked",
        "--as",
        "ann",
    ];
    output(&erase, &db);
    let behind = directory.path().join("behind");
    output(&["backup", "-o", shown(&behind)], &db);
    let erased = |db: &Path, log: &str| {
        let lines = output(&["export", "--log", log], db);
        let lines: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let of_stream = lines.iter().filter(|line| line["stream"] == stream);
        let (gone, there): (Vec<&Value>, Vec<&Value>) =
            of_stream.partition(|line| line["erased"].is_string());
        let own = |line: &&Value| {
            line["type"]
                .as_str()
                .is_some_and(|name| name.starts_with("tidelog."))
        };
        assert!(there.iter().all(own), "{there:?}");
        (gone.len(), there.len())
    };
    let (gone, _) = erased(&db, "loans");
    assert!(gone > 0);
    let said = output(
        &["restore", "--log", "loans", "--as", "older", shown(&before)],
        &db,
    );
    assert!(said.contains(&format!("{gone} payloads")), "{said}");
    assert_eq!(erased(&db, "older"), (gone, 2));
    assert!(output(&["erasures", "older"], &db).contains("by ann"));
    let closed = ["redact", "older", stream, "--all", "--reason", "again"];
    assert!(output(&closed, &db).contains("nothing left to do"));
    // Elsewhere nothing is known but what the backup says.
    let other = directory.path().join("b.db");
    output(&["restore", shown(&behind)], &other);
    assert_eq!(erased(&other, "loans"), (gone, 2));
    assert_eq!(
        output(&["erasures", "loans", "--json"], &db),
        output(&["erasures", "loans", "--json"], &other)
    );
    output(&["restore", "--as", "older", shown(&before)], &other);
    assert_eq!(erased(&other, "older"), (gone, 2));
    for db in [&db, &other] {
        output(&["verify"], db);
    }
}

fn shown(path: &Path) -> &str {
    path.to_str().expect("a path")
}
