//! `tidelog conformance` against every server of the protocol that there is here, and against servers that are broken on purpose.
//!
//! Run by `cargo xtask test conformance`, which counts the cases that ran; `-- NAME` runs one target. A run of all of them also
//! demands that together they ask for everything that the protocol has.

#![expect(clippy::print_stdout, reason = "a test runner reports")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and JSON of another shape is a failure"
)]

mod archiving;
#[cfg(feature = "postgres")]
#[path = "../cluster/mod.rs"]
mod cluster;
mod coverage;
mod faults;
mod mistakes;
mod servers;
mod suite;

use coverage::Coverage;
use servers::Running;
use std::process::ExitCode;
use suite::Suite;

struct Target {
    name: &'static str,
    start: fn() -> Running,
    /// What it is known to lack, as the suite says it. All else is asked.
    lacks: &'static [&'static str],
}

/// A server for development knows no callers, and nobody has told it anything.
const DEV: &[&str] = &[
    "--token",
    "--other-token",
    "--guest-token",
    "--payloads",
    "--limited",
    "--failing",
];
/// The least that a server may have.
const LEAST: &[&str] = &[
    "--token",
    "--other-token",
    "--guest-token",
    "--payloads",
    "--limited",
    "--failing",
    "append",
    "cap bodyBytes",
    "cap commitBytes",
    "cap commitConditions",
    "cap commitEvents",
    "cap eventTags",
    "cap idBytes",
    "cap jsonDepth",
    "cap pullBytes",
    "cap pushCommits",
    "chain",
    "erasure",
    "filter",
    "frames",
    "live",
    "liveCommits",
    "segments",
    "sse",
];

/// The one list of servers. One that cannot start fails.
const TARGETS: &[Target] = &[
    Target {
        name: "sqlite",
        start: servers::sqlite,
        lacks: DEV,
    },
    Target {
        name: "tokens",
        start: servers::with_tokens,
        lacks: &[],
    },
    Target {
        name: "archived",
        start: servers::archived,
        lacks: DEV,
    },
    #[cfg(feature = "postgres")]
    Target {
        name: "postgres",
        start: servers::postgres,
        lacks: &[],
    },
    #[cfg(feature = "postgres")]
    Target {
        name: "two-on-postgres",
        start: servers::two_on_postgres,
        lacks: DEV,
    },
    Target {
        name: "minimal-backend",
        start: servers::minimal_backend,
        lacks: LEAST,
    },
];
/// The name under which the broken servers run.
const FAULTS: &str = "faults";

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let known: Vec<&str> = TARGETS
        .iter()
        .map(|target| target.name)
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
    let mut coverage = Coverage::default();
    for target in TARGETS.iter().filter(|target| wanted(target.name)) {
        println!("target {}", target.name);
        let suite = Suite::run(&(target.start)());
        coverage.add(&suite);
        let counts = suite.shown(target.lacks);
        passed += counts.passed;
        failed += counts.failed;
    }
    if asked.is_empty() {
        println!("what the protocol has");
        let counts = coverage.shown();
        passed += counts.passed;
        failed += counts.failed;
    }
    if wanted(FAULTS) {
        println!("target {FAULTS}");
        for (seen, missed) in [faults::run(), mistakes::run()] {
            passed += seen;
            failed += missed;
        }
    }
    println!("{passed} passed, {failed} failed");
    match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
