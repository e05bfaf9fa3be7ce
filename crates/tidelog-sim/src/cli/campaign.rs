//! Many worlds on every core.

use super::replay::tell;
use super::wish::Wish;
use crate::options::Options;
use crate::run::{play, play_twice};
use crate::shrink::shrink;
use crate::sometimes::RARE;
use crate::violation::Violation;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// From so many worlds on, every rare state has to have been reached.
const MANY: u64 = 10_000;

type Counts = BTreeMap<&'static str, u64>;

/// What the threads share.
#[derive(Debug)]
struct Shared {
    next: AtomicU64,
    steps: AtomicU64,
    passed: AtomicU64,
    failed: AtomicUsize,
    sometimes: Mutex<Counts>,
    failures: Mutex<Vec<(Options, Violation)>>,
}

pub(crate) fn run(wish: &Wish) -> Result<bool, String> {
    let shared = Shared {
        next: AtomicU64::new(wish.first),
        steps: AtomicU64::new(0),
        passed: AtomicU64::new(0),
        failed: AtomicUsize::new(0),
        sometimes: Mutex::default(),
        failures: Mutex::default(),
    };
    let start = Instant::now();
    let progress = std::io::stderr().is_terminal();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..wish.threads)
            .map(|_| scope.spawn(|| work(wish, &shared, start)))
            .collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            std::thread::sleep(Duration::from_millis(200));
            if progress {
                let seeds = shared.passed.load(Ordering::Relaxed);
                eprint!("\r{seeds} worlds, {:.0} s ", start.elapsed().as_secs_f64());
                let _shown = std::io::stderr().flush();
            }
        }
        if progress {
            eprintln!();
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    let steps = shared.steps.into_inner();
    let passed = shared.passed.into_inner();
    let failures = shared.failures.into_inner();
    let mut failures = failures.unwrap_or_else(PoisonError::into_inner);
    let sometimes = shared.sometimes.into_inner();
    let sometimes = sometimes.unwrap_or_else(PoisonError::into_inner);

    failures.sort_by_key(|(options, _)| options.seed);
    for (options, violation) in &failures {
        report(options, violation, wish)?;
    }
    let mut failed = failures.len();
    println!("sometimes:");
    for (what, count) in &sometimes {
        println!("{count:>10}  {what}");
    }
    let never = RARE.iter().filter(|rare| !sometimes.contains_key(**rare));
    for rare in never {
        println!("         0  {rare}");
        if passed >= MANY {
            println!("no world of {passed} reached: {rare}");
            failed += 1;
        }
    }
    println!(
        "{} steps in {seconds:.1} s: {:.0} steps per second and core",
        steps,
        steps as f64 / seconds / wish.threads as f64
    );
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0)
}

fn work(wish: &Wish, shared: &Shared, start: Instant) {
    let mut sometimes = Counts::new();
    loop {
        let late = wish.most.is_some_and(|most| start.elapsed() > most);
        let enough = shared.failed.load(Ordering::Relaxed) >= wish.failures;
        let seed = shared.next.fetch_add(1, Ordering::Relaxed);
        if late || enough || seed >= wish.first + wish.seeds {
            break;
        }
        let options = match wish.erasing {
            true => Options::draw_erasing(seed, wish.steps),
            false => Options::draw(seed, wish.steps),
        };
        let ending = play_twice(&options);
        shared.steps.fetch_add(ending.steps, Ordering::Relaxed);
        for (what, count) in &ending.sometimes {
            *sometimes.entry(*what).or_default() += count;
        }
        if let Some((violation, _)) = ending.violation {
            shared.failed.fetch_add(1, Ordering::Relaxed);
            let mut failures = shared
                .failures
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            failures.push((options, violation));
        } else {
            shared.passed.fetch_add(1, Ordering::Relaxed);
        }
    }
    let mut all = shared
        .sometimes
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    for (what, count) in sometimes {
        *all.entry(what).or_default() += count;
    }
}

/// Everything about a failing world: all it was derived from, the smallest one like it, and the end of that one's story.
fn report(options: &Options, violation: &Violation, wish: &Wish) -> Result<(), String> {
    println!(
        "\nseed {} broke {violation}\nDrawn from it:\n{options}",
        options.seed
    );
    let small = shrink(options);
    let ending = play(&small, wish.lines);
    println!("The smallest world found that breaks the same:\n{small}");
    tell(&ending);
    if let Some(folder) = &wish.out {
        let path = folder.join(format!("{}.txt", options.seed));
        let why = ending
            .violation
            .map(|(violation, step)| format!("# {violation} (step {step})\n"));
        let text = format!("{}{small}", why.unwrap_or_default());
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, text))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        println!("written to {}", path.display());
    }
    Ok(())
}
