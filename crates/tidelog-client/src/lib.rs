//! Tidelog in a browser, for Rust front ends and for the npm package.
//!
//! A [`Log`] drives one [`Replica`](tidelog_core::replica::Replica) with IndexedDB, fetch, timers, a Web Lock and a
//! BroadcastChannel. It decides nothing: what to write, what to send and what it means is the replica's business.
//!
//! Invariant: no code of a caller runs while anything here is borrowed; the only callback is [`Options::wake`], and it
//! only says that [`Log::poll_notice`] has something.

mod answer;
mod error;
mod fields;
mod history;
mod log;
mod options;
mod platform;
mod runtime;
mod session;
mod tabs;
mod transport;

pub use error::ClientError;
pub use fields::{FieldError, Fields};
pub use history::RecordedEvent;
pub use log::{Log, Outcome};
pub use options::{Options, TokenSource};
pub use platform::{new_commit_id, now};
pub use session::{ExecuteError, Model, Receipt, Session, Settled, Subscription};
pub use tabs::PeerStatus;
