//! The server's admission rule: a pure function from what is known to a verdict. Storage does the I/O around it.
//!
//! ```
//! use tidelog_core::{*, authority::{admit, Admission, Facts}};
//! let commit = Commit {
//!     id: CommitId::from_bytes([1; 16]), attempt: Attempt::FIRST, replica: ReplicaId::from_bytes([2; 16]),
//!     seq: Seq::new(1),
//!     conditions: vec![Condition { stream: StreamId::new("todo/1")?, expected: Expected::NoStream }],
//!     events: vec![Event {
//!         stream: StreamId::new("todo/1")?, event_type: EventType::new("todo.added")?,
//!         schema: SchemaVersion::FIRST, data: Payload::json("{}"),
//!         occurred_at: Timestamp::from_millis(0), tags: vec![], meta: Meta::default(),
//!     }],
//! };
//! let facts = Facts { head: Position::new(41), actor: None, known: None, seq_taken_by: None,
//!     tombstoned: vec![] };
//! let Admission::Accept(receipt) = admit(&commit, &facts, |_| None) else { unreachable!() };
//! assert_eq!(receipt.first.value(), 42);
//! assert_eq!(receipt.versions[0].last.value(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::commit::{Commit, StreamVersions};
use crate::condition::Conflict;
use crate::hash::{Digest, commit_digest};
use crate::id::CommitId;
use crate::number::{Attempt, Position, Version};
use crate::stream::{StreamHead, StreamId, Subject};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Where an accepted commit landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The attempt that was accepted.
    pub attempt: Attempt,
    /// The position of its first event.
    pub first: Position,
    /// The position of its last event.
    pub last: Position,
    /// The versions its events have.
    pub versions: Vec<StreamVersions>,
}

/// An accepted commit with the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Where it landed.
    pub receipt: Receipt,
    /// What its author wrote ([`commit_digest`]).
    pub digest: Digest,
    /// Who appended it.
    pub actor: Option<Subject>,
}

/// What storage knows, read under the lock of the log's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The newest position of the log.
    pub head: Position,
    /// Who asks.
    pub actor: Option<Subject>,
    /// The accepted commit of this id, if there is one.
    pub known: Option<Known>,
    /// The commit that was accepted under this commit's `(replica, seq)`, if there is one.
    pub seq_taken_by: Option<CommitId>,
    /// Of the streams that the commit writes, those that take no event any more.
    pub tombstoned: Vec<StreamId>,
}

/// The verdict on a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Store it at these places.
    Accept(Receipt),
    /// It was stored before; this is the receipt of that time.
    Duplicate(Receipt),
    /// Conditions do not hold; nothing is stored.
    Conflict(Vec<Conflict>),
    /// It can never be stored as it is; nothing is stored.
    Reject(Rejection),
}

/// Why a commit can never be stored as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// A stable code.
    pub code: RejectionCode,
    /// What is wrong and what to do.
    pub message: String,
}

/// The stable codes of rejections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RejectionCode {
    /// The commit breaks a cap or a rule of its own shape.
    InvalidCommit,
    /// The same id and attempt were accepted with other bytes.
    AttemptMismatch,
    /// Somebody else's commit has this id.
    IdTaken,
    /// Another commit was accepted under the same replica and sequence number: this profile is a copy.
    SeqReused,
    /// A payload is not JSON.
    InvalidPayload,
    /// It writes to a stream that was closed for ever.
    StreamTombstoned,
    /// The server refuses it by a rule of its own.
    Forbidden,
}

fn reject(code: RejectionCode, message: &str) -> Admission {
    Admission::Reject(Rejection {
        code,
        message: message.to_string(),
    })
}

/// Decides on one commit. `head_of` gives the end of a stream, under the same lock as `facts`.
///
/// In this order: a commit whose id was accepted before is a duplicate (same attempt and bytes, or another attempt)
/// or refused (same attempt, other bytes, or a stranger's); a reused `(replica, seq)` is refused; a commit that breaks
/// a cap is refused, and one that writes to a closed stream; conditions that do not hold are a conflict; everything else is
/// accepted. So an own retry never conflicts, and a stale expectation always does.
#[must_use]
pub fn admit(
    commit: &Commit,
    facts: &Facts,
    head_of: impl Fn(&StreamId) -> Option<StreamHead>,
) -> Admission {
    if let Some(known) = &facts.known {
        return known_before(commit, facts, known);
    }
    if facts.seq_taken_by.is_some() {
        return reject(
            RejectionCode::SeqReused,
            "another commit was accepted under this replica and sequence number; \
             this device's data was copied from another: mint a new replica id and send it again",
        );
    }
    if let Err(error) = commit.check() {
        return reject(RejectionCode::InvalidCommit, &error.to_string());
    }
    // A condition on a closed stream may hold: only writing there is over.
    let mut written = commit.events.iter().map(|event| &event.stream);
    if let Some(stream) = written.find(|&stream| facts.tombstoned.contains(stream)) {
        return reject(
            RejectionCode::StreamTombstoned,
            &format!("the stream {stream} was closed and takes no more events"),
        );
    }
    let conflicts: Vec<Conflict> = unmet(commit, &head_of);
    if !conflicts.is_empty() {
        return Admission::Conflict(conflicts);
    }
    let versions = commit
        .written()
        .into_iter()
        .map(|(stream, count)| {
            let before = head_of(stream).map_or(Version::NONE, |head| head.version);
            StreamVersions {
                stream: stream.clone(),
                first: before.next(),
                last: before.plus(count),
            }
        })
        .collect();
    Admission::Accept(Receipt {
        attempt: commit.attempt,
        first: facts.head.next(),
        last: facts.head.plus(commit.events.len() as u64),
        versions,
    })
}

fn known_before(commit: &Commit, facts: &Facts, known: &Known) -> Admission {
    if known.actor != facts.actor {
        return reject(
            RejectionCode::IdTaken,
            "a commit of somebody else has this id; mint a new commit id",
        );
    }
    if known.receipt.attempt == commit.attempt && known.digest != commit_digest(commit) {
        return reject(
            RejectionCode::AttemptMismatch,
            "this commit id and attempt were accepted with other content; \
             content never changes within an attempt: raise the attempt or mint a new id",
        );
    }
    Admission::Duplicate(known.receipt.clone())
}

/// The conditions of a commit that do not hold, in order.
#[must_use]
pub fn unmet(commit: &Commit, head_of: impl Fn(&StreamId) -> Option<StreamHead>) -> Vec<Conflict> {
    commit
        .conditions
        .iter()
        .enumerate()
        .filter_map(|(index, condition)| {
            let head = head_of(&condition.stream);
            if condition.expected.holds(head.as_ref()) {
                return None;
            }
            Some(Conflict {
                check_index: u32::try_from(index).unwrap_or(u32::MAX),
                stream: condition.stream.clone(),
                expected: condition.expected,
                actual: head.map_or(Version::NONE, |head| head.version),
            })
        })
        .collect()
}
