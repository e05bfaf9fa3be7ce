//! A simulated world of devices, tabs, a server and a network, all moved by one seed and watched by an oracle.
//!
//! - [`disk`] and [`server`] are models of their contracts, [`tab`] is a host of one replica that folds and decides
//!   ([`app`]);
//! - [`world`] moves everything, [`oracle`] knows what was promised;
//! - [`bench`] holds one device still, for tests that look at one behaviour.
//!
//! Invariant: no clock, no randomness but the seed's and no order of a hash map, so a seed tells the same story everywhere.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "a model stops at what it did not expect, and its parts are named as the things they stand for"
)]

pub mod app;
pub mod bench;
pub mod canary;
#[cfg(not(target_family = "wasm"))]
pub mod cli;
pub mod dice;
pub mod disk;
pub mod exhaustive;
pub mod network;
pub mod options;
pub mod oracle;
pub mod run;
pub mod server;
pub mod shrink;
pub mod sometimes;
pub mod tab;
pub mod trace;
pub mod violation;
pub mod world;
