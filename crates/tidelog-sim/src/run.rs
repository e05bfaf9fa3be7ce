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

/// Plays a world twice, the second time with other clocks: the same story is told, because neither chance nor a clock has a
/// part in it (invariants 16 and 12).
#[must_use]
pub fn play_twice(options: &Options) -> Ending {
    let mut first = play(options, 0);
    let mut other = options.clone();
    other.skewed = 1 - options.skewed.min(1);
    let second = play(&other, 0);
    if first.violation.is_none() && !tells_the_same(&first, &second) {
        let repeated = tells_the_same(&first, &play(options, 0));
        let (invariant, message) = match repeated {
            true => (12, "with other clocks, the same seed told another story"),
            false => (16, "the same seed told another story"),
        };
        let violation = Violation {
            invariant,
            message: String::from(message),
        };
        first.violation = Some((violation, first.steps));
    }
    first.steps += second.steps;
    first
}

fn tells_the_same(one: &Ending, other: &Ending) -> bool {
    (one.hash, one.steps, &one.violation) == (other.hash, other.steps, &other.violation)
}

/// The traces of the first seeds as one text, to compare machines by.
#[must_use]
pub fn hashes(seeds: u64, steps: u32) -> String {
    let hashes =
        (0..seeds).map(|seed| format!("{:016x}", play(&Options::draw(seed, steps), 0).hash));
    hashes.collect::<Vec<_>>().join(",")
}
