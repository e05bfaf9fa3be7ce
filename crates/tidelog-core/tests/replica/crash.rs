//! The machine stops at every single change of the disk, before it and after it: what was promised is kept.

use super::bench::Bench;
use super::disk::{Crash, Fault};
use super::tab::Tab;
use tidelog_core::{Policy, Position};

type Step = fn(&mut Bench);

/// Everything that changes a disk: appends, verdicts, pulls, a rebase, a rerun, parking and resolving, compaction, snapshots,
/// pruning, and the repair of damage.
const STEPS: &[Step] = &[
    |b| _ = b.run(0, "counter/0", "counter.add", "1", Policy::Rerun),
    |b| _ = b.note(0, "facts/0", "1"),
    |b| _ = b.store(0, Fault::None),
    sync,
    |b| _ = b.run(0, "counter/0", "counter.add", "2", Policy::Rerun),
    |b| _ = b.note(0, "facts/0", "2"),
    |b| _ = b.note(0, "facts/1", "1"),
    |b| _ = b.store(0, Fault::None),
    // Somebody else was there first: one commit is decided again, one parks.
    |b| b.stranger("counter/0", "counter.added", "1"),
    |b| b.stranger("facts/0", "facts.learnt", "9"),
    sync,
    |b| _ = b.disk.compact(0, 2),
    save,
    |b| _ = b.run(0, "counter/1", "counter.add", "1", Policy::Rebase),
    sync,
    |b| {
        let id = b.replica(0).parked().keys().next().copied();
        if let Some(id) = id {
            b.replica(0).rebase(id).unwrap();
        }
    },
    sync,
    |b| _ = b.disk.compact(1, 9),
    |b| b.disk.prune(1),
    save,
    |b| {
        for _ in 0..3 {
            b.note(0, "facts/1", "3");
            sync(b);
        }
    },
    |b| {
        let frames = b.disk.content.log.len();
        b.disk.damage(frames - 1, 5);
        reopen(b);
        sync(b);
    },
];

fn sync(bench: &mut Bench) {
    bench.sync(0);
}

fn save(bench: &mut Bench) {
    bench.tabs[0].save(&mut bench.disk, &mut bench.oracle);
}

fn reopen(bench: &mut Bench) {
    let uid = bench.tabs[0].uid + 1;
    bench.tabs[0] = Tab::open(uid, 0, &bench.disk);
    bench.tabs[0].replica.handle_leadership(true);
    bench.hang_up(0);
    bench.save(0);
}

/// How many changes the script makes.
fn changes() -> usize {
    let mut bench = Bench::new(1);
    let all = 1_000_000;
    bench.disk.crash = Some(Crash {
        left: all,
        made: true,
        happened: false,
    });
    for step in STEPS {
        step(&mut bench);
    }
    all - bench.disk.crash.unwrap().left
}

fn crash_at(change: usize, made: bool) {
    let mut bench = Bench::new(1);
    bench.oracle.unordered = true;
    bench.disk.crash = Some(Crash {
        left: change,
        made,
        happened: false,
    });
    for step in STEPS {
        step(&mut bench);
        if bench.stopped() {
            break;
        }
    }
    assert!(bench.stopped(), "change {change} never came");
    bench.disk.crash = None;
    // What was only in memory is gone with the tab, as it may.
    let promised = bench.oracle.promised.get(&0).cloned().unwrap_or_default();
    reopen(&mut bench);
    bench.oracle.check_disk(0, &bench.disk);
    bench.sync(0);
    // It works as before.
    bench.note(0, "facts/1", "4");
    bench.sync(0);
    bench.oracle.check_disk(0, &bench.disk);
    bench.oracle.check_server(&bench.server);
    for id in &promised {
        let satisfied = bench.oracle.satisfied.contains(id);
        let parked = bench.disk.content.parked.contains_key(id);
        assert!(
            bench.server.has(*id) || parked || satisfied,
            "change {change} ({made}): durable {id} is nowhere"
        );
    }
    let status = bench.tabs[0].replica.status();
    assert_eq!(status.position, bench.server.head().position);
    assert_eq!(
        status.counts.pending + status.counts.acked,
        0,
        "change {change}"
    );
    // A rebuild from the log alone, as far as it is kept, gives the same.
    if bench.disk.content.gaps.is_empty() {
        let before = bench.tabs[0].shown(None);
        bench.disk.content.snapshot = None;
        reopen(&mut bench);
        assert_eq!(bench.tabs[0].shown(None), before);
    }
    assert!(status.position > Position::START);
}

#[test]
fn a_crash_at_every_change_of_the_disk_keeps_every_promise() {
    let changes = changes();
    assert!(changes >= 20, "the script makes only {changes} changes");
    for change in 0..changes {
        for made in [false, true] {
            crash_at(change, made);
        }
    }
    println!("{changes} changes, each before and after");
}
