//! What Tidelog's tests share: stand-ins that keep the real contracts, and one conformance suite per contract.
//!
//! - [`memory`]: a store in memory that several handles share like tabs, with faults on demand;
//! - [`conformance`]: the contract of [`tidelog_core::store::Store`], one case per promise, registered for an
//!   implementation by [`store_conformance!`].
//!
//! Everything here compiles natively and for `wasm32-unknown-unknown`. Invariant: a stand-in is never kinder than the
//! real thing; whatever it promises is checked by the same suite as the real one.

pub mod conformance;
pub mod memory;

#[doc(hidden)]
pub use pollster::block_on;
