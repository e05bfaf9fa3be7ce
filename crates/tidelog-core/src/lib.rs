//! The pure core of Tidelog: no clock, no randomness, no I/O.
//!
//! Everything that decides lives here, so that the browser, the server and a simulator decide alike:
//!
//! - the vocabulary as newtypes ([`StreamId`], [`Version`], [`Position`], [`Commit`], …);
//! - [`frame`]: the one binary record, the same on disk, on the wire and in exports;
//! - [`directory`]: which streams a stored frame may hold;
//! - [`authority`]: the server's admission rule, a pure function;
//! - [`erasure`]: events that say whose payloads are gone;
//! - [`replica`]: the client's sync state machine, sans-IO;
//! - [`decider`] and [`projection`]: how commands become events and events become state;
//! - [`store`]: what a replica asks of the disk, as a contract every store must keep.
//!
//! Time, ids and seeds are arguments. Invariant: the same inputs give the same outputs, natively and in Wasm.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod authority;
#[cfg(feature = "canaries")]
pub mod canary;
pub mod commit;
pub mod condition;
pub mod cursor;
pub mod decider;
pub mod directory;
pub mod erasure;
pub mod event;
pub mod expected;
pub mod filter;
pub mod frame;
pub mod gap;
pub mod hash;
pub mod id;
pub mod limits;
pub mod map;
pub mod number;
pub mod projection;
pub mod protocol;
pub mod replica;
pub mod snapshot;
pub mod store;
pub mod stream;
pub mod text;

pub use commit::{Command, Commit, Local, Policy, Recorded, StreamVersions};
pub use condition::Condition;
pub use cursor::Cursor;
pub use event::{Event, EventType, Meta, Payload, Tag};
pub use expected::Expected;
pub use filter::{Filter, FilterError};
pub use gap::{Gap, GapReason, GapRecord};
pub use hash::{ChainHash, Digest};
pub use id::{CommitId, Epoch, EventId, ReplicaId};
pub use number::{Attempt, Position, SchemaVersion, Seq, Timestamp, Version};
pub use stream::{LogName, StreamHead, StreamId, Subject};
