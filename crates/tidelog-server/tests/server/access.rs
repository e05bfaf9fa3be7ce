//! Who may do what, and what a stranger can learn.

use crate::harness::{BIN, Server, commit, event, text, uuid};
use serde_json::{Value, json};
use std::process::Command;
use tempfile::TempDir;

const ANN: &str = "ann-0123456789abcdef";
const BEN: &str = "ben-0123456789abcdef";
const EYE: &str = "eye-0123456789abcdef";

fn server() -> Server {
    let directory = TempDir::new().expect("a directory");
    let tokens =
        format!("# who\n\ntodos {ANN} ann\ntodos {EYE} eve read\nother {BEN} ben append\n");
    std::fs::write(directory.path().join("tokens"), tokens).expect("a file");
    Server::start(
        directory,
        &["--tokens", "tokens", "--log", "todos", "--log", "other"],
    )
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn without_a_known_token_there_is_nothing() {
    let server = server();
    for path in [
        "/v1/logs/todos",
        "/v1/logs/none",
        "/v1/logs/todos/commits",
        "/v1/logs/todos/live",
        "/v1/logs/todos/streams/todo/1",
    ] {
        for headers in [
            &[][..],
            &[("authorization", "Bearer nonsense")],
            &[("authorization", ANN)],
            &[("authorization", "Basic x")],
        ] {
            let answer = server.get_with(path, headers);
            answer.is_problem(401, "unauthorized");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.get("/readyz").status, 200);
}

#[test]
fn a_foreign_log_and_a_missing_one_look_the_same() {
    let server = server();
    let push = json!({ "replica": uuid(), "commits": [commit(1, "todo/1", &json!("any"))] });
    let append = json!({ "type": "t", "data": 1 });
    let token = bearer(BEN);
    let headers = [("authorization", token.as_str())];
    let answers = |log: &str| -> Vec<(u16, Value)> {
        let mut answers = vec![];
        for path in ["", "/commits", "/live", "/streams/todo/1"] {
            answers.push(server.get_with(&format!("/v1/logs/{log}{path}"), &headers));
        }
        for (path, body) in [("/commits", &push), ("/streams/todo/1", &append)] {
            let body = body.to_string();
            answers.push(server.post_with(
                &format!("/v1/logs/{log}{path}"),
                &headers,
                body.as_bytes(),
            ));
        }
        let live = json!({ "logs": [{ "log": log }] }).to_string();
        answers.push(server.post_with("/v1/live", &headers, live.as_bytes()));
        answers
            .into_iter()
            .map(|answer| {
                let mut problem = answer.is_problem(404, "unknown_log");
                assert_eq!(problem["log"], log);
                problem["log"] = json!("");
                problem["detail"] = json!(
                    problem["detail"]
                        .as_str()
                        .map(|detail| detail.replace(log, ""))
                );
                (answer.status, problem)
            })
            .collect()
    };
    assert_eq!(answers("todos"), answers("other1"));
    assert_eq!(server.get_with("/v1/logs/other", &headers).status, 200);
}

#[test]
fn a_token_to_read_cannot_append_and_the_actor_is_the_subject() {
    let server = server();
    let (eye, ann) = (bearer(EYE), bearer(ANN));
    let push =
        json!({ "replica": uuid(), "commits": [commit(1, "todo/1", &json!("any"))] }).to_string();
    let (reads, appends) = (
        [("authorization", eye.as_str())],
        [("authorization", ann.as_str())],
    );
    server
        .post_with("/v1/logs/todos/commits", &reads, push.as_bytes())
        .is_problem(403, "forbidden");
    assert_eq!(
        server
            .post_with("/v1/logs/todos/commits", &appends, push.as_bytes())
            .status,
        200
    );
    let page = server.get_with("/v1/logs/todos/commits", &reads).json();
    assert_eq!(page["commits"][0]["actor"], "ann");
}

#[test]
fn no_token_and_no_payload_is_written_to_the_servers_log() {
    let server = server();
    let ann = bearer(ANN);
    let secret = "hunter2-in-a-payload";
    let commits = json!([{ "id": uuid(), "seq": 1, "events": [event("todo/1", &json!(secret))] }]);
    let push = json!({ "replica": uuid(), "commits": commits }).to_string();
    server.post_with(
        "/v1/logs/todos/commits",
        &[("authorization", &ann)],
        push.as_bytes(),
    );
    server.get_with(
        "/v1/logs/todos",
        &[("authorization", "Bearer wrong-0123456789abcdef")],
    );
    let directory = server.stop("TERM");
    let log = std::fs::read_to_string(directory.path().join("stderr")).expect("a log");
    assert!(
        log.contains("status=200") && log.contains("status=401"),
        "{log}"
    );
    for hidden in [ANN, "wrong-0123456789abcdef", secret] {
        assert!(!log.contains(hidden), "{log}");
    }
}

#[test]
fn it_refuses_to_start_where_anybody_could_do_anything() {
    let directory = TempDir::new().expect("a directory");
    let write = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path.display().to_string()
    };
    let (empty, short) = (
        write("empty", "# nobody\n"),
        write("short", "todos secret ann\n"),
    );
    let missing = directory.path().join("missing").display().to_string();
    for (arguments, word) in [
        (vec![], "--tokens"),
        (vec!["--tokens", &empty], "no token"),
        (vec!["--tokens", &short], "line 1"),
        (vec!["--tokens", &missing], "missing"),
        (vec!["--dev", "--listen", "0.0.0.0:0"], "--dev-any-address"),
        (vec!["--dev", "--tokens", &empty], "cannot be used with"),
    ] {
        let db = directory.path().join("x.db");
        let output = Command::new(BIN)
            .args(["serve", "--db"])
            .arg(&db)
            .args(&arguments)
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = text(&output.stderr);
        assert!(said.contains(word) && !said.contains("secret"), "{said}");
        assert!(!db.exists(), "nothing was made");
    }
}

#[test]
fn who_asks_too_often_is_told_when_to_come_again_and_nobody_else_is() {
    let directory = TempDir::new().expect("a directory");
    let tokens = format!("todos {ANN} ann\nother {ANN} ann\ntodos {EYE} eve read\n");
    std::fs::write(directory.path().join("tokens"), tokens).expect("a file");
    let logs = ["--log", "todos", "--log", "other"];
    let limit = ["--tokens", "tokens", "--rate-limit", "1"];
    let server = Server::start(directory, &[&logs[..], &limit[..]].concat());
    let ask = |log: &str, token: &str| {
        let token = bearer(token);
        server.get_with(&format!("/v1/logs/{log}"), &[("authorization", &token)])
    };
    let answers: Vec<_> = (0..60).map(|_| ask("todos", ANN)).collect();
    assert!(answers[..5].iter().all(|answer| answer.status == 200));
    let refused = answers.iter().find(|answer| answer.status != 200);
    let refused = refused.expect("a limit");
    let problem = refused.is_problem(429, "rate_limited");
    assert!(
        text(problem["detail"].as_str().expect("text").as_bytes()).contains("ann asks too often")
    );
    let wait: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=2).contains(&wait), "{wait}");
    // Another log, and another subject of the same log, are not concerned.
    assert_eq!(ask("other", ANN).status, 200);
    assert_eq!(ask("todos", EYE).status, 200);
    std::thread::sleep(std::time::Duration::from_secs(wait + 1));
    assert_eq!(ask("todos", ANN).status, 200);
}
