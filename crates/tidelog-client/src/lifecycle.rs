//! The life of the page: network, visibility, and the back/forward cache.
//!
//! A frozen page must hold nothing that others wait for: it gives the lease back and ends its requests, and asks again when
//! it wakes. Whatever happened meanwhile is found by looking again.

use crate::platform::now;
use crate::runtime::Runtime;
use std::rc::Weak;
use wasm_bindgen::prelude::*;
use web_sys::EventTarget;

pub(crate) struct Listener {
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
    pub(crate) fn listen(&self) {
        let global: JsValue = js_sys::global().into();
        let document = js_sys::Reflect::get(&global, &"document".into()).ok();
        self.on(&global, "online", |me| me.online(true));
        self.on(&global, "offline", |me| me.online(false));
        self.on(&global, "pagehide", Self::rest);
        self.on(&global, "pageshow", Self::wake_up);
        if let Some(document) = document {
            self.on(&document, "freeze", Self::rest);
            self.on(&document, "resume", Self::wake_up);
            let page = document.clone();
            self.on(&document, "visibilitychange", move |me| {
                let hidden = js_sys::Reflect::get(&page, &"hidden".into());
                me.stored.borrow_mut().hidden = hidden.is_ok_and(|hidden| hidden.is_truthy());
                me.kick();
            });
        }
        let navigator = js_sys::Reflect::get(&global, &"navigator".into());
        let online = navigator.and_then(|n| js_sys::Reflect::get(&n, &"onLine".into()));
        if online.is_ok_and(|online| online.is_falsy() && !online.is_undefined()) {
            self.online(false);
        }
    }

    /// The page may be frozen from now on: others must not wait for it.
    fn rest(&self) {
        self.stored.borrow_mut().hidden = true;
        self.leading.withdraw();
        self.stop_leading();
    }

    /// The page runs again, or has just begun to.
    fn wake_up(&self) {
        self.stored.borrow_mut().hidden = false;
        if self.leading.is_withdrawn() && !self.options.detached {
            self.get_in_line();
        }
        self.kick();
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
        self.forget_refusal();
        self.replica.borrow_mut().handle_online(now(), online);
        self.after();
    }

    /// Look again now, here and in the tab that leads.
    pub(crate) fn kick(&self) {
        self.kick_leader();
        self.kicked();
    }

    pub(crate) fn kicked(&self) {
        self.forget_refusal();
        self.replica.borrow_mut().handle_kick(now());
        self.after();
    }

    fn forget_refusal(&self) {
        if let Some(endpoint) = &self.endpoint {
            endpoint.forget_refusal();
        }
    }
}
