//! The log on disk in a browser: [`Store`](tidelog_core::store::Store) over IndexedDB.
//!
//! One database per log and signed-in user. IndexedDB is used as a log device: opaque frames under numeric keys, one
//! head, and transactions that happen whole or not at all.
//!
//! - `open`: finds, creates or upgrades the database and gives it a replica id; nothing else mints one;
//! - `schema`: the stores, one module per version, created by `rexie`;
//! - `connection`: the connection of a handle and the reason why it ended;
//! - `write`: one transaction, from the look at the head to its `complete` event;
//! - `look`, `term`: the look at the head; who may append without that look, and why nothing is lost by it;
//! - `maintenance`, `snapshot`: transactions that change how the log is stored and not what it says;
//! - `view`, `log`, `read`: what one transaction sees;
//! - `raw`: what `rexie` cannot do, and why;
//! - `record`: what the values look like;
//! - `error`: which failure of the platform is which [`StoreError`](tidelog_core::store::StoreError).
//!
//! Invariants: `Done` is said on `complete` and never before. Every write checks format, replica and generation in
//! its own transaction, or finds the key taken that it needs if another handle has changed them. A handle that lost its database never makes a new one. No handle ever blocks another tab's
//! upgrade or deletion. A future of this crate may be dropped at any time; what it began runs to its end.
//!
//! ```no_run
//! use tidelog_core::store::{Store, StoreError};
//! use tidelog_core::{LogName, Position, ReplicaId, Timestamp};
//! use tidelog_indexeddb::{IndexedDbStore, OpenOptions};
//!
//! # async fn example(now: Timestamp, random: [u8; 10]) -> Result<(), Box<dyn std::error::Error>> {
//! let store = IndexedDbStore::open(OpenOptions {
//!     log: LogName::new("todos")?,
//!     user: None,
//!     replica: ReplicaId::mint(now, random),
//! })
//! .await?;
//! let loaded = store.load(Position::START, 4 * 1024 * 1024).await?;
//! # Ok(())
//! # }
//! ```

mod connection;
mod erasing;
mod error;
mod log;
mod look;
mod maintenance;
mod name;
mod open;
mod raw;
mod read;
mod record;
mod schema;
mod snapshot;
mod store;
mod term;
mod view;
mod write;

pub use open::OpenOptions;
pub use store::IndexedDbStore;
