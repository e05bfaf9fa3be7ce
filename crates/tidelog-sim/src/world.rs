//! Devices with tabs, a server and a network between them. Every step is drawn from the seed.

mod checks;
mod deliver;
mod disasters;
mod erasing;
mod heal;
mod older;
mod work;

use crate::app::Variety;
use crate::canary::Canary;
use crate::dice::Dice;
use crate::disk::{Content, Crash, Disk};
use crate::network::{Flight, Page};
use crate::options::{Hazard, Options};
use crate::oracle::Oracle;
use crate::reading;
use crate::server::Server;
use crate::tab::Tab;
use crate::trace::Trace;
use erasing::Erasures;
use std::collections::{BTreeMap, BTreeSet};
use tidelog_core::protocol::PushResponse;
use tidelog_core::replica::Appended;
use tidelog_core::{Cursor, Epoch, Filter, ReplicaId, Timestamp};

/// A device: its database, its clock and its place in the network.
#[derive(Debug)]
pub struct Device {
    /// Its database.
    pub disk: Disk,
    /// An older copy of its database.
    copy: Option<Content>,
    /// How far its clock is off.
    offset: i64,
    /// Its requests get lost before this moment.
    mute_until: i64,
    /// Answers to it get lost before this moment.
    deaf_until: i64,
}

/// What happened and what is on its way.
#[derive(Debug)]
pub struct World {
    /// What it is made of.
    pub options: Options,
    dice: Dice,
    now: i64,
    /// The server.
    pub server: Server,
    /// How many commits each of its processes sees when it reads.
    seen: Vec<usize>,
    /// A copy of the server that may be restored: how many commits it has.
    backup: usize,
    /// The devices.
    pub devices: Vec<Device>,
    /// The open tabs.
    pub tabs: Vec<Tab>,
    flights: Vec<Flight>,
    hints: BTreeSet<u64>,
    /// What tabs said they appended, and the tab that is to hear it.
    words: Vec<(u64, Appended)>,
    /// Of its own, so that a world whose tabs say nothing makes the same choices.
    talk: Dice,
    erasures: Erasures,
    old_answers: Vec<(u64, PushResponse)>,
    cache: Vec<((Cursor, Filter), Page)>,
    /// What was promised.
    pub oracle: Oracle,
    next_uid: u64,
    steps: u64,
    /// How often a tab was looked at in passing.
    looks: u64,
    healing: bool,
    /// The server's process ends at one of the next transactions.
    pub server_crash: Option<Crash>,
    /// What was said of each tab last.
    said: BTreeMap<u64, String>,
}

/// In seconds, which a machine of 32 bits can count too.
const TEN_YEARS: usize = 10 * 365 * 24 * 3_600;

impl World {
    /// The world of these options, which keeps the newest `lines` of its story in words.
    #[must_use]
    pub fn new(options: Options, lines: usize) -> Self {
        reading::forget();
        let mut dice = Dice::new(options.seed);
        let mut server = Server::new(Epoch::from_bytes(dice.id()));
        server.canary = options.canary;
        let mut world = Self {
            now: 1_000_000,
            seen: vec![0; options.processes.max(1) as usize],
            backup: 0,
            devices: Vec::new(),
            tabs: Vec::new(),
            flights: Vec::new(),
            hints: BTreeSet::new(),
            words: Vec::new(),
            talk: Dice::new(options.seed ^ 0x746f_6c64),
            erasures: Erasures::new(options.seed),
            old_answers: Vec::new(),
            cache: Vec::new(),
            oracle: Oracle::new(Trace::telling(lines)),
            next_uid: 1,
            steps: 0,
            looks: 0,
            healing: false,
            server_crash: None,
            said: BTreeMap::new(),
            server,
            dice,
            options,
        };
        let start = core::iter::once((Default::default(), Default::default()));
        world
            .oracle
            .histories
            .insert(world.server.epoch, start.collect());
        for device in 0..world.options.devices.max(1) as usize {
            let replica = ReplicaId::from_bytes(world.dice.id());
            let mut disk = Disk::new(replica);
            disk.canary = world.options.canary;
            disk.may_lose_power = world.rate(Hazard::PowerLoss) > 0;
            let skew = world.any_offset();
            world.devices.push(Device {
                disk,
                copy: None,
                offset: skew * i64::from(world.options.skewed.min(1)),
                mute_until: i64::MIN,
                deaf_until: i64::MIN,
            });
            if device == 0 && world.options.unfollowed > 0 {
                world.leave_unfollowed(device);
            }
            let most = world.options.tabs.max(1) as usize;
            for tab in 0..1 + world.dice.below(most) {
                world.open(device);
                if tab == 0 {
                    let first = world.tabs.len() - 1;
                    world.tabs[first].replica.handle_leadership(true);
                }
            }
        }
        world
    }

    /// How far a clock may be off.
    fn any_offset(&mut self) -> i64 {
        let seconds = self.dice.below(2 * TEN_YEARS) as i64 - TEN_YEARS as i64;
        seconds * 1_000
    }

    fn rate(&self, hazard: Hazard) -> u32 {
        self.options.rate(hazard)
    }

    /// Does it happen now? Draws even if it never does, so that a world without it makes the same choices.
    fn happens(&mut self, hazard: Hazard) -> bool {
        let rate = self.rate(hazard);
        self.dice.percent(rate)
    }

    fn say(&mut self, line: impl FnOnce() -> String) {
        let now = self.now;
        self.oracle.trace.say(|| format!("{now:>9} {}", line()));
    }

    const fn variety(&self) -> Variety {
        Variety {
            keys: self.options.keys,
            unicode: self.options.unicode,
            large: self.options.large,
        }
    }

    /// The time by a device's clock.
    fn time(&self, device: usize) -> Timestamp {
        Timestamp::from_millis(self.now + self.devices[device].offset)
    }

    fn time_of(&self, tab: usize) -> Timestamp {
        self.time(self.tabs[tab].device)
    }

    fn place_of(&self, uid: u64) -> Option<usize> {
        self.tabs.iter().position(|tab| tab.uid == uid)
    }

    /// Opens a tab.
    pub fn open(&mut self, device: usize) {
        let uid = self.next_uid;
        self.next_uid += 1;
        let old = self.dice.percent(self.options.old_builds);
        if old {
            self.oracle.saw("an older build");
        }
        let filter = self.part(device);
        let disk = &self.devices[device].disk;
        let tab = Tab::open_with(uid, device, disk, self.options.canary, old, filter);
        self.tabs.push(tab);
        self.say(|| format!("tab {uid} of device {device} opens"));
    }

    /// Which part of the log a tab asks for. Most tabs of a device ask for the same.
    fn part(&mut self, device: usize) -> Filter {
        const PARTS: [(&[&str], &[&str]); 5] = [
            (&["counter", "facts"], &[]),
            (&["todo"], &["counter/0", "facts/0"]),
            (&[], &[]),
            (&["facts", "note", "seat"], &["counter/0"]),
            (&["counter", "facts", "note", "seat", "todo"], &[]),
        ];
        let most = self.options.filtered;
        if most == 0 {
            return Filter::default();
        }
        let mut part = device + self.options.seed as usize;
        if most > 1 && self.dice.percent(most) {
            self.oracle.saw("another part");
            part = self.dice.below(PARTS.len());
        }
        let (kinds, streams) = PARTS[part % PARTS.len()];
        Filter::new(kinds, streams).unwrap()
    }

    fn is_frozen(&self, tab: usize) -> bool {
        self.tabs[tab].frozen_until > self.now
    }

    /// One step of the time of faults.
    pub fn step(&mut self) {
        self.steps += 1;
        self.now += self.dice.below(40) as i64;
        self.hear();
        self.erase_sometimes();
        if self.tabs.is_empty() {
            return self.open(0);
        }
        let tab = self.dice.below(self.tabs.len());
        let what = self.dice.below(100);
        self.oracle.trace.mark(what as u64 | (tab as u64) << 8);
        if self.is_frozen(tab) && what < 60 {
            // The browser ends what it had begun; nothing of the page runs.
            return self.finish_store(tab);
        }
        match what {
            0..8 => self.append(tab),
            8..42 => self.run(tab),
            42..60 => _ = self.progress(tab),
            60..80 => {
                let moved = self.fly();
                if moved && self.dice.percent(60) {
                    self.fly();
                }
            }
            80..84 => self.resolve(tab),
            84..86 => _ = self.hint(),
            86..89 => self.now += self.dice.below(6_000) as i64,
            89 if self.happens(Hazard::Leader) => self.change_leader(tab),
            90 if self.happens(Hazard::Kill) => self.kill(tab),
            91 if self.dice.percent(40) => {
                let device = self.dice.below(self.devices.len());
                let open = self.tabs.iter().filter(|tab| tab.device == device);
                if (open.count() as u32) < self.options.tabs {
                    self.open(device);
                }
            }
            92 => self.device_disaster(),
            93 => self.server_disaster(),
            94 => self.network_disaster(tab),
            95 => {
                let online = self.dice.percent(75);
                let time = self.time_of(tab);
                self.tabs[tab].online = online;
                self.tabs[tab].replica.handle_online(time, online);
            }
            96 if self.dice.percent(50) => {
                let time = self.time_of(tab);
                self.tabs[tab].replica.handle_kick(time);
            }
            97..100 => self.upkeep(),
            _ => {}
        }
    }

    /// All steps, then healing and rest.
    pub fn play(&mut self) {
        for _ in 0..self.options.steps {
            self.step();
            if self.steps.is_multiple_of(256) {
                self.check_all();
            }
        }
        self.check_all();
        self.heal();
    }

    /// How many steps there were.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    fn planted(&self, canary: Canary) -> bool {
        self.options.canary == Some(canary)
    }

    fn disks(&self) -> impl Iterator<Item = &Disk> + Clone {
        self.devices.iter().map(|device| &device.disk)
    }
}
