//! The same seeds tell the same stories in a browser: invariant 16 across machines.
//!
//! `cargo xtask test sim` plays the seeds natively first and hands their traces over when this is compiled.
#![cfg(target_family = "wasm")]

use tidelog_sim::run::hashes;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

/// The traces of the first seeds, played natively with so many steps each: `STEPS HASH,HASH,…`.
const NATIVE: Option<&str> = option_env!("TIDELOG_SIM_TRACES");

#[wasm_bindgen_test]
fn the_same_seeds_tell_the_same_stories_as_natively() {
    let native = NATIVE.expect("TIDELOG_SIM_TRACES is not set: run `cargo xtask test sim`");
    let (steps, native) = native.split_once(' ').expect("steps, then traces");
    let native: Vec<&str> = native.split(',').collect();
    let seeds = native.len() as u64;
    let here = hashes(seeds, steps.parse().expect("a number of steps"));
    for (seed, (here, there)) in here.split(',').zip(&native).enumerate() {
        assert_eq!(here, *there, "seed {seed}");
    }
    assert!(seeds >= 200, "only {seeds} seeds were compared");
}
