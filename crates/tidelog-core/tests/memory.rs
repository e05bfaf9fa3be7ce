//! A small frame cannot ask for much memory, whatever it claims to hold. One test only: the allocator counts for the
//! whole process.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::bytes::{assemble, varint};
use std::alloc::System;
use tidelog_core::frame;

#[global_allocator]
static ALLOCATOR: cap::Cap<System> = cap::Cap::new(System, usize::MAX);

fn number(value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint(&mut bytes, value);
    bytes
}

#[test]
fn a_small_frame_that_claims_much_allocates_little() {
    let most = number(u64::MAX);
    let many = number(u64::from(u32::MAX));
    // Commit id, attempt, replica, seq, no conditions; then a number of events.
    let replica = [&[1][..], &[9; 16], &[0]].concat();
    let commit = [&[7; 16][..], &[1, 0, 2, 0], &many].concat();
    let conditions = [&[7; 16][..], &[1, 0, 2], &many].concat();
    let mut liars = vec![
        (
            "commits",
            assemble(true, 1, (u32::MAX, u32::MAX), [&[0, 0], &[], &[], &[]]),
        ),
        (
            "commits",
            assemble(true, 1, (0xffff, 0xffff), [&[0, 0], &[], &[], &[]]),
        ),
        (
            "local commits",
            assemble(false, 1, (u32::MAX, u32::MAX), [&[0, 0], &[], &[], &[]]),
        ),
        (
            "events",
            assemble(true, 1, (1, u32::MAX), [&replica, &commit, &[], &[]]),
        ),
        (
            "conditions",
            assemble(true, 1, (1, 1), [&replica, &conditions, &[], &[]]),
        ),
    ];
    for claim in [&most, &many] {
        let texts = [&[0][..], claim].concat();
        let text = [&[0, 1][..], claim].concat();
        liars.push((
            "replicas",
            assemble(true, 1, (0, 0), [claim, &[], &[], &[]]),
        ));
        liars.push(("texts", assemble(true, 1, (0, 0), [&texts, &[], &[], &[]])));
        liars.push((
            "a text's length",
            assemble(true, 1, (0, 0), [&text, &[], &[], &[]]),
        ));
    }
    let before = ALLOCATOR.max_allocated();
    for (what, frame) in &liars {
        assert!(frame.len() < 200);
        assert!(frame::decode(frame).is_err(), "{what}");
        assert!(frame::columns(frame.clone()).is_err(), "{what}");
        let asked = ALLOCATOR.max_allocated().saturating_sub(before);
        assert!(
            asked < 256 * 1024,
            "a frame that lies about {what} made core ask for {asked} bytes"
        );
    }
}
