//! The border between the npm package and the Rust client: one class, no decisions.
//!
//! Small objects cross by `serde-wasm-bindgen`; confirmed events cross as columns ([`mod@batch`]). Failures cross as plain
//! objects `{ code, message, … }`, which the TypeScript side turns into its error classes.

mod batch;
mod draft;
mod error;
mod log_core;
mod notice;
mod parked;

pub use log_core::LogCore;
