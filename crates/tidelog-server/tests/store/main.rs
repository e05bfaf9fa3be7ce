//! The contract of stores, for each of them, and what each promises beside it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and a page of another length is a failure"
)]

#[cfg(feature = "postgres")]
#[path = "../cluster/mod.rs"]
mod cluster;
#[macro_use]
mod archive;
mod commits;
#[macro_use]
mod suite;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod proxy;
mod sqlite;
