//! Why the log could not do what it was asked.

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
}

impl ClientError {
    /// The stable code of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Append(error) => append_code(error),
            Self::Name(_) => "invalid_name",
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
        AppendError::RepeatedId { .. } => "repeated_id",
        AppendError::NotParked { .. } => "not_parked",
        _ => "invalid_commit",
    }
}
