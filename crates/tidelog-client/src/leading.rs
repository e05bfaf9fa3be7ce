//! Which tab talks to the server.
//!
//! The one that holds a Web Lock. The browser gives the lock on when that tab is closed or killed, and a page that hears that it
//! may be frozen gives it back itself (`lifecycle.rs`). A tab that stops without hearing anything, because its process is
//! stopped or hangs, would hold it for ever. So the others ask now and then whether it is there, and after some questions
//! without an answer one of them takes the lock away. It counts questions and not time: a device that slept has asked
//! nothing meanwhile, and a page whose timers are throttled asks less often.
//!
//! A leader whose build the server no longer serves cannot help a tab with a newer one, so each tab that the server has not
//! refused itself takes the lock away from it, once.
//!
//! Whoever loses the lock is told when it runs again, stops what it was doing and waits in line. What it may send before it is
//! told does no harm, for reasons that the core gives (`replica/sync.rs`).

use crate::runtime::Runtime;
use crate::tabs::{Hint, Lease, PeerStatus};
use gloo_timers::callback::Interval;
use std::cell::{Cell, RefCell};
use std::rc::Weak;
use tidelog_core::replica::SyncError;

/// So many questions without an answer mean that the leader is gone.
const QUESTIONS: u32 = 3;

#[derive(Default)]
pub(crate) struct Leading {
    lease: RefCell<Option<Lease>>,
    /// Which wish for the lock is the latest: what an earlier one comes to no longer matters.
    wish: Cell<u32>,
    watch: RefCell<Option<Interval>>,
    unanswered: Cell<u32>,
    /// The leader has said something since the last look.
    heard: Cell<bool>,
    /// The server has told this very tab that its build is too old.
    outdated: Cell<bool>,
    /// It has told so to the tab that leads, and not to this one.
    leader_outdated: Cell<bool>,
}

impl Leading {
    /// The leader gave a sign of life.
    pub(crate) fn hear(&self) {
        self.heard.set(true);
        self.unanswered.set(0);
    }

    /// What this tab, as the leader, hears from the server.
    pub(crate) fn note(&self, error: Option<&SyncError>) {
        self.outdated.set(error == Some(&SyncError::ClientTooOld));
    }

    /// Gives the lock back. Was it held or waited for?
    pub(crate) fn withdraw(&self) -> bool {
        self.wish.set(self.wish.get().wrapping_add(1));
        let lease = self.lease.borrow_mut().take();
        lease.is_some()
    }

    pub(crate) fn is_withdrawn(&self) -> bool {
        self.lease.borrow().is_none()
    }

    pub(crate) fn end(&self) {
        *self.watch.borrow_mut() = None;
        self.withdraw();
    }
}

impl Runtime {
    /// Gets in line for the lock, or takes it away from a leader that cannot lead.
    pub(crate) fn get_in_line(&self) {
        self.request_lease(self.leading.leader_outdated.get());
    }

    /// Waits in line for the lock, or takes it away from whoever holds it.
    fn request_lease(&self, steal: bool) {
        self.leading.withdraw();
        let wish = self.leading.wish.get();
        let (winner, loser) = (Weak::clone(&self.me), Weak::clone(&self.me));
        let is_latest = move |me: &Self| me.leading.wish.get() == wish;
        let lease = Lease::request(
            &format!("{}/network", self.name()),
            steal,
            move || {
                if let Some(me) = winner.upgrade().filter(|me| is_latest(me)) {
                    me.lead();
                }
            },
            move || {
                if let Some(me) = loser.upgrade().filter(|me| is_latest(me)) {
                    me.stop_leading();
                    me.request_lease(false);
                }
            },
        );
        *self.leading.lease.borrow_mut() = lease;
    }

    fn lead(&self) {
        self.leading.hear();
        self.leading.leader_outdated.set(false);
        *self.peer.borrow_mut() = None;
        // Everybody is to hear of the new leader, also if it has nothing new to say.
        *self.said.borrow_mut() = None;
        self.replica.borrow_mut().handle_leadership(true);
        self.wake_later();
    }

    /// Ends what this tab has under way with the server.
    pub(crate) fn stop_leading(&self) {
        self.replica.borrow_mut().handle_leadership(false);
        for request in self.requests.borrow_mut().drain(..) {
            request.abort();
        }
        self.after();
    }

    /// Looks after the leader from now on.
    pub(crate) fn watch_leader(&self) {
        let me = Weak::clone(&self.me);
        let pause = (self.options.take_over_after / QUESTIONS).max(1);
        let watch = Interval::new(pause, move || {
            if let Some(me) = me.upgrade() {
                me.look_after_leader();
            }
        });
        *self.leading.watch.borrow_mut() = Some(watch);
    }

    fn look_after_leader(&self) {
        let leading = &self.leading;
        let leads = self.replica.borrow().status().leader;
        if leads || leading.is_withdrawn() || leading.heard.take() {
            leading.unanswered.set(0);
            return;
        }
        if leading.unanswered.get() >= QUESTIONS {
            leading.unanswered.set(0);
            self.request_lease(true);
            return;
        }
        leading.unanswered.set(leading.unanswered.get() + 1);
        self.say(&Hint {
            hello: true,
            ..Hint::default()
        });
    }

    /// The leader says how the connection is. If it is too old for the server, and this tab is not, that is not how it is for this
    /// tab, which takes over.
    pub(crate) fn hear_leader(&self, status: PeerStatus) {
        let leading = &self.leading;
        leading.hear();
        let too_old = status.error.as_deref() == Some(SyncError::ClientTooOld.code());
        let relieves = too_old && !leading.outdated.get();
        leading.leader_outdated.set(relieves);
        *self.peer.borrow_mut() = (!relieves).then_some(status);
        // One that is not in line yet, or not now, takes it when it is.
        if relieves && !leading.is_withdrawn() && !self.replica.borrow().status().leader {
            self.request_lease(true);
        }
    }

    /// Something happened here after which the server had better be tried again, by whoever leads. If that tab cannot because
    /// nobody is signed in there, this one, which somebody is looking at, tries itself.
    pub(crate) fn kick_leader(&self) {
        if self.replica.borrow().status().leader {
            return;
        }
        let blocked = self.peer.borrow().as_ref().is_some_and(|peer| {
            peer.phase == "blocked" && peer.error.as_deref() == Some("unauthorized")
        });
        if blocked && !self.stored.borrow().hidden && !self.leading.is_withdrawn() {
            self.request_lease(true);
        } else {
            self.say(&Hint {
                kick: true,
                ..Hint::default()
            });
        }
    }
}
