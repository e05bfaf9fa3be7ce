//! kill -9 in the middle of pushes.

use crate::harness::{Server, commit, run, send, text, uuid};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use tempfile::TempDir;

const ROUNDS: usize = 5;
const WRITERS: usize = 6;
/// How many pushes are acknowledged before the process is killed.
const ACKNOWLEDGED: usize = 60;

/// A replica that pushes one commit after the other, and the same again until it has an answer.
pub(crate) struct Writer {
    replica: String,
    seq: u64,
    waiting: Option<Value>,
    /// Sends again what was answered with 503: nothing is wrong but the moment.
    is_patient: bool,
    /// Commit → positions.
    pub(crate) receipts: BTreeMap<String, Value>,
}

impl Writer {
    fn new() -> Self {
        Self {
            replica: uuid(),
            seq: 0,
            waiting: None,
            is_patient: false,
            receipts: BTreeMap::new(),
        }
    }

    pub(crate) fn patient() -> Self {
        Self {
            is_patient: true,
            ..Self::new()
        }
    }

    /// Pushes until the server is gone.
    pub(crate) fn push_on(&mut self, base: &str, acknowledged: &Sender<()>) {
        while self.push(base) {
            // After the kill nobody counts any more.
            let _ = acknowledged.send(());
        }
    }

    /// Pushes until nobody listens to the acknowledgements, at least once.
    pub(crate) fn push_until_unheard(&mut self, base: &str, acknowledged: &Sender<()>) {
        loop {
            assert!(self.push(base), "the server is there");
            if acknowledged.send(()).is_err() {
                return;
            }
        }
    }

    /// Pushes what waits for an answer, or a new commit, until it is stored. Returns whether the server was there.
    fn push(&mut self, base: &str) -> bool {
        let seq = &mut self.seq;
        let commit = self.waiting.get_or_insert_with(|| {
            *seq += 1;
            commit(*seq, &format!("todo/{}", *seq % 3), &json!("any"))
        });
        let body = json!({ "replica": self.replica, "commits": [commit] }).to_string();
        let url = format!("{base}/v1/logs/todos/commits");
        let headers = [("content-type", "application/json")];
        let answer = loop {
            match send("POST", &url, &headers, Some(body.as_bytes())) {
                Err(_gone) => return false,
                Ok(answer) if self.is_patient && answer.status == 503 => {}
                Ok(answer) => break answer,
            }
        };
        assert_eq!(answer.status, 200, "{}", text(&answer.body));
        let result = answer.json()["results"][0].clone();
        assert!(
            result["verdict"] == "accepted" || result["verdict"] == "duplicate",
            "{result}"
        );
        let id = result["id"].as_str().expect("an id").to_owned();
        let before = self.receipts.insert(id, result["positions"].clone());
        assert_eq!(before, None);
        self.waiting = None;
        true
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let writers: Vec<Mutex<Writer>> = (0..WRITERS).map(|_| Mutex::new(Writer::new())).collect();
    let mut directory = TempDir::new().expect("a directory");
    for _ in 0..ROUNDS {
        let server = Server::start(directory, &["--dev", "--log", "todos"]);
        let base = server.base.clone();
        directory = std::thread::scope(|scope| {
            let (acknowledged, counted) = channel();
            for writer in &writers {
                let (base, acknowledged) = (&base, acknowledged.clone());
                scope.spawn(move || {
                    writer
                        .lock()
                        .expect("a writer")
                        .push_on(base, &acknowledged)
                });
            }
            drop(acknowledged);
            assert_eq!(counted.iter().take(ACKNOWLEDGED).count(), ACKNOWLEDGED);
            server.stop("KILL")
        });
        let verified = run(
            &["verify", "--log", "todos"],
            &directory.path().join("tidelog.db"),
        );
        assert!(verified.status.success(), "{}", text(&verified.stderr));
    }
    let server = Server::start(directory, &["--dev"]);
    let stored = stored(&server);
    let mut acknowledged = 0;
    for writer in writers {
        for (id, positions) in writer.into_inner().expect("a writer").receipts {
            assert_eq!(stored.get(&id), Some(&positions), "commit {id}");
            acknowledged += 1;
        }
    }
    assert!(acknowledged >= ROUNDS * ACKNOWLEDGED);
    assert!(
        stored.len() <= acknowledged + WRITERS,
        "nothing is stored that nobody sent"
    );
}

/// Every commit of the log with its positions; each is there once.
pub(crate) fn stored(server: &Server) -> BTreeMap<String, Value> {
    let mut stored = BTreeMap::new();
    let mut after = 0;
    loop {
        let page = server
            .get(&format!("/v1/logs/todos/commits?after={after}"))
            .json();
        let commits = page["commits"].as_array().expect("commits");
        if commits.is_empty() {
            return stored;
        }
        for commit in commits {
            let events = commit["events"].as_array().expect("events");
            let at = |event: Option<&Value>| {
                event
                    .and_then(|event| event["position"].as_u64())
                    .expect("a position")
            };
            let (first, last) = (at(events.first()), at(events.last()));
            assert_eq!(first, after + 1);
            after = last;
            let id = commit["id"].as_str().expect("an id").to_owned();
            assert_eq!(
                stored.insert(id, json!({ "first": first, "last": last })),
                None
            );
        }
    }
}
