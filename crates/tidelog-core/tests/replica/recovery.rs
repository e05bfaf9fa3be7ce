//! Coming back after the server was away.

use super::bench::Bench;
use super::disk::Fault;
use tidelog_core::replica::{Phase, ReceiptState, Request, SyncError};
use tidelog_core::{Cursor, Filter, ReplicaId, Timestamp};

fn network() -> SyncError {
    SyncError::Network {
        detail: String::from("cut"),
    }
}

fn pull(bench: &mut Bench) -> Option<(Cursor, bool)> {
    bench
        .requests(0)
        .into_iter()
        .find_map(|request| match request {
            Request::Pull { cursor, wait, .. } => Some((cursor, wait)),
            _ => None,
        })
}

/// A bench whose long poll is under way.
fn live() -> Bench {
    let mut bench = Bench::new(1);
    // The pull that synced it may still be counted as under way.
    let time = bench.time();
    bench.replica(0).handle_pull_failed(time, network());
    bench.now += 60_000;
    let (cursor, _) = pull(&mut bench).unwrap();
    let (time, head) = (bench.time(), cursor.position);
    bench
        .replica(0)
        .handle_pulled(time, cursor, &Filter::default(), Vec::new(), head)
        .unwrap();
    bench.save(0);
    assert_eq!(bench.replica(0).status().phase, Phase::Live);
    bench
}

#[test]
fn a_caught_up_replica_waits_for_news() {
    assert!(matches!(pull(&mut live()), Some((_, true))));
}

#[test]
fn the_first_pull_after_a_failure_does_not_wait() {
    let mut bench = live();
    pull(&mut bench).unwrap();
    let time = bench.time();
    bench.replica(0).handle_pull_failed(time, network());
    assert_eq!(bench.replica(0).status().phase, Phase::Offline);
    bench.now += 60_000;
    let (cursor, wait) = pull(&mut bench).unwrap();
    assert!(!wait, "its answer is what says that the server is back");
    let (time, head) = (bench.time(), cursor.position);
    bench
        .replica(0)
        .handle_pulled(time, cursor, &Filter::default(), Vec::new(), head)
        .unwrap();
    assert_eq!(bench.replica(0).status().phase, Phase::Live);
}

#[test]
fn a_push_and_a_pull_that_fail_together_are_one_failure() {
    let delay = |with_push: bool| {
        let mut bench = live();
        if with_push {
            bench.note(0, "facts/0", "1");
            bench.save(0);
        }
        let time = bench.time();
        assert!(!bench.requests(0).is_empty());
        bench.replica(0).handle_pull_failed(time, network());
        bench.replica(0).handle_push_failed(time, network());
        let Some(next) = bench.replica(0).poll_timeout() else {
            panic!("it never tries again")
        };
        next.millis() - time.millis()
    };
    assert_eq!(delay(false), delay(true));
}

#[test]
fn an_online_event_is_a_reason_to_try_at_once() {
    let mut bench = live();
    pull(&mut bench).unwrap();
    let time: Timestamp = bench.time();
    bench.replica(0).handle_pull_failed(time, network());
    assert!(pull(&mut bench).is_none(), "it backs off");
    bench.replica(0).handle_online(time, true);
    assert!(pull(&mut bench).is_some());
}

/// World 500,841: its record went with the database, so memory holds the only copy until it is written again.
#[test]
fn a_parked_commit_that_was_just_brought_back_survives_the_wiped_database_and_a_full_disk() {
    let mut bench = Bench::new(1);
    bench.stranger("facts/0", "facts.learnt", "7");
    let id = bench.note(0, "facts/0", "1");
    bench.sync(0);
    assert!(bench.replica(0).parked().contains_key(&id));
    bench.replica(0).rebase(id).unwrap();
    bench.oracle.excused.insert(id);
    bench.disk.wipe(ReplicaId::from_bytes([5; 16]));
    // It learns of the wiped database, and cannot write at first.
    for _ in 0..12 {
        bench.store(0, Fault::Quota);
        bench.now += 1_100;
        let heard = bench.heard(0, id);
        assert!(
            !matches!(heard, Some(ReceiptState::Failed(_))),
            "{heard:?}: it was durable"
        );
    }
    bench.sync(0);
    assert!(bench.server.has(id));
}

/// World 500,195: its generation is lower than what a tab knows, so its hints look as if they were late.
#[test]
fn a_tab_that_does_nothing_learns_by_a_hint_that_another_database_has_taken_the_place_of_its_own() {
    let mut bench = Bench::new(2);
    for data in ["1", "2", "3", "4", "5", "6"] {
        let id = bench.note(0, "facts/0", data);
        bench.sync(0);
        bench.oracle.excused.insert(id);
    }
    bench.hint(1);
    let waits = bench.note(1, "facts/1", "7");
    bench.save(1);
    bench.hint(0);
    bench.oracle.excused.insert(waits);
    bench.disk.wipe(ReplicaId::from_bytes([5; 16]));
    let (before, tab) = (bench.replica(1).head().generation, bench.open());
    bench.note(tab, "facts/2", "8");
    bench.save(tab);
    assert!(bench.disk.content.head.generation < before);
    bench.hint(1);
    assert_eq!(bench.replica(1).id(), bench.disk.content.replica);
    bench.replica(0).handle_leadership(false);
    bench.replica(1).handle_leadership(true);
    bench.sync(1);
    assert!(bench.server.has(waits), "memory held the only copy");
}
