//! What goes on behind a replica: compaction, snapshots, pruning, damage.

use super::bench::Bench;
use super::disk::Fault;
use super::tab::Tab;
use tidelog_core::replica::{Phase, SyncError};
use tidelog_core::{Gap, GapReason, Position};

/// A device whose first tab leads and has confirmed some events.
fn confirmed(tabs: usize, events: usize) -> Bench {
    let mut bench = Bench::new(tabs);
    for _ in 0..events {
        bench.note(0, "facts/0", "1");
        bench.sync(0);
    }
    bench
}

fn save(bench: &mut Bench, tab: usize) -> bool {
    bench.tabs[tab].save(&mut bench.disk, &mut bench.oracle)
}

fn reopen(bench: &mut Bench) {
    bench.tabs[0] = Tab::open(90, 0, &bench.disk);
    bench.tabs[0].replica.handle_leadership(true);
    bench.save(0);
}

#[test]
fn opening_reads_only_what_comes_after_the_snapshot() {
    let mut bench = confirmed(1, 6);
    assert!(save(&mut bench, 0));
    bench.note(0, "facts/0", "1");
    bench.sync(0);
    // Nothing before the checkpoint is looked at: even if it were damaged.
    bench.disk.damage(0, 1);
    reopen(&mut bench);
    assert_eq!(bench.position(0), Position::new(7));
    assert_eq!(bench.version(0, "facts/0"), 7);
    assert_eq!(bench.replica(0).needs_directory(), Some(Position::new(6)));
}

#[test]
fn a_snapshot_of_a_longer_log_than_the_disk_has_is_not_used() {
    let mut bench = confirmed(1, 4);
    let before = bench.disk.content.clone();
    bench.note(0, "facts/0", "1");
    bench.sync(0);
    assert!(save(&mut bench, 0));
    let snapshot = bench.disk.content.snapshot.take();
    bench.disk.content = before;
    let promised: Vec<_> = bench.oracle.promised[&0].iter().copied().collect();
    bench.oracle.excused.extend(promised);
    bench.disk.content.snapshot = snapshot;
    assert!(bench.disk.snapshot().is_none());
    reopen(&mut bench);
    bench.sync(0);
    assert_eq!(bench.version(0, "facts/0"), 5);
}

#[test]
fn a_snapshot_never_moves_backwards_and_one_on_another_base_is_written_whole() {
    let mut bench = confirmed(2, 3);
    bench.hint(1);
    assert!(save(&mut bench, 1));
    bench.note(0, "facts/0", "1");
    bench.sync(0);
    // The other tab has not saved: its changes are changes of nothing.
    assert!(save(&mut bench, 0), "the first one of a tab is whole");
    assert!(!save(&mut bench, 1), "it is behind");
    bench.hint(1);
    assert!(save(&mut bench, 1), "whole again after it was refused");
    bench.note(0, "facts/1", "1");
    bench.sync(0);
    bench.hint(1);
    assert!(save(&mut bench, 1));
    bench.note(0, "facts/1", "1");
    bench.sync(0);
    assert!(!save(&mut bench, 0), "its base is another tab's by now");
    assert!(save(&mut bench, 0));
}

#[test]
fn a_tab_that_lags_behind_a_compaction_takes_only_what_is_new() {
    let mut bench = confirmed(2, 3);
    bench.hint(1);
    bench.note(0, "facts/1", "1");
    bench.sync(0);
    assert!(bench.disk.compact(0, 9));
    bench.hint(1);
    assert_eq!(bench.position(1), Position::new(4));
    assert_eq!(bench.version(1, "facts/0"), 3);
    assert_eq!(bench.oracle.sometimes.get("straddled"), Some(&1));
}

#[test]
fn damage_is_moved_aside_and_pulled_again() {
    let mut bench = confirmed(1, 6);
    bench.note(0, "facts/0", "1");
    bench.store(0, Fault::None);
    bench.disk.damage(3, 7);
    reopen(&mut bench);
    assert_eq!(
        bench.position(0),
        Position::new(3),
        "as far as it is intact"
    );
    assert_eq!(
        bench.replica(0).counts().pending,
        1,
        "what is pending stays"
    );
    assert_eq!(bench.oracle.sometimes.get("damaged"), Some(&1));
    bench.sync(0);
    assert_eq!(bench.version(0, "facts/0"), 7);
    assert_eq!(bench.replica(0).status().phase, Phase::Live);
}

#[test]
fn damage_that_a_reader_finds_is_repaired_in_the_open_tab() {
    let mut bench = confirmed(2, 5);
    bench.hint(1);
    bench.disk.damage(2, 7);
    bench.replica(0).handle_damage();
    bench.sync(0);
    assert_eq!(bench.version(0, "facts/0"), 5);
    bench.hint(1);
    assert_eq!(bench.position(1), Position::new(5));
    assert!(bench.disk.compact(0, 9), "nothing is damaged any more");
}

#[test]
fn damage_while_the_server_is_away_leaves_what_is_intact() {
    let mut bench = confirmed(1, 5);
    bench.disk.damage(4, 1);
    bench.tabs[0] = Tab::open(91, 0, &bench.disk);
    bench.tabs[0].replica.handle_leadership(true);
    bench.save(0);
    assert_eq!(bench.version(0, "facts/0"), 4);
    let time = bench.time();
    bench.requests(0);
    let detail = String::from("away");
    bench
        .replica(0)
        .handle_pull_failed(time, SyncError::Network { detail });
    assert_eq!(bench.replica(0).status().phase, Phase::Offline);
}

#[test]
fn a_pruned_log_says_what_it_leaves_out_and_opens_from_the_snapshot() {
    let mut bench = confirmed(1, 6);
    assert!(save(&mut bench, 0));
    bench.disk.prune(4);
    reopen(&mut bench);
    let gap = Gap {
        from: Position::new(1),
        to: Position::new(4),
        reason: GapReason::Retention,
    };
    assert_eq!(bench.replica(0).gaps(), [gap]);
    assert_eq!(bench.version(0, "facts/0"), 6);
    bench.note(0, "facts/0", "1");
    bench.sync(0);
    assert_eq!(bench.version(0, "facts/0"), 7);
}

#[test]
fn without_its_snapshot_a_pruned_log_is_pulled_anew() {
    let mut bench = confirmed(1, 6);
    assert!(save(&mut bench, 0));
    bench.disk.prune(4);
    bench.disk.content.snapshot = None;
    reopen(&mut bench);
    assert!(bench.disk.content.gaps.is_empty());
    bench.sync(0);
    assert_eq!(bench.version(0, "facts/0"), 6);
    assert_eq!(bench.disk.content.log_ids().count(), 6);
}

#[test]
fn a_tab_behind_what_was_pruned_goes_on_from_the_snapshot() {
    let mut bench = confirmed(2, 1);
    bench.hint(1);
    for _ in 0..5 {
        bench.note(0, "facts/0", "1");
        bench.sync(0);
    }
    assert!(save(&mut bench, 0));
    bench.disk.prune(5);
    bench.hint(1);
    assert_eq!(bench.position(1), Position::new(6));
    assert_eq!(bench.version(1, "facts/0"), 6);
    let saw = bench.oracle.sometimes.get("gone on from a snapshot");
    assert_eq!(saw, Some(&1));
}
