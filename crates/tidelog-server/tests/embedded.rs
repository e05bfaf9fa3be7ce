//! A server inside another one: the example, and what its parts promise.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and JSON of another shape is a failure"
)]

#[allow(
    dead_code,
    clippy::allow_attributes,
    reason = "the example's own beginning is not called"
)]
#[path = "../examples/embedded.rs"]
mod example;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tidelog_core::{LogName, Subject};
use tidelog_server::http::{App, Authorizer, Denied, Grant, Kinds, Settings, router};
use tidelog_server::store::{LogStore, SqliteStore};
use tower::ServiceExt;

struct Answer {
    status: u16,
    headers: axum::http::HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

async fn ask(app: &Router, method: &str, path: &str, cookie: &str, body: Option<&Value>) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("cookie", cookie)
        .header("content-type", "application/json")
        .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())));
    let response = app.clone().oneshot(request.expect("a request"));
    let (head, body) = response.await.expect("an answer").into_parts();
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: axum::body::to_bytes(body, usize::MAX)
            .await
            .expect("a body"),
    }
}

const ANN: &str = "session=s3cret-of-ann";
const BEN: &str = "session=s3cret-of-ben";

async fn example() -> (tempfile::TempDir, Router) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = SqliteStore::open(directory.path().join("a.db")).expect("a store");
    let app = example::app(store).await.expect("an app");
    (directory, app)
}

fn id(number: u64) -> String {
    format!("01900000-0000-7000-8000-{number:012x}")
}

fn commit(number: u64, stream: &str, expected: &Value, events: &[(&str, Value)]) -> Value {
    let events: Vec<Value> = events
        .iter()
        .map(|(name, data)| {
            json!({ "stream": stream, "type": name, "data": data, "occurredAt": "2026-01-01T00:00:00Z" })
        })
        .collect();
    json!({
        "id": id(number), "seq": number, "events": events,
        "conditions": [{ "stream": stream, "expected": expected }],
    })
}

async fn push(app: &Router, commits: &[Value]) -> Vec<Value> {
    let body = json!({ "replica": id(0xaaaa), "commits": commits });
    let answer = ask(
        app,
        "POST",
        "/sync/v1/logs/home-ann/commits",
        ANN,
        Some(&body),
    )
    .await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    answer.json()["results"]
        .as_array()
        .expect("results")
        .clone()
}

#[tokio::test]
async fn the_surrounding_app_says_who_is_logged_in() {
    let (_directory, app) = example().await;
    assert_eq!(
        &*ask(&app, "GET", "/hello", ANN, None).await.body,
        b"Hello ann"
    );
    assert_eq!(
        &*ask(&app, "GET", "/hello", "", None).await.body,
        b"Hello stranger"
    );
    let log = "/sync/v1/logs/home-ann";
    assert_eq!(
        ask(&app, "GET", log, ANN, None).await.json()["log"],
        "home-ann"
    );
    let stranger = ask(&app, "GET", log, "session=guessed", None).await;
    assert_eq!(
        (stranger.status, stranger.json()["code"].clone()),
        (401, json!("unauthorized"))
    );
    let ben = ask(&app, "GET", log, BEN, None).await;
    assert_eq!(
        (ben.status, ben.json()["code"].clone()),
        (404, json!("unknown_log"))
    );
    assert_eq!(ask(&app, "GET", "/sync/readyz", "", None).await.status, 200);
    assert_eq!(
        ask(&app, "GET", "/sync/v1/nothing", ANN, None).await.json()["code"],
        "not_found"
    );
}

#[tokio::test]
async fn the_decider_of_the_browser_judges_what_is_pushed() {
    let (_directory, app) = example().await;
    let added = |title: &str| ("todo.added", json!({ "title": title }));
    let completed = || ("todo.completed", json!({}));
    let first = commit(1, "todo/1", &json!("noStream"), &[added("Milk")]);
    let results = push(
        &app,
        &[
            first.clone(),
            // Judged on what the commit before it, of the same push, has added.
            commit(2, "todo/1", &json!({ "exact": 1 }), &[completed()]),
            commit(3, "todo/1", &json!({ "exact": 2 }), &[completed()]),
            commit(4, "todo/2", &json!("noStream"), &[completed()]),
            commit(5, "todo/3", &json!("noStream"), &[added("")]),
            commit(
                6,
                "todo/4",
                &json!("noStream"),
                &[added("Tea"), completed()],
            ),
            commit(7, "todo/5", &json!("any"), &[added("Tea")]),
            commit(8, "todo/6", &json!("noStream"), &[("todo.sung", json!({}))]),
        ],
    )
    .await;
    let verdicts: Vec<&str> = results
        .iter()
        .filter_map(|one| one["verdict"].as_str())
        .collect();
    let (yes, no) = ("accepted", "rejected");
    assert_eq!(verdicts, [yes, yes, no, no, no, yes, no, no]);
    for (index, says) in [
        (2, "todo/1: that changes nothing"),
        (3, "todo/2: there is none"),
        (4, "todo/3: what is to be done?"),
        (6, "say which version of todo/5"),
        (7, "unknown variant `todo.sung`"),
    ] {
        assert_eq!(results[index]["code"], "forbidden");
        let message = results[index]["message"].as_str().expect("text");
        assert!(message.contains(says), "{message:?} should say {says:?}");
    }
    // Stored already, so it gets its receipt, although nobody could decide that now; and what was decided on an older
    // state is a conflict, so that its author decides again.
    let late = commit(9, "todo/1", &json!("noStream"), &[added("Bread")]);
    let again = push(&app, &[first, late]).await;
    assert_eq!(again[0]["verdict"], "duplicate");
    assert_eq!(again[0]["positions"], results[0]["positions"]);
    assert_eq!(again[1]["verdict"], "conflict");
    let body = json!({ "type": "todo.completed", "data": {} });
    let single = ask(
        &app,
        "POST",
        "/sync/v1/logs/home-ann/streams/todo/4",
        ANN,
        Some(&body),
    )
    .await;
    assert_eq!(
        (single.status, single.json()["rejection"].clone()),
        (422, json!("forbidden"))
    );
}

/// Whether Ann is known, changes while the test runs.
#[derive(Debug)]
struct Changing(Arc<AtomicU8>);

const KNOWN: u8 = 0;
const UNAVAILABLE: u8 = 1;
const LOCKED_OUT: u8 = 2;
const BROKEN: u8 = 3;

impl Authorizer for Changing {
    type Caller = Subject;

    async fn identify(&self, _: &Parts) -> Result<Subject, Denied> {
        match self.0.load(Ordering::SeqCst) {
            UNAVAILABLE => Err(Denied::unavailable("the directory of users is away")),
            BROKEN => panic!("a bug of the surrounding app"),
            _ => Subject::new("ann").map_err(|error| Denied::unknown(error.to_string())),
        }
    }

    async fn grant(&self, caller: &Subject, _: &LogName) -> Result<Option<Grant>, Denied> {
        let is_out = self.0.load(Ordering::SeqCst) == LOCKED_OUT;
        let grant = || Grant::append(caller.clone()).erasing(Kinds::All);
        Ok((!is_out).then(grant))
    }
}

/// A server with the log `todos`, whose only caller is as this says.
async fn changing(state: &Arc<AtomicU8>) -> (tempfile::TempDir, Router) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = SqliteStore::open(directory.path().join("a.db")).expect("a store");
    let todos = LogName::new("todos").expect("a name");
    store.create(&todos).await.expect("a log");
    let settings = Settings::new(Changing(Arc::clone(state)));
    (directory, router(App::new(store, settings)))
}

#[tokio::test]
async fn a_bug_is_said_to_be_one_and_nothing_of_it_is_told() {
    let state = Arc::new(AtomicU8::new(BROKEN));
    let (_directory, app) = changing(&state).await;
    let answer = ask(&app, "GET", "/v1/logs/todos", "", None).await;
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    let problem = answer.json();
    assert_eq!(
        (answer.status, problem["code"].clone()),
        (500, json!("internal"))
    );
    assert!(!problem.to_string().contains("surrounding"), "{problem}");
    state.store(KNOWN, Ordering::SeqCst);
    let answer = ask(&app, "GET", "/v1/logs/todos", "", None).await;
    assert_eq!(answer.status, 200, "others are served");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let state = Arc::new(AtomicU8::new(KNOWN));
    let (_directory, app) = changing(&state).await;
    for path in ["commits", "streams/todo%2F1", "erasures"] {
        let begun = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from("{"))]);
        let never = futures_util::StreamExt::chain(begun, futures_util::stream::pending());
        let request = Request::post(format!("/v1/logs/todos/{path}"))
            .header("content-type", "application/json")
            .body(Body::from_stream(never));
        let answer = app.clone().oneshot(request.expect("a request"));
        let (head, body) = answer.await.expect("an answer").into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await;
        let problem: Value = serde_json::from_slice(&body.expect("a body")).expect("JSON");
        assert_eq!(
            (head.status.as_u16(), problem["code"].clone()),
            (408, json!("request_timeout")),
            "{path}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_open_ends_with_its_grant_and_outlasts_a_directory_that_is_away() {
    let state = Arc::new(AtomicU8::new(KNOWN));
    let (_directory, app) = changing(&state).await;
    let request = Request::post("/v1/live")
        .header("content-type", "application/json")
        .body(Body::from(
            json!({ "logs": [{ "log": "todos" }] }).to_string(),
        ));
    let live = app
        .clone()
        .oneshot(request.expect("a request"))
        .await
        .expect("an answer");
    assert_eq!(live.status(), StatusCode::OK);
    let mut body = live.into_body();

    state.store(UNAVAILABLE, Ordering::SeqCst);
    let away = ask(&app, "GET", "/v1/logs/todos", "", None).await;
    assert_eq!(away.status, 503);
    assert_eq!(away.headers["retry-after"], "1");
    assert!(
        away.json()["detail"]
            .as_str()
            .expect("text")
            .contains("is away")
    );
    for _ in 0..20 {
        // Signs of life, for many times as long as it takes to be asked again.
        let frame = http_body_util::BodyExt::frame(&mut body).await;
        assert!(frame.expect("it goes on").is_ok());
    }
    state.store(LOCKED_OUT, Ordering::SeqCst);
    let mut more = 0;
    while let Some(frame) = http_body_util::BodyExt::frame(&mut body).await {
        assert!(frame.is_ok());
        more += 1;
        assert!(more < 20, "it does not end");
    }
    let answer = ask(&app, "GET", "/v1/logs/todos", "", None).await;
    assert_eq!(
        (answer.status, answer.json()["code"].clone()),
        (404, json!("unknown_log"))
    );
}
