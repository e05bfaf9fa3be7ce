//! Expected versions: what an appender believes of a stream.

use crate::id::EventId;
use crate::number::Version;
use crate::stream::StreamHead;
use core::fmt;
use serde::{Deserialize, Serialize};

/// What must be true of a stream for a commit to be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "an expected version is \"any\", \"noStream\", \"exists\" or {\"exact\": 3}, with the event's id as \"event\": \"<commit>/<attempt>/<index>\" if it is known"
)]
pub enum Expected {
    /// Anything.
    Any,
    /// The stream has no events.
    NoStream,
    /// The stream has at least one event.
    Exists,
    /// The stream ends with this version and, where the event's id is given, with this very event. The id is what
    /// decides: a stranger's event of the same version is a conflict.
    #[serde(untagged)]
    Exact {
        /// The version; 0 is the same as [`Expected::NoStream`].
        exact: Version,
        /// The identity of the event of that version, if the appender knows it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event: Option<EventId>,
    },
}

impl Expected {
    /// What a replica expects that saw this head.
    #[must_use]
    pub fn seen(head: Option<&StreamHead>) -> Self {
        match head {
            None => Self::NoStream,
            Some(head) => Self::Exact {
                exact: head.version,
                event: Some(head.last),
            },
        }
    }

    /// Does a stream with this head meet the expectation?
    #[must_use]
    pub fn holds(&self, head: Option<&StreamHead>) -> bool {
        match (self, head) {
            (Self::Any, _) | (Self::NoStream, None) | (Self::Exists, Some(_)) => true,
            (Self::NoStream, Some(_)) | (Self::Exists, None) => false,
            (Self::Exact { exact, .. }, None) => *exact == Version::NONE,
            (Self::Exact { exact, event }, Some(head)) => {
                *exact == head.version && event.is_none_or(|event| event == head.last)
            }
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any version"),
            Self::NoStream => f.write_str("no stream"),
            Self::Exists => f.write_str("an existing stream"),
            Self::Exact { exact, event: None } => write!(f, "version {exact}"),
            Self::Exact {
                exact,
                event: Some(event),
            } => write!(f, "version {exact} ({event})"),
        }
    }
}
