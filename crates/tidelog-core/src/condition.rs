//! Conditions of a commit, and what is reported when one does not hold.

use crate::expected::Expected;
use crate::number::Version;
use crate::stream::StreamId;
use serde::{Deserialize, Serialize};

/// What must hold of a stream, written by the commit or only read, when the commit is admitted. All conditions are
/// checked against the log as it was before the commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The stream.
    pub stream: StreamId,
    /// What is expected of it.
    pub expected: Expected,
}

/// A condition that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conflict {
    /// Which condition of the commit, from 0.
    pub check_index: u32,
    /// The stream.
    pub stream: StreamId,
    /// What was expected.
    pub expected: Expected,
    /// The version the stream has. It may equal the expected one: then the event there is another.
    pub actual: Version,
}
