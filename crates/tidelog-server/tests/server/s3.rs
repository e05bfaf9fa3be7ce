//! An archive in an S3-compatible bucket, on an endpoint that fails on purpose.

use crate::harness::{BIN, name_database, output, text};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as Key, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const SECRET: &str = "a-secret-that-nobody-prints";

/// What happens to the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    /// 503, as a busy S3 says.
    SlowDown,
    /// A put is answered, and the end of it is lost.
    Half,
}

/// The next read says that it has come, and waits until it may go on.
struct Pause {
    comes: std::sync::mpsc::Sender<()>,
    goes: tokio::sync::oneshot::Receiver<()>,
}

#[derive(Default)]
struct Held {
    objects: BTreeMap<String, Bytes>,
    fates: VecDeque<Fate>,
    pause: Option<Pause>,
    asked: Vec<String>,
    unsigned: usize,
}

type Shared = Arc<Mutex<Held>>;

/// A bucket on loopback.
struct Bucket {
    state: Shared,
    address: String,
    _runtime: tokio::runtime::Runtime,
}

/// Whose the archive is.
const MARKER: &str = "history/tidelog/tidelog-archive.json";

/// Counts a request; whether it is refused, and whether a put loses its end.
fn met(state: &Shared, method: &str, key: &str, headers: &HeaderMap) -> Fate {
    let mut state = state.lock().expect("a state");
    state.asked.push(format!("{method} {key}"));
    let signed = headers.get("authorization").is_some_and(|value| {
        let value = value.to_str().unwrap_or_default();
        value.starts_with("AWS4-HMAC-SHA256 Credential=the-key/")
    });
    state.unsigned += usize::from(!signed);
    if key == MARKER {
        return Fate::Answered;
    }
    state.fates.pop_front().unwrap_or(Fate::Answered)
}

fn busy() -> Response {
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

async fn read(State(state): State<Shared>, Key(key): Key<String>, headers: HeaderMap) -> Response {
    if met(&state, "get", &key, &headers) == Fate::SlowDown {
        return busy();
    }
    let pause = state.lock().expect("a state").pause.take();
    if let Some(Pause { comes, goes }) = pause {
        comes.send(()).expect("it is waited for");
        goes.await.expect("it is let go");
    }
    let state = state.lock().expect("a state");
    match state.objects.get(&key) {
        Some(bytes) => {
            let tag = format!("\"{}\"", bytes.len());
            let headers = [
                ("etag", tag.as_str()),
                ("last-modified", "Sat, 31 Jan 2026 00:00:00 GMT"),
            ];
            (headers, bytes.clone()).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn write(
    State(state): State<Shared>,
    Key(key): Key<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let bytes = match met(&state, "put", &key, &headers) {
        Fate::SlowDown => return busy(),
        Fate::Half => bytes.slice(..bytes.len() / 2),
        Fate::Answered => bytes,
    };
    let mut state = state.lock().expect("a state");
    if headers.contains_key("if-none-match") && state.objects.contains_key(&key) {
        return StatusCode::PRECONDITION_FAILED.into_response();
    }
    state.objects.insert(key, bytes);
    [("etag", "\"1\"")].into_response()
}

async fn remove(
    State(state): State<Shared>,
    Key(key): Key<String>,
    headers: HeaderMap,
) -> Response {
    if met(&state, "delete", &key, &headers) == Fate::SlowDown {
        return busy();
    }
    state.lock().expect("a state").objects.remove(&key);
    StatusCode::NO_CONTENT.into_response()
}

impl Bucket {
    fn start() -> Self {
        let state = Shared::default();
        let router = Router::new()
            .route("/{*key}", get(read).put(write).delete(remove))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::clone(&state));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            state,
            address: format!("http://{address}"),
            _runtime: runtime,
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Held) -> T) -> T {
        look(&mut self.state.lock().expect("a state"))
    }

    /// The objects that are there, but for the marker.
    fn runs(&self) -> Vec<String> {
        let all = self.with(|state| state.objects.keys().cloned().collect::<Vec<_>>());
        all.into_iter().filter(|key| key != MARKER).collect()
    }

    fn will(&self, fates: &[Fate]) {
        self.with(|state| state.fates = fates.iter().copied().collect());
    }

    /// Runs a command that knows this bucket; what it says is nothing secret.
    fn run(&self, words: &[&str], db: &Path) -> Output {
        let mut command = Command::new(BIN);
        command
            .args(words)
            .env("TIDELOG_ARCHIVE", "s3://history/tidelog")
            .env("AWS_ENDPOINT_URL", &self.address)
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "the-key")
            .env("AWS_SECRET_ACCESS_KEY", SECRET);
        name_database(&mut command, db);
        let output = command.output().expect("the program runs");
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(!said.contains(SECRET), "{said}");
        output
    }

    fn done(&self, words: &[&str], db: &Path) -> String {
        let output = self.run(words, db);
        assert!(
            output.status.success(),
            "{words:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    fn fails(&self, words: &[&str], db: &Path) -> String {
        let output = self.run(words, db);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
        text(&output.stderr)
    }
}

#[test]
fn a_bucket_that_is_busy_or_loses_bytes_loses_no_event() {
    let directory = TempDir::new().expect("a directory");
    let db = directory.path().join("a.db");
    output(&["import", "--log", "todos", "--generate", "17000"], &db);
    let export = ["export", "--log", "todos"];
    let lines = output(&export, &db);
    let bucket = Bucket::start();
    let archive = ["archive", "todos", "--keep", "0"];

    // The half is removed again, which is refused once.
    bucket.will(&[Fate::Half, Fate::Answered, Fate::SlowDown]);
    let said = bucket.fails(&archive, &db);
    assert!(said.contains("is not what was put there"), "{said}");
    assert!(
        output(&export, &db) == lines,
        "nothing has left the database"
    );
    bucket.with(|state| {
        assert!(state.fates.is_empty(), "{:?}", state.asked);
    });
    assert!(bucket.runs().is_empty(), "the half that was put");

    // Both requests are refused, once or twice.
    let refused = [
        Fate::SlowDown,
        Fate::Answered,
        Fate::SlowDown,
        Fate::SlowDown,
    ];
    bucket.will(&refused);
    let said = bucket.done(&archive, &db);
    assert!(
        said.contains("moved in 1 objects") && !said.contains("were removed"),
        "{said}"
    );
    bucket.with(|state| {
        assert!(
            state.fates.is_empty(),
            "every refusal was met: {:?}",
            state.asked
        );
        assert_eq!(state.unsigned, 0);
    });
    let runs = bucket.runs();
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert!(runs[0].starts_with("history/tidelog/"), "{runs:?}");
    bucket.will(&[Fate::SlowDown]);
    assert!(bucket.done(&export, &db) == lines, "the export is another");
    assert!(bucket.done(&["verify"], &db).contains("is whole"));

    let objects = bucket.with(|state| std::mem::take(&mut state.objects));
    for words in [&["verify"][..], &export] {
        let said = bucket.fails(words, &db);
        assert!(said.contains("damaged at position 1"), "{said}");
    }
    bucket.with(|state| state.objects = objects);
    assert!(bucket.done(&["verify"], &db).contains("is whole"));
}

/// A run that comes back to be erased takes its object away from under a check that has begun.
#[test]
fn what_is_erased_while_it_is_checked_is_not_damaged() {
    let directory = TempDir::new().expect("a directory");
    let db = directory.path().join("a.db");
    output(&["import", "--log", "todos", "--generate", "17000"], &db);
    let lines = output(&["export", "--log", "todos"], &db);
    let first = lines.lines().next().expect("a line");
    let first: serde_json::Value = serde_json::from_str(first).expect("JSON");
    let bucket = Bucket::start();
    bucket.done(&["archive", "todos", "--keep", "0"], &db);
    let (comes, came) = std::sync::mpsc::channel();
    let (go, goes) = tokio::sync::oneshot::channel();
    bucket.with(|state| state.pause = Some(Pause { comes, goes }));
    let checked = std::thread::scope(|scope| {
        let checking = scope.spawn(|| bucket.done(&["verify"], &db));
        came.recv().expect("the check asks for the object");
        let stream = first["stream"].as_str().expect("a stream");
        let redact = ["redact", "todos", stream, "--all", "--reason", "asked"];
        bucket.done(&redact, &db);
        assert!(bucket.runs().is_empty());
        go.send(()).expect("it waits");
        checking.join().expect("a check")
    });
    assert!(checked.contains("is whole: 17001 events"), "{checked}");
}

/// The marker in the bucket keeps a second database away.
#[test]
fn a_bucket_belongs_to_one_database() {
    let directory = TempDir::new().expect("a directory");
    let [one, two] = ["one.db", "two.db"].map(|name| directory.path().join(name));
    for db in [&one, &two] {
        output(&["import", "--log", "todos", "--generate", "17000"], db);
    }
    let bucket = Bucket::start();
    let archive = ["archive", "todos", "--keep", "0"];
    bucket.done(&archive, &one);
    let before = bucket.runs();
    let said = bucket.fails(&archive, &two);
    assert!(said.contains("belongs to another database"), "{said}");
    assert_eq!(bucket.runs(), before);
    assert!(bucket.done(&["verify"], &one).contains("is whole"));
}
