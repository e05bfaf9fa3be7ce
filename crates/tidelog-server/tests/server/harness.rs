//! Starts the program on a free port, talks to it, ends it.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_tidelog");

/// A running server. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    pub(crate) base: String,
    pub(crate) directory: TempDir,
}

/// What a server said.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("an ASCII header"))
    }

    /// Demands a problem document with this status and code.
    pub(crate) fn is_problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty())
        );
        problem
    }
}

pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into()
}

/// Sends a request; an error is a connection that broke.
pub(crate) fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Result<Answer, ureq::Error> {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let agent = agent();
    let mut response = match body {
        Some(body) => agent.run(request.body(body).expect("a request"))?,
        None => agent.run(request.body(()).expect("a request"))?,
    };
    Ok(Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response
            .body_mut()
            .with_config()
            .limit(u64::MAX)
            .read_to_vec()?,
    })
}

impl Server {
    /// In development mode with the log `todos`.
    pub(crate) fn dev() -> Self {
        Self::start(
            TempDir::new().expect("a directory"),
            &["--dev", "--log", "todos"],
        )
    }

    pub(crate) fn start(directory: TempDir, arguments: &[&str]) -> Self {
        let mut command = Command::new(BIN);
        command.arg("serve");
        name_database(&mut command, &directory.path().join("tidelog.db"));
        Self::spawn(command, directory, arguments)
    }

    /// In development mode with the log `todos`, on the database of this address.
    pub(crate) fn on(store: &str) -> Self {
        let mut command = Command::new(BIN);
        command.arg("serve").env("TIDELOG_STORE", store);
        let directory = TempDir::new().expect("a directory");
        Self::spawn(command, directory, &["--dev", "--log", "todos"])
    }

    /// In development mode, on a database that this command of the program makes.
    pub(crate) fn on_restored(arguments: &[&str]) -> Self {
        let directory = TempDir::new().expect("a directory");
        let restored = run(arguments, &directory.path().join("tidelog.db"));
        assert!(restored.status.success(), "{}", text(&restored.stderr));
        Self::start(directory, &["--dev"])
    }

    /// With a command that ends in `serve` and its database.
    pub(crate) fn spawn(mut command: Command, directory: TempDir, arguments: &[&str]) -> Self {
        let mut child = command
            .args(["--listen", "127.0.0.1:0", "--verbosity", "info"])
            .args(arguments)
            .current_dir(directory.path())
            .stdout(Stdio::piped())
            .stderr(
                std::fs::File::options()
                    .create(true)
                    .append(true)
                    .open(directory.path().join("stderr"))
                    .expect("a file"),
            )
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let base = line
            .trim()
            .rsplit(' ')
            .next()
            .unwrap_or_default()
            .to_owned();
        assert!(base.starts_with("http://"), "no address in {line:?}");
        Self {
            child,
            base,
            directory,
        }
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.directory.path().join("tidelog.db")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    pub(crate) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        send("GET", &self.url(path), headers, None).expect("an answer")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, &[], body.to_string().as_bytes())
    }

    pub(crate) fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut all = headers.to_vec();
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            all.push(("content-type", "application/json"));
        }
        send("POST", &self.url(path), &all, Some(body)).expect("an answer")
    }

    /// Pushes commits of one replica; returns the results.
    pub(crate) fn push(&self, replica: &str, commits: &[Value]) -> Vec<Value> {
        let body = json!({ "replica": replica, "commits": commits });
        let answer = self.post("/v1/logs/todos/commits", &body);
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.json()["results"]
            .as_array()
            .expect("results")
            .clone()
    }

    pub(crate) fn head(&self) -> u64 {
        self.get("/v1/logs/todos").json()["head"]["position"]
            .as_u64()
            .expect("a position")
    }

    /// Sends a signal by its name and waits for the end.
    pub(crate) fn stop(mut self, signal: &str) -> TempDir {
        self.signal(signal);
        self.child.wait().expect("it ends");
        std::mem::replace(&mut self.directory, TempDir::new().expect("a directory"))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill")
            .args(["-s", signal, &id])
            .status()
            .expect("kill");
        assert!(status.success());
    }

    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().expect("it ends")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, or ends now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The live connections of both kinds to the log `todos` that a token opens. Reading one ends only if the server ends it.
pub(crate) fn open_live(server: &Server, token: &str) -> [impl std::io::Read + use<>; 2] {
    let bearer = format!("Bearer {token}");
    let lines = ureq::http::Request::post(server.url("/v1/live"))
        .header("content-type", "application/json")
        .header("authorization", &bearer)
        .body(json!({ "logs": [{ "log": "todos" }] }).to_string());
    let events = ureq::http::Request::get(server.url("/v1/logs/todos/live"))
        .header("authorization", &bearer)
        .body(String::new());
    [lines, events].map(|request| {
        let response = agent().run(request.expect("a request")).expect("an answer");
        assert_eq!(response.status(), 200);
        response.into_body().into_reader()
    })
}

/// Runs a command of the program to its end.
pub(crate) fn run(arguments: &[&str], db: &Path) -> Output {
    let mut command = Command::new(BIN);
    command.args(arguments);
    name_database(&mut command, db);
    command.output().expect("the program runs")
}

/// Names the database of this file to a command. Where this file is compiled for tests on PostgreSQL, the file holds a
/// database's address instead; the first who asks makes both.
pub(crate) fn name_database(command: &mut Command, db: &Path) {
    #[cfg(feature = "postgres")]
    if env!("CARGO_CRATE_NAME") == "server_on_postgres" {
        use crate::cluster::{Database, Fsync};
        let address = std::fs::read_to_string(db).unwrap_or_else(|_missing| {
            let address = Database::fresh(Fsync(false)).url();
            std::fs::write(db, &address).expect("a file");
            address
        });
        command.env("TIDELOG_STORE", address);
        return;
    }
    command.arg("--db").arg(db);
}

/// Runs a command of the program on the database of this address.
pub(crate) fn run_on(store: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(BIN);
    command.args(arguments).args(["--store", store]);
    command.output().expect("the program runs")
}

/// What it printed when it ended well.
pub(crate) fn output(arguments: &[&str], db: &Path) -> String {
    let output = run(arguments, db);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// What it said when it ended with this code.
pub(crate) fn failure(arguments: &[&str], db: &Path, code: i32) -> String {
    let output = run(arguments, db);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {}",
        text(&output.stderr)
    );
    text(&output.stderr)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

static NEXT: AtomicU64 = AtomicU64::new(1);

/// An id that no other call of this process gave.
pub(crate) fn uuid() -> String {
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("01900000-0000-7000-8000-{n:012x}")
}

pub(crate) fn event(stream: &str, data: &Value) -> Value {
    json!({ "stream": stream, "type": "todo.added", "data": data, "occurredAt": "2026-01-01T00:00:00Z" })
}

/// A commit of one event.
pub(crate) fn commit(seq: u64, stream: &str, expected: &Value) -> Value {
    json!({
        "id": uuid(), "attempt": 1, "seq": seq,
        "conditions": [{ "stream": stream, "expected": expected }],
        "events": [event(stream, &json!({ "seq": seq }))],
    })
}
