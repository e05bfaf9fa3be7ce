//! Simulated worlds of devices, tabs, a server and a hostile network, each moved by a seed and watched by an oracle.
//!
//! - [`options`]: what a seed draws, a swarm of hazards above all; as a text it is a replay file;
//! - [`world`]: a step of everything, and at the end healing and rest;
//! - [`disk`], [`server`] and [`network`] are models of their contracts, [`tab`] is a host of one replica that folds and
//!   decides ([`app`]), [`reading`] how they read frames;
//! - [`oracle`]: what was promised, checked after every step for what the step changed, now and then for everything;
//! - [`run`] plays a world to its end, [`shrink`] finds a smaller one that fails alike, [`sometimes`] lists rare states;
//! - [`canary`]: planted bugs; [`exhaustive`]: every short story with a crash at every effect;
//! - [`bench`] holds one device still, for tests that look at one behaviour.
//!
//! ```
//! use tidelog_sim::{options::Options, run::play_twice};
//! let ending = play_twice(&Options::draw(7, 50));
//! assert_eq!(ending.violation, None);
//! ```
//!
//! Invariant: no clock, no randomness but the seed's and no order of a hash map, so a seed tells the same story everywhere.
//! Only [`cli`] looks at a clock, to say how long it took.

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
pub mod cli;
pub mod dice;
pub mod disk;
pub mod exhaustive;
pub mod network;
pub mod options;
pub mod oracle;
pub mod reading;
pub mod run;
pub mod server;
pub mod shrink;
pub mod sometimes;
pub mod tab;
pub mod trace;
pub mod violation;
pub mod world;
