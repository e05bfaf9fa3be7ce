//! Identities: what makes a retry safe is who a commit is, never where it stands.

use crate::number::{Attempt, Timestamp};
use crate::text::{TextError, decimal};
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

/// The bytes of a UUID in its one form: lower case, with hyphens. In one loop, since every call from a page brings an id.
fn lower_uuid(text: &[u8]) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let mut digits = 0_usize;
    if text.len() != 36 {
        return None;
    }
    for (at, byte) in text.iter().enumerate() {
        if matches!(at, 8 | 13 | 18 | 23) {
            if *byte != b'-' {
                return None;
            }
            continue;
        }
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        let into = bytes.get_mut(digits / 2)?;
        *into = *into << 4 | digit;
        digits += 1;
    }
    Some(bytes)
}

macro_rules! uuid_newtype {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name([u8; 16]);

        impl $name {
            /// From its 16 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Its 16 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// Writes its text behind another one, without the detour of formatting.
            pub fn push_to(&self, text: &mut String) {
                let id = Uuid::from_bytes(self.0).hyphenated();
                text.push_str(id.encode_lower(&mut Uuid::encode_buffer()));
            }

            /// A new id (UUID version 7, RFC 9562) from a time and 10 random bytes of the caller's.
            #[must_use]
            pub fn mint(now: Timestamp, random: [u8; 10]) -> Self {
                let millis = u64::try_from(now.millis()).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().into_bytes())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&Uuid::from_bytes(self.0), f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let id = Uuid::from_bytes(self.0).hyphenated();
                serializer.serialize_str(id.encode_lower(&mut Uuid::encode_buffer()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = TextError;
            fn from_str(text: &str) -> Result<Self, TextError> {
                let form = || TextError::Form {
                    what: $what,
                    found: text.chars().take(64).collect(),
                    form: "of a lower-case hyphenated UUID",
                };
                lower_uuid(text.as_bytes()).map(Self).ok_or_else(form)
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;
            fn try_from(text: String) -> Result<Self, TextError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                let mut text = Self::new();
                id.push_to(&mut text);
                text
            }
        }
    };
}

uuid_newtype! {
    /// The identity of a commit. It stays the same over retries, reruns and reloads.
    CommitId, "commit id"
}
uuid_newtype! {
    /// One device's copy of a log; minted when its database is created and never used again.
    ReplicaId, "replica id"
}
uuid_newtype! {
    /// One unbroken history of a log on the server; a restore from a backup starts another one.
    Epoch, "epoch"
}

/// The identity of an event: derived from its commit, so it costs no bytes. Text form `<commit>/<attempt>/<index>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventId {
    /// The commit that holds the event.
    pub commit: CommitId,
    /// The attempt of the commit.
    pub attempt: Attempt,
    /// The event's place in the commit, from 0.
    pub index: u32,
}

impl EventId {
    /// Writes its text behind another one, without the detour of formatting.
    pub fn push_to(&self, text: &mut String) {
        self.commit.push_to(text);
        for number in [self.attempt.value(), self.index] {
            text.push('/');
            push_decimal(text, number);
        }
    }
}

fn push_decimal(text: &mut String, number: u32) {
    if number >= 10 {
        push_decimal(text, number / 10);
    }
    text.push(char::from_digit(number % 10, 10).unwrap_or('0'));
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.commit, self.attempt, self.index)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EventId {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Self, TextError> {
        let form = || TextError::Form {
            what: "event id",
            found: text.chars().take(64).collect(),
            form: "<commit uuid>/<attempt>/<index>",
        };
        let mut parts = text.split('/');
        let (Some(commit), Some(attempt), Some(index), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(form());
        };
        Ok(Self {
            commit: commit.parse()?,
            attempt: Attempt::new(decimal(attempt).ok_or_else(form)?),
            index: decimal(index).ok_or_else(form)?,
        })
    }
}

impl TryFrom<String> for EventId {
    type Error = TextError;
    fn try_from(text: String) -> Result<Self, TextError> {
        text.parse()
    }
}

impl From<EventId> for String {
    fn from(id: EventId) -> Self {
        id.to_string()
    }
}
