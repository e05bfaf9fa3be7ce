//! Faults end. Within a bound everything is confirmed or parked, and all tabs agree.

use super::World;
use crate::disk::Fault;
use crate::hold;
use crate::network::Flight;
use crate::options::Hazard;

/// More rounds than any world needs.
const MOST_ROUNDS: usize = 2_000;
/// Longer than the longest wait that a server may ask for, and some back-off after it.
const LONGEST_MILLIS: i64 = 15 * 60 * 1_000;

/// How long a server holds a pull back at most.
const LONG_POLL_MILLIS: i64 = 30_000;

impl World {
    /// The end of all faults; then two looks, because quiet has to be stable.
    pub fn heal(&mut self) {
        // Half of the worlds have to come back by themselves; a build that is too old cannot.
        let kicked = self.dice.percent(50) || self.rate(Hazard::TooOld) > 0;
        // A rule of the server's own is no fault: it stays. So does what goes on behind the replicas' backs.
        let kept = [
            Hazard::Forbidden,
            Hazard::Compact,
            Hazard::Snapshot,
            Hazard::Prune,
        ];
        let rates = kept.map(|hazard| self.rate(hazard));
        self.options.rates.fill(0);
        for (hazard, rate) in kept.into_iter().zip(rates) {
            self.options.set(hazard, rate);
        }
        self.healing = true;
        self.cache.clear();
        for device in &mut self.devices {
            device.mute_until = i64::MIN;
            device.deaf_until = i64::MIN;
        }
        for tab in &mut self.tabs {
            tab.frozen_until = i64::MIN;
        }
        for flight in &mut self.flights {
            flight.forget_too_old();
        }
        self.say(|| String::from("faults end"));
        for device in 0..self.devices.len() {
            if self.tabs.iter().all(|tab| tab.device != device) {
                self.open(device);
            }
            let mut leader = true;
            for at in 0..self.tabs.len() {
                if self.tabs[at].device == device {
                    let time = self.time(device);
                    let orphaned = self.tabs[at].is_orphaned(&self.devices[device].disk);
                    let offline = !core::mem::replace(&mut self.tabs[at].online, true);
                    let replica = &mut self.tabs[at].replica;
                    replica.handle_leadership(core::mem::take(&mut leader));
                    if offline {
                        replica.handle_online(time, true);
                    }
                    if kicked || orphaned {
                        replica.handle_kick(time);
                    }
                }
            }
        }
        self.quiesce();
        self.check_quiet();
        for at in 0..self.tabs.len() {
            let time = self.time_of(at);
            self.tabs[at].replica.handle_kick(time);
        }
        self.quiesce();
        self.check_quiet();
    }

    /// Everything moves until nothing does.
    pub fn quiesce(&mut self) {
        let end = self.now + LONGEST_MILLIS;
        for _ in 0..MOST_ROUNDS {
            self.upkeep();
            let mut moved = false;
            for tab in 0..self.tabs.len() {
                moved |= self.work_off(tab);
                moved |= self.follow(tab, Fault::None);
            }
            moved |= self.land_all();
            while self.hint() {
                moved = true;
            }
            if moved {
                continue;
            }
            let wake = (0..self.tabs.len()).filter_map(|at| {
                let offset = self.devices[self.tabs[at].device].offset;
                let wake = self.tabs[at].replica.poll_timeout()?;
                Some(wake.millis() - offset)
            });
            match wake.min() {
                None if self.is_waiting_for_news() && self.end_long_polls() => {}
                None => return,
                Some(at) => {
                    hold!(
                        14,
                        at > self.now,
                        "a timeout in the past: its host would spin"
                    );
                    hold!(
                        14,
                        at <= end,
                        "a tab would wait for {} s after all faults ended",
                        (at - self.now) / 1_000
                    );
                    self.now = at;
                }
            }
        }
        crate::violation::broken(14, format_args!("no rest after faults ended: livelock"));
    }

    /// Is something left that a tab would see if it looked?
    fn is_waiting_for_news(&self) -> bool {
        self.tabs.iter().any(|tab| {
            let counts = tab.replica.counts();
            let stored = self.devices[tab.device].disk.content.head.generation;
            counts.unwritten + counts.pending + counts.acked > 0
                || tab.replica.head().generation < stored
        })
    }

    /// A server holds a pull back for so long only and answers that there is nothing new: then a tab looks at its database, too,
    /// because a hint of another tab may have been lost. A browser loses one only on a page that sleeps, and a page looks when it
    /// wakes. Was there anything to hear?
    fn end_long_polls(&mut self) -> bool {
        let uids = self.tabs.iter().map(|tab| tab.uid);
        self.hints.extend(uids);
        let mut held = !self.hints.is_empty();
        for flight in &mut self.flights {
            if let Flight::Pull { wait, .. } = flight {
                held |= core::mem::take(wait);
            }
        }
        self.now += LONG_POLL_MILLIS;
        held
    }

    /// Everything on its way arrives. Did anything move?
    pub fn land_all(&mut self) -> bool {
        let mut moved = false;
        for index in (0..self.flights.len()).rev() {
            if index < self.flights.len() {
                moved |= self.land(index);
            }
        }
        moved
    }

    /// All that a tab has to do by itself.
    pub fn work_off(&mut self, tab: usize) -> bool {
        let time = self.time_of(tab);
        self.settle(self.tabs[tab].uid);
        let mut moved = self.tabs[tab].ask(time);
        while self.tabs[tab].is_asking() {
            moved |= self.progress(tab);
        }
        self.settle(self.tabs[tab].uid);
        moved | self.send(tab)
    }
}
