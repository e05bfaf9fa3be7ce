//! DOM events as futures.

use futures_channel::oneshot;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use wasm_bindgen::JsCast as _;
use wasm_bindgen::closure::Closure;
use web_sys::{Event, EventTarget};

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

/// The first of some events. It listens from its making on, not from its first poll, and by one closure: several would
/// cost a fifth of what a durable append may cost.
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
