//! A tab: a replica, its connection to the device's database, and an app that folds and decides.

use crate::app::{self, Rows};
use crate::canary::Canary;
use crate::disk::{Disk, Fault, Snapshot};
use crate::hold;
use crate::oracle::{Oracle, word};
use crate::reading;
use std::collections::{BTreeMap, BTreeSet};
use tidelog_core::frame::Step;
use tidelog_core::replica::{
    Appended, Collision, Config, Decision, Notice, Question, ReceiptState, Replica, StoreRequest,
};
use tidelog_core::store::{Durability, Head, Loaded, LostFrame, StoreError, StoreOp, Written};
use tidelog_core::{
    ChainHash, CommitId, Epoch, EventId, Filter, Position, ReplicaId, StreamId, Timestamp, Version,
};

/// More bytes are not told to other tabs.
const MOST_TOLD: usize = 4_000;

/// More notices than any input can cause.
const MOST_NOTICES: usize = 10_000;

#[derive(Debug)]
enum Answer {
    Written(Result<Written, StoreError>),
    Loaded(Result<Loaded, StoreError>),
    Head(Result<(ReplicaId, Head), StoreError>),
    Frames(Result<Vec<Vec<u8>>, StoreError>),
    Lost(Result<Vec<LostFrame>, StoreError>),
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
    /// Other tabs should hear of what was written.
    pub tell: bool,
    /// What the platform said of the network last.
    pub online: bool,
    /// What its writes appended.
    pub appended: Vec<Appended>,
    /// What the write under way appends.
    appending: Option<Appended>,
    /// It does nothing before this moment of the world.
    pub frozen_until: i64,
    canary: Option<Canary>,
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
    #[must_use]
    pub fn open(uid: u64, device: usize, disk: &Disk) -> Self {
        Self::open_as(uid, device, disk, true)
    }

    /// A tab of a log with or without a server. It starts from the snapshot on disk if there is one.
    #[must_use]
    pub fn open_as(uid: u64, device: usize, disk: &Disk, sync: bool) -> Self {
        Self::new(uid, device, sync, None, Filter::default()).started(disk)
    }

    /// A tab with an older build of the app, or with a planted bug.
    #[must_use]
    pub fn open_with(
        uid: u64,
        device: usize,
        disk: &Disk,
        canary: Option<Canary>,
        old: bool,
        filter: Filter,
    ) -> Self {
        let mut tab = Self::new(uid, device, true, canary, filter).started(disk);
        tab.rows.old = old;
        tab
    }

    fn new(uid: u64, device: usize, sync: bool, canary: Option<Canary>, filter: Filter) -> Self {
        Self {
            uid,
            device,
            replica: Replica::new(Config {
                sync,
                durability: Durability::Strict,
                seed: uid,
                filter: Some(filter),
                epoch: Epoch::from_bytes([0xee; 16]),
                #[cfg(feature = "canaries")]
                canary: canary.and_then(Canary::of_core),
            }),
            created: 0,
            receipts: BTreeMap::new(),
            tell: false,
            online: true,
            appended: Vec::new(),
            appending: None,
            frozen_until: i64::MIN,
            canary,
            life: 0,
            connected: true,
            slot: Slot::Idle,
            rows: Rows::default(),
            position: Position::START,
            chain: ChainHash::default(),
            confirmed: BTreeSet::new(),
            restored: None,
        }
    }

    fn started(mut self, disk: &Disk) -> Self {
        self.life = disk.life;
        if let Some(snapshot) = disk.snapshot() {
            let taken = self.replica.restore(snapshot.stored());
            hold!(
                9,
                taken != snapshot.unfollowed,
                "a snapshot that was saved is not taken, or one that may hold what was erased is"
            );
            if taken {
                self.install(&snapshot);
            }
        }
        self
    }

    fn install(&mut self, snapshot: &Snapshot) {
        let old = self.rows.old;
        self.rows = snapshot.rows.clone();
        self.rows.old = old;
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
        let mut checkpoint = self.replica.head().cursor;
        let Some(heads) = self.replica.heads() else {
            return false;
        };
        hold!(
            9,
            checkpoint.position == self.position,
            "the cursor is not what was folded"
        );
        if self.canary == Some(Canary::SnapshotOfMaximum) {
            checkpoint = disk.content.head.cursor;
        }
        let snapshot = Snapshot {
            filter: self.replica.filter().clone(),
            checkpoint,
            buckets: heads.buckets,
            heads: heads.changed.into_iter().collect(),
            rows: self.rows.clone(),
            confirmed: self.confirmed.clone(),
            unfollowed: false,
            erased: Default::default(),
        };
        let saved = disk.save(snapshot, heads.whole, heads.base);
        self.replica
            .heads_saved(saved.then_some(checkpoint.position));
        saved
    }

    /// Erases what the log says is to be erased, as a leader does. Was anything to be done, and was it done?
    pub fn erase(&mut self, disk: &mut Disk, fault: Fault) -> bool {
        let Some(mut erasing) = self.replica.erasing() else {
            return false;
        };
        if self.life != disk.life || !self.connected {
            return false;
        }
        for bytes in disk.frames() {
            // Damage is found by whoever reads it, and what was pulled again is erased then.
            if erasing.take(&bytes).is_err() {
                self.replica.handle_damage();
                return false;
            }
        }
        for (number, bytes) in &disk.content.lost {
            erasing.take_lost(*number, bytes).unwrap();
        }
        let batch = erasing.batch();
        let generation = batch.head.generation;
        match disk.write(&batch, fault) {
            Ok(Written::Done) => {
                self.replica.handle_hint(generation);
                self.tell = true;
                true
            }
            Ok(Written::Stale { actual }) => {
                self.replica.handle_hint(actual);
                false
            }
            Err(_) => false,
        }
    }

    /// Confirmed, then the queue up to a commit.
    #[must_use]
    pub fn shown(&self, until: Option<CommitId>) -> Rows {
        let mut rows = self.rows.clone();
        let queue = self.replica.queue().map(|queued| &queued.local.commit);
        for commit in queue.take_while(|commit| Some(commit.id) != until) {
            for (index, event) in commit.events.iter().enumerate() {
                if self.replica.filter().wants(&event.stream) {
                    rows.apply(event, commit.event_id(index));
                }
            }
        }
        rows
    }

    /// The queue in a line.
    #[must_use]
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
        for _ in 0..MOST_NOTICES {
            let Some(notice) = self.replica.poll_notice() else {
                return;
            };
            self.handle(notice, oracle);
        }
        crate::violation::broken(14, format_args!("notices never end"));
    }

    fn handle(&mut self, notice: Notice, oracle: &mut Oracle) {
        match notice {
            Notice::Confirmed { frame, skip, .. } => {
                let run = reading::recorded(frame.bytes());
                let steps = || run.steps();
                let before = steps().take_while(|step| step.last() <= self.position);
                let before = before.count();
                let events = steps().take(before).map(|step| match step {
                    Step::Commit(known) => known.commit.events.len(),
                    Step::Gap(_) => 0,
                });
                let events: usize = events.sum();
                hold!(
                    9,
                    skip == events,
                    "{skip} events are skipped and {events} were folded"
                );
                if skip > 0 {
                    oracle.saw("straddled");
                }
                hold!(
                    3,
                    self.chain == run.chain_after(before),
                    "the chain has a gap"
                );
                for step in steps().skip(before) {
                    self.fold(step, oracle);
                }
                self.chain = run.chain_after(steps().count());
                oracle.trace.mark(self.position.value());
            }
            Notice::Reset { after, .. } => {
                oracle.saw("reset");
                oracle.trace.mark(0x7e5e7);
                self.rows = Rows::of_build(self.rows.old);
                self.position = Position::START;
                self.chain = ChainHash::default();
                self.confirmed.clear();
                if after > Position::START
                    && let Some(snapshot) = self.restored.clone()
                {
                    hold!(
                        9,
                        snapshot.checkpoint.position == after,
                        "the folds begin elsewhere than the snapshot"
                    );
                    oracle.saw("gone on from a snapshot");
                    self.install(&snapshot);
                }
            }
            Notice::Damaged { .. } => oracle.saw("damaged"),
            Notice::Erased => {
                oracle.saw("erased");
                self.replica.read_again();
            }
            Notice::Rerun {
                question,
                command,
                attempt,
                before,
                ..
            } => {
                let id = question.id;
                oracle.trace.mark(word(id) ^ u64::from(attempt.value()));
                let shown = self.shown(Some(id));
                let head = shown.head(&command.stream);
                hold!(
                    9,
                    before == head,
                    "{id} is asked at {before:?} and folds end at {head:?}"
                );
                self.check_queued_before(id, &command.stream, &shown);
                let mut decision = shown.decide(&command);
                // Half of the hosts say what they read, the others leave the conditions as they are.
                if let Decision::Events(events) = &mut decision
                    && id.as_bytes()[14] % 2 == 0
                {
                    let events = core::mem::take(events);
                    let reads = app::reads(&command);
                    decision = Decision::Decided { events, reads };
                }
                self.decide(oracle, question, decision);
            }
            Notice::Merge {
                question,
                attempt,
                events,
                collisions,
                ..
            } => {
                oracle.saw("merged");
                let commit = question.id;
                oracle
                    .trace
                    .mark(word(commit) ^ u64::from(attempt.value()) << 1);
                let shown = self.shown(Some(commit));
                hold!(
                    0,
                    !collisions.is_empty(),
                    "{commit} has nothing to merge with"
                );
                for Collision { stream, from, to } in &collisions {
                    let own = events.iter().any(|event| &event.stream == stream);
                    hold!(
                        0,
                        own,
                        "{commit} is to be merged on {stream}, which it does not write"
                    );
                    let range = *from > Version::NONE && from <= to;
                    hold!(
                        0,
                        range,
                        "{commit} collided with {from} to {to} of {stream}"
                    );
                    self.check_queued_before(commit, stream, &shown);
                }
                let index = 0;
                let id = EventId {
                    commit,
                    attempt,
                    index,
                };
                self.decide(oracle, question, shown.merge(events, id));
            }
            Notice::Receipt { id, state } => {
                oracle.receipt(self.device, id, &state);
                self.receipts.insert(id, state);
            }
            _ => {}
        }
    }

    fn decide(&mut self, oracle: &mut Oracle, question: Question, decision: Decision) {
        oracle.saw(match &decision {
            Decision::Events(events) | Decision::Decided { events, .. } => {
                match events.is_empty() {
                    true => "nothing left to do",
                    false => "decided again",
                }
            }
            Decision::Refused { .. } => "refused",
            Decision::Ask => "not merged",
            Decision::UnknownCommand => "unknown command",
        });
        if let Decision::Events(events) | Decision::Decided { events, .. } = &decision
            && events.is_empty()
        {
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
        hold!(
            9,
            rows.agree(shown, stream),
            "{id} is decided on another state of {stream} than shows before it"
        );
    }

    fn fold(&mut self, step: Step<'_>, oracle: &mut Oracle) {
        hold!(
            3,
            step.first() == self.position.next(),
            "a gap after {}",
            self.position
        );
        self.position = step.last();
        let filter = self.replica.filter();
        let recorded = match step {
            Step::Commit(recorded) => recorded,
            Step::Gap(_) => {
                oracle.saw("left out");
                hold!(3, !filter.is_everything(), "a gap that nobody asked for");
                return;
            }
        };
        hold!(
            6,
            filter.matches(&recorded.commit),
            "{} was not asked for",
            recorded.commit.id
        );
        let id = recorded.commit.id;
        hold!(9, self.confirmed.insert(id), "{id} is confirmed twice");
        for (index, event) in recorded.commit.events.iter().enumerate() {
            // Of a stream that was not asked for this may be a part: it has no row.
            if filter.wants(&event.stream) {
                self.rows.fold(event, recorded.commit.event_id(index));
            }
        }
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

    #[must_use]
    pub const fn is_asking(&self) -> bool {
        !matches!(self.slot, Slot::Idle)
    }

    /// Was its database replaced? A browser closes its handle then.
    #[must_use]
    pub const fn is_orphaned(&self, disk: &Disk) -> bool {
        self.life != disk.life
    }

    /// Is there a request that the store has not run yet?
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        matches!(self.slot, Slot::Asked(_))
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
                self.deliver(now, answer);
                false
            }
        }
    }

    fn deliver(&mut self, now: Timestamp, answer: Answer) {
        match answer {
            Answer::Written(result) => {
                let appending = self.appending.take();
                if matches!(result, Ok(Written::Done)) {
                    self.tell = true;
                    self.appended.extend(appending);
                }
                self.replica.handle_written(now, result);
            }
            Answer::Loaded(Ok(loaded)) => self.replica.handle_loaded(now, loaded),
            Answer::Frames(Ok(frames)) => self.replica.handle_frames(frames),
            Answer::Lost(Ok(frames)) => self.replica.handle_lost(frames),
            Answer::Snapshot(Ok(found)) => {
                let given = found.as_ref().map(Snapshot::stored);
                if self.replica.handle_snapshot(given) {
                    self.restored = found;
                }
            }
            Answer::Head(Ok((replica, head))) => self.replica.handle_head(now, replica, head),
            Answer::Loaded(Err(error))
            | Answer::Head(Err(error))
            | Answer::Frames(Err(error))
            | Answer::Lost(Err(error))
            | Answer::Snapshot(Err(error)) => self.replica.handle_load_failed(now, error),
            Answer::Reopened => self.replica.handle_reopened(now, Ok(())),
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
                disk.touched.clear();
                self.appending = Appended::by(&batch, MOST_TOLD);
                let result = connection.and_then(|()| disk.write(&batch, fault));
                if matches!(result, Err(StoreError::ConnectionLost { .. })) {
                    self.connected = false;
                }
                Answer::Written(result)
            }
            StoreRequest::Load { after } => {
                Answer::Loaded(connection.map(|()| disk.load(after, max_bytes)))
            }
            StoreRequest::Head => {
                Answer::Head(connection.map(|()| (disk.content.replica, disk.content.head)))
            }
            StoreRequest::Log => Answer::Frames(connection.map(|()| disk.frames())),
            StoreRequest::Snapshot => Answer::Snapshot(connection.map(|()| disk.snapshot())),
            StoreRequest::Lost => Answer::Lost(connection.map(|()| disk.lost())),
            other => panic!("a request this host does not know: {other:?}"),
        }
    }

    /// What it asked the store for, as a number for the trace.
    #[must_use]
    pub fn asked(&self) -> u64 {
        match &self.slot {
            Slot::Idle => 0,
            Slot::Answered(_) => 1,
            Slot::Asked(StoreRequest::Write(batch)) => {
                let ops = batch.ops.iter().fold(0_u64, |sum, op| {
                    let (kind, bytes) = match op {
                        StoreOp::AddPending { frame, .. } => (1, frame.len()),
                        StoreOp::PutOutcomes { outcomes, .. } => (2, outcomes.len()),
                        StoreOp::AddLog { frame, .. } => (3, frame.len()),
                        StoreOp::PutParked { record, .. } => (4, record.len()),
                        StoreOp::RemoveParked { .. } => (5, 0),
                        _ => (6, 0),
                    };
                    sum.wrapping_mul(31).wrapping_add(kind << 32 | bytes as u64)
                });
                batch.expected.value() << 8 ^ ops ^ 2
            }
            Slot::Asked(StoreRequest::Load { after }) => after.value() << 8 | 3,
            Slot::Asked(_) => 4,
        }
    }

    /// Invariant 9, and that the confirmed log is a prefix of a history of the server.
    pub fn check(&self, _now: Timestamp, oracle: &Oracle) {
        let replica = &self.replica;
        if !replica.is_ready() {
            return;
        }
        let shown = self.shown(None);
        for stream in shown.streams() {
            hold!(
                9,
                replica.confirmed_head(stream) == self.rows.head(stream),
                "confirmed {stream} is at {:?} and its fold at {:?}",
                replica.confirmed_head(stream),
                self.rows.head(stream)
            );
            hold!(
                9,
                replica.shown_head(stream) == shown.head(stream),
                "shown {stream} is at {:?} and its fold at {:?}",
                replica.shown_head(stream),
                shown.head(stream)
            );
        }
        self.check_cursor(oracle);
        let mut ids = BTreeSet::new();
        for queued in replica.queue() {
            let id = queued.local.commit.id;
            hold!(
                7,
                !self.confirmed.contains(&id),
                "{id} is confirmed and in the queue"
            );
            hold!(7, ids.insert(id), "{id} is twice in the queue");
        }
    }

    /// The part of [`Tab::check`] that costs nothing.
    pub fn check_cursor(&self, oracle: &Oracle) {
        if !self.replica.is_ready() {
            return;
        }
        let cursor = self.replica.head().cursor;
        hold!(
            9,
            cursor.position == self.position,
            "the cursor is at {} and the folds at {}",
            cursor.position,
            self.position
        );
        let mut known = oracle.histories.values();
        hold!(
            10,
            self.position == Position::START
                || known.any(|chains| chains.get(&self.position) == Some(&self.chain)),
            "what is confirmed up to {} is in no history of the server",
            self.position
        );
    }

    /// The commits that it has folded as confirmed.
    #[must_use]
    pub const fn confirmed(&self) -> &BTreeSet<CommitId> {
        &self.confirmed
    }

    /// What its folds show.
    #[must_use]
    pub const fn rows(&self) -> &Rows {
        &self.rows
    }
}
