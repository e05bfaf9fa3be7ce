//! kill -9 under 32 writers, again and again.

use crate::cluster::{Database, Fsync};
use crate::fleet::{self, Fleet};
use crate::harness::Server;
use tempfile::TempDir;

const WRITERS: u64 = 32;
/// So many kills, unless `npm run kill-test -- --server` asks for more.
const FEW: u64 = 4;

/// How many kills were asked for.
pub(crate) fn kills() -> Option<u64> {
    number("TIDELOG_KILLS")
}

/// The number that the environment says.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a whole number"))
}

/// Choices that a seed repeats (`SplitMix64`).
struct Choices(u64);

impl Choices {
    fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % count
    }
}

/// Kills one of so many processes on a database, starts another in its place, and again.
fn survives(target: &str, store: &str, processes: u64) {
    let (asked, kills) = (kills(), kills().unwrap_or(FEW));
    let seed = number("TIDELOG_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("{target}: {kills} kills, seed {seed}");
    let ended = fleet::run(store, WRITERS, |fleet: &Fleet| {
        let mut choices = Choices(seed);
        let start = || {
            let server = Server::on(store);
            (fleet.add(&server), server)
        };
        let mut running: Vec<_> = (0..processes).map(|_| start()).collect();
        for kill in 1..=kills {
            // Some kills come soon after the one before, most some seconds later; a test waits less.
            let pushes = match choices.below(4) {
                0 => 1 + choices.below(50),
                _ => choices.below(asked.map_or(300, |_many| 3_000)),
            };
            fleet.wait_for_pushes(pushes);
            let victim = usize::try_from(choices.below(processes)).expect("few processes");
            let (number, server) = running.swap_remove(victim);
            drop(server.stop("KILL"));
            fleet.remove(number);
            println!("kill {kill}/{kills} ({target}) after {pushes} pushes");
            running.push(start());
        }
        fleet.wait_for_pushes(100);
        running.into_iter().map(|(_, server)| server).collect()
    });
    assert!(ended.refused > 0, "some writers were in each other's way");
    println!(
        "{target}: all of {} acknowledged commits are there, once, after {kills} kills; {} conflicts, {} answers 503",
        ended.acknowledged, ended.refused, ended.unavailable
    );
}

#[test]
fn kills_of_one_process_on_sqlite_lose_nothing() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("tidelog.db");
    survives("SQLite", &file.display().to_string(), 1);
}

#[test]
fn kills_of_one_process_on_postgres_lose_nothing() {
    let database = Database::fresh(Fsync(true));
    survives("PostgreSQL", &database.url(), 1);
}

#[test]
fn kills_of_one_of_two_processes_on_postgres_lose_nothing() {
    let database = Database::fresh(Fsync(true));
    survives("two on PostgreSQL", &database.url(), 2);
}
