//! The frame codec: what is encoded comes back, and no bytes at all make the decoder panic or lie.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may fail by panicking"
)]

#[path = "frame/columns.rs"]
mod columns;
mod common;
#[path = "frame/gaps.rs"]
mod gaps;
#[path = "frame/merge.rs"]
mod merge;

use common::bytes::{assemble, crc32c, repair};
use common::strategy;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tidelog_core::frame::{self, Body, FrameError};
use tidelog_core::*;

fn payloads<'a>(commits: impl Iterator<Item = &'a Commit>) -> String {
    let texts: Vec<&str> = commits
        .flat_map(|commit| &commit.events)
        .map(|event| event.data.text().unwrap_or("null"))
        .collect();
    texts.join(",")
}

/// Anything that an encoder may write.
fn frame_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (
            strategy::epoch(),
            strategy::chain(),
            strategy::recorded_run()
        )
            .prop_map(|(epoch, chain, commits)| frame::encode_recorded(epoch, chain, &commits)),
        (
            strategy::epoch(),
            strategy::chain(),
            strategy::recorded_run()
        )
            .prop_map(|(epoch, chain, commits)| frame::encode_segment(epoch, chain, &commits)),
        (strategy::number(), vec(strategy::local(), 0..4))
            .prop_map(|(first, commits)| frame::encode_local(Seq::new(first), &commits)),
    ]
}

/// Decodes; what decodes must also encode and decode to the same again.
fn survives(bytes: &[u8]) -> Result<(), FrameError> {
    let header = frame::header(bytes);
    let _ = frame::split(bytes);
    let columns = frame::columns(bytes.to_vec());
    let decoded = frame::decode(bytes)?;
    let first = header.as_ref().unwrap().first;
    let again = match &decoded.body {
        Body::Recorded(commits) => {
            assert!(columns.is_ok(), "decoded, but has no columns");
            let segment = frame::encode_segment(decoded.epoch, decoded.chain_before, commits);
            assert_eq!(frame::decode(&segment).unwrap().body, decoded.body);
            frame::encode_recorded(decoded.epoch, decoded.chain_before, commits)
        }
        Body::Local(commits) => frame::encode_local(Seq::new(first), commits),
    };
    assert_eq!(frame::decode(&again).unwrap().body, decoded.body);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn recorded_commits_come_back_as_they_were(
        epoch in strategy::epoch(), chain in strategy::chain(), commits in strategy::recorded_run(),
        segment: bool,
    ) {
        let encode = if segment { frame::encode_segment } else { frame::encode_recorded };
        let bytes = encode(epoch, chain, &commits);
        let header = frame::header(&bytes).unwrap();
        prop_assert_eq!(header.format, 1 + u8::from(segment));
        let decoded = frame::decode(&bytes).unwrap();
        let events: usize = commits.iter().map(|recorded| recorded.commit.events.len()).sum();
        prop_assert!(header.recorded);
        prop_assert_eq!(header.length, bytes.len());
        prop_assert_eq!((header.commits as usize, header.events as usize), (commits.len(), events));
        prop_assert_eq!((header.epoch, header.chain_before), (epoch, chain));
        prop_assert_eq!((decoded.epoch, decoded.chain_before), (epoch, chain));
        if let (Some(first), Some(last)) = (commits.first(), commits.last()) {
            prop_assert_eq!(header.first_position(), first.position);
            if events > 0 && !last.commit.events.is_empty() {
                prop_assert_eq!(header.last_position(), last.last_position());
            }
        }
        let texts = payloads(commits.iter().map(|recorded| &recorded.commit));
        prop_assert_eq!(&*decoded.payloads, texts.as_str());
        prop_assert_eq!(decoded.body, Body::Recorded(commits));
    }

    #[test]
    fn local_commits_come_back_with_their_commands(
        first in strategy::number(), commits in vec(strategy::local(), 0..5),
    ) {
        let bytes = frame::encode_local(Seq::new(first), &commits);
        let header = frame::header(&bytes).unwrap();
        prop_assert!(!header.recorded);
        prop_assert_eq!(header.first, first);
        let decoded = frame::decode(&bytes).unwrap();
        prop_assert_eq!(decoded.epoch, Epoch::default());
        prop_assert_eq!(decoded.chain_before, ChainHash::default());
        prop_assert_eq!(decoded.body, Body::Local(commits));
    }

    #[test]
    fn encoding_is_deterministic(commits in strategy::recorded_run()) {
        let once = frame::encode_recorded(Epoch::default(), ChainHash::default(), &commits);
        let Body::Recorded(back) = frame::decode(&once).unwrap().body else { unreachable!() };
        prop_assert_eq!(frame::encode_recorded(Epoch::default(), ChainHash::default(), &back), once);
        let once = frame::encode_segment(Epoch::default(), ChainHash::default(), &back);
        let Body::Recorded(back) = frame::decode(&once).unwrap().body else { unreachable!() };
        prop_assert_eq!(frame::encode_segment(Epoch::default(), ChainHash::default(), &back), once);
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..400)) {
        prop_assert!(survives(&bytes).is_err());
    }

    #[test]
    fn random_sections_behind_a_true_header_never_panic(
        recorded: bool, first in strategy::number(), commits in strategy::small(), events in 0..9_u32,
        names in vec(0..8_u8, 0..60), commits_section in vec(0..8_u8, 0..90),
        events_section in vec(any::<u8>(), 0..60), payloads in vec(44..50_u8, 0..9),
    ) {
        let sections = [&names[..], &commits_section, &events_section, &payloads];
        let _ = survives(&assemble(recorded, first, (commits, events), sections));
    }

    #[test]
    fn a_changed_frame_is_refused(
        mut bytes in frame_bytes(), at in any::<Index>(), flip in 1..=255_u8,
    ) {
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(frame::decode(&bytes).is_err());
    }

    #[test]
    fn a_truncated_frame_is_refused_at_every_length(bytes in frame_bytes()) {
        for length in 0..bytes.len() {
            let cut = &bytes[..length];
            let error = frame::decode(cut).unwrap_err();
            prop_assert!(matches!(error, FrameError::Truncated { have, .. } if have == length), "{error}");
            if length > 0 {
                prop_assert!(frame::split(cut).is_err());
            }
        }
    }

    #[test]
    fn trailing_bytes_are_refused(mut bytes in frame_bytes(), more in vec(any::<u8>(), 1..9)) {
        bytes.extend(more);
        prop_assert!(frame::decode(&bytes).is_err());
    }

    #[test]
    fn a_sequence_of_frames_splits_into_them(frames in vec(frame_bytes(), 0..6), junk in vec(any::<u8>(), 1..90)) {
        let mut sequence = frames.concat();
        prop_assert_eq!(frame::split(&sequence).unwrap(), frames);
        sequence.extend(junk);
        prop_assert!(frame::split(&sequence).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// The checksum is made true again, so that the decoder behind it meets the damage.
    #[test]
    fn damage_behind_a_true_checksum_never_panics(
        mut bytes in frame_bytes(),
        changes in vec((any::<Index>(), prop_oneof![0..6_u8, any::<u8>()]), 1..4),
        cut in prop_oneof![3 => Just(None), 1 => any::<Index>().prop_map(Some)],
        insert in prop_oneof![3 => Just(None), 1 => (any::<Index>(), any::<u8>()).prop_map(Some)],
    ) {
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some((at, byte)) = insert {
            bytes.insert(at.index(bytes.len()), byte);
        }
        if let Some(at) = cut {
            bytes.remove(at.index(bytes.len()));
        }
        repair(&mut bytes);
        let stopped = matches!(
            survives(&bytes),
            Err(FrameError::Checksum { .. } | FrameError::Truncated { .. })
        );
        // A frame with gaps begins with eight bytes more.
        let header = if bytes.get(4) == Some(&3) { 88 } else { 80 };
        prop_assert!(!stopped || bytes.len() < header, "the checksum hid the decoder");
    }
}

#[test]
fn the_repair_helper_reaches_the_decoder() {
    let mut bytes =
        frame::encode_recorded(Epoch::default(), ChainHash::default(), &[common::full()]);
    let whole = bytes.clone();
    repair(&mut bytes);
    assert_eq!(bytes, whole);
    bytes[44] += 1;
    assert!(matches!(
        frame::decode(&bytes),
        Err(FrameError::Checksum { .. })
    ));
    repair(&mut bytes);
    let error = frame::decode(&bytes).unwrap_err();
    assert!(
        matches!(
            error,
            FrameError::Malformed {
                field: "number of events",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn an_assembled_empty_frame_decodes() {
    let bytes = assemble(true, 5, (0, 0), [&[0, 0], &[], &[], &[]]);
    assert_eq!(frame::decode(&bytes).unwrap().body, Body::Recorded(vec![]));
}

#[test]
fn foreign_and_newer_bytes_are_named_as_such() {
    assert!(matches!(
        frame::decode(b"PK\x03\x04 and so on"),
        Err(FrameError::NotAFrame)
    ));
    assert!(matches!(
        frame::decode(b"TI"),
        Err(FrameError::Truncated { have: 2, need: 80 })
    ));
    let good = frame::encode_local(Seq::new(1), &[]);
    let mut newer = good.clone();
    newer[4] = 4;
    repair(&mut newer);
    assert_eq!(
        frame::decode(&newer),
        Err(FrameError::NewerFormat {
            found: 4,
            newest: 3
        })
    );
    // Format 2 has no local frames.
    for (at, value) in [(4, 0), (4, 2), (5, 2), (5, 0x80), (6, 1), (7, 1)] {
        let mut bytes = good.clone();
        bytes[at] = value;
        repair(&mut bytes);
        let error = frame::decode(&bytes).unwrap_err();
        assert!(
            matches!(error, FrameError::Malformed { field: "flags", .. }),
            "byte {at}: {error}"
        );
    }
}

#[test]
fn numbers_that_no_encoder_writes_are_refused() {
    // The dictionary begins with its number of replicas.
    for dictionary in [
        &[0x80, 0x00, 0x00][..], // 0 in two bytes
        &[
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00,
        ], // over 64 bits
        &[
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00,
        ], // never ends
        &[0x80],
        &[0, 0, 0], // something left over
    ] {
        let bytes = assemble(true, 1, (0, 0), [dictionary, &[], &[], &[]]);
        assert!(
            matches!(frame::decode(&bytes), Err(FrameError::Malformed { .. })),
            "{dictionary:?}"
        );
    }
}

#[test]
fn names_in_a_frame_follow_the_rules_of_names() {
    let mut good =
        frame::encode_recorded(Epoch::default(), ChainHash::default(), &[common::full()]);
    let at = good
        .windows(6)
        .position(|window| window == b"todo/a")
        .unwrap();
    good[at + 4] = b'\n';
    repair(&mut good);
    assert!(matches!(frame::decode(&good), Err(FrameError::Name(_))));
    good[at + 4] = 0xff;
    repair(&mut good);
    assert!(matches!(
        frame::decode(&good),
        Err(FrameError::Malformed { .. })
    ));
}

#[test]
fn positions_past_the_largest_number_are_refused() {
    let commits = [common::full(), common::full()];
    let mut bytes = frame::encode_recorded(Epoch::default(), ChainHash::default(), &commits);
    bytes[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
    repair(&mut bytes);
    assert!(matches!(
        frame::decode(&bytes),
        Err(FrameError::Malformed {
            field: "first position",
            ..
        })
    ));
}

#[test]
fn a_commit_of_a_mebibyte_gets_a_frame_of_its_own() {
    let mut commit = common::commit(1, &["todo/a"]);
    commit.events[0].data = Payload::json(&format!("\"{}\"", "x".repeat(1024 * 1024)));
    let local = Local {
        commit,
        command: None,
        policy: Policy::Ask,
    };
    let bytes = frame::encode_local(Seq::new(1), std::slice::from_ref(&local));
    assert_eq!(
        frame::decode(&bytes).unwrap().body,
        Body::Local(vec![local])
    );
}

#[test]
fn payloads_of_a_frame_parse_as_one_array() {
    let mut recorded = common::full();
    recorded.commit.events[1].data = Payload::Erased(Digest::of(b"gone"));
    let bytes = frame::encode_recorded(Epoch::default(), ChainHash::default(), &[recorded]);
    let payloads = frame::decode(&bytes).unwrap().payloads;
    let array: serde_json::Value = serde_json::from_str(&format!("[{payloads}]")).unwrap();
    assert_eq!(array, serde_json::json!([{}, null, {}]));
}

#[test]
fn the_helper_computes_the_published_checksum() {
    assert_eq!(crc32c(b"1234", b"56789"), 0xe306_9283); // the check value of the CRC catalogue
    assert_eq!(crc32c(&[0; 16], &[0; 16]), 0x8a91_36aa); // RFC 3720 B.4, 32 bytes of zeros
}
