//! What users and their tabs do.

use super::World;
use crate::app::{self, Variety};
use crate::disk::Fault;
use crate::hold;
use crate::network::Flight;
use crate::options::Hazard;
use crate::oracle::{Origin, word};
use crate::reading;
use tidelog_core::replica::{AppendError, Decision, Draft, Request};
use tidelog_core::{Commit, CommitId, Condition, Event, Expected, Policy, limits};

impl World {
    pub(super) fn append(&mut self, tab: usize) {
        if !self.tabs[tab].replica.is_ready() {
            return;
        }
        let id = CommitId::from_bytes(self.dice.id());
        if let Some(draft) = self.draft(tab, id) {
            self.append_draft(tab, draft);
        }
    }

    /// Appends a draft in a tab. Was it taken?
    pub fn append_draft(&mut self, tab: usize, draft: Draft) -> bool {
        let id = draft.id;
        let tab = &mut self.tabs[tab];
        let (uid, device, ordinal) = (tab.uid, tab.device, tab.created);
        match tab.replica.append(draft) {
            Ok(_) => tab.created += 1,
            Err(AppendError::VersionConflict { .. }) => {
                self.oracle.saw("refused at once");
                return false;
            }
            Err(_) => return false,
        }
        let origin = Origin {
            device,
            tab: uid,
            ordinal,
        };
        self.oracle.created.insert(id, origin);
        self.oracle.trace.mark(word(id));
        self.say(|| format!("tab {uid} appends {id}"));
        self.settle(uid);
        true
    }

    fn draft(&mut self, tab: usize, id: CommitId) -> Option<Draft> {
        let variety = self.variety();
        if self.dice.percent(self.options.raw) {
            Some(self.raw(tab, id, variety))
        } else {
            self.decided(tab, id, variety)
        }
    }

    fn decided(&mut self, tab: usize, id: CommitId, variety: Variety) -> Option<Draft> {
        let (dice, tab) = (&mut self.dice, &self.tabs[tab]);
        let mut command = variety.command(dice);
        let events = match tab.shown(None).decide(&command) {
            Decision::Events(events) => events,
            _ => return None,
        };
        if dice.percent(4) {
            command = app::command(&command.stream, "todo.forgotten", "0");
        }
        let mut read = events
            .iter()
            .map(|event| event.stream.clone())
            .collect::<Vec<_>>();
        read.extend(app::reads(&command));
        if dice.percent(15) {
            read.push(variety.event(dice).stream);
        }
        read.sort();
        read.dedup();
        let conditions = read.into_iter().map(|stream| {
            let expected = Expected::seen(tab.replica.shown_head(&stream).as_ref());
            Condition { stream, expected }
        });
        let conditions = conditions.collect();
        let policy = match dice.below(10) {
            0..7 => Policy::Rerun,
            7 => Policy::Rebase,
            8 => Policy::Merge,
            _ => Policy::Ask,
        };
        let command = Some(command);
        Some(Draft {
            id,
            conditions,
            events,
            command,
            policy,
        })
    }

    fn raw(&mut self, tab: usize, id: CommitId, variety: Variety) -> Draft {
        let (dice, tab) = (&mut self.dice, &self.tabs[tab]);
        let events: Vec<Event> = (0..1 + dice.below(3))
            .map(|_| variety.event(dice))
            .collect();
        let mut conditions: Vec<Condition> = Vec::new();
        for _ in 0..dice.below(3) {
            let stream = variety.event(dice).stream;
            let known = conditions.iter().any(|known| known.stream == stream);
            if known {
                continue;
            }
            let head = tab.replica.shown_head(&stream);
            let expected = match (dice.below(4), &head) {
                (0, _) => Expected::Any,
                (1, Some(_)) => Expected::Exists,
                (2, Some(head)) => Expected::Exact {
                    exact: head.version,
                    event: None,
                },
                _ => Expected::seen(head.as_ref()),
            };
            conditions.push(Condition { stream, expected });
        }
        let policy = match dice.below(5) {
            0..2 => Policy::Ask,
            2..4 => Policy::Rebase,
            _ => Policy::Merge,
        };
        Draft {
            id,
            conditions,
            events,
            command: None,
            policy,
        }
    }

    /// The host's loop once: notices, a store request, what there is to send.
    pub(super) fn run(&mut self, tab: usize) {
        let time = self.time_of(tab);
        let tab_ = &mut self.tabs[tab];
        tab_.drain(&mut self.oracle);
        if tab_.ask(time) {
            self.oracle.trace.mark(tab_.asked());
        }
        tab_.drain(&mut self.oracle);
        while self.dice.percent(70) && self.progress(tab) {}
        if self.dice.percent(80) {
            self.send(tab);
        }
        self.settle(self.tabs[tab].uid);
    }

    /// Sends what there is to send.
    pub fn send(&mut self, tab: usize) -> bool {
        let time = self.time_of(tab);
        let mut sent = 0;
        while let Some(request) = self.tabs[tab].replica.poll_send(time) {
            sent += 1;
            hold!(
                13,
                sent <= 2,
                "more than one push and one pull are sent at once"
            );
            let (uid, device) = (self.tabs[tab].uid, self.tabs[tab].device);
            match request {
                Request::Push {
                    commits, cursor, ..
                } => {
                    let bytes: usize = commits.iter().map(Commit::weight).sum();
                    hold!(
                        13,
                        commits.len() <= limits::MAX_PUSH_COMMITS
                            && (commits.len() == 1 || bytes <= limits::MAX_BODY_BYTES),
                        "a push has {} commits and {bytes} bytes",
                        commits.len()
                    );
                    for commit in &commits {
                        self.check_pushed(tab, commit);
                        let written = &self.devices[device].disk.written;
                        let attempt = (commit.id, commit.attempt);
                        let digest = reading::digest(commit);
                        hold!(
                            2,
                            written.get(&attempt) == Some(&digest),
                            "{} is pushed as it was never written",
                            commit.id
                        );
                        self.oracle.sent.insert(attempt, digest);
                        for condition in &commit.conditions {
                            let named = match condition.expected {
                                Expected::Exact { event, .. } => event.is_some(),
                                _ => true,
                            };
                            hold!(5, named, "{} expects a version of no event", commit.id);
                        }
                        self.oracle
                            .trace
                            .mark(word(commit.id) ^ commit.seq.value() << 8);
                    }
                    self.say(|| {
                        let ids = commits.iter();
                        let ids: Vec<_> = ids.map(|c| (c.id, c.attempt.value())).collect();
                        format!("tab {uid} pushes {ids:?}")
                    });
                    self.flights.push(Flight::Push {
                        tab: uid,
                        cursor,
                        commits,
                        echo: false,
                    });
                }
                Request::Pull {
                    cursor,
                    filter,
                    wait,
                } => {
                    self.oracle.trace.mark(cursor.position.value());
                    self.flights.push(Flight::Pull {
                        tab: uid,
                        cursor,
                        filter,
                        wait,
                    });
                }
                other => panic!("a request this host does not know: {other:?}"),
            }
        }
        sent > 0
    }

    /// After an input: handle what it brought and check the tab.
    pub(super) fn settle(&mut self, uid: u64) {
        let Some(at) = self.place_of(uid) else {
            return;
        };
        let tab = &mut self.tabs[at];
        tab.drain(&mut self.oracle);
        self.oracle.check_server(&self.server);
        tab.check_cursor(&self.oracle);
        if self.oracle.trace.tells() {
            let summary = tab.summary();
            if self.said.get(&uid) != Some(&summary) {
                self.oracle.trace.say(|| format!("          {summary}"));
                self.said.insert(uid, summary);
            }
        }
        self.tell_appended(at);
        if core::mem::take(&mut self.tabs[at].tell) {
            let device = self.tabs[at].device;
            for at in 0..self.tabs.len() {
                let other = &self.tabs[at];
                if other.device == device && other.uid != uid {
                    let other = other.uid;
                    if !self.happens(Hazard::LostHint) {
                        self.hints.insert(other);
                    }
                }
            }
        }
        self.looks += 1;
        if self.looks.is_multiple_of(32) {
            self.check_tab(at);
        }
    }

    /// A tab tells the others what it appended, unless that gets lost.
    fn tell_appended(&mut self, at: usize) {
        let tab = &mut self.tabs[at];
        let (uid, device) = (tab.uid, tab.device);
        for word in core::mem::take(&mut tab.appended) {
            for other in &self.tabs {
                let hears = other.device == device && other.uid != uid;
                if hears && self.talk.percent(self.options.told) {
                    self.words.push((other.uid, word.clone()));
                }
            }
        }
    }

    /// A tab hears what another one appended: mostly in order, sometimes again or with a bit that is another.
    pub(super) fn hear(&mut self) {
        if self.words.is_empty() || self.talk.percent(60) {
            return;
        }
        let at = match self.talk.percent(80) {
            true => 0,
            false => self.talk.below(self.words.len()),
        };
        let (uid, mut word) = match self.talk.percent(10) {
            true => self.words[at].clone(),
            false => self.words.remove(at),
        };
        if self.talk.percent(5) {
            let byte = self.talk.below(word.frames.len());
            word.frames[byte] ^= 1 << self.talk.below(8);
        }
        let Some(at) = self.place_of(uid).filter(|at| !self.is_frozen(*at)) else {
            return;
        };
        let replica = &mut self.tabs[at].replica;
        let next = replica.head().generation.next() == word.generation;
        replica.handle_appended(&word);
        if next && replica.head().generation == word.generation {
            self.oracle.saw("told by another tab");
        }
        self.settle(uid);
    }

    pub(super) fn hint(&mut self) -> bool {
        let Some(uid) = self.hints.pop_first() else {
            return false;
        };
        if let Some(at) = self.place_of(uid) {
            let tab = &mut self.tabs[at];
            let generation = self.devices[tab.device].disk.content.head.generation;
            tab.replica.handle_hint(generation);
        }
        self.settle(uid);
        true
    }

    /// One store request goes on. Was there one?
    pub fn progress(&mut self, tab: usize) -> bool {
        if !self.tabs[tab].is_asking() {
            return false;
        }
        let kind = self.dice.below(4);
        let (fails, disconnects) = (
            self.happens(Hazard::WriteFails),
            self.happens(Hazard::Disconnected),
        );
        let fault = match kind {
            0 if fails => Fault::Quota,
            1 if fails => Fault::Abort,
            2 if disconnects => Fault::LostBefore,
            3 if disconnects => Fault::LostAfter,
            _ => Fault::None,
        };
        // A store gives about so much of the log at once; less makes reads that are only half-way.
        let most = if self.healing { 200_000 } else { 8_000 };
        let max_bytes = 1 + self.dice.below(most);
        let time = self.time_of(tab);
        let tab = &mut self.tabs[tab];
        let (uid, device) = (tab.uid, tab.device);
        let disk = &mut self.devices[device].disk;
        let wrote = tab.progress(time, disk, fault, max_bytes);
        if wrote {
            self.oracle.check_write(device, &self.devices[device].disk);
            self.erasures.heard(device, &self.devices[device].disk);
        }
        if wrote || fault != Fault::None {
            self.say(|| format!("tab {uid} writes, {fault:?}"));
        }
        self.settle(uid);
        true
    }

    /// The browser runs what a frozen tab has asked for; its answer waits.
    fn finish_frozen(&mut self, tab: usize) {
        let time = self.time_of(tab);
        let tab = &mut self.tabs[tab];
        let device = tab.device;
        let disk = &mut self.devices[device].disk;
        if tab.progress(time, disk, Fault::None, 4_000) {
            self.oracle.check_write(device, &self.devices[device].disk);
            self.erasures.heard(device, &self.devices[device].disk);
        }
    }

    pub(super) fn finish_store(&mut self, tab: usize) {
        if self.tabs[tab].is_waiting() {
            self.finish_frozen(tab);
        }
    }

    /// A user resolves a parked commit.
    pub(super) fn resolve(&mut self, tab: usize) {
        let parked: Vec<CommitId> = self.tabs[tab].replica.parked().keys().copied().collect();
        if parked.is_empty() {
            return;
        }
        let id = parked[self.dice.below(parked.len())];
        let choice = self.dice.below(4);
        self.resolve_by(tab, id, choice);
    }

    /// Retries, rebases, replaces or discards a parked commit.
    pub fn resolve_by(&mut self, tab: usize, id: CommitId, choice: usize) {
        let merged = self.variety().event(&mut self.dice);
        let tab = &mut self.tabs[tab];
        let uid = tab.uid;
        let result = match choice {
            0 => tab.replica.retry(id),
            1 => tab.replica.rebase(id),
            // Somebody merged it by hand.
            2 => tab.replica.replace(id, vec![merged]),
            _ => tab.replica.discard(id).map(|()| {
                self.oracle.discarded.insert(id);
            }),
        };
        if result.is_ok() {
            self.oracle
                .saw(["retried", "rebased", "replaced", "discarded"][choice.min(3)]);
            self.say(|| format!("tab {uid} resolves {id} by {choice}"));
        }
        self.settle(uid);
    }
}
