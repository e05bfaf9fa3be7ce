//! Tidelog in a browser, for Rust front ends and for the npm package.
//!
//! A [`Log`] drives one [`Replica`](tidelog_core::replica::Replica) with IndexedDB, fetch, timers, a Web Lock and a
//! BroadcastChannel. It decides nothing: what to write, what to send and what it means is the replica's business.
//!
//! - `runtime`: the loop; `lifecycle`: what the page goes through; `tabs`: the others;
//! - `read`, `remote`: the confirmed log, from this disk and from the server; `segments`: catching up from far behind;
//! - `snapshots`, `maintenance`: what makes opening fast and the log small;
//! - `import`, `export`, `storage`: the log as files and as bytes on a disk;
//! - `session`: commands and folds of a [`Model`] in Rust.
//!
//! Invariant: no code of a caller runs while anything here is borrowed; the only callback is [`Options::wake`], and it
//! only says that [`Log::poll_notice`] has something.

mod answer;
mod erasing;
mod error;
mod export;
mod fields;
mod import;
mod leading;
mod lifecycle;
mod log;
mod maintenance;
mod options;
mod platform;
mod read;
mod reads;
mod remote;
mod runtime;
mod segments;
mod session;
mod snapshots;
mod storage;
mod tabs;
mod transport;

pub use error::ClientError;
pub use fields::{FieldError, Fields};
pub use import::Imported;
pub use log::{Log, Outcome};
pub use options::{Options, Retain, TAKE_OVER_MILLIS, TokenSource};
pub use platform::{new_commit_id, now};
pub use read::{LogPage, RecordedEvent, StreamPage};
pub use session::{
    Changed, ExecuteError, Model, Progress, Receipt, Session, Settled, Sides, Subscription,
};
pub use snapshots::{FoldState, SnapshotPart};
pub use storage::{Storage, Verified};
pub use tabs::PeerStatus;
