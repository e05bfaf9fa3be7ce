//! What `rexie` 0.6 cannot do, in `web-sys`; the only module that uses it for more than a value.
//!
//! - **Durability.** `rexie` opens transactions without options; `strict` is the difference between "survives a power
//!   cut" and not. `web-sys` has the option only behind an unstable cfg, so it is passed by `Reflect`.
//! - **`complete`.** `rexie` awaits each request before the next and says `Ok(Aborted)` for an abort; here all requests
//!   are issued, the transaction is committed, and its end is told apart with its reason.
//! - **`versionchange`, `close`, `blocked`.** `rexie` gives no events: without them a wiped database, a lost connection
//!   and an upgrade that another tab blocks all look like nothing.
//! - **Reads.** `rexie` keeps its connection to itself, so its reads would need a second one; and one of its futures
//!   that is dropped breaks the callback which its event calls.
//!
//! Inside a transaction, await nothing but its own requests: IndexedDB commits a transaction as soon as control
//! returns to the browser with no request outstanding.

mod event;
mod open;
mod transaction;

pub(crate) use event::{Ends, Listener};
pub(crate) use open::{Opened, delete, exists, open};
pub(crate) use transaction::{Answer, End, Transaction, Writing};
