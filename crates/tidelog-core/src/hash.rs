//! Digests and the hash chain that make tampering evident.

use crate::commit::{Commit, Recorded};
use crate::expected::Expected;
use crate::text::TextError;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// Gives the lower-case hexadecimal digits of a hash, without the detour of formatting each byte: every answer holds one.
fn with_hex<T>(bytes: &[u8; 32], take: impl FnOnce(&str) -> T) -> T {
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    let mut text = [b'0'; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    // It is ASCII.
    take(core::str::from_utf8(&text).unwrap_or_default())
}

macro_rules! hash_newtype {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name([u8; 32]);

        impl $name {
            /// From its 32 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Its 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                with_hex(&self.0, |text| f.write_str(text))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                with_hex(&self.0, |text| serializer.serialize_str(text))
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
                    found: text.chars().take(80).collect(),
                    form: "of 64 lower-case hexadecimal digits",
                };
                if text.len() != 64 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                    return Err(form());
                }
                let mut bytes = [0; 32];
                for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
                    let pair = core::str::from_utf8(pair).map_err(|_cause| form())?;
                    *byte = u8::from_str_radix(pair, 16).map_err(|_cause| form())?;
                }
                Ok(Self(bytes))
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;
            fn try_from(text: String) -> Result<Self, TextError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(hash: $name) -> Self {
                with_hex(&hash.0, |text| text.into())
            }
        }
    };
}

hash_newtype! {
    /// SHA-256 of some bytes.
    Digest, "digest"
}
hash_newtype! {
    /// The hash of a log up to a position: it covers every commit before it. All zeros before the first.
    ChainHash, "chain hash"
}

impl Digest {
    /// SHA-256 of bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// Writes fields so that no two different commits give the same bytes: numbers little-endian at fixed width,
/// texts behind their length.
///
/// They are hashed at once: the hash function would put them together from a few bytes at a time, which takes longer.
struct Canonical(Vec<u8>);

impl Canonical {
    fn new(domain: &str) -> Self {
        let mut hash = Self(Vec::with_capacity(256));
        hash.text(domain);
        hash
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    fn length(&mut self, length: usize) {
        self.number(length as u64);
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.bytes(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        match text {
            None => self.bytes(&[0]),
            Some(text) => {
                self.bytes(&[1]);
                self.text(text);
            }
        }
    }

    fn expected(&mut self, expected: &Expected) {
        match expected {
            Expected::Any => self.bytes(&[0]),
            Expected::NoStream => self.bytes(&[1]),
            Expected::Exists => self.bytes(&[2]),
            Expected::Exact { exact, event } => {
                self.bytes(&[3]);
                self.number(exact.value());
                self.bytes(&[u8::from(event.is_some())]);
                if let Some(event) = event {
                    self.bytes(event.commit.as_bytes());
                    self.number(u64::from(event.attempt.value()));
                    self.number(u64::from(event.index));
                }
            }
        }
    }

    fn finish(self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }
}

/// The digest of what the author wrote: everything but `(replica, seq)`, which a copied profile may have to change.
/// Payloads enter by their own digest, so that one can be erased and the digest stays.
#[must_use]
pub fn commit_digest(commit: &Commit) -> Digest {
    let mut hash = Canonical::new("tidelog commit 1");
    hash.bytes(commit.id.as_bytes());
    hash.number(u64::from(commit.attempt.value()));
    hash.length(commit.conditions.len());
    for condition in &commit.conditions {
        hash.text(condition.stream.as_str());
        hash.expected(&condition.expected);
    }
    hash.length(commit.events.len());
    for event in &commit.events {
        hash.text(event.stream.as_str());
        hash.text(event.event_type.as_str());
        hash.number(u64::from(event.schema.value()));
        hash.bytes(&event.occurred_at.millis().to_le_bytes());
        hash.length(event.tags.len());
        for tag in &event.tags {
            hash.text(tag.as_str());
        }
        hash.optional(event.meta.correlation_id.as_ref().map(AsRef::as_ref));
        hash.optional(event.meta.causation_id.as_ref().map(AsRef::as_ref));
        hash.optional(event.meta.device.as_ref().map(AsRef::as_ref));
        hash.bytes(event.data.digest().as_bytes());
    }
    Digest(hash.finish())
}

impl ChainHash {
    /// The chain after one more commit: covers the chain before, the author's digest and all the server added.
    #[must_use]
    pub fn after(&self, recorded: &Recorded) -> Self {
        let mut hash = Canonical::new("tidelog chain 1");
        hash.bytes(&self.0);
        hash.bytes(commit_digest(&recorded.commit).as_bytes());
        hash.number(recorded.position.value());
        hash.bytes(&recorded.recorded_at.millis().to_le_bytes());
        hash.optional(recorded.actor.as_ref().map(AsRef::as_ref));
        hash.length(recorded.versions.len());
        for versions in &recorded.versions {
            hash.text(versions.stream.as_str());
            hash.number(versions.first.value());
            hash.number(versions.last.value());
        }
        Self(hash.finish())
    }
}
