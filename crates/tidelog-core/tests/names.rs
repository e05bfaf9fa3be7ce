//! Names, ids and cursors: hostile text is refused or kept as it is, never changed and never merged.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use common::{commit_id, strategy};
use proptest::prelude::*;
use tidelog_core::event::Reference;
use tidelog_core::text::TextError;
use tidelog_core::*;

#[test]
fn a_stream_id_is_a_kind_and_an_opaque_key() {
    let id = StreamId::new("todo/a/b").unwrap();
    assert_eq!(
        (id.kind(), id.key(), id.as_str()),
        ("todo", "a/b", "todo/a/b")
    );
    for kept in [
        "todo/..",
        "todo/../../etc/passwd",
        "todo/%2F",
        "todo/'; DROP TABLE events;--",
        "todo/\u{202e}evil",
        "todo/ ",
        "todo/\u{feff}",
        "todo/𝄞",
        "todo//",
        "todo/<script>",
        "T-1.x_y/\"",
    ] {
        assert_eq!(StreamId::new(kept).unwrap().as_str(), kept);
    }
}

#[test]
fn twins_of_unicode_are_different_streams() {
    let composed = StreamId::new("todo/\u{e9}").unwrap();
    let decomposed = StreamId::new("todo/e\u{301}").unwrap();
    assert_ne!(composed, decomposed);
    assert_ne!(
        StreamId::new("todo/A").unwrap(),
        StreamId::new("todo/a").unwrap()
    );
    assert_ne!(
        StreamId::new("todo/a").unwrap(),
        StreamId::new("todo/a ").unwrap()
    );
}

#[test]
fn bad_stream_ids_are_refused_with_the_rule_they_break() {
    let error = |text: &str| StreamId::new(text).unwrap_err();
    assert_eq!(error(""), TextError::Empty { what: "stream id" });
    assert!(matches!(
        error("todo"),
        TextError::Form {
            form: "kind/key",
            ..
        }
    ));
    assert_eq!(error("todo/"), TextError::Empty { what: "stream key" });
    assert_eq!(
        error("/a"),
        TextError::Empty {
            what: "stream kind"
        }
    );
    for control in ['\0', '\n', '\t', '\u{7f}', '\u{85}', '\u{1b}'] {
        let error = error(&format!("todo/a{control}"));
        assert!(matches!(error, TextError::Character { at: 6, found, .. } if found == control));
    }
    for kind in ["-a", ".a", "_a", "a b", "é", "a\u{202e}", "a:b", "a%2F"] {
        let error = error(&format!("{kind}/x"));
        assert!(
            matches!(
                error,
                TextError::Character {
                    what: "stream kind",
                    ..
                }
            ),
            "{kind}: {error}"
        );
    }
}

#[test]
fn the_longest_name_passes_and_one_byte_more_does_not() {
    let key = "k".repeat(limits::MAX_ID_BYTES - 2);
    StreamId::new(format!("t/{key}")).unwrap();
    let error = StreamId::new(format!("t/{key}k")).unwrap_err();
    assert_eq!(
        error,
        TextError::TooLong {
            what: "stream id",
            bytes: 257,
            max: 256
        }
    );
    let long = "é".repeat(128);
    EventType::new(&long).unwrap();
    Tag::new(&long).unwrap();
    Subject::new(&long).unwrap();
    Reference::new(&long).unwrap();
    let long = long + "x";
    assert!(EventType::new(&long).is_err() && Tag::new(&long).is_err());
    assert!(Subject::new(&long).is_err() && Reference::new(&long).is_err());
    LogName::new("l".repeat(limits::MAX_LOG_NAME_BYTES)).unwrap();
    assert!(LogName::new("l".repeat(limits::MAX_LOG_NAME_BYTES + 1)).is_err());
}

#[test]
fn a_log_s_name_is_safe_in_a_path() {
    for good in ["todos", "Loans-2024", "a.b_c", "0"] {
        assert_eq!(LogName::new(good).unwrap().as_str(), good);
    }
    for bad in [
        "", ".", "..", "../x", "a/b", "a b", "a%2e", "é", "-x", "_x", "a\0", "a\n", "a?b", "a#",
    ] {
        assert!(LogName::new(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn ids_have_one_text_form() {
    let id = "0192e4a0-7b1c-7def-8abc-0123456789ab";
    assert_eq!(id.parse::<CommitId>().unwrap().to_string(), id);
    for bad in [
        "",
        "0192E4A0-7B1C-7DEF-8ABC-0123456789AB",
        "0192e4a07b1c7def8abc0123456789ab",
        "{0192e4a0-7b1c-7def-8abc-0123456789ab}",
        "urn:uuid:0192e4a0-7b1c-7def-8abc-0123456789ab",
        "0192e4a0-7b1c-7def-8abc-0123456789a",
        "0192e4a0-7b1c-7def-8abc-0123456789ag",
        "0192e4a07-b1c-7def-8abc-0123456789ab",
        " 0192e4a0-7b1c-7def-8abc-0123456789a",
        "0192e4a0-7b1c-7def-8abc-01234567é9a",
    ] {
        assert!(bad.parse::<CommitId>().is_err(), "{bad}");
        assert!(bad.parse::<ReplicaId>().is_err() && bad.parse::<Epoch>().is_err());
    }
}

#[test]
fn event_ids_have_one_text_form() {
    let commit = commit_id(1);
    let id: EventId = format!("{commit}/2/30").parse().unwrap();
    assert_eq!(
        id,
        EventId {
            commit,
            attempt: Attempt::new(2),
            index: 30
        }
    );
    for tail in [
        "",
        "/",
        "/1",
        "/1/",
        "//1",
        "/1/2/3",
        "/+1/0",
        "/1/+0",
        "/01/0",
        "/1/00",
        "/-1/0",
        "/1/4294967296",
        "/1 /0",
        "/١/0",
        "/0x1/0",
    ] {
        assert!(
            format!("{commit}{tail}").parse::<EventId>().is_err(),
            "{tail}"
        );
    }
}

#[test]
fn cursors_have_one_text_form() {
    let (epoch, chain) = (
        Epoch::from_bytes([7; 16]),
        ChainHash::from_bytes([0xa0; 32]),
    );
    let cursor: Cursor = format!("{epoch}:12:{chain}").parse().unwrap();
    assert_eq!(
        cursor,
        Cursor {
            epoch,
            position: Position::new(12),
            chain
        }
    );
    for position in [
        "",
        "-1",
        "+1",
        "01",
        "1.0",
        "1e3",
        "18446744073709551616",
        " 1",
        "NaN",
    ] {
        assert!(
            format!("{epoch}:{position}:{chain}")
                .parse::<Cursor>()
                .is_err(),
            "{position:?}"
        );
    }
    let upper = chain.to_string().to_uppercase();
    for text in [
        String::new(),
        "12".into(),
        format!("{epoch}:12"),
        format!("{epoch}:12:{chain}:"),
        format!("{epoch}:12:{upper}"),
        format!("{epoch}:12:{}", "é".repeat(32)),
        format!("{epoch}:12:{}", &chain.to_string()[1..]),
    ] {
        assert!(text.parse::<Cursor>().is_err(), "{text:?}");
    }
}

#[test]
fn an_error_quotes_little_of_a_long_text() {
    let text = "é".repeat(100_000);
    assert!(text.parse::<CommitId>().unwrap_err().to_string().len() < 400);
    assert!(text.parse::<EventId>().unwrap_err().to_string().len() < 400);
    assert!(text.parse::<Cursor>().unwrap_err().to_string().len() < 600);
    assert!(text.parse::<ChainHash>().unwrap_err().to_string().len() < 400);
    assert!(StreamId::new(&text).unwrap_err().to_string().len() < 400);
}

#[test]
fn numbers_stay_at_the_largest_instead_of_wrapping() {
    assert_eq!(Version::new(u64::MAX).next(), Version::new(u64::MAX));
    assert_eq!(Position::new(u64::MAX - 1).plus(5), Position::new(u64::MAX));
    assert_eq!(Attempt::new(u32::MAX).next(), Attempt::new(u32::MAX));
    assert_eq!(Seq::new(1).next(), Seq::new(2));
}

proptest! {
    #[test]
    fn a_minted_id_is_a_uuid_of_version_7_that_sorts_by_time(
        one in 0..1_i64 << 48, other in 0..1_i64 << 48, random: [u8; 10], more: [u8; 10],
    ) {
        let id = CommitId::mint(Timestamp::from_millis(one), random);
        let text = id.to_string();
        prop_assert_eq!(text.as_bytes()[14], b'7');
        prop_assert!(matches!(text.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "variant of {}", text);
        prop_assert_eq!(&text.parse::<CommitId>().unwrap(), &id);
        let millis = id.as_bytes()[..6].iter().fold(0_i64, |sum, byte| sum << 8 | i64::from(*byte));
        prop_assert_eq!(millis, one);
        let later = CommitId::mint(Timestamp::from_millis(other), more);
        if one != other {
            prop_assert_eq!(id < later, one < other);
            prop_assert_eq!(id.to_string() < later.to_string(), one < other);
        }
    }

    #[test]
    fn a_minted_id_carries_the_randomness(time in strategy::timestamp(), random: [u8; 10], flip in 0..10_usize) {
        let mut other = random;
        other[flip] ^= 1;
        prop_assert_ne!(ReplicaId::mint(time, random), ReplicaId::mint(time, other));
    }

    #[test]
    fn any_text_is_refused_or_kept(text: String) {
        if let Ok(id) = StreamId::new(&text) {
            prop_assert_eq!(id.as_str(), &text);
            prop_assert_eq!(format!("{}/{}", id.kind(), id.key()), text.clone());
        }
        if let Ok(name) = EventType::new(&text) {
            prop_assert_eq!(name.to_string(), text.clone());
        }
        let _ = (text.parse::<EventId>(), text.parse::<Cursor>(), text.parse::<Digest>());
    }

    #[test]
    fn texts_of_ids_come_back(event in strategy::event_id(), cursor in strategy::cursor()) {
        let mut text = String::from("> ");
        event.push_to(&mut text);
        prop_assert_eq!(text, format!("> {event}"));
        prop_assert_eq!(event.to_string().parse::<EventId>().unwrap(), event);
        prop_assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
    }
}
