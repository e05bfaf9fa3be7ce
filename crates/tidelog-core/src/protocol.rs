//! Messages of the protocol, version 1.
//!
//! Answers to a push are small and always JSON; they are plain serde types, so a server writes them with `serde_json` and
//! a browser reads them with `serde-wasm-bindgen`. Commits travel as [`frame`](crate::frame)s, or, for people and other
//! backends, as JSON ([`json`], behind the feature `json`).

#[cfg(feature = "json")]
pub mod json;

use crate::authority::{Admission, Receipt, Rejection};
use crate::commit::StreamVersions;
use crate::condition::Conflict;
use crate::hash::ChainHash;
use crate::id::{CommitId, Epoch};
use crate::number::{Attempt, Position};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The media type of frames.
pub const FRAMES: &str = "application/vnd.tidelog.frames";
/// The media type of problem documents (RFC 9457).
pub const PROBLEM: &str = "application/problem+json";
/// Names the replica of a push whose body is frames.
pub const REPLICA_HEADER: &str = "tidelog-replica";
/// Names the cursor of a push whose body is frames.
pub const CURSOR_HEADER: &str = "tidelog-cursor";
/// On each request, if the caller likes: which version of the protocol's client it is. A server refuses one that is too old.
pub const CLIENT_HEADER: &str = "tidelog-client";
/// The version of the client that this crate is.
pub const CLIENT_VERSION: u32 = 1;
/// On each answer: the log's epoch.
pub const EPOCH_HEADER: &str = "tidelog-epoch";
/// On each answer: the newest position of the log.
pub const HEAD_HEADER: &str = "tidelog-head";
/// On each answer: the chain hash at the head.
pub const CHAIN_HEADER: &str = "tidelog-chain";
/// The header by which a pull of everything says how many positions lie between the ends of two segments, if the server has any.
pub const SEGMENTS_HEADER: &str = "tidelog-segments";

/// The end of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHead {
    /// The newest position.
    pub position: Position,
    /// The chain hash there.
    pub chain: ChainHash,
}

/// The answer to a push: a verdict for each commit, in the order they were sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushResponse {
    /// The log's history.
    pub epoch: Epoch,
    /// Its end after the push.
    pub head: LogHead,
    /// One for each commit.
    pub results: Vec<CommitResult>,
}

/// The verdict on one commit, which names the commit and the attempt it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitResult {
    /// The commit.
    pub id: CommitId,
    /// The attempt that was sent.
    pub attempt: Attempt,
    /// What became of it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "verdict",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Verdict {
    /// It is stored.
    Accepted {
        /// The attempt that is stored.
        accepted_attempt: Attempt,
        /// Where.
        positions: PositionRange,
        /// As which versions.
        versions: Vec<StreamVersions>,
    },
    /// It was stored before: the same receipt as the first time.
    Duplicate {
        /// The attempt that is stored; it may be an earlier one than was sent.
        accepted_attempt: Attempt,
        /// Where.
        positions: PositionRange,
        /// As which versions.
        versions: Vec<StreamVersions>,
    },
    /// Conditions do not hold. Nothing is stored.
    Conflict {
        /// Which ones.
        conflicts: Vec<Conflict>,
    },
    /// It can never be stored as it is. Nothing is stored.
    Rejected(Rejection),
}

/// Positions from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionRange {
    /// The first.
    pub first: Position,
    /// The last.
    pub last: Position,
}

impl From<Admission> for Verdict {
    fn from(admission: Admission) -> Self {
        match admission {
            Admission::Accept(Receipt {
                attempt,
                first,
                last,
                versions,
            }) => Self::Accepted {
                accepted_attempt: attempt,
                positions: PositionRange { first, last },
                versions,
            },
            Admission::Duplicate(Receipt {
                attempt,
                first,
                last,
                versions,
            }) => Self::Duplicate {
                accepted_attempt: attempt,
                positions: PositionRange { first, last },
                versions,
            },
            Admission::Conflict(conflicts) => Self::Conflict { conflicts },
            Admission::Reject(rejection) => Self::Rejected(rejection),
        }
    }
}
