//! One world from its options to its end.

use crate::options::Options;
use crate::violation::Violation;
use crate::world::World;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How a world ended.
#[derive(Debug, Clone)]
pub struct Ending {
    /// What broke, and in which step; after the last step faults have ended.
    pub violation: Option<(Violation, u64)>,
    /// The trace as a number.
    pub hash: u64,
    /// How many steps there were.
    pub steps: u64,
    /// How often rare things happened.
    pub sometimes: BTreeMap<&'static str, u64>,
    /// The newest lines of the story, if they were asked for.
    pub lines: Vec<String>,
}

/// Plays a world, keeping the newest `lines` of its story.
#[must_use]
pub fn play(options: &Options, lines: usize) -> Ending {
    let mut world = None;
    let caught = catch_unwind(AssertUnwindSafe(|| {
        world.insert(World::new(options.clone(), lines)).play();
    }));
    let violation = caught.err().map(|panic| Violation::of_panic(&*panic));
    match world {
        None => Ending {
            violation: violation.map(|violation| (violation, 0)),
            hash: 0,
            steps: 0,
            sometimes: BTreeMap::new(),
            lines: Vec::new(),
        },
        Some(world) => Ending {
            violation: violation.map(|violation| (violation, world.steps())),
            hash: world.oracle.trace.hash(),
            steps: world.steps(),
            lines: world.oracle.trace.lines().map(str::to_owned).collect(),
            sometimes: world.oracle.sometimes,
        },
    }
}

/// Plays a world twice: the same options tell the same story.
#[must_use]
pub fn play_twice(options: &Options) -> Ending {
    let mut first = play(options, 0);
    let second = play(options, 0);
    let same = (first.hash, first.steps, &first.violation)
        == (second.hash, second.steps, &second.violation);
    if !same && first.violation.is_none() {
        let message = String::from("the same seed told another story");
        let violation = Violation {
            invariant: 16,
            message,
        };
        first.violation = Some((violation, first.steps));
    }
    first.steps += second.steps;
    first
}

/// The traces of the first seeds as one text, to compare machines by.
#[must_use]
pub fn hashes(seeds: u64, steps: u32) -> String {
    let hashes =
        (0..seeds).map(|seed| format!("{:016x}", play(&Options::draw(seed, steps), 0).hash));
    hashes.collect::<Vec<_>>().join(",")
}
