//! The real program over loopback.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and JSON of another shape is a failure"
)]

mod access;
mod admission;
mod caps;
mod cli;
mod crash;
mod harness;
mod live;
mod pull;
mod streams;
mod www;
