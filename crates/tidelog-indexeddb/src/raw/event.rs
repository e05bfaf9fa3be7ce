//! DOM events as futures.

use futures_channel::oneshot;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{Event, EventTarget, IdbTransaction};

/// A listener that is removed when this is dropped, so that no event finds a closure which is gone.
pub(crate) struct Listener {
    target: EventTarget,
    event: &'static str,
    closure: Closure<dyn FnMut(Event)>,
}

impl Listener {
    pub(crate) fn new(
        target: &EventTarget,
        event: &'static str,
        handler: impl FnMut(Event) + 'static,
    ) -> Self {
        let closure = Closure::<dyn FnMut(Event)>::new(handler);
        // Adding a listener fails only for a target that is none.
        let _ = target.add_event_listener_with_callback(event, closure.as_ref().unchecked_ref());
        Self {
            target: target.clone(),
            event,
            closure,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let callback = self.closure.as_ref().unchecked_ref();
        let _ = self
            .target
            .remove_event_listener_with_callback(self.event, callback);
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}

/// The ends of a connection's writing transactions, heard by one closure for all of them: making one for each, and adding and
/// removing its listeners, would be a good part of what a durable append costs.
#[derive(Clone)]
pub(crate) struct Ends(Rc<Inner>);

struct Inner {
    waiting: RefCell<Vec<(IdbTransaction, oneshot::Sender<Event>)>>,
    listener: Closure<dyn FnMut(Event)>,
}

impl Ends {
    pub(crate) fn new() -> Self {
        Self(Rc::new_cyclic(|inner: &Weak<Inner>| {
            let inner = Weak::clone(inner);
            Inner {
                waiting: RefCell::default(),
                listener: Closure::new(move |event| {
                    if let Some(inner) = inner.upgrade() {
                        inner.ended(event);
                    }
                }),
            }
        }))
    }

    /// The event that ends a transaction: `complete` or `abort`, or the connection's `close` if that comes first. Heard from
    /// now on, awaited or not.
    pub(crate) fn of(&self, transaction: &IdbTransaction) -> impl Future<Output = Event> + use<> {
        let listener = self.0.listener.as_ref().unchecked_ref();
        transaction.set_oncomplete(Some(listener));
        transaction.set_onabort(Some(listener));
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.0.waiting.borrow_mut();
        waiting.push((transaction.clone(), sender));
        heard(receiver)
    }

    /// The browser has closed the connection: nothing more is heard of its transactions.
    pub(crate) fn closed(&self, event: &Event) {
        for (_, sender) in self.0.waiting.take() {
            // Nobody waits any more: then nobody wants to know.
            let _ = sender.send(event.clone());
        }
    }
}

impl Inner {
    fn ended(&self, event: Event) {
        let Some(target) = event.target() else { return };
        let mut waiting = self.waiting.borrow_mut();
        let transaction: &JsValue = target.as_ref();
        let at = waiting
            .iter()
            .position(|(waiting, _)| AsRef::<JsValue>::as_ref(waiting) == transaction);
        if let Some(at) = at {
            let (_, sender) = waiting.swap_remove(at);
            let _ = sender.send(event);
        }
    }
}

impl fmt::Debug for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ends").finish_non_exhaustive()
    }
}

/// A sender that is gone without having sent stands for a page that is going away: then nothing is ever heard.
async fn heard(receiver: oneshot::Receiver<Event>) -> Event {
    match receiver.await {
        Ok(event) => event,
        Err(oneshot::Canceled) => std::future::pending().await,
    }
}

/// The first of some events. It listens from its making on, not from its first poll, and by one closure.
pub(crate) struct FirstEvent {
    receiver: oneshot::Receiver<Event>,
    targets: Vec<(EventTarget, &'static str)>,
    closure: Closure<dyn FnMut(Event)>,
}

impl FirstEvent {
    pub(crate) fn of(events: &[(&EventTarget, &'static str)]) -> Self {
        let (sender, receiver) = oneshot::channel();
        let mut sender = Some(sender);
        let closure = Closure::<dyn FnMut(Event)>::new(move |event| {
            if let Some(sender) = sender.take() {
                // Nobody waits any more: then nobody wants to know.
                let _ = sender.send(event);
            }
        });
        let callback = closure.as_ref().unchecked_ref();
        let mut targets = Vec::with_capacity(events.len());
        for (target, event) in events {
            // Adding a listener fails only for a target that is none.
            let _ = target.add_event_listener_with_callback(event, callback);
            targets.push(((*target).clone(), *event));
        }
        Self {
            receiver,
            targets,
            closure,
        }
    }
}

impl Drop for FirstEvent {
    fn drop(&mut self) {
        let callback = self.closure.as_ref().unchecked_ref();
        for (target, event) in &self.targets {
            let _ = target.remove_event_listener_with_callback(event, callback);
        }
    }
}

impl fmt::Debug for FirstEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstEvent").finish_non_exhaustive()
    }
}

impl Future for FirstEvent {
    type Output = Event;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Event> {
        match Pin::new(&mut self.receiver).poll(context) {
            Poll::Ready(Ok(event)) => Poll::Ready(event),
            // The sender lives in our own closure: it is never gone without having sent.
            Poll::Ready(Err(oneshot::Canceled)) | Poll::Pending => Poll::Pending,
        }
    }
}
