//! The server erases now and then, and devices follow when they come to it. What was erased stays so: invariant 17, which
//! the design has in other words, as a promise to the person who asked for it.

use super::World;
use crate::app::Rows;
use crate::dice::Dice;
use crate::disk::{Disk, Fault};
use crate::hold;
use crate::reading;
use crate::server::Server;
use crate::tab::Tab;
use std::collections::{BTreeMap, BTreeSet};
use tidelog_core::erasure::{erased_by, is_reserved, version_ranges};
use tidelog_core::frame;
use tidelog_core::{Commit, CommitId, Epoch, Filter, Position, Recorded, StreamId, Version};

/// An event of a log, in whichever history and attempt.
type Place = (CommitId, u32);

/// What was erased, and which device has read of it.
#[derive(Debug)]
pub(super) struct Erasures {
    /// Of its own, so that a world whose server erases nothing makes the same choices.
    pub(super) dice: Dice,
    said: Vec<Said>,
    /// By device, places in that list.
    told: BTreeMap<usize, BTreeSet<usize>>,
    /// By device, what it asked for when it was told last.
    asked: BTreeMap<usize, Filter>,
    /// What somebody who had not heard brought back to a server that was then put back: only what was said from this place of the
    /// list on counts.
    back: BTreeMap<Place, usize>,
}

/// An event that tells of erased ones.
#[derive(Debug)]
struct Said {
    epoch: Epoch,
    position: Position,
    events: Vec<Place>,
}

impl Erasures {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed ^ 0x6572_6173),
            said: Vec::new(),
            told: BTreeMap::new(),
            asked: BTreeMap::new(),
            back: BTreeMap::new(),
        }
    }

    /// A device has what another one had: of `from`, or of nobody.
    pub(super) fn replace(&mut self, device: usize, from: Option<usize>) {
        let told = from.and_then(|from| self.told.get(&from)).cloned();
        self.told.insert(device, told.unwrap_or_default());
    }

    /// What a device has read is on its disk. Of the history that it follows now it knows no more than that: a log that was cut
    /// before damage, or lost with the power, is read again.
    pub(super) fn heard(&mut self, device: usize, disk: &Disk) {
        if self.said.is_empty() {
            return;
        }
        let end = disk.content.head.cursor;
        let told = self.told.entry(device).or_default();
        let asked = &disk.content.filters.kept;
        if self
            .asked
            .insert(device, asked.clone())
            .is_some_and(|before| before != *asked)
        {
            // Of what it asks for now it has read nothing yet.
            told.clear();
        }
        for (at, said) in self.said.iter().enumerate() {
            if said.epoch == end.epoch && said.position <= end.position {
                told.insert(at);
            } else if said.epoch == end.epoch {
                told.remove(&at);
            }
        }
    }

    /// A device may have lost what it has read of a history; what it still has it has [heard](Self::heard).
    pub(super) fn unread(&mut self, device: usize, epoch: Epoch) {
        if let Some(told) = self.told.get_mut(&device) {
            told.retain(|at| self.said[*at].epoch != epoch);
        }
    }

    /// A server is about to be put back: devices keep what it had.
    pub(super) fn lose(&mut self, server: &Server) {
        let now = self.said.len();
        let whole = events(&server.log).filter(|(.., is_whole)| *is_whole);
        self.back.extend(whole.map(|(place, ..)| (place, now)));
    }

    fn told(&self, device: usize) -> BTreeSet<Place> {
        let told = self.told.get(&device).into_iter().flatten();
        let counts = |at: &usize, place: &Place| self.back.get(place).is_none_or(|from| from <= at);
        told.flat_map(|at| {
            let events = self.said[*at].events.iter().copied();
            events.filter(|place| counts(at, place))
        })
        .collect()
    }
}

impl World {
    pub(super) fn erase_sometimes(&mut self) {
        let rate = self.options.erased as usize;
        if rate == 0 {
            return;
        }
        if self.erasures.dice.below(1_000) < rate {
            self.server_erases();
        }
        if !self.tabs.is_empty() && self.erasures.dice.percent(5) {
            let tab = self.erasures.dice.below(self.tabs.len());
            let faults = [
                Fault::None,
                Fault::Abort,
                Fault::LostBefore,
                Fault::LostAfter,
            ];
            let fault = faults[self.erasures.dice.below(faults.len())];
            self.follow(tab, fault);
        }
    }

    /// One event goes, or all of a stream; now and then the stream is closed.
    fn server_erases(&mut self) {
        let dice = &mut self.erasures.dice;
        let events: Vec<(&StreamId, Version)> = events(&self.server.log)
            .filter(|(.., is_whole)| *is_whole)
            .map(|(_, stream, version, _)| (stream, version))
            .collect();
        let Some((stream, version)) = events.get(dice.below(events.len().max(1))).copied() else {
            return;
        };
        let all = dice.percent(25);
        let named = events.iter().filter(|(other, _)| *other == stream);
        let named = named.map(|(_, version)| *version);
        let named: Vec<Version> = named.filter(|other| all || *other == version).collect();
        let stream = stream.clone();
        let id = CommitId::from_bytes(dice.id());
        let closing = CommitId::from_bytes(dice.id());
        let closes = dice.percent(10) && !self.server.is_closed(&stream);
        self.oracle.saw("redacted");
        self.say(|| format!("the server erases {named:?} of {stream}, and closes it: {closes}"));
        let named = version_ranges(named);
        self.server.redact(self.now, id, &stream, &named);
        if closes {
            self.oracle.saw("closed for good");
            self.server.tombstone(self.now, closing, &stream);
        }
        self.erasures_said();
        self.oracle.check_server(&self.server);
    }

    /// The server's log has events that tell of others, maybe those of a log that was restored.
    pub(super) fn erasures_said(&mut self) {
        let epoch = self.server.epoch;
        for recorded in &self.server.log {
            let position = recorded.position;
            let erased = erased_by(recorded).unwrap();
            let known = &self.erasures.said;
            let is_known = known
                .iter()
                .any(|said| (said.epoch, said.position) == (epoch, position));
            if erased.is_empty() || is_known {
                continue;
            }
            let named = events(&self.server.log).filter(|(_, stream, version, _)| {
                erased.iter().any(|(named, ranges)| {
                    named == stream && ranges.iter().any(|range| range.holds(*version))
                })
            });
            let events: Vec<Place> = named.map(|(place, ..)| place).collect();
            self.oracle.erased.extend(events.iter().map(|(id, _)| *id));
            self.erasures.said.push(Said {
                epoch,
                position,
                events,
            });
        }
    }

    /// The leader of a device erases what the log says is erased. Was anything done?
    pub(super) fn follow(&mut self, tab: usize, fault: Fault) -> bool {
        let leads = |tab: &Tab| tab.replica.is_to_erase() && tab.replica.status().leader;
        if self.is_frozen(tab) || self.tabs[tab].is_asking() || !leads(&self.tabs[tab]) {
            return false;
        }
        let tab = &mut self.tabs[tab];
        let uid = tab.uid;
        let done = tab.erase(&mut self.devices[tab.device].disk, fault);
        if done {
            self.oracle.saw("erased on disk");
        }
        self.say(|| format!("tab {uid} erases, {fault:?}: {done}"));
        self.settle(uid);
        done
    }

    /// A tab that has read of an erasure, as far as its device has, sends none of that again. What it does not ask for it cannot
    /// tell: it has not read which version its own event has there.
    pub(super) fn check_pushed(&self, tab: usize, commit: &Commit) {
        let Tab {
            device, replica, ..
        } = &self.tabs[tab];
        let (device, content) = (*device, &self.devices[*device].disk.content);
        // What another tab has read since it finds at its next look.
        let is_behind = replica.head().generation < content.head.generation;
        if self.erasures.said.is_empty() || is_behind || !replica.filter().matches(commit) {
            return;
        }
        let told = self.erasures.told(device);
        let ids = (0..).map(|index| (commit.id, index));
        let back = ids
            .zip(&commit.events)
            .find(|(place, _)| told.contains(place));
        hold!(
            17,
            back.is_none(),
            "{} is pushed by device {device}, which knows that it was erased",
            commit.id
        );
    }

    /// When nothing moves any more: no device holds what it has read is erased, unless somebody who had not brought it back; and
    /// what shows, and what is saved of it, is a fold of the server's log.
    pub(super) fn check_erased(&self) {
        let whole = events(&self.server.log).filter(|(.., is_whole)| *is_whole);
        let back: BTreeSet<Place> = whole.map(|(place, ..)| place).collect();
        for (number, device) in self.devices.iter().enumerate() {
            let told = self.erasures.told(number);
            let content = &device.disk.content;
            if !told.is_empty() {
                let log = content.log.values().map(|(bytes, _)| bytes);
                for bytes in log.chain(content.lost.values()) {
                    // Damage that nobody has come upon yet: whoever does pulls the log again and erases in that.
                    if content.damaged && frame::decode(bytes).is_err() {
                        continue;
                    }
                    let run = reading::recorded(bytes);
                    let mut held = events(run.commits()).filter(|(.., is_whole)| *is_whole);
                    let left =
                        held.find(|(place, ..)| told.contains(place) && !back.contains(place));
                    hold!(17, left.is_none(), "device {number} still holds {left:?}");
                }
            }
            let saved = content.snapshot.as_deref();
            if let Some(saved) = saved.filter(|saved| saved.checkpoint.epoch == self.server.epoch) {
                let rows = self.fold_until(saved.checkpoint.position, &saved.filter);
                let other = saved.rows.difference(&rows);
                hold!(
                    17,
                    other.is_none(),
                    "what device {number} has saved is no fold of the log: {}",
                    other.unwrap_or_default()
                );
            }
        }
        for tab in &self.tabs {
            let uid = tab.uid;
            hold!(
                17,
                !tab.replica.is_to_erase(),
                "tab {uid} has not followed an erasure"
            );
            let rows = self.fold_until(Position::new(u64::MAX), tab.replica.filter());
            let other = tab.rows().difference(&rows);
            hold!(
                9,
                other.is_none(),
                "what tab {uid} shows is no fold of the log: {}",
                other.unwrap_or_default()
            );
        }
    }

    fn fold_until(&self, end: Position, filter: &Filter) -> Rows {
        let mut rows = Rows::default();
        let log = self.server.log.iter();
        let log =
            log.filter(|recorded| recorded.position <= end && filter.matches(&recorded.commit));
        for Recorded { commit, .. } in log {
            for (index, event) in commit.events.iter().enumerate() {
                if filter.wants(&event.stream) {
                    rows.fold(event, commit.event_id(index));
                }
            }
        }
        rows
    }
}

/// The events of commits, and whether each has a payload that is not the server's own.
fn events(log: &[Recorded]) -> impl Iterator<Item = (Place, &StreamId, Version, bool)> {
    log.iter().flat_map(|recorded| {
        let commit = &recorded.commit;
        let versions = recorded.event_versions();
        let events = (0..).zip(&commit.events).zip(versions);
        events.map(|((index, event), version)| {
            let is_whole = event.data.text().is_some() && !is_reserved(&event.event_type);
            ((commit.id, index), &event.stream, version, is_whole)
        })
    })
}
