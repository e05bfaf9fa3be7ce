//! How far a reader has come, in a form that a restored server cannot mistake.

use crate::hash::ChainHash;
use crate::id::Epoch;
use crate::number::Position;
use crate::text::{TextError, decimal};
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// A place in one history of a log: epoch, position and the chain hash there. Text form `<epoch>:<position>:<chain>`.
/// The default cursor, all zeros, is the beginning of whatever history the server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor {
    /// The history.
    pub epoch: Epoch,
    /// The newest position read.
    pub position: Position,
    /// The chain hash there.
    pub chain: ChainHash,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.epoch, self.position, self.chain)
    }
}

impl FromStr for Cursor {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Self, TextError> {
        let form = || TextError::Form {
            what: "cursor",
            found: text.chars().take(140).collect(),
            form: "<epoch uuid>:<position>:<chain hash>",
        };
        let mut parts = text.split(':');
        let (Some(epoch), Some(position), Some(chain), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(form());
        };
        Ok(Self {
            epoch: epoch.parse()?,
            position: Position::new(decimal(position).ok_or_else(form)?),
            chain: chain.parse()?,
        })
    }
}

impl TryFrom<String> for Cursor {
    type Error = TextError;
    fn try_from(text: String) -> Result<Self, TextError> {
        text.parse()
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.to_string()
    }
}
