//! Talking to a server that may not answer, may lie and may be put back.

use super::bench::{Bench, stream};
use tidelog_core::replica::{InconsistentLog, ReceiptState, Request, SyncError};
use tidelog_core::{Epoch, Filter, Policy, ReplicaId, frame};

fn network() -> SyncError {
    SyncError::Network {
        detail: String::from("cut"),
    }
}

#[test]
fn a_lost_answer_leads_to_a_duplicate_and_one_confirmation() {
    let mut bench = Bench::new(1);
    let id = bench.note(0, "facts/0", "1");
    bench.save(0);
    let commits = bench.pushes(0);
    let first = bench.at_server(&commits);
    bench.pushed(0, Err(network()));
    bench.now += 60_000;
    assert_eq!(bench.pushes(0), commits, "the same attempt is sent again");
    let second = bench.at_server(&commits);
    assert_eq!(first.head, second.head);
    bench.pushed(0, Ok(second));
    bench.sync(0);
    assert_eq!(bench.server.log.len(), 1);
    assert!(matches!(
        bench.heard(0, id),
        Some(ReceiptState::Confirmed(_))
    ));
}

#[test]
fn an_acked_commit_is_immune_until_it_is_confirmed() {
    let mut bench = Bench::new(1);
    let id = bench.note(0, "facts/0", "1");
    bench.save(0);
    let commits = bench.pushes(0);
    let answer = bench.at_server(&commits);
    bench.pushed(0, Ok(answer.clone()));
    bench.save(0);
    assert!(matches!(bench.heard(0, id), Some(ReceiptState::Acked(_))));
    bench.pushed(0, Ok(answer));
    bench.pushed(0, Err(network()));
    assert_eq!(bench.replica(0).counts().acked, 1);
    assert!(bench.pushes(0).is_empty(), "it is not sent again");
    assert!(bench.replica(0).discard(id).is_err());
}

#[test]
fn no_error_of_a_request_parks_anything() {
    let detail = String::from("nope");
    let errors = [
        network(),
        SyncError::Unauthorized {
            detail: detail.clone(),
        },
        SyncError::Unavailable {
            status: 503,
            detail: detail.clone(),
            retry_after_millis: None,
        },
        SyncError::BadAnswer {
            detail: detail.clone(),
        },
        SyncError::Refused {
            status: 400,
            code: detail.clone(),
            detail,
        },
    ];
    let mut bench = Bench::new(1);
    let id = bench.note(0, "facts/0", "1");
    bench.save(0);
    for error in errors {
        assert_eq!(bench.pushes(0).len(), 1);
        let code = error.code();
        bench.pushed(0, Err(error));
        bench.save(0);
        assert!(bench.replica(0).parked().is_empty());
        assert_eq!(bench.replica(0).status().sync_error.unwrap().code(), code);
        assert!(bench.pushes(0).is_empty(), "it waits before it tries again");
        bench.now += 120_000;
    }
    bench.sync(0);
    assert!(bench.server.has(id));
}

#[test]
fn commits_reach_a_stream_in_the_order_they_were_made() {
    let mut bench = Bench::new(1);
    for number in ["1", "1", "1", "1"] {
        bench.run(0, "counter/0", "counter.add", number, Policy::Rerun);
    }
    let made: Vec<_> = bench
        .replica(0)
        .queue()
        .map(|queued| queued.local.commit.id)
        .collect();
    bench.stranger("counter/0", "counter.added", "1");
    bench.sync(0);
    let reached: Vec<_> = bench.server.log[1..]
        .iter()
        .map(|recorded| recorded.commit.id)
        .collect();
    assert_eq!(reached, made);
}

#[test]
fn a_pull_that_does_not_follow_changes_nothing_and_says_why() {
    let mut bench = Bench::new(1);
    for data in ["1", "2", "3"] {
        bench.stranger("facts/0", "facts.learnt", data);
    }
    bench.sync(0);
    let cursor = bench.replica(0).head().cursor;
    let shown = bench.shown(0);
    for data in ["4", "5"] {
        bench.stranger("facts/0", "facts.learnt", data);
    }
    let (frames, head) = bench.server.pull(cursor, &Filter::default(), 1, 9).unwrap();
    let mut flipped = frames.clone();
    *flipped[0].last_mut().unwrap() ^= 1;
    let gap = vec![frames[1].clone()];
    let chain = {
        let recorded = &bench.server.log[3..];
        vec![frame::encode_recorded(
            cursor.epoch,
            Default::default(),
            recorded,
        )]
    };
    for (lie, says) in [
        (flipped, "checksum"),
        (gap, "chain"),
        (chain, "chain"),
        (vec![Vec::new()], "frame"),
    ] {
        let (waits, time) = (bench.requests(0), bench.time());
        assert!(waits.is_empty() || matches!(waits[0], Request::Pull { .. }));
        let error: InconsistentLog = bench
            .replica(0)
            .handle_pulled(time, cursor, &Filter::default(), lie, head)
            .unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        bench.save(0);
        assert_eq!(bench.replica(0).head().cursor, cursor);
        assert_eq!(bench.shown(0), shown);
        bench.now += 60_000;
    }
    bench.sync(0);
    assert_eq!(bench.version(0, "facts/0"), 5);
}

#[test]
fn another_tab_takes_over_in_the_middle_of_a_push() {
    let mut bench = Bench::new(2);
    let id = bench.note(0, "facts/0", "1");
    bench.save(0);
    bench.hint(1);
    let commits = bench.pushes(0);
    let late = bench.at_server(&commits);
    bench.replica(0).handle_leadership(false);
    bench.replica(1).handle_leadership(true);
    bench.sync(1);
    bench.pushed(0, Ok(late));
    bench.hint(0);
    assert_eq!(bench.server.log.len(), 1);
    for tab in [0, 1] {
        assert_eq!(bench.position(tab).value(), 1);
        assert_eq!(bench.replica(tab).counts(), Default::default());
    }
    assert!(
        matches!(bench.heard(0, id), Some(ReceiptState::Confirmed(_))),
        "its own tab hears it"
    );
}

#[test]
fn a_copied_profile_takes_a_new_id_and_sends_again() {
    let mut bench = Bench::new(1);
    let old = bench.replica(0).id();
    let copy = bench.disk.clone();
    bench.note(0, "facts/0", "1");
    bench.sync(0);
    // The copy is on another device, with the same replica id and the same next sequence number.
    bench.disk = copy;
    bench.tabs.clear();
    bench.oracle = super::oracle::Oracle::default();
    let tab = bench.open();
    bench.replica(tab).handle_leadership(true);
    let id = bench.note(tab, "facts/1", "2");
    bench.sync(tab);
    assert!(bench.server.has(id));
    assert_ne!(bench.replica(tab).id(), old);
    let stored = bench.disk.content.replica;
    assert_eq!(bench.replica(tab).id(), stored);
    assert!(matches!(
        bench.heard(tab, id),
        Some(ReceiptState::Confirmed(_))
    ));
}

#[test]
fn a_restored_server_gets_its_commits_back_and_others_are_kept_as_lost() {
    let mut bench = Bench::new(1);
    let kept = bench.note(0, "facts/0", "1");
    bench.sync(0);
    let backup = bench.server.log.len();
    let own = bench.note(0, "facts/0", "2");
    bench.sync(0);
    bench.stranger("facts/1", "facts.learnt", "7");
    bench.sync(0);
    let acked = bench.note(0, "facts/0", "3");
    bench.save(0);
    let commits = bench.pushes(0);
    let answer = bench.at_server(&commits);
    bench.pushed(0, Ok(answer));
    bench.save(0);
    assert!(matches!(
        bench.heard(0, acked),
        Some(ReceiptState::Acked(_))
    ));
    bench.server = bench.server.restored(Epoch::from_bytes([3; 16]), backup);
    bench.sync(0);
    let log: Vec<_> = bench
        .server
        .log
        .iter()
        .map(|recorded| recorded.commit.id)
        .collect();
    assert_eq!(log, [kept, own, acked]);
    assert_eq!(bench.position(0).value(), 3);
    assert_eq!(bench.replica(0).shown_head(&stream("facts/1")), None);
    assert!(
        !bench.disk.content.lost.is_empty(),
        "the stranger's event is kept aside"
    );
    let stored = bench.disk.content.replica;
    assert_eq!(bench.replica(0).id(), stored);
    assert_ne!(bench.disk.content.replica, ReplicaId::default());
}

#[test]
fn what_a_server_refused_before_anything_was_read_is_sent_again_to_one_that_was_put_back() {
    let mut bench = Bench::new(1);
    for fact in ["\"a fact\"", "\"another fact\""] {
        bench.stranger("facts/0", "facts.learnt", fact);
    }
    let own = bench.note(0, "facts/0", "\"first here\"");
    let commits = bench.pushes(0);
    let answer = bench.at_server(&commits);
    bench.pushed(0, Ok(answer));
    // The history that has the conflict is gone before any of it was read, and the one after it is shorter.
    bench.server = bench.server.restored(Epoch::from_bytes([7; 16]), 0);
    bench.stranger("facts/1", "facts.learnt", "\"of the new history\"");
    bench.sync(0);
    assert!(bench.server.has(own));
    assert_eq!(bench.replica(0).counts().pending, 0);
}
