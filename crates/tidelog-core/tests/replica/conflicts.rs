//! Conflicts: noticed on pull, resolved by each commit's own policy, never by anything but a verdict.

use super::app::event;
use super::bench::{Bench, stream};
use tidelog_core::commit::CommitError;
use tidelog_core::replica::{
    AppendError, Collision, Decision, Notice, ParkReason, Question, ReceiptState,
};
use tidelog_core::{Attempt, CommitId, Condition, Expected, Policy, Version};

#[test]
fn a_conflict_is_noticed_on_pull_before_any_push() {
    let mut bench = Bench::new(1);
    bench.stranger("facts/0", "facts.learnt", "7");
    let id = bench.note(0, "facts/0", "1");
    bench.pull(0);
    bench.save(0);
    assert_eq!(bench.heard(0, id), Some(&ReceiptState::Parked));
    assert!(bench.pushes(0).is_empty());
}

#[test]
fn ask_parks_with_what_was_expected_what_is_there_and_their_events() {
    let mut bench = Bench::new(1);
    bench.note(0, "facts/0", "1");
    bench.sync(0);
    bench.stranger("facts/0", "facts.learnt", "7");
    bench.stranger("facts/0", "facts.learnt", "8");
    let id = bench.note(0, "facts/0", "2");
    bench.sync(0);
    let parked = &bench.replica(0).parked()[&id];
    assert_eq!(parked.reason, ParkReason::Conflict);
    let conflict = &parked.conflicts[0];
    assert!(
        matches!(conflict.expected, Expected::Exact { exact, event: Some(_) } if exact.value() == 1)
    );
    assert_eq!(conflict.actual, Version::new(3));
    let theirs = Collision {
        stream: stream("facts/0"),
        from: Version::new(2),
        to: Version::new(3),
    };
    assert_eq!(parked.theirs(), [theirs]);
}

#[test]
fn rerun_decides_again_on_the_new_state() {
    let mut bench = Bench::new(1);
    let id = bench.run(0, "counter/0", "counter.add", "2", Policy::Rerun);
    bench.stranger("counter/0", "counter.added", "3");
    bench.sync(0);
    assert_eq!(bench.server.log.len(), 2);
    let recorded = &bench.server.log[1].commit;
    assert_eq!((recorded.id, recorded.attempt), (id, Attempt::new(2)));
}

#[test]
fn a_command_refused_on_rerun_is_parked_with_its_reason() {
    let mut bench = Bench::new(1);
    let id = bench.run(0, "counter/0", "counter.add", "2", Policy::Rerun);
    bench.stranger("counter/0", "counter.added", "6");
    bench.sync(0);
    let reason = &bench.replica(0).parked()[&id].reason;
    assert!(matches!(reason, ParkReason::Refused { code, .. } if code == "out_of_bounds"));
}

#[test]
fn a_command_that_no_longer_exists_is_parked() {
    let mut bench = Bench::new(1);
    let command = super::app::command(&stream("facts/0"), "facts.gone", "1");
    let conditions = vec![Condition {
        stream: stream("facts/0"),
        expected: Expected::NoStream,
    }];
    let events = vec![event(&stream("facts/0"), "facts.learnt", "1")];
    let id = bench.append(0, conditions, events, Some(command), Policy::Rerun);
    bench.stranger("facts/0", "facts.learnt", "7");
    bench.sync(0);
    assert_eq!(
        bench.replica(0).parked()[&id].reason,
        ParkReason::UnknownCommand
    );
}

#[test]
fn a_command_with_nothing_left_to_do_is_confirmed_without_an_event() {
    let mut bench = Bench::new(1);
    let id = bench.run(0, "todo/0", "todo.rename", "\"milk\"", Policy::Rerun);
    bench.stranger("todo/0", "todo.renamed", "\"milk\"");
    bench.sync(0);
    assert!(matches!(
        bench.heard(0, id),
        Some(ReceiptState::Confirmed(_))
    ));
    assert_eq!(bench.server.log.len(), 1);
}

#[test]
fn rebase_keeps_the_events() {
    let mut bench = Bench::new(1);
    let id = bench.run(0, "facts/0", "facts.learn", "\"mine\"", Policy::Rebase);
    bench.stranger("facts/0", "facts.learnt", "\"mine\"");
    bench.sync(0);
    assert_eq!(bench.server.log[1].commit.id, id);
    assert_eq!(
        bench.server.log[1].commit.events[0].data.text(),
        Some("\"mine\"")
    );
}

#[test]
fn what_was_built_on_a_parked_commit_follows_its_own_policy_without_it() {
    let mut bench = Bench::new(1);
    let asked = bench.note(0, "facts/0", "1");
    let rebased = bench.run(0, "facts/0", "facts.learn", "2", Policy::Rebase);
    let asked_too = bench.note(0, "facts/0", "3");
    bench.stranger("facts/0", "facts.learnt", "7");
    bench.sync(0);
    assert!(bench.server.has(rebased));
    let parked = bench.replica(0).parked();
    assert!(parked.contains_key(&asked) && parked.contains_key(&asked_too));
    assert_eq!(parked.len(), 2);
}

#[test]
fn a_condition_on_a_stream_that_is_only_read_conflicts_too() {
    let mut bench = Bench::new(1);
    let conditions = vec![Condition {
        stream: stream("facts/1"),
        expected: Expected::NoStream,
    }];
    let events = vec![event(&stream("facts/0"), "facts.learnt", "1")];
    let id = bench.append(0, conditions, events, None, Policy::Ask);
    bench.stranger("facts/1", "facts.learnt", "7");
    bench.sync(0);
    assert_eq!(
        bench.replica(0).parked()[&id].conflicts[0].stream,
        stream("facts/1")
    );
}

#[test]
fn an_unrelated_commit_is_not_held_up() {
    let mut bench = Bench::new(1);
    let parked = bench.note(0, "facts/0", "1");
    let other = bench.note(0, "facts/1", "2");
    bench.stranger("facts/0", "facts.learnt", "7");
    bench.save(0);
    let commits = bench.pushes(0);
    let answer = bench.at_server(&commits);
    assert!(bench.server.has(other) && !bench.server.has(parked));
    bench.pushed(0, Ok(answer));
    assert!(matches!(bench.heard(0, other), Some(ReceiptState::Durable)));
    bench.sync(0);
    assert!(matches!(
        bench.heard(0, other),
        Some(ReceiptState::Confirmed(_))
    ));
    assert_eq!(bench.heard(0, parked), Some(&ReceiptState::Parked));
}

#[test]
fn a_parked_commit_is_retried_rebased_or_discarded_once_even_from_two_tabs() {
    for second in 0..3 {
        let mut bench = Bench::new(2);
        let id = bench.note(0, "facts/0", "1");
        bench.stranger("facts/0", "facts.learnt", "7");
        bench.sync(0);
        bench.hint(1);
        bench.replica(0).rebase(id).unwrap();
        let again = match second {
            0 => bench.replica(1).retry(id),
            1 => bench.replica(1).rebase(id),
            _ => bench.replica(1).discard(id),
        };
        assert_eq!(again, Ok(()), "the other tab has not heard yet");
        bench.drain(1);
        bench.save(0);
        bench.save(1);
        bench.sync(0);
        bench.hint(1);
        for tab in [0, 1] {
            assert!(bench.replica(tab).parked().is_empty());
            assert_eq!(bench.version(tab, "facts/0"), 2);
            assert_eq!(
                bench.replica(tab).discard(id),
                Err(AppendError::NotParked { id })
            );
        }
        assert_eq!(bench.server.log.len(), 2);
    }
}

#[test]
fn a_discarded_commit_is_gone_for_good() {
    let mut bench = Bench::new(1);
    let id = bench.note(0, "facts/0", "1");
    bench.stranger("facts/0", "facts.learnt", "7");
    bench.sync(0);
    bench.replica(0).discard(id).unwrap();
    bench.oracle.discarded.insert(id);
    bench.sync(0);
    assert!(bench.disk.content.parked.is_empty() && !bench.server.has(id));
}

/// A fact of this device on top of one, while a stranger's arrives; its id's last byte says how the merge ends.
fn merged(ends: u8) -> (Bench, CommitId) {
    let mut bench = Bench::new(1);
    bench.note(0, "facts/0", "1");
    bench.sync(0);
    bench.stranger("facts/0", "facts.learnt", "7");
    let id = CommitId::from_bytes([ends; 16]);
    let conditions = vec![Condition {
        stream: stream("facts/0"),
        expected: Expected::seen(bench.replica(0).shown_head(&stream("facts/0")).as_ref()),
    }];
    let events = vec![event(&stream("facts/0"), "facts.learnt", "2")];
    bench.append_as(0, id, conditions, events, None, Policy::Merge);
    bench.sync(0);
    (bench, id)
}

#[test]
fn merged_events_follow_theirs_as_another_attempt() {
    let (bench, id) = merged(2);
    assert_eq!(bench.server.log.len(), 3);
    let recorded = &bench.server.log[2].commit;
    assert_eq!((recorded.id, recorded.attempt), (id, Attempt::new(2)));
    assert!(bench.tabs[0].replica.parked().is_empty());
}

#[test]
fn a_merge_with_nothing_left_to_do_settles_without_an_event() {
    let (bench, id) = merged(1);
    assert_eq!(bench.server.log.len(), 2);
    assert!(matches!(
        bench.heard(0, id),
        Some(ReceiptState::Confirmed(_))
    ));
}

#[test]
fn a_merge_that_cannot_be_made_parks_with_both_sides_and_can_be_tried_again() {
    let (mut bench, id) = merged(4);
    for _ in 0..2 {
        let parked = &bench.replica(0).parked()[&id];
        assert_eq!(parked.reason, ParkReason::Conflict);
        let theirs = Collision {
            stream: stream("facts/0"),
            from: Version::new(2),
            to: Version::new(2),
        };
        assert_eq!(parked.theirs(), [theirs]);
        bench.replica(0).retry(id).unwrap();
        bench.sync(0);
    }
}

#[test]
fn what_was_only_read_cannot_be_merged() {
    let mut bench = Bench::new(1);
    bench.stranger("facts/1", "facts.learnt", "7");
    let id = CommitId::from_bytes([2; 16]);
    let expected = Expected::NoStream;
    let conditions = ["facts/0", "facts/1"].map(|on| Condition {
        stream: stream(on),
        expected,
    });
    let events = vec![event(&stream("facts/0"), "facts.learnt", "2")];
    bench.append_as(0, id, conditions.to_vec(), events, None, Policy::Merge);
    bench.sync(0);
    assert_eq!(bench.heard(0, id), Some(&ReceiptState::Parked));
}

#[test]
fn a_parked_commit_can_be_replaced_by_what_somebody_merged() {
    let (mut bench, id) = merged(4);
    let facts = |data| event(&stream("facts/0"), "facts.learnt", data);
    let error = bench.replica(0).replace(id, Vec::new()).unwrap_err();
    assert_eq!(error, AppendError::Commit(CommitError::Empty));
    assert!(bench.replica(0).parked().contains_key(&id));
    let nobody = CommitId::from_bytes([9; 16]);
    let error = bench.replica(0).replace(nobody, vec![facts("2")]);
    assert_eq!(error, Err(AppendError::NotParked { id: nobody }));

    // Also onto a stream that it had nothing to do with.
    let other = event(&stream("facts/1"), "facts.learnt", "3");
    bench
        .replica(0)
        .replace(id, vec![facts("2"), other])
        .unwrap();
    bench.sync(0);
    let recorded = &bench.server.log[2].commit;
    assert_eq!((recorded.id, recorded.events.len()), (id, 2));
    assert_eq!(recorded.conditions.len(), 2);
    // Above every attempt that was made of it, also one that a restored server made everybody forget.
    assert_eq!(recorded.attempt, Attempt::new(1_000));
    assert!(bench.replica(0).parked().is_empty());
}

#[test]
fn an_answer_to_a_question_that_does_not_stand_changes_nothing() {
    let mut bench = Bench::new(1);
    let id = bench.run(0, "counter/0", "counter.add", "2", Policy::Rerun);
    bench.stranger("counter/0", "counter.added", "6");
    bench.sync(0);
    let replica = bench.replica(0);
    replica.retry(id).unwrap();
    let question = core::iter::from_fn(|| replica.poll_notice())
        .find_map(|notice| match notice {
            Notice::Rerun { question, .. } => Some(question),
            _ => None,
        })
        .unwrap();
    assert_eq!(question.id, id);
    let stale = Question {
        number: question.number - 1,
        ..question
    };
    let events = vec![event(&stream("counter/0"), "counter.added", "-1")];
    replica.decide(stale, Decision::Events(events.clone()));
    assert_eq!(replica.queue().count(), 0);
    replica.decide(question, Decision::Events(events));
    assert_eq!(replica.queue().count(), 1);
}

#[test]
fn what_a_command_reads_when_decided_again_is_what_its_commit_expects() {
    let mut bench = Bench::new(1);
    let (own, before, now) = (stream("seat/0"), stream("facts/0"), stream("facts/1"));
    bench.stranger("facts/1", "facts.learnt", "1");
    bench.sync(0);
    // A condition on a stream that was only read.
    let none = |stream| Condition {
        stream,
        expected: Expected::NoStream,
    };
    let conditions = vec![none(own.clone()), none(before.clone())];
    let events = vec![event(&own, "seat.taken", "1")];
    let command = super::app::command(&own, "seat.take", "1");
    let id = bench.append(0, conditions, events.clone(), Some(command), Policy::Ask);
    bench.stranger("facts/0", "facts.learnt", "2");
    bench.sync(0);
    let replica = bench.replica(0);
    assert_eq!(replica.parked()[&id].conflicts[0].stream, before);
    replica.retry(id).unwrap();
    let question = core::iter::from_fn(|| replica.poll_notice())
        .find_map(|notice| match notice {
            Notice::Rerun { question, .. } => Some(question),
            _ => None,
        })
        .unwrap();
    let reads = vec![now.clone()];
    replica.decide(question, Decision::Decided { events, reads });
    let queued = replica.queue().next().unwrap();
    let conditions = &queued.local.commit.conditions;
    let expected = |stream| {
        let mut all = conditions.iter();
        all.find(|condition| &condition.stream == stream)
            .map(|condition| condition.expected)
    };
    assert_eq!(conditions.len(), 2);
    assert_eq!(expected(&own), Some(Expected::NoStream));
    assert!(matches!(
        expected(&now),
        Some(Expected::Exact { exact, event: Some(_) }) if exact == Version::new(1)
    ));
    // And that is what conflicts from now on, not what it read at first.
    bench.stranger("facts/0", "facts.learnt", "3");
    bench.stranger("facts/1", "facts.learnt", "4");
    bench.sync(0);
    let parked = &bench.replica(0).parked()[&id];
    assert_eq!(parked.conflicts.len(), 1);
    assert_eq!(parked.conflicts[0].stream, now);
}

#[test]
fn a_command_while_a_question_stands_sees_what_was_decided_so_far() {
    let mut bench = Bench::new(1);
    let on = stream("todo/0");
    for title in ["\"a\"", "\"b\"", "\"c\""] {
        bench.run(0, "todo/0", "todo.rename", title, Policy::Rerun);
    }
    bench.save(0);
    bench.stranger("todo/0", "todo.renamed", "\"z\"");
    // Decided again one after the other, all three stay, and the fourth expects the third's new attempt.
    bench.sync(0);
    let id = bench.run(0, "todo/0", "todo.rename", "\"d\"", Policy::Ask);
    bench.sync(0);
    assert!(matches!(
        bench.heard(0, id),
        Some(ReceiptState::Confirmed(_))
    ));
    let replica = bench.replica(0);
    assert_eq!(replica.shown_head(&on).unwrap().version, Version::new(5));
}
