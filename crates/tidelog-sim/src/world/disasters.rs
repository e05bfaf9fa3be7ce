//! What happens to devices, servers and the network, and what goes on behind the replicas' backs.

use super::{Device, World};
use crate::options::Hazard;
use tidelog_core::{CommitId, Epoch, ReplicaId};

impl World {
    pub(super) fn change_leader(&mut self, tab: usize) {
        let device = self.tabs[tab].device;
        // Sometimes the old leader has not noticed yet.
        let two = self.dice.percent(20);
        for at in 0..self.tabs.len() {
            if self.tabs[at].device == device && (at == tab || !(two || self.is_frozen(at))) {
                self.tabs[at].replica.handle_leadership(at == tab);
                self.settle(self.tabs[at].uid);
            }
        }
        let leaders = self.tabs.iter().filter(|tab| tab.device == device);
        if leaders.filter(|tab| tab.replica.status().leader).count() > 1 {
            self.oracle.saw("two leaders");
        }
        let uid = self.tabs[tab].uid;
        self.say(|| format!("tab {uid} leads"));
    }

    /// A tab ends without a word.
    pub fn kill(&mut self, tab: usize) {
        let tab = self.tabs.swap_remove(tab);
        self.say(|| format!("tab {} is killed", tab.uid));
        let promised = self.oracle.promised.entry(tab.device).or_default();
        let created = self.oracle.created.iter();
        let own = created.filter(|(_, origin)| origin.tab == tab.uid);
        let memory = own.filter(|(id, _)| !promised.contains(id));
        self.oracle.excused.extend(memory.map(|(id, _)| *id));
        self.flights
            .retain(|flight| flight.tab() != tab.uid || !flight.is_answer());
    }

    /// All tabs of a device end.
    pub fn kill_all(&mut self, device: usize) {
        while let Some(at) = self.tabs.iter().position(|tab| tab.device == device) {
            self.kill(at);
        }
    }

    fn excuse(&mut self, device: usize) {
        let created = self.oracle.created.iter();
        let own = created.filter(|(_, origin)| origin.device == device);
        let own: Vec<CommitId> = own.map(|(id, _)| *id).collect();
        self.oracle.excused.extend(own);
        self.oracle.unordered = true;
        self.oracle.rolled_back = true;
    }

    pub(super) fn device_disaster(&mut self) {
        let device = self.dice.below(self.devices.len());
        match self.dice.below(6) {
            0 if self.happens(Hazard::Wipe) => self.wipe(device),
            1 if self.rate(Hazard::PutBack) > 0 && self.dice.percent(50) => {
                self.devices[device].copy = Some(self.devices[device].disk.content.clone());
            }
            1 if self.happens(Hazard::PutBack) => self.put_back(device),
            2 if self.happens(Hazard::Copied) && self.devices.len() < 5 => self.copy(device),
            3 if self.happens(Hazard::PowerLoss) => {
                self.lose_power(device);
            }
            4 if self.happens(Hazard::Clock) => {
                self.devices[device].offset = self.any_offset();
                self.oracle.saw("a clock jumped");
                self.say(|| format!("the clock of device {device} jumps"));
            }
            5 => self.devices[device].disk.flush_all(),
            _ => {}
        }
    }

    /// The machine stops and starts again.
    pub fn lose_power(&mut self, device: usize) {
        self.kill_all(device);
        let before = self.devices[device].disk.content.head.cursor.epoch;
        if self.devices[device].disk.lose_power() {
            // Perhaps it is back where nothing of that history had been read.
            self.erasures.unread(device, before);
            self.oracle.saw("power lost with a relaxed write");
        }
        self.say(|| format!("device {device} loses power"));
        let disk = &self.devices[device].disk;
        self.erasures.heard(device, disk);
        self.oracle.check_disk(device, disk);
        self.open(device);
    }

    fn wipe(&mut self, device: usize) {
        self.say(|| format!("device {device} is wiped"));
        self.oracle.saw("wiped");
        self.excuse(device);
        let replica = ReplicaId::from_bytes(self.dice.id());
        self.erasures.replace(device, None);
        let disk = &mut self.devices[device].disk;
        disk.wipe(replica);
        // A tab that was behind may hold the only copy, and decide an attempt anew.
        disk.rolled_back = true;
    }

    fn put_back(&mut self, device: usize) {
        let Some(copy) = self.devices[device].copy.clone() else {
            return;
        };
        self.say(|| format!("an older copy of device {device} is put back"));
        self.oracle.saw("put back");
        self.excuse(device);
        for device in &mut self.devices {
            device.disk.rolled_back = true;
        }
        self.devices[device].disk.put_back(copy);
        self.erasures.replace(device, None);
        self.erasures.heard(device, &self.devices[device].disk);
    }

    fn copy(&mut self, device: usize) {
        self.say(|| format!("device {device} is copied"));
        self.oracle.saw("copied");
        for device in 0..self.devices.len() {
            self.excuse(device);
            self.devices[device].disk.rolled_back = true;
        }
        let original = &self.devices[device];
        let copy = Device {
            disk: original.disk.clone(),
            copy: None,
            ..*original
        };
        self.erasures.replace(self.devices.len(), Some(device));
        self.devices.push(copy);
        self.open(self.devices.len() - 1);
        let last = self.tabs.len() - 1;
        self.tabs[last].replica.handle_leadership(true);
    }

    pub(super) fn server_disaster(&mut self) {
        match self.dice.below(3) {
            0 if self.happens(Hazard::ServerPowerLoss) => {
                self.server.lose_power();
                self.oracle.saw("server power lost");
                self.say(|| String::from("the server loses power"));
                self.oracle.check_server(&self.server);
                self.oracle.check_acknowledged(&self.server);
            }
            1 if self.happens(Hazard::Restore) => self.restore(),
            2 if self.rate(Hazard::Restore) > 0 => {
                self.backup = self.dice.below(self.server.log.len() + 1);
            }
            _ => {}
        }
    }

    fn restore(&mut self) {
        let epoch = Epoch::from_bytes(self.dice.id());
        self.oracle.saw("restored");
        self.oracle.unordered = true;
        let backup = self.backup.min(self.server.log.len());
        self.erasures.lose(&self.server);
        self.server = self.server.restored(epoch, backup);
        self.erasures_said();
        self.oracle.read_again();
        self.oracle.check_server(&self.server);
        let history = self.oracle.histories.entry(epoch).or_default();
        history.insert(Default::default(), Default::default());
        self.cache.clear();
        let head = self.server.head().position;
        self.say(|| format!("the server is restored at {head}"));
    }

    pub(super) fn network_disaster(&mut self, tab: usize) {
        let until = self.now + 1 + self.dice.below(20_000) as i64;
        match self.dice.below(2) {
            0 if self.happens(Hazard::Partition) => {
                let device = self.tabs[tab].device;
                let way = self.dice.below(3);
                let device_ = &mut self.devices[device];
                if way != 0 {
                    device_.mute_until = until;
                }
                if way != 1 {
                    device_.deaf_until = until;
                }
                self.oracle.saw("partition");
                self.say(|| format!("device {device} is cut off, way {way}"));
            }
            1 if self.happens(Hazard::Freeze) => {
                self.tabs[tab].frozen_until = until;
                let uid = self.tabs[tab].uid;
                if self.tabs[tab].replica.status().leader {
                    self.oracle.saw("a frozen leader");
                    // The browser gives its lock to another tab.
                    let device = self.tabs[tab].device;
                    let others = 0..self.tabs.len();
                    let heir = others
                        .filter(|at| self.tabs[*at].device == device)
                        .find(|at| !self.is_frozen(*at));
                    if let Some(heir) = heir {
                        self.tabs[heir].replica.handle_leadership(true);
                        self.settle(self.tabs[heir].uid);
                    }
                }
                self.say(|| format!("tab {uid} is frozen"));
            }
            _ => {}
        }
    }

    /// Frames are merged, snapshots saved and forgotten, bytes flipped and old frames pruned.
    pub(super) fn upkeep(&mut self) {
        let device = self.dice.below(self.devices.len());
        let frames = self.devices[device].disk.content.log.len();
        match self.dice.below(4) {
            0 if self.happens(Hazard::Compact) && frames > 1 => {
                let from = self.dice.below(frames - 1);
                let count = 2 + self.dice.below(8);
                if self.devices[device].disk.compact(from, count) {
                    self.oracle.saw("compacted");
                } else if let Some(tab) = self.tabs.iter_mut().find(|tab| tab.device == device) {
                    tab.replica.handle_damage();
                    self.oracle.saw("damage found by a reader");
                }
            }
            1 if self.happens(Hazard::Snapshot) && !self.tabs.is_empty() => {
                let at = self.dice.below(self.tabs.len());
                if self.is_frozen(at) {
                    return;
                }
                let tab = &mut self.tabs[at];
                let disk = &mut self.devices[tab.device].disk;
                if tab.save(disk, &mut self.oracle) {
                    self.oracle.saw("saved");
                }
                self.settle(self.tabs[at].uid);
            }
            2 if self.happens(Hazard::Prune) => {
                let disk = &mut self.devices[device].disk;
                disk.prune(1 + self.dice.below(5));
                if !disk.content.gaps.is_empty() {
                    self.oracle.saw("pruned");
                }
            }
            3 => {
                if self.happens(Hazard::Forget) {
                    self.devices[device].disk.content.snapshot = None;
                }
                let disk = &self.devices[device].disk;
                if frames > 0 && !disk.content.damaged && self.happens(Hazard::Damage) {
                    let (frame, byte) = (self.dice.below(frames), self.dice.below(10_000));
                    self.devices[device].disk.damage(frame, byte);
                }
            }
            _ => {}
        }
    }
}
