//! Columns: every event of a frame without a struct for each.

use crate::common::{self, agree, bytes::assemble, strategy};
use proptest::prelude::*;
use tidelog_core::frame::{self, FrameError};
use tidelog_core::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn they_say_what_the_commits_say(
        epoch in strategy::epoch(), chain in strategy::chain(), commits in strategy::recorded_run(),
    ) {
        for encode in [frame::encode_recorded, frame::encode_segment] {
            let bytes = encode(epoch, chain, &commits);
            let columns = agree::check(&bytes);
            prop_assert_eq!(columns.into_bytes(), bytes);
        }
    }

    /// Versions as a server gives them, over commits that come back to the same streams.
    #[test]
    fn versions_go_on_from_commit_to_commit(streams in proptest::collection::vec(
        proptest::collection::vec(0..4_u8, 1..6), 1..8,
    )) {
        let commits = common::run(&streams);
        agree::check(&frame::encode_recorded(Epoch::default(), ChainHash::default(), &commits));
        let columns = agree::check(&frame::encode_segment(Epoch::default(), ChainHash::default(), &commits));
        let mut last = [0.0; 4];
        for (name, version) in columns.stream().iter().zip(columns.version()) {
            let name = columns.name(*name);
            let stream = (0..4).find(|number| name == format!("todo/{number}")).unwrap();
            last[stream] += 1.0;
            prop_assert_eq!(*version, last[stream]);
        }
        for end in columns.streams() {
            let stream = (0..4).find(|number| end.stream == format!("todo/{number}")).unwrap();
            prop_assert_eq!(end.last.value() as f64, last[stream]);
        }
    }
}

#[test]
fn a_position_says_how_many_events_are_behind_it() {
    let bytes = frame::encode_recorded(Epoch::default(), ChainHash::default(), &[common::full()]);
    let columns = frame::columns(bytes).unwrap();
    let told = [0, 10, 11, 12, 13, 14, u64::MAX]
        .map(|position| columns.events_until(Position::new(position)));
    assert_eq!(told, [0, 0, 1, 2, 3, 3, 3]);
}

#[test]
fn what_is_not_there_is_told_as_nothing() {
    let bytes = frame::encode_recorded(Epoch::default(), ChainHash::default(), &[]);
    let columns = agree::check(&bytes);
    assert_eq!(columns.name(0), "");
    assert_eq!(columns.payload(0), None);
    assert_eq!(columns.commit_id(0), CommitId::default());
    assert_eq!(columns.replica(7), ReplicaId::default());
    assert_eq!(columns.attempt(7), Attempt::new(0));
    assert_eq!(columns.erased(0), None);
}

#[test]
fn a_local_frame_has_none() {
    let bytes = frame::encode_local(Seq::new(1), &[]);
    assert_eq!(
        frame::columns(bytes.clone()).unwrap_err(),
        FrameError::NotRecorded
    );
    assert_eq!(
        frame::chain_after(&bytes).unwrap_err(),
        FrameError::NotRecorded
    );
}

#[test]
fn sections_that_lie_are_refused() {
    // A commit: id, attempt, replica 0, seq, no conditions, one event; time, no actor, one stream: 0 at version 1.
    let commit = [&[7; 16][..], &[1, 0, 2, 0, 1], &[0, 0, 1, 0, 1, 0]].concat();
    let event = [0, 0, 1, 0, 0, 0, 0, 0, 3];
    let names = [&[1][..], &[9; 16], &[1, 3], b"a/b"].concat();
    let sections = |names: &[u8], commit: &[u8], event: &[u8], payloads: &[u8]| {
        frame::columns(assemble(true, 1, (1, 1), [names, commit, event, payloads]))
    };
    assert!(sections(&names, &commit, &event, b"{}").is_ok());
    let mut wrong_replica = commit.clone();
    wrong_replica[17] = 1;
    let mut wrong_stream = commit.clone();
    wrong_stream[24] = 1;
    let mut wrong_name = event;
    wrong_name[0] = 1;
    for (what, told) in [
        ("replica", sections(&names, &wrong_replica, &event, b"{}")),
        ("stream", sections(&names, &wrong_stream, &event, b"{}")),
        ("name", sections(&names, &commit, &wrong_name, b"{}")),
        ("long payload", sections(&names, &commit, &event, b"{},")),
        ("short payload", sections(&names, &commit, &event, b"{")),
        ("not UTF-8", sections(&names, &commit, &event, b"\xff\xff")),
        ("cut commit", sections(&names, &commit[..20], &event, b"{}")),
        ("cut event", sections(&names, &commit, &event[..5], b"{}")),
        ("cut name", sections(&names[..20], &commit, &event, b"{}")),
        (
            "more events",
            sections(&names, &commit, &[event, event].concat(), b"{},{}"),
        ),
    ] {
        assert!(
            matches!(told, Err(FrameError::Malformed { .. })),
            "{what}: {told:?}"
        );
    }
}
