//! What whoever runs a server sees of it, and how it ends.

use crate::harness::{Answer, BIN, Server, agent, commit, event, name_database, send, text, uuid};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATH: &str = "/v1/logs/todos/commits";
/// Only how long a test that fails takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn serve(config: &str, arguments: &[&str]) -> Server {
    let directory = TempDir::new().expect("a directory");
    std::fs::write(directory.path().join("tidelog.toml"), config).expect("a file");
    let all = ["--config", "tidelog.toml"];
    Server::start(directory, &[&all[..], arguments].concat())
}

fn written(server: &Server) -> String {
    std::fs::read_to_string(server.directory.path().join("stderr")).expect("a log")
}

fn live(server: &Server, token: &str) -> ureq::http::Response<ureq::Body> {
    let request = ureq::http::Request::post(server.url("/v1/live"))
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {token}"))
        .body(json!({ "logs": [{ "log": "todos" }] }).to_string());
    agent().run(request.expect("a request")).expect("an answer")
}

#[test]
fn a_file_says_what_options_say_and_options_go_before_it() {
    let server = serve("dev = true\nlog = ['todos', 'news']\n", &["--log", "other"]);
    assert_eq!(server.get("/v1/logs/other").status, 200);
    server.get("/v1/logs/todos").is_problem(404, "unknown_log");
    let server = serve("dev = true\nlog = ['todos', 'news']\n", &[]);
    assert_eq!(server.get("/v1/logs/news").status, 200);
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("tidelog.toml");
    for (config, variable, says) in [
        (
            "dev = true\nlitsen = '127.0.0.1:0'\n",
            "",
            "the nearest one is `listen`",
        ),
        ("dev = true\nlisten = 'here'\n", "", "invalid value 'here'"),
        (
            "dev = true\nlisten = '127.0.0.1:0'\n",
            "here",
            "invalid value 'here'",
        ),
        ("dev = true\ntokens = 'tokens'\n", "", "cannot be used with"),
        ("schemas-strict = true\n", "", "--schemas"),
    ] {
        std::fs::write(&path, config).expect("a file");
        let mut command = Command::new(BIN);
        command
            .args(["serve", "--db"])
            .arg(directory.path().join("x.db"))
            .arg("--config")
            .arg(&path);
        if !variable.is_empty() {
            command.env("TIDELOG_LISTEN", variable);
        }
        let output = command.output().expect("it runs");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(says), "{said:?} should say {says:?}");
    }
}

#[test]
fn a_switch_in_the_environment_is_said_as_people_say_it() {
    for yes in ["1", "true", "yes", "on"] {
        let directory = TempDir::new().expect("a directory");
        let mut command = Command::new(BIN);
        command
            .args(["serve", "--db"])
            .arg(directory.path().join("x.db"))
            .env("TIDELOG_DEV", yes);
        let server = Server::spawn(command, directory, &["--log", "todos"]);
        let answer = server.get("/v1/logs/todos");
        assert_eq!(answer.status, 200, "without a token, with {yes}");
    }
    let mut command = Command::new(BIN);
    command.args(["serve", "--db", "x.db"]);
    let output = command.env("TIDELOG_DEV", "maybe").output();
    let output = output.expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("invalid value 'maybe'"), "{said}");
}

fn metrics(server: &Server) -> String {
    let address = wait_for("the address of the metrics", || {
        let log = written(server);
        let line = log
            .lines()
            .find(|line| line.contains("metrics are served"))?;
        let address = line.split("address=").nth(1)?;
        Some(address.split_whitespace().next()?.to_owned())
    });
    let answer = send("GET", &format!("http://{address}/metrics"), &[], None);
    let answer: Answer = answer.expect("an answer");
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    text(&answer.body)
}

fn value(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in {metrics}"));
    line.trim().parse().expect("a number")
}

#[test]
fn metrics_count_what_happened_and_are_not_for_callers() {
    let server = serve(
        "dev = true\nlog = ['todos']\nmetrics-listen = '127.0.0.1:0'\n",
        &[],
    );
    let before = metrics(&server);
    assert_eq!(value(&before, "tidelog_events_appended_total"), 0.0);
    assert!(before.contains(concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"} 1")));
    let first = commit(1, "todo/1", &json!("noStream"));
    let many = json!({ "id": uuid(), "seq": 4, "events": vec![event("todo/2", &json!(1)); 3] });
    server.push(
        &uuid(),
        &[
            first.clone(),
            first,
            commit(2, "todo/1", &json!("noStream")),
            commit(1, "todo/1", &json!("any")),
            many,
        ],
    );
    server.get("/v1/logs/none").is_problem(404, "unknown_log");
    let open = live(&server, "ann");
    let after = wait_for("the live connection", || {
        let text = metrics(&server);
        (value(&text, "tidelog_live_connections") == 1.0).then_some(text)
    });
    assert_eq!(value(&after, "tidelog_events_appended_total"), 4.0);
    for (verdict, count) in [
        ("accepted", 2.0),
        ("duplicate", 1.0),
        ("conflict", 1.0),
        ("rejected", 1.0),
    ] {
        let name = format!("tidelog_commits_total{{verdict=\"{verdict}\"}}");
        assert_eq!(value(&after, &name), count, "{verdict}");
    }
    let pushes = "tidelog_http_request_seconds_count{method=\"POST\",route=\"/v1/logs/{log}/commits\",status=\"200\"}";
    assert_eq!(value(&after, pushes), 1.0);
    let missing = "tidelog_http_request_seconds_count{method=\"GET\",route=\"/v1/logs/{log}\",status=\"404\"}";
    assert_eq!(value(&after, missing), 1.0);
    assert_eq!(value(&after, "tidelog_store_groups_total"), 1.0);
    assert_eq!(value(&after, "tidelog_store_grouped_pushes_total"), 1.0);
    assert_eq!(value(&after, "tidelog_store_queue"), 0.0);
    drop(open);
    wait_for("the end of the live connection", || {
        // It shows at the next sign of life, or at the next news.
        server.push(&uuid(), &[commit(1, "todo/1", &json!("any"))]);
        (value(&metrics(&server), "tidelog_live_connections") == 0.0).then_some(())
    });
    server.get("/metrics").is_problem(404, "not_found");
}

#[test]
fn lines_of_json_name_the_request_and_nothing_that_somebody_sent() {
    let directory = TempDir::new().expect("a directory");
    let token = "ann-0123456789abcdef";
    let tokens = format!("todos {token} ann\n");
    std::fs::write(directory.path().join("tokens"), tokens).expect("a file");
    let arguments = [
        "--tokens",
        "tokens",
        "--log",
        "todos",
        "--log-format",
        "json",
    ];
    let server = Server::start(directory, &arguments);
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let (id, replica) = (uuid(), uuid());
    let secret = "hunter2-in-a-payload";
    let stream = "todo/a-stream-of-ann";
    let commits = json!([{ "id": id, "seq": 1, "events": [event(stream, &json!(secret))] }]);
    let push = json!({ "replica": replica, "commits": commits }).to_string();
    let pushed = server.post_with(PATH, &headers, push.as_bytes());
    assert_eq!(pushed.status, 200);
    let number = pushed.header("x-request-id").to_owned();
    assert_eq!(number.len(), 16);
    let one = json!({ "type": "t", "data": secret, "id": uuid() }).to_string();
    server.post_with(
        &format!("/v1/logs/todos/streams/{stream}"),
        &headers,
        one.as_bytes(),
    );
    for path in [
        "/v1/logs/todos".to_owned(),
        format!("{PATH}?stream={}&after=0", stream.replace('/', "%2F")),
        format!("{PATH}?after=nonsense-{secret}"),
        format!("/v1/logs/todos/streams/{stream}?from=1"),
        format!("/v1/logs/{secret}"),
        format!("/{secret}"),
    ] {
        server.get_with(&path, &headers);
        server.get_with(&path, &[("authorization", "Bearer wrong-0123456789abcdef")]);
    }
    server.post_with(
        PATH,
        &headers,
        format!("{{\"replica\":\"{secret}\"}}").as_bytes(),
    );
    drop(live(&server, token));
    let directory = server.stop("TERM");
    let log = std::fs::read_to_string(directory.path().join("stderr")).expect("a log");
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let about = lines.iter().find(|line| line["span"]["id"] == *number);
    let about = about.unwrap_or_else(|| panic!("no line about {number} in {log}"));
    assert_eq!(about["route"], "/v1/logs/{log}/commits");
    assert_eq!(about["status"], 200);
    assert!(lines.iter().any(|line| line["message"] == "shutting down"));
    for hidden in [
        token,
        "wrong-0123456789abcdef",
        secret,
        "a-stream-of-ann",
        id.as_str(),
        replica.as_str(),
    ] {
        assert!(!log.contains(hidden), "{hidden} is in {log}");
    }
}

#[test]
fn before_it_ends_it_says_that_it_is_not_ready_and_serves_on() {
    let mut server = serve("dev = true\nlog = ['todos']\ndrain-delay = 600\n", &[]);
    assert_eq!(server.get("/readyz").status, 200);
    let open = live(&server, "ann");
    server.signal("TERM");
    let answer = wait_for("a server that is not ready", || {
        Some(server.get("/readyz")).filter(|answer| answer.status != 200)
    });
    answer.is_problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(server.get("/healthz").status, 200);
    let pushed = server.push(&uuid(), &[commit(1, "todo/1", &json!("any"))]);
    assert_eq!(pushed[0]["verdict"], "accepted");
    let mut lines = BufReader::new(open.into_body().into_reader()).lines();
    let told = lines.find(|line| {
        line.as_ref()
            .is_ok_and(|line| line.contains("\"position\":1"))
    });
    assert!(told.is_some(), "live connections go on");
    server.signal("TERM");
    for line in lines {
        assert!(
            line.is_ok(),
            "a clean end, so that the client connects again"
        );
    }
    assert!(server.wait().success());
}

#[test]
fn a_push_that_is_on_its_way_is_answered_before_the_end() {
    let mut server = serve("dev = true\nlog = ['todos']\ndrain-time = 600\n", &[]);
    let body = json!({ "replica": uuid(), "commits": [commit(1, "todo/1", &json!("any"))] });
    let body = body.to_string();
    let address = server.base.trim_start_matches("http://").to_owned();
    let mut pushing = TcpStream::connect(&address).expect("a connection");
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    pushing.write_all(head.as_bytes()).expect("sent");
    let mut answer = BufReader::new(pushing.try_clone().expect("a connection"));
    let mut line = String::new();
    answer.read_line(&mut line).expect("a line");
    assert!(
        line.starts_with("HTTP/1.1 100"),
        "it waits for the body: {line}"
    );
    server.signal("TERM");
    wait_for("the beginning of the end", || {
        written(&server).contains("shutting down").then_some(())
    });
    pushing.write_all(body.as_bytes()).expect("sent");
    let mut rest = String::new();
    answer.read_to_string(&mut rest).expect("an answer");
    assert!(
        rest.contains("HTTP/1.1 200") && rest.contains("\"accepted\""),
        "{rest}"
    );
    assert!(server.wait().success());
}

#[test]
fn a_server_that_waits_for_a_body_for_ever_ends_all_the_same() {
    let mut server = serve("dev = true\nlog = ['todos']\ndrain-time = 1\n", &[]);
    let address = server.base.trim_start_matches("http://").to_owned();
    let mut pushing = TcpStream::connect(&address).expect("a connection");
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         expect: 100-continue\r\ncontent-length: 9\r\n\r\n"
    );
    pushing.write_all(head.as_bytes()).expect("sent");
    let mut line = String::new();
    BufReader::new(pushing.try_clone().expect("a connection"))
        .read_line(&mut line)
        .expect("a line");
    server.signal("TERM");
    assert!(server.wait().success());
    assert!(written(&server).contains("cut off"));
}

#[test]
fn as_many_files_may_be_open_as_the_system_allows_and_connections_keep_to_that() {
    let directory = TempDir::new().expect("a directory");
    let mut limited = Command::new("sh");
    limited
        .args([
            "-c",
            r#"ulimit -Sn 100 && ulimit -Hn 600 && exec "$@""#,
            "sh",
            BIN,
            "serve",
        ])
        .args(["--dev", "--log", "todos"]);
    name_database(&mut limited, &directory.path().join("tidelog.db"));
    let server = Server::spawn(limited, directory, &[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).expect("Linux");
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let files: Vec<&str> = files.into_iter().flat_map(str::split_whitespace).collect();
    assert_eq!(files.get(3..5), Some(&["600", "600"][..]), "soft and hard");
    let said = std::fs::read_to_string(server.directory.path().join("stderr")).expect("a file");
    assert!(
        said.contains("600 open files, so 536 connections at once instead of 20000"),
        "{said}"
    );
    assert_eq!(server.get("/v1/logs/todos").status, 200);
}

#[test]
fn a_program_without_traces_says_so_where_they_are_asked_for() {
    let directory = TempDir::new().expect("a directory");
    let output = Command::new(BIN)
        .args(["serve", "--db", "no/such/folder/tidelog.db", "--dev"])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
        .current_dir(directory.path())
        .output()
        .expect("the program runs");
    let said = text(&output.stderr);
    assert!(said.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{said}");
    assert!(said.contains("`otel`"), "{said}");
}
