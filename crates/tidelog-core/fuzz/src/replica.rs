//! A host that lies. It drives a replica against a small store and a small server and, as the input chooses, answers what is so,
//! something near it, or anything, also when nothing was asked. Nothing of it may make a replica panic, spin or grow.

use super::admission::Server;
use super::choices::Choices;
use std::collections::{BTreeMap, BTreeSet};
use tidelog_core::authority::{Admission, Rejection, RejectionCode};
use tidelog_core::condition::Conflict;
use tidelog_core::directory::DirectoryRecord;
use tidelog_core::number::Generation;
use tidelog_core::protocol::{CommitResult, LogHead, PositionRange, PushResponse, Verdict};
use tidelog_core::replica::{
    Appended, Config, Decision, Draft, Notice, Question, ReceiptState, Replica, Request,
    StoreRequest, SyncError,
};
use tidelog_core::store::*;
use tidelog_core::*;

/// No input makes more notices than this.
const MOST_NOTICES: usize = 2_000;

/// What an input reached, so that a corpus can be asked what it is worth.
pub type Reached = BTreeSet<&'static str>;

/// Runs one input; what it reached.
pub fn run(bytes: &[u8]) -> Reached {
    let mut choices = Choices(bytes);
    let sync = choices.below(4) > 0;
    let how = choices.byte();
    let mut host = Host::new(sync, filter(how >> 2));
    host.replica.handle_leadership(how % 4 > 0);
    while !choices.is_empty() {
        host.act(&mut choices);
        host.check();
    }
    host.reached
}

/// What an app may ask for.
fn filter(which: u8) -> Option<Filter> {
    let kinds: &[&str] = if which % 4 == 2 { &["todo"] } else { &[] };
    let streams: &[&str] = if which % 4 == 2 { &[] } else { &["todo/1"] };
    (which % 4 > 1).then(|| Filter::new(kinds, streams).expect("a filter"))
}

struct Host {
    replica: Replica,
    now: i64,
    store: Disk,
    server: Server,
    epoch: Epoch,
    asked: Option<StoreRequest>,
    push: Option<Vec<Commit>>,
    pull: Option<(Cursor, Filter)>,
    question: Option<Question>,
    appended: Option<Appended>,
    snapshot: Option<StoredSnapshot>,
    /// What was answered before, to come again.
    old: Vec<PushResponse>,
    next_id: u64,
    reached: Reached,
}

#[derive(Default)]
struct Disk {
    replica: ReplicaId,
    head: Head,
    pending: BTreeMap<Seq, (Vec<u8>, Vec<Outcome>)>,
    log: BTreeMap<Position, Vec<u8>>,
    parked: BTreeMap<CommitId, Vec<u8>>,
    gaps: Vec<Gap>,
    filters: Filters,
    erased: Erased,
}

impl Disk {
    fn write(&mut self, batch: &WriteBatch) -> Result<Written, StoreError> {
        if batch.replica != self.replica {
            return Err(StoreError::Wiped);
        }
        let actual = self.head.generation;
        if batch.expected != actual {
            return Ok(Written::Stale { actual });
        }
        for op in &batch.ops {
            self.apply(op);
        }
        self.head = batch.head;
        Ok(Written::Done)
    }

    fn apply(&mut self, op: &StoreOp) {
        match op {
            StoreOp::AddPending {
                first,
                frame,
                outcomes,
            } => {
                _ = self
                    .pending
                    .insert(*first, (frame.clone(), outcomes.clone()))
            }
            StoreOp::PutOutcomes { first, outcomes } => {
                if outcomes.iter().all(|outcome| *outcome == Outcome::Settled) {
                    self.pending.remove(first);
                } else if let Some((_, known)) = self.pending.get_mut(first) {
                    known.clone_from(outcomes);
                }
            }
            StoreOp::AddLog { first, frame } => _ = self.log.insert(*first, frame.clone()),
            StoreOp::ClearLog => {
                self.log.clear();
                self.gaps.clear();
            }
            StoreOp::TruncateLog { after, gaps } => {
                self.log.retain(|first, _| first <= after);
                self.gaps.clone_from(gaps);
            }
            StoreOp::Quarantine { first } => _ = self.log.remove(first),
            StoreOp::Erase { .. } => {}
            StoreOp::PutParked { id, record } => _ = self.parked.insert(*id, record.clone()),
            StoreOp::RemoveParked { id } => _ = self.parked.remove(id),
            StoreOp::SetReplica { replica } => self.replica = *replica,
            StoreOp::SetFilters { filters } => self.filters.clone_from(filters),
            StoreOp::AddLost { .. } => {}
        }
    }

    fn load(&self, after: Position, most: usize) -> Loaded {
        let log: Vec<&Vec<u8>> = self
            .log
            .values()
            .filter(|frame| frame::header(frame).map_or(true, |h| h.last_position() > after))
            .collect();
        Loaded {
            replica: self.replica,
            head: self.head,
            pending: self
                .pending
                .iter()
                .map(|(first, (frame, outcomes))| PendingFrame {
                    first: *first,
                    frame: frame.clone(),
                    outcomes: outcomes.clone(),
                })
                .collect(),
            parked: self
                .parked
                .iter()
                .map(|(id, record)| ParkedRecord {
                    id: *id,
                    record: record.clone(),
                })
                .collect(),
            more: log.len() > most,
            log: log.into_iter().take(most).cloned().collect(),
            gaps: self.gaps.clone(),
            filters: self.filters.clone(),
            erased: self.erased,
        }
    }
}

/// A frame without the commits that a filter does not want.
fn with_gaps(epoch: Epoch, before: ChainHash, run: &[Recorded], filter: &Filter) -> Vec<u8> {
    let (mut asked, mut gaps, mut chain) = (Vec::new(), Vec::new(), before);
    for recorded in run {
        chain = chain.after(recorded);
        if recorded
            .commit
            .events
            .iter()
            .any(|event| filter.wants(&event.stream))
        {
            asked.push(recorded.clone());
            continue;
        }
        let gap = Gap {
            from: recorded.position,
            to: recorded.last_position(),
            reason: GapReason::Filter,
        };
        GapRecord { gap, chain }.push(&mut gaps);
    }
    match gaps.is_empty() {
        true => frame::encode_recorded(epoch, before, &asked),
        false => frame::encode_with_gaps(epoch, before, &asked, &gaps),
    }
}

fn detail() -> String {
    String::from("fuzz")
}

fn store_error(choices: &mut Choices<'_>) -> StoreError {
    match choices.below(6) {
        0 => StoreError::QuotaExceeded { detail: detail() },
        1 => StoreError::Aborted { detail: detail() },
        2 => StoreError::Wiped,
        3 => StoreError::Closed,
        4 => StoreError::Corrupt {
            place: detail(),
            detail: detail(),
        },
        _ => StoreError::ConnectionLost { detail: detail() },
    }
}

fn sync_error(choices: &mut Choices<'_>) -> SyncError {
    match choices.below(10) {
        0 => SyncError::Network { detail: detail() },
        1 => SyncError::Unauthorized { detail: detail() },
        2 => SyncError::TooLarge {
            max: Some(choices.number()),
        },
        3 => SyncError::TooManyCommits {
            max: Some(choices.number()),
        },
        4 => SyncError::RateLimited {
            retry_after_millis: Some(choices.number()),
        },
        5 => SyncError::Unavailable {
            status: 503,
            detail: detail(),
            retry_after_millis: Some(choices.number()),
        },
        6 => SyncError::ClientTooOld,
        7 => SyncError::TooLarge { max: None },
        8 => SyncError::BadAnswer { detail: detail() },
        _ => SyncError::HistoryChanged,
    }
}

impl Host {
    fn new(sync: bool, filter: Option<Filter>) -> Self {
        let replica = ReplicaId::from_bytes([1; 16]);
        Self {
            replica: Replica::new(Config {
                sync,
                durability: Durability::Strict,
                seed: 1,
                filter,
                epoch: Epoch::from_bytes([9; 16]),
            }),
            now: 0,
            store: Disk {
                replica,
                ..Disk::default()
            },
            server: Server::default(),
            epoch: Epoch::from_bytes([2; 16]),
            asked: None,
            push: None,
            pull: None,
            question: None,
            appended: None,
            snapshot: None,
            old: Vec::new(),
            next_id: 0,
            reached: Reached::new(),
        }
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    fn act(&mut self, choices: &mut Choices<'_>) {
        match choices.below(24) {
            0..4 => self.append(choices),
            4..8 => self.work(),
            8 => self.ask(),
            9 | 10 => self.answer_store(choices),
            11 => self.send(),
            12 | 13 => self.answer_push(choices),
            14 | 15 => self.answer_pull(choices),
            16 => self.decide(choices),
            17 | 18 => self.resolve(choices),
            19 => self.pass_time(choices),
            20 => self.stranger(choices),
            21 => self.lie(choices),
            _ => self.turn(choices),
        }
    }

    /// For a moment everything goes as it should.
    fn work(&mut self) {
        // Where an input ends, every answer is what is so.
        let truth = &mut Choices(&[]);
        for _ in 0..4 {
            self.ask();
            self.answer_store(truth);
            self.check();
            self.send();
            if self.push.is_some() {
                self.answer_push(truth);
            }
            self.answer_pull(truth);
            self.check();
        }
    }

    /// What must hold after every input.
    fn check(&mut self) {
        let mut notices = 0;
        while let Some(notice) = self.replica.poll_notice() {
            notices += 1;
            assert!(notices < MOST_NOTICES, "notices never end");
            match notice {
                Notice::Rerun { question, .. } | Notice::Merge { question, .. } => {
                    self.reached.insert("asked");
                    self.question = Some(question);
                }
                Notice::Reset { .. } => _ = self.reached.insert("reset"),
                Notice::Damaged { .. } => _ = self.reached.insert("damaged"),
                Notice::Receipt { state, .. } => {
                    _ = self.reached.insert(match state {
                        ReceiptState::Durable => "durable",
                        ReceiptState::Acked(_) => "acked",
                        ReceiptState::Confirmed(_) => "confirmed",
                        ReceiptState::Parked => "parked",
                        ReceiptState::Failed(_) => "failed",
                        _ => "unknown",
                    });
                }
                _ => {}
            }
        }
        let mut ids = BTreeSet::new();
        for queued in self.replica.queue() {
            let id = queued.local.commit.id;
            assert!(ids.insert(id), "{id} is in the queue twice");
        }
        let counts = self.replica.counts();
        let counted = counts.unwritten + counts.pending + counts.acked;
        assert_eq!(counted, ids.len(), "the status counts another queue");
        let _said = (self.replica.status(), self.replica.poll_timeout());
    }

    fn append(&mut self, choices: &mut Choices<'_>) {
        self.next_id += 1;
        let mut id = [0; 16];
        id[8..].copy_from_slice(&self.next_id.to_be_bytes());
        if choices.below(16) == 0 {
            id = choices.id();
        }
        let events = choices.events();
        let mut conditions: Vec<Condition> = Vec::new();
        for _ in 0..choices.below(3) {
            let stream = choices.stream();
            let expected = choices.expected(self.replica.shown_head(&stream));
            conditions.push(Condition { stream, expected });
        }
        let command = choices.coin().then(|| Command {
            stream: events[0].stream.clone(),
            name: events[0].event_type.clone(),
            args: "0".into(),
        });
        let draft = Draft {
            id: CommitId::from_bytes(id),
            conditions,
            events,
            command,
            policy: choices.policy(),
        };
        let _refused = self.replica.append(draft);
    }

    fn ask(&mut self) {
        let time = self.time();
        match self.replica.poll_store(time) {
            None => {}
            Some(request) => {
                assert!(self.asked.is_none(), "two store requests at once");
                self.reached.insert(match &request {
                    StoreRequest::Write(_) => "write",
                    StoreRequest::Load { .. } => "load",
                    StoreRequest::Head => "head",
                    StoreRequest::Log => "log",
                    StoreRequest::Lost => "lost",
                    StoreRequest::Snapshot => "snapshot",
                    _ => "reopen",
                });
                self.asked = Some(request);
            }
        }
    }

    fn answer_store(&mut self, choices: &mut Choices<'_>) {
        let Some(request) = self.asked.take() else {
            return;
        };
        let (time, how) = (self.time(), choices.below(8));
        if how == 7 && !matches!(request, StoreRequest::Write(_) | StoreRequest::Reopen) {
            let error = store_error(choices);
            return self.replica.handle_load_failed(time, error);
        }
        match request {
            StoreRequest::Write(batch) => {
                let result = match how {
                    6 => {
                        let _written = self.store.write(&batch);
                        Err(StoreError::ConnectionLost { detail: detail() })
                    }
                    7 => Err(store_error(choices)),
                    _ => self.store.write(&batch),
                };
                if matches!(result, Ok(Written::Done)) {
                    self.appended = Appended::by(&batch, 10_000);
                }
                self.replica.handle_written(time, result);
            }
            StoreRequest::Load { after } => {
                let mut loaded = self.store.load(after, 1 + choices.below(4));
                if how == 6 {
                    self.bend(choices, &mut loaded);
                }
                self.replica.handle_loaded(time, loaded);
            }
            StoreRequest::Head => {
                let mut head = self.store.head;
                if how == 6 {
                    head.generation = Generation::new(choices.near(head.generation.value()));
                }
                self.replica.handle_head(time, self.store.replica, head);
            }
            StoreRequest::Log => {
                let mut frames: Vec<Vec<u8>> = self.store.log.values().cloned().collect();
                if how == 6
                    && let Some(frame) = frames.first_mut()
                {
                    choices.damage(frame);
                }
                self.replica.handle_frames(frames);
            }
            StoreRequest::Lost => {
                let number = choices.number();
                let frame = choices.bytes();
                self.replica.handle_lost(vec![LostFrame { number, frame }]);
            }
            StoreRequest::Snapshot => {
                let snapshot = self.snapshot.clone();
                self.replica.handle_snapshot(snapshot);
            }
            _ => {
                let result = match how {
                    6 | 7 => Err(store_error(choices)),
                    _ => Ok(()),
                };
                self.replica.handle_reopened(time, result);
            }
        }
    }

    /// Makes something of what was loaded another.
    fn bend(&mut self, choices: &mut Choices<'_>, loaded: &mut Loaded) {
        let head = &mut loaded.head;
        match choices.below(10) {
            0 => head.generation = Generation::new(choices.near(head.generation.value())),
            1 => head.next_seq = Seq::new(choices.near(head.next_seq.value())),
            2 => {
                let position = choices.near(head.cursor.position.value());
                head.cursor.position = Position::new(position);
            }
            3 => head.cursor.epoch = Epoch::from_bytes(choices.id()),
            4 => loaded.replica = ReplicaId::from_bytes(choices.id()),
            5 => {
                if let Some(pending) = loaded.pending.first_mut() {
                    choices.damage(&mut pending.frame);
                }
            }
            6 => {
                if let Some(pending) = loaded.pending.last_mut() {
                    let position = Position::new(choices.number());
                    pending.outcomes = vec![Outcome::Acked(position); choices.below(4)];
                    pending.first = Seq::new(choices.near(pending.first.value()));
                }
            }
            7 => {
                if let Some(record) = loaded.parked.first_mut() {
                    choices.damage(&mut record.record);
                }
            }
            8 => {
                if let Some(frame) = loaded.log.last_mut() {
                    choices.damage(frame);
                }
            }
            _ => {
                loaded.gaps = vec![Gap {
                    from: Position::new(1),
                    to: Position::new(choices.number()),
                    reason: GapReason::Retention,
                }];
            }
        }
    }

    fn send(&mut self) {
        let time = self.time();
        let mut sent = 0;
        while let Some(request) = self.replica.poll_send(time) {
            sent += 1;
            assert!(sent <= 2, "more than a push and a pull are under way");
            match request {
                Request::Push { commits, .. } => {
                    self.reached.insert("push");
                    self.push = Some(commits);
                }
                Request::Pull { cursor, filter, .. } => {
                    self.reached.insert("pull");
                    self.pull = Some((cursor, filter));
                }
                _ => {}
            }
        }
    }

    fn answer_push(&mut self, choices: &mut Choices<'_>) {
        let (time, how) = (self.time(), choices.below(8));
        if how == 7 {
            let error = sync_error(choices);
            return self.replica.handle_push_failed(time, error);
        }
        let answer = match self.push.take() {
            Some(commits) => {
                let judged = commits.iter().map(|commit| CommitResult {
                    id: commit.id,
                    attempt: commit.attempt,
                    verdict: self.server.push(commit).into(),
                });
                let results = judged.collect();
                self.response(results)
            }
            // Nobody asked, or it comes again.
            None if !self.old.is_empty() => self.old[choices.below(self.old.len())].clone(),
            None => self.response(Vec::new()),
        };
        let mut answer = answer;
        if how == 6 {
            self.bend_answer(choices, &mut answer);
        } else if self.old.len() < 8 {
            self.old.push(answer.clone());
        }
        self.replica.handle_pushed(time, answer);
    }

    fn response(&self, results: Vec<CommitResult>) -> PushResponse {
        PushResponse {
            epoch: self.epoch,
            head: LogHead {
                position: self.server.head,
                chain: self.chain(self.server.log.len()),
            },
            results,
        }
    }

    fn bend_answer(&self, choices: &mut Choices<'_>, answer: &mut PushResponse) {
        match choices.below(4) {
            0 => answer.epoch = Epoch::from_bytes(choices.id()),
            1 => answer.head.position = Position::new(choices.number()),
            2 => _ = answer.results.pop(),
            _ => {}
        }
        let at = choices.below(answer.results.len().max(1));
        let Some(result) = answer.results.get_mut(at) else {
            return;
        };
        match choices.below(6) {
            0 => result.attempt = Attempt::new(u32::from(choices.byte())),
            1 => result.id = CommitId::from_bytes(choices.id()),
            2 => {
                let (first, last) = (choices.number(), choices.number());
                result.verdict = Verdict::Accepted {
                    accepted_attempt: result.attempt,
                    positions: PositionRange {
                        first: Position::new(first),
                        last: Position::new(last),
                    },
                    versions: Vec::new(),
                };
            }
            3 => {
                let stream = choices.stream();
                let conflict = Conflict {
                    check_index: u32::from(choices.byte()),
                    expected: choices.expected(self.replica.confirmed_head(&stream)),
                    actual: Version::new(choices.number()),
                    stream,
                };
                result.verdict = Verdict::Conflict {
                    conflicts: vec![conflict],
                };
            }
            _ => {
                let codes = [
                    RejectionCode::SeqReused,
                    RejectionCode::Forbidden,
                    RejectionCode::AttemptMismatch,
                ];
                result.verdict = Verdict::Rejected(Rejection {
                    code: codes[choices.below(3)],
                    message: detail(),
                });
            }
        }
    }

    fn chain(&self, commits: usize) -> ChainHash {
        let log = self.server.log.iter().take(commits);
        log.fold(ChainHash::default(), |chain, recorded| {
            chain.after(recorded)
        })
    }

    fn answer_pull(&mut self, choices: &mut Choices<'_>) {
        let (time, how) = (self.time(), choices.below(8));
        if how == 7 {
            self.pull = None;
            let error = sync_error(choices);
            return self.replica.handle_pull_failed(time, error);
        }
        let Some((mut cursor, mut filter)) = self.pull.take() else {
            return;
        };
        let log = &self.server.log;
        let known = log.partition_point(|recorded| recorded.position <= cursor.position);
        let other = cursor.position > Position::START
            && (cursor.epoch != self.epoch || cursor.chain != self.chain(known));
        if other && how < 6 {
            return self
                .replica
                .handle_pull_failed(time, SyncError::HistoryChanged);
        }
        let mut frames = Vec::new();
        let mut chain = self.chain(known);
        for run in log[known..].chunks(1 + choices.below(5)).take(3) {
            // A server may leave out what was not asked for, or send it all.
            let whole = filter.is_everything() || choices.coin();
            let frame = match choices.coin() {
                _ if !whole => with_gaps(self.epoch, chain, run, &filter),
                true => frame::encode_segment(self.epoch, chain, run),
                false => frame::encode_recorded(self.epoch, chain, run),
            };
            chain = run
                .iter()
                .fold(chain, |chain, recorded| chain.after(recorded));
            frames.push(frame);
        }
        let mut head = self.server.head;
        if how == 6 {
            match choices.below(5) {
                0 => head = Position::new(choices.number()),
                1 => cursor.position = Position::new(choices.near(cursor.position.value())),
                2 if choices.coin() => filter = Filter::default(),
                2 => frames.reverse(),
                _ => {
                    let at = choices.below(frames.len().max(1));
                    if let Some(frame) = frames.get_mut(at) {
                        choices.damage(frame);
                        if choices.coin() {
                            super::checks::repair_frame(frame);
                        }
                    }
                }
            }
        }
        if self
            .replica
            .handle_pulled(time, cursor, &filter, frames, head)
            .is_err()
        {
            self.reached.insert("a page refused");
        }
    }

    fn decide(&mut self, choices: &mut Choices<'_>) {
        let Some(question) = self.question.take() else {
            return;
        };
        let decision = match choices.below(8) {
            0 => Decision::Refused {
                code: detail(),
                message: detail(),
            },
            1 => Decision::Ask,
            2 => Decision::UnknownCommand,
            3 => Decision::Events(Vec::new()),
            4 => Decision::Decided {
                events: choices.events(),
                reads: vec![choices.stream()],
            },
            _ => Decision::Events(choices.events()),
        };
        if choices.below(8) == 0 {
            // It may be asked again and answered twice.
            self.question = Some(question);
        }
        self.replica.decide(question, decision);
    }

    fn resolve(&mut self, choices: &mut Choices<'_>) {
        let parked: Vec<CommitId> = self.replica.parked().keys().copied().collect();
        let id = match parked.len() {
            0 => CommitId::from_bytes(choices.id()),
            some => parked[choices.below(some)],
        };
        let result = match choices.below(4) {
            0 => self.replica.retry(id),
            1 => self.replica.rebase(id),
            2 => self.replica.replace(id, choices.events()),
            _ => self.replica.discard(id),
        };
        if result.is_ok() {
            self.reached.insert("resolved");
        }
    }

    fn pass_time(&mut self, choices: &mut Choices<'_>) {
        self.now = match choices.below(8) {
            0 => i64::MAX,
            1 => i64::MIN,
            2 => self.now.wrapping_sub(1_000_000),
            _ => self.now.saturating_add(60_000),
        };
        let edge = self.now == i64::MAX || self.now == i64::MIN;
        if edge && choices.coin() {
            self.now = 0;
        }
    }

    /// Somebody else appends, or the server is restored.
    fn stranger(&mut self, choices: &mut Choices<'_>) {
        if choices.below(8) == 0 {
            let kept = choices.below(self.server.log.len() + 1);
            let log = core::mem::take(&mut self.server).log;
            self.epoch = Epoch::from_bytes([choices.byte(); 16]);
            for recorded in log.iter().take(kept) {
                let _taken = self.server.push(&recorded.commit);
            }
            return;
        }
        self.next_id += 1;
        let mut id = [0xfe; 16];
        id[8..].copy_from_slice(&self.next_id.to_be_bytes());
        let commit = Commit {
            id: CommitId::from_bytes(id),
            attempt: Attempt::FIRST,
            // No device of an input has this id.
            replica: ReplicaId::from_bytes([0xfe; 16]),
            seq: Seq::new(self.next_id),
            conditions: Vec::new(),
            events: choices.events(),
        };
        let is_taken = matches!(self.server.push(&commit), Admission::Accept(_));
        assert_eq!(is_taken, commit.check().is_ok());
    }

    /// An input that nothing asked for.
    fn lie(&mut self, choices: &mut Choices<'_>) {
        let time = self.time();
        match choices.below(9) {
            0 => {
                let near = choices.near(self.store.head.generation.value());
                self.replica.handle_hint(Generation::new(near));
            }
            1 => {
                if let Some(mut told) = self.appended.clone() {
                    match choices.below(6) {
                        0 => choices.damage(&mut told.frames),
                        1 => told.next_seq = Seq::new(choices.near(told.next_seq.value())),
                        2 => told.replica = ReplicaId::from_bytes(choices.id()),
                        _ => {}
                    }
                    let here = self.replica.head().generation.value();
                    told.generation = Generation::new(choices.near(here.wrapping_add(1)));
                    self.replica.handle_appended(&told);
                }
            }
            2 => {
                let frames = choices.bytes();
                let told = Appended {
                    replica: self.store.replica,
                    generation: self.replica.head().generation.next(),
                    next_seq: self.replica.head().next_seq.next(),
                    frames,
                };
                self.replica.handle_appended(&told);
            }
            3 => {
                let mut loaded = self.store.load(Position::START, 4);
                self.bend(choices, &mut loaded);
                self.replica.handle_loaded(time, loaded);
                // If it was asked for, it has its answer.
                self.asked = self.asked.take().filter(|_| self.replica.is_storing());
            }
            4 => {
                let result = match choices.coin() {
                    true => Ok(Written::Done),
                    false => Err(store_error(choices)),
                };
                self.replica.handle_written(time, result);
                self.asked = self.asked.take().filter(|_| self.replica.is_storing());
            }
            5 => {
                let frames = vec![choices.bytes(), choices.bytes()];
                let cursor = self.replica.head().cursor;
                let head = Position::new(choices.number());
                let filter = self.store.filters.wanted.clone();
                let _refused = self
                    .replica
                    .handle_pulled(time, cursor, &filter, frames, head);
            }
            6 => {
                let frames = vec![choices.bytes()];
                let _refused = self.replica.import(frames);
                self.replica.handle_frames(vec![choices.bytes()]);
                self.asked = self.asked.take().filter(|_| self.replica.is_storing());
            }
            7 => {
                let found = StoredSnapshot {
                    checkpoint: Cursor {
                        position: Position::new(choices.number()),
                        ..self.store.head.cursor
                    },
                    filter: self.store.filters.kept.clone(),
                    buckets: u32::from(choices.byte()),
                    filled: vec![(u32::from(choices.byte()), choices.bytes())],
                    unfollowed: choices.coin(),
                    erased: Generation::new(choices.number()),
                };
                self.replica.handle_snapshot(Some(found));
                self.asked = self.asked.take().filter(|_| self.replica.is_storing());
            }
            _ => {
                let head = self.replica.head().cursor.position;
                let record = DirectoryRecord {
                    last: head,
                    bytes: 0,
                    events: 0,
                    recorded_until: time,
                    streams: vec![u32::from(choices.byte())],
                };
                self.replica.handle_directory(vec![(head, record)]);
                let _frames = self.replica.frames_of(&choices.stream());
            }
        }
    }

    /// The platform says something, or the log on disk is looked after.
    fn turn(&mut self, choices: &mut Choices<'_>) {
        let time = self.time();
        match choices.below(12) {
            0..4 => self.replica.handle_leadership(choices.below(4) > 0),
            4 => self.replica.handle_online(time, choices.coin()),
            5 => self.replica.handle_kick(time),
            6 => self.replica.handle_damage(),
            7 => {
                let head = self.replica.head().cursor;
                if let Some(heads) = self.replica.heads() {
                    self.snapshot = Some(StoredSnapshot {
                        checkpoint: head,
                        filter: self.store.filters.kept.clone(),
                        buckets: heads.buckets,
                        filled: heads.changed,
                        unfollowed: false,
                        erased: self.store.erased.generation,
                    });
                    let saved = choices.coin().then_some(head.position);
                    self.replica.heads_saved(saved);
                }
            }
            8 => self.compact(),
            9 => {
                if let Some((_, frame)) = self.store.log.pop_first()
                    && let Ok(header) = frame::header(&frame)
                {
                    self.store.gaps = vec![Gap {
                        from: Position::new(1),
                        to: header.last_position(),
                        reason: GapReason::Retention,
                    }];
                    let head = &mut self.store.head;
                    head.generation = head.generation.next();
                }
            }
            10 => {
                self.store.replica = ReplicaId::from_bytes(choices.id());
                if choices.coin() {
                    self.store = Disk {
                        replica: self.store.replica,
                        ..Disk::default()
                    };
                }
            }
            _ if choices.below(16) == 0 => self.replica.close(),
            _ => self
                .replica
                .give_up_storage(&StoreError::ConnectionLost { detail: detail() }),
        }
    }

    fn compact(&mut self) {
        let frames: Vec<&[u8]> = self.store.log.values().map(Vec::as_slice).collect();
        let first = self.store.log.keys().next().copied();
        if let (Some(first), Ok(merged)) = (first, frame::merge(&frames)) {
            self.store.log = BTreeMap::from([(first, merged.frame)]);
            self.reached.insert("compacted");
        }
    }
}
