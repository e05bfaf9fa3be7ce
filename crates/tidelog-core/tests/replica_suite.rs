//! The replica and the server's admission rule against each other, one behaviour at a time. Worlds in which everything
//! happens at once are `tidelog-sim`'s.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "a test may stop at what it did not expect, and a failing world tells its story"
)]

mod replica;
