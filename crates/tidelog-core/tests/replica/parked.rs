//! Parked commits, in a list and as bytes.

use super::app::{any_command, any_event};
use super::bench::Bench;
use super::dice::Dice;
use super::disk::Fault;
use tidelog_core::condition::Conflict;
use tidelog_core::replica::{AppendError, Draft, ParkReason, Parked, ReceiptState, SyncError};
use tidelog_core::{
    Attempt, Commit, CommitId, Epoch, EventId, Expected, Filter, Local, Policy, ReplicaId, Seq,
    StreamId, Version,
};

fn network() -> SyncError {
    SyncError::Network {
        detail: String::from("cut"),
    }
}

fn any_parked(dice: &mut Dice) -> Parked {
    let text = |dice: &mut Dice| "é".repeat(dice.below(9));
    let reason = match dice.below(4) {
        0 => ParkReason::Conflict,
        1 => ParkReason::Refused {
            code: text(dice),
            message: text(dice),
        },
        2 => ParkReason::Rejected {
            code: text(dice),
            message: text(dice),
        },
        _ => ParkReason::UnknownCommand,
    };
    let conflicts = (0..dice.below(4)).map(|index| {
        let commit = CommitId::from_bytes(dice.id());
        let event = EventId {
            commit,
            attempt: Attempt::new(3),
            index: 2,
        };
        let exact = Version::new(dice.number() >> dice.below(64));
        Conflict {
            check_index: index as u32,
            stream: StreamId::new("facts/ö").unwrap(),
            expected: match dice.below(5) {
                0 => Expected::Any,
                1 => Expected::NoStream,
                2 => Expected::Exists,
                3 => Expected::Exact { exact, event: None },
                _ => Expected::Exact {
                    exact,
                    event: Some(event),
                },
            },
            actual: Version::new(dice.number()),
        }
    });
    let conflicts = conflicts.collect();
    let commit = Commit {
        id: CommitId::from_bytes(dice.id()),
        attempt: Attempt::FIRST,
        replica: ReplicaId::from_bytes(dice.id()),
        seq: Seq::new(dice.number() >> 11),
        conditions: Vec::new(),
        events: vec![any_event(dice)],
    };
    let command = dice.percent(50).then(|| any_command(dice));
    let local = Local {
        commit,
        command,
        policy: Policy::Ask,
    };
    Parked {
        local,
        reason,
        conflicts,
    }
}

#[test]
fn a_parked_commit_survives_its_bytes() {
    let mut dice = Dice::new(1);
    for _ in 0..500 {
        let parked = any_parked(&mut dice);
        assert_eq!(Parked::decode(&parked.encode()), Ok(parked));
    }
}

#[test]
fn no_bytes_make_the_decoder_panic() {
    let mut dice = Dice::new(2);
    for _ in 0..5_000 {
        let mut bytes = any_parked(&mut dice).encode();
        for _ in 0..1 + dice.below(4) {
            let at = dice.below(bytes.len());
            match dice.below(3) {
                0 => bytes[at] = dice.number() as u8,
                1 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, dice.number() as u8),
            }
        }
        let _whatever = Parked::decode(&bytes);
        let noise: Vec<u8> = (0..dice.below(60)).map(|_| dice.number() as u8).collect();
        let _whatever = Parked::decode(&noise);
    }
}

#[test]
fn a_commit_that_another_tab_parked_again_is_the_new_one() {
    let mut bench = Bench::new(2);
    let id = bench.note(0, "facts/0", "1");
    bench.stranger("facts/0", "facts.learnt", "2");
    for attempt in [1, 1_000] {
        bench.sync(0);
        bench.hint(1);
        let parked = &bench.replica(1).parked()[&id];
        assert_eq!(parked.local.commit.attempt.value(), attempt);
        bench.replica(0).rebase(id).unwrap();
        bench.save(0);
        bench.stranger("facts/0", "facts.learnt", "3");
    }
}

#[test]
fn a_parked_commit_that_turns_out_to_be_confirmed_is_told_so_under_another_replica_id_too() {
    let mut bench = Bench::new(1);
    let id = bench.note(0, "facts/0", "1");
    let pushed = bench.pushes(0);
    bench.pushed(0, Err(network()));
    bench.stranger("facts/0", "facts.learnt", "2");
    bench.now += 60_000;
    bench.sync(0);
    assert!(bench.replica(0).parked().contains_key(&id));
    // Another device has the same id: this one takes a new one.
    let own = bench.replica(0).id();
    let other = bench.note(0, "facts/1", "1");
    let mut answer = bench.pushes(0);
    assert_eq!(answer[0].id, other);
    answer[0].id = bench.id();
    bench.at_server(&answer);
    answer[0].id = other;
    let answer = bench.at_server(&answer);
    bench.pushed(0, Ok(answer));
    bench.sync(0);
    assert_ne!(bench.replica(0).id(), own);
    // The server goes back to before the stranger came, and the push that was given up arrives.
    bench.server = bench.server.restored(Epoch::from_bytes([3; 16]), 0);
    bench.at_server(&pushed);
    assert!(bench.server.has(id));
    bench.now += 60_000;
    bench.sync(0);
    assert!(!bench.replica(0).parked().contains_key(&id));
    assert!(matches!(
        bench.heard(0, id),
        Some(ReceiptState::Confirmed(_))
    ));
}

#[test]
fn the_id_of_a_commit_that_is_about_to_be_parked_is_in_use() {
    let mut bench = Bench::new(1);
    let id = bench.note(0, "facts/0", "1");
    bench.save(0);
    bench.stranger("facts/0", "facts.learnt", "2");
    bench.requests(0);
    let cursor = bench.replica(0).head().cursor;
    let (frames, head) = bench.server.pull(cursor, &Filter::default(), 1, 1).unwrap();
    let time = bench.time();
    bench
        .replica(0)
        .handle_pulled(time, cursor, &Filter::default(), frames, head)
        .unwrap();
    // The page is written and judged; the parked record is not written yet.
    while bench.replica(0).queue().count() > 0 {
        assert!(bench.store(0, Fault::None), "it is never judged");
    }
    assert!(bench.replica(0).parked().is_empty());
    let again = Draft {
        id,
        conditions: Vec::new(),
        events: vec![any_event(&mut Dice::new(1))],
        command: None,
        policy: Policy::Ask,
    };
    let refused = bench.replica(0).append(again);
    assert_eq!(refused, Err(AppendError::RepeatedId { id }));
}
