//! `npm run kill-test`: Chromium killed any number of times, by the test that kills it 20 times in the `e2e` suite; with
//! `--server` servers and PostgreSQL, by the tests that do so a few times in the `rust` suite.

use std::process::ExitCode;

use crate::project::Project;
use crate::run::{command, say, tee};
use crate::{Outcome, build, setup, tally};

const USAGE: &str = "usage: npm run kill-test -- [--kills N] [--seed S] [--lie | --server]";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    kills: u32,
    /// Any, unless given, and always said: it repeats the choices.
    seed: Option<u32>,
    /// The pages tell the witness too early; the run must end with a loss.
    lie: bool,
    /// Servers, in place of Chromium.
    server: bool,
}

/// Prints a line for each kill and a sum; fails at the first loss.
pub(crate) fn run(project: &Project, arguments: &[String]) -> Outcome<ExitCode> {
    let options = parse(arguments)?;
    if options.server {
        return servers(project, &options);
    }
    setup::all(project)?;
    build::all(project)?;
    let server = build::server(project, false)?;
    let seed = options.seed.unwrap_or_else(std::process::id);
    say(&format!(
        "kill-test: {} kills, --seed {seed}",
        options.kills
    ));
    let mut playwright = command(
        &project.path("tests"),
        project.path("node_modules/.bin/playwright"),
        ["test", "browser/kill.e2e.spec.ts"],
    );
    playwright
        .args(["--max-failures", "1", "--grep", "kills,"])
        .env("TIDELOG_SERVER", server)
        .env("TIDELOG_KILLS", options.kills.to_string())
        .env("TIDELOG_SEED", seed.to_string());
    if options.lie {
        playwright.env("TIDELOG_LIE", "1");
    }
    let heard = tee(playwright)?;
    println!("{}", sum(&heard.text));
    Ok(if heard.success {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Servers on each database, killed so many times, and PostgreSQL restarted as often.
fn servers(project: &Project, options: &Options) -> Outcome<ExitCode> {
    setup::postgres(project)?;
    let arguments = ["test", "--package", "tidelog-server", "--test", "faults"];
    let mut tests = command(&project.root, "cargo", arguments);
    tests
        .args([
            "--",
            "--nocapture",
            "--test-threads",
            "1",
            "kill::",
            "restart::",
        ])
        .env("TIDELOG_KILLS", options.kills.to_string());
    if let Some(seed) = options.seed {
        tests.env("TIDELOG_SEED", seed.to_string());
    }
    let tally = {
        let heard = tee(tests)?;
        tally::libtest(&heard.text).judged(heard.success)
    };
    Ok(match tally.failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn parse(arguments: &[String]) -> Outcome<Options> {
    let mut options = Options {
        kills: 100,
        seed: None,
        lie: false,
        server: false,
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--kills" => options.kills = number(word, words.next())?,
            "--seed" => options.seed = Some(number(word, words.next())?),
            "--lie" => options.lie = true,
            "--server" => options.server = true,
            _ => return Err(format!("kill-test does not know `{word}`; {USAGE}")),
        }
    }
    if options.lie && options.server {
        return Err(format!("--lie is about pages, not servers; {USAGE}"));
    }
    if options.kills == 0 {
        return Err(format!("--kills must be 1 or more; {USAGE}"));
    }
    Ok(options)
}

fn number(name: &str, value: Option<&String>) -> Outcome<u32> {
    value
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("{name} needs a whole number; {USAGE}"))
}

/// Of the lines `kill 3/10 (…)` and `10 kills, local logs: all of 1234 commits …`.
fn sum(text: &str) -> String {
    let kills = text
        .lines()
        .filter(|line| line.starts_with("kill ") && line.contains("all there"))
        .count();
    let commits: u64 = text
        .lines()
        .filter_map(|line| line.split_once(" logs: all of ")?.1.split(' ').next())
        .filter_map(|count| count.parse::<u64>().ok())
        .sum();
    format!(
        "kill-test: {kills} kills survived; {commits} commits of whole runs were durable and are there, once"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn options_are_read() {
        let options = Options {
            kills: 7,
            seed: Some(3),
            lie: true,
            server: false,
        };
        assert_eq!(parse(&words("--kills 7 --seed 3 --lie")), Ok(options));
        assert_eq!(
            parse(&words("--server")).map(|found| found.server),
            Ok(true)
        );
    }

    #[test]
    fn what_it_does_not_know_is_refused() {
        for line in [
            "--kils 7",
            "--kills",
            "--kills x",
            "--kills 0",
            "7",
            "--server --lie",
        ] {
            assert!(parse(&words(line)).is_err(), "{line}");
        }
    }

    #[test]
    fn kills_and_commits_are_summed() {
        let text = "kill 1/2 (local, …): 1 renderer, 5 told so far, all there\n\
                    kill 1/1 (synced, …): 1 renderer, 7 told so far, all there\n\
                    kill 2/2 (local, …): 1 renderer, 9 told so far, all there\n\
                    2 kills, local logs: all of 9 commits that were durable are there, once\n\
                    1 kills, synced logs: all of 7 commits that were durable are there, once\n";
        assert_eq!(
            sum(text),
            "kill-test: 3 kills survived; 16 commits of whole runs were durable and are there, once"
        );
    }
}
