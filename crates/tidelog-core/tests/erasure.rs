//! Erasure events: what a server writes is what everybody reads, and what is none is refused or left alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use common::{commit, stream};
use proptest::prelude::*;
use tidelog_core::erasure::{
    Erasure, ErasureError, REDACTED, Reason, TOMBSTONED, VersionRange, erased_by, is_reserved,
    version_ranges,
};
use tidelog_core::*;

fn reason() -> Reason {
    Reason::new(r#"asked in "person" \o/ ✓"#).unwrap()
}

fn of_data(data: &str) -> Result<Option<Erasure>, ErasureError> {
    let mut event = commit(1, &["todo/a"]).events.remove(0);
    event.event_type = EventType::new(REDACTED).unwrap();
    event.data = Payload::json(data);
    Erasure::of(&event)
}

fn ranges(of: &[(u64, u64)]) -> Vec<VersionRange> {
    let range = |&(first, last)| VersionRange {
        first: Version::new(first),
        last: Version::new(last),
    };
    of.iter().map(range).collect()
}

/// An erasure event of `todo/a` behind `before` others.
fn recorded(erasure: &Erasure, before: u64) -> Recorded {
    let mut commit = commit(1, &["todo/a"]);
    commit.events = vec![erasure.event(&stream("todo/a"), &reason(), Timestamp::default())];
    Recorded {
        commit,
        position: Position::new(90),
        recorded_at: Timestamp::default(),
        actor: None,
        versions: vec![StreamVersions {
            stream: stream("todo/a"),
            first: Version::new(before + 1),
            last: Version::new(before + 1),
        }],
    }
}

#[test]
fn what_a_server_writes_is_json_that_tells_everything() {
    let erasure = Erasure::Redacted(ranges(&[(3, 4), (7, 7)]));
    let event = erasure.event(&stream("todo/a"), &reason(), Timestamp::from_millis(5));
    let data: serde_json::Value = serde_json::from_str(event.data.text().unwrap()).unwrap();
    let expected = serde_json::json!({"versions": [[3, 4], [7, 7]], "reason": reason().as_str()});
    assert_eq!(data, expected);
    assert_eq!(Erasure::of(&event), Ok(Some(erasure)));

    let closed = Erasure::Tombstoned.event(&stream("todo/a"), &reason(), Timestamp::default());
    let data: serde_json::Value = serde_json::from_str(closed.data.text().unwrap()).unwrap();
    assert_eq!(data, serde_json::json!({"reason": reason().as_str()}));
    assert_eq!(closed.event_type.as_str(), TOMBSTONED);
    assert_eq!(Erasure::of(&closed), Ok(Some(Erasure::Tombstoned)));
    assert!(
        [&event, &closed]
            .iter()
            .all(|event| is_reserved(&event.event_type))
    );
}

#[test]
fn another_servers_way_of_writing_it_reads_alike() {
    for data in [
        r#"{"versions":[[3,4],[7,7]]}"#,
        " { \"reason\" : \"a \\\"}] \\\\\" ,\n\"by\":{\"x\":[1,[],{}],\"y\":null}, \"versions\" : [ [ 3 , 4 ] ,[7,7] ] } ",
        r#"{"at":-1.5e3,"versions":[[3,4],[7,7]],"more":[true,"versions"]}"#,
    ] {
        let expected = Erasure::Redacted(ranges(&[(3, 4), (7, 7)]));
        assert_eq!(of_data(data), Ok(Some(expected)), "{data}");
    }
}

#[test]
fn what_cannot_be_followed_is_an_error_and_never_a_guess() {
    for data in [
        "",
        "{}",
        "null",
        r#"{"versions":[]}"#,
        r#"{"versions":[[0,1]]}"#,
        r#"{"versions":[[2,1]]}"#,
        r#"{"versions":[[1,2],[2,3]]}"#,
        r#"{"versions":[[4,5],[1,2]]}"#,
        r#"{"versions":[[1,2,3]]}"#,
        r#"{"versions":[[1.5,2]]}"#,
        r#"{"versions":[[01,2]]}"#,
        r#"{"versions":[[1,18446744073709551615]]}"#,
        r#"{"versions":[[1,99999999999999999999]]}"#,
        r#"{"versions":[[1,2]]"#,
        r#"{"versions":[[1,2]]}}"#,
        r#"{"versions":[[1,2]],"versions":[["#,
        r#"{"a":,"versions":[[1,2]]}"#,
        r#"{"a":],"versions":[[1,2]]}"#,
        r#"["versions",[[1,2]]]"#,
    ] {
        assert_eq!(of_data(data), Err(ErasureError::Malformed), "{data}");
    }
    let mut erased = Erasure::Redacted(ranges(&[(1, 1)])).event(
        &stream("todo/a"),
        &reason(),
        Timestamp::default(),
    );
    erased.data = Payload::Erased(erased.data.digest());
    assert_eq!(Erasure::of(&erased), Err(ErasureError::Malformed));
}

#[test]
fn an_app_s_event_and_a_newer_server_s_event_erase_nothing() {
    for name in ["todo.redacted", "tidelog.something", "tidelogredacted"] {
        let mut recorded = recorded(&Erasure::Redacted(ranges(&[(1, 1)])), 1);
        recorded.commit.events[0].event_type = EventType::new(name).unwrap();
        assert_eq!(erased_by(&recorded), Ok(Vec::new()), "{name}");
    }
}

#[test]
fn an_erasure_reaches_back_and_never_itself() {
    let erasure = Erasure::Redacted(ranges(&[(2, 3), (5, 9)]));
    let todo = stream("todo/a");
    assert_eq!(
        erased_by(&recorded(&erasure, 9)),
        Ok(vec![(&todo, ranges(&[(2, 3), (5, 9)]))])
    );
    assert_eq!(
        erased_by(&recorded(&erasure, 8)),
        Err(ErasureError::NotBefore {
            version: Version::new(9),
            named: Version::new(9),
        })
    );
    assert_eq!(
        erased_by(&recorded(&Erasure::Tombstoned, 9)),
        Ok(Vec::new())
    );
}

#[test]
fn a_reason_is_short_text_without_control_characters() {
    assert!(Reason::new("x".repeat(limits::MAX_REASON_BYTES)).is_ok());
    for bad in ["", "line\nbreak", &"x".repeat(limits::MAX_REASON_BYTES + 1)] {
        assert!(Reason::new(bad).is_err());
    }
}

proptest! {
    #[test]
    fn versions_survive_the_way_through_ranges_and_json(
        versions in prop::collection::btree_set(1_u64..60, 1..30),
    ) {
        let found = version_ranges(versions.iter().rev().map(|&version| Version::new(version)));
        for version in 0..61 {
            let holds = found.iter().any(|range| range.holds(Version::new(version)));
            prop_assert_eq!(holds, versions.contains(&version));
        }
        prop_assert!(found.windows(2).all(|two| two[0].last.next() < two[1].first));
        let erasure = Erasure::Redacted(found);
        let event = erasure.event(&stream("todo/a"), &reason(), Timestamp::default());
        prop_assert_eq!(Erasure::of(&event), Ok(Some(erasure)));
    }

    #[test]
    fn any_text_gives_ranges_or_a_typed_error(data in "[\\[\\]{}:,\" 0-9a-z\\\\é]{0,40}") {
        match of_data(&data) {
            Ok(Some(Erasure::Redacted(ranges))) => prop_assert!(!ranges.is_empty()),
            other => prop_assert_eq!(other, Err(ErasureError::Malformed)),
        }
        let _ = of_data(&format!("{{\"versions\":[[1,2]],{data}"));
    }
}
