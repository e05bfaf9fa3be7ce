//! `tidelog conformance` against every server of the protocol that there is here, and against backends that are broken on purpose.
//!
//! Run by `cargo xtask test conformance`, which counts the cases that ran; `-- NAME` runs one target.

#![expect(clippy::print_stdout, reason = "a test runner reports")]
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

#[cfg(feature = "postgres")]
#[path = "../cluster/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod cluster;
mod faults;
mod servers;

use servers::{Running, Suite};
use std::process::ExitCode;

/// The one list of servers. One that cannot start fails.
const TARGETS: &[(&str, fn() -> Running)] = &[
    ("sqlite", servers::sqlite),
    ("tokens", servers::with_tokens),
    #[cfg(feature = "postgres")]
    ("postgres", servers::postgres),
    #[cfg(feature = "postgres")]
    ("two-on-postgres", servers::two_on_postgres),
    ("minimal-backend", servers::minimal_backend),
];
/// The name under which the broken backends run.
const FAULTS: &str = "faults";

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let known: Vec<&str> = TARGETS
        .iter()
        .map(|(name, _)| *name)
        .chain([FAULTS])
        .collect();
    if let Some(stranger) = asked.iter().find(|name| !known.contains(&name.as_str())) {
        println!(
            "there is no target {stranger:?}; there are {}",
            known.join(", ")
        );
        return ExitCode::from(2);
    }
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|asked| asked == name);
    let (mut passed, mut failed) = (0, 0);
    for (name, start) in TARGETS.iter().filter(|(name, _)| wanted(name)) {
        println!("target {name}");
        let counts = Suite::run(&start()).shown();
        passed += counts.passed;
        failed += counts.failed;
    }
    if wanted(FAULTS) {
        println!("target {FAULTS}");
        let (seen, missed) = faults::run();
        passed += seen;
        failed += missed;
    }
    println!("{passed} passed, {failed} failed");
    match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
