//! Every short story of two devices, with a crash at every effect: each change of a disk and each transaction of the
//! server, before it and after it.

use crate::app;
use crate::disk::Crash;
use crate::options::Options;
use crate::violation::Violation;
use crate::world::World;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tidelog_core::replica::{Decision, Draft};
use tidelog_core::{CommitId, Condition, Expected, Policy, StreamId};

const DEVICES: usize = 2;
/// More rounds than a device needs to have nothing left to do.
const MOST_ROUNDS: usize = 60;
/// More effects than a story has.
const NEVER: usize = 1_000_000;

/// What one device does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A command on a counter, which is decided again on a conflict.
    Decide,
    /// A raw fact that expects what is shown, to be asked about.
    Note,
    /// Everything that can be written, sent and pulled.
    Sync,
}

/// An operation: a device does something.
pub type Operation = (usize, Act);

/// Where a story ends for one node.
#[derive(Debug, Clone, Copy)]
pub struct End {
    /// A device, or the server.
    pub node: Option<usize>,
    /// At which of its effects.
    pub effect: usize,
    /// Did the effect still happen?
    pub made: bool,
}

/// All stories of one to `most` operations. The first device begins: the other half is the same with the names swapped.
#[must_use]
pub fn stories(most: usize) -> Vec<Vec<Operation>> {
    let acts = [Act::Decide, Act::Note, Act::Sync];
    let begins = acts.map(|act| vec![(0, act)]);
    let mut all: Vec<Vec<Operation>> = Vec::from(begins);
    let mut longest = all.clone();
    for _ in 1..most {
        let longer = longest.iter().flat_map(|story| {
            let next = (0..DEVICES).flat_map(move |device| acts.map(|act| (device, act)));
            next.map(|operation| [story.as_slice(), &[operation]].concat())
        });
        longest = longer.collect();
        all.extend(longest.iter().cloned());
    }
    all
}

/// Plays a story without a crash and with each that it can have. How many were played.
///
/// # Errors
/// Where it ended, and what broke.
pub fn check(story: &[Operation]) -> Result<usize, (Option<End>, Violation)> {
    let effects = play(story, None).map_err(|violation| (None, violation))?;
    let mut played = 1;
    for (node, count) in effects {
        for effect in 0..count {
            for made in [false, true] {
                let end = End { node, effect, made };
                play(story, Some(end)).map_err(|violation| (Some(end), violation))?;
                played += 1;
            }
        }
    }
    Ok(played)
}

type Effects = [(Option<usize>, usize); DEVICES + 1];

fn play(story: &[Operation], end: Option<End>) -> Result<Effects, Violation> {
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut told = Story::new(end);
        for (number, operation) in story.iter().enumerate() {
            told.go_on(number, *operation);
        }
        told.finish()
    }));
    played.map_err(|panic| Violation::of_panic(&*panic))
}

struct Story {
    world: World,
}

impl Story {
    fn new(end: Option<End>) -> Self {
        let mut world = World::new(Options::calm(1, DEVICES as u32), 0);
        let crash = |node| match end {
            Some(end) if end.node == node => Crash::at(end.effect, end.made),
            _ => Crash::at(NEVER, false),
        };
        world.server_crash = Some(crash(None));
        for device in 0..DEVICES {
            let disk = &mut world.devices[device].disk;
            disk.may_lose_power = true;
            disk.crash = Some(crash(Some(device)));
        }
        // The order of a device's commits is promised across its restarts only as far as they were durable.
        world.oracle.unordered = end.is_some();
        let mut story = Self { world };
        for device in 0..DEVICES {
            story.open(device);
        }
        story
    }

    fn open(&mut self, device: usize) {
        let at = self.tab(device);
        self.world.tabs[at].replica.handle_leadership(true);
        self.store(device);
    }

    fn tab(&self, device: usize) -> usize {
        let mut tabs = self.world.tabs.iter();
        tabs.position(|tab| tab.device == device)
            .expect("each device has a tab")
    }

    fn go_on(&mut self, number: usize, (device, act): Operation) {
        match act {
            Act::Sync => self.sync(device),
            Act::Decide | Act::Note => self.append(number, device, act),
        }
        self.restart();
    }

    fn append(&mut self, number: usize, device: usize, act: Act) {
        let at = self.tab(device);
        let tab = &self.world.tabs[at];
        let (stream, command) = match act {
            Act::Decide => {
                let stream = StreamId::new("counter/0").unwrap();
                let command = app::command(&stream, "counter.add", "2");
                (stream, Some(command))
            }
            _ => (StreamId::new("facts/0").unwrap(), None),
        };
        let events = match &command {
            None => vec![app::event(&stream, "facts.learnt", &number.to_string())],
            Some(command) => match tab.shown(None).decide(command) {
                Decision::Events(events) => events,
                _ => return,
            },
        };
        let expected = Expected::seen(tab.replica.shown_head(&stream).as_ref());
        let mut id = [0; 16];
        id[0] = number as u8 + 1;
        let draft = Draft {
            id: CommitId::from_bytes(id),
            conditions: vec![Condition { stream, expected }],
            events,
            policy: match command {
                Some(_) => Policy::Rerun,
                None => Policy::Ask,
            },
            command,
        };
        self.world.append_draft(at, draft);
    }

    /// All that the store has to do.
    fn store(&mut self, device: usize) {
        for _ in 0..MOST_ROUNDS {
            let at = self.tab(device);
            if self.is_over(device) || !self.world.work_off(at) {
                return;
            }
        }
    }

    fn sync(&mut self, device: usize) {
        for _ in 0..MOST_ROUNDS {
            let at = self.tab(device);
            let mut moved = self.world.work_off(at);
            if self.is_over(device) {
                return;
            }
            moved |= self.world.land_all();
            if !moved {
                return;
            }
        }
    }

    fn is_over(&self, device: usize) -> bool {
        let crash = self.world.devices[device].disk.crash;
        crash.is_some_and(|crash| crash.happened)
    }

    /// The machine that stopped starts again.
    fn restart(&mut self) {
        for device in 0..DEVICES {
            if self.is_over(device) {
                self.world.devices[device].disk.crash = None;
                self.world.lose_power(device);
                self.open(device);
            }
        }
    }

    fn finish(mut self) -> Effects {
        // What is left is worked off with its effects counted, too.
        for device in [0, 1, 0] {
            self.sync(device);
            self.restart();
        }
        let left = |crash: Option<Crash>| crash.map_or(0, |crash| NEVER - crash.left.min(NEVER));
        let mut effects = [(None, left(self.world.server_crash)); DEVICES + 1];
        for device in 0..DEVICES {
            let crash = self.world.devices[device].disk.crash;
            effects[device + 1] = (Some(device), left(crash));
        }
        for device in 0..DEVICES {
            self.world.devices[device].disk.crash = None;
        }
        self.world.server_crash = None;
        self.world.check_all();
        self.world.heal();
        effects
    }
}
