//! One writer, many listeners: how long until each has each commit, and whether any missed one.

use crate::client::{Client, Lines};
use crate::commits::Author;
use crate::plan::Plan;
use crate::pusher::Pusher;
use crate::row::{Row, quantile};
use crate::server::{self, LOG, Server};
use crate::{Outcome, at};
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tidelog_core::protocol::json::PullResponse;
use tokio::task::JoinSet;

const LISTENERS: u64 = 1_000;
const COMMITS_PER_SECOND: u64 = 50;
/// How long a listener may take to hear of the last commit.
const PATIENCE: Duration = Duration::from_secs(30);

/// A line, as far as it is looked at.
#[derive(Debug, Deserialize)]
struct Line {
    head: Option<Head>,
    #[serde(default)]
    commits: Vec<Commit>,
}

#[derive(Debug, Deserialize)]
struct Head {
    position: u64,
}

#[derive(Debug, Deserialize)]
struct Commit {
    events: Vec<Event>,
}

#[derive(Debug, Deserialize)]
struct Event {
    position: u64,
}

/// When each position was pushed, in microseconds after the beginning.
struct Sent {
    begun: Instant,
    at: Vec<AtomicU64>,
}

impl Sent {
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn slot(&self, position: u64) -> Option<&AtomicU64> {
        self.at.get(usize::try_from(position).ok()?)
    }
}

/// What a listener saw.
#[derive(Default)]
struct Heard {
    /// From each push to its arrival, in milliseconds.
    latencies: Vec<f64>,
    /// How many positions came without the one before them.
    holes: u64,
    pulls: u64,
}

pub(super) async fn measure(plan: &Plan) -> Outcome<Vec<Row>> {
    let listeners = plan.few(LISTENERS, 20);
    let time = plan.round() * plan.few(2, 1);
    let commits = COMMITS_PER_SECOND * time.as_secs();
    let folder = TempDir::new().map_err(at("a folder"))?;
    let server = Server::start(&server::sqlite(folder.path()).to_string_lossy()).await?;
    let sent = Arc::new(Sent {
        begun: Instant::now(),
        at: (0..=commits).map(|_| AtomicU64::new(0)).collect(),
    });
    let mut tasks = JoinSet::new();
    for _ in 0..listeners {
        let mut lines = Client::open(&server.address).await?.live(0, true).await?;
        lines.next().await?;
        let (address, sent) = (server.address.clone(), Arc::clone(&sent));
        tasks.spawn(async move { listen(lines, &address, &sent, commits).await });
    }
    let mut pusher = Pusher::open(&server.address, Author::new(1)).await?;
    let first = Instant::now();
    for n in 1..=commits {
        let due = first + Duration::from_secs(n) / u32::try_from(COMMITS_PER_SECOND).unwrap_or(1);
        tokio::time::sleep_until(due.into()).await;
        if let Some(slot) = sent.slot(n) {
            slot.store(sent.now(), Ordering::Release);
        }
        pusher.push().await?;
    }
    let mut all = Heard::default();
    while let Some(listener) = tasks.join_next().await {
        let heard = listener.map_err(at("a listener"))??;
        all.latencies.extend(heard.latencies);
        all.holes += heard.holes;
        all.pulls += heard.pulls;
    }
    server.stop().await?;
    let missed = listeners * commits - all.latencies.len() as u64 + all.holes;
    let p99 = quantile(&mut all.latencies, 0.99);
    let p95 = quantile(&mut all.latencies, 0.95);
    let name = format!("fan-out: {listeners} listeners, {COMMITS_PER_SECOND} commits/s, p95");
    let row = Row::new(plan, name, p95, "ms")
        .bar("≤ 100 ms and nothing missed", p95 <= 100.0 && missed == 0)
        .note(format!(
            "from sending a push to a listener having the commit, over {} deliveries; {missed} missed, {} pulls by listeners that had \
             fallen behind; p99 {p99:.1} ms",
            all.latencies.len(),
            all.pulls
        ));
    Ok(vec![row])
}

/// Reads on until everything is there.
async fn listen(mut lines: Lines, address: &str, sent: &Sent, end: u64) -> Outcome<Heard> {
    let (mut heard, mut at_position) = (Heard::default(), 0);
    while at_position < end {
        let line = tokio::time::timeout(PATIENCE, lines.next()).await;
        let line = line.map_err(|_late| "a listener heard nothing for too long")??;
        let line: Line = serde_json::from_slice(&line).map_err(at("a line"))?;
        let Some(head) = line.head else { continue };
        if head.position > at_position && line.commits.is_empty() {
            heard.pulls += 1;
            let path = format!("/v1/logs/{LOG}/commits?after={at_position}");
            let bytes = Client::open(address).await?.get(&path, &[]).await?;
            let page: PullResponse = serde_json::from_slice(&bytes).map_err(at("a page"))?;
            for commit in page.commits {
                for event in commit.events {
                    heard.take(&mut at_position, event.position.value(), sent);
                }
            }
        }
        for event in line.commits.iter().flat_map(|commit| &commit.events) {
            heard.take(&mut at_position, event.position, sent);
        }
    }
    Ok(heard)
}

impl Heard {
    fn take(&mut self, at: &mut u64, position: u64, sent: &Sent) {
        if position <= *at {
            // It came with a pull before.
            return;
        }
        self.holes += u64::from(position != *at + 1);
        *at = position;
        let begun = sent
            .slot(position)
            .map_or(0, |slot| slot.load(Ordering::Acquire));
        self.latencies
            .push(sent.now().saturating_sub(begun) as f64 / 1_000.0);
    }
}
