//! The log for Rust front ends: commands, states and receipts of one [`Model`], over a [`Log`].
//!
//! A [`Session`] is what the npm package is for JavaScript: it decides commands on what is shown, applies their events at
//! once, folds what is confirmed, and decides again when the log asks for it. Confirmed events are folded in slices of
//! 8 ms between which the page has its turn; what is shown never holds a part of a commit.

mod decide;
mod events;
mod model;
mod receipt;

pub use model::{Model, Sides};
pub use receipt::{ExecuteError, Receipt, Settled};

use crate::error::ClientError;
use crate::log::Log;
use crate::options::Options;
use crate::platform::{new_commit_id, next_task, now, spawn};
use crate::snapshots::FoldState;
use decide::{Decided, Merge, Rerun};
use events::Events;
use model::States;
use receipt::Waiting;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use tidelog_core::projection::View;
use tidelog_core::replica::{Draft, Notice, ReceiptState};
use tidelog_core::store::{Direction, FoldName};
use tidelog_core::text::{SharedText, TextError};
use tidelog_core::{
    Command, CommitId, Condition, Event, EventType, Expected, Meta, Payload, Position,
    SchemaVersion, StreamId, Timestamp, Version,
};

/// Milliseconds of folding between two chances for the page.
const SLICE_MILLIS: i64 = 8;
/// So many commits are folded between two looks at the clock.
const LOOK_EVERY: u32 = 64;
/// About how many bytes of the log are read at once when a fold is built from it.
const READ_BYTES: usize = 512 * 1024;
/// So many events of one stream are read at once.
const READ_EVENTS: usize = 1_000;
/// So often a snapshot is tried that somebody asked for, while events are confirmed meanwhile.
const SAVE_TRIES: u32 = 3;

/// What changed since a subscriber was called last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// Perhaps every state.
    All,
    /// The states of these keys.
    Keys(BTreeSet<String>),
}

impl Changed {
    fn none() -> Self {
        Self::Keys(BTreeSet::new())
    }

    fn is_none(&self) -> bool {
        matches!(self, Self::Keys(keys) if keys.is_empty())
    }

    fn add(&mut self, key: &str) {
        if let Self::Keys(keys) = self
            && !keys.contains(key)
        {
            keys.insert(key.to_owned());
        }
    }
}

/// How far a fold has come that is being built from the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The position that it has folded.
    pub done: Position,
    /// The position that it has to reach.
    pub total: Position,
}

type Subscriber = Rc<dyn Fn(&Changed)>;
type WeakSubscriber = Weak<dyn Fn(&Changed)>;

/// Where the folding of what the log told stands.
#[derive(Default)]
struct Work {
    /// The frame that is being folded.
    events: Option<Events>,
    /// The queue changed, or what it stands on.
    stale: bool,
    changed: Option<Changed>,
}

struct Inner<M: Model> {
    model: Rc<M>,
    log: Log,
    view: RefCell<View<States<M>>>,
    /// What the confirmed states have folded.
    position: Cell<Position>,
    work: RefCell<Work>,
    /// A continuation of the folding is on its way.
    continuing: Cell<bool>,
    opened: Cell<bool>,
    /// The replica goes on from a later checkpoint than the states: nothing is folded until they have caught up.
    behind: Cell<bool>,
    /// Counts how often the confirmed log has begun again.
    resets: Cell<u32>,
    progress: Cell<Option<Progress>>,
    saving: Cell<bool>,
    waiting: RefCell<BTreeMap<CommitId, Waiting>>,
    decided: RefCell<Decided<M>>,
    subscribers: RefCell<Vec<WeakSubscriber>>,
    me: Weak<Self>,
}

/// One log with one model, open in this tab.
pub struct Session<M: Model> {
    inner: Rc<Inner<M>>,
    model: PhantomData<M>,
}

impl<M: Model> Clone for Session<M> {
    fn clone(&self) -> Self {
        Self {
            inner: Rc::clone(&self.inner),
            model: PhantomData,
        }
    }
}

impl<M: Model> fmt::Debug for Session<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("log", &self.inner.log)
            .finish_non_exhaustive()
    }
}

/// Keeps a subscription; dropping it ends it.
#[must_use = "dropping a subscription ends it"]
pub struct Subscription {
    _subscriber: Subscriber,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subscription")
    }
}

/// The fold of a model as snapshots know it.
fn fold_name<M: Model>() -> FoldName {
    FoldName {
        name: format!("rust:{}", M::KIND),
        version: M::VERSION,
    }
}

impl<M: Model> Session<M> {
    /// Opens the log: from a snapshot if there is one of this version of the fold, from the beginning if not.
    /// `options.wake` is called after each change, as subscribers are; `options.folds` is the session's to fill, and
    /// `options.snapshots` counts only if the model can write its states.
    ///
    /// # Errors
    /// [`ClientError::Store`] if the database cannot be opened or read; [`ClientError::HistoryNotAvailable`] if the fold has to be
    /// built from events that only the server has, and it cannot be reached.
    pub async fn open(model: M, options: Options) -> Result<Self, ClientError> {
        let model = Rc::new(model);
        let snapshots = options.snapshots && model.write_state(&model.initial()).is_some();
        let inner = Rc::new_cyclic(|me: &Weak<Inner<M>>| {
            let woken = Weak::clone(me);
            let wake = Rc::clone(&options.wake);
            let options = Options {
                folds: vec![fold_name::<M>()],
                snapshots,
                wake: Rc::new(move || {
                    if let Some(me) = woken.upgrade() {
                        me.drain();
                    }
                    wake();
                }),
                ..options
            };
            Inner {
                view: RefCell::new(View::new(States {
                    model: Rc::clone(&model),
                })),
                model,
                log: Log::new(options),
                position: Cell::default(),
                work: RefCell::default(),
                continuing: Cell::new(false),
                opened: Cell::new(false),
                behind: Cell::new(false),
                resets: Cell::new(0),
                progress: Cell::new(None),
                saving: Cell::new(false),
                waiting: RefCell::default(),
                decided: RefCell::default(),
                subscribers: RefCell::default(),
                me: Weak::clone(me),
            }
        });
        inner.log.runtime.begin().await?;
        inner.restore();
        inner.catch_up().await?;
        inner.log.runtime.replay().await?;
        while !inner.advance(true) {
            next_task().await;
        }
        inner.opened.set(true);
        inner.drain();
        Ok(Self {
            inner,
            model: PhantomData,
        })
    }

    /// The log underneath: parked commits, status, history.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.inner.log
    }

    /// A stream's state as shown: confirmed, then what is not confirmed yet.
    #[must_use]
    pub fn state(&self, key: &str) -> M::State {
        let view = self.inner.view.borrow();
        view.row(key)
            .cloned()
            .unwrap_or_else(|| self.inner.model.initial())
    }

    /// Looks at a stream's state as shown, without cloning it; none if the stream does not exist.
    pub fn with_state<T>(&self, key: &str, look: impl FnOnce(Option<&M::State>) -> T) -> T {
        look(self.inner.view.borrow().row(key))
    }

    /// Looks at all states as shown, by key.
    pub fn with_states<T>(
        &self,
        look: impl FnOnce(&mut dyn Iterator<Item = (&str, &M::State)>) -> T,
    ) -> T {
        look(&mut self.inner.view.borrow().rows())
    }

    /// All states as shown, by key.
    #[must_use]
    pub fn states(&self) -> Vec<(String, M::State)> {
        let view = self.inner.view.borrow();
        view.rows()
            .map(|(key, state)| (key.to_owned(), state.clone()))
            .collect()
    }

    /// How far a fold has come that is being built from the log; none if none is.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        self.inner.progress.get()
    }

    /// Calls back after each change, with nothing borrowed.
    pub fn subscribe(&self, subscriber: impl Fn() + 'static) -> Subscription {
        self.subscribe_changes(move |_changed| subscriber())
    }

    /// Calls back after each change with the keys whose state may have changed, with nothing borrowed.
    pub fn subscribe_changes(&self, subscriber: impl Fn(&Changed) + 'static) -> Subscription {
        let subscriber: Subscriber = Rc::new(subscriber);
        self.inner
            .subscribers
            .borrow_mut()
            .push(Rc::downgrade(&subscriber));
        Subscription {
            _subscriber: subscriber,
        }
    }

    /// Folds the whole log anew, beside the states that are shown, and takes over when it has caught up. Nobody sees a half
    /// state; [`Session::progress`] says how far it has come.
    ///
    /// # Errors
    /// As [`Log::read`]; the states stay as they were.
    pub async fn rebuild(&self) -> Result<(), ClientError> {
        let inner = &self.inner;
        let built = inner.build(Position::START).await;
        inner.progress.set(None);
        let (view, position) = built?;
        *inner.view.borrow_mut() = view;
        inner.position.set(position);
        inner.refold();
        inner.tell(&Changed::All);
        Ok(())
    }

    /// Saves a snapshot now, however little is new. False if this tab cannot: the model does not write states, another tab leads,
    /// nothing is confirmed, or events are confirmed faster than it can save.
    ///
    /// # Errors
    /// [`ClientError::Store`] if it cannot be written.
    pub async fn snapshot(&self) -> Result<bool, ClientError> {
        for _ in 0..SAVE_TRIES {
            self.inner.log.at_rest().await;
            self.inner.finish();
            if let Some(position) = self.inner.log.snapshot_now()
                && self.inner.save(position).await?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Decides a command on what is shown and applies its events at once.
    ///
    /// # Errors
    /// [`ExecuteError`]; then nothing has changed.
    pub fn execute(
        &self,
        key: &str,
        command: &M::Command,
    ) -> Result<Receipt, ExecuteError<M::Refusal>> {
        let inner = &self.inner;
        inner.finish();
        let stream = inner.stream(key).map_err(ExecuteError::Name)?;
        let decided = {
            let view = inner.view.borrow();
            match view.row(key) {
                Some(state) => inner.model.decide(state, command),
                None => inner.model.decide(&inner.model.initial(), command),
            }
        };
        let decided = decided.map_err(ExecuteError::Refused)?;
        if decided.is_empty() {
            let (waiting, receipt) = Waiting::pair(None);
            waiting.nothing();
            return Ok(receipt);
        }
        let events = inner
            .write(&stream, &decided, now())
            .map_err(ExecuteError::Name)?;
        let (name, args) = inner.model.write_command(command);
        let id = new_commit_id();
        let expected = match inner.log.head(&stream).map(|head| head.version) {
            None | Some(Version::NONE) => Expected::NoStream,
            Some(exact) => Expected::Exact { exact, event: None },
        };
        let draft = Draft {
            id,
            conditions: vec![Condition {
                stream: stream.clone(),
                expected,
            }],
            events: events.clone(),
            command: Some(Command {
                stream,
                name: EventType::new(name).map_err(ExecuteError::Name)?,
                args: SharedText::from(args.as_str()),
            }),
            policy: inner.model.policy(command),
        };
        inner
            .log
            .append_shown(draft)
            .map_err(ExecuteError::Client)?;
        let (waiting, receipt) = Waiting::pair(Some(id));
        inner.waiting.borrow_mut().insert(id, waiting);
        for event in &events {
            inner.view.borrow_mut().apply(event);
        }
        inner.tell(&Changed::Keys(BTreeSet::from([key.to_owned()])));
        Ok(receipt)
    }
}

impl<M: Model> Inner<M> {
    fn stream(&self, key: &str) -> Result<StreamId, TextError> {
        StreamId::new(format!("{}/{key}", M::KIND))
    }

    fn write(
        &self,
        stream: &StreamId,
        events: &[M::Event],
        occurred_at: Timestamp,
    ) -> Result<Vec<Event>, TextError> {
        events
            .iter()
            .map(|event| {
                let (event_type, schema, data) = self.model.write_event(event);
                Ok(Event {
                    stream: stream.clone(),
                    event_type: EventType::new(event_type)?,
                    schema: SchemaVersion::new(schema),
                    data: Payload::json(&data),
                    occurred_at,
                    tags: Vec::new(),
                    meta: Meta::default(),
                })
            })
            .collect()
    }

    /// Takes the stored states in. What is not as it should be counts as not there.
    fn restore(&self) {
        let mut view = self.view.borrow_mut();
        let mut whole = true;
        while let Some(part) = self.log.poll_snapshot() {
            for bucket in &part.buckets {
                whole &= view.restore(bucket, |bytes| self.model.read_state(bytes));
            }
            if part.last && whole {
                view.saved(part.count);
                self.position.set(part.position);
            }
        }
        if !whole {
            view.reset();
        }
    }

    /// Folds from the log what the replica will not tell, because it begins at a later checkpoint than the states.
    async fn catch_up(&self) -> Result<(), ClientError> {
        let here = self.position.get();
        if here < self.log.position() {
            let built = self.build(here).await;
            self.progress.set(None);
            let (view, position) = built?;
            *self.view.borrow_mut() = view;
            self.position.set(position);
        }
        Ok(())
    }

    /// Folds the log beside the states that are shown, until it has what they have.
    async fn build(&self, from: Position) -> Result<(View<States<M>>, Position), ClientError> {
        let fresh = || {
            View::new(States {
                model: Rc::clone(&self.model),
            })
        };
        let mut view = match from {
            Position::START => fresh(),
            _ => std::mem::replace(&mut *self.view.borrow_mut(), fresh()),
        };
        let mut here = from;
        let mut resets = self.resets.get();
        let mut until = Slice::begin();
        loop {
            if self.resets.get() != resets {
                resets = self.resets.get();
                view = fresh();
                here = Position::START;
            }
            let total = match self.opened.get() && !self.behind.get() {
                true => self.position.get(),
                false => self.log.position(),
            };
            if here >= total {
                return Ok((view, here));
            }
            self.progress.set(Some(Progress { done: here, total }));
            let page = self
                .log
                .read(here.next(), total, Direction::Forward, READ_BYTES);
            let filter = self.log.filter();
            for columns in page.await?.frames {
                let end = columns.last_position().min(total);
                let mut events = Events::new(Arc::new(columns));
                loop {
                    let position = events.position();
                    if position > total {
                        break;
                    }
                    let Some(event) = events.next() else { break };
                    if position > here {
                        // Of a stream that is not asked for this is a part: it has no state.
                        if filter.wants(&event.stream) {
                            view.confirm(&event);
                        }
                        here = position;
                    }
                    if events.is_between_commits() && until.is_over() {
                        next_task().await;
                        until = Slice::begin();
                    }
                }
                // What is left out behind the last event is done with, too.
                here = here.max(end);
            }
        }
    }

    /// Handles what the log has to say for one slice, then tells subscribers once.
    fn drain(&self) {
        if self.behind.get() {
            return self.catch_up_later();
        }
        let done = self.advance(true);
        self.tell_changes();
        if done {
            self.save_if_due();
        } else if !self.continuing.replace(true) {
            let me = Weak::clone(&self.me);
            spawn(async move {
                next_task().await;
                if let Some(me) = me.upgrade() {
                    me.continuing.set(false);
                    me.drain();
                }
            });
        }
    }

    /// Builds the states beside until the replica's notices follow them. If that fails, the next wake tries again.
    fn catch_up_later(&self) {
        let Some(me) = self.me.upgrade() else { return };
        if !self.continuing.replace(true) {
            spawn(async move {
                let caught_up = me.catch_up().await.is_ok();
                me.continuing.set(false);
                if caught_up {
                    me.behind.set(false);
                    me.drain();
                }
            });
        }
    }

    /// Handles everything the log has to say.
    fn finish(&self) {
        self.advance(false);
        self.tell_changes();
    }

    /// Folds and decides until the log has nothing more to say (true) or, if it is to be sliced, time is up.
    fn advance(&self, sliced: bool) -> bool {
        let mut until = Slice::begin();
        loop {
            if self.behind.get() {
                self.catch_up_later();
                return true;
            }
            if !self.fold(sliced.then_some(&mut until)) {
                return false;
            }
            let Some(notice) = self.log.poll_notice() else {
                let stale = std::mem::take(&mut self.work.borrow_mut().stale);
                if stale {
                    self.refold();
                }
                return true;
            };
            self.handle(notice);
            if sliced && until.is_over() {
                return false;
            }
        }
    }

    fn handle(&self, notice: Notice) {
        match notice {
            Notice::Confirmed { frame, .. } => {
                let mut work = self.work.borrow_mut();
                work.events = Some(Events::new(frame));
                work.stale = true;
            }
            Notice::Queue => self.work.borrow_mut().stale = true,
            Notice::Reset { after, .. } => {
                self.view.borrow_mut().reset();
                self.position.set(Position::START);
                self.resets.set(self.resets.get() + 1);
                self.restore();
                self.behind.set(self.position.get() < after);
                let mut work = self.work.borrow_mut();
                work.events = None;
                work.stale = true;
                work.changed = Some(Changed::All);
            }
            Notice::Receipt { id, state } => return self.settle(id, &state),
            Notice::Rerun {
                question,
                attempt,
                command,
                occurred_at,
                before,
            } => {
                return self.rerun(Rerun {
                    question,
                    attempt,
                    command,
                    occurred_at,
                    before,
                });
            }
            Notice::Merge {
                question,
                events,
                collisions,
                occurred_at,
                ..
            } => self.merge(Merge {
                question,
                events,
                collisions,
                occurred_at,
            }),
            Notice::Erased => self.log.read_again(),
            Notice::Status => return,
            _ => {}
        }
        self.decided.borrow_mut().forget();
    }

    /// Folds the frame that is at hand; false if time is up before its end.
    fn fold(&self, mut until: Option<&mut Slice>) -> bool {
        let Some(mut events) = self.work.borrow_mut().events.take() else {
            return true;
        };
        let mut view = self.view.borrow_mut();
        let mut changed = self.opened.get().then(Changed::none);
        let filter = self.log.filter();
        loop {
            let position = events.position();
            let Some(event) = events.next() else {
                // What is left out behind the last event is done with, too.
                self.position.set(self.position.get().max(events.end()));
                break;
            };
            // A frame may begin with what was folded before.
            if position > self.position.get() {
                // Of a stream that is not asked for this is a part: it has no state.
                let wanted = filter.wants(&event.stream);
                let key = wanted.then(|| view.confirm(&event)).flatten();
                if let Some((changed, key)) = changed.as_mut().zip(key) {
                    changed.add(&key);
                }
                self.position.set(position);
            }
            if events.is_between_commits() && until.as_mut().is_some_and(|until| until.is_over()) {
                self.work.borrow_mut().events = Some(events);
                break;
            }
        }
        let mut work = self.work.borrow_mut();
        let done = work.events.is_none();
        if let (Some(Changed::Keys(keys)), all) = (changed, &mut work.changed) {
            match all {
                Some(Changed::All) => {}
                Some(Changed::Keys(all)) => all.extend(keys),
                None => *all = Some(Changed::Keys(keys)),
            }
        }
        done
    }

    /// Folds the queue on the confirmed states anew.
    fn refold(&self) {
        let filter = self.log.filter();
        let events: Vec<Event> = self.log.with_queue(|queue| {
            queue
                .flat_map(|queued| queued.local.commit.events.clone())
                .filter(|event| filter.wants(&event.stream))
                .collect()
        });
        let changed = self.view.borrow_mut().overlay(&events);
        let mut work = self.work.borrow_mut();
        match &mut work.changed {
            Some(Changed::All) => {}
            Some(Changed::Keys(keys)) => keys.extend(changed),
            None => work.changed = Some(Changed::Keys(changed)),
        }
    }

    fn settle(&self, id: CommitId, state: &ReceiptState) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.get_mut(&id).is_some_and(|one| one.tell(state)) {
            waiting.remove(&id);
        }
    }

    fn save_if_due(&self) {
        let due = self.log.snapshot_due();
        if let (Some(position), Some(me)) = (due, self.me.upgrade())
            && self.opened.get()
            && !self.saving.get()
        {
            spawn(async move {
                // What could not be saved is saved with the next events.
                let _saved = me.save(position).await;
            });
        }
    }

    async fn save(&self, position: Position) -> Result<bool, ClientError> {
        if position != self.position.get() || self.saving.get() {
            return Ok(false);
        }
        let buckets = {
            let mut view = self.view.borrow_mut();
            let buckets = view.unsaved(|state| self.model.write_state(state));
            // From here on, what is confirmed counts for the next one.
            if let Some(buckets) = &buckets {
                view.saved(buckets.count);
            }
            buckets
        };
        let Some(buckets) = buckets else {
            return Ok(false);
        };
        self.saving.set(true);
        let fold = FoldState {
            fold: fold_name::<M>(),
            buckets: buckets.count,
            whole: buckets.whole,
            changed: buckets.changed,
        };
        let saved = self.log.save_snapshot(position, vec![fold]).await;
        self.saving.set(false);
        if saved != Ok(true) {
            self.view.borrow_mut().forget_saved();
        }
        saved
    }

    fn tell_changes(&self) {
        let changed = self.work.borrow_mut().changed.take();
        let changed = match changed {
            // Before it is open, nobody has seen anything.
            _ if !self.opened.get() => return,
            Some(changed) => changed,
            None => return,
        };
        if !changed.is_none() {
            self.tell(&changed);
        }
    }

    fn tell(&self, changed: &Changed) {
        let subscribers: Vec<Subscriber> = {
            let mut subscribers = self.subscribers.borrow_mut();
            subscribers.retain(|subscriber| subscriber.strong_count() > 0);
            subscribers.iter().filter_map(Weak::upgrade).collect()
        };
        for subscriber in subscribers {
            subscriber(changed);
        }
    }
}

/// A stretch of work after which the page has its turn.
struct Slice {
    until: i64,
    looks: u32,
}

impl Slice {
    fn begin() -> Self {
        Self {
            until: now().millis() + SLICE_MILLIS,
            looks: 0,
        }
    }

    fn is_over(&mut self) -> bool {
        self.looks = (self.looks + 1) % LOOK_EVERY;
        self.looks == 0 && now().millis() >= self.until
    }
}
