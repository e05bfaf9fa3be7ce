//! Time and randomness of the page: the only place that reads them.

use gloo_timers::future::TimeoutFuture;
use js_sys::{Promise, Reflect, Uint8Array};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use tidelog_core::limits::TIMES;
use tidelog_core::{CommitId, Timestamp};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::MessageChannel;

#[wasm_bindgen]
extern "C" {
    type Crypto;

    #[wasm_bindgen(method, catch, js_name = getRandomValues)]
    fn fill(this: &Crypto, array: &Uint8Array) -> Result<Uint8Array, JsValue>;
}

/// The time by this device's clock; the nearest that an event may have occurred at, if the clock is out of its mind.
#[must_use]
#[allow(
    clippy::cast_possible_truncation,
    reason = "a double holds every millisecond that Date can give"
)]
pub fn now() -> Timestamp {
    let millis = js_sys::Date::now() as i64;
    Timestamp::from_millis(millis.clamp(*TIMES.start(), *TIMES.end()))
}

/// Runs a future in the background. It is boxed, so that what drives it is there once and not for each.
pub(crate) fn spawn(work: impl Future<Output = ()> + 'static) {
    let work: Pin<Box<dyn Future<Output = ()>>> = Box::pin(work);
    spawn_local(work);
}

/// Lets what was called before go first: what comes next runs in a later microtask.
pub(crate) async fn next_microtask() {
    let mut waited = false;
    poll_fn(|context| {
        if core::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Lets the page have its turn: what comes next runs in a task of its own. A timer would wait 4 ms each time.
pub(crate) async fn next_task() {
    let Ok(channel) = MessageChannel::new() else {
        TimeoutFuture::new(0).await;
        return;
    };
    let receiver = channel.port1();
    let promise = Promise::new(&mut |resolve, _reject| {
        receiver.set_onmessage(Some(&resolve));
        if channel.port2().post_message(&JsValue::NULL).is_err() {
            let _at_once = resolve.call0(&JsValue::UNDEFINED);
        }
    });
    // It is only ever resolved.
    let _turn = JsFuture::from(promise).await;
    receiver.close();
}

/// What a future gives, unless it takes longer.
pub(crate) async fn within<T>(millis: u32, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut time = pin!(TimeoutFuture::new(millis));
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => time.as_mut().poll(context).map(|()| None),
    })
    .await
}

/// Random bytes of the platform's cryptographic source; of `Math.random` where there is none.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let array = Uint8Array::new_with_length(u32::try_from(N).unwrap_or(0));
    let crypto = Reflect::get(&js_sys::global(), &JsValue::from_str("crypto"));
    let filled = crypto
        .ok()
        .filter(|crypto| crypto.is_object())
        .and_then(|crypto| {
            let crypto: Crypto = crypto.unchecked_into();
            crypto.fill(&array).ok()
        });
    match filled {
        Some(array) => array.copy_to(&mut bytes),
        None => bytes.fill_with(|| {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a number below 256"
            )]
            let byte = (js_sys::Math::random() * 256.0) as u8;
            byte
        }),
    }
    bytes
}

/// A new commit id (UUID version 7).
#[must_use]
pub fn new_commit_id() -> CommitId {
    CommitId::mint(now(), random())
}

/// What the platform said of a failure, for a person.
pub(crate) fn describe(error: &JsValue) -> String {
    let message = Reflect::get(error, &JsValue::from_str("message")).ok();
    message
        .and_then(|message| message.as_string())
        .or_else(|| error.as_string())
        .unwrap_or_else(|| String::from("no details"))
}
