//! Strategies. Numbers and texts lean to their edges; streams are drawn from few, so that they meet.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tidelog_core::event::Reference;
use tidelog_core::*;

/// Any 64-bit number, often an edge.
pub fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => 0..200_u64,
        1 => Just(u64::MAX),
        1 => Just(u64::MAX - 1),
        1 => Just(1 << 53),
        1 => Just(u64::from(u32::MAX) + 1),
        2 => any::<u64>(),
    ]
}

/// Any 32-bit number, often an edge.
pub fn small() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 0..4_u32, 1 => Just(u32::MAX), 1 => any::<u32>()]
}

pub fn timestamp() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        4 => 1_600_000_000_000..1_900_000_000_000_i64,
        1 => Just(i64::MAX),
        1 => Just(i64::MIN),
        1 => any::<i64>(),
    ]
    .prop_map(Timestamp::from_millis)
}

/// Text without control characters, of any script, at most 256 bytes.
pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{1,8}",
        2 => "\\PC{1,20}",
        1 => "[a-z𝄞\u{202e}é\u{301}\u{feff}\"\\\\',./]{1,12}",
        1 => Just("x".repeat(256)),
        1 => Just("𝄞".repeat(64)),
    ]
    .prop_filter("no control characters", |text| {
        !text.chars().any(char::is_control)
    })
}

pub fn stream_id() -> impl Strategy<Value = StreamId> {
    let key = text().prop_map(|text| {
        let fits = text
            .char_indices()
            .take_while(|(at, c)| at + c.len_utf8() <= 240);
        fits.map(|(_, c)| c).collect::<String>()
    });
    prop_oneof![
        6 => "[ab]/[0-3]",
        1 => ("[a-zA-Z0-9][a-zA-Z0-9._-]{0,8}", key).prop_map(|(kind, key)| format!("{kind}/{key}")),
        1 => Just("todo/../a/b//".to_owned()),
    ]
    .prop_map(|id| StreamId::new(id).unwrap())
}

pub fn event_type() -> impl Strategy<Value = EventType> {
    text().prop_map(|text| EventType::new(text).unwrap())
}

pub fn tag() -> impl Strategy<Value = Tag> {
    text().prop_map(|text| Tag::new(text).unwrap())
}

pub fn reference() -> impl Strategy<Value = Reference> {
    text().prop_map(|text| Reference::new(text).unwrap())
}

pub fn subject() -> impl Strategy<Value = Subject> {
    text().prop_map(|text| Subject::new(text).unwrap())
}

/// JSON text as authors write it, and text that only looks like it: core keeps both.
pub fn payload_text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("{}".to_owned()),
        1 => Just(String::new()),
        1 => Just("null".to_owned()),
        1 => Just("1e400".to_owned()),
        1 => Just(r#"{"a":1,"a":2 , "b":123456789012345678901234567890}"#.to_owned()),
        1 => Just(",,".to_owned()),
        2 => any::<String>(),
        1 => Just(format!("\"{}\"", "é".repeat(300))),
    ]
}

pub fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        5 => payload_text().prop_map(|text| Payload::json(&text)),
        1 => any::<[u8; 32]>().prop_map(|bytes| Payload::Erased(Digest::from_bytes(bytes))),
    ]
}

pub fn commit_id() -> impl Strategy<Value = CommitId> {
    any::<[u8; 16]>().prop_map(CommitId::from_bytes)
}

pub fn replica_id() -> impl Strategy<Value = ReplicaId> {
    prop_oneof![
        3 => (0..3_u8).prop_map(|byte| [byte; 16]),
        1 => any::<[u8; 16]>(),
    ]
    .prop_map(ReplicaId::from_bytes)
}

pub fn epoch() -> impl Strategy<Value = Epoch> {
    any::<[u8; 16]>().prop_map(Epoch::from_bytes)
}

pub fn chain() -> impl Strategy<Value = ChainHash> {
    any::<[u8; 32]>().prop_map(ChainHash::from_bytes)
}

pub fn cursor() -> impl Strategy<Value = Cursor> {
    (epoch(), number(), chain()).prop_map(|(epoch, position, chain)| Cursor {
        epoch,
        position: Position::new(position),
        chain,
    })
}

pub fn event_id() -> impl Strategy<Value = EventId> {
    (commit_id(), small(), small()).prop_map(|(commit, attempt, index)| EventId {
        commit,
        attempt: Attempt::new(attempt),
        index,
    })
}

pub fn expected() -> impl Strategy<Value = Expected> {
    prop_oneof![
        Just(Expected::Any),
        Just(Expected::NoStream),
        Just(Expected::Exists),
        (number(), option::of(event_id())).prop_map(|(exact, event)| Expected::Exact {
            exact: Version::new(exact),
            event
        }),
    ]
}

pub fn condition() -> impl Strategy<Value = Condition> {
    (stream_id(), expected()).prop_map(|(stream, expected)| Condition { stream, expected })
}

pub fn meta() -> impl Strategy<Value = Meta> {
    (
        option::of(reference()),
        option::of(reference()),
        option::of(reference()),
    )
        .prop_map(|(correlation_id, causation_id, device)| Meta {
            correlation_id,
            causation_id,
            device,
        })
}

pub fn event() -> impl Strategy<Value = Event> {
    let what = (stream_id(), event_type(), small(), payload());
    (what, timestamp(), vec(tag(), 0..4), meta()).prop_map(
        |((stream, event_type, schema, data), occurred_at, tags, meta)| Event {
            stream,
            event_type,
            schema: SchemaVersion::new(schema),
            data,
            occurred_at,
            tags,
            meta,
        },
    )
}

pub fn commit() -> impl Strategy<Value = Commit> {
    let who = (commit_id(), small(), replica_id(), number());
    (who, vec(condition(), 0..3), vec(event(), 0..5)).prop_map(
        |((id, attempt, replica, seq), conditions, events)| Commit {
            id,
            attempt: Attempt::new(attempt),
            replica,
            seq: Seq::new(seq),
            conditions,
            events,
        },
    )
}

pub fn command() -> impl Strategy<Value = Command> {
    (stream_id(), event_type(), payload_text()).prop_map(|(stream, name, args)| Command {
        stream,
        name,
        args: args.as_str().into(),
    })
}

pub fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![Just(Policy::Rerun), Just(Policy::Rebase), Just(Policy::Ask)]
}

pub fn local() -> impl Strategy<Value = Local> {
    (commit(), option::of(command()), policy()).prop_map(|(commit, command, policy)| Local {
        commit,
        command,
        policy,
    })
}

pub fn versions() -> impl Strategy<Value = StreamVersions> {
    (stream_id(), number(), number()).prop_map(|(stream, one, other)| StreamVersions {
        stream,
        first: Version::new(one.min(other)),
        last: Version::new(one.max(other)),
    })
}

/// Confirmed commits that follow each other from some position.
pub fn recorded_run() -> impl Strategy<Value = Vec<Recorded>> {
    let one = (
        commit(),
        timestamp(),
        option::of(subject()),
        vec(versions(), 0..3),
    );
    (0..u64::MAX - 1_000, vec(one, 0..5)).prop_map(|(first, commits)| {
        let mut next = first;
        let recorded = commits
            .into_iter()
            .map(|(commit, recorded_at, actor, versions)| {
                let position = Position::new(next);
                next += commit.events.len() as u64;
                Recorded {
                    commit,
                    position,
                    recorded_at,
                    actor,
                    versions,
                }
            });
        recorded.collect()
    })
}
