//! The border between the npm package and the Rust client: one class, no decisions.
//!
//! Small objects go out by `serde-wasm-bindgen` and come in field by field ([`tidelog_client::Fields`]); confirmed events go
//! out as columns (the module `batch`). Failures cross as plain
//! objects `{ code, message, … }`, which the TypeScript side turns into its error classes.

mod batch;
mod draft;
mod error;
mod event;
mod log_core;
mod notice;
mod parked;

pub use log_core::LogCore;
