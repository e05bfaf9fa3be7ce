//! What is pushed: commits of one event, as an app would make them.

use tidelog_core::{
    Attempt, Commit, CommitId, Event, EventType, Local, Meta, Payload, Policy, ReplicaId,
    SchemaVersion, Seq, StreamId, Timestamp, frame,
};

/// How many events a stream gets before the next one begins.
const STREAM_EVENTS: u64 = 10;

/// A replica that makes one commit after the other.
#[derive(Debug)]
pub(crate) struct Author {
    number: u64,
    pub(crate) replica: ReplicaId,
    seq: u64,
}

/// A UUID of version 7: sorts by its number first, as those of real replicas sort by time.
fn id(number: u64, seq: u64) -> [u8; 16] {
    (u128::from(seq) << 80 | 0x7 << 76 | 0x2 << 62 | u128::from(number)).to_be_bytes()
}

impl Author {
    /// One of this number; no two of the same log have the same.
    pub(crate) fn new(number: u64) -> Self {
        Self {
            number,
            replica: ReplicaId::from_bytes(id(number, 0)),
            seq: 0,
        }
    }

    fn next(&mut self) -> Commit {
        self.seq += 1;
        let (number, seq) = (self.number, self.seq);
        let name = format!("todo/{number}-{}", (seq - 1) / STREAM_EVENTS);
        let data =
            format!(r#"{{"title":"Buy milk and bread for {number}","n":{seq},"done":false}}"#);
        Commit {
            id: CommitId::from_bytes(id(number, seq)),
            attempt: Attempt::FIRST,
            replica: self.replica,
            seq: Seq::new(seq),
            conditions: Vec::new(),
            events: vec![Event {
                stream: stream(&name),
                event_type: event_type(),
                schema: SchemaVersion::FIRST,
                data: Payload::json(&data),
                occurred_at: Timestamp::from_millis(
                    1_760_000_000_000 + i64::try_from(seq).unwrap_or(0),
                ),
                tags: Vec::new(),
                meta: Meta::default(),
            }],
        }
    }

    /// The next commit as the body of a push.
    pub(crate) fn next_frame(&mut self) -> Vec<u8> {
        let local = Local {
            commit: self.next(),
            command: None,
            policy: Policy::Rerun,
        };
        frame::encode_local(Seq::new(self.seq), std::slice::from_ref(&local))
    }
}

#[expect(
    clippy::expect_used,
    reason = "the names above are short and have a slash"
)]
fn stream(name: &str) -> StreamId {
    StreamId::new(name).expect("a stream")
}

#[expect(clippy::expect_used, reason = "this name is one")]
fn event_type() -> EventType {
    EventType::new("todo.added").expect("a type")
}
