//! Commits as JSON: payload bytes are kept, nothing unknown is taken, times are RFC 3339.

#![cfg(feature = "json")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use common::{commit_id, full, replica, strategy};
use proptest::prelude::*;
use serde_json::{Value, json};
use tidelog_core::protocol::json::{
    CommitJson, EventJson, Instant, MetaJson, PushRequest, RecordedEventJson, is_json, recorded,
};
use tidelog_core::*;

const ODD_PAYLOADS: [&str; 9] = [
    "1e400",
    "-0.0",
    "123456789012345678901234567890",
    r#"{"a":1,"a":2,"a":3}"#,
    r#"{ "spaced" :  [ 1 ,2 ] }"#,
    r#""\u0041\/\ud834\udd1e\ud800""#,
    r#"{"__proto__":null,"":0}"#,
    "null",
    "0.1000000000000000055511151231257827021181583404541015625",
];

fn push_with(event: &str) -> Result<PushRequest, serde_json::Error> {
    serde_json::from_str(&format!(
        r#"{{"replica":"{}","commits":[{{"id":"{}","seq":1,"events":[{event}]}}]}}"#,
        replica(1),
        commit_id(1)
    ))
}

fn event_with(data: &str) -> String {
    format!(
        r#"{{"stream":"todo/a","type":"todo.added","data":{data},"occurredAt":"2024-02-29T12:00:00Z"}}"#
    )
}

#[test]
fn payload_bytes_are_kept_both_ways() {
    for payload in ODD_PAYLOADS {
        let push = push_with(&event_with(payload)).unwrap();
        let text = serde_json::to_string(&push).unwrap();
        let push: PushRequest = serde_json::from_str(&text).unwrap();
        let commit = push
            .commits
            .into_iter()
            .next()
            .unwrap()
            .into_commit(push.replica);
        assert_eq!(commit.events[0].data, Payload::json(payload));

        let mut confirmed = full();
        confirmed.commit.events[0].data = Payload::json(payload);
        let text =
            serde_json::to_string(&recorded(&confirmed, ChainHash::default()).unwrap()).unwrap();
        assert!(text.contains(&format!(r#""data":{payload},"#)), "{text}");
    }
}

#[test]
fn defaults_are_a_first_attempt_of_a_first_schema_without_conditions() {
    let push = push_with(&event_with("{}")).unwrap();
    assert_eq!(push.cursor, Cursor::default());
    let commit = push.commits[0].clone().into_commit(push.replica);
    assert_eq!(
        (commit.attempt, commit.seq, commit.replica),
        (Attempt::FIRST, Seq::new(1), replica(1))
    );
    assert_eq!(commit.events[0].schema, SchemaVersion::FIRST);
    assert!(commit.conditions.is_empty() && commit.events[0].tags.is_empty());
    assert_eq!(commit.events[0].meta, Meta::default());
}

/// A push that is right; each case of a table spoils one thing of it.
fn push() -> Value {
    json!({
        "replica": replica(1),
        "cursor": Cursor::default(),
        "commits": [{
            "id": commit_id(1), "attempt": 1, "seq": 1,
            "conditions": [{
                "stream": "todo/a",
                "expected": {"exact": 3, "event": format!("{}/1/0", commit_id(2))},
            }],
            "events": [{
                "stream": "todo/a", "type": "todo.added", "schema": 1, "data": {},
                "occurredAt": "2024-02-29T12:00:00Z", "tags": ["t"],
                "meta": {"correlationId": "c", "causationId": "d", "device": "e"},
            }],
        }],
    })
}

fn parse(push: &Value) -> Result<PushRequest, serde_json::Error> {
    serde_json::from_str(&push.to_string())
}

#[test]
fn unknown_and_server_owned_fields_are_refused_everywhere() {
    parse(&push()).unwrap();
    let places = [
        "",
        "/commits/0",
        "/commits/0/conditions/0",
        "/commits/0/conditions/0/expected",
        "/commits/0/events/0",
        "/commits/0/events/0/meta",
    ];
    for place in places {
        for field in [
            "position",
            "version",
            "recordedAt",
            "actor",
            "log",
            "chain",
            "extra",
        ] {
            let mut push = push();
            push.pointer_mut(place).unwrap()[field] = json!(1);
            assert!(parse(&push).is_err(), "{field} in {place:?}");
        }
    }
}

#[test]
fn wrong_values_are_refused() {
    let cases = [
        ("/replica", json!("not a uuid")),
        ("/cursor", json!("x:1:y")),
        ("/cursor", json!(7)),
        ("/commits", json!({})),
        (
            "/commits/0/id",
            json!(commit_id(1).to_string().to_uppercase()),
        ),
        ("/commits/0/attempt", json!(-1)),
        ("/commits/0/attempt", json!(4_294_967_296_u64)),
        ("/commits/0/attempt", json!(1.5)),
        ("/commits/0/seq", json!("1")),
        ("/commits/0/seq", json!(null)),
        ("/commits/0/conditions/0/stream", json!("todo")),
        ("/commits/0/conditions/0/expected", json!("none")),
        ("/commits/0/conditions/0/expected", json!({"exact": -1})),
        (
            "/commits/0/conditions/0/expected",
            json!({"exact": 1, "event": "x"}),
        ),
        (
            "/commits/0/conditions/0/expected",
            json!({"event": format!("{}/1/0", commit_id(2))}),
        ),
        ("/commits/0/conditions/0/expected", json!(3)),
        ("/commits/0/events/0/stream", json!("todo/\u{0}")),
        (
            "/commits/0/events/0/stream",
            json!(format!("todo/{}", "x".repeat(252))),
        ),
        ("/commits/0/events/0/type", json!("")),
        ("/commits/0/events/0/schema", json!(-1)),
        ("/commits/0/events/0/occurredAt", json!(1_700_000_000)),
        (
            "/commits/0/events/0/occurredAt",
            json!("2024-02-30T00:00:00Z"),
        ),
        (
            "/commits/0/events/0/occurredAt",
            json!("2024-02-29T12:00:00"),
        ),
        ("/commits/0/events/0/occurredAt", json!("2024-02-29")),
        ("/commits/0/events/0/tags", json!([""])),
        ("/commits/0/events/0/meta/device", json!("\u{7f}")),
    ];
    for (place, value) in cases {
        let mut push = push();
        *push.pointer_mut(place).unwrap() = value.clone();
        assert!(parse(&push).is_err(), "{value} in {place}");
    }
    for place in [
        "/commits/0/id",
        "/commits/0/seq",
        "/commits/0/events",
        "/commits/0/events/0/data",
    ] {
        let mut push = push();
        let (parent, field) = place.rsplit_once('/').unwrap();
        push.pointer_mut(parent)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove(field)
            .unwrap();
        assert!(parse(&push).is_err(), "without {place}");
    }
    assert!(push_with(&event_with("NaN")).is_err());
    assert!(push_with(&event_with("{")).is_err());
    assert!(
        push_with(&event_with("{},\"stream\":\"todo/b\"")).is_err(),
        "a field twice"
    );
}

#[test]
fn times_of_any_offset_are_one_moment_and_written_in_utc() {
    for text in [
        "2024-02-29T12:30:00.250Z",
        "2024-02-29T14:30:00.25+02:00",
        "2024-02-29T05:00:00.250999-07:30",
        "2024-03-01T12:15:00.250+23:45",
    ] {
        let time: Instant = serde_json::from_value(json!(text)).unwrap();
        assert_eq!(time.0, Timestamp::from_millis(1_709_209_800_250), "{text}");
        assert_eq!(
            serde_json::to_value(time).unwrap(),
            json!("2024-02-29T12:30:00.250Z")
        );
    }
    let epoch = Instant(Timestamp::from_millis(0));
    assert_eq!(String::from(epoch), "1970-01-01T00:00:00.000Z");
}

#[test]
fn a_confirmed_commit_has_the_agreed_shape() {
    let mut confirmed = full();
    confirmed.commit.events.truncate(2);
    confirmed.commit.events[1].data = Payload::Erased(Digest::of(b"gone"));
    confirmed.commit.events[1].tags.clear();
    confirmed.commit.events[1].meta = Meta::default();
    confirmed.actor = None;
    let chain = ChainHash::default().after(&confirmed);
    let id = confirmed.commit.id;
    assert_eq!(
        serde_json::to_value(recorded(&confirmed, chain).unwrap()).unwrap(),
        json!({
            "id": id, "attempt": 1, "replica": replica(1), "seq": 7,
            "conditions": [
                {"stream": "todo/a", "expected": {"exact": 3, "event": format!("{}/2/5", commit_id(2))}},
                {"stream": "list/b", "expected": "noStream"},
            ],
            "recordedAt": "2023-11-14T22:13:20.500Z",
            "chain": chain,
            "events": [
                {
                    "id": format!("{id}/1/0"), "stream": "todo/a", "version": 4, "position": 11,
                    "type": "todo.added", "schema": 1, "data": {},
                    "occurredAt": "2023-11-14T22:13:20.000Z", "recordedAt": "2023-11-14T22:13:20.500Z",
                    "tags": ["first", "second"],
                    "meta": {"correlationId": "request-1", "causationId": "cause-1", "device": "phone"},
                },
                {
                    "id": format!("{id}/1/1"), "stream": "list/b", "version": 1, "position": 12,
                    "type": "list.added", "schema": 1, "erased": Digest::of(b"gone"),
                    "occurredAt": "2023-11-14T22:13:20.000Z", "recordedAt": "2023-11-14T22:13:20.500Z",
                },
            ],
        })
    );
}

#[test]
fn a_null_payload_is_not_an_erased_one() {
    let mut confirmed = full();
    confirmed.commit.events[0].data = Payload::json("null");
    confirmed.commit.events[1].data = Payload::Erased(Digest::of(b"null"));
    let json = recorded(&confirmed, ChainHash::default()).unwrap();
    let read = |index: usize| {
        let text = serde_json::to_string(&json.events[index]).unwrap();
        let event: RecordedEventJson = serde_json::from_str(&text).unwrap();
        (event.data.map(|data| data.get().to_owned()), event.erased)
    };
    assert_eq!(read(0), (Some("null".into()), None));
    assert_eq!(read(1), (None, Some(Digest::of(b"null"))));
}

#[test]
fn a_payload_that_is_not_json_cannot_become_json() {
    let mut confirmed = full();
    confirmed.commit.events[0].data = Payload::json("{},{}");
    assert!(recorded(&confirmed, ChainHash::default()).is_err());
}

#[test]
fn what_counts_as_json() {
    for text in ODD_PAYLOADS {
        assert!(is_json(text), "{text}");
    }
    for text in [
        "",
        " ",
        "{",
        "{},{}",
        "1,2",
        "NaN",
        "'a'",
        "[1,]",
        "\"\n\"",
        "{}x",
        "\u{feff}{}",
        "01",
    ] {
        assert!(!is_json(text), "{text:?}");
    }
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(is_json(&nested(127)));
    assert!(is_json(r#"["[[[["]"#));
    assert!(serde_json::from_str::<Value>(&nested(127)).is_ok());
    assert!(serde_json::from_str::<Value>(&nested(128)).is_err());
    for depth in [128, 100_000] {
        assert!(!is_json(&nested(depth)), "depth {depth}");
        assert!(!is_json(&"[".repeat(depth)));
        assert!(!is_json(&r#"{"a":"#.repeat(depth)));
    }
    // Wide is not deep, and brackets in strings nest nothing.
    assert!(is_json(&format!("[{}0]", "[],".repeat(1_000))));
    assert!(is_json(&format!(r#"["\"{}"]"#, "[{".repeat(1_000))));
}

fn in_years_of_four_digits() -> impl Strategy<Value = Timestamp> {
    (-62_167_219_200_000..253_400_000_000_000_i64).prop_map(Timestamp::from_millis)
}

proptest! {
    #[test]
    fn commits_come_back(commit in strategy::commit(), time in in_years_of_four_digits(), data: String) {
        let mut commit = commit;
        let events: Vec<EventJson> = commit.events.iter_mut().map(|event| {
            let data = serde_json::to_string(&data).unwrap();
            event.data = Payload::json(&data);
            event.occurred_at = time;
            EventJson {
                stream: event.stream.clone(), event_type: event.event_type.clone(), schema: event.schema,
                data: serde_json::value::RawValue::from_string(data).unwrap(),
                occurred_at: Instant(time), tags: event.tags.clone(), meta: MetaJson::from(event.meta.clone()),
            }
        }).collect();
        let sent = CommitJson {
            id: commit.id, attempt: commit.attempt, seq: commit.seq, conditions: commit.conditions.clone(), events,
        };
        let text = serde_json::to_string(&sent).unwrap();
        let got: CommitJson = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(got.into_commit(commit.replica), commit);
    }

    #[test]
    fn recorded_events_come_back_as_text(run in strategy::recorded_run()) {
        for one in &run {
            let Ok(json) = recorded(one, ChainHash::default()) else {
                let odd = |event: &Event| event.data.text().is_some_and(|text| !is_json(text));
                prop_assert!(one.commit.events.iter().any(odd));
                continue;
            };
            for event in json.events {
                let text = serde_json::to_string(&event).unwrap();
                let back: RecordedEventJson = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(serde_json::to_string(&back).unwrap(), text);
            }
        }
    }

    #[test]
    fn every_time_is_written_so_that_it_can_be_read(time in strategy::timestamp()) {
        let text = String::from(Instant(time));
        let back = Instant::try_from(text).unwrap();
        if (-62_167_219_200_000..253_400_000_000_000).contains(&time.millis()) {
            prop_assert_eq!(back.0, time);
        }
    }

    #[test]
    fn any_text_is_refused_or_read_and_never_panics(text: String) {
        let _ = serde_json::from_str::<PushRequest>(&text);
        let _ = is_json(&text);
        let _ = Instant::try_from(text);
    }
}
