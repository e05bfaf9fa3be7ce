//! Commits and pushes in a line.

use tidelog_core::protocol::{PushResponse, Verdict};
use tidelog_core::{
    Attempt, Commit, CommitId, Condition, Cursor, Event, EventType, Expected, LogName, Meta,
    Payload, Position, ReplicaId, SchemaVersion, Seq, StreamId, Subject, Timestamp, Version,
};
use tidelog_server::store::{Candidate, Numbering, PageCap, Push};

/// A page that holds everything.
pub(crate) const ALL: PageCap = PageCap {
    bytes: usize::MAX,
    events: u64::MAX,
};

pub(crate) fn log(name: &str) -> LogName {
    name.parse().expect("a log name")
}

pub(crate) fn stream(name: &str) -> StreamId {
    StreamId::new(name).expect("a stream")
}

pub(crate) fn subject(name: &str) -> Subject {
    Subject::new(name).expect("a subject")
}

/// An id that follows from a number.
pub(crate) fn id(n: u64) -> [u8; 16] {
    let mut bytes = [7; 16];
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    bytes
}

pub(crate) fn replica(n: u64) -> ReplicaId {
    ReplicaId::from_bytes(id(n))
}

/// The `seq`th commit of replica `n`, without conditions, with an event for each stream named.
pub(crate) fn commit(n: u64, seq: u64, streams: &[&str]) -> Commit {
    Commit {
        id: CommitId::from_bytes(id(n << 32 | seq)),
        attempt: Attempt::FIRST,
        replica: replica(n),
        seq: Seq::new(seq),
        conditions: vec![],
        events: streams.iter().map(|name| event(name, "1")).collect(),
    }
}

pub(crate) fn event(name: &str, payload: &str) -> Event {
    Event {
        stream: stream(name),
        event_type: EventType::new("todo.added").expect("a type"),
        schema: SchemaVersion::FIRST,
        data: Payload::json(payload),
        occurred_at: Timestamp::from_millis(0),
        tags: vec![],
        meta: Meta::default(),
    }
}

/// The commit under a condition.
pub(crate) fn expecting(mut commit: Commit, name: &str, expected: Expected) -> Commit {
    let stream = stream(name);
    commit.conditions.push(Condition { stream, expected });
    commit
}

/// Version `n`, whatever its event.
pub(crate) fn exact(n: u64) -> Expected {
    let exact = Version::new(n);
    Expected::Exact { exact, event: None }
}

/// A push of commits of one replica, by nobody in particular.
pub(crate) fn push(name: &str, commits: Vec<Commit>) -> Push {
    Push {
        log: log(name),
        actor: None,
        replica: commits.first().map_or(replica(1), |commit| commit.replica),
        cursor: Cursor::default(),
        commits: commits.into_iter().map(Candidate::new).collect(),
        numbering: Numbering::Replica,
    }
}

/// The positions that the only commit of a push was given; `None` for any other verdict.
pub(crate) fn accepted(response: &PushResponse) -> Option<(Position, Position)> {
    match &response.results[..] {
        [result] => match &result.verdict {
            Verdict::Accepted { positions, .. } => Some((positions.first, positions.last)),
            _ => None,
        },
        _ => None,
    }
}

/// The verdicts of a push, a letter each.
pub(crate) fn verdicts(response: &PushResponse) -> String {
    let letter = |verdict: &Verdict| match verdict {
        Verdict::Accepted { .. } => 'a',
        Verdict::Duplicate { .. } => 'd',
        Verdict::Conflict { .. } => 'c',
        Verdict::Rejected(_) => 'r',
    };
    response
        .results
        .iter()
        .map(|result| letter(&result.verdict))
        .collect()
}
