//! See the README.
#![no_main]

#[path = "../../tests/common/server.rs"]
mod admission;
#[path = "../src/checks.rs"]
#[allow(dead_code, reason = "only bytes are made true here")]
mod checks;
#[path = "../src/choices.rs"]
#[allow(dead_code, reason = "each target makes some of the choices")]
mod choices;
#[path = "../src/replica.rs"]
mod replica;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    replica::run(bytes);
});
