//! Directory records: which streams a stored frame may hold.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use common::strategy;
use proptest::collection::vec;
use proptest::prelude::*;
use tidelog_core::directory::{DirectoryError, DirectoryRecord, stream_hash};
use tidelog_core::*;

fn columns(commits: &[Recorded]) -> frame::Columns {
    let bytes = frame::encode_recorded(Epoch::default(), ChainHash::default(), commits);
    frame::columns(bytes).unwrap()
}

fn record() -> DirectoryRecord {
    DirectoryRecord::of(&columns(&[common::full()]))
}

#[test]
fn the_hash_is_the_published_one_and_stays_so() {
    // From draft-eastlake-fnv, appendix C.
    for (text, hash) in [
        ("", 0x811c_9dc5),
        ("a", 0xe40c_292c),
        ("b", 0xe70c_2de5),
        ("foobar", 0xbf9c_f968),
    ] {
        assert_eq!(stream_hash(text), hash, "{text:?}");
    }
    // Non-ASCII ids by their UTF-8 bytes.
    assert_eq!(stream_hash("todo/é𝄞"), 0x37c3_0213);
}

#[test]
fn a_record_sums_up_its_frame() {
    let record = record();
    assert_eq!(record.last, Position::new(13));
    assert_eq!(record.events, 3);
    assert_eq!(record.recorded_until, common::full().recorded_at);
    let mut streams = vec![stream_hash("todo/a"), stream_hash("list/b")];
    streams.sort_unstable();
    assert_eq!(record.streams, streams);
    assert!(record.may_hold(stream_hash("todo/a")));
    assert!(!record.may_hold(stream_hash("todo/b")));
}

#[test]
fn a_stream_that_is_only_expected_is_not_held() {
    let mut recorded = common::full();
    recorded.commit = common::expecting(recorded.commit, "todo/read", Expected::Exists);
    let record = DirectoryRecord::of(&columns(&[recorded]));
    assert!(!record.may_hold(stream_hash("todo/read")));
}

#[test]
fn the_latest_time_counts_where_a_servers_clock_went_back() {
    let mut second = common::full();
    second.position = Position::new(14);
    second.recorded_at = Timestamp::from_millis(5);
    let record = DirectoryRecord::of(&columns(&[common::full(), second]));
    assert_eq!(record.recorded_until, common::full().recorded_at);
}

#[test]
fn another_version_is_named_as_such() {
    let mut bytes = record().encode();
    bytes[0] = 2;
    assert_eq!(
        DirectoryRecord::decode(&bytes),
        Err(DirectoryError::Version { found: 2, known: 1 })
    );
}

#[test]
fn hashes_out_of_order_are_refused() {
    for streams in [vec![2, 1], vec![1, 1]] {
        let record = DirectoryRecord {
            streams,
            ..record()
        };
        assert_eq!(
            DirectoryRecord::decode(&record.encode()),
            Err(DirectoryError::Damaged)
        );
    }
}

proptest! {
    #[test]
    fn every_stream_of_a_frame_is_found(commits in strategy::recorded_run()) {
        let columns = columns(&commits);
        let record = DirectoryRecord::of(&columns);
        let back = DirectoryRecord::decode(&record.encode()).unwrap();
        prop_assert_eq!(&back, &record);
        for event in commits.iter().flat_map(|recorded| &recorded.commit.events) {
            prop_assert!(back.may_hold(stream_hash(event.stream.as_str())));
        }
        prop_assert_eq!(back.bytes as usize, columns.bytes().len());
    }

    #[test]
    fn damage_is_refused(at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let mut bytes = record().encode();
        let length = bytes.len();
        bytes[at.index(length)] ^= flip;
        prop_assert!(DirectoryRecord::decode(&bytes).is_err());
        bytes[at.index(length)] ^= flip;
        prop_assert!(DirectoryRecord::decode(&bytes[..at.index(length)]).is_err());
        bytes.push(0);
        prop_assert!(DirectoryRecord::decode(&bytes).is_err());
    }

    #[test]
    fn random_bytes_are_refused(bytes in vec(any::<u8>(), 0..90)) {
        prop_assert!(DirectoryRecord::decode(&bytes).is_err());
    }
}
