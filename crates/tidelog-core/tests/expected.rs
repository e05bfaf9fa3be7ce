//! Expected versions, against the truth table and against a model of three lines.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use common::server::Server;
use common::{commit, commit_id, expecting, stream};
use proptest::collection::vec;
use proptest::prelude::*;
use tidelog_core::authority::Admission;
use tidelog_core::*;

/// What the table tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Accept,
    Duplicate,
    Conflict,
    Reject,
}

fn verdict(admission: &Admission) -> Verdict {
    match admission {
        Admission::Accept(_) => Verdict::Accept,
        Admission::Duplicate(_) => Verdict::Duplicate,
        Admission::Conflict(_) => Verdict::Conflict,
        Admission::Reject(_) => Verdict::Reject,
    }
}

fn event_id(number: u64) -> EventId {
    EventId {
        commit: commit_id(number),
        attempt: Attempt::FIRST,
        index: 0,
    }
}

fn exact(version: u64, event: Option<EventId>) -> Expected {
    Expected::Exact {
        exact: Version::new(version),
        event,
    }
}

#[test]
fn the_truth_table() {
    use Verdict::{Accept, Conflict};
    let strangers = Some(event_id(77));
    // What is expected, and the verdict on a stream without events and on one that ends with version 2 by commit 2.
    let table = [
        (Expected::Any, Accept, Accept),
        (Expected::NoStream, Accept, Conflict),
        (Expected::Exists, Conflict, Accept),
        (exact(0, None), Accept, Conflict),
        (exact(0, strangers), Accept, Conflict),
        (exact(1, None), Conflict, Conflict),
        (exact(1, Some(event_id(1))), Conflict, Conflict),
        (exact(2, None), Conflict, Accept),
        (exact(2, Some(event_id(2))), Conflict, Accept),
        (exact(2, strangers), Conflict, Conflict),
        (
            exact(
                2,
                Some(EventId {
                    index: 1,
                    ..event_id(2)
                }),
            ),
            Conflict,
            Conflict,
        ),
        (
            exact(
                2,
                Some(EventId {
                    attempt: Attempt::new(2),
                    ..event_id(2)
                }),
            ),
            Conflict,
            Conflict,
        ),
        (exact(3, None), Conflict, Conflict),
        (exact(u64::MAX, None), Conflict, Conflict),
    ];
    for (expected, without, with) in table {
        let new = expecting(commit(10, &["todo/a"]), "todo/a", expected);
        let mut server = Server::default();
        assert_eq!(
            verdict(&server.push(&new)),
            without,
            "{expected} of no stream"
        );
        // Whatever was expected, a retry of what was accepted is a duplicate, and of what was not gets the same verdict.
        let again = if without == Accept {
            Verdict::Duplicate
        } else {
            without
        };
        assert_eq!(
            verdict(&server.push(&new)),
            again,
            "{expected} of no stream, again"
        );

        let mut server = Server::default();
        for number in [1, 2] {
            assert_eq!(verdict(&server.push(&commit(number, &["todo/a"]))), Accept);
        }
        assert_eq!(
            verdict(&server.push(&new)),
            with,
            "{expected} of a stream of 2"
        );
        let again = if with == Accept {
            Verdict::Duplicate
        } else {
            with
        };
        assert_eq!(
            verdict(&server.push(&new)),
            again,
            "{expected} of a stream of 2, again"
        );
        // And so it stays after others have written.
        if with == Accept {
            server.push(&commit(20, &["todo/a"]));
            assert_eq!(
                verdict(&server.push(&new)),
                Verdict::Duplicate,
                "{expected}, later"
            );
        }
    }
}

#[test]
fn what_a_replica_saw_is_what_it_expects() {
    assert_eq!(Expected::seen(None), Expected::NoStream);
    let head = StreamHead {
        version: Version::new(4),
        last: event_id(3),
    };
    assert_eq!(Expected::seen(Some(&head)), exact(4, Some(event_id(3))));
    assert!(Expected::seen(Some(&head)).holds(Some(&head)));
}

#[test]
fn a_condition_on_a_stream_that_is_only_read_counts() {
    let mut server = Server::default();
    let reads = expecting(commit(1, &["todo/a"]), "list/x", Expected::Exists);
    let Admission::Conflict(conflicts) = server.push(&reads) else {
        panic!("nothing is there")
    };
    assert_eq!(conflicts.len(), 1);
    assert_eq!(
        (conflicts[0].check_index, &conflicts[0].stream),
        (0, &stream("list/x"))
    );
    server.push(&commit(2, &["list/x"]));
    assert_eq!(verdict(&server.push(&reads)), Verdict::Accept);
    assert_eq!(server.heads[&stream("list/x")].version, Version::new(1));
}

#[test]
fn conflicts_name_every_condition_that_does_not_hold_and_nothing_is_stored() {
    let mut server = Server::default();
    server.push(&commit(1, &["todo/a"]));
    let mut stale = commit(2, &["todo/a", "todo/b", "todo/c"]);
    for (id, expected) in [
        ("todo/a", Expected::NoStream),
        ("todo/b", Expected::Any),
        ("todo/c", exact(4, None)),
    ] {
        stale = expecting(stale, id, expected);
    }
    let Admission::Conflict(conflicts) = server.push(&stale) else {
        panic!("stale")
    };
    let told: Vec<_> = conflicts
        .iter()
        .map(|c| (c.check_index, c.stream.as_str(), c.actual.value()))
        .collect();
    assert_eq!(told, [(0, "todo/a", 1), (2, "todo/c", 0)]);
    assert_eq!(conflicts[1].expected, exact(4, None));
    assert_eq!(server.log.len(), 1);
}

/// One append: on which stream, how many events, expecting what.
#[derive(Debug, Clone, Copy)]
struct Append {
    stream: usize,
    events: u64,
    expected: Wish,
    again: bool,
}

#[derive(Debug, Clone, Copy)]
enum Wish {
    Any,
    NoStream,
    Exists,
    Exact(u64),
    Seen,
    Stranger,
}

fn append() -> impl Strategy<Value = Append> {
    let wish = prop_oneof![
        Just(Wish::Any),
        Just(Wish::NoStream),
        Just(Wish::Exists),
        (0..6_u64).prop_map(Wish::Exact),
        Just(Wish::Seen),
        Just(Wish::Stranger),
    ];
    (0..3_usize, 1..3_u64, wish, any::<bool>()).prop_map(|(stream, events, expected, again)| {
        Append {
            stream,
            events,
            expected,
            again,
        }
    })
}

proptest! {
    #[test]
    fn appends_follow_the_model(appends in vec(append(), 1..25)) {
        let names = ["todo/a", "todo/b", "list/c"];
        let mut model: [Vec<EventId>; 3] = Default::default();
        let mut server = Server::default();
        for (number, append) in (1_u64..).zip(appends) {
            let history = &mut model[append.stream];
            let version = history.len() as u64;
            let expected = match append.expected {
                Wish::Any => Expected::Any,
                Wish::NoStream => Expected::NoStream,
                Wish::Exists => Expected::Exists,
                Wish::Exact(version) => exact(version, None),
                Wish::Seen => exact(version, history.last().copied()),
                Wish::Stranger => exact(version, Some(event_id(u64::MAX))),
            };
            let events = vec![names[append.stream]; usize::try_from(append.events).unwrap()];
            let new = expecting(commit(number, &events), names[append.stream], expected);
            let admission = server.push(&new);

            let holds = match append.expected {
                Wish::Any | Wish::Seen => true,
                Wish::NoStream | Wish::Stranger => version == 0,
                Wish::Exists => version > 0,
                Wish::Exact(n) => version == n,
            };
            if holds {
                history.extend((0..events.len()).map(|index| new.event_id(index)));
            }

            let wanted = if holds { Verdict::Accept } else { Verdict::Conflict };
            prop_assert_eq!(verdict(&admission), wanted, "{} at {}", expected, version);
            if let Admission::Conflict(conflicts) = &admission {
                prop_assert_eq!(conflicts[0].actual.value(), version);
            }
            if append.again {
                let wanted = if holds { Verdict::Duplicate } else { Verdict::Conflict };
                prop_assert_eq!(verdict(&server.push(&new)), wanted);
            }
        }
        for (name, history) in names.iter().zip(&model) {
            let head = server.heads.get(&stream(name));
            prop_assert_eq!(head.map_or(0, |head| head.version.value()), history.len() as u64);
            prop_assert_eq!(head.map(|head| head.last), history.last().copied());
        }
        let total: usize = model.iter().map(Vec::len).sum();
        prop_assert_eq!(server.head.value(), total as u64);
    }
}
