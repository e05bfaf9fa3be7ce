//! A replica that asks for a part of the log.

use super::app::event;
use super::bench::{Bench, stream};
use super::disk::Fault;
use super::tab::Tab;
use tidelog_core::erasure::version_ranges;
use tidelog_core::frame::{self, Body};
use tidelog_core::replica::{
    AppendError, Draft, InconsistentLog, Phase, ReceiptState, Request, StoreRequest, SyncError,
};
use tidelog_core::store::StoreOp;
use tidelog_core::{
    Commit, CommitId, Condition, Cursor, Epoch, Event, Expected, Filter, Gap, Policy, Position,
    ReplicaId, Seq, Version,
};

fn filter(kinds: &[&str], streams: &[&str]) -> Filter {
    Filter::new(kinds, streams).unwrap()
}

fn facts() -> Filter {
    filter(&["facts"], &[])
}

fn learnt(on: &str, data: &str) -> Event {
    event(&stream(on), "facts.learnt", data)
}

/// Somebody else's commit on several streams.
fn stranger_on(bench: &mut Bench, seq: u64, streams: &[&str]) {
    let commit = Commit {
        id: bench.id(),
        attempt: tidelog_core::Attempt::FIRST,
        replica: ReplicaId::from_bytes([8; 16]),
        seq: Seq::new(seq),
        conditions: Vec::new(),
        events: streams.iter().map(|on| learnt(on, "1")).collect(),
    };
    bench.at_server(&[commit]);
}

/// The commits and the gaps that the database holds, by position.
fn held(bench: &Bench) -> (Vec<CommitId>, Vec<(u64, u64)>) {
    let (mut commits, mut gaps) = (Vec::new(), Vec::new());
    for bytes in bench.disk.frames() {
        let frame = frame::decode(&bytes).unwrap();
        gaps.extend(
            frame
                .gaps
                .iter()
                .map(|record| (record.gap.from.value(), record.gap.to.value())),
        );
        if let Body::Recorded(recorded) = frame.body {
            commits.extend(recorded.iter().map(|recorded| recorded.commit.id));
        }
    }
    (commits, gaps)
}

/// What the server has of a filter.
fn asked(bench: &Bench, filter: &Filter) -> Vec<CommitId> {
    let log = bench.server.log.iter();
    let log = log.filter(|recorded| filter.matches(&recorded.commit));
    log.map(|recorded| recorded.commit.id).collect()
}

/// The tab is closed, and another one opened that asks for something else.
fn reopen(bench: &mut Bench, filter: Filter) {
    bench.hang_up(0);
    bench.tabs[0] = Tab::open_with(80, 0, &bench.disk, None, false, filter);
    bench.tabs[0].replica.handle_leadership(true);
    bench.save(0);
}

fn draft(bench: &mut Bench, conditions: Vec<Condition>, events: Vec<Event>) -> Draft {
    Draft {
        id: bench.id(),
        conditions,
        events,
        command: None,
        policy: Policy::Ask,
    }
}

fn expects(on: &str, expected: Expected) -> Condition {
    Condition {
        stream: stream(on),
        expected,
    }
}

#[test]
fn it_holds_what_it_asks_for_and_gaps_for_the_rest() {
    let mut bench = Bench::new_for(2, &facts());
    bench.stranger("other/0", "facts.learnt", "1");
    bench.stranger("other/0", "facts.learnt", "2");
    bench.stranger("facts/0", "facts.learnt", "3");
    bench.stranger("other/1", "facts.learnt", "4");
    stranger_on(&mut bench, 1, &["other/0", "facts/1"]);
    bench.sync(0);
    let own = bench.note(0, "facts/0", "5");
    bench.sync(0);
    bench.stranger("other/0", "facts.learnt", "6");
    bench.sync(0);
    bench.hint(1);
    let (commits, gaps) = held(&bench);
    assert_eq!(commits, asked(&bench, &facts()));
    assert_eq!(gaps, [(1, 2), (4, 4), (8, 8)]);
    assert_eq!(bench.position(0), Position::new(8));
    assert_eq!(bench.position(1), Position::new(8));
    assert_eq!(bench.version(1, "facts/0"), 2);
    assert!(matches!(
        bench.heard(0, own),
        Some(ReceiptState::Confirmed(position)) if *position == Position::new(7)
    ));
    assert_eq!(bench.replica(0).filter(), &facts());
    assert_eq!(bench.replica(0).status().phase, Phase::Live);
}

/// A commit comes whole if one of its streams is asked for; what is erased on another one goes all the same.
#[test]
fn an_erasure_reaches_what_came_along_with_what_was_asked_for() {
    let mut bench = Bench::new_for(1, &facts());
    let secret = Commit {
        id: bench.id(),
        attempt: tidelog_core::Attempt::FIRST,
        replica: ReplicaId::from_bytes([8; 16]),
        seq: Seq::new(1),
        conditions: Vec::new(),
        events: vec![learnt("facts/0", "1"), learnt("other/0", "\"a secret\"")],
    };
    bench.at_server(&[secret]);
    bench.sync(0);
    let is_held = |bench: &Bench| {
        bench.disk.frames().into_iter().any(|bytes| {
            let columns = frame::columns(bytes).unwrap();
            columns.payloads().contains("a secret")
        })
    };
    assert!(is_held(&bench));
    let (id, now) = (bench.id(), bench.now);
    let first = version_ranges([Version::new(1)]);
    bench.server.redact(now, id, &stream("other/0"), &first);
    bench.sync(0);
    assert!(bench.replica(0).is_to_erase());
    assert!(bench.tabs[0].erase(&mut bench.disk, Fault::None));
    bench.save(0);
    assert!(!is_held(&bench));
}

#[test]
fn a_stream_that_is_not_asked_for_takes_nothing() {
    let mut bench = Bench::new_for(1, &filter(&["facts"], &["other/7"]));
    stranger_on(&mut bench, 1, &["facts/0", "other/0"]);
    bench.sync(0);
    let outside = |bench: &mut Bench, draft: Draft| {
        let generation = bench.replica(0).head().generation;
        let error = bench.replica(0).append(draft).unwrap_err();
        assert_eq!(bench.replica(0).queue().count(), 0);
        bench.save(0);
        assert_eq!(bench.replica(0).head().generation, generation);
        let AppendError::OutsideFilter { stream, filter } = error else {
            panic!("{error}");
        };
        (stream, filter.to_string())
    };
    let told = (stream("other/0"), String::from("facts, other/7"));
    // Written, even if a commit on several streams brought a part of it.
    let written = draft(&mut bench, Vec::new(), vec![learnt("other/0", "1")]);
    assert_eq!(outside(&mut bench, written), told);
    let both = vec![learnt("facts/0", "1"), learnt("other/0", "1")];
    let both = draft(&mut bench, Vec::new(), both);
    assert_eq!(outside(&mut bench, both), told);
    // Only expected to be somewhere.
    let conditions = vec![expects("other/0", Expected::NoStream)];
    let read = draft(&mut bench, conditions, vec![learnt("facts/0", "1")]);
    assert_eq!(outside(&mut bench, read), told);
    let inside = draft(&mut bench, Vec::new(), vec![learnt("other/7", "1")]);
    bench.replica(0).append(inside).unwrap();
    bench.sync(0);
    assert_eq!(bench.version(0, "other/7"), 1);
}

/// Answers the pull of a bench with frames of the test's making.
fn answer(bench: &mut Bench, frames: Vec<Vec<u8>>) -> Result<(), InconsistentLog> {
    let requests = bench.requests(0);
    let pull = requests.into_iter().find_map(|request| match request {
        Request::Pull { cursor, filter, .. } => Some((cursor, filter)),
        _ => None,
    });
    let (cursor, filter) = pull.expect("it pulls");
    let (time, head) = (bench.time(), bench.server.head().position);
    let result = bench
        .replica(0)
        .handle_pulled(time, cursor, &filter, frames, head);
    bench.drain(0);
    bench.save(0);
    bench.now += 60_000;
    result
}

/// A bench whose last pull has failed, so that the next one is the test's to answer.
fn free(bench: &mut Bench) {
    let (time, detail) = (bench.time(), String::from("cut"));
    bench
        .replica(0)
        .handle_pull_failed(time, SyncError::Network { detail });
    bench.hang_up(0);
    bench.now += 60_000;
}

#[test]
fn a_gap_that_hides_what_is_asked_for_is_found() {
    let mut bench = Bench::new_for(1, &facts());
    for data in ["1", "2", "3"] {
        bench.stranger("facts/0", "facts.learnt", data);
    }
    free(&mut bench);
    let lie = filter(&["nothing"], &[]);
    let (hidden, _) = bench
        .server
        .pull_at(1, Cursor::default(), &lie, 1, 1)
        .unwrap();
    let cursor = Cursor {
        epoch: bench.server.epoch,
        position: Position::new(1),
        chain: bench.server.chains[&Position::new(1)],
    };
    let (rest, _) = bench.server.pull(cursor, &facts(), 9, 9).unwrap();
    let error = answer(&mut bench, [hidden, rest].concat()).unwrap_err();
    let InconsistentLog::Version {
        stream, expected, ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!((stream.as_str(), expected.value()), ("facts/0", 1));
    assert_eq!(bench.position(0), Position::START);
    bench.sync(0);
    assert_eq!(bench.version(0, "facts/0"), 3);
}

#[test]
fn who_asks_for_everything_takes_no_gap() {
    let mut bench = Bench::new(1);
    bench.stranger("other/0", "facts.learnt", "1");
    free(&mut bench);
    let (frames, _) = bench
        .server
        .pull(Cursor::default(), &facts(), 9, 9)
        .unwrap();
    let error = answer(&mut bench, frames).unwrap_err();
    assert!(matches!(error, InconsistentLog::LeftOut { .. }), "{error}");
    bench.sync(0);
    assert_eq!(bench.version(0, "other/0"), 1);
}

#[test]
fn a_server_that_sends_everything_comes_to_the_same() {
    let mut bench = Bench::new_for(1, &facts());
    for (seq, streams) in (1..).zip([
        &["other/0"][..],
        &["facts/0", "other/0"],
        &["other/0", "other/1"],
        &["facts/0"],
    ]) {
        stranger_on(&mut bench, seq, streams);
    }
    free(&mut bench);
    let everything = Filter::default();
    let (frames, _) = bench
        .server
        .pull(Cursor::default(), &everything, 3, 9)
        .unwrap();
    answer(&mut bench, frames).unwrap();
    let (commits, gaps) = held(&bench);
    assert_eq!(commits, asked(&bench, &facts()));
    assert_eq!(gaps, [(1, 1), (4, 5)]);
    assert_eq!(bench.version(0, "facts/0"), 2);
}

#[test]
fn another_filter_takes_the_place_of_the_first_when_the_server_answers() {
    let mut bench = Bench::new_for(1, &facts());
    bench.stranger("other/0", "facts.learnt", "1");
    bench.stranger("facts/0", "facts.learnt", "2");
    bench.sync(0);
    let pending = bench.note(0, "facts/0", "3");
    bench.save(0);
    let wide = filter(&["facts", "other"], &[]);
    reopen(&mut bench, wide.clone());
    // Nothing has answered: what is here still shows, and the status says what is to come.
    assert_eq!(bench.version(0, "facts/0"), 2);
    let status = bench.replica(0).status();
    assert_eq!(
        (status.filter, status.next_filter),
        (facts(), Some(wide.clone()))
    );
    let outside = draft(&mut bench, Vec::new(), vec![learnt("other/0", "1")]);
    let error = bench.replica(0).append(outside).unwrap_err();
    assert!(
        matches!(error, AppendError::OutsideFilter { .. }),
        "{error}"
    );
    bench.sync(0);
    let status = bench.replica(0).status();
    assert_eq!((status.filter, status.next_filter), (wide.clone(), None));
    let (commits, gaps) = held(&bench);
    assert_eq!(commits, asked(&bench, &wide));
    assert!(gaps.is_empty());
    assert!(bench.server.has(pending));
    assert_eq!(bench.version(0, "other/0"), 1);
    assert_eq!(bench.version(0, "facts/0"), 2);
    assert!(
        bench.disk.content.lost.is_empty(),
        "the server has lost nothing"
    );
    assert_eq!(bench.disk.content.filters.kept, wide);
}

#[test]
fn what_was_pending_on_a_stream_that_is_left_out_now_is_sent_and_settles() {
    let mut bench = Bench::new(1);
    let acked = bench.note(0, "other/0", "1");
    let commits = bench.pushes(0);
    let verdict = bench.at_server(&commits);
    bench.pushed(0, Ok(verdict));
    bench.save(0);
    let pending = bench.note(0, "other/1", "2");
    bench.save(0);
    reopen(&mut bench, facts());
    bench.sync(0);
    for id in [acked, pending] {
        assert!(bench.server.has(id));
        assert!(
            matches!(bench.heard(0, id), Some(ReceiptState::Confirmed(_))),
            "{:?}",
            bench.heard(0, id)
        );
    }
    assert_eq!(bench.replica(0).queue().count(), 0);
    assert!(bench.disk.content.pending.is_empty());
    assert_eq!(held(&bench), (Vec::new(), vec![(1, 2)]));
}

#[test]
fn a_conflict_on_a_stream_that_is_left_out_now_is_for_a_person() {
    let mut bench = Bench::new(1);
    bench.stranger("counter/0", "counter.added", "1");
    bench.sync(0);
    let late = bench.run(0, "counter/0", "counter.add", "1", Policy::Rerun);
    bench.save(0);
    bench.stranger("counter/0", "counter.added", "1");
    reopen(&mut bench, facts());
    bench.sync(0);
    assert_eq!(bench.heard(0, late), Some(&ReceiptState::Parked));
    assert_eq!(bench.replica(0).parked().len(), 1);
    for retried in [bench.replica(0).retry(late), bench.replica(0).rebase(late)] {
        assert!(
            matches!(retried, Err(AppendError::OutsideFilter { .. })),
            "{retried:?}"
        );
    }
    let all = filter(&["facts", "counter"], &[]);
    reopen(&mut bench, all);
    bench.sync(0);
    bench.replica(0).retry(late).unwrap();
    bench.sync(0);
    assert!(bench.server.has(late));
}

#[test]
fn a_restored_server_is_found_before_the_log_is_left() {
    let mut bench = Bench::new(1);
    let kept = bench.note(0, "facts/0", "1");
    bench.sync(0);
    let lost = bench.note(0, "other/0", "2");
    bench.sync(0);
    let epoch = Epoch::from_bytes([5; 16]);
    bench.server = bench.server.restored(epoch, 1);
    bench.stranger("facts/0", "facts.learnt", "3");
    bench.oracle.unordered = true;
    reopen(&mut bench, facts());
    bench.sync(0);
    assert!(bench.server.has(kept));
    assert!(bench.server.has(lost), "it was sent again");
    assert_eq!(bench.replica(0).filter(), &facts());
    assert_eq!(held(&bench).0, asked(&bench, &facts()));
    assert!(!bench.disk.content.lost.is_empty());
}

#[test]
fn the_tab_that_was_opened_last_says_what_is_asked_for() {
    let mut bench = Bench::new_for(1, &facts());
    bench.stranger("facts/0", "facts.learnt", "1");
    bench.stranger("other/0", "facts.learnt", "2");
    bench.sync(0);
    let wide = filter(&["facts", "other"], &[]);
    let newer = bench.open_for(wide.clone());
    bench.hint(0);
    let error = bench.replica(0).status().filter_error.expect("it is told");
    assert_eq!(error.code(), "filter_replaced");
    assert_eq!(bench.replica(newer).status().filter_error, None);
    // The older tab still leads, and reads what the newer one asks for.
    bench.hang_up(0);
    bench.sync(0);
    bench.hint(newer);
    assert_eq!(bench.version(newer, "other/0"), 1);
    assert_eq!(bench.version(0, "other/0"), 1);
    assert_eq!(bench.replica(newer).filter(), &wide);
    let appended = bench.note(newer, "other/0", "3");
    bench.save(newer);
    bench.hint(0);
    bench.sync(0);
    assert!(bench.server.has(appended));
}

#[test]
fn an_answer_under_another_filter_counts_for_nothing() {
    let mut bench = Bench::new_for(1, &facts());
    free(&mut bench);
    let requests = bench.requests(0);
    assert!(matches!(requests[..], [Request::Pull { .. }]));
    // Empty as it is, the log has the newer filter at once, and pulls from where it did.
    let wide = filter(&["other"], &[]);
    bench.open_for(wide.clone());
    bench.hint(0);
    let again = bench.requests(0);
    let [Request::Pull { filter, .. }] = &again[..] else {
        panic!("{again:?}");
    };
    assert_eq!(filter, &wide);
    bench.stranger("other/0", "facts.learnt", "1");
    let (frames, head) = bench
        .server
        .pull(Cursor::default(), &facts(), 9, 9)
        .unwrap();
    let time = bench.time();
    let late = bench
        .replica(0)
        .handle_pulled(time, Cursor::default(), &facts(), frames, head);
    assert_eq!(late, Ok(()));
    bench.save(0);
    assert_eq!(bench.position(0), Position::START);
    bench.hang_up(0);
    free(&mut bench);
    bench.sync(0);
    assert_eq!(bench.version(0, "other/0"), 1);
}

#[test]
fn what_a_tab_asks_for_counts_before_the_store_has_heard_of_it() {
    let mut bench = Bench::new(1);
    bench.tabs[0] = Tab::open_with(80, 0, &bench.disk, None, false, facts());
    let time = bench.time();
    // It is open when the store is read, before anything is written.
    while !bench.replica(0).is_ready() {
        bench.tabs[0].ask(time);
        while bench.tabs[0].is_asking() {
            let disk = &mut bench.disk;
            bench.tabs[0].progress(time, disk, Fault::None, 1_000);
        }
    }
    assert_eq!(bench.disk.content.filters.wanted, Filter::default());
    let outside = draft(&mut bench, Vec::new(), vec![learnt("other/0", "1")]);
    assert!(bench.replica(0).append(outside).is_err());
    let inside = draft(&mut bench, Vec::new(), vec![learnt("facts/0", "1")]);
    assert!(bench.replica(0).append(inside).is_ok());
}

#[test]
fn without_a_server_there_is_nothing_to_leave_out() {
    let mut bench = Bench::new_for(1, &facts());
    bench.stranger("other/0", "facts.learnt", "1");
    bench.stranger("facts/0", "facts.learnt", "1");
    bench.sync(0);
    // A database that holds a part goes on holding it.
    bench.tabs[0] = Tab::open_as(81, 0, &bench.disk, false);
    bench.tabs[0].replica.handle_leadership(true);
    bench.save(0);
    assert_eq!(bench.replica(0).filter(), &facts());
    let outside = draft(&mut bench, Vec::new(), vec![learnt("other/0", "1")]);
    assert!(bench.replica(0).append(outside).is_err());
}

#[test]
fn everything_is_asked_for_without_a_word_to_the_store() {
    let mut bench = Bench::new(1);
    bench.note(0, "facts/0", "1");
    let time = bench.time();
    let request = bench.replica(0).poll_store(time);
    let Some(StoreRequest::Write(batch)) = request else {
        panic!("{request:?}");
    };
    let filters = batch
        .ops
        .iter()
        .any(|op| matches!(op, StoreOp::SetFilters { .. }));
    assert!(!filters);
}

#[test]
fn gaps_survive_compaction_snapshots_and_pruning() {
    let mut bench = Bench::new_for(2, &facts());
    for _ in 0..6 {
        bench.stranger("other/0", "facts.learnt", "1");
        bench.note(0, "facts/0", "1");
        bench.sync(0);
    }
    bench.hint(1);
    assert!(bench.tabs[0].save(&mut bench.disk, &mut bench.oracle));
    let before = held(&bench);
    assert_eq!(before.1.len(), 6);
    assert!(bench.disk.compact(0, 5), "something is merged");
    assert_eq!(held(&bench), before);
    // Another tab goes on from where it stood, and one that opens begins with the snapshot.
    bench.stranger("other/0", "facts.learnt", "1");
    bench.stranger("facts/0", "facts.learnt", "1");
    bench.sync(0);
    bench.hint(1);
    assert_eq!(bench.version(1, "facts/0"), 7);
    reopen(&mut bench, facts());
    bench.sync(0);
    assert_eq!(bench.version(0, "facts/0"), 7);
    assert_eq!(held(&bench).0, asked(&bench, &facts()));
}

#[test]
fn a_gap_is_a_gap_and_no_retention() {
    let mut bench = Bench::new_for(1, &facts());
    bench.stranger("other/0", "facts.learnt", "1");
    bench.sync(0);
    let none: [Gap; 0] = [];
    assert_eq!(bench.replica(0).gaps(), none);
    assert!(bench.replica(0).is_kept(&stream("facts/9")));
    assert!(!bench.replica(0).is_kept(&stream("other/0")));
}
