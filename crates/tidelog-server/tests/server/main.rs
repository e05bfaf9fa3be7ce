//! The real program over loopback.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and JSON of another shape is a failure"
)]
#![cfg_attr(
    not(feature = "postgres"),
    expect(
        dead_code,
        reason = "some helpers are for several processes on one database"
    )
)]

mod access;
mod admission;
mod archive;
mod caps;
mod cli;
#[cfg(feature = "postgres")]
#[path = "../cluster/mod.rs"]
mod cluster;
mod crash;
mod erasures;
mod filter;
mod harness;
mod jwks;
mod jwks_tls;
mod jwt;
mod keeping;
mod layouts;
mod live;
mod many_erasures;
#[cfg(feature = "postgres")]
mod postgres;
mod pull;
mod readiness;
mod rights;
mod running;
#[cfg(feature = "s3")]
mod s3;
mod schemas;
mod security;
mod segments;
mod streams;
mod tail;
mod www;
