//! Why the log could not do what it was asked.

use tidelog_core::Position;
use tidelog_core::replica::AppendError;
use tidelog_core::store::StoreError;
use tidelog_core::text::TextError;

/// Why the log could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The local database.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The append itself.
    #[error("{0}")]
    Append(#[from] AppendError),
    /// A name is not valid.
    #[error("{0}")]
    Name(#[from] TextError),
    /// A log without a server was told to keep only a part: the rest would be gone for good.
    #[error(
        "only a log that is synced can keep less than everything: give it a server, or keep all"
    )]
    RetentionWithoutServer,
    /// Events that this device no longer keeps could not be had.
    #[error("older events are on the server, which gives none now ({detail}); try again later")]
    HistoryNotAvailable {
        /// What the server or the network said.
        detail: String,
    },
    /// What is to be imported does not fit the log.
    #[error("the import does not fit this log: {detail}")]
    ImportMismatch {
        /// What does not fit.
        detail: String,
    },
    /// Bytes on this disk are not those that were written, although their checksum fits.
    #[error(
        "the hash chain of the local log breaks in the frame at position {position}: it was changed after it was written"
    )]
    Tampered {
        /// The first position of the frame.
        position: Position,
    },
}

impl ClientError {
    /// The stable code of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Append(error) => append_code(error),
            Self::Name(_) => "invalid_name",
            Self::RetentionWithoutServer => "invalid_argument",
            Self::HistoryNotAvailable { .. } => "history_not_available",
            Self::ImportMismatch { .. } => "import_mismatch",
            Self::Tampered { .. } => "log_tampered",
        }
    }
}

const fn append_code(error: &AppendError) -> &'static str {
    use tidelog_core::commit::CommitError;
    match error {
        AppendError::NotReady => "not_ready",
        AppendError::Closed => "closed",
        AppendError::Commit(CommitError::TooLarge { .. } | CommitError::TooMany { .. }) => {
            "commit_too_large"
        }
        AppendError::VersionConflict { .. } => "version_conflict",
        AppendError::OutsideFilter { .. } => "outside_filter",
        AppendError::RepeatedId { .. } => "repeated_id",
        AppendError::NotParked { .. } => "not_parked",
        _ => "invalid_commit",
    }
}
