//! Readers that follow the log whichever way, and go on where they were when a server is gone.

use crate::fleet::{Address, Fleet, LOG};
use crate::harness::{Answer, agent, send};
use crate::writers::is_told_to_come_again;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// The four of a fleet.
pub(crate) const KINDS: [Kind; 4] = [Kind::Polls, Kind::Polls, Kind::Live, Kind::Events];

#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Pulls, and waits for what is new.
    Polls,
    /// Listens to `POST /v1/live`, and pulls what does not come along.
    Live,
    /// Listens to server-sent events.
    Events,
}

/// A reader in a thread of its own.
pub(crate) struct Reader<'scope> {
    end: Arc<AtomicU64>,
    kind: Kind,
    thread: ScopedJoinHandle<'scope, ()>,
}

impl<'scope> Reader<'scope> {
    pub(crate) fn start(
        scope: &'scope Scope<'scope, '_>,
        fleet: &'scope Fleet,
        kind: Kind,
    ) -> Self {
        let end = Arc::<AtomicU64>::default();
        let shared = Arc::clone(&end);
        let thread = scope.spawn(move || Following { fleet, end: shared }.run(kind));
        Self { end, kind, thread }
    }

    /// Waits until it has read so far.
    pub(crate) fn wait_for(&self, head: u64, patience: Duration) {
        let (mut begun, mut before) = (Instant::now(), 0);
        while self.end.load(Ordering::Relaxed) < head {
            let end = self.end.load(Ordering::Relaxed);
            if end > before {
                (begun, before) = (Instant::now(), end);
            }
            assert!(!self.thread.is_finished(), "{:?} ended at {end}", self.kind);
            let is_late = begun.elapsed() > patience;
            assert!(
                !is_late,
                "{:?} got no further than {end} of {head}",
                self.kind
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

struct Following<'a> {
    fleet: &'a Fleet,
    end: Arc<AtomicU64>,
}

impl Following<'_> {
    fn run(&self, kind: Kind) {
        let (mut turn, mut gone) = (0, None);
        while let Some(address) = self.pick(turn, gone.as_ref()) {
            let base = &address.base;
            let went_well = match kind {
                Kind::Polls => self.pull(base, 5),
                Kind::Live => self.live(base),
                Kind::Events => self.events(base),
            };
            turn += 1;
            gone = match went_well {
                Some(()) => None,
                None => {
                    self.fleet.rest();
                    Some(address)
                }
            };
        }
    }

    /// A server to ask; `None` when nobody asks any more.
    fn pick(&self, turn: u64, gone: Option<&Address>) -> Option<Address> {
        while !self.fleet.is_done() {
            if let Some(address) = self.fleet.pick(turn, gone) {
                return Some(address);
            }
            self.fleet.rest();
        }
        None
    }

    fn end(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }

    fn take(&self, commits: &Value) {
        let end = self.fleet.seen.follow(self.end(), commits);
        self.end.store(end, Ordering::Relaxed);
    }

    /// `None`: the server gave no page.
    fn pull(&self, base: &str, wait: u64) -> Option<()> {
        let url = format!("{base}{LOG}?after={}&wait={wait}", self.end());
        let answer = send("GET", &url, &[], None).ok()?;
        self.is_well(&answer)?;
        self.take(&answer.json()["commits"]);
        Some(())
    }

    fn is_well(&self, answer: &Answer) -> Option<()> {
        if answer.status == 200 {
            return Some(());
        }
        is_told_to_come_again(answer);
        self.fleet.refused(answer.status);
        None
    }

    /// Lines of a connection until it ends, which it only does with its server. `None`: it has ended.
    fn lines(
        &self,
        request: ureq::http::Request<String>,
        mut take: impl FnMut(&str) -> Option<()>,
    ) -> Option<()> {
        let mut response = agent().run(request).ok()?;
        let status = response.status().as_u16();
        if status != 200 {
            let headers = response.headers().clone();
            let body = response.body_mut().read_to_vec().ok()?;
            return self.is_well(&Answer {
                status,
                headers,
                body,
            });
        }
        let lines = BufReader::new(response.into_body().into_reader()).lines();
        for line in lines.map_while(Result::ok) {
            take(&line)?;
        }
        None
    }

    fn live(&self, base: &str) -> Option<()> {
        let logs = json!([{ "log": "todos", "cursor": self.end().to_string() }]);
        let request = ureq::http::Request::post(format!("{base}/v1/live"))
            .header("content-type", "application/json")
            .body(json!({ "logs": logs, "commits": "json" }).to_string());
        self.lines(request.expect("a request"), |line| {
            // What is half a line has been cut off with its connection.
            let line: Value = serde_json::from_str(line).ok()?;
            let Some(head) = line.pointer("/head/position").and_then(Value::as_u64) else {
                return Some(());
            };
            let commits = &line["commits"];
            let first = commits.pointer("/0/events/0/position");
            if first.is_some_and(|first| *first == self.end() + 1) {
                self.take(commits);
            }
            while self.end() < head {
                self.pull(base, 0)?;
            }
            Some(())
        })
    }

    fn events(&self, base: &str) -> Option<()> {
        let url = format!("{base}/v1/logs/todos/live?after={}", self.end());
        let request = ureq::http::Request::get(url).body(String::new());
        self.lines(request.expect("a request"), |line| {
            if let Some(data) = line.strip_prefix("data:") {
                let commit: Value = serde_json::from_str(data).ok()?;
                self.take(&json!([commit]));
            }
            Some(())
        })
    }
}
