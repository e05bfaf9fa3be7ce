//! Mixed load for long: does anything fail, does memory grow?

use super::push::pushers;
use crate::client::Client;
use crate::plan::Plan;
use crate::pusher::Pusher;
use crate::row::Row;
use crate::server::{self, LOG, Server};
use crate::{Outcome, at};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tidelog_core::protocol::FRAMES;
use tokio::task::JoinSet;

const WRITERS: u64 = 16;
const LISTENERS: u64 = 50;
const READERS: u64 = 4;
/// How long each writer and reader rests between two requests.
const PAUSE: Duration = Duration::from_millis(100);
/// How often memory is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// The part of the time, at its beginning, in which caches fill.
const WARM_UP: f64 = 0.3;

/// What all of them share.
#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    requests: AtomicU64,
    errors: AtomicU64,
    head: AtomicU64,
}

impl Shared {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Counts a request, and says what went wrong with it.
    fn count<T>(&self, result: Outcome<T>) -> Option<T> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        result
            .map_err(|error| {
                self.errors.fetch_add(1, Ordering::Relaxed);
                eprintln!("  {error}");
            })
            .ok()
    }
}

pub(super) async fn measure(plan: &Plan) -> Outcome<Vec<Row>> {
    let time = plan.soak();
    let folder = TempDir::new().map_err(at("a folder"))?;
    let server = Server::start(&server::sqlite(folder.path()).to_string_lossy()).await?;
    let shared = Arc::new(Shared::default());
    let mut tasks = JoinSet::new();
    for pusher in pushers(&server, 1, WRITERS).await? {
        tasks.spawn(write(pusher, Arc::clone(&shared)));
    }
    for number in 0..LISTENERS {
        tasks.spawn(listen(server.address.clone(), number, Arc::clone(&shared)));
    }
    for number in 0..READERS {
        tasks.spawn(read(server.address.clone(), number, Arc::clone(&shared)));
    }
    let memory = watch(&server, time).await?;
    shared.over.store(true, Ordering::Relaxed);
    while tasks.join_next().await.is_some() {}
    server.stop().await?;
    let warm = time.as_secs_f64() * WARM_UP;
    let kept: Vec<_> = memory.into_iter().filter(|(at, _)| *at >= warm).collect();
    let mean = kept.iter().map(|(_, bytes)| bytes).sum::<f64>() / kept.len().max(1) as f64;
    let growth = slope(&kept) * 3_600.0 / mean * 100.0;
    let errors = shared.errors.load(Ordering::Relaxed) as f64;
    let minutes = time.as_secs_f64() / 60.0;
    let load = format!(
        "{minutes:.1} minutes, {} requests, {} events: {WRITERS} writers, {READERS} readers of pages and streams, {LISTENERS} listeners, some of \
         which leave and come again",
        shared.requests.load(Ordering::Relaxed),
        shared.head.load(Ordering::Relaxed)
    );
    let failures = Row::new(
        plan,
        format!("errors of a soak of {minutes:.0} minutes"),
        errors,
        "errors",
    )
    .bar("0", errors == 0.0)
    .note(load);
    let memory = Row::new(plan, "memory growth of the soak", growth, "%/h")
        .bar("< 1 % an hour", growth < 1.0)
        .note(format!(
            "slope of a line by least squares through the server's resident memory, every second after the first {:.0} % of the time; mean {:.1} MB",
            WARM_UP * 100.0,
            mean / 1e6
        ));
    Ok(vec![failures, memory])
}

/// Seconds and bytes.
async fn watch(server: &Server, time: Duration) -> Outcome<Vec<(f64, f64)>> {
    let (begun, mut memory) = (Instant::now(), Vec::new());
    let mut said = Duration::ZERO;
    while begun.elapsed() < time {
        tokio::time::sleep(LOOK.min(time / 10)).await;
        let bytes = server.memory()?;
        memory.push((begun.elapsed().as_secs_f64(), bytes));
        if begun.elapsed() - said >= Duration::from_secs(60) {
            said = begun.elapsed();
            eprintln!("  minute {}: {:.1} MB", said.as_secs() / 60, bytes / 1e6);
        }
    }
    Ok(memory)
}

/// Of the line with the least squares, per second.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len().max(1) as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let both: f64 = points
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum();
    let square: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    match square > 0.0 {
        true => both / square,
        false => 0.0,
    }
}

async fn write(mut pusher: Pusher, shared: Arc<Shared>) {
    while !shared.is_over() {
        if let Some(position) = shared.count(pusher.push().await) {
            shared.head.fetch_max(position, Ordering::Relaxed);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Follows, and checks that nothing is skipped; every so often leaves and comes again. Every other one takes commits along.
async fn listen(address: String, number: u64, shared: Arc<Shared>) {
    let carrying = number.is_multiple_of(2);
    while !shared.is_over() {
        let after = shared.head.load(Ordering::Relaxed);
        let stay = Duration::from_secs(5 + number);
        shared.count(follow(&address, after, carrying, stay, &shared).await);
    }
}

async fn follow(
    address: &str,
    after: u64,
    carrying: bool,
    stay: Duration,
    shared: &Shared,
) -> Outcome {
    let mut lines = Client::open(address).await?.live(after, carrying).await?;
    let (until, mut at_position) = (Instant::now() + stay, after);
    while !shared.is_over() && Instant::now() < until {
        let line: Value = serde_json::from_slice(&lines.next().await?).map_err(at("a line"))?;
        let Some(head) = line.pointer("/head/position").and_then(Value::as_u64) else {
            continue;
        };
        if head <= at_position && head < after {
            return Err(format!("told of {head} after {at_position}"));
        }
        if let Some(first) = line
            .pointer("/commits/0/events/0/position")
            .and_then(Value::as_u64)
            && first != at_position + 1
        {
            return Err(format!("commits from {first} on came after {at_position}"));
        }
        at_position = head;
    }
    Ok(())
}

/// Reads pages as frames and as JSON, and streams, from all over the log.
async fn read(address: String, number: u64, shared: Arc<Shared>) {
    let (mut client, mut turn) = (None, number);
    while !shared.is_over() {
        turn += 1;
        let head = shared.head.load(Ordering::Relaxed);
        let after = (turn * 7_919) % head.max(1);
        let frames = [("accept", FRAMES)];
        let (path, headers) = match turn % 3 {
            0 => (
                format!("/v1/logs/{LOG}/commits?after={after}&limit=500"),
                &frames[..],
            ),
            1 => (
                format!("/v1/logs/{LOG}/commits?after={after}&limit=100"),
                &[][..],
            ),
            _ => (
                format!("/v1/logs/{LOG}/streams/todo%2F{}-0", 1 + turn % WRITERS),
                &[][..],
            ),
        };
        let asked = match client.take() {
            Some(client) => Ok(client),
            None => Client::open(&address).await,
        };
        let answered = match asked {
            Ok(mut open) => open.get(&path, headers).await.map(|_page| open),
            Err(error) => Err(error),
        };
        client = shared.count(answered);
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::slope;

    #[test]
    fn a_slope_is_that_of_the_line() {
        let line: Vec<_> = (0..10).map(f64::from).map(|x| (x, 3.0 * x + 5.0)).collect();
        assert!((slope(&line) - 3.0).abs() < 1e-9);
        assert_eq!(slope(&[(1.0, 1.0)]), 0.0);
    }
}
