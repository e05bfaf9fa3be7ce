//! One device and a server on a bench: nothing happens but what a test asks for.

use crate::app::{Rows, command, event};
use crate::dice::Dice;
use crate::disk::{Disk, Fault};
use crate::oracle::Oracle;
use crate::server::Server;
use crate::tab::Tab;
use tidelog_core::protocol::PushResponse;
use tidelog_core::replica::{Decision, Draft, ReceiptState, Replica, Request, SyncError};
use tidelog_core::{
    Attempt, Commit, CommitId, Condition, Cursor, Epoch, Event, Expected, Filter, Policy, Position,
    ReplicaId, Seq, StreamId, Timestamp,
};

#[derive(Debug)]
pub struct Bench {
    pub disk: Disk,
    pub server: Server,
    pub tabs: Vec<Tab>,
    pub oracle: Oracle,
    pub now: i64,
    dice: Dice,
    /// Pulls that are under way, by tab, and whether the server holds an empty answer back.
    waiting: Vec<Option<(Cursor, Filter, bool)>>,
    strangers: u64,
}

pub fn stream(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

impl Bench {
    /// Some tabs of one device, open and synced; the first leads.
    pub fn new(tabs: usize) -> Self {
        Self::new_for(tabs, &Filter::default())
    }

    /// The same with tabs that ask for a part of the log.
    pub fn new_for(tabs: usize, filter: &Filter) -> Self {
        let mut dice = Dice::new(7);
        let mut bench = Self {
            disk: Disk::new(ReplicaId::from_bytes(dice.id())),
            server: Server::new(Epoch::from_bytes(dice.id())),
            tabs: Vec::new(),
            oracle: Oracle::default(),
            now: 1_000,
            waiting: Vec::new(),
            strangers: 0,
            dice,
        };
        for _ in 0..tabs {
            bench.open_for(filter.clone());
        }
        bench.tabs[0].replica.handle_leadership(true);
        bench.sync(0);
        bench
    }

    pub fn open(&mut self) -> usize {
        self.open_for(Filter::default())
    }

    /// A tab that asks for a part of the log.
    pub fn open_for(&mut self, filter: Filter) -> usize {
        let tab = self.tabs.len();
        let uid = tab as u64 + 1;
        let opened = Tab::open_with(uid, 0, &self.disk, None, false, filter);
        self.tabs.push(opened);
        self.waiting.push(None);
        self.save(tab);
        tab
    }

    pub const fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    pub fn replica(&mut self, tab: usize) -> &mut Replica {
        &mut self.tabs[tab].replica
    }

    pub fn id(&mut self) -> CommitId {
        CommitId::from_bytes(self.dice.id())
    }

    pub fn drain(&mut self, tab: usize) {
        let histories = &mut self.oracle.histories;
        histories.insert(self.server.epoch, self.server.chains.clone());
        self.tabs[tab].drain(&mut self.oracle);
        self.tabs[tab].check(Timestamp::default(), &self.oracle);
    }

    /// Does what a command decides, with a policy.
    pub fn run(
        &mut self,
        tab: usize,
        on: &str,
        name: &str,
        args: &str,
        policy: Policy,
    ) -> CommitId {
        let command = command(&stream(on), name, args);
        let Decision::Events(events) = self.shown(tab).decide(&command) else {
            panic!("refused");
        };
        let mut conditions: Vec<Condition> = Vec::new();
        for event in &events {
            let expected = Expected::seen(self.replica(tab).shown_head(&event.stream).as_ref());
            let stream = event.stream.clone();
            conditions.push(Condition { stream, expected });
        }
        self.append(tab, conditions, events, Some(command), policy)
    }

    pub fn append(
        &mut self,
        tab: usize,
        conditions: Vec<Condition>,
        events: Vec<Event>,
        command: Option<tidelog_core::Command>,
        policy: Policy,
    ) -> CommitId {
        let id = self.id();
        self.append_as(tab, id, conditions, events, command, policy);
        id
    }

    /// The same with an id of the test's choice: its last byte says how a merge ends.
    pub fn append_as(
        &mut self,
        tab: usize,
        id: CommitId,
        conditions: Vec<Condition>,
        events: Vec<Event>,
        command: Option<tidelog_core::Command>,
        policy: Policy,
    ) {
        let draft = Draft {
            id,
            conditions,
            events,
            command,
            policy,
        };
        self.replica(tab).append(draft).unwrap();
        self.drain(tab);
    }

    /// A fact that expects what is shown, to be asked about.
    pub fn note(&mut self, tab: usize, on: &str, data: &str) -> CommitId {
        let expected = Expected::seen(self.replica(tab).shown_head(&stream(on)).as_ref());
        let conditions = vec![Condition {
            stream: stream(on),
            expected,
        }];
        let events = vec![event(&stream(on), "facts.learnt", data)];
        self.append(tab, conditions, events, None, Policy::Ask)
    }

    /// Somebody else's event arrives at the server.
    pub fn stranger(&mut self, on: &str, name: &str, data: &str) {
        self.strangers += 1;
        let commit = Commit {
            id: self.id(),
            attempt: Attempt::FIRST,
            replica: ReplicaId::from_bytes([9; 16]),
            seq: Seq::new(self.strangers),
            conditions: Vec::new(),
            events: vec![event(&stream(on), name, data)],
        };
        let answer = self.server.push(self.now, &[commit], &mut |_| false);
        assert_eq!(answer.results.len(), 1);
    }

    pub fn shown(&self, tab: usize) -> Rows {
        self.tabs[tab].shown(None)
    }

    pub fn heard(&self, tab: usize, id: CommitId) -> Option<&ReceiptState> {
        self.tabs[tab].receipts.get(&id)
    }

    /// One store request from asking to its answer. Was there one?
    pub fn store(&mut self, tab: usize, fault: Fault) -> bool {
        if self.stopped() {
            return false;
        }
        let time = self.time();
        self.drain(tab);
        self.tabs[tab].ask(time);
        self.drain(tab);
        if !self.tabs[tab].is_asking() {
            return false;
        }
        while self.tabs[tab].is_asking() {
            self.tabs[tab].progress(time, &mut self.disk, fault, 1_000);
            self.oracle.check_disk(0, &self.disk);
        }
        self.drain(tab);
        true
    }

    /// Has the machine stopped?
    pub fn stopped(&self) -> bool {
        self.disk.crash.is_some_and(|crash| crash.happened)
    }

    /// Requests under way are gone with their tab.
    pub fn hang_up(&mut self, tab: usize) {
        self.waiting[tab] = None;
    }

    /// All that the store has to do.
    pub fn save(&mut self, tab: usize) {
        while self.store(tab, Fault::None) {}
    }

    /// What a tab sends at this moment, whatever its store has to do.
    pub fn requests(&mut self, tab: usize) -> Vec<Request> {
        let time = self.time();
        let replica = &mut self.tabs[tab].replica;
        core::iter::from_fn(|| replica.poll_send(time)).collect()
    }

    /// What a tab wants to push now, after everything is on disk. Pulls among the requests stay unanswered.
    pub fn pushes(&mut self, tab: usize) -> Vec<Commit> {
        self.save(tab);
        self.pushes_now(tab)
    }

    /// What a tab pushes at this moment, whatever its store has to do.
    pub fn pushes_now(&mut self, tab: usize) -> Vec<Commit> {
        let mut all = Vec::new();
        for request in self.requests(tab) {
            match request {
                Request::Push { commits, .. } => all.extend(commits),
                Request::Pull {
                    cursor,
                    filter,
                    wait,
                } => {
                    self.waiting[tab] = Some((cursor, filter, wait));
                }
                _ => unreachable!(),
            }
        }
        all
    }

    pub fn at_server(&mut self, commits: &[Commit]) -> PushResponse {
        self.server.push(self.now, commits, &mut |_| false)
    }

    pub fn pushed(&mut self, tab: usize, answer: Result<PushResponse, SyncError>) {
        let time = self.time();
        match answer {
            Ok(answer) => self.replica(tab).handle_pushed(time, answer),
            Err(error) => self.replica(tab).handle_push_failed(time, error),
        }
        self.drain(tab);
    }

    /// Answers the pull that is under way. Was there one with something new?
    pub fn pull(&mut self, tab: usize) -> bool {
        let Some((cursor, filter, wait)) = self.waiting[tab].take() else {
            return false;
        };
        let time = self.time();
        let news = self.server.pull(cursor, &filter, 2, 2);
        match news {
            Some((frames, head)) if frames.is_empty() && head == cursor.position => {
                if wait {
                    self.waiting[tab] = Some((cursor, filter, wait));
                    return false;
                }
                self.replica(tab)
                    .handle_pulled(time, cursor, &filter, frames, head)
                    .unwrap();
            }
            Some((frames, head)) => {
                self.replica(tab)
                    .handle_pulled(time, cursor, &filter, frames, head)
                    .unwrap();
            }
            None => self
                .replica(tab)
                .handle_pull_failed(time, SyncError::HistoryChanged),
        }
        self.drain(tab);
        true
    }

    /// Stores, pushes and pulls until nothing is left to do; waits for what is put off.
    pub fn sync(&mut self, tab: usize) {
        for _ in 0..200 {
            self.save(tab);
            if self.stopped() {
                return;
            }
            let commits = self.pushes(tab);
            if !commits.is_empty() {
                let answer = self.at_server(&commits);
                self.pushed(tab, Ok(answer));
                continue;
            }
            if self.pull(tab) {
                continue;
            }
            match self.tabs[tab].replica.poll_timeout() {
                Some(at) => self.now = self.now.max(at.millis()),
                None if self.waiting[tab].is_some() || !self.tabs[tab].replica.status().leader => {
                    return;
                }
                None => {}
            }
        }
        panic!("no rest: {:?}", self.tabs[tab].replica.status());
    }

    /// Another tab hears that the database has moved on.
    pub fn hint(&mut self, tab: usize) {
        let generation = self.disk.content.head.generation;
        self.replica(tab).handle_hint(generation);
        self.save(tab);
    }

    pub fn version(&mut self, tab: usize, on: &str) -> u64 {
        let head = self.replica(tab).shown_head(&stream(on));
        head.map_or(0, |head| head.version.value())
    }

    pub fn position(&mut self, tab: usize) -> Position {
        self.replica(tab).head().cursor.position
    }
}
