//! The loop: polls the replica, runs what it asks for, and brings the answers back.

use crate::Log;
use crate::error::ClientError;
use crate::options::Options;
use crate::platform::{now, random};
use crate::tabs::{Channel, Hint, Lease, PeerStatus};
use crate::transport::Endpoint;
use futures_channel::oneshot;
use gloo_timers::callback::Timeout;
use gloo_timers::future::TimeoutFuture;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};
use tidelog_core::number::Generation;
use tidelog_core::replica::{Config, Replica, Request, StoreRequest};
use tidelog_core::store::{Store, StoreError, Written};
use tidelog_core::{Position, ReplicaId};
use tidelog_indexeddb::{IndexedDbStore, OpenOptions};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{AbortController, EventTarget};

const LOAD_BYTES: usize = 1024 * 1024;
/// With so many notices not folded yet, no more of the log is read.
const BACKLOG: usize = 64;
const REOPEN_TRIES: u32 = 6;

pub(crate) struct Runtime {
    pub(crate) options: Options,
    pub(crate) replica: RefCell<Replica>,
    pub(crate) peer: RefCell<Option<PeerStatus>>,
    store: RefCell<Option<Rc<IndexedDbStore>>>,
    endpoint: Option<Endpoint>,
    scheduled: Cell<bool>,
    timer: RefCell<Option<(i64, Timeout)>>,
    requests: RefCell<Vec<AbortController>>,
    channel: RefCell<Option<Channel>>,
    lease: RefCell<Option<Lease>>,
    listeners: RefCell<Vec<Listener>>,
    idle: RefCell<Vec<oneshot::Sender<()>>>,
    said: RefCell<Option<PeerStatus>>,
    me: Weak<Self>,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

struct Listener {
    target: EventTarget,
    event: &'static str,
    closure: Closure<dyn FnMut()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        let function = self.closure.as_ref().unchecked_ref();
        let _removed = self
            .target
            .remove_event_listener_with_callback(self.event, function);
    }
}

impl Runtime {
    pub(crate) fn new(options: Options) -> Rc<Self> {
        let config = Config {
            sync: options.url.is_some(),
            durability: options.durability,
            seed: u64::from_le_bytes(random()),
        };
        let endpoint = options.url.as_ref().map(|url| Endpoint {
            url: url.trim_end_matches('/').to_owned(),
            token: options.token.clone(),
        });
        Rc::new_cyclic(|me| Self {
            options,
            replica: RefCell::new(Replica::new(config)),
            peer: RefCell::default(),
            store: RefCell::default(),
            endpoint,
            scheduled: Cell::new(false),
            timer: RefCell::default(),
            requests: RefCell::default(),
            channel: RefCell::default(),
            lease: RefCell::default(),
            listeners: RefCell::default(),
            idle: RefCell::default(),
            said: RefCell::default(),
            me: Weak::clone(me),
        })
    }

    pub(crate) fn store(&self) -> Result<Rc<IndexedDbStore>, ClientError> {
        self.store.borrow().clone().ok_or_else(Log::closed)
    }

    pub(crate) async fn open(&self) -> Result<(), ClientError> {
        let store = self.open_store().await?;
        *self.store.borrow_mut() = Some(Rc::new(store));
        self.open_channel();
        loop {
            let request = self.replica.borrow_mut().poll_store(now());
            let Some(request) = request else { break };
            self.run_store(request).await;
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
            while self.replica.borrow().backlog() > BACKLOG {
                TimeoutFuture::new(4).await;
            }
        }
        self.listen();
        if self.endpoint.is_some() {
            self.request_lease();
        }
        self.schedule();
        (self.options.wake)();
        Ok(())
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
    fn name(&self) -> String {
        format!("tidelog/{}/{}", self.options.log, self.options.user)
    }

    /// Runs the loop soon, once, however often it is asked: what is appended until then shares a transaction.
    pub(crate) fn schedule(&self) {
        if !self.scheduled.replace(true) {
            let me = Weak::clone(&self.me);
            spawn_local(async move {
                if let Some(me) = me.upgrade() {
                    me.scheduled.set(false);
                    me.run();
                }
            });
        }
    }

    pub(crate) fn wake_later(&self) {
        let me = Weak::clone(&self.me);
        spawn_local(async move {
            if let Some(me) = me.upgrade() {
                (me.options.wake)();
                me.schedule();
            }
        });
    }

    fn run(self: Rc<Self>) {
        let store = self.replica.borrow_mut().poll_store(now());
        match store {
            Some(request) => {
                let me = Rc::clone(&self);
                spawn_local(async move {
                    me.run_store(request).await;
                    me.after();
                });
            }
            None => {
                if !self.replica.borrow().is_storing() {
                    for idle in self.idle.borrow_mut().drain(..) {
                        // Whoever waited may have gone.
                        let _sent = idle.send(());
                    }
                }
            }
        }
        if self.replica.borrow().backlog() <= BACKLOG {
            loop {
                let request = self.replica.borrow_mut().poll_send(now());
                let Some(request) = request else { break };
                let me = Rc::clone(&self);
                spawn_local(async move {
                    me.send(request).await;
                    me.after();
                });
            }
        } else {
            // Let the page fold what it has first.
            let me = Rc::clone(&self);
            spawn_local(async move {
                TimeoutFuture::new(8).await;
                me.schedule();
            });
        }
        self.set_timer();
        self.tell_status();
    }

    fn after(&self) {
        (self.options.wake)();
        self.schedule();
    }

    fn set_timer(&self) {
        let Some(at) = self.replica.borrow().poll_timeout() else {
            return;
        };
        let at = at.millis();
        let set = self
            .timer
            .borrow()
            .as_ref()
            .is_some_and(|(set, _)| *set == at);
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

    async fn run_store(&self, request: StoreRequest) {
        let store = match self.store() {
            Ok(store) => store,
            Err(_closed) => {
                return self
                    .replica
                    .borrow_mut()
                    .handle_load_failed(now(), StoreError::Closed);
            }
        };
        match request {
            StoreRequest::Write(batch) => {
                let result = store.write(batch).await;
                let done = result == Ok(Written::Done);
                self.replica.borrow_mut().handle_written(now(), result);
                if done {
                    self.hint();
                }
            }
            StoreRequest::Load { after } => match store.load(after, LOAD_BYTES).await {
                Ok(loaded) => self.replica.borrow_mut().handle_loaded(now(), loaded),
                Err(error) => self.replica.borrow_mut().handle_load_failed(now(), error),
            },
            StoreRequest::Frames { first_positions } => {
                match store.frames(&first_positions).await {
                    Ok(frames) => self.replica.borrow_mut().handle_frames(now(), frames),
                    Err(error) => self.replica.borrow_mut().handle_load_failed(now(), error),
                }
            }
            _ => self.reopen().await,
        }
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
            Request::Pull { cursor, wait } => {
                let result = endpoint.pull(&abort, cursor, wait).await;
                let mut replica = self.replica.borrow_mut();
                match result {
                    Ok(pulled) => {
                        // What does not fit is in the status, and is asked for again.
                        let _inconsistent =
                            replica.handle_pulled(now(), cursor, pulled.frames, pulled.head);
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

    fn say(&self, hint: &Hint) {
        if let Some(channel) = &*self.channel.borrow() {
            channel.say(hint);
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "generations stay below 2^53")]
    fn hint(&self) {
        let generation = self.replica.borrow().head().generation.value() as f64;
        self.say(&Hint {
            generation,
            ..Hint::default()
        });
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
            *self.peer.borrow_mut() = Some(status);
        }
        if hint.generation > 0.0 {
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
        let peer = PeerStatus {
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

    fn request_lease(&self) {
        let me = Weak::clone(&self.me);
        let lease = Lease::request(&format!("{}/network", self.name()), move || {
            if let Some(me) = me.upgrade() {
                me.replica.borrow_mut().handle_leadership(true);
                me.wake_later();
            }
        });
        *self.lease.borrow_mut() = lease;
    }

    fn listen(&self) {
        let global: JsValue = js_sys::global().into();
        let document = js_sys::Reflect::get(&global, &"document".into()).ok();
        self.on(&global, "online", |me| me.online(true));
        self.on(&global, "offline", |me| me.online(false));
        self.on(&global, "pageshow", Self::kick);
        if let Some(document) = document {
            self.on(&document, "visibilitychange", Self::kick);
        }
        let navigator = js_sys::Reflect::get(&global, &"navigator".into());
        let online = navigator.and_then(|n| js_sys::Reflect::get(&n, &"onLine".into()));
        if online.is_ok_and(|online| online.is_falsy() && !online.is_undefined()) {
            self.online(false);
        }
    }

    fn on(&self, target: &JsValue, event: &'static str, then: impl Fn(&Self) + 'static) {
        let Some(target) = target.dyn_ref::<EventTarget>().cloned() else {
            return;
        };
        let me = Weak::clone(&self.me);
        let closure = Closure::<dyn FnMut()>::new(move || {
            if let Some(me) = me.upgrade() {
                then(&me);
            }
        });
        let function = closure.as_ref().unchecked_ref();
        if target
            .add_event_listener_with_callback(event, function)
            .is_ok()
        {
            self.listeners.borrow_mut().push(Listener {
                target,
                event,
                closure,
            });
        }
    }

    pub(crate) fn online(&self, online: bool) {
        self.replica.borrow_mut().handle_online(now(), online);
        self.after();
    }

    pub(crate) fn kick(&self) {
        self.replica.borrow_mut().handle_kick(now());
        self.after();
    }

    pub(crate) async fn close(&self) {
        self.replica.borrow_mut().close();
        let (idle, written) = oneshot::channel();
        self.idle.borrow_mut().push(idle);
        self.schedule();
        // Cancelled only if the runtime is gone, and then there is nothing to wait for.
        let _written = written.await;
        self.listeners.borrow_mut().clear();
        for request in self.requests.borrow_mut().drain(..) {
            request.abort();
        }
        *self.timer.borrow_mut() = None;
        *self.lease.borrow_mut() = None;
        *self.channel.borrow_mut() = None;
        if let Some(store) = self.store.borrow_mut().take() {
            store.close();
        }
        (self.options.wake)();
    }

    /// The first positions of the frames to read for one stream.
    pub(crate) fn frames_of(&self, stream: &tidelog_core::StreamId) -> Vec<Position> {
        self.replica.borrow().frames_of(stream)
    }
}
