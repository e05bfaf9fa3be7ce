//! Appending: on screen at once, durable when the disk says so, never half.

use super::app::event;
use super::bench::{Bench, stream};
use super::disk::Fault;
use tidelog_core::replica::{AppendError, Appended, Draft, ReceiptState, StoreRequest};
use tidelog_core::store::StoreError;
use tidelog_core::{Condition, Expected, Policy, ReplicaId, Version};

#[test]
fn an_append_shows_at_once_and_is_durable_only_after_the_transaction() {
    let mut bench = Bench::new(1);
    let id = bench.note(0, "facts/0", "1");
    assert_eq!(bench.version(0, "facts/0"), 1);
    assert_eq!(bench.heard(0, id), None);
    bench.save(0);
    assert_eq!(bench.heard(0, id), Some(&ReceiptState::Durable));
}

#[test]
fn nothing_is_pushed_before_it_is_durable() {
    let mut bench = Bench::new(1);
    bench.note(0, "facts/0", "1");
    assert!(bench.pushes_now(0).is_empty());
    let time = bench.time();
    bench.tabs[0].ask(time);
    assert!(
        bench.pushes_now(0).is_empty(),
        "the transaction has not completed"
    );
    while bench.tabs[0].is_asking() {
        bench.tabs[0].progress(time, &mut bench.disk, Fault::None, 1_000);
    }
    assert_eq!(
        bench.pushes_now(0).len(),
        1,
        "the write was a look at the head, too"
    );
}

#[test]
fn an_append_that_expects_what_is_not_shown_changes_nothing() {
    let mut bench = Bench::new(1);
    bench.note(0, "facts/0", "1");
    let expected = Expected::Exact {
        exact: Version::new(4),
        event: None,
    };
    let draft = Draft {
        id: bench.id(),
        conditions: vec![Condition {
            stream: stream("facts/0"),
            expected,
        }],
        events: vec![event(&stream("facts/0"), "facts.learnt", "2")],
        command: None,
        policy: Policy::Ask,
    };
    let error = bench.replica(0).append(draft);
    let (stream, actual) = (stream("facts/0"), Version::new(1));
    assert_eq!(
        error,
        Err(AppendError::VersionConflict {
            stream,
            expected,
            actual
        })
    );
    assert_eq!(bench.version(0, "facts/0"), 1);
}

#[test]
fn a_full_disk_fails_the_commit_and_what_was_built_on_it_and_nothing_else() {
    let mut bench = Bench::new(1);
    let first = bench.note(0, "facts/0", "1");
    let time = bench.time();
    bench.tabs[0].ask(time);
    let second = bench.note(0, "facts/0", "2");
    let other = bench.note(0, "facts/1", "3");
    while bench.tabs[0].is_asking() {
        bench.tabs[0].progress(time, &mut bench.disk, Fault::Quota, 1_000);
    }
    bench.drain(0);
    for id in [first, second] {
        let full = matches!(
            bench.heard(0, id),
            Some(ReceiptState::Failed(StoreError::QuotaExceeded { .. }))
        );
        assert!(full, "{:?}", bench.heard(0, id));
    }
    assert_eq!(bench.version(0, "facts/0"), 0);
    bench.sync(0);
    assert!(bench.server.has(other) && !bench.server.has(first) && !bench.server.has(second));
}

#[test]
fn a_lost_connection_is_resolved_by_the_commit_id_either_way() {
    for (fault, applied) in [(Fault::LostAfter, true), (Fault::LostBefore, false)] {
        let mut bench = Bench::new(1);
        let id = bench.note(0, "facts/0", "1");
        bench.store(0, fault);
        assert_eq!(bench.heard(0, id), None, "its outcome is not known");
        assert_eq!(bench.version(0, "facts/0"), 1, "and it still shows");
        bench.save(0);
        assert_eq!(bench.heard(0, id), Some(&ReceiptState::Durable));
        let generation = bench.disk.content.head.generation.value();
        assert_eq!(generation, 1, "written once, applied: {applied}");
        bench.sync(0);
        assert_eq!(bench.server.log.len(), 1);
    }
}

#[test]
fn two_tabs_at_once_give_versions_without_gaps_and_see_each_other() {
    let mut bench = Bench::new(2);
    let facts = [event(&stream("facts/0"), "facts.learnt", "1")];
    for tab in [0, 1, 0, 1] {
        bench.append(tab, Vec::new(), facts.to_vec(), None, Policy::Rebase);
    }
    bench.save(0);
    bench.save(1);
    bench.hint(0);
    assert_eq!(
        (bench.version(0, "facts/0"), bench.version(1, "facts/0")),
        (4, 4)
    );
    bench.sync(0);
    bench.hint(1);
    assert_eq!(bench.server.log.len(), 4);
    assert_eq!(bench.shown(0), bench.shown(1));
}

#[test]
fn a_reload_finds_what_was_durable() {
    let mut bench = Bench::new(1);
    let id = bench.note(0, "facts/0", "1");
    bench.save(0);
    bench.tabs.clear();
    let tab = bench.open();
    assert_eq!(bench.version(tab, "facts/0"), 1);
    bench.replica(tab).handle_leadership(true);
    bench.sync(tab);
    assert!(bench.server.has(id));
}

#[test]
fn a_wiped_database_begins_again_and_gets_what_only_memory_holds() {
    let mut bench = Bench::new(1);
    bench.stranger("facts/1", "facts.learnt", "7");
    bench.sync(0);
    let id = bench.note(0, "facts/0", "1");
    bench.save(0);
    let old = bench.disk.content.replica;
    bench.disk.wipe(ReplicaId::from_bytes([5; 16]));
    bench.oracle.excused.insert(id);
    bench.note(0, "facts/0", "2");
    bench.sync(0);
    assert_ne!(bench.replica(0).id(), old);
    assert!(bench.oracle.sometimes.contains_key("reset"));
    assert_eq!(
        bench.server.log.len(),
        3,
        "both of its own are sent, the first again"
    );
    assert_eq!(bench.position(0).value(), 3);
}

#[test]
fn a_commit_larger_than_a_frame_gets_a_frame_of_its_own() {
    let mut bench = Bench::new(1);
    let large = format!("\"{}\"", "x".repeat(200_000));
    bench.note(0, "facts/0", "1");
    bench.note(0, "facts/0", &large);
    bench.note(0, "facts/0", "3");
    bench.save(0);
    assert_eq!(bench.disk.content.pending.len(), 3);
    bench.sync(0);
    assert_eq!(bench.server.log.len(), 3);
    assert!(bench.disk.content.pending.is_empty());
}

/// What another tab says it appended shows without a look at the store, and the tab writes on top of it.
#[test]
fn what_another_tab_says_it_appended_shows_without_a_read() {
    let mut bench = Bench::new(2);
    bench.note(0, "facts/0", "1");
    bench.save(0);
    let word = bench.tabs[0].appended.pop().expect("a write that appends");
    bench.replica(1).handle_appended(&word);
    bench.drain(1);
    let now = bench.time();
    assert_eq!(bench.version(1, "facts/0"), 1);
    assert_eq!(
        bench.replica(1).poll_store(now),
        None,
        "nothing is to be read"
    );
    bench.note(1, "facts/0", "2");
    bench.save(1);
    bench.hint(0);
    assert_eq!(
        (bench.version(0, "facts/0"), bench.shown(0)),
        (2, bench.shown(1))
    );
}

/// Two tabs, of which the first appended twice, and its words.
fn two_words() -> (Bench, Appended, Appended) {
    let mut bench = Bench::new(2);
    let mut word = |data| {
        bench.note(0, "facts/0", data);
        bench.save(0);
        bench.tabs[0].appended.pop().expect("a write that appends")
    };
    let (first, second) = (word("1"), word("2"));
    (bench, first, second)
}

/// Before its time, or of bytes that were changed: nothing is taken from the word, and the store is looked at.
#[test]
fn a_word_that_does_not_continue_what_is_here_is_only_a_hint() {
    let early = |_first, second| second;
    let changed = |mut first: Appended, _second| {
        let end = first.frames.len() - 1;
        first.frames[end] ^= 1;
        first
    };
    let elsewhere = |first, _second| Appended {
        replica: ReplicaId::from_bytes([9; 16]),
        ..first
    };
    let cases: [fn(Appended, Appended) -> Appended; 3] = [early, changed, elsewhere];
    for case in cases {
        let (mut bench, first, second) = two_words();
        bench.replica(1).handle_appended(&case(first, second));
        bench.drain(1);
        assert_eq!(bench.version(1, "facts/0"), 0);
        bench.save(1);
        assert_eq!(bench.version(1, "facts/0"), 2, "it looked");
    }
}

#[test]
fn a_word_that_comes_twice_counts_once() {
    let (mut bench, first, second) = two_words();
    for word in [&first, &first, &second, &first] {
        bench.replica(1).handle_appended(word);
    }
    bench.drain(1);
    let now = bench.time();
    assert_eq!(bench.version(1, "facts/0"), 2);
    assert_eq!(bench.replica(1).poll_store(now), None, "nothing new");
}

/// What this tab has not written comes behind what it is told, and is judged again: what no longer fits is parked.
#[test]
fn what_is_told_goes_before_what_is_not_written() {
    let mut bench = Bench::new(2);
    bench.note(0, "facts/0", "theirs");
    bench.save(0);
    let word = bench.tabs[0].appended.pop().expect("a write that appends");
    let facts = [event(&stream("facts/0"), "facts.learnt", "\"mine\"")];
    let late = bench.note(1, "facts/0", "expects that there is nothing");
    let mine = bench.append(1, Vec::new(), facts.to_vec(), None, Policy::Rebase);
    bench.replica(1).handle_appended(&word);
    bench.drain(1);
    let last = bench.replica(1).queue().next_back();
    assert_eq!(last.map(|queued| queued.local.commit.id), Some(mine));
    assert_eq!(bench.version(1, "facts/0"), 2);
    bench.save(1);
    assert_eq!(bench.heard(1, mine), Some(&ReceiptState::Durable));
    assert_eq!(bench.heard(1, late), Some(&ReceiptState::Parked));
    bench.hint(0);
    assert_eq!(bench.shown(0), bench.shown(1));
}

#[test]
fn a_pending_frame_is_checked_at_each_load_even_if_it_is_known() {
    let mut bench = Bench::new(1);
    let known = bench.note(0, "facts/0", "1");
    bench.save(0);
    for damaged in [false, true, false] {
        bench.now += 60_000;
        let time = bench.time();
        bench.replica(0).handle_kick(time);
        let Some(StoreRequest::Load { after }) = bench.replica(0).poll_store(time) else {
            panic!("a kicked replica looks at its store");
        };
        let mut loaded = bench.disk.load(after, usize::MAX);
        *loaded.pending[0].frame.last_mut().unwrap() ^= u8::from(damaged);
        bench.replica(0).handle_loaded(time, loaded);
        bench.drain(0);
        let error = bench.replica(0).status().store_error;
        assert_eq!(error.is_some(), damaged, "{error:?}");
        let queued: Vec<_> = bench.replica(0).queue().collect();
        assert_eq!(queued.len(), 1);
        assert_eq!(queued[0].local.commit.id, known);
    }
}
