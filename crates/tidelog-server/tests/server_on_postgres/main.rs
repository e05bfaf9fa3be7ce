//! The tests of the real program over loopback, the same ones, on PostgreSQL.

#![cfg(feature = "postgres")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and JSON of another shape is a failure"
)]
#![expect(
    dead_code,
    reason = "some helpers are for tests that are not about the store"
)]

#[path = "../server/access.rs"]
mod access;
#[path = "../server/admission.rs"]
mod admission;
#[path = "../server/archive.rs"]
mod archive;
#[path = "../server/caps.rs"]
mod caps;
#[path = "../cluster/mod.rs"]
mod cluster;
#[path = "../server/crash.rs"]
mod crash;
#[path = "../server/erasures.rs"]
mod erasures;
#[path = "../server/harness.rs"]
mod harness;
#[path = "../server/jwt.rs"]
mod jwt;
#[path = "../server/keeping.rs"]
mod keeping;
#[path = "../server/live.rs"]
mod live;
#[path = "../server/pull.rs"]
mod pull;
#[path = "../server/rights.rs"]
mod rights;
#[path = "../server/running.rs"]
mod running;
#[cfg(feature = "s3")]
#[path = "../server/s3.rs"]
mod s3;
#[path = "../server/schemas.rs"]
mod schemas;
#[path = "../server/security.rs"]
mod security;
#[path = "../server/segments.rs"]
mod segments;
#[path = "../server/streams.rs"]
mod streams;
#[path = "../server/tail.rs"]
mod tail;
