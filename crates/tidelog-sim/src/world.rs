//! Devices with tabs, one server and a network between them. Every step is drawn from the seed.

use crate::app::{any_command, any_event};
use crate::dice::Dice;
use crate::disk::{Bug, Content, Disk, Fault};
use crate::oracle::{Oracle, Origin};
use crate::server::Server;
use crate::tab::Tab;
use std::collections::BTreeSet;
use tidelog_core::hash::commit_digest;
use tidelog_core::protocol::PushResponse;
use tidelog_core::replica::{Decision, Draft, Request, SyncError};
use tidelog_core::{
    Commit, CommitId, Condition, Cursor, Epoch, Expected, Policy, Position, ReplicaId, Timestamp,
};

/// The faults of a world, each in percent of its occasions.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    pub lost_request: u32,
    pub lost_answer: u32,
    pub repeated_request: u32,
    pub repeated_answer: u32,
    pub no_service: u32,
    pub write_fails: u32,
    pub connection: u32,
    pub lost_hint: u32,
    pub kill: u32,
    pub leader: u32,
    pub wipe: u32,
    pub put_back: u32,
    pub copy: u32,
    pub restore: u32,
    pub forbidden: u32,
    pub flipped: u32,
}

impl Faults {
    /// Each world has some of the faults: a weak mixture of all finds less.
    fn draw(dice: &mut Dice) -> Self {
        let mut some = |chance: u32, most: usize| {
            if dice.percent(chance) {
                1 + dice.below(most) as u32
            } else {
                0
            }
        };
        Self {
            lost_request: some(50, 30),
            lost_answer: some(50, 30),
            repeated_request: some(40, 20),
            repeated_answer: some(40, 20),
            no_service: some(40, 20),
            write_fails: some(40, 15),
            connection: some(40, 15),
            lost_hint: some(40, 90),
            kill: some(40, 30),
            leader: some(50, 30),
            wipe: some(12, 15),
            put_back: some(15, 60),
            copy: some(12, 20),
            restore: some(20, 30),
            forbidden: some(20, 5),
            flipped: some(30, 10),
        }
    }
}

/// What goes on behind the replicas' backs, with dice of its own so that worlds without it stay what they were.
#[derive(Debug, Clone)]
struct Upkeep {
    dice: Dice,
    compact: u32,
    snapshot: u32,
    forget: u32,
    damage: u32,
    prune: u32,
}

impl Upkeep {
    fn draw(seed: u64, faults: &Faults) -> Self {
        let mut dice = Dice::new(seed ^ 0x5eed);
        let mut some = |chance: u32, most: usize| match dice.percent(chance) {
            true => 1 + dice.below(most) as u32,
            false => 0,
        };
        let (compact, snapshot, forget) = (some(70, 30), some(70, 20), some(20, 3));
        let (damage, prune) = (some(30, 3), some(50, 30));
        // What only the server has is gone when the server is put back.
        let safe = u32::from(faults.restore == 0);
        Self {
            dice,
            compact,
            snapshot,
            forget,
            damage: damage * safe,
            prune: prune * safe,
        }
    }
}

#[derive(Debug, Clone)]
enum Flight {
    Push {
        tab: u64,
        commits: Vec<Commit>,
        echo: bool,
    },
    Pull {
        tab: u64,
        cursor: Cursor,
        wait: bool,
    },
    Pushed {
        tab: u64,
        answer: Result<PushResponse, SyncError>,
    },
    Pulled {
        tab: u64,
        cursor: Cursor,
        answer: Result<(Vec<Vec<u8>>, Position), SyncError>,
    },
}

#[derive(Debug)]
pub struct World {
    pub dice: Dice,
    upkeep: Option<Upkeep>,
    pub faults: Faults,
    now: i64,
    pub server: Server,
    /// A copy of the server that may be restored: how many commits it has.
    backup: usize,
    pub disks: Vec<Disk>,
    copies: Vec<Option<Content>>,
    tabs: Vec<Tab>,
    flights: Vec<Flight>,
    hints: BTreeSet<u64>,
    old_answers: Vec<(u64, PushResponse)>,
    pub oracle: Oracle,
    next_uid: u64,
    tell: bool,
}

impl World {
    pub fn new(seed: u64, tell: bool) -> Self {
        let mut dice = Dice::new(seed);
        let faults = Faults::draw(&mut dice);
        let server = Server::new(Epoch::from_bytes(dice.id()));
        let devices = 2 + dice.below(3);
        let mut world = Self {
            upkeep: None,
            faults,
            now: 1_000_000,
            backup: 0,
            disks: Vec::new(),
            copies: Vec::new(),
            tabs: Vec::new(),
            flights: Vec::new(),
            hints: BTreeSet::new(),
            old_answers: Vec::new(),
            oracle: Oracle::default(),
            next_uid: 1,
            server,
            dice,
            tell,
        };
        for device in 0..devices {
            let replica = ReplicaId::from_bytes(world.dice.id());
            world.disks.push(Disk::new(replica));
            world.copies.push(None);
            for tab in 0..1 + world.dice.below(3) {
                world.open(device);
                if tab == 0 {
                    world
                        .tabs
                        .last_mut()
                        .unwrap()
                        .replica
                        .handle_leadership(true);
                }
            }
        }
        world.say(|w| format!("{devices} devices, {:?}", w.faults));
        world
    }

    /// Frames are merged, snapshots saved and forgotten, bytes flipped and old frames pruned from now on.
    pub fn keep_up(&mut self, seed: u64) {
        self.upkeep = Some(Upkeep::draw(seed, &self.faults));
    }

    fn upkeep(&mut self) {
        let Some(mut upkeep) = self.upkeep.take() else {
            return;
        };
        let dice = &mut upkeep.dice;
        let device = dice.below(self.disks.len());
        let disk = &mut self.disks[device];
        let frames = disk.content.log.len();
        if dice.percent(upkeep.compact) && frames > 1 {
            let from = dice.below(frames - 1);
            if disk.compact(from, 2 + dice.below(4)) {
                self.oracle.saw("compacted");
            } else if let Some(tab) = self.tabs.iter_mut().find(|tab| tab.device == device) {
                tab.replica.handle_damage();
            }
        }
        if dice.percent(upkeep.snapshot) && !self.tabs.is_empty() {
            let at = dice.below(self.tabs.len());
            let tab = &mut self.tabs[at];
            if tab.save(&mut self.disks[tab.device], &mut self.oracle) {
                self.oracle.saw("saved");
            }
            self.settle_in(self.tabs[at].uid);
        }
        let disk = &mut self.disks[device];
        if dice.percent(upkeep.forget) {
            disk.content.snapshot = None;
        }
        if dice.percent(upkeep.prune) {
            disk.prune(1 + dice.below(5));
            if !disk.content.gaps.is_empty() {
                self.oracle.saw("pruned");
            }
        }
        let disk = &mut self.disks[device];
        let frames = disk.content.log.len();
        if dice.percent(upkeep.damage) && frames > 0 && !disk.content.damaged {
            disk.damage(dice.below(frames), dice.below(10_000));
        }
        self.upkeep = Some(upkeep);
    }

    fn say(&self, what: impl FnOnce(&Self) -> String) {
        if self.tell {
            println!("{:>9} {}", self.now, what(self));
        }
    }

    pub fn plant(&mut self, bug: Bug) {
        self.server.bug = bug;
        for disk in &mut self.disks {
            disk.bug = bug;
        }
    }

    const fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    fn open(&mut self, device: usize) {
        let uid = self.next_uid;
        self.next_uid += 1;
        self.tabs.push(Tab::open(uid, device, &self.disks[device]));
        self.say(|_| format!("tab {uid} of device {device} opens"));
    }

    fn any_tab(&mut self) -> Option<usize> {
        (!self.tabs.is_empty()).then(|| self.dice.below(self.tabs.len()))
    }

    /// One step of the time of faults.
    pub fn step(&mut self) {
        self.upkeep();
        self.now += self.dice.below(40) as i64;
        let Some(tab) = self.any_tab() else {
            return self.open(0);
        };
        match self.dice.below(100) {
            0..14 => self.append(tab),
            14..40 => self.run(tab),
            40..65 => _ = self.progress(tab),
            65..85 => _ = self.fly(),
            85..91 => self.resolve(tab),
            91..93 => _ = self.hint(),
            93..94 => self.now += self.dice.below(5_000) as i64,
            94 if self.dice.percent(self.faults.leader) => self.change_leader(tab),
            95 if self.dice.percent(self.faults.kill) => self.kill(tab),
            96 if self.dice.percent(30) => {
                let device = self.dice.below(self.disks.len());
                let open = self.tabs.iter().filter(|tab| tab.device == device);
                if open.count() < 3 {
                    self.open(device);
                }
            }
            97 => self.disaster(),
            98 => {
                let online = self.dice.percent(60);
                let time = self.time();
                self.tabs[tab].replica.handle_online(time, online);
            }
            99 => {
                let time = self.time();
                self.tabs[tab].replica.handle_kick(time);
            }
            _ => {}
        }
    }

    fn append(&mut self, tab: usize) {
        if !self.tabs[tab].replica.is_ready() {
            return;
        }
        let id = CommitId::from_bytes(self.dice.id());
        let draft = self.draft(tab, id);
        let Some(draft) = draft else { return };
        let tab = &mut self.tabs[tab];
        let (uid, device) = (tab.uid, tab.device);
        if tab.replica.append(draft).is_err() {
            return;
        }
        let ordinal = tab.created;
        tab.created += 1;
        let origin = Origin {
            device,
            tab: uid,
            ordinal,
        };
        self.oracle.created.insert(id, origin);
        self.say(|_| format!("tab {uid} appends {id}"));
        self.settle_in(uid);
    }

    fn draft(&mut self, tab: usize, id: CommitId) -> Option<Draft> {
        let dice = &mut self.dice;
        let tab = &self.tabs[tab];
        if dice.percent(60) {
            let mut command = any_command(dice);
            let Decision::Events(events) = tab.shown(None).decide(&command) else {
                return None;
            };
            if dice.percent(5) {
                command = crate::app::command(&command.stream, "todo.forgotten", "0");
            }
            let mut conditions = Vec::new();
            for event in &events {
                let stream = event.stream.clone();
                let expected = Expected::seen(tab.replica.shown_head(&stream).as_ref());
                conditions.push(Condition { stream, expected });
            }
            if dice.percent(20) {
                let stream = any_event(dice).stream;
                if conditions
                    .iter()
                    .all(|condition| condition.stream != stream)
                {
                    let expected = Expected::seen(tab.replica.shown_head(&stream).as_ref());
                    conditions.push(Condition { stream, expected });
                }
            }
            let policy = match dice.below(10) {
                0..7 => Policy::Rerun,
                7 => Policy::Rebase,
                8 => Policy::Merge,
                _ => Policy::Ask,
            };
            let command = Some(command);
            return Some(Draft {
                id,
                conditions,
                events,
                command,
                policy,
            });
        }
        let events: Vec<_> = (0..1 + dice.below(3)).map(|_| any_event(dice)).collect();
        let mut conditions: Vec<Condition> = Vec::new();
        for _ in 0..dice.below(3) {
            let stream = any_event(dice).stream;
            if conditions
                .iter()
                .any(|condition| condition.stream == stream)
            {
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
        Some(Draft {
            id,
            conditions,
            events,
            command: None,
            policy,
        })
    }

    /// The host's loop once: notices, a store request, what there is to send.
    fn run(&mut self, tab: usize) {
        let time = self.time();
        self.tabs[tab].drain(&mut self.oracle);
        self.tabs[tab].ask(time);
        self.tabs[tab].drain(&mut self.oracle);
        if self.dice.percent(80) {
            self.send(tab);
        }
        self.settle_in(self.tabs[tab].uid);
    }

    fn send(&mut self, tab: usize) -> bool {
        let time = self.time();
        let mut sent = false;
        while let Some(request) = self.tabs[tab].replica.poll_send(time) {
            sent = true;
            let (uid, device) = (self.tabs[tab].uid, self.tabs[tab].device);
            match request {
                Request::Push { commits, .. } => {
                    for commit in &commits {
                        let written = &self.disks[device].written;
                        assert_eq!(
                            written.get(&(commit.id, commit.attempt)),
                            Some(&commit_digest(commit)),
                            "{} is pushed as it was never written",
                            commit.id
                        );
                    }
                    self.say(|_| {
                        let ids: Vec<_> =
                            commits.iter().map(|c| (c.id, c.attempt.value())).collect();
                        format!("tab {uid} pushes {ids:?}")
                    });
                    let flight = Flight::Push {
                        tab: uid,
                        commits,
                        echo: false,
                    };
                    self.flights.push(flight);
                }
                Request::Pull { cursor, wait } => {
                    self.flights.push(Flight::Pull {
                        tab: uid,
                        cursor,
                        wait,
                    });
                }
                other => panic!("a request this host does not know: {other:?}"),
            }
        }
        sent
    }

    /// After an input: handle what it brought and check the tab.
    fn settle_in(&mut self, uid: u64) {
        let time = self.time();
        let Some(tab) = self.tabs.iter_mut().find(|tab| tab.uid == uid) else {
            return;
        };
        tab.drain(&mut self.oracle);
        let current = &self.server.chains;
        self.oracle
            .histories
            .insert(self.server.epoch, current.clone());
        tab.check(time, &self.oracle);
        if self.tell {
            println!("{:>9}   {}", self.now, tab.summary());
        }
        if core::mem::take(&mut tab.tell) {
            let device = tab.device;
            let others = self.tabs.iter();
            let others = others.filter(|tab| tab.device == device && tab.uid != uid);
            let others: Vec<u64> = others.map(|tab| tab.uid).collect();
            for other in others {
                if !self.dice.percent(self.faults.lost_hint) {
                    self.hints.insert(other);
                }
            }
        }
    }

    fn hint(&mut self) -> bool {
        let Some(uid) = self.hints.pop_first() else {
            return false;
        };
        if let Some(tab) = self.tabs.iter_mut().find(|tab| tab.uid == uid) {
            let generation = self.disks[tab.device].content.head.generation;
            tab.replica.handle_hint(generation);
        }
        self.settle_in(uid);
        true
    }

    fn progress(&mut self, tab: usize) -> bool {
        if !self.tabs[tab].is_asking() {
            return false;
        }
        let fault = match self.dice.below(4) {
            0 if self.dice.percent(self.faults.write_fails) => Fault::Quota,
            1 if self.dice.percent(self.faults.write_fails) => Fault::Abort,
            2 if self.dice.percent(self.faults.connection) => Fault::LostBefore,
            3 if self.dice.percent(self.faults.connection) => Fault::LostAfter,
            _ => Fault::None,
        };
        let max_bytes = 1 + self.dice.below(2_000);
        let time = self.time();
        let tab = &mut self.tabs[tab];
        let (uid, device) = (tab.uid, tab.device);
        let wrote = tab.progress(time, &mut self.disks[device], fault, max_bytes);
        if wrote {
            self.oracle.check_disk(device, &self.disks[device]);
        }
        if wrote || fault != Fault::None {
            self.say(|_| format!("tab {uid} writes, {fault:?}"));
        }
        self.settle_in(uid);
        true
    }

    /// One message moves.
    fn fly(&mut self) -> bool {
        if self.flights.is_empty() {
            return false;
        }
        let index = self.dice.below(self.flights.len());
        self.land(index)
    }

    fn land(&mut self, index: usize) -> bool {
        let network = || SyncError::Network {
            detail: String::from("injected"),
        };
        if let Flight::Pull {
            cursor, wait: true, ..
        } = &self.flights[index]
            && cursor.position == self.server.head().position
            && (cursor.position == Position::START || cursor.epoch == self.server.epoch)
        {
            return false;
        }
        let flight = self.flights.swap_remove(index);
        match flight {
            Flight::Push { tab, commits, echo } => {
                if self.dice.percent(self.faults.repeated_request) {
                    let commits = commits.clone();
                    self.flights.push(Flight::Push {
                        tab,
                        commits,
                        echo: true,
                    });
                }
                let answer = if self.dice.percent(self.faults.lost_request) {
                    Err(network())
                } else if self.dice.percent(self.faults.no_service) {
                    Err(no_service(&mut self.dice))
                } else {
                    let forbidden = self.faults.forbidden;
                    // Its own rule says the same each time it is asked.
                    let mut forbids =
                        |commit: &Commit| u32::from(commit.id.as_bytes()[0]) % 100 < forbidden;
                    let answer = self.server.push(self.now, &commits, &mut forbids);
                    self.oracle.check_server(&self.server);
                    self.say(|_| format!("server answers {:?}", answer.results));
                    if self.dice.percent(self.faults.lost_answer) {
                        self.oracle.saw("answer lost");
                        Err(network())
                    } else {
                        Ok(answer)
                    }
                };
                if !echo {
                    self.flights.push(Flight::Pushed { tab, answer });
                }
            }
            Flight::Pull { tab, cursor, .. } => {
                let (per_frame, frames) = (1 + self.dice.below(4), 1 + self.dice.below(4));
                let answer = if self.dice.percent(self.faults.lost_request) {
                    Err(network())
                } else if self.dice.percent(self.faults.no_service) {
                    Err(no_service(&mut self.dice))
                } else {
                    let page = self.server.pull(cursor, per_frame, frames);
                    page.ok_or(SyncError::HistoryChanged)
                };
                self.flights.push(Flight::Pulled {
                    tab,
                    cursor,
                    answer,
                });
            }
            Flight::Pushed { tab, answer } => self.pushed(tab, answer),
            Flight::Pulled {
                tab,
                cursor,
                answer,
            } => self.pulled(tab, cursor, answer),
        }
        true
    }

    fn pushed(&mut self, uid: u64, answer: Result<PushResponse, SyncError>) {
        let time = self.time();
        let mut answer = answer;
        if let Ok(response) = &answer {
            self.old_answers.push((uid, response.clone()));
        }
        if self.dice.percent(self.faults.repeated_answer) {
            let epoch = self.server.epoch;
            let mut old = self.old_answers.iter();
            let old = old
                .by_ref()
                .filter(|(tab, old)| *tab == uid && old.epoch == epoch);
            let old: Vec<_> = old.map(|(_, old)| old).collect();
            if !old.is_empty() {
                answer = Ok(old[self.dice.below(old.len())].clone());
            }
        }
        let Some(tab) = self.tabs.iter_mut().find(|tab| tab.uid == uid) else {
            return;
        };
        match answer {
            Ok(response) => tab.replica.handle_pushed(time, response),
            Err(error) => tab.replica.handle_push_failed(time, error),
        }
        self.settle_in(uid);
    }

    fn pulled(
        &mut self,
        uid: u64,
        cursor: Cursor,
        answer: Result<(Vec<Vec<u8>>, Position), SyncError>,
    ) {
        let time = self.time();
        let Some(tab) = self.tabs.iter_mut().find(|tab| tab.uid == uid) else {
            return;
        };
        match answer {
            Ok((mut frames, head))
                if !frames.is_empty() && self.dice.percent(self.faults.flipped) =>
            {
                let frame = self.dice.below(frames.len());
                let byte = self.dice.below(frames[frame].len());
                frames[frame][byte] ^= 1 << self.dice.below(8);
                let before = tab.replica.head().cursor;
                if tab
                    .replica
                    .handle_pulled(time, cursor, frames, head)
                    .is_err()
                {
                    self.oracle.saw("flipped byte");
                }
                assert_eq!(tab.replica.head().cursor, before);
            }
            Ok((frames, head)) => {
                let result = tab.replica.handle_pulled(time, cursor, frames, head);
                result.expect("the server's log does not follow");
            }
            Err(error) => tab.replica.handle_pull_failed(time, error),
        }
        self.settle_in(uid);
    }

    /// A user resolves a parked commit.
    fn resolve(&mut self, tab: usize) {
        let parked: Vec<CommitId> = self.tabs[tab].replica.parked().keys().copied().collect();
        if parked.is_empty() {
            return;
        }
        let id = parked[self.dice.below(parked.len())];
        let tab = &mut self.tabs[tab];
        let uid = tab.uid;
        let choice = self.dice.below(3);
        let result = match choice {
            0 => tab.replica.retry(id),
            1 => tab.replica.rebase(id),
            _ => tab.replica.discard(id).map(|()| {
                self.oracle.discarded.insert(id);
            }),
        };
        if result.is_ok() {
            self.oracle.saw(["retried", "rebased", "discarded"][choice]);
            self.say(|_| format!("tab {uid} resolves {id} by {choice}"));
        }
        self.settle_in(uid);
    }

    fn change_leader(&mut self, tab: usize) {
        let device = self.tabs[tab].device;
        // Sometimes the old leader has not noticed yet.
        let two = self.dice.percent(20);
        for at in 0..self.tabs.len() {
            if self.tabs[at].device == device && (at == tab || !two) {
                self.tabs[at].replica.handle_leadership(at == tab);
                self.settle_in(self.tabs[at].uid);
            }
        }
        self.say(|w| format!("tab {} leads", w.tabs[tab].uid));
    }

    fn kill(&mut self, tab: usize) {
        let tab = self.tabs.swap_remove(tab);
        self.say(|_| format!("tab {} is killed", tab.uid));
        let promised = self.oracle.promised.entry(tab.device).or_default();
        let created = self.oracle.created.iter();
        let own = created.filter(|(_, origin)| origin.tab == tab.uid);
        let memory = own.filter(|(id, _)| !promised.contains(id));
        self.oracle.excused.extend(memory.map(|(id, _)| *id));
    }

    fn excuse(&mut self, device: usize) {
        let created = self.oracle.created.iter();
        let own = created.filter(|(_, origin)| origin.device == device);
        let own: Vec<CommitId> = own.map(|(id, _)| *id).collect();
        self.oracle.excused.extend(own);
        self.oracle.unordered = true;
    }

    fn disaster(&mut self) {
        let device = self.dice.below(self.disks.len());
        if self.dice.percent(self.faults.wipe) {
            self.say(|_| format!("device {device} is wiped"));
            self.oracle.saw("wiped");
            self.excuse(device);
            let replica = ReplicaId::from_bytes(self.dice.id());
            self.disks[device].wipe(replica);
            // A tab that was behind may hold the only copy, and decide an attempt anew.
            self.disks[device].rolled_back = true;
        } else if self.faults.put_back > 0 && self.dice.percent(30) {
            self.copies[device] = Some(self.disks[device].content.clone());
        } else if self.dice.percent(self.faults.put_back)
            && let Some(copy) = self.copies[device].clone()
        {
            self.say(|_| format!("an older copy of device {device} is put back"));
            self.oracle.saw("put back");
            self.excuse(device);
            for disk in &mut self.disks {
                disk.rolled_back = true;
            }
            self.disks[device].content = copy;
            self.disks[device].life += 1;
        } else if self.dice.percent(self.faults.copy) && self.disks.len() < 5 {
            self.say(|_| format!("device {device} is copied"));
            self.oracle.saw("copied");
            for device in 0..self.disks.len() {
                self.excuse(device);
            }
            for disk in &mut self.disks {
                disk.rolled_back = true;
            }
            self.disks.push(self.disks[device].clone());
            self.copies.push(None);
            let copy = self.disks.len() - 1;
            self.open(copy);
            self.tabs
                .last_mut()
                .unwrap()
                .replica
                .handle_leadership(true);
        } else if self.dice.percent(self.faults.restore) {
            let epoch = Epoch::from_bytes(self.dice.id());
            self.oracle.saw("restored");
            self.oracle.unordered = true;
            let chains = self.server.chains.clone();
            self.oracle.histories.insert(self.server.epoch, chains);
            self.server = self.server.restored(epoch, self.backup);
            self.say(|w| format!("the server is restored at {}", w.server.head().position));
        } else if self.faults.restore > 0 {
            self.backup = self.dice.below(self.server.log.len() + 1);
        }
    }

    /// Faults end. Within a bound of rounds everything is confirmed or parked, and all tabs agree.
    pub fn heal(&mut self) {
        // A rule of the server's own is no fault: it stays.
        self.faults = Faults {
            forbidden: self.faults.forbidden,
            ..Faults::default()
        };
        if let Some(upkeep) = &mut self.upkeep {
            (upkeep.forget, upkeep.damage) = (0, 0);
        }
        self.say(|_| String::from("faults end"));
        for device in 0..self.disks.len() {
            if self.tabs.iter().all(|tab| tab.device != device) {
                self.open(device);
            }
            let mut leader = true;
            for at in 0..self.tabs.len() {
                if self.tabs[at].device == device {
                    let time = self.time();
                    self.tabs[at]
                        .replica
                        .handle_leadership(core::mem::take(&mut leader));
                    self.tabs[at].replica.handle_online(time, true);
                    self.tabs[at].replica.handle_kick(time);
                }
            }
        }
        self.quiesce();
        self.check_quiet();
        // Quiet is stable: looking again finds nothing new.
        for tab in &mut self.tabs {
            tab.replica.handle_kick(Timestamp::from_millis(self.now));
        }
        self.quiesce();
        self.check_quiet();
    }

    fn quiesce(&mut self) {
        for _ in 0..3_000 {
            self.upkeep();
            let mut moved = false;
            for tab in 0..self.tabs.len() {
                let time = self.time();
                self.settle_in(self.tabs[tab].uid);
                moved |= self.tabs[tab].ask(time);
                while self.tabs[tab].is_asking() {
                    moved |= self.progress(tab);
                }
                self.settle_in(self.tabs[tab].uid);
                moved |= self.send(tab);
            }
            for index in (0..self.flights.len()).rev() {
                moved |= self.land(index);
            }
            while self.hint() {
                moved = true;
            }
            if moved {
                continue;
            }
            let wake = self
                .tabs
                .iter()
                .filter_map(|tab| tab.replica.poll_timeout());
            match wake.min() {
                None => return,
                Some(at) => {
                    assert!(
                        at > self.time(),
                        "a timeout in the past: the host would spin"
                    );
                    self.now = at.millis();
                }
            }
        }
        for tab in &self.tabs {
            self.say(|_| {
                format!(
                    "tab {} of device {}: {:?}",
                    tab.uid, tab.device, tab.replica
                )
            });
        }
        panic!("no quiet after faults ended: livelock");
    }

    fn check_quiet(&self) {
        let head = self.server.head().position;
        for tab in &self.tabs {
            let status = tab.replica.status();
            let uid = tab.uid;
            let counts = status.counts;
            assert_eq!(
                (counts.unwritten, counts.pending, counts.acked),
                (0, 0, 0),
                "tab {uid} is stuck: {status:?}"
            );
            assert_eq!(status.position, head, "tab {uid} is behind: {status:?}");
            let parked: Vec<_> = tab.replica.parked().keys().collect();
            let stored: Vec<_> = self.disks[tab.device].content.parked.keys().collect();
            assert_eq!(
                parked, stored,
                "tab {uid} and its disk differ in what is parked"
            );
            self.check_receipts(tab);
        }
        self.oracle.check_server(&self.server);
        self.oracle.check_end(&self.server, &self.disks);
    }

    /// Every tab has heard the end of what it appended.
    fn check_receipts(&self, tab: &Tab) {
        use tidelog_core::replica::ReceiptState;
        for (id, origin) in &self.oracle.created {
            let oracle = &self.oracle;
            if origin.tab != tab.uid || oracle.discarded.contains(id) || oracle.excused.contains(id)
            {
                continue;
            }
            let receipt = tab.receipts.get(id);
            let parked = tab.replica.parked().contains_key(id);
            let right = match receipt {
                Some(ReceiptState::Confirmed(_)) => !parked,
                Some(ReceiptState::Parked) => parked || oracle.satisfied.contains(id),
                Some(ReceiptState::Failed(_)) => !parked && !self.server.has(*id),
                _ => false,
            };
            assert!(
                right,
                "{id} ended, and its tab {} heard {receipt:?}",
                tab.uid
            );
        }
    }
}

fn no_service(dice: &mut Dice) -> SyncError {
    let detail = String::from("injected");
    match dice.below(4) {
        0 => SyncError::Unauthorized { detail },
        1 => SyncError::Unavailable {
            status: 503,
            detail,
        },
        2 => SyncError::BadAnswer { detail },
        _ => SyncError::RateLimited {
            retry_after_millis: Some(2_000),
        },
    }
}
