//! The other tabs of this log: who talks to the network, and the hint that something changed.
//!
//! Nothing here is needed for correctness. A lost hint costs time, and two leaders cost bandwidth; the database's
//! transactions and the server's verdicts decide. How a former leader is kept from doing harm is told in the core
//! (`replica/sync.rs`).
//!
//! A hint may bring along what was appended, checksums and all, so that the other tabs show it without reading; they take
//! it for true only as long as it continues what they know
//! ([`Replica::handle_appended`](tidelog_core::replica::Replica::handle_appended)).

use crate::fields::{FieldError, Fields};
use crate::platform::spawn;
use js_sys::{Function, Object, Promise, Reflect, Uint8Array};
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tidelog_core::Seq;
use tidelog_core::number::Generation;
use tidelog_core::replica::Appended;
use wasm_bindgen::prelude::*;
use web_sys::{AbortController, BroadcastChannel, MessageEvent};

#[wasm_bindgen]
extern "C" {
    type LockManager;

    #[wasm_bindgen(method, catch)]
    fn request(
        this: &LockManager,
        name: &str,
        options: &JsValue,
        callback: &Function,
    ) -> Result<Promise, JsValue>;
}

/// What the tab that talks to the server says of the connection.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerStatus {
    /// The phase's name.
    pub phase: String,
    /// The server's newest position.
    pub head: Option<f64>,
    /// When what is wrong is tried again, in milliseconds of this device's clock.
    pub retry_at: Option<f64>,
    /// The code of what is wrong.
    pub error: Option<String>,
    /// What is wrong, in words.
    pub message: Option<String>,
}

/// What tabs tell each other.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Hint {
    /// The database's generation after a write.
    pub(crate) generation: f64,
    /// Sent by the leader.
    pub(crate) status: Option<PeerStatus>,
    /// A tab asks the leader to say its status: it has just opened, or wants to know whether the leader is still there.
    pub(crate) hello: bool,
    /// Something happened in this tab after which the leader had better try the server again.
    pub(crate) kick: bool,
    /// What the write added, if it did nothing else: then nobody has to read it.
    #[serde(skip)]
    pub(crate) appended: Option<Appended>,
}

impl Hint {
    /// A write that left this generation.
    #[allow(clippy::cast_precision_loss, reason = "generations stay below 2^53")]
    pub(crate) fn of(generation: Generation) -> Self {
        Self {
            generation: generation.value() as f64,
            ..Self::default()
        }
    }

    fn read(message: &JsValue) -> Result<Self, FieldError> {
        let hint = Fields::of(message);
        let status = hint.value("status");
        Ok(Self {
            generation: hint.number("generation")?,
            appended: read_appended(hint),
            status: if status.is_undefined() {
                None
            } else {
                Some(PeerStatus::read(Fields::of(&status))?)
            },
            hello: hint.value("hello").is_truthy(),
            kick: hint.value("kick").is_truthy(),
        })
    }
}

impl PeerStatus {
    fn read(status: Fields<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            phase: status.text("phase")?,
            head: status.value("head").as_f64(),
            retry_at: status.value("retryAt").as_f64(),
            error: status.optional_text("error")?,
            message: status.optional_text("message")?,
        })
    }
}

const REPLICA: &str = "replica";
const NEXT_SEQ: &str = "nextSeq";
const FRAMES: &str = "frames";

/// What is not whole is only a hint.
fn read_appended(hint: Fields<'_>) -> Option<Appended> {
    let frames = hint.value(FRAMES).dyn_into::<Uint8Array>().ok()?;
    Some(Appended {
        replica: hint.text(REPLICA).ok()?.parse().ok()?,
        generation: Generation::new(hint.whole("generation").ok()?),
        next_seq: Seq::new(hint.whole(NEXT_SEQ).ok()?),
        frames: frames.to_vec(),
    })
}

#[allow(
    clippy::cast_precision_loss,
    reason = "sequence numbers stay below 2^53"
)]
fn write_appended(appended: &Appended, message: &JsValue) {
    let fields = [
        (REPLICA, JsValue::from(appended.replica.to_string())),
        (NEXT_SEQ, JsValue::from(appended.next_seq.value() as f64)),
        (FRAMES, Uint8Array::from(appended.frames.as_slice()).into()),
    ];
    for (name, value) in fields {
        // What cannot be set is not told.
        let _set = Reflect::set(message, &name.into(), &value);
    }
}

/// The channel between the tabs of one database.
pub(crate) struct Channel {
    channel: BroadcastChannel,
    _listener: Closure<dyn FnMut(MessageEvent)>,
}

impl Channel {
    /// None where the platform has no BroadcastChannel.
    pub(crate) fn open(name: &str, heard: impl Fn(Hint) + 'static) -> Option<Self> {
        let channel = BroadcastChannel::new(name).ok()?;
        let listener = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            if let Ok(hint) = Hint::read(&event.data()) {
                heard(hint);
            }
        });
        channel.set_onmessage(Some(listener.as_ref().unchecked_ref()));
        Some(Self {
            channel,
            _listener: listener,
        })
    }

    pub(crate) fn say(&self, hint: &Hint) {
        if let Ok(message) = serde_wasm_bindgen::to_value(hint) {
            if let Some(appended) = &hint.appended {
                write_appended(appended, &message);
            }
            // A closed channel is a lost hint.
            let _lost = self.channel.post_message(&message);
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.channel.set_onmessage(None);
        self.channel.close();
    }
}

/// The wish to be the one tab that talks to the network. Dropping it gives the lock back.
pub(crate) struct Lease {
    held: Rc<Held>,
    abort: Option<AbortController>,
}

#[derive(Default)]
struct Held {
    release: RefCell<Option<Function>>,
    withdrawn: Cell<bool>,
}

impl Lease {
    /// Waits for the lock in the background and says so when it is held; says so too when another tab has taken it away.
    /// `steal` takes it away from whoever holds it, who may be frozen and hold it for ever. Where the platform has no
    /// locks, every tab is told at once that it holds it.
    pub(crate) fn request(
        name: &str,
        steal: bool,
        granted: impl Fn() + 'static,
        lost: impl FnOnce() + 'static,
    ) -> Option<Self> {
        let abort = AbortController::new().ok()?;
        let held = Rc::<Held>::default();
        let Some(locks) = lock_manager() else {
            granted();
            return Some(Self {
                held,
                abort: Some(abort),
            });
        };
        let kept = Rc::clone(&held);
        let callback = Closure::once_into_js(move |_lock: JsValue| -> Promise {
            if kept.withdrawn.get() {
                return Promise::resolve(&JsValue::UNDEFINED);
            }
            // The lock is held until this promise is resolved.
            let promise = Promise::new(&mut |resolve, _reject| {
                *kept.release.borrow_mut() = Some(resolve);
            });
            granted();
            promise
        });
        let options = Object::new();
        // The platform allows one of the two.
        let abort = if steal {
            let _set = Reflect::set(&options, &"steal".into(), &JsValue::TRUE);
            None
        } else {
            let _set = Reflect::set(&options, &"signal".into(), &abort.signal());
            Some(abort)
        };
        if let Ok(promise) = locks.request(name, &options, callback.unchecked_ref()) {
            let held = Rc::clone(&held);
            spawn(async move {
                // Ends when the lock is released; with an error when the wish is withdrawn, or the lock was taken away.
                let ended = wasm_bindgen_futures::JsFuture::from(promise).await;
                if ended.is_err() && held.release.borrow_mut().take().is_some() {
                    lost();
                }
            });
        }
        Some(Self { held, abort })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.held.withdrawn.set(true);
        match (self.held.release.borrow_mut().take(), &self.abort) {
            (Some(release), _) => {
                let _released = release.call0(&JsValue::UNDEFINED);
            }
            (None, Some(abort)) => abort.abort(),
            (None, None) => {}
        }
    }
}

fn lock_manager() -> Option<LockManager> {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into()).ok()?;
    let locks = Reflect::get(&navigator, &"locks".into()).ok()?;
    locks.is_object().then(|| locks.unchecked_into())
}
