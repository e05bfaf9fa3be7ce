//! Logs, streams and who signs in.

use crate::id::EventId;
use crate::limits;
use crate::number::Version;
use crate::text::{TextError, check_name, check_text, text_newtype};

text_newtype! {
    /// The name of a log: the unit of total order, replication, tenancy and authorization.
    LogName, "log name", |what, text| check_name(what, text, limits::MAX_LOG_NAME_BYTES)
}

text_newtype! {
    /// The id of a stream, `kind/key`: the events of one entity inside a log. The key is opaque: it is compared
    /// byte for byte and never normalised.
    StreamId, "stream id", check_stream
}

text_newtype! {
    /// Who appended, as the server knows them.
    Subject, "subject", |what, text| check_text(what, text, limits::MAX_ID_BYTES)
}

fn check_stream(what: &'static str, text: &str) -> Result<(), TextError> {
    check_text(what, text, limits::MAX_ID_BYTES)?;
    let (kind, key) = text.split_once('/').ok_or_else(|| TextError::Form {
        what,
        found: text.into(),
        form: "kind/key",
    })?;
    check_name("stream kind", kind, limits::MAX_ID_BYTES)?;
    check_text("stream key", key, limits::MAX_ID_BYTES)
}

impl StreamId {
    /// The part before the first slash.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.as_str().split_once('/').map_or("", |(kind, _)| kind)
    }

    /// The part after the first slash.
    #[must_use]
    pub fn key(&self) -> &str {
        self.as_str().split_once('/').map_or("", |(_, key)| key)
    }
}

/// The end of a stream that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamHead {
    /// The version of its newest event.
    pub version: Version,
    /// The identity of its newest event.
    pub last: EventId,
}
