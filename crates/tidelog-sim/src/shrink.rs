//! A smaller world that breaks the same invariant: fewer steps, fewer hazards, fewer of everything.

use crate::options::{HAZARDS, Options};
use crate::run::play;

/// No more worlds than this are tried.
const MOST_WORLDS: usize = 400;

/// The smallest world found that breaks the same invariant as this one.
#[must_use]
pub fn shrink(options: &Options) -> Options {
    let Some((violation, step)) = play(options, 0).violation else {
        return options.clone();
    };
    let mut best = Shrinking {
        best: options.clone(),
        invariant: violation.invariant,
        tried: 0,
    };
    // Steps after the one that broke do nothing.
    best.attempt(|smaller| {
        smaller.steps = smaller.steps.min(u32::try_from(step).unwrap_or(u32::MAX))
    });
    loop {
        let before = best.best.clone();
        for (hazard, ..) in HAZARDS {
            best.attempt(|smaller| smaller.set(*hazard, 0));
        }
        for number in 1..before.clone().numbers().len() {
            let least = u32::from(number < 5);
            best.attempt(|smaller| *smaller.numbers()[number].1 = least);
            best.attempt(|smaller| {
                let value = &mut *smaller.numbers()[number].1;
                *value = value.saturating_sub(1).max(least);
            });
        }
        for parts in [2, 4, 8, 16, 64, 256] {
            best.attempt(|smaller| smaller.steps -= smaller.steps / parts);
            best.attempt(|smaller| smaller.steps = smaller.steps.saturating_sub(1));
        }
        if best.best == before || best.tried >= MOST_WORLDS {
            return best.best;
        }
    }
}

struct Shrinking {
    best: Options,
    invariant: u8,
    tried: usize,
}

impl Shrinking {
    fn attempt(&mut self, change: impl FnOnce(&mut Options)) {
        let mut smaller = self.best.clone();
        change(&mut smaller);
        if smaller == self.best || self.tried >= MOST_WORLDS {
            return;
        }
        self.tried += 1;
        let violation = play(&smaller, 0).violation;
        if violation.is_some_and(|(violation, _)| violation.invariant == self.invariant) {
            self.best = smaller;
        }
    }
}
