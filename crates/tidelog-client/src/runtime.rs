//! The loop: polls the replica, runs what it asks for, and brings the answers back.

use crate::Log;
use crate::error::ClientError;
use crate::import::Known;
use crate::leading::Leading;
use crate::lifecycle::Listener;
use crate::maintenance::Upkeep;
use crate::options::{Options, Retain};
use crate::platform::{next_microtask, now, random, spawn};
use crate::read::Bookmark;
use crate::reads::Boxed;
use crate::snapshots::Stored;
use crate::tabs::{Channel, Hint, PeerStatus};
use crate::transport::{Endpoint, Refused};
use futures_channel::oneshot;
use gloo_timers::callback::Timeout;
use gloo_timers::future::TimeoutFuture;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};
use tidelog_core::number::Generation;
use tidelog_core::replica::{Appended, Config, Phase, Replica, Request, StoreRequest};
use tidelog_core::store::{Direction, LostFrame, Store, StoreError, Written};
use tidelog_core::{Epoch, Position, ReplicaId, frame};
use tidelog_indexeddb::{IndexedDbStore, OpenOptions};
use web_sys::AbortController;

/// So much of the log is read at once, two segments: the next page is read while the host folds this one, so round trips are
/// not waited for, and memory of Wasm that was once used is never given back.
const LOAD_BYTES: usize = 256 * 1024;
/// With more notices than this not taken yet, no more of the log is read while it is replayed.
const AHEAD: usize = 1;
/// With more notices than this not taken yet, nothing is asked of the server.
const BACKLOG: usize = 8;
/// Other tabs are told what was appended, if it is no more than this: then they need not read it.
const TOLD_BYTES: usize = 64 * 1024;
const REOPEN_TRIES: u32 = 6;
/// An import that pauses for so long has ended.
const FORGET_MILLIS: u32 = 30_000;

pub(crate) struct Runtime {
    pub(crate) options: Options,
    pub(crate) replica: RefCell<Replica>,
    pub(crate) peer: RefCell<Option<PeerStatus>>,
    pub(crate) stored: RefCell<Stored>,
    pub(crate) upkeep: Upkeep,
    pub(crate) bookmark: RefCell<Option<Bookmark>>,
    pub(crate) known: RefCell<Option<Known>>,
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) requests: RefCell<Vec<AbortController>>,
    pub(crate) idle: RefCell<Vec<oneshot::Sender<()>>>,
    pub(crate) leading: Leading,
    pub(crate) listeners: RefCell<Vec<Listener>>,
    store: RefCell<Option<Rc<IndexedDbStore>>>,
    room: RefCell<Option<oneshot::Sender<()>>>,
    scheduled: Cell<bool>,
    /// The log has been replayed. Until then only the replay asks the store, whatever other tabs say meanwhile.
    started: Cell<bool>,
    reclaiming: Cell<bool>,
    timer: RefCell<Option<(i64, Timeout)>>,
    /// Ends an import's knowledge of the log when no more of it comes.
    forgetting: RefCell<Option<Timeout>>,
    channel: RefCell<Option<Channel>>,
    pub(crate) said: RefCell<Option<PeerStatus>>,
    pub(crate) me: Weak<Self>,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Runtime {
    pub(crate) fn new(options: Options) -> Rc<Self> {
        let config = Config {
            // A log that only looks leads nobody; it must not take itself for a log of this device either.
            sync: options.url.is_some() || options.detached,
            durability: options.durability,
            // One that only looks takes the log as it is.
            filter: (!options.detached).then(|| options.filter.clone()),
            seed: u64::from_le_bytes(random()),
            epoch: Epoch::mint(now(), random()),
        };
        let endpoint = options.url.as_ref().map(|url| Endpoint {
            url: url.trim_end_matches('/').to_owned(),
            token: options.token.clone(),
            refused: Refused::default(),
            segments: Rc::default(),
            only_json: Rc::default(),
        });
        Rc::new_cyclic(|me| Self {
            options,
            replica: RefCell::new(Replica::new(config)),
            peer: RefCell::default(),
            stored: RefCell::default(),
            upkeep: Upkeep::default(),
            bookmark: RefCell::default(),
            known: RefCell::default(),
            endpoint,
            requests: RefCell::default(),
            idle: RefCell::default(),
            leading: Leading::default(),
            listeners: RefCell::default(),
            store: RefCell::default(),
            room: RefCell::default(),
            scheduled: Cell::new(false),
            started: Cell::new(false),
            reclaiming: Cell::new(false),
            timer: RefCell::default(),
            forgetting: RefCell::default(),
            channel: RefCell::default(),
            said: RefCell::default(),
            me: Weak::clone(me),
        })
    }

    pub(crate) fn store(&self) -> Result<Rc<IndexedDbStore>, ClientError> {
        self.store.borrow().clone().ok_or_else(Log::closed)
    }

    /// Opens the database and reads the snapshots.
    pub(crate) async fn begin(&self) -> Result<(), ClientError> {
        if self.options.retain != Retain::All && self.endpoint.is_none() {
            return Err(ClientError::RetentionWithoutServer);
        }
        let store = self.open_store().await?;
        *self.store.borrow_mut() = Some(Rc::new(store));
        self.open_channel();
        if self.options.snapshots {
            self.install_snapshots().await?;
        }
        Ok(())
    }

    /// Replays what no snapshot stands for, and begins to work.
    pub(crate) async fn replay(&self) -> Result<(), ClientError> {
        (self.options.wake)();
        loop {
            let request = self.replica.borrow_mut().poll_store(now());
            let Some(request) = request else {
                return Err(Log::closed());
            };
            let _answered = self.store_boxed(request).await;
            (self.options.wake)();
            {
                let replica = self.replica.borrow();
                if let Some(error) = replica.status().store_error {
                    return Err(error.into());
                }
                if replica.is_ready() {
                    break;
                }
            }
            if self.is_closed() {
                return Err(Log::closed());
            }
            self.wait_for_room().await;
        }
        self.started.set(true);
        self.upkeep.look();
        self.listen();
        if !self.options.detached {
            self.get_in_line();
            self.watch_leader();
        }
        self.schedule();
        (self.options.wake)();
        Ok(())
    }

    fn is_closed(&self) -> bool {
        self.replica.borrow().status().phase == Phase::Closed
    }

    /// Until the host has folded most of what was read.
    async fn wait_for_room(&self) {
        while self.replica.borrow().backlog() > AHEAD && !self.is_closed() {
            let (sender, room) = oneshot::channel();
            *self.room.borrow_mut() = Some(sender);
            // Cancelled only if the runtime is gone.
            let _room = room.await;
        }
    }

    /// A notice was taken.
    pub(crate) fn make_room(&self, backlog: usize) {
        if backlog <= AHEAD
            && let Some(room) = self.room.borrow_mut().take()
        {
            // Whoever waited may have gone.
            let _sent = room.send(());
        }
    }

    async fn open_store(&self) -> Result<IndexedDbStore, StoreError> {
        IndexedDbStore::open(OpenOptions {
            log: self.options.log.clone(),
            user: Some(self.options.user.clone()),
            replica: ReplicaId::mint(now(), random()),
        })
        .await
    }

    /// What tabs of one log and user have in common.
    pub(crate) fn name(&self) -> String {
        format!("tidelog/{}/{}", self.options.log, self.options.user)
    }

    /// Runs the loop soon, once, however often it is asked: what is appended until then shares a transaction.
    pub(crate) fn schedule(&self) {
        if !self.scheduled.replace(true) {
            let me = Weak::clone(&self.me);
            spawn(async move {
                if let Some(me) = me.upgrade() {
                    me.scheduled.set(false);
                    me.run();
                }
            });
        }
    }

    pub(crate) fn wake_later(&self) {
        let me = Weak::clone(&self.me);
        spawn(async move {
            if let Some(me) = me.upgrade() {
                (me.options.wake)();
                me.schedule();
            }
        });
    }

    fn run(self: Rc<Self>) {
        if !self.started.get() {
            return;
        }
        let store = self.replica.borrow_mut().poll_store(now());
        match store {
            Some(request) => {
                let me = Rc::clone(&self);
                spawn(async move {
                    match me.store_boxed(request).await {
                        Ok(Some(hint)) => me.after_write(hint),
                        _ => me.after(),
                    }
                });
            }
            None => {
                if !self.replica.borrow().is_storing() {
                    for idle in self.idle.borrow_mut().drain(..) {
                        // Whoever waited may have gone.
                        let _sent = idle.send(());
                    }
                    self.erase();
                    self.maintain();
                }
            }
        }
        if self.replica.borrow().backlog() <= BACKLOG {
            loop {
                let request = self.replica.borrow_mut().poll_send(now());
                let Some(request) = request else { break };
                let me = Rc::clone(&self);
                spawn(async move {
                    me.send(request).await;
                    me.after();
                });
            }
        } else {
            // Let the page fold what it has first.
            let me = Rc::clone(&self);
            spawn(async move {
                TimeoutFuture::new(8).await;
                me.schedule();
            });
        }
        self.set_timer();
        self.tell_status();
    }

    pub(crate) fn after(&self) {
        (self.options.wake)();
        self.schedule();
    }

    /// A write is done. Whoever waits for it goes on first; then the other tabs hear of it, and the loop runs.
    fn after_write(&self, hint: Hint) {
        (self.options.wake)();
        let me = Weak::clone(&self.me);
        spawn(async move {
            next_microtask().await;
            if let Some(me) = me.upgrade() {
                me.say(&hint);
                me.schedule();
            }
        });
    }

    fn set_timer(&self) {
        let Some(at) = self.replica.borrow().poll_timeout() else {
            return;
        };
        let at = at.millis();
        // One that comes too early is set anew then, which costs less than to set it anew with each append.
        let set = self
            .timer
            .borrow()
            .as_ref()
            .is_some_and(|(set, _)| *set <= at);
        if set {
            return;
        }
        let delay = u32::try_from((at - now().millis()).max(0)).unwrap_or(u32::MAX);
        let me = Weak::clone(&self.me);
        let timer = Timeout::new(delay.saturating_add(1), move || {
            if let Some(me) = me.upgrade() {
                *me.timer.borrow_mut() = None;
                me.schedule();
            }
        });
        *self.timer.borrow_mut() = Some((at, timer));
    }

    /// Runs a request. Gives what other tabs are to be told of a write.
    fn store_boxed(&self, request: StoreRequest) -> Boxed<'_, Option<Hint>> {
        Box::pin(async move { Ok(self.run_store(request).await) })
    }

    async fn run_store(&self, request: StoreRequest) -> Option<Hint> {
        let store = match self.store() {
            Ok(store) => store,
            Err(_closed) => {
                self.replica
                    .borrow_mut()
                    .handle_load_failed(now(), StoreError::Closed);
                return None;
            }
        };
        match request {
            StoreRequest::Write(batch) => {
                self.count_new(&batch);
                let appended = Appended::by(&batch, TOLD_BYTES);
                let result = store.write(batch).await;
                let done = result == Ok(Written::Done);
                let full = matches!(result, Err(StoreError::QuotaExceeded { .. }));
                self.replica.borrow_mut().handle_written(now(), result);
                if full {
                    self.reclaim_soon();
                }
                let generation = self.replica.borrow().head().generation;
                return done.then(|| Hint {
                    appended,
                    ..Hint::of(generation)
                });
            }
            StoreRequest::Load { after } => match store.load(after, LOAD_BYTES).await {
                Ok(loaded) => self.replica.borrow_mut().handle_loaded(now(), loaded),
                Err(error) => self.replica.borrow_mut().handle_load_failed(now(), error),
            },
            StoreRequest::Head => match store.head().await {
                Ok((id, head)) => self.replica.borrow_mut().handle_head(now(), id, head),
                Err(error) => self.replica.borrow_mut().handle_load_failed(now(), error),
            },
            StoreRequest::Log => match self.whole_log().await {
                Ok(frames) => self.replica.borrow_mut().handle_frames(frames),
                Err(error) => self.replica.borrow_mut().handle_load_failed(now(), error),
            },
            StoreRequest::Lost => match self.all_lost().await {
                Ok(frames) => self.replica.borrow_mut().handle_lost(frames),
                Err(error) => self.replica.borrow_mut().handle_load_failed(now(), error),
            },
            StoreRequest::Snapshot => self.find_snapshots().await,
            _ => self.reopen().await,
        }
        None
    }

    /// The disk is full: wins space back, once at a time. What could not be written is tried again by the replica.
    fn reclaim_soon(&self) {
        let Some(me) = self.me.upgrade() else { return };
        if !self.reclaiming.replace(true) {
            spawn(async move {
                // What cannot be won back is in the status already.
                let _reclaimed = me.reclaim().await;
                me.reclaiming.set(false);
                me.schedule();
            });
        }
    }

    /// No more of an import may come: then what it learned of the log goes.
    pub(crate) fn forget_known_later(&self) {
        let me = Weak::clone(&self.me);
        let timer = Timeout::new(FORGET_MILLIS, move || {
            if let Some(me) = me.upgrade() {
                *me.known.borrow_mut() = None;
            }
        });
        *self.forgetting.borrow_mut() = Some(timer);
    }

    async fn reopen(&self) {
        *self.store.borrow_mut() = None;
        let mut delay = 50;
        let mut tries = 0;
        let result = loop {
            tries += 1;
            match self.open_store().await {
                Ok(store) => {
                    *self.store.borrow_mut() = Some(Rc::new(store));
                    break Ok(());
                }
                Err(error) if tries >= REOPEN_TRIES => {
                    self.replica.borrow_mut().give_up_storage(&error);
                    break Err(error);
                }
                Err(_passing) => {
                    TimeoutFuture::new(delay).await;
                    delay *= 2;
                }
            }
        };
        self.replica.borrow_mut().handle_reopened(now(), result);
    }

    async fn send(&self, request: Request) {
        let (Some(endpoint), Ok(abort)) = (self.endpoint.clone(), AbortController::new()) else {
            return;
        };
        self.requests.borrow_mut().push(abort.clone());
        match request {
            Request::Push {
                replica,
                cursor,
                commits,
            } => {
                let result = endpoint.push(&abort, replica, cursor, commits).await;
                let mut replica = self.replica.borrow_mut();
                match result {
                    Ok(response) => replica.handle_pushed(now(), response),
                    Err(error) => replica.handle_push_failed(now(), error),
                }
            }
            Request::Pull {
                cursor,
                filter,
                wait,
            } => {
                let result = endpoint.pull(&abort, cursor, &filter, wait).await;
                let mut replica = self.replica.borrow_mut();
                match result {
                    Ok(pulled) => {
                        // What does not fit is in the status, and is asked for again.
                        let (frames, head) = (pulled.frames, pulled.head);
                        let _inconsistent =
                            replica.handle_pulled(now(), cursor, &filter, frames, head);
                    }
                    Err(error) => replica.handle_pull_failed(now(), error),
                }
            }
            _ => {}
        }
        self.requests.borrow_mut().retain(|other| other != &abort);
    }

    fn open_channel(&self) {
        let me = Weak::clone(&self.me);
        let channel = Channel::open(&self.name(), move |hint| {
            if let Some(me) = me.upgrade() {
                me.heard(hint);
            }
        });
        *self.channel.borrow_mut() = channel;
        self.say(&Hint {
            hello: true,
            ..Hint::default()
        });
    }

    pub(crate) fn say(&self, hint: &Hint) {
        if let Some(channel) = &*self.channel.borrow() {
            channel.say(hint);
        }
    }

    pub(crate) fn hint(&self, generation: Generation) {
        self.say(&Hint::of(generation));
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a generation that another tab read from the same database"
    )]
    fn heard(&self, hint: Hint) {
        if hint.hello {
            *self.said.borrow_mut() = None;
        }
        if let Some(status) = hint.status {
            self.hear_leader(status);
        }
        if hint.kick && self.replica.borrow().status().leader {
            self.kicked();
        }
        if let Some(appended) = &hint.appended {
            self.replica.borrow_mut().handle_appended(appended);
        } else if hint.generation > 0.0 {
            let generation = Generation::new(hint.generation as u64);
            self.replica.borrow_mut().handle_hint(generation);
        }
        self.after();
    }

    /// The leader says how the connection is, when that changes.
    #[allow(clippy::cast_precision_loss, reason = "positions stay below 2^53")]
    fn tell_status(&self) {
        let status = self.replica.borrow().status();
        if !status.leader {
            return;
        }
        self.leading.note(status.sync_error.as_ref());
        let peer = PeerStatus {
            retry_at: status.retry_at.map(|at| at.millis() as f64),
            phase: status.phase.name().to_owned(),
            head: status.server_head.map(|head| head.value() as f64),
            error: status
                .sync_error
                .as_ref()
                .map(|error| error.code().to_owned()),
            message: status.sync_error.as_ref().map(ToString::to_string),
        };
        if self.said.borrow().as_ref() != Some(&peer) {
            self.say(&Hint {
                status: Some(peer.clone()),
                ..Hint::default()
            });
            *self.said.borrow_mut() = Some(peer);
        }
    }

    pub(crate) async fn close(&self) {
        self.replica.borrow_mut().close();
        if self.started.get() {
            self.settled().await;
        }
        self.listeners.borrow_mut().clear();
        for request in self.requests.borrow_mut().drain(..) {
            request.abort();
        }
        *self.room.borrow_mut() = None;
        *self.timer.borrow_mut() = None;
        *self.forgetting.borrow_mut() = None;
        *self.known.borrow_mut() = None;
        self.leading.end();
        *self.channel.borrow_mut() = None;
        if let Some(store) = self.store.borrow_mut().take() {
            store.close();
        }
        (self.options.wake)();
    }

    /// All frames of lost histories.
    async fn all_lost(&self) -> Result<Vec<LostFrame>, StoreError> {
        let store = self.store().map_err(|_closed| StoreError::Closed)?;
        let mut frames: Vec<LostFrame> = Vec::new();
        loop {
            let after = frames.last().map_or(0, |last| last.number);
            let page = store.lost_after(after, LOAD_BYTES).await?;
            frames.extend(page.frames);
            if !page.more {
                return Ok(frames);
            }
        }
    }

    /// All recorded frames, oldest first.
    async fn whole_log(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut frames: Vec<Vec<u8>> = Vec::new();
        let mut from = Position::START.next();
        loop {
            let to = Position::new(u64::MAX);
            let page = match self.range(from, to, Direction::Forward, LOAD_BYTES).await {
                Ok(page) => page,
                Err(ClientError::Store(error)) => return Err(error),
                Err(_other) => return Err(StoreError::Closed),
            };
            let last = page.frames.last().map(|bytes| frame::header(bytes));
            frames.extend(page.frames);
            match last {
                Some(Ok(header)) if page.more => from = header.last_position().next(),
                // A frame that is none is found by whoever reads it.
                _ => return Ok(frames),
            }
        }
    }
}
