//! What the SQLite store promises beside the protocol: group commit, full disks, files of others.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use tempfile::TempDir;
use tidelog_core::protocol::Verdict;
use tidelog_core::{
    Attempt, Commit, CommitId, Cursor, Event, EventType, LogName, Meta, Payload, Position,
    ReplicaId, SchemaVersion, Seq, StreamId, Timestamp,
};
use tidelog_server::store::{
    After, Candidate, LogStore, Numbering, Options, PageCap, Push, SqliteStore, StoreError,
};

const CAP: PageCap = PageCap {
    bytes: usize::MAX,
    events: u64::MAX,
};

fn log(name: &str) -> LogName {
    name.parse().expect("a log name")
}

/// A push of one commit whose ids follow from `n`.
fn push(name: &str, n: u8, payload: &str) -> Push {
    let replica = ReplicaId::from_bytes([n; 16]);
    let commit = Commit {
        id: CommitId::from_bytes([n; 16]),
        attempt: Attempt::FIRST,
        replica,
        seq: Seq::new(1),
        conditions: vec![],
        events: vec![Event {
            stream: StreamId::new("todo/1").expect("a stream"),
            event_type: EventType::new("todo.added").expect("a type"),
            schema: SchemaVersion::FIRST,
            data: Payload::json(payload),
            occurred_at: Timestamp::from_millis(0),
            tags: vec![],
            meta: Meta::default(),
        }],
    };
    Push {
        log: log(name),
        actor: None,
        replica,
        cursor: Cursor::default(),
        commits: vec![Candidate::new(commit)],
        numbering: Numbering::Replica,
    }
}

#[tokio::test]
async fn pushes_for_several_logs_share_a_transaction_and_each_log_has_its_own_positions() {
    let directory = TempDir::new().expect("a directory");
    let store = SqliteStore::open(directory.path().join("a.db")).expect("a store");
    let names = ["a", "b", "c"];
    for name in names {
        store.create(&log(name)).await.expect("a log");
    }
    let pushes = (0..90).map(|n| {
        let name = names[usize::from(n) % 3];
        let (store, push) = (store.clone(), push(name, n + 1, "1"));
        tokio::spawn(async move { (name, store.push(push).await) })
    });
    let pushes: Vec<_> = pushes.collect();
    let mut positions = BTreeSet::new();
    for pushed in pushes {
        let (name, response) = pushed.await.expect("a task");
        let Verdict::Accepted { positions: at, .. } =
            response.expect("an answer").results.remove(0).verdict
        else {
            panic!("not accepted")
        };
        assert!(positions.insert((name, at.first)), "given twice");
    }
    for name in names {
        let page = store
            .page(&log(name), After::Position(Position::START), CAP)
            .await
            .expect("a page");
        let order: Vec<u64> = page
            .commits
            .iter()
            .map(|one| one.recorded.position.value())
            .collect();
        assert_eq!(order, (1..=30).collect::<Vec<_>>());
        store.verify(&log(name)).expect("a whole log");
    }
}

#[tokio::test]
async fn a_refused_push_leaves_the_others_of_its_transaction_alone() {
    let directory = TempDir::new().expect("a directory");
    let store = SqliteStore::open(directory.path().join("a.db")).expect("a store");
    store.create(&log("a")).await.expect("a log");
    let (missing, good) = tokio::join!(
        store.push(push("none", 1, "1")),
        store.push(push("a", 2, "1"))
    );
    assert_eq!(missing, Err(StoreError::UnknownLog { log: log("none") }));
    assert_eq!(good.expect("an answer").head.position, Position::new(1));
}

#[tokio::test]
async fn a_full_disk_stores_nothing_of_a_push_and_smaller_ones_go_on() {
    let directory = TempDir::new().expect("a directory");
    let mut options = Options::default();
    options.max_pages = Some(120);
    let store = SqliteStore::open_with(directory.path().join("a.db"), &options).expect("a store");
    store.create(&log("a")).await.expect("a log");
    let large = format!("\"{}\"", "x".repeat(900 * 1024));
    assert_eq!(
        store.push(push("a", 1, &large)).await,
        Err(StoreError::Full)
    );
    let state = store.state(&log("a")).await.expect("a state");
    assert_eq!(state.head.position, Position::START);
    let small = store.push(push("a", 1, "1")).await.expect("an answer");
    assert_eq!(small.head.position, Position::new(1));
    store.verify(&log("a")).expect("a whole log");
}

#[tokio::test]
async fn a_watch_wakes_after_a_push_and_only_for_its_log() {
    let directory = TempDir::new().expect("a directory");
    let store = SqliteStore::open(directory.path().join("a.db")).expect("a store");
    for name in ["a", "b"] {
        store.create(&log(name)).await.expect("a log");
    }
    let (mut a, b) = (store.watch(&log("a")), store.watch(&log("b")));
    store.push(push("a", 1, "1")).await.expect("an answer");
    a.changed().await.expect("news");
    assert_eq!(*a.borrow(), Position::new(1));
    assert!(!b.has_changed().expect("a sender"));
}

#[tokio::test]
async fn a_database_outlives_its_store() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("a.db");
    let store = SqliteStore::open(&path).expect("a store");
    let made = store.create(&log("a")).await.expect("a log");
    store.push(push("a", 1, "1")).await.expect("an answer");
    drop(store);
    let store = SqliteStore::open(&path).expect("a store");
    let again = store.create(&log("a")).await.expect("a log");
    assert_eq!(again.epoch, made.epoch, "the same history");
    assert_eq!(again.head.position, Position::new(1));
}

#[test]
fn files_of_others_are_not_touched() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("a.db");
    for sql in [
        "CREATE TABLE theirs (x)",
        "PRAGMA application_id = 1414087749; PRAGMA user_version = 99",
    ] {
        rusqlite::Connection::open(&path)
            .and_then(|file| file.execute_batch(sql))
            .expect("a database");
        let error = SqliteStore::open(&path).expect_err("not ours");
        assert!(matches!(error, StoreError::NotOurs { .. }), "{error}");
    }
}
