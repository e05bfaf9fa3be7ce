//! What is sent to the server, and how that can fail.

use crate::commit::Commit;
use crate::cursor::Cursor;
use crate::filter::Filter;
use crate::id::{CommitId, ReplicaId};
use alloc::string::String;
use alloc::vec::Vec;

/// What the host has to send.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Push these commits; answer with [`Replica::handle_pushed`] or [`Replica::handle_push_failed`].
    Push {
        /// Who sends.
        replica: ReplicaId,
        /// How far this replica has read.
        cursor: Cursor,
        /// In local order.
        commits: Vec<Commit>,
    },
    /// Pull what comes after the cursor; answer with [`Replica::handle_pulled`] or [`Replica::handle_pull_failed`].
    Pull {
        /// How far this replica has read.
        cursor: Cursor,
        /// What to ask for. A server that cannot leave anything out sends everything; what is too much is left out here.
        filter: Filter,
        /// May the server hold the answer back until there is something new?
        wait: bool,
    },
}

/// Why the server gave no usable answer. None of these ever parks a commit; all are tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// No answer: the network is down, or the server is.
    #[error(
        "the server cannot be reached ({detail}); changes stay on this device and are sent later"
    )]
    Network {
        /// What the platform said.
        detail: String,
    },
    /// The token is missing, wrong or expired.
    #[error("the server asks to sign in ({detail}); changes stay on this device until then")]
    Unauthorized {
        /// What the server said.
        detail: String,
    },
    /// This subject may not do that; above all, the replica belongs to another subject.
    #[error("the server refuses this user ({code}): {detail}")]
    Forbidden {
        /// The server's code.
        code: String,
        /// What the server said.
        detail: String,
    },
    /// There is no such log, or it is somebody else's.
    #[error("the server has no such log: {detail}")]
    UnknownLog {
        /// What the server said.
        detail: String,
    },
    /// The push has too many bytes; a smaller one is sent next.
    #[error("the server refused the size of a push; smaller ones are sent")]
    TooLarge {
        /// How many bytes it takes, if it said.
        max: Option<u64>,
    },
    /// The push has too many commits; a smaller one is sent next.
    #[error("the server refused the number of commits of a push; fewer are sent at once")]
    TooManyCommits {
        /// How many it takes, if it said.
        max: Option<u64>,
    },
    /// A push of this one commit was too large, for the server or for something on the way to it.
    #[error(
        "commit {commit} is larger than the server, or a proxy before it, takes; it stays on this device and is tried again \
         now and then"
    )]
    CommitOversized {
        /// The commit.
        commit: CommitId,
    },
    /// Too many requests.
    #[error("the server asks to slow down")]
    RateLimited {
        /// How long to wait, in milliseconds, if the server said.
        retry_after_millis: Option<u64>,
    },
    /// The server has a passing fault.
    #[error("the server has a passing fault ({status}): {detail}")]
    Unavailable {
        /// The HTTP status.
        status: u16,
        /// What the server said.
        detail: String,
        /// How long to wait, in milliseconds, if the server said.
        retry_after_millis: Option<u64>,
    },
    /// This build is too old for the server.
    #[error("this version of the app is too old for the server; reload to update")]
    ClientTooOld,
    /// The server has another history than this replica has read.
    #[error("the server has another history of this log; it is read again from the beginning")]
    HistoryChanged,
    /// Another tab opened this log with another filter, which counts from now on. Reload to get the newer build.
    #[error("another tab of this site syncs {wanted} of this log; reload to get the newer build")]
    FilterReplaced {
        /// What counts.
        wanted: Filter,
    },
    /// The server refused the request as a whole.
    #[error("the server refused the request ({status}, {code}): {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The server's code.
        code: String,
        /// What the server said.
        detail: String,
    },
    /// What came is not an answer of this protocol: a proxy's page, cut or changed bytes.
    #[error("the answer is not from a Tidelog server: {detail}")]
    BadAnswer {
        /// What is wrong with it.
        detail: String,
    },
}

impl SyncError {
    /// The stable code of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Network { .. } => "network",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::UnknownLog { .. } => "unknown_log",
            Self::TooLarge { .. } => "payload_too_large",
            Self::TooManyCommits { .. } => "too_many_commits",
            Self::CommitOversized { .. } => "commit_oversized",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unavailable { .. } => "server_unavailable",
            Self::ClientTooOld => "client_too_old",
            Self::HistoryChanged => "history_changed",
            Self::FilterReplaced { .. } => "filter_replaced",
            Self::Refused { .. } => "request_refused",
            Self::BadAnswer { .. } => "bad_answer",
        }
    }

    /// Must a person do something (sign in, ask for rights, update) before it can work?
    #[must_use]
    pub const fn needs_person(&self) -> bool {
        matches!(
            self,
            Self::Unauthorized { .. }
                | Self::Forbidden { .. }
                | Self::UnknownLog { .. }
                | Self::ClientTooOld
                | Self::FilterReplaced { .. }
        )
    }

    /// How long the server asked to wait, in milliseconds.
    #[must_use]
    pub const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after_millis }
            | Self::Unavailable {
                retry_after_millis, ..
            } => *retry_after_millis,
            _ => None,
        }
    }
}
