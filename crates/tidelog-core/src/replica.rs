//! The client's sync state machine. Sans-IO: inputs come in by `handle_*` and by commands, and what there is to do comes
//! out of `poll_*`. It owns no socket, no database, no clock and no randomness, so a simulator can run it.
//!
//! The loop of a host, after every input, until nothing comes out:
//!
//! 1. [`Replica::poll_notice`]: fold confirmed frames, decide reruns, tell subscribers;
//! 2. [`Replica::poll_store`]: run the request on the store, answer with [`Replica::handle_written`],
//!    [`Replica::handle_loaded`], [`Replica::handle_head`], [`Replica::handle_frames`] or [`Replica::handle_reopened`]; one is under way at a time;
//! 3. [`Replica::poll_send`]: send it, answer with [`Replica::handle_pushed`], [`Replica::handle_pulled`] or their
//!    `_failed` twins; one push and one pull may be under way;
//! 4. [`Replica::poll_timeout`]: come back then.
//!
//! What shows is `fold(confirmed) then fold(queue)`. Invariants:
//!
//! - A commit is sent only after the transaction that holds it completed, and on a view that the store has just confirmed.
//! - Only a contiguous pull confirms, and only a verdict about this very attempt, or a condition that the confirmed log
//!   breaks, takes a commit out of the queue; an acked commit stays until it is confirmed.
//! - Every commit is in one place: the queue, the parked list, the confirmed log, or gone by a receipt that says so.
//! - Every write names the generation it was made for; a stale one changes nothing and is made again on a fresh view.

mod appended;
mod confirmed;
mod erasing;
mod filtering;
mod frames;
mod heads;
mod load;
mod local;
mod notice;
mod parked;
mod places;
mod pull;
mod push;
mod queue;
mod repair;
mod request;
mod resolve;
mod retry;
mod rewind;
mod snapshot;
mod status;
mod sync;
mod write;
mod written;

pub use appended::Appended;
pub use confirmed::InconsistentLog;
pub use erasing::Erasing;
pub use local::ImportError;
pub use notice::{Decision, Notice, Question, ReceiptState, ResetReason};
pub use parked::{Collision, ParkReason, Parked};
pub use request::{Request, SyncError};
pub use snapshot::heads_name;
pub use status::{Counts, Phase, Status};
pub use write::StoreRequest;

#[cfg(feature = "canaries")]
use crate::canary::Canary;
use crate::commit::{Command, Commit, CommitError, Local, Policy};
use crate::condition::{Condition, Conflict};
use crate::directory::DirectoryRecord;
use crate::event::Event;
use crate::expected::Expected;
use crate::filter::Filter;
use crate::frame::Columns;
use crate::gap::Gap;
use crate::id::{CommitId, Epoch, ReplicaId};
use crate::map::{Map, Set};
use crate::number::{Attempt, Generation, Position, Seq, Timestamp, Version};
use crate::store::{Durability, Filters, Head, Outcome, StoreError};
use crate::stream::{StreamHead, StreamId};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use confirmed::Confirmed;
use queue::{Entry, Heads, Location, State, touched};
use resolve::Walk;

/// How a replica behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// Is there a server to sync with?
    pub sync: bool,
    /// How much a commit must survive before its receipt says durable.
    pub durability: Durability,
    /// Seeds the jitter of retries. Give each replica another one.
    pub seed: u64,
    /// Which part of the server's log to hold; none: whichever the database holds. Without a server there is nothing to leave
    /// out, and it counts for nothing.
    pub filter: Option<Filter>,
    /// Newly minted: the history of a log that has no server and no events yet.
    pub epoch: Epoch,
    /// A bug to plant.
    #[cfg(feature = "canaries")]
    pub canary: Option<Canary>,
}

/// What is to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// A new id of the caller's ([`CommitId::mint`]).
    pub id: CommitId,
    /// What must hold. An exact version without an event's id gets the id of the event that is shown there.
    pub conditions: Vec<Condition>,
    /// What happened, at least one event.
    pub events: Vec<Event>,
    /// The command that decided it.
    pub command: Option<Command>,
    /// What to do on a conflict.
    pub policy: Policy,
}

/// Why nothing was appended. Nothing is stored or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The log is not open yet.
    #[error("the log is still opening; wait until it is ready")]
    NotReady,
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
    /// The commit breaks a rule of its own shape.
    #[error("{0}")]
    Commit(#[from] CommitError),
    /// A stream is not at the version that was expected.
    #[error("stream {stream} was expected at {expected} and is at version {actual}")]
    VersionConflict {
        /// The stream.
        stream: StreamId,
        /// What was expected.
        expected: Expected,
        /// What is shown.
        actual: Version,
    },
    /// This replica does not ask for the stream, so it does not know what is in it.
    #[error(
        "stream {stream} is not on this device: the log is synced for {filter} only. Ask for the stream or its kind to work on it"
    )]
    OutsideFilter {
        /// The stream.
        stream: StreamId,
        /// What the replica asks for.
        filter: Filter,
    },
    /// The id was used before.
    #[error("commit id {id} is in use; mint a new one")]
    RepeatedId {
        /// The id.
        id: CommitId,
    },
    /// There is no parked commit of this id.
    #[error("no parked commit has the id {id}; it may have been resolved in another tab")]
    NotParked {
        /// The id.
        id: CommitId,
    },
}

/// A commit of the queue, for showing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queued<'a> {
    /// The commit and its command.
    pub local: &'a Local,
    /// Is it on disk?
    pub durable: bool,
    /// Its position, if the server has given one.
    pub acked: Option<Position>,
}

/// A commit that leaves the queue, until the store knows.
#[derive(Debug, Clone)]
struct Departing {
    id: CommitId,
    location: Option<Location>,
    /// The record to keep, unless it is gone for good.
    parked: Option<Parked>,
    /// Does it come from the parked list? Then it counts only as long as the record there is the one it was taken from.
    listed: bool,
}

/// One tab's copy of a log. See the [module](self).
#[derive(Debug)]
pub struct Replica {
    config: Config,
    id: ReplicaId,
    head: Head,
    /// Is the chain hash of the head's cursor the one at its position? Not while a load is half-way.
    chain_known: bool,
    /// How far the store's log went when it was last loaded.
    stored: Position,
    opened: bool,
    closed: bool,
    confirmed: Confirmed,
    /// The last frame that was read from the store, while more are to come.
    last_frame: Option<Arc<Columns>>,
    gaps: Vec<Gap>,
    filters: Filters,
    erasing: erasing::State,
    /// The store has heard which filter this tab asks for.
    announced: bool,
    /// A snapshot to go on from at the next load.
    found: Option<snapshot::Found>,
    queue: Vec<Entry>,
    /// The ids in the queue, and perhaps of commits that have just left it.
    ids: Set<CommitId>,
    heads: Heads,
    pending: Map<Seq, Vec<Outcome>>,
    /// The checksums of pending frames whose commits are known. Such a frame never changes while its database stays open.
    known_frames: Map<Seq, u32>,
    parked: Map<CommitId, Parked>,
    /// The parked commits as they were when they were loaded last.
    known_parked: Map<CommitId, Vec<u8>>,
    departing: Vec<Departing>,
    /// Parked commits whose command waits to be decided again.
    retries: VecDeque<CommitId>,
    /// What the host has to decide before anything else is judged, and the conditions that made it a question.
    asked: Option<Question>,
    asked_conflicts: Vec<Conflict>,
    questions: u32,
    /// The queue has to be judged from its beginning.
    unjudged: bool,
    /// How far it has been judged, where that rests.
    walk: Option<Walk>,
    /// `heads` are not those of the queue as it is: it is being judged, or will be.
    heads_stale: bool,
    /// The id this database gets because its profile was copied.
    new_id: Option<ReplicaId>,
    notices: VecDeque<Notice>,
    disk: write::Disk,
    sync: sync::Sync,
    last_generation_heard: Generation,
}

impl Replica {
    /// A replica that has not opened its store yet: it first asks to load it.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            id: ReplicaId::default(),
            head: Head::default(),
            chain_known: true,
            stored: Position::START,
            opened: false,
            closed: false,
            confirmed: Confirmed::default(),
            last_frame: None,
            gaps: Vec::new(),
            filters: Filters::default(),
            erasing: erasing::State::default(),
            announced: false,
            found: None,
            queue: Vec::new(),
            ids: Set::new(),
            heads: Heads::default(),
            pending: Map::new(),
            known_frames: Map::new(),
            parked: Map::new(),
            known_parked: Map::new(),
            departing: Vec::new(),
            retries: VecDeque::new(),
            asked: None,
            asked_conflicts: Vec::new(),
            questions: 0,
            unjudged: false,
            walk: None,
            heads_stale: false,
            new_id: None,
            notices: VecDeque::new(),
            disk: write::Disk::opening(),
            sync: sync::Sync::new(config.seed),
            config,
            last_generation_heard: Generation::default(),
        }
    }

    /// Appends in memory. It shows at once; it is durable when its receipt says so. Gives each event's version as shown. No
    /// notice says that the queue and the status have changed by it: the host knows.
    ///
    /// # Errors
    /// [`AppendError`]; then nothing has changed.
    pub fn append(&mut self, draft: Draft) -> Result<Vec<Version>, AppendError> {
        self.check_open()?;
        if self.heads_stale {
            self.rebuild_heads();
        }
        if self.knows(draft.id) {
            return Err(AppendError::RepeatedId { id: draft.id });
        }
        let written = draft.events.iter().map(|event| &event.stream);
        let read = draft.conditions.iter().map(|condition| &condition.stream);
        self.check_kept(written.chain(read))?;
        let mut conditions = draft.conditions;
        for condition in &mut conditions {
            let head = self.shown_head(&condition.stream);
            if !condition.expected.holds(head.as_ref()) {
                return Err(AppendError::VersionConflict {
                    stream: condition.stream.clone(),
                    expected: condition.expected,
                    actual: head.map_or(Version::NONE, |head| head.version),
                });
            }
            if matches!(condition.expected, Expected::Exact { .. }) {
                condition.expected = Expected::seen(head.as_ref());
                #[cfg(feature = "canaries")]
                if self.planted(Canary::ExpectedWithoutEvent)
                    && let Expected::Exact { event, .. } = &mut condition.expected
                {
                    *event = None;
                }
            }
        }
        let commit = Commit {
            id: draft.id,
            attempt: Attempt::FIRST,
            replica: self.id,
            seq: Seq::default(),
            conditions,
            events: draft.events,
        };
        commit.check()?;
        let versions = self.heads.put_counting(&commit, &self.confirmed);
        self.ids.insert(commit.id);
        self.queue.push(Entry {
            local: Local {
                commit,
                command: draft.command,
                policy: draft.policy,
            },
            state: State::Unwritten,
            location: None,
            refused: None,
            only_copy: false,
            revived: false,
        });
        Ok(versions)
    }

    /// Tells the host of the queue, as when something else than the host has appended to it: [`Replica::append`] does not, because
    /// a host shows what it appends itself.
    pub fn tell_queue(&mut self) {
        self.notices.push_back(Notice::Queue);
    }

    /// Takes in commits that another replica made and could not get confirmed, with their commands. Conditions that do not
    /// hold here are resolved by each commit's policy, as if they had been broken since.
    ///
    /// # Errors
    /// [`AppendError`]; then nothing has changed.
    pub fn adopt(&mut self, locals: Vec<Local>) -> Result<(), AppendError> {
        self.check_open()?;
        for Local { commit, .. } in &locals {
            if self.knows(commit.id) {
                return Err(AppendError::RepeatedId { id: commit.id });
            }
            self.check_kept(touched(commit))?;
            commit.check()?;
        }
        for mut local in locals {
            local.commit.replica = self.id;
            local.commit.seq = Seq::default();
            self.queue.push(Entry {
                local,
                state: State::Unwritten,
                location: None,
                refused: None,
                only_copy: false,
                revived: false,
            });
        }
        self.unjudged = true;
        self.queue_changed();
        Ok(())
    }

    #[cfg(feature = "canaries")]
    fn planted(&self, canary: Canary) -> bool {
        self.config.canary == Some(canary)
    }

    fn check_open(&self) -> Result<(), AppendError> {
        match (self.closed, self.opened) {
            (true, _) => Err(AppendError::Closed),
            (false, false) => Err(AppendError::NotReady),
            (false, true) => Ok(()),
        }
    }

    fn knows(&self, id: CommitId) -> bool {
        let leaving = self.departing.iter().any(|departing| departing.id == id);
        leaving || self.parked.contains_key(&id) || self.ids.contains(&id)
    }

    fn entry(&self, id: CommitId) -> Option<&Entry> {
        self.queue.iter().find(|entry| entry.id() == id)
    }

    /// The end of a stream as shown: confirmed, then the queue.
    #[must_use]
    pub fn shown_head(&self, stream: &StreamId) -> Option<StreamHead> {
        if self.heads_stale {
            return Heads::of_queue(&self.queue, stream, &self.confirmed);
        }
        self.heads.of(stream, &self.confirmed)
    }

    /// The end of a stream as confirmed.
    #[must_use]
    pub fn confirmed_head(&self, stream: &StreamId) -> Option<StreamHead> {
        self.confirmed.head(stream)
    }

    /// What the log on this device no longer keeps, by position. What its [filter](Replica::filter) leaves out stands in the
    /// frames ([`Columns::gaps`]).
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Positions of the recorded frames that hold a stream's events, ascending, and perhaps of a few that do not. Complete only
    /// when [`Replica::needs_directory`] says nothing.
    #[must_use]
    pub fn frames_of(&mut self, stream: &StreamId) -> Vec<Position> {
        self.confirmed.places.of(stream.as_str())
    }

    /// A snapshot spared reading the frames up to this position: which streams they hold is to be given by
    /// [`Replica::handle_directory`] before [`Replica::frames_of`] is complete.
    #[must_use]
    pub fn needs_directory(&self) -> Option<Position> {
        self.confirmed.places.unknown()
    }

    /// What the frames hold whose positions are up to [`Replica::needs_directory`], by first position, those that the store's
    /// directory does not know included ([`DirectoryRecord::of`](crate::directory::DirectoryRecord::of)).
    pub fn handle_directory(&mut self, records: Vec<(Position, DirectoryRecord)>) {
        self.confirmed.places.learn(records);
    }

    /// The commits that are not confirmed, in the order they take effect.
    pub fn queue(&self) -> impl DoubleEndedIterator<Item = Queued<'_>> {
        self.queue.iter().map(Entry::queued)
    }

    /// The commit at a place of the queue, from 0.
    #[must_use]
    pub fn queued(&self, place: usize) -> Option<Queued<'_>> {
        self.queue.get(place).map(Entry::queued)
    }

    /// The parked commits by id.
    #[must_use]
    pub const fn parked(&self) -> &Map<CommitId, Parked> {
        &self.parked
    }

    /// This replica's id; all zeros before it is open.
    #[must_use]
    pub const fn id(&self) -> ReplicaId {
        self.id
    }

    /// The local head as this tab knows it. Tell other tabs its generation after a write.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// Has the store been opened and replayed?
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.opened && !self.closed
    }

    /// The next thing to tell, fold or decide.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.judge();
        self.notices.pop_front()
    }

    /// How many notices wait. A host that cannot keep up stops polling for more.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.notices.len()
    }

    /// Is a request to the store under way?
    #[must_use]
    pub const fn is_storing(&self) -> bool {
        self.disk.busy.is_some()
    }

    /// Another tab wrote: its head has this generation.
    pub fn handle_hint(&mut self, generation: Generation) {
        self.last_generation_heard = self.last_generation_heard.max(generation);
        if generation > self.head.generation {
            self.disk.load = true;
        } else if generation < self.head.generation {
            // Late, or of a database that has taken the place of the one that this tab knows: a look tells.
            self.disk.look = true;
        }
    }

    /// Something may have changed while nobody looked (the page was frozen, the network came back): look again now.
    pub fn handle_kick(&mut self, _now: Timestamp) {
        self.disk.load = true;
        self.sync.kick();
    }

    /// Ends it. What is not on disk yet is written first if the host keeps polling the store until nothing comes.
    pub fn close(&mut self) {
        self.closed = true;
        self.status_changed();
    }

    /// The last resort of a host that cannot open the database again: what has no known outcome is told so.
    pub fn give_up_storage(&mut self, error: &StoreError) {
        self.disk.error = Some(error.clone());
        let lost: Vec<CommitId> = self
            .queue
            .iter()
            .filter(|entry| {
                entry.location.is_none()
                    && matches!(
                        entry.state,
                        State::Unresolved | State::Unwritten | State::Writing
                    )
            })
            .map(Entry::id)
            .collect();
        for id in lost {
            self.receipt(id, ReceiptState::Unknown);
        }
        self.status_changed();
    }

    /// Said once, however much has changed since the host looked last.
    fn status_changed(&mut self) {
        if !matches!(self.notices.back(), Some(Notice::Status)) {
            self.notices.push_back(Notice::Status);
        }
    }

    fn receipt(&mut self, id: CommitId, state: ReceiptState) {
        self.notices.push_back(Notice::Receipt { id, state });
    }

    fn rebuild_heads(&mut self) {
        self.heads_stale = false;
        self.ids = self.queue.iter().map(Entry::id).collect();
        self.heads = Heads::default();
        for entry in &self.queue {
            self.heads.put(&entry.local.commit, &self.confirmed);
        }
    }

    /// The queue, or what is confirmed below it, is another. The walk that judges it finds the heads on its way, so they are
    /// not made twice if it is due.
    fn renew_heads(&mut self) {
        if self.is_judged() {
            self.rebuild_heads();
        } else {
            self.ids = self.queue.iter().map(Entry::id).collect();
            self.heads_stale = true;
        }
    }

    fn queue_changed(&mut self) {
        self.forget_push_trouble();
        self.renew_heads();
        self.notices.push_back(Notice::Queue);
        self.status_changed();
    }
}
