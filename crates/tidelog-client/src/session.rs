//! The log for Rust front ends: commands, states and receipts of one [`Model`], over a [`Log`].
//!
//! A [`Session`] is what the npm package is for JavaScript: it decides commands on what is shown, applies their events at
//! once, folds what is confirmed, and decides again when the log asks for it.

use crate::error::ClientError;
use crate::log::Log;
use crate::options::Options;
use crate::platform::{new_commit_id, now};
use futures_channel::oneshot;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::rc::{Rc, Weak};
use tidelog_core::decider::Decider;
use tidelog_core::frame::Body;
use tidelog_core::projection::{Projection, View};
use tidelog_core::replica::{Draft, Notice, ReceiptState, RerunAnswer};
use tidelog_core::text::{SharedText, TextError};
use tidelog_core::{
    Command, CommitId, Condition, Event, EventType, Expected, Meta, Payload, Policy, SchemaVersion,
    StreamId, Timestamp, Version,
};

/// A decider whose commands and events can be written down.
pub trait Model: Decider + 'static {
    /// The kind of its streams: the part of a stream's id before the slash.
    const KIND: &'static str;
    /// The version of the fold; raise it when [`Decider::evolve`] changes.
    const VERSION: u32 = 1;

    /// An event's type, schema version and payload as JSON text.
    fn write_event(&self, event: &Self::Event) -> (String, u32, String);
    /// The event of this type, schema version and payload; none if this build does not know it.
    fn read_event(&self, event_type: &str, schema: u32, data: &str) -> Option<Self::Event>;
    /// A command's name and arguments as JSON text.
    fn write_command(&self, command: &Self::Command) -> (String, String);
    /// The command of this name and arguments; none if this build does not know it.
    fn read_command(&self, name: &str, args: &str) -> Option<Self::Command>;
    /// A refusal as a stable code and in words, for a command that was decided again.
    fn describe(&self, refusal: &Self::Refusal) -> (String, String);
    /// What happens to a command on a conflict.
    fn policy(&self, _command: &Self::Command) -> Policy {
        Policy::Rerun
    }
}

/// Why a command changed nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExecuteError<R> {
    /// The decider refused it.
    Refused(R),
    /// The log could not append it.
    Client(ClientError),
    /// A name the model gave is not valid.
    Name(TextError),
}

impl<R: fmt::Debug> fmt::Display for ExecuteError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "the command was refused: {refusal:?}"),
            Self::Client(error) => error.fmt(f),
            Self::Name(error) => error.fmt(f),
        }
    }
}

impl<R: fmt::Debug> std::error::Error for ExecuteError<R> {}

/// How a commit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settled {
    /// It is part of the confirmed log, or had nothing to do.
    Confirmed,
    /// It waits for somebody's decision ([`Log::retry`], [`Log::rebase`], [`Log::discard`]).
    Parked,
    /// It could not be written.
    Failed,
    /// Nobody can know: the database or this page went away first.
    Unknown,
}

/// What a command gives: its commit, and two moments to wait for.
#[derive(Debug)]
pub struct Receipt {
    /// The commit; none if the command changed nothing.
    pub commit: Option<CommitId>,
    durable: oneshot::Receiver<bool>,
    settled: oneshot::Receiver<Settled>,
}

impl Receipt {
    /// Waits until the commit is on this disk. False if it could not be written.
    pub async fn durable(&mut self) -> bool {
        (&mut self.durable).await.unwrap_or(false)
    }

    /// Waits until it is known how the commit ended.
    pub async fn settled(&mut self) -> Settled {
        (&mut self.settled).await.unwrap_or(Settled::Unknown)
    }
}

#[derive(Default)]
struct Waiting {
    durable: Option<oneshot::Sender<bool>>,
    settled: Option<oneshot::Sender<Settled>>,
}

/// The states of a model's streams as a projection.
struct States<M: Model> {
    model: Rc<M>,
}

impl<M: Model> Projection for States<M> {
    type Row = M::State;

    fn version(&self) -> u32 {
        M::VERSION
    }

    fn initial(&self) -> M::State {
        self.model.initial()
    }

    fn key<'a>(&self, event: &'a Event) -> Option<Cow<'a, str>> {
        (event.stream.kind() == M::KIND).then(|| Cow::Borrowed(event.stream.key()))
    }

    fn evolve(&self, state: &mut M::State, event: &Event) {
        let schema = event.schema.value();
        let data = event.data.text().unwrap_or("null");
        if let Some(known) = self
            .model
            .read_event(event.event_type.as_str(), schema, data)
        {
            *state = self.model.evolve(state.clone(), &known);
        }
    }
}

type Subscriber = Rc<dyn Fn()>;

struct Inner<M: Model> {
    model: Rc<M>,
    log: Log,
    view: RefCell<View<States<M>>>,
    waiting: RefCell<BTreeMap<CommitId, Waiting>>,
    subscribers: RefCell<Vec<Weak<dyn Fn()>>>,
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

impl<M: Model> Session<M> {
    /// Opens the log and replays it. `options.wake` is called after each change, as subscribers are.
    ///
    /// # Errors
    /// [`ClientError::Store`] if the database cannot be opened or read.
    pub async fn open(model: M, options: Options) -> Result<Self, ClientError> {
        let model = Rc::new(model);
        let inner = Rc::new_cyclic(|me: &Weak<Inner<M>>| {
            let me = Weak::clone(me);
            let wake = Rc::clone(&options.wake);
            let options = Options {
                wake: Rc::new(move || {
                    if let Some(me) = me.upgrade() {
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
                waiting: RefCell::default(),
                subscribers: RefCell::default(),
            }
        });
        inner.log.open().await?;
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

    /// All states as shown, by key.
    #[must_use]
    pub fn states(&self) -> Vec<(String, M::State)> {
        let view = self.inner.view.borrow();
        view.rows()
            .map(|(key, state)| (key.to_owned(), state.clone()))
            .collect()
    }

    /// Calls back after each change, with nothing borrowed.
    pub fn subscribe(&self, subscriber: impl Fn() + 'static) -> Subscription {
        let subscriber: Subscriber = Rc::new(subscriber);
        self.inner
            .subscribers
            .borrow_mut()
            .push(Rc::downgrade(&subscriber));
        Subscription {
            _subscriber: subscriber,
        }
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
        let stream = inner.stream(key).map_err(ExecuteError::Name)?;
        let state = self.state(key);
        let decided = inner
            .model
            .decide(&state, command)
            .map_err(ExecuteError::Refused)?;
        let (durable_sender, durable) = oneshot::channel();
        let (settled_sender, settled) = oneshot::channel();
        if decided.is_empty() {
            // The receivers are right here.
            let _sent = durable_sender.send(true);
            let _sent = settled_sender.send(Settled::Confirmed);
            return Ok(Receipt {
                commit: None,
                durable,
                settled,
            });
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
        inner.log.append(draft).map_err(ExecuteError::Client)?;
        inner.waiting.borrow_mut().insert(
            id,
            Waiting {
                durable: Some(durable_sender),
                settled: Some(settled_sender),
            },
        );
        for event in &events {
            inner.view.borrow_mut().apply(event);
        }
        inner.tell();
        Ok(Receipt {
            commit: Some(id),
            durable,
            settled,
        })
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

    /// Handles everything the log has to say, then tells subscribers once.
    fn drain(&self) {
        let mut changed = false;
        while let Some(notice) = self.log.poll_notice() {
            changed = true;
            match notice {
                Notice::Confirmed { frame, .. } => {
                    if let Body::Recorded(commits) = &frame.body {
                        let mut view = self.view.borrow_mut();
                        for event in commits.iter().flat_map(|recorded| &recorded.commit.events) {
                            view.confirm(event);
                        }
                    }
                    self.refold(None);
                }
                Notice::Queue => self.refold(None),
                Notice::Reset { .. } => self.view.borrow_mut().reset(),
                Notice::Receipt { id, state } => self.settle(id, &state),
                Notice::Rerun {
                    id,
                    command,
                    occurred_at,
                    ..
                } => {
                    self.refold(Some(id));
                    let answer = self.rerun(&command, occurred_at);
                    self.log.answer_rerun(id, answer);
                    self.refold(None);
                }
                _ => {}
            }
        }
        if changed {
            self.tell();
        }
    }

    /// Folds the queue on the confirmed states anew, up to a commit if one is named.
    fn refold(&self, until: Option<CommitId>) {
        let events: Vec<Event> = self.log.with_queue(|queue| {
            queue
                .take_while(|queued| Some(queued.local.commit.id) != until)
                .flat_map(|queued| queued.local.commit.events.clone())
                .collect()
        });
        self.view.borrow_mut().overlay(&events);
    }

    fn rerun(&self, command: &Command, occurred_at: Timestamp) -> RerunAnswer {
        let known = self
            .model
            .read_command(command.name.as_str(), command.args.as_str());
        let Some(known) = known.filter(|_| command.stream.kind() == M::KIND) else {
            return RerunAnswer::UnknownCommand;
        };
        let state = self.view.borrow().row(command.stream.key()).cloned();
        let state = state.unwrap_or_else(|| self.model.initial());
        match self.model.decide(&state, &known) {
            Ok(events) => match self.write(&command.stream, &events, occurred_at) {
                Ok(events) => RerunAnswer::Events(events),
                Err(error) => RerunAnswer::Refused {
                    code: "invalid_name".into(),
                    message: error.to_string(),
                },
            },
            Err(refusal) => {
                let (code, message) = self.model.describe(&refusal);
                RerunAnswer::Refused { code, message }
            }
        }
    }

    fn settle(&self, id: CommitId, state: &ReceiptState) {
        let (durable, settled) = match state {
            ReceiptState::Durable => (Some(true), None),
            ReceiptState::Confirmed(_) => (Some(true), Some(Settled::Confirmed)),
            ReceiptState::Parked => (Some(true), Some(Settled::Parked)),
            ReceiptState::Failed(_) => (Some(false), Some(Settled::Failed)),
            ReceiptState::Unknown => (Some(false), Some(Settled::Unknown)),
            _ => (None, None),
        };
        let mut waiting = self.waiting.borrow_mut();
        let Some(receipt) = waiting.get_mut(&id) else {
            return;
        };
        // Who dropped the receipt does not want to know.
        if let Some((sender, durable)) = durable.and_then(|d| Some((receipt.durable.take()?, d))) {
            let _sent = sender.send(durable);
        }
        if let Some(settled) = settled {
            if let Some(sender) = receipt.settled.take() {
                let _sent = sender.send(settled);
            }
            waiting.remove(&id);
        }
    }

    fn tell(&self) {
        let subscribers: Vec<Subscriber> = {
            let mut subscribers = self.subscribers.borrow_mut();
            subscribers.retain(|subscriber| subscriber.strong_count() > 0);
            subscribers.iter().filter_map(Weak::upgrade).collect()
        };
        for subscriber in subscribers {
            subscriber();
        }
    }
}
