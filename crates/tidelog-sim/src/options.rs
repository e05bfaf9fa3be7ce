//! What a world is made of and what goes wrong in it, all derived from its seed.
//!
//! Each world has a *swarm* of hazards (Groce and others, "Swarm testing", 2012): some of them, each at its own rate. A weak
//! mixture of all finds less, because they keep each other from going far. The options can be written down and read back,
//! so that a failing world is a short text that says everything about it.

use crate::canary::Canary;
use crate::dice::Dice;
use core::fmt;
use core::str::FromStr;

macro_rules! hazards {
    ($($(#[doc = $doc:literal])+ $variant:ident $name:literal $chance:literal $most:literal;)+) => {
        /// What can go wrong, or go on behind a replica's back. Each has a rate in percent of its occasions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Hazard { $($(#[doc = $doc])+ $variant,)+ }

        /// Every hazard: its name, in how many worlds of a hundred it is, and its highest rate.
        pub const HAZARDS: &[(Hazard, &str, u32, u32)] =
            &[$((Hazard::$variant, $name, $chance, $most),)+];
    };
}

hazards! {
    /// A request does not arrive.
    LostRequest "lost-request" 50 30;
    /// A request arrives and its answer does not.
    LostAnswer "lost-answer" 50 30;
    /// A request arrives again later.
    RepeatedRequest "repeated-request" 40 20;
    /// The client gives up on a request that still arrives.
    LateRequest "late-request" 30 20;
    /// An older answer arrives in place of the newest.
    RepeatedAnswer "repeated-answer" 40 20;
    /// An answer is cut in the middle.
    Truncated "truncated-answer" 25 15;
    /// A bit of an answer is another.
    Flipped "flipped-answer" 30 10;
    /// A page comes from a cache.
    Cached "cached-page" 25 30;
    /// A device's requests, or the answers to it, get lost for a while.
    Partition "partition" 35 60;
    /// A captive portal answers 200.
    Portal "captive-portal" 20 20;
    /// 401, 403 or 404.
    SignedOut "signed-out" 20 15;
    /// The server takes small pushes only: 413.
    TooLarge "too-large" 25 60;
    /// 426.
    TooOld "too-old" 10 10;
    /// 429.
    RateLimited "rate-limited" 20 20;
    /// 5xx.
    NoService "no-service" 35 20;
    /// The body of a request that was accepted arrives again with other events in it.
    Forged "forged" 15 40;

    /// The quota is used up, or a transaction aborts.
    WriteFails "write-fails" 40 15;
    /// The connection to the database is lost before or after a transaction.
    Disconnected "disconnected" 40 15;
    /// Another tab is not told of a write.
    LostHint "lost-hint" 40 90;
    /// A tab is killed.
    Kill "kill" 40 30;
    /// A tab is frozen for a while.
    Freeze "freeze" 35 50;
    /// The network lease moves; sometimes the tab that had it has not noticed.
    Leader "leader" 50 30;
    /// A machine loses power: its tabs end, and what was not flushed is gone.
    PowerLoss "power-loss" 30 30;
    /// The browser deletes the database.
    Wipe "wipe" 12 15;
    /// An older copy of a database is put back.
    PutBack "put-back" 15 60;
    /// A profile is copied to another device.
    Copied "copied" 12 20;
    /// A device's clock jumps by up to ten years.
    Clock "clock" 25 40;
    /// A stored frame is damaged.
    Damage "damage" 25 30;
    /// Frames are merged.
    Compact "compact" 70 90;
    /// Snapshots are saved.
    Snapshot "snapshot" 70 80;
    /// Snapshots are thrown away.
    Forget "forget" 20 10;
    /// Old frames are pruned.
    Prune "prune" 50 60;

    /// A rule of the server's own refuses commits for good.
    Forbidden "forbidden" 20 5;
    /// The server's process is killed, perhaps in the middle of a commit.
    ServerKill "server-kill" 30 15;
    /// The server's machine loses power.
    ServerPowerLoss "server-power-loss" 25 15;
    /// The server's disk is full.
    DiskFull "disk-full" 20 20;
    /// Another process holds the server's database.
    Busy "busy" 30 30;
    /// A read sees an older moment of the server's database.
    StaleRead "stale-read" 20 40;
    /// The server is restored from an older copy.
    Restore "restore" 20 30;
}

impl Hazard {
    /// Its name in a replay file.
    #[must_use]
    pub fn name(self) -> &'static str {
        HAZARDS[self as usize].1
    }
}

/// Everything a world is derived from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where all choices come from.
    pub seed: u64,
    /// How long faults last.
    pub steps: u32,
    /// How many devices there are at first.
    pub devices: u32,
    /// The most tabs a device has.
    pub tabs: u32,
    /// How many server processes share the store.
    pub processes: u32,
    /// How many streams of each kind: few are hot.
    pub keys: u32,
    /// Percent of stream keys that are not ASCII.
    pub unicode: u32,
    /// Percent of events with a large payload.
    pub large: u32,
    /// Percent of tabs that run an older build of the app.
    pub old_builds: u32,
    /// Percent of commits appended raw rather than by a command.
    pub raw: u32,
    /// Do devices' clocks differ, by up to ten years?
    pub skewed: u32,
    /// Percent of appends that a tab tells the others of, bytes and all.
    pub told: u32,
    /// Percent of openings of tabs that ask for another part of the log than their device does; with 1, none does. 0: all ask
    /// for everything.
    pub filtered: u32,
    /// In so many steps of a thousand the server erases.
    pub erased: u32,
    /// Does the first device begin with what a build left of a pruned log that knew no erasures?
    pub unfollowed: u32,
    /// Rates by hazard, in percent.
    pub rates: Vec<u32>,
    /// A planted bug.
    pub canary: Option<Canary>,
}

impl Options {
    /// What a seed draws.
    #[must_use]
    pub fn draw(seed: u64, steps: u32) -> Self {
        // Dice of its own, so that a world with fewer hazards still makes the same choices.
        let dice = &mut Dice::new(seed ^ 0x6f70_7469_6f6e_7321);
        let rates = HAZARDS.iter().map(|(_, _, chance, most)| {
            let drawn = 1 + dice.below(*most as usize) as u32;
            if dice.percent(*chance) { drawn } else { 0 }
        });
        let rates: Vec<u32> = rates.collect();
        let mut some = |chance: u32, most: usize| {
            let drawn = 1 + dice.below(most) as u32;
            if dice.percent(chance) { drawn } else { 0 }
        };
        let mut options = Self {
            seed,
            steps,
            devices: 1 + some(90, 3),
            tabs: 1 + some(75, 3),
            processes: 1 + some(40, 1),
            keys: 1 + some(80, 5),
            unicode: some(40, 50),
            large: some(15, 5),
            old_builds: some(25, 60),
            raw: 10 + some(90, 60),
            skewed: some(50, 1),
            told: some(60, 90),
            filtered: some(25, 40),
            erased: some(30, 30),
            unfollowed: some(10, 1),
            rates,
            canary: None,
        };
        if options.rate(Hazard::Restore) > 0 {
            // What only the server has is gone when the server is put back.
            options.set(Hazard::Damage, 0);
            options.set(Hazard::Prune, 0);
            // So is what a device no longer asks for.
            options.filtered = options.filtered.min(1);
        }
        options
    }

    /// The same where much is erased, and what is kept of it is made again, put aside or thrown away in many ways.
    #[must_use]
    pub fn draw_erasing(seed: u64, steps: u32) -> Self {
        let dice = &mut Dice::new(seed ^ 0x6572_6173_696e_6721);
        let mut options = Self::draw(seed, steps);
        let mut some = |most: usize| 1 + dice.below(most) as u32;
        options.erased = 10 + some(90);
        options.set(Hazard::Snapshot, 20 + some(80));
        options.set(Hazard::Compact, some(90));
        let (restore, damage, prune) = (10 + some(50), some(40), 20 + some(70));
        if dice.percent(50) {
            options.set(Hazard::Restore, restore);
            options.set(Hazard::Damage, 0);
            options.set(Hazard::Prune, 0);
            options.filtered = options.filtered.min(1);
        } else {
            options.set(Hazard::Restore, 0);
            options.set(Hazard::Damage, damage);
            options.set(Hazard::Prune, prune);
        }
        options.unfollowed = u32::from(dice.percent(30));
        options
    }

    /// A world without hazards.
    #[must_use]
    pub fn calm(seed: u64, devices: u32) -> Self {
        Self {
            seed,
            steps: 0,
            devices,
            tabs: 1,
            processes: 1,
            keys: 2,
            unicode: 0,
            large: 0,
            old_builds: 0,
            raw: 40,
            skewed: 0,
            told: 0,
            filtered: 0,
            erased: 0,
            unfollowed: 0,
            rates: vec![0; HAZARDS.len()],
            canary: None,
        }
    }

    /// The rate of a hazard.
    #[must_use]
    pub fn rate(&self, hazard: Hazard) -> u32 {
        self.rates[hazard as usize]
    }

    /// Sets the rate of a hazard.
    pub fn set(&mut self, hazard: Hazard, rate: u32) {
        self.rates[hazard as usize] = rate;
    }

    /// The numbers that are not rates, by name.
    pub fn numbers(&mut self) -> [(&'static str, &mut u32); 14] {
        [
            ("steps", &mut self.steps),
            ("devices", &mut self.devices),
            ("tabs", &mut self.tabs),
            ("processes", &mut self.processes),
            ("keys", &mut self.keys),
            ("unicode", &mut self.unicode),
            ("large", &mut self.large),
            ("old-builds", &mut self.old_builds),
            ("raw", &mut self.raw),
            ("skewed", &mut self.skewed),
            ("told", &mut self.told),
            ("filtered", &mut self.filtered),
            ("erased", &mut self.erased),
            ("unfollowed", &mut self.unfollowed),
        ]
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        let mut copy = self.clone();
        for (name, value) in copy.numbers() {
            writeln!(f, "{name} {value}")?;
        }
        if let Some(canary) = self.canary {
            writeln!(f, "canary {}", canary.name())?;
        }
        for ((_, name, ..), rate) in HAZARDS.iter().zip(&self.rates) {
            if *rate > 0 {
                writeln!(f, "{name} {rate}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Options {
    type Err = String;

    /// Reads what [`Options`] writes. Lines that begin with `#` are for people.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut options = Self::calm(0, 1);
        let lines = text.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, value) = line
                .split_once(' ')
                .ok_or_else(|| format!("a line without a value: {line}"))?;
            if name == "canary" {
                options.canary = Some(value.parse()?);
                continue;
            }
            let number: u64 = value.parse().map_err(|error| format!("{line}: {error}"))?;
            let small = u32::try_from(number);
            if name == "seed" {
                options.seed = number;
            } else if let Some(hazard) = HAZARDS.iter().find(|(_, known, ..)| *known == name) {
                options.set(hazard.0, small.map_err(|error| format!("{line}: {error}"))?);
            } else if let Some((_, place)) = options
                .numbers()
                .into_iter()
                .find(|(known, _)| *known == name)
            {
                *place = small.map_err(|error| format!("{line}: {error}"))?;
            } else {
                return Err(format!("an option that this build does not know: {name}"));
            }
        }
        Ok(options)
    }
}
