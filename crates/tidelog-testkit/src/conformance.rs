//! The contract of [`Store`], one case per promise.
//!
//! [`store_conformance!`](crate::store_conformance) registers all of them for an implementation, so a case exists in
//! exactly one place and none can be forgotten:
//!
//! ```
//! use tidelog_testkit::memory::MemoryFactory;
//! tidelog_testkit::store_conformance!(native, MemoryFactory::default());
//! # fn main() {}
//! ```
//!
//! In a browser: `tidelog_testkit::store_conformance!(browser, factory)`, with `wasm-bindgen-test` among the
//! dev-dependencies of the crate that says so. Any other first word does not compile: a suite never runs nothing.
//!
//! Each case gets a database of its own, named after it. Every case says what a user would lose if it failed.

#![allow(
    clippy::expect_used,
    reason = "a case fails by panicking, as every test does"
)]
#![allow(
    clippy::indexing_slicing,
    reason = "a case fails by panicking, as every test does"
)]

#[macro_use]
mod register;
mod cases;
mod erasing;
mod maintenance;
mod range;
mod snapshots;
mod tab;
mod tabs;

pub use cases::*;
pub use erasing::*;
pub use maintenance::*;
pub use range::*;
pub use snapshots::*;
pub use tab::{Database, Tab, recorded};
pub use tabs::*;

use core::future::Future;
use tidelog_core::ReplicaId;
use tidelog_core::store::{Store, StoreError};

/// Makes the stores that the suite runs on.
pub trait StoreFactory {
    /// The implementation under test.
    type Store: Store;

    /// Opens a handle on the database of this name, a new one if there is none. `replica` is the id of a new one.
    ///
    /// # Errors
    /// What the implementation says.
    fn open(
        &self,
        name: &str,
        replica: ReplicaId,
    ) -> impl Future<Output = Result<Self::Store, StoreError>>;

    /// Deletes the database of this name from outside, open or not.
    fn wipe(&self, name: &str) -> impl Future<Output = ()>;
}
