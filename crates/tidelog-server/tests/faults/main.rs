//! Servers that are killed, cut off from their database, short of disk or replaced by others, under writers that never rest
//! and readers that remember all they saw.
//!
//! A few seconds each here; `npm run kill-test -- --server` does the same for long.

#![cfg(feature = "postgres")]
#![expect(clippy::print_stdout, reason = "a long run says how far it is")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and JSON of another shape is a failure"
)]

#[path = "../cluster/mod.rs"]
mod cluster;
mod disk;
mod fleet;
#[path = "../server/harness.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod harness;
mod kill;
mod readers;
mod restart;
mod rolling;
mod seen;
mod writers;
