//! The simulator: many worlds, every short story, the planted bugs, and the same traces in a browser.

use super::browser;
use crate::Outcome;
use crate::project::Project;
use crate::run::{read, tee};
use crate::sim;
use crate::tally::{self, Tally};

/// As many worlds as fit into two minutes, at most this many.
const WORLDS: [&str; 6] = ["--seeds", "20000", "--steps", "2000", "--seconds", "120"];
/// All stories of up to so many operations.
const STORIES: [&str; 2] = ["--exhaustive", "5"];
/// So many seeds are played here and in a browser.
const TRACES: [&str; 4] = ["--hashes", "200", "--steps", "300"];

/// One check for the worlds and one for the stories, however many there are; one for each planted bug; one for the browser.
/// With `extra` only the simulator runs, with these words.
pub(crate) fn sim(project: &Project, extra: &[String]) -> Outcome<Tally> {
    if !extra.is_empty() {
        let heard = tee(sim::program(project, extra)?)?;
        return Ok(Tally::one(heard.success));
    }
    let mut tally = Tally::default();
    for phase in [WORLDS.as_slice(), STORIES.as_slice()] {
        let heard = tee(sim::program(project, &words(phase))?)?;
        tally.add(Tally::one(heard.success));
    }
    let heard = tee(sim::program(project, &words(&["--canaries"]))?)?;
    tally.add(tally::last_line(&heard.text).judged(heard.success));
    let traces = read(sim::program(project, &words(&TRACES))?)?;
    tally.add(browser::sim_traces(project, traces.trim())?);
    Ok(tally)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| String::from(*word)).collect()
}
