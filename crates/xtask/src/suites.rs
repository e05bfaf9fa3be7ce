//! Every suite, in order, whatever the others did; then what really ran.

mod browser;
mod rust;
mod sim;
mod web;

use std::process::ExitCode;
use std::time::Instant;

use crate::Outcome;
use crate::project::Project;
use crate::run::say;
use crate::tally::Tally;

/// A suite runs with the words that followed its name, which go to its runner.
type Suite = fn(&Project, &[String]) -> Outcome<Tally>;

/// In the order of a whole run: what fails fastest first.
const SUITES: [(&str, Suite); 11] = [
    ("fmt", rust::fmt),
    ("clippy", rust::clippy),
    ("rust", rust::unit),
    ("doc", rust::doc),
    ("sim", sim::sim),
    ("wasm", browser::wasm),
    ("ts", web::ts),
    ("protocol", web::protocol),
    ("conformance", web::conformance),
    ("e2e", browser::e2e),
    ("packaging", web::packaging),
];

/// Runs all suites, or those named; what follows `--` goes to the runner of a suite named alone.
/// The last line says `N passed, N failed`.
pub(crate) fn run(project: &Project, arguments: &[String]) -> Outcome<ExitCode> {
    let split = arguments
        .iter()
        .position(|word| word == "--")
        .unwrap_or(arguments.len());
    let (names, rest) = arguments.split_at(split);
    let extra = rest.get(1..).unwrap_or_default();
    if !extra.is_empty() && names.len() != 1 {
        return Err("words after `--` go to one suite: name exactly one".into());
    }
    if let Some(stranger) = names
        .iter()
        .find(|name| !SUITES.iter().any(|(known, _)| known == name))
    {
        let known: Vec<&str> = SUITES.iter().map(|(name, _)| *name).collect();
        return Err(format!(
            "there is no suite `{stranger}`; there are {}",
            known.join(", ")
        ));
    }
    let chosen = SUITES
        .iter()
        .filter(|(name, _)| names.is_empty() || names.iter().any(|n| n == name));

    let mut total = Tally::default();
    let mut table = Vec::new();
    for (name, suite) in chosen {
        say(&format!("suite {name}"));
        let start = Instant::now();
        let tally = suite(project, extra).unwrap_or_else(|reason| {
            eprintln!("error: {reason}");
            Tally::one(false)
        });
        total.add(tally);
        let seconds = start.elapsed().as_secs_f64();
        table.push(format!(
            "{name:<11} {:>6} passed {:>4} failed {seconds:>8.1} s",
            tally.passed, tally.failed
        ));
    }
    println!();
    for line in table {
        println!("{line}");
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(if total.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
