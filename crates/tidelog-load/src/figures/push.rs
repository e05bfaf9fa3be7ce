//! Pushes of one event from many clients, beside the same rows stored by a loop that does nothing else.

use crate::cluster::{Database, Fsync};
use crate::commits::Author;
use crate::plan::Plan;
use crate::pusher::Pusher;
use crate::reference::{self, group};
use crate::row::{Row, median, quantile};
use crate::server::{self, Server};
use crate::{Outcome, at};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinSet;

const CLIENTS: u64 = 64;
const WARM_UP: Duration = Duration::from_millis(1_500);
/// No position, and what any other widens.
const NOWHERE: RangeInclusive<u64> = RangeInclusive::new(u64::MAX, 0);

/// So many connected clients; each has a number from `first` on.
pub(super) async fn pushers(server: &Server, first: u64, count: u64) -> Outcome<Vec<Pusher>> {
    let mut pushers = Vec::new();
    for number in first..first + count {
        pushers.push(Pusher::open(&server.address, Author::new(number)).await?);
    }
    Ok(pushers)
}

/// What some clients did.
pub(super) struct Pushed {
    pub(super) pushers: Vec<Pusher>,
    /// Of their events.
    positions: RangeInclusive<u64>,
    /// Of each push, in milliseconds.
    pub(super) latencies: Vec<f64>,
    seconds: f64,
}

impl Pushed {
    fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.seconds
    }
}

/// All push for a time: as fast as they are answered, or each at its own moments, so many a second together. Then what is
/// late counts from the moment at which it was due.
pub(super) async fn push(
    pushers: Vec<Pusher>,
    time: Duration,
    rate: Option<f64>,
) -> Outcome<Pushed> {
    let begun = Instant::now();
    let pause = rate.map(|rate| Duration::from_secs_f64(pushers.len() as f64 / rate));
    let count = u32::try_from(pushers.len()).unwrap_or(u32::MAX).max(1);
    let mut tasks = JoinSet::new();
    for (index, mut pusher) in (0..).zip(pushers) {
        let mut due = begun + pause.map_or(Duration::ZERO, |pause| pause * index / count);
        tasks.spawn(async move {
            let (mut positions, mut latencies) = (NOWHERE, Vec::new());
            while due.duration_since(begun) < time {
                tokio::time::sleep_until(due.into()).await;
                let position = pusher.push().await?;
                positions = position.min(*positions.start())..=position.max(*positions.end());
                latencies.push(due.elapsed().as_secs_f64() * 1_000.0);
                due = pause.map_or_else(Instant::now, |pause| due + pause);
            }
            Ok::<_, String>((pusher, positions, latencies))
        });
    }
    let mut done = Pushed {
        pushers: Vec::new(),
        positions: NOWHERE,
        latencies: Vec::new(),
        seconds: 0.0,
    };
    while let Some(task) = tasks.join_next().await {
        let (pusher, positions, latencies) = task.map_err(at("a client"))??;
        done.pushers.push(pusher);
        let (first, last) = done.positions.into_inner();
        done.positions = first.min(*positions.start())..=last.max(*positions.end());
        done.latencies.extend(latencies);
    }
    done.seconds = begun.elapsed().as_secs_f64();
    Ok(done)
}

/// The rounds of a figure.
#[derive(Default)]
struct Rounds {
    rates: Vec<f64>,
    references: Vec<f64>,
    parts: Vec<f64>,
    tails: Vec<f64>,
    halves: Vec<f64>,
    groups: Vec<f64>,
}

impl Rounds {
    /// What the server does in a round: as fast as it can, then half as fast.
    async fn serve(&mut self, plan: &Plan, store: &str) -> Outcome<RangeInclusive<u64>> {
        let server = Server::start(store).await?;
        let clients = pushers(&server, 1, CLIENTS).await?;
        let warm = push(clients, plan.few(WARM_UP, Duration::from_millis(100)), None).await?;
        let full = push(warm.pushers, plan.round(), None).await?;
        let (rate, positions) = (full.rate(), full.positions.clone());
        let mut half = push(full.pushers, plan.round(), Some(rate / 2.0)).await?;
        server.stop().await?;
        self.rates.push(rate);
        self.halves.push(half.rate());
        self.tails.push(quantile(&mut half.latencies, 0.99));
        Ok(positions)
    }

    fn beside(&mut self, reference: f64, group: usize) {
        let rate = self.rates.last().copied().unwrap_or(f64::NAN);
        self.references.push(reference);
        self.parts.push(rate / reference);
        self.groups.push(group as f64);
        eprintln!("  {rate:.0} events/s in groups of {group}, beside {reference:.0}");
    }

    fn rows(mut self, plan: &Plan, name: &str, least: f64, what: &str) -> Vec<Row> {
        let (rate, part) = (median(&self.rates), median(&self.parts));
        let tail = median(&self.tails);
        let bar = match least > 0.0 {
            true => format!("≥ 0.7 × reference and ≥ {least:.0}"),
            false => "≥ 0.7 × reference".into(),
        };
        let pushes = Row::new(plan, format!("durable events, {CLIENTS} clients, {name}"), rate, "events/s")
            .beside(median(&self.references))
            .bar(&bar, part >= 0.7 && rate >= least)
            .note(format!(
                "{part:.2} of the reference: {what}, the same rows in groups of {:.0}; medians of {} rounds by turns",
                median(&self.groups),
                self.rates.len()
            ));
        let slowest = quantile(&mut self.tails, 1.0);
        let tails = Row::new(plan, format!("p99 of such a push at half that load, {name}"), tail, "ms")
            .bar("≤ 50 ms", tail <= 50.0)
            .note(format!(
                "at {:.0} events/s, from the moment at which each was due; the slowest round had {slowest:.1} ms",
                median(&self.halves)
            ));
        vec![pushes, tails]
    }
}

pub(super) async fn sqlite(plan: &Plan) -> Outcome<Vec<Row>> {
    let mut rounds = Rounds::default();
    for _ in 0..plan.rounds() {
        let folder = TempDir::new().map_err(at("a folder"))?;
        let file = server::sqlite(folder.path());
        let positions = rounds.serve(plan, &file.to_string_lossy()).await?;
        let bare = folder.path().join("bare.db");
        let (reference, size) = tokio::task::spawn_blocking(move || {
            let rows = reference::sqlite::rows(&file, &positions)?;
            let size = group(&rows);
            Ok::<_, String>((reference::sqlite::rate(&file, &bare, &rows, size)?, size))
        })
        .await
        .map_err(at("the reference"))??;
        rounds.beside(reference, size);
    }
    Ok(rounds.rows(
        plan,
        "SQLite",
        5_000.0,
        "a bare rusqlite loop, WAL, synchronous=FULL",
    ))
}

pub(super) async fn postgres(plan: &Plan) -> Outcome<Vec<Row>> {
    let mut rounds = Rounds::default();
    for _ in 0..plan.rounds() {
        let [database, bare] = [(), ()].map(|()| Database::fresh(Fsync(true)));
        // It makes the tables.
        Server::start(&bare.url()).await?.stop().await?;
        let positions = rounds.serve(plan, &database.url()).await?;
        let rows = reference::postgres::rows(&database, &positions).await?;
        let size = group(&rows);
        let reference = reference::postgres::rate(&bare, &rows, size).await?;
        rounds.beside(reference, size);
    }
    let what = "bare multi-row INSERTs, each transaction pipelined";
    Ok(rounds.rows(plan, "PostgreSQL", 0.0, what))
}
