//! See the README.
#![no_main]

#[path = "../src/checks.rs"]
#[allow(dead_code, reason = "each target runs one of the checks")]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    checks::repair_record(&mut bytes);
    checks::directory(&bytes);
});
