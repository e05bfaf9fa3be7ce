//! Why a store could not do what it was asked.

use super::LogState;
use tidelog_core::erasure::VersionRange;
use tidelog_core::{LogName, Position, ReplicaId, StreamId, Version};

/// Why a store could not do what it was asked. Nothing of the request is stored, unless
/// [`StoreError::Unavailable`] says otherwise by its end being unknown; repeating a push is always safe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no log of this name.
    #[error("there is no log {log}")]
    UnknownLog {
        /// The name.
        log: LogName,
    },
    /// The replica belongs to another subject.
    #[error(
        "the replica {replica} belongs to another subject; nothing was stored. Mint a new replica id for this one"
    )]
    ReplicaBound {
        /// The replica.
        replica: ReplicaId,
    },
    /// The cursor is of another history than the log's.
    #[error("the cursor is of another history of this log; read it again from the beginning of epoch {}", .state.epoch)]
    CursorMismatch {
        /// What the log is.
        state: LogState,
    },
    /// The cursor is past the end of the log.
    #[error("position {position} is past the end of the log, which is {}", .state.head.position)]
    CursorAhead {
        /// The position asked for.
        position: Position,
        /// What the log is.
        state: LogState,
    },
    /// There is no stream of this id.
    #[error("there is no stream {stream}")]
    UnknownStream {
        /// The stream.
        stream: StreamId,
    },
    /// The stream does not have these versions.
    #[error(
        "stream {stream} has versions 1 to {newest}, and not {} to {}; nothing was erased",
        .range.first, .range.last
    )]
    UnknownVersions {
        /// The stream.
        stream: StreamId,
        /// What was asked for.
        range: VersionRange,
        /// Its newest version.
        newest: Version,
    },
    /// An event that says what was erased stays.
    #[error("version {version} of {stream} says what was erased, and stays; nothing was erased")]
    NotErasable {
        /// The stream.
        stream: StreamId,
        /// The version.
        version: Version,
    },
    /// An erasure names more than one commit can say.
    #[error(
        "an erasure names at most {max} ranges of versions; nothing was erased. Erase in parts"
    )]
    TooManyRanges {
        /// How many it may name.
        max: usize,
    },
    /// The disk is full.
    #[error("the server's disk is full; nothing was stored. Try again later")]
    Full,
    /// More pushes wait than may.
    #[error(
        "the server has more pushes waiting than it can hold; nothing was stored. Try again shortly"
    )]
    Busy,
    /// A newer build has changed the database's layout: this one does not write to it any more.
    #[error(
        "a newer tidelog has changed the layout of the server's database, and this one does not write there any more; nothing was stored. Send it again: the newer one takes it"
    )]
    Outdated,
    /// The database could not be read or written now.
    #[error("the server's database cannot be used now; repeating the request is safe")]
    Unavailable {
        /// What the database said, for the server's own log.
        detail: String,
    },
    /// It is in the archive, which cannot be read now.
    #[error(
        "the history of log {log} from position {position} is in an archive that cannot be read: {detail}"
    )]
    ArchiveUnavailable {
        /// The log.
        log: LogName,
        /// The first position of the run that was asked for.
        position: Position,
        /// Why, and what to do, for who runs the server.
        detail: String,
    },
    /// The archive is another database's.
    #[error("the history of log {log} cannot be moved, brought back or erased: {detail}")]
    ArchiveOfAnother {
        /// The log.
        log: LogName,
        /// How that shows, and what to do, for who runs the server.
        detail: String,
    },
    /// What is stored is damaged.
    #[error("log {log} is damaged at position {position}: {detail}")]
    Damaged {
        /// The log.
        log: LogName,
        /// The first position known to be damaged.
        position: Position,
        /// What is wrong.
        detail: String,
    },
    /// It is no Tidelog database, or one of a newer build.
    #[error("the database cannot be opened: {detail}")]
    NotOurs {
        /// What is wrong and what to do.
        detail: String,
    },
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full,
            Some(rusqlite::ErrorCode::NotADatabase) => Self::NotOurs {
                detail: "it is not an SQLite database".into(),
            },
            _ => Self::Unavailable {
                detail: error.to_string(),
            },
        }
    }
}
