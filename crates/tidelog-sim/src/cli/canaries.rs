//! Each planted bug, until some world shows it.

use super::wish::Wish;
use crate::canary::Canary;
use crate::options::Options;
use crate::run::play;
use crate::violation::Violation;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Within so many worlds every planted bug has to be seen.
const MOST_WORLDS: u64 = 10_000;

pub(crate) fn run(wish: &Wish) -> Result<bool, String> {
    let all: Vec<Canary> = Canary::all()
        .filter(|canary| wish.only.is_empty() || wish.only.iter().any(|name| name == canary.name()))
        .collect();
    if all.is_empty() {
        return Err(String::from("there is no such canary"));
    }
    let next = AtomicUsize::new(0);
    let caught = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..wish.threads {
            scope.spawn(|| {
                while let Some(canary) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = hunt(*canary, wish);
                    match &found {
                        Some((worlds, violation)) => {
                            println!("{:<32} world {worlds:>5}  {violation}", canary.name());
                        }
                        None => {
                            println!("{:<32} NOT CAUGHT in {MOST_WORLDS} worlds", canary.name())
                        }
                    }
                    let mut caught = caught.lock().unwrap_or_else(PoisonError::into_inner);
                    caught.push(found.is_some());
                }
            });
        }
    });
    let caught = caught.into_inner().unwrap_or_else(PoisonError::into_inner);
    let passed = caught.iter().filter(|caught| **caught).count();
    let failed = caught.len() - passed;
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0)
}

/// The first world that a planted bug breaks.
fn hunt(canary: Canary, wish: &Wish) -> Option<(u64, Violation)> {
    for world in 1..=MOST_WORLDS {
        let seed = wish.first + world;
        let mut options = Options::draw(seed, wish.steps);
        options.canary = Some(canary);
        if let Some((violation, _)) = play(&options, 0).violation {
            // What breaks without the bug, too, does not show it.
            options.canary = None;
            if play(&options, 0).violation.is_none() {
                return Some((world, violation));
            }
        }
    }
    None
}
