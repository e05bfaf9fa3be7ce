//! See the README.
#![no_main]

#[path = "../src/checks.rs"]
#[allow(dead_code, reason = "each target runs one of the checks")]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // The input is two frames, the first as long as it says.
    let mut bytes = bytes.to_vec();
    let length = bytes.len();
    let first = tidelog_core::frame::header(&bytes).map_or(length, |header| header.length);
    let (one, other) = bytes.split_at_mut(first.min(length));
    checks::repair_frame(one);
    checks::repair_frame(other);
    checks::merge(&bytes);
});
