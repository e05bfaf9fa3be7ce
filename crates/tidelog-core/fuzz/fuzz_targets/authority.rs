//! See the README.
#![no_main]

#[path = "../../tests/common/server.rs"]
#[allow(dead_code, reason = "it is shared")]
mod admission;
#[path = "../src/authority.rs"]
mod authority;
#[path = "../src/checks.rs"]
#[allow(dead_code, reason = "only bytes are made true here")]
mod checks;
#[path = "../src/choices.rs"]
#[allow(dead_code, reason = "each target makes some of the choices")]
mod choices;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    authority::run(bytes);
});
