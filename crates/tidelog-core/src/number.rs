//! Counted things: versions, positions, sequence numbers, attempts, schema versions and time.

use core::fmt;
use serde::{Deserialize, Serialize};

macro_rules! number_newtype {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name($inner);

        impl $name {
            /// Wraps a number.
            #[must_use]
            pub const fn new(value: $inner) -> Self {
                Self(value)
            }

            /// The number.
            #[must_use]
            pub const fn value(self) -> $inner {
                self.0
            }

            /// This number and `n` more; stays at the largest number instead of wrapping.
            #[must_use]
            pub const fn plus(self, n: $inner) -> Self {
                Self(self.0.saturating_add(n))
            }

            /// The next number.
            #[must_use]
            pub const fn next(self) -> Self {
                self.plus(1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

number_newtype! {
    /// The place of an event in its stream, from 1 without gaps. 0 means that the stream does not exist.
    Version(u64)
}
number_newtype! {
    /// The place of a confirmed event in the log, from 1, given by the server. 0 is the place before the first.
    Position(u64)
}
number_newtype! {
    /// The number a replica gives to each attempt it writes, from 1 in the order of appending.
    Seq(u64)
}
number_newtype! {
    /// How often a commit has been decided: 1 for the first time, one more for each rerun or rebase.
    Attempt(u32)
}
number_newtype! {
    /// The version of a payload's shape, from 1.
    SchemaVersion(u32)
}
number_newtype! {
    /// How many write transactions a local database has seen. It rises with each and never falls, so it fences
    /// a tab whose view is stale.
    Generation(u64)
}

impl Version {
    /// The version of a stream that does not exist.
    pub const NONE: Self = Self(0);
}

impl Position {
    /// The place before the first event.
    pub const START: Self = Self(0);
}

impl Attempt {
    /// The first attempt.
    pub const FIRST: Self = Self(1);
    /// How many attempts a row has.
    const ROW: u32 = 1_000;

    /// The first attempt of the next row: above all that were made before somebody decided about the commit, those included
    /// that nobody remembers, because the history that settled them is gone.
    #[must_use]
    pub const fn next_row(self) -> Self {
        Self((self.0 / Self::ROW + 1) * Self::ROW)
    }

    /// How many attempts of its row came before it.
    #[must_use]
    pub const fn in_row(self) -> u32 {
        self.0 % Self::ROW
    }
}

impl SchemaVersion {
    /// The first shape of a payload.
    pub const FIRST: Self = Self(1);
}

/// Milliseconds since 1970-01-01T00:00:00Z. Metadata only: no order and no verdict depends on it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This time and some milliseconds more.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Has this moment come? Also if it is further ahead than anything was ever put off: then the clock was set back since,
    /// and waiting for it might take years.
    #[must_use]
    pub(crate) const fn is_due(self, now: Self, longest_millis: i64) -> bool {
        self.0 <= now.0 || self.0 > now.plus_millis(longest_millis).0
    }
}
