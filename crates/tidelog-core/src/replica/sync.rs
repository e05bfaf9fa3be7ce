//! Talking to the server: who does it, when, and when again.

use super::pull::Page;
use super::queue::State;
use super::write::Busy;
use super::{Notice, ReceiptState, Replica, Request, SyncError};
use crate::cursor::Cursor;
use crate::id::{CommitId, Epoch};
use crate::limits::MAX_PUSH_COMMITS;
use crate::number::{Attempt, Position, Timestamp};
use alloc::vec::Vec;

const FIRST_DELAY_MILLIS: u64 = 250;
const MAX_DELAY_MILLIS: u64 = 30_000;
/// The longest that a server may ask to wait.
const LONGEST_MILLIS: u64 = 10 * MAX_DELAY_MILLIS;

#[derive(Debug)]
pub(super) struct Sync {
    pub(super) leader: bool,
    pub(super) online: bool,
    pub(super) pushing: Option<Vec<(CommitId, Attempt)>>,
    pub(super) pulling: Option<Cursor>,
    pub(super) acks: Vec<(CommitId, Attempt, Position)>,
    pub(super) page: Option<Page>,
    pub(super) server_head: Option<Position>,
    pub(super) caught_up: bool,
    pub(super) error: Option<SyncError>,
    pub(super) rewind: super::rewind::Rewind,
    /// The history that was left last: answers that still come from it count for nothing.
    pub(super) left: Option<Epoch>,
    failures: u32,
    next_at: Option<Timestamp>,
    pub(super) push_limit: usize,
    random: u64,
}

impl Sync {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            leader: false,
            online: true,
            pushing: None,
            pulling: None,
            acks: Vec::new(),
            page: None,
            server_head: None,
            caught_up: false,
            error: None,
            rewind: super::rewind::Rewind::No,
            left: None,
            failures: 0,
            next_at: None,
            push_limit: MAX_PUSH_COMMITS,
            random: seed | 1,
        }
    }

    /// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016).
    pub(super) fn random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn failed(&mut self, now: Timestamp, error: SyncError) {
        let doubled = FIRST_DELAY_MILLIS << self.failures.min(7);
        let longest = doubled.min(MAX_DELAY_MILLIS);
        let mut delay = longest / 2 + self.random() % (longest / 2 + 1);
        if let SyncError::RateLimited {
            retry_after_millis: Some(asked),
        } = &error
        {
            delay = delay.max((*asked).min(LONGEST_MILLIS));
        }
        if error == SyncError::TooLarge {
            self.push_limit = (self.push_limit / 2).max(1);
        }
        // A push and a pull that fail together are one failure.
        let asked_to_wait = matches!(error, SyncError::RateLimited { .. });
        if asked_to_wait || !self.is_put_off(now) {
            self.failures = self.failures.saturating_add(1);
            self.next_at = Some(now.plus_millis(i64::try_from(delay).unwrap_or(i64::MAX)));
        }
        self.error = Some(error);
    }

    /// Is it too early to try again?
    fn is_put_off(&self, now: Timestamp) -> bool {
        self.next_at
            .is_some_and(|at| !at.is_due(now, LONGEST_MILLIS.cast_signed()))
    }

    pub(super) fn succeeded(&mut self) -> bool {
        self.failures = 0;
        self.next_at = None;
        self.error.take().is_some()
    }

    pub(super) const fn kick(&mut self, _now: Timestamp) {
        self.failures = 0;
        self.next_at = None;
    }

    pub(super) fn restart(&mut self) {
        self.page = None;
        self.acks.clear();
        self.pushing = None;
        self.pulling = None;
        self.server_head = None;
        self.caught_up = false;
        self.rewind = super::rewind::Rewind::No;
    }

    pub(super) fn frames_failed(&mut self) {
        self.rewind = super::rewind::Rewind::Wanted;
    }
}

impl Replica {
    /// This tab is, or is no longer, the one that talks to the network.
    pub fn handle_leadership(&mut self, leader: bool) {
        if self.sync.leader != leader {
            self.sync.leader = leader;
            self.sync.caught_up = false;
            // What was under way belongs to the time before: its answers no longer count.
            self.sync.pushing = None;
            self.sync.pulling = None;
            self.disk.load = true;
            self.unjudged = true;
            self.status_changed();
        }
    }

    /// The platform says whether there is a network.
    pub fn handle_online(&mut self, now: Timestamp, online: bool) {
        if online {
            // Also when it was thought to be there: a server that was away may be back with the network.
            self.sync.kick(now);
        }
        if self.sync.online != online {
            self.sync.online = online;
            self.status_changed();
        }
    }

    /// The next request to send: at most one push and one pull are under way.
    pub fn poll_send(&mut self, now: Timestamp) -> Option<Request> {
        if !self.may_send() || self.sync.is_put_off(now) {
            return None;
        }
        self.sync.next_at = None;
        if self.disk.load || self.disk.reopen || !self.sync.rewind.is_no() {
            return None;
        }
        self.judge();
        // What waits to be judged might be sent behind a commit that is about to leave its place.
        if self.sync.pushing.is_none()
            && self.is_judged()
            && let Some(push) = self.push()
        {
            return Some(push);
        }
        let busy = self.sync.page.is_some() || matches!(self.disk.busy, Some(Busy::Sync { .. }));
        if self.sync.pulling.is_none() && !busy {
            self.sync.pulling = Some(self.head.cursor);
            return Some(Request::Pull {
                cursor: self.head.cursor,
                // The first answer after a failure has to come at once: it is what ends the bad news.
                wait: self.sync.caught_up && self.sync.error.is_none(),
            });
        }
        None
    }

    const fn may_send(&self) -> bool {
        let open = self.opened && !self.closed;
        self.config.sync && open && self.sync.leader && self.sync.online
    }

    /// The first verdicts are on disk.
    pub(super) fn acked(&mut self, count: usize) {
        for (id, attempt, position) in self.sync.acks.drain(..count).collect::<Vec<_>>() {
            let entry = self.queue.iter_mut().find(|entry| {
                entry.id() == id && entry.attempt() == attempt && entry.state == State::Pending
            });
            if let Some(entry) = entry {
                entry.state = State::Acked(position);
                self.receipt(id, ReceiptState::Acked(position));
                self.notices.push_back(Notice::Queue);
            }
        }
    }

    pub(super) fn after_confirm(&mut self) {
        let here = self.head.cursor.position;
        self.sync.caught_up = self.sync.server_head.is_some_and(|head| head <= here);
        self.unjudged = true;
        self.send_lost_again();
        self.rebuild_heads();
        self.status_changed();
    }

    /// An acked commit whose position was read without finding it there, or lies behind the server's end, goes back to
    /// pending: the history that took it is gone.
    pub(super) fn send_lost_again(&mut self) {
        let here = self.head.cursor.position;
        let at_end = self.sync.server_head.is_some_and(|head| head <= here);
        let here = if self.sync.leader && at_end {
            Position::new(u64::MAX)
        } else {
            here
        };
        for entry in &mut self.queue {
            if matches!(entry.state, State::Acked(position) if position <= here) {
                entry.state = State::Pending;
            }
        }
    }

    /// When to poll again even if nothing comes in.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let send = self.sync.next_at.filter(|_| self.may_send());
        let retry = self.disk.retry_at;
        let idle = self.disk.busy.is_none() && self.sync.page.is_none() && self.sync.leader;
        let confirm = self.disk.confirm_at.filter(|_| idle);
        // What has to be tried again comes first.
        let confirm = confirm.map(|at| retry.map_or(at, |retry| at.max(retry)));
        [send, retry, confirm].into_iter().flatten().min()
    }
}
