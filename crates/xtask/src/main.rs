//! One entry for people and CI: sets up, builds, starts, tests and measures Tidelog.
//!
//! ```text
//! cargo xtask setup             what the machine lacks
//! cargo xtask build             wasm, npm package, demo pages
//! cargo xtask start             all of that, the server, real data; prints the addresses
//! cargo xtask test [SUITE…]     every suite, or those named; last line `N passed, N failed`
//! cargo xtask sim [OPTION…]     worlds of devices, tabs, servers and faults, each drawn from a seed
//! cargo xtask kill-test         kills Chromium while it appends, or servers under writers, and looks for losses
//! cargo xtask load [OPTION…]    load on a real server, each figure beside its reference
//! cargo xtask size              gz size of a page that imports the package
//! cargo xtask bench [OPTION…]   Tidelog beside what a user would pick instead, in headless Chromium
//! ```
//!
//! Every step looks first at whether its inputs changed, so a second run is quick.
#![expect(
    clippy::print_stdout,
    reason = "a command-line program talks on stdout"
)]

mod bench;
mod build;
mod kill_test;
mod load;
mod packages;
mod project;
mod run;
mod setup;
mod sim;
mod size;
mod stamp;
mod start;
mod suites;
mod tally;

use std::process::ExitCode;

use project::Project;

/// What ends a command early: a sentence for the person who typed it.
type Outcome<T = ()> = Result<T, String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match command(&arguments) {
        Ok(code) => code,
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn command(arguments: &[String]) -> Outcome<ExitCode> {
    let project = Project::find()?;
    let (name, rest) = match arguments.split_first() {
        Some((name, rest)) => (name.as_str(), rest),
        None => ("", arguments),
    };
    match name {
        "setup" => {
            setup::all(&project)?;
            setup::postgres(&project)?;
        }
        "build" => {
            setup::for_build(&project)?;
            build::all(&project)?;
        }
        "start" => start::run(&project)?,
        "test" => return suites::run(&project, rest),
        "kill-test" => return kill_test::run(&project, rest),
        "load" => return load::run(&project, rest),
        "sim" => return sim::run(&project, rest),
        "size" => size::run(&project)?,
        "bench" => bench::run(&project, rest)?,
        _ => {
            return Err(
                "usage: cargo xtask setup | build | start | test [SUITE…] | sim | kill-test | load | size | bench"
                    .into(),
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}
