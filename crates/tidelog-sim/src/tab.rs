//! A tab: a replica, its connection to the device's database, and an app that folds and decides.

use crate::app::Rows;
use crate::disk::{Disk, Fault, Snapshot};
use crate::oracle::Oracle;
use std::collections::{BTreeMap, BTreeSet};
use tidelog_core::frame::{self, Body};
use tidelog_core::replica::{
    Collision, Config, Decision, Notice, Question, ReceiptState, Replica, StoreRequest,
};
use tidelog_core::store::{Durability, Loaded, StoreError, StoredSnapshot, Written};
use tidelog_core::{ChainHash, CommitId, Epoch, EventId, Position, StreamId, Timestamp, Version};

#[derive(Debug)]
enum Answer {
    Written(Result<Written, StoreError>),
    Loaded(Result<Loaded, StoreError>),
    Frames(Result<Vec<Vec<u8>>, StoreError>),
    Snapshot(Result<Option<Snapshot>, StoreError>),
    Reopened,
}

#[derive(Debug)]
enum Slot {
    Idle,
    Asked(StoreRequest),
    Answered(Answer),
}

#[derive(Debug)]
pub struct Tab {
    pub uid: u64,
    pub device: usize,
    pub replica: Replica,
    pub created: usize,
    pub receipts: BTreeMap<CommitId, ReceiptState>,
    /// The newest generation other tabs should hear of.
    pub tell: bool,
    life: u64,
    connected: bool,
    slot: Slot,
    rows: Rows,
    position: Position,
    chain: ChainHash,
    confirmed: BTreeSet<CommitId>,
    /// What the folds begin with after the next reset.
    restored: Option<Snapshot>,
}

impl Tab {
    pub fn open(uid: u64, device: usize, disk: &Disk) -> Self {
        Self::open_as(uid, device, disk, true)
    }

    /// A tab of a log with or without a server. It starts from the snapshot on disk if there is one.
    pub fn open_as(uid: u64, device: usize, disk: &Disk, sync: bool) -> Self {
        let mut tab = Self::new(uid, device, disk, sync);
        if let Some(snapshot) = disk.snapshot() {
            let heads = snapshot.heads.clone().into_iter().collect();
            assert!(
                tab.replica
                    .restore(snapshot.checkpoint, snapshot.buckets, heads)
            );
            tab.install(snapshot);
        }
        tab
    }

    fn install(&mut self, snapshot: &Snapshot) {
        self.rows = snapshot.rows.clone();
        self.position = snapshot.checkpoint.position;
        self.chain = snapshot.checkpoint.chain;
        self.confirmed = snapshot.confirmed.clone();
    }

    /// Saves its state, as a leader does when it is idle. Was it taken?
    pub fn save(&mut self, disk: &mut Disk, oracle: &mut Oracle) -> bool {
        self.drain(oracle);
        if self.life != disk.life || !self.connected {
            return false;
        }
        let checkpoint = self.replica.head().cursor;
        let Some(heads) = self.replica.heads() else {
            return false;
        };
        assert_eq!(checkpoint.position, self.position);
        let snapshot = Snapshot {
            checkpoint,
            buckets: heads.buckets,
            heads: heads.changed.into_iter().collect(),
            rows: self.rows.clone(),
            confirmed: self.confirmed.clone(),
        };
        let saved = disk.save(snapshot, heads.whole, heads.base);
        self.replica
            .heads_saved(saved.then_some(checkpoint.position));
        saved
    }

    fn new(uid: u64, device: usize, disk: &Disk, sync: bool) -> Self {
        Self {
            uid,
            device,
            replica: Replica::new(Config {
                sync,
                durability: Durability::Strict,
                seed: uid,
                epoch: Epoch::from_bytes([0xee; 16]),
            }),
            created: 0,
            receipts: BTreeMap::new(),
            tell: false,
            life: disk.life,
            connected: true,
            slot: Slot::Idle,
            rows: Rows::default(),
            position: Position::START,
            chain: ChainHash::default(),
            confirmed: BTreeSet::new(),
            restored: None,
        }
    }

    /// Confirmed, then the queue up to a commit.
    pub fn shown(&self, until: Option<CommitId>) -> Rows {
        let mut rows = self.rows.clone();
        let queue = self.replica.queue().map(|queued| &queued.local.commit);
        for commit in queue.take_while(|commit| Some(commit.id) != until) {
            for (index, event) in commit.events.iter().enumerate() {
                rows.apply(event, commit.event_id(index));
            }
        }
        rows
    }

    /// The queue in a line.
    pub fn summary(&self) -> String {
        let mut line = format!("tab {} at {}:", self.uid, self.position);
        for queued in self.replica.queue() {
            let commit = &queued.local.commit;
            let id = commit.id.to_string();
            let state = match queued.acked {
                Some(position) => format!("acked {position}"),
                None => String::from(if queued.durable { "durable" } else { "memory" }),
            };
            line += &format!(" {}/{}/{} {state},", &id[..4], commit.attempt, commit.seq);
        }
        let parked = self.replica.parked().keys();
        let parked: Vec<_> = parked.map(|id| id.to_string()[..4].to_owned()).collect();
        format!("{line} parked {parked:?}")
    }

    /// Handles notices until none comes.
    pub fn drain(&mut self, oracle: &mut Oracle) {
        for _ in 0..10_000 {
            match self.replica.poll_notice() {
                None => return,
                Some(Notice::Confirmed { frame, skip, .. }) => {
                    let decoded = frame::decode(frame.bytes()).unwrap();
                    let Body::Recorded(commits) = &decoded.body else {
                        panic!("a local frame is confirmed");
                    };
                    let known = commits.iter();
                    let known = known.take_while(|commit| commit.position <= self.position);
                    let known: Vec<_> = known.collect();
                    let events: usize = known.iter().map(|known| known.commit.events.len()).sum();
                    assert_eq!(skip, events, "what was confirmed before");
                    if skip > 0 {
                        oracle.saw("straddled");
                    }
                    let before = known.iter();
                    let before = before.fold(decoded.chain_before, |chain, r| chain.after(r));
                    assert_eq!(self.chain, before, "the chain has a gap");
                    for recorded in commits.iter().skip(known.len()) {
                        assert_eq!(recorded.position, self.position.next(), "a gap in the log");
                        self.position = recorded.last_position();
                        self.chain = self.chain.after(recorded);
                        assert!(self.confirmed.insert(recorded.commit.id), "confirmed twice");
                        for (index, event) in recorded.commit.events.iter().enumerate() {
                            self.rows.apply(event, recorded.commit.event_id(index));
                        }
                    }
                }
                Some(Notice::Reset { after, .. }) => {
                    oracle.saw("reset");
                    self.rows = Rows::default();
                    self.position = Position::START;
                    self.chain = ChainHash::default();
                    self.confirmed.clear();
                    if after > Position::START
                        && let Some(snapshot) = self.restored.clone()
                    {
                        assert_eq!(snapshot.checkpoint.position, after);
                        oracle.saw("gone on from a snapshot");
                        self.install(&snapshot);
                    }
                }
                Some(Notice::Damaged { .. }) => oracle.saw("damaged"),
                Some(Notice::Rerun {
                    question,
                    command,
                    before,
                    ..
                }) => {
                    let shown = self.shown(Some(question.id));
                    assert_eq!(before, shown.head(&command.stream), "where it stands");
                    self.check_queued_before(question.id, &command.stream, &shown);
                    self.decide(oracle, question, shown.decide(&command));
                }
                Some(Notice::Merge {
                    question,
                    attempt,
                    events,
                    collisions,
                    ..
                }) => {
                    oracle.saw("merged");
                    let shown = self.shown(Some(question.id));
                    assert!(!collisions.is_empty(), "nothing to merge with");
                    for Collision { stream, from, to } in &collisions {
                        assert!(events.iter().any(|event| &event.stream == stream));
                        assert!(*from > Version::NONE && from <= to);
                        self.check_queued_before(question.id, stream, &shown);
                    }
                    let id = EventId {
                        commit: question.id,
                        attempt,
                        index: 0,
                    };
                    self.decide(oracle, question, shown.merge(events, id));
                }
                Some(Notice::Receipt { id, state }) => {
                    oracle.receipt(self.device, id, &state);
                    self.receipts.insert(id, state);
                }
                Some(_) => {}
            }
        }
        panic!("notices never end");
    }

    fn decide(&mut self, oracle: &mut Oracle, question: Question, decision: Decision) {
        oracle.saw(match &decision {
            Decision::Events(events) if events.is_empty() => "nothing left to do",
            Decision::Events(_) => "decided again",
            Decision::Refused { .. } => "refused",
            Decision::Ask => "not merged",
            Decision::UnknownCommand => "unknown command",
        });
        if matches!(&decision, Decision::Events(events) if events.is_empty()) {
            oracle.satisfied.insert(question.id);
        }
        self.replica.decide(question, decision);
    }

    /// What the host is given to decide on is what shows before the commit.
    fn check_queued_before(&self, id: CommitId, stream: &StreamId, shown: &Rows) {
        let mut rows = self.rows.clone();
        for (id, event) in self.replica.queued_before(id, stream) {
            rows.apply(event, id);
        }
        assert_eq!(rows.0.get(stream), shown.0.get(stream), "before {id}");
    }

    /// Takes the next store request, if the connection is free.
    pub fn ask(&mut self, now: Timestamp) -> bool {
        if matches!(self.slot, Slot::Idle)
            && let Some(request) = self.replica.poll_store(now)
        {
            self.slot = Slot::Asked(request);
            return true;
        }
        false
    }

    pub const fn is_asking(&self) -> bool {
        !matches!(self.slot, Slot::Idle)
    }

    /// Runs the request, or delivers its answer. Was anything written?
    pub fn progress(
        &mut self,
        now: Timestamp,
        disk: &mut Disk,
        fault: Fault,
        max_bytes: usize,
    ) -> bool {
        match core::mem::replace(&mut self.slot, Slot::Idle) {
            Slot::Idle => false,
            Slot::Asked(StoreRequest::Reopen) => {
                self.life = disk.life;
                self.connected = true;
                self.slot = Slot::Answered(Answer::Reopened);
                false
            }
            Slot::Asked(request) => {
                let before = disk.content.head.generation;
                let life = disk.life;
                let answer = self.run(disk, request, fault, max_bytes);
                self.slot = Slot::Answered(answer);
                disk.content.head.generation != before || disk.life != life
            }
            Slot::Answered(answer) => {
                match answer {
                    Answer::Written(result) => {
                        self.tell |= matches!(result, Ok(Written::Done));
                        self.replica.handle_written(now, result);
                    }
                    Answer::Loaded(Ok(loaded)) => self.replica.handle_loaded(now, loaded),
                    Answer::Frames(Ok(frames)) => self.replica.handle_frames(frames),
                    Answer::Snapshot(Ok(found)) => {
                        let given = found.as_ref().map(|snapshot| StoredSnapshot {
                            checkpoint: snapshot.checkpoint,
                            buckets: snapshot.buckets,
                            filled: snapshot.heads.clone().into_iter().collect(),
                        });
                        if self.replica.handle_snapshot(given) {
                            self.restored = found;
                        }
                    }
                    Answer::Loaded(Err(error))
                    | Answer::Frames(Err(error))
                    | Answer::Snapshot(Err(error)) => {
                        self.replica.handle_load_failed(now, error);
                    }
                    Answer::Reopened => self.replica.handle_reopened(now, Ok(())),
                }
                false
            }
        }
    }

    fn run(
        &mut self,
        disk: &mut Disk,
        request: StoreRequest,
        fault: Fault,
        max_bytes: usize,
    ) -> Answer {
        let connection = match (self.connected, self.life == disk.life) {
            (true, true) => Ok(()),
            (true, false) => Err(StoreError::Wiped),
            (false, _) => Err(StoreError::ConnectionLost {
                detail: String::from("it was lost before"),
            }),
        };
        match request {
            StoreRequest::Write(batch) => {
                let result = connection.and_then(|()| disk.write(&batch, fault));
                if matches!(result, Err(StoreError::ConnectionLost { .. })) {
                    self.connected = false;
                }
                Answer::Written(result)
            }
            StoreRequest::Load { after } => {
                Answer::Loaded(connection.map(|()| disk.load(after, max_bytes)))
            }
            StoreRequest::Log => Answer::Frames(connection.map(|()| disk.frames())),
            StoreRequest::Snapshot => {
                Answer::Snapshot(connection.map(|()| disk.snapshot().cloned()))
            }
            other => panic!("a request this host does not know: {other:?}"),
        }
    }

    /// Invariant 9, and that the confirmed log is a prefix of a history of the server.
    pub fn check(&self, now: Timestamp, oracle: &Oracle) {
        let replica = &self.replica;
        if !replica.is_ready() {
            return;
        }
        let shown = self.shown(None);
        for stream in [
            "counter/0",
            "counter/1",
            "todo/0",
            "todo/1",
            "facts/0",
            "facts/1",
        ] {
            let stream = StreamId::new(stream).unwrap();
            assert_eq!(
                replica.confirmed_head(&stream),
                self.rows.head(&stream),
                "confirmed {stream}"
            );
            assert_eq!(
                replica.shown_head(&stream),
                shown.head(&stream),
                "shown {stream}"
            );
        }
        let cursor = replica.head().cursor;
        assert_eq!(
            cursor.position, self.position,
            "the cursor is not what was told"
        );
        let mut known = oracle.histories.values();
        assert!(
            self.position == Position::START
                || known.any(|chains| chains.get(&self.position) == Some(&self.chain)),
            "what is confirmed is in no history of the server"
        );
        let mut ids = BTreeSet::new();
        for queued in replica.queue() {
            let id = queued.local.commit.id;
            assert!(
                !self.confirmed.contains(&id),
                "{id} is confirmed and in the queue"
            );
            assert!(ids.insert(id), "{id} is twice in the queue");
        }
        let _ = now;
    }
}
