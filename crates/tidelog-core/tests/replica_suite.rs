//! The replica and the server's admission rule against each other: one behaviour at a time, and a simulated world of
//! devices, tabs, a faulty network and faulty disks under an oracle.
//!
//! `TIDELOG_SEEDS=100000` runs more worlds, `TIDELOG_SEED=17` only that one and tells its story.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "a test may stop at what it did not expect, and a failing world tells its story"
)]

mod replica;
