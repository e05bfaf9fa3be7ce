//! Following a log from the terminal, over a database and over a server.

use crate::harness::{BIN, Server, commit, event, name_database, run, text, uuid};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use tempfile::TempDir;

/// A server whose log holds five events of two kinds and two types.
fn filled() -> Server {
    let server = Server::dev();
    let replica = uuid();
    for (seq, (stream, name)) in [
        ("todo/1", "todo.added"),
        ("todo/2", "todo.added"),
        ("list/1", "list.grew"),
        ("todo/1", "todo.completed"),
    ]
    .iter()
    .enumerate()
    {
        let mut one = commit(seq as u64 + 1, stream, &json!("any"));
        one["events"][0]["type"] = json!(name);
        if seq == 3 {
            one["events"] = json!([
                one["events"][0],
                event("list/1", &json!({ "text": "\u{9b}31m" }))
            ]);
        }
        server.push(&replica, &[one]);
    }
    server
}

/// Runs the command on a database, unless it asks a server.
fn run_tail(arguments: &[&str], db: &Path) -> Output {
    match arguments.contains(&"--url") {
        true => Command::new(BIN)
            .args(arguments)
            .output()
            .expect("the program runs"),
        false => run(arguments, db),
    }
}

/// The positions of the lines that it writes up to the log's end.
fn positions(arguments: &[&str], db: &Path) -> Vec<u64> {
    let tail = ["tail", "--log", "todos", "--no-follow", "--json"];
    let output = run_tail(&[&tail[..], arguments].concat(), db);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = text(&output.stdout);
    let parsed = lines.lines().map(serde_json::from_str::<Value>);
    parsed
        .map(|line| {
            line.expect("JSON")["position"]
                .as_u64()
                .expect("a position")
        })
        .collect()
}

#[test]
fn what_is_asked_for_is_shown_from_a_database_and_from_a_server() {
    let server = filled();
    let from_server = ["--url", server.base.as_str()];
    for source in [&[][..], &from_server] {
        let positions = |arguments: &[&str]| positions(&[source, arguments].concat(), &server.db());
        assert_eq!(positions(&[]), [1, 2, 3, 4, 5]);
        assert_eq!(positions(&["-n", "2"]), [4, 5]);
        assert_eq!(positions(&["--from", "5"]), [5], "not the whole commit");
        assert_eq!(positions(&["--from", "6"]), [0; 0]);
        assert_eq!(positions(&["--kind", "list"]), [3, 5]);
        assert_eq!(
            positions(&["--stream", "todo/1", "--kind", "list"]),
            [1, 3, 4, 5]
        );
        assert_eq!(positions(&["--type", "todo.added", "--kind", "list"]), [5]);
        assert_eq!(positions(&["--type", "none"]), [0; 0]);
    }
}

#[test]
fn a_line_is_the_event_as_it_is_pulled_or_readable() {
    let server = filled();
    let tail = |more: &[&str]| {
        let first = ["tail", "--log", "todos", "--no-follow"];
        text(&run(&[&first[..], more].concat(), &server.db()).stdout)
    };
    let json: Value = serde_json::from_str(&tail(&["-n", "1", "--json"])).expect("a line");
    let pulled = server.get("/v1/logs/todos/commits?after=4").json();
    assert_eq!(json, pulled["commits"][0]["events"][1]);
    let lines = tail(&[]);
    assert_eq!(lines.lines().count(), 5, "{lines}");
    let first = lines.lines().next().unwrap_or_default();
    assert!(
        first.ends_with("  1  todo/1@1  todo.added  {\"seq\":1}  by dev"),
        "{first}"
    );
    assert!(
        lines.contains("\\u{9b}31m"),
        "nothing commands the terminal: {lines:?}"
    );
}

/// A running `tail` whose lines are read one by one.
struct Following {
    child: Child,
    lines: Option<BufReader<ChildStdout>>,
}

impl Following {
    fn start(source: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(BIN);
        command.args(["tail", "--log", "todos", "--json"]);
        source(&mut command);
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let lines = child.stdout.take().map(BufReader::new);
        Self { child, lines }
    }

    fn position(&mut self) -> u64 {
        let mut line = String::new();
        let lines = self.lines.as_mut().expect("a reader");
        lines.read_line(&mut line).expect("a line");
        let line: Value = serde_json::from_str(&line).expect("JSON");
        line["position"].as_u64().expect("a position")
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It ends by itself only when nobody reads any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_comes_later_is_shown_when_it_comes() {
    let server = filled();
    let mut following = [
        Following::start(|command| name_database(command, &server.db())),
        Following::start(|command| {
            command
                .args(["--url", &server.base])
                .env("TIDELOG_TOKEN", "somebody");
        }),
    ];
    for one in &mut following {
        assert_eq!(one.position(), 1);
        (2..=5).for_each(|expected| assert_eq!(one.position(), expected));
    }
    let replica = uuid();
    for seq in 1..=3 {
        server.push(&replica, &[commit(seq, "todo/9", &json!("any"))]);
        for one in &mut following {
            assert_eq!(one.position(), 5 + seq);
        }
    }
}

/// Reads a request and answers it; without an answer the line is cut.
fn answer(listener: &TcpListener, answer: Option<(&str, &str, &[u8])>) {
    let (mut stream, _) = listener.accept().expect("a connection");
    let mut request = BufReader::new(stream.try_clone().expect("a stream"));
    let mut line = String::new();
    while request.read_line(&mut line).expect("a line") > 2 {
        line.clear();
    }
    if let Some((status, headers, body)) = answer {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).expect("written");
        stream.write_all(body).expect("written");
    }
}

#[test]
fn a_server_that_is_away_is_waited_for() {
    let server = filled();
    let frames = server.get_with(
        "/v1/logs/todos/commits",
        &[("accept", "application/vnd.tidelog.frames")],
    );
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let mut following = Following::start(|command| {
        command.args(["--url", &url]);
    });
    let description = "content-type: application/json\r\ntidelog-head: 5\r\n";
    answer(&listener, Some(("200 OK", description, b"{}")));
    answer(&listener, None);
    let problem = "content-type: application/problem+json\r\n";
    answer(&listener, Some(("503 Service Unavailable", problem, b"{}")));
    let media_type = "content-type: application/vnd.tidelog.frames\r\n";
    answer(&listener, Some(("200 OK", media_type, &frames.body)));
    (1..=5).for_each(|expected| assert_eq!(following.position(), expected));
}

#[test]
fn what_cannot_be_followed_is_said() {
    let server = filled();
    let tail = |more: &[&str], code: i32| {
        let Output { status, stderr, .. } =
            run_tail(&[&["tail", "--no-follow"], more].concat(), &server.db());
        assert_eq!(status.code(), Some(code), "{}", text(&stderr));
        text(&stderr)
    };
    assert!(tail(&["--log", "none"], 1).contains("there is no log none"));
    let base = server.base.as_str();
    let said = tail(&["--log", "none", "--url", base], 1);
    assert!(
        said.contains("the server says 404: there is no log \"none\" here"),
        "{said}"
    );
    let said = tail(&["--log", "todos", "--url", "localhost:8080"], 2);
    assert!(said.contains("does not begin with http://"), "{said}");
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port");
    let gone = format!("http://{}", nobody.local_addr().expect("an address"));
    drop(nobody);
    tail(&["--log", "todos", "--url", &gone], 1);

    let directory = TempDir::new().expect("a directory");
    std::fs::write(
        directory.path().join("tokens"),
        "todos ann-0123456789abcdef ann\n",
    )
    .expect("a file");
    let closed = Server::start(directory, &["--tokens", "tokens", "--log", "todos"]);
    let said = tail(&["--log", "todos", "--url", &closed.base], 1);
    assert!(said.contains("the server says 401"), "{said}");
    let with = [
        "--log",
        "todos",
        "--url",
        &closed.base,
        "--token",
        "ann-0123456789abcdef",
    ];
    assert_eq!(tail(&with, 0), "");
}

#[test]
fn it_ends_when_nobody_reads_it_any_more() {
    let server = filled();
    let mut following = Following::start(|command| name_database(command, &server.db()));
    assert_eq!(following.position(), 1);
    following.lines = None;
    let replica = uuid();
    let mut seq = 0;
    while following.child.try_wait().expect("a child").is_none() {
        seq += 1;
        server.push(&replica, &[commit(seq, "todo/9", &json!("any"))]);
    }
    assert!(following.child.wait().expect("an end").success());
}
