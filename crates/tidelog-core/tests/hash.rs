//! Digest and chain: every field counts, and an erased payload does not break them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use common::{commit_id, full, replica, strategy, stream};
use proptest::prelude::*;
use tidelog_core::event::Reference;
use tidelog_core::hash::commit_digest;
use tidelog_core::*;

type Change<T> = (&'static str, fn(&mut T));

const AUTHORED: &[Change<Commit>] = &[
    ("id", |c| c.id = commit_id(99)),
    ("attempt", |c| c.attempt = c.attempt.next()),
    ("condition's stream", |c| {
        c.conditions[0].stream = stream("todo/z")
    }),
    ("condition: any", |c| {
        c.conditions[0].expected = Expected::Any
    }),
    ("condition: no stream", |c| {
        c.conditions[0].expected = Expected::NoStream
    }),
    ("condition: exists", |c| {
        c.conditions[0].expected = Expected::Exists
    }),
    ("expected version", |c| {
        exact(c, |exact, _| *exact = exact.next())
    }),
    ("no expected event", |c| exact(c, |_, event| *event = None)),
    ("expected event's commit", |c| {
        exact(c, |_, e| e.as_mut().unwrap().commit = commit_id(98))
    }),
    ("expected event's attempt", |c| {
        exact(c, |_, e| e.as_mut().unwrap().attempt = Attempt::new(9))
    }),
    ("expected event's index", |c| {
        exact(c, |_, e| e.as_mut().unwrap().index = 9)
    }),
    ("order of conditions", |c| c.conditions.swap(0, 1)),
    ("one condition less", |c| drop(c.conditions.pop())),
    ("stream", |c| c.events[0].stream = stream("todo/z")),
    ("type", |c| {
        c.events[0].event_type = EventType::new("todo.renamed").unwrap()
    }),
    ("schema", |c| c.events[0].schema = SchemaVersion::new(2)),
    ("data", |c| c.events[0].data = Payload::json("{ }")),
    ("digest of erased data", |c| {
        c.events[0].data = Payload::Erased(Digest::of(b"{ }"))
    }),
    ("time", |c| {
        c.events[0].occurred_at = Timestamp::from_millis(1)
    }),
    ("tag", |c| c.events[0].tags[0] = Tag::new("other").unwrap()),
    ("order of tags", |c| c.events[0].tags.swap(0, 1)),
    ("one tag less", |c| drop(c.events[0].tags.pop())),
    ("correlation id", |c| {
        c.events[0].meta.correlation_id = Some(Reference::new("x").unwrap())
    }),
    ("no correlation id", |c| {
        c.events[0].meta.correlation_id = None
    }),
    ("causation id", |c| {
        c.events[0].meta.causation_id = Some(Reference::new("x").unwrap())
    }),
    ("no causation id", |c| c.events[0].meta.causation_id = None),
    ("device", |c| {
        c.events[0].meta.device = Some(Reference::new("x").unwrap())
    }),
    ("no device", |c| c.events[0].meta.device = None),
    ("metadata under another name", |c| {
        let meta = &mut c.events[0].meta;
        core::mem::swap(&mut meta.correlation_id, &mut meta.causation_id);
    }),
    ("order of events", |c| c.events.swap(0, 1)),
    ("one event less", |c| drop(c.events.pop())),
];

const SERVERS: &[Change<Recorded>] = &[
    ("position", |r| r.position = r.position.next()),
    ("recorded time", |r| {
        r.recorded_at = Timestamp::from_millis(0)
    }),
    ("actor", |r| r.actor = Some(Subject::new("eve").unwrap())),
    ("no actor", |r| r.actor = None),
    ("versions: stream", |r| {
        r.versions[0].stream = stream("todo/z")
    }),
    ("versions: first", |r| r.versions[0].first = Version::new(1)),
    ("versions: last", |r| r.versions[0].last = Version::new(9)),
    ("order of versions", |r| r.versions.swap(0, 1)),
    ("one stream less", |r| drop(r.versions.pop())),
];

fn exact(commit: &mut Commit, change: impl FnOnce(&mut Version, &mut Option<EventId>)) {
    match &mut commit.conditions[0].expected {
        Expected::Exact { exact, event } => change(exact, event),
        other => panic!("{other} is not exact"),
    }
}

#[test]
fn every_authored_field_changes_the_digest_and_the_chain() {
    let before = full();
    for (what, change) in AUTHORED {
        let mut after = full();
        change(&mut after.commit);
        assert_ne!(
            commit_digest(&before.commit),
            commit_digest(&after.commit),
            "{what}"
        );
        assert_ne!(
            ChainHash::default().after(&before),
            ChainHash::default().after(&after),
            "{what}"
        );
    }
}

#[test]
fn every_field_of_the_servers_changes_the_chain_and_not_the_digest() {
    let before = full();
    for (what, change) in SERVERS {
        let mut after = full();
        change(&mut after);
        assert_eq!(
            commit_digest(&before.commit),
            commit_digest(&after.commit),
            "{what}"
        );
        assert_ne!(
            ChainHash::default().after(&before),
            ChainHash::default().after(&after),
            "{what}"
        );
    }
}

#[test]
fn the_chain_covers_what_came_before() {
    let other = ChainHash::from_bytes([1; 32]);
    assert_ne!(ChainHash::default().after(&full()), other.after(&full()));
}

#[test]
fn replica_and_sequence_number_stay_outside() {
    let mut restamped = full();
    restamped.commit.replica = replica(9);
    restamped.commit.seq = Seq::new(9_999);
    assert_eq!(
        commit_digest(&full().commit),
        commit_digest(&restamped.commit)
    );
    assert_eq!(
        ChainHash::default().after(&full()),
        ChainHash::default().after(&restamped)
    );
}

proptest! {
    #[test]
    fn erasing_payloads_changes_nothing(commits in strategy::recorded_run(), mask: u32) {
        let (mut whole, mut redacted) = (ChainHash::default(), ChainHash::default());
        for recorded in commits {
            let mut erased = recorded.clone();
            for (index, event) in erased.commit.events.iter_mut().enumerate() {
                if mask >> (index % 32) & 1 == 1 {
                    event.data = Payload::Erased(event.data.digest());
                }
            }
            prop_assert_eq!(commit_digest(&recorded.commit), commit_digest(&erased.commit));
            whole = whole.after(&recorded);
            redacted = redacted.after(&erased);
            prop_assert_eq!(whole, redacted);
        }
    }

    #[test]
    fn different_commits_have_different_digests(one in strategy::commit(), other in strategy::commit()) {
        let mut same = other.clone();
        (same.replica, same.seq) = (one.replica, one.seq);
        prop_assert_eq!(commit_digest(&one) == commit_digest(&other), one == same);
    }
}
