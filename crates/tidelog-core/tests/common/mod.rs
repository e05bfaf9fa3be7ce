//! What the integration tests share: a proptest strategy for every type of the vocabulary, and plain examples.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "each test file takes what it needs of this module, and a test may fail by panicking"
)]

pub mod agree;
pub mod bytes;
pub mod server;
pub mod strategy;

use tidelog_core::event::Reference;
use tidelog_core::*;

/// A replica whose id is made of this byte.
pub fn replica(byte: u8) -> ReplicaId {
    ReplicaId::from_bytes([byte; 16])
}

/// A commit id that ends with this number.
pub fn commit_id(number: u64) -> CommitId {
    let mut bytes = [0xc0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    CommitId::from_bytes(bytes)
}

pub fn stream(id: &str) -> StreamId {
    StreamId::new(id).unwrap()
}

/// An event of a type `kind.added`.
pub fn event(id: &str, data: &str) -> Event {
    let stream = stream(id);
    Event {
        event_type: EventType::new(format!("{}.added", stream.kind())).unwrap(),
        stream,
        schema: SchemaVersion::FIRST,
        data: Payload::json(data),
        occurred_at: Timestamp::from_millis(1_700_000_000_000),
        tags: vec![],
        meta: Meta::default(),
    }
}

/// A first attempt without conditions, one event `{}` for each stream named.
pub fn commit(number: u64, streams: &[&str]) -> Commit {
    Commit {
        id: commit_id(number),
        attempt: Attempt::FIRST,
        replica: replica(1),
        seq: Seq::new(number),
        conditions: vec![],
        events: streams.iter().map(|id| event(id, "{}")).collect(),
    }
}

pub fn expecting(mut commit: Commit, on: &str, expected: Expected) -> Commit {
    commit.conditions.push(Condition {
        stream: stream(on),
        expected,
    });
    commit
}

/// Confirmed commits that follow each other from position 1 with true versions: one for each list, one event for each
/// number in it, on the stream `todo/<number>`. Each expects the first of its streams as it was left, as decided commits do.
pub fn run(commits: &[Vec<u8>]) -> Vec<Recorded> {
    let mut versions = std::collections::BTreeMap::<StreamId, u64>::new();
    let mut last_events = std::collections::BTreeMap::<StreamId, EventId>::new();
    let mut position = 1;
    let record = |(number, streams): (usize, &Vec<u8>)| {
        let ids: Vec<String> = streams.iter().map(|id| format!("todo/{id}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut commit = commit(number as u64 + 1, &ids);
        if let Some(id) = ids.first() {
            let expected = match last_events.get(&stream(id)) {
                None => Expected::NoStream,
                Some(event) => Expected::Exact {
                    exact: Version::new(versions[&stream(id)]),
                    event: Some(*event),
                },
            };
            commit = expecting(commit, id, expected);
        }
        for (index, event) in commit.events.iter().enumerate() {
            last_events.insert(event.stream.clone(), commit.event_id(index));
        }
        let written = commit.written().into_iter().map(|(stream, count)| {
            let last = versions.entry(stream.clone()).or_default();
            let first = Version::new(*last + 1);
            *last += count;
            StreamVersions {
                stream: stream.clone(),
                first,
                last: Version::new(*last),
            }
        });
        let recorded = Recorded {
            position: Position::new(position),
            recorded_at: Timestamp::from_millis(1_700_000_000_000 + number as i64),
            actor: None,
            versions: written.collect(),
            commit,
        };
        position += recorded.commit.events.len() as u64;
        recorded
    };
    commits.iter().enumerate().map(record).collect()
}

/// A confirmed commit that fills every field.
pub fn full() -> Recorded {
    let mut commit = expecting(
        commit(7, &["todo/a", "list/b", "todo/a"]),
        "todo/a",
        Expected::Exact {
            exact: Version::new(3),
            event: Some(EventId {
                commit: commit_id(2),
                attempt: Attempt::new(2),
                index: 5,
            }),
        },
    );
    commit = expecting(commit, "list/b", Expected::NoStream);
    for event in &mut commit.events {
        event.tags = vec![Tag::new("first").unwrap(), Tag::new("second").unwrap()];
        event.meta = Meta {
            correlation_id: Some(Reference::new("request-1").unwrap()),
            causation_id: Some(Reference::new("cause-1").unwrap()),
            device: Some(Reference::new("phone").unwrap()),
        };
    }
    Recorded {
        commit,
        position: Position::new(11),
        recorded_at: Timestamp::from_millis(1_700_000_000_500),
        actor: Some(Subject::new("ada").unwrap()),
        versions: vec![
            StreamVersions {
                stream: stream("todo/a"),
                first: Version::new(4),
                last: Version::new(5),
            },
            StreamVersions {
                stream: stream("list/b"),
                first: Version::new(1),
                last: Version::new(1),
            },
        ],
    }
}
