//! Talking to the server: who does it, when, and when again.
//!
//! One tab of a device does it, the leader, but no lock can promise that there is only one: a tab that was frozen wakes as the
//! leader that it was, and may go on for a moment before it hears that another took over. Two leaders do no harm as long as
//! each sends what was true of the database at one moment after the last answer it acts upon. Then a late push of a former
//! leader is what any push may be, one that was long on its way: of an attempt that the server has taken it gets the
//! receipt, and what made another tab decide an attempt anew, the confirmed log, makes the server refuse the old one.
//!
//! So a push is made only on a *fresh* view: one that the database itself confirmed a moment ago, by a write of this tab that
//! its generation let through, by a load, or by a look at the head ([`StoreRequest::Head`]) where neither has just been. An
//! answer ends it, because what follows from the answer is to be sent on a view of its own; so does time, because a tab that
//! was frozen in between has slept through what others wrote. Without this a former leader could take a receipt for an
//! attempt that it does not know, and send behind it what another tab has stamped anew since.

use super::pull::Page;
use super::push::{Room, Sent};
use super::queue::{Entry, State, find_from};
use super::retry::Lane;
use super::write::Busy;
use super::{Notice, ReceiptState, Replica, Request, StoreRequest, SyncError};
use crate::filter::Filter;
use crate::id::{CommitId, Epoch, ReplicaId};
use crate::number::{Attempt, Position, Timestamp};
use crate::store::Head;
use alloc::vec::Vec;

/// How long a view counts as fresh: it is used at once or not at all.
const FRESH_MILLIS: i64 = 1_000;

#[derive(Debug)]
pub(super) struct Sync {
    pub(super) leader: bool,
    pub(super) online: bool,
    pub(super) pushing: Option<Sent>,
    /// The filter of the pull that is under way.
    pub(super) pulling: Option<Filter>,
    pub(super) acks: Vec<(CommitId, Attempt, Position)>,
    /// Acked commits that the server left out for the filter, whatever their events are here: another attempt of them was accepted.
    pub(super) left_out: Vec<CommitId>,
    pub(super) page: Option<Page>,
    pub(super) server_head: Option<Position>,
    pub(super) caught_up: bool,
    pub(super) push: Lane,
    pub(super) pull: Lane,
    pub(super) room: Room,
    /// Another tab has appended, and what waits for caution only is to wait less.
    pub(super) hurry: bool,
    /// When the database last said that this view is its content.
    fresh: Option<Timestamp>,
    pub(super) rewind: super::rewind::Rewind,
    /// The server has answered a pull from this cursor, which the log may leave for another filter.
    pub(super) verified: bool,
    /// The history that was left last: answers that still come from it count for nothing.
    pub(super) left: Option<Epoch>,
    random: u64,
}

impl Sync {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            leader: false,
            online: true,
            pushing: None,
            pulling: None,
            acks: Vec::new(),
            left_out: Vec::new(),
            page: None,
            server_head: None,
            caught_up: false,
            push: Lane::default(),
            pull: Lane::default(),
            room: Room::default(),
            hurry: false,
            fresh: None,
            rewind: super::rewind::Rewind::No,
            verified: false,
            left: None,
            // Zero would stay zero; any other two seeds are two sequences.
            random: seed.max(1),
        }
    }

    /// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016).
    pub(super) fn random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn push_failed(&mut self, now: Timestamp, error: SyncError) {
        let random = self.random();
        self.push.failed(now, random, error);
    }

    pub(super) fn pull_failed(&mut self, now: Timestamp, error: SyncError) {
        let random = self.random();
        self.pull.failed(now, random, error);
    }

    /// A push was answered. What kept pulls from the server may be over too.
    pub(super) fn push_succeeded(&mut self) -> bool {
        let recovered = self.push.succeeded();
        if recovered {
            self.pull.kick();
        }
        recovered
    }

    /// A pull was answered. What kept pushes from the server may be over too.
    pub(super) fn pull_succeeded(&mut self) {
        if self.pull.succeeded() {
            self.push.kick();
        }
    }

    pub(super) fn kick(&mut self) {
        self.push.kick();
        self.pull.kick();
        self.room.kick();
        self.fresh = None;
    }

    /// The database has just said that what this tab knows is so.
    pub(super) const fn refreshed(&mut self, now: Timestamp) {
        self.fresh = Some(now);
    }

    /// What is known since is not from the database.
    pub(super) const fn stale(&mut self) {
        self.fresh = None;
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        let ends = |at: Timestamp| at.plus_millis(FRESH_MILLIS);
        self.fresh.is_some_and(|at| at <= now && now < ends(at))
    }

    pub(super) fn restart(&mut self) {
        self.page = None;
        self.acks.clear();
        self.left_out.clear();
        self.pushing = None;
        self.pulling = None;
        self.server_head = None;
        self.caught_up = false;
        self.rewind = super::rewind::Rewind::No;
        self.verified = false;
        self.push = Lane::default();
        self.pull = Lane::default();
        self.fresh = None;
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
            self.sync.push = Lane::default();
            self.sync.pull = Lane::default();
            self.sync.room = Room::default();
            self.sync.stale();
            self.disk.load = true;
            self.unjudged = true;
            self.status_changed();
        }
    }

    /// The platform says whether there is a network.
    pub fn handle_online(&mut self, _now: Timestamp, online: bool) {
        if online {
            // Also when it was thought to be there: a server that was away may be back with the network.
            self.sync.kick();
        }
        if self.sync.online != online {
            self.sync.online = online;
            self.status_changed();
        }
    }

    /// The next request to send: at most one push and one pull are under way.
    pub fn poll_send(&mut self, now: Timestamp) -> Option<Request> {
        if !self.may_send() {
            return None;
        }
        if core::mem::take(&mut self.sync.hurry) {
            self.sync.push.hurry(now);
        }
        self.sync.room.look(now);
        let push = self.sync.push.is_free(now) && self.sync.is_fresh(now);
        let pull = self.sync.pull.is_free(now);
        if self.disk.load || self.disk.reopen || !self.sync.rewind.is_no() {
            return None;
        }
        self.judge();
        // What waits to be judged might be sent behind a commit that is about to leave its place.
        if push
            && self.sync.pushing.is_none()
            && self.is_judged()
            && let Some(push) = self.push()
        {
            // What comes next is sent on another look.
            self.sync.stale();
            return Some(push);
        }
        let busy = self.sync.page.is_some() || matches!(self.disk.busy, Some(Busy::Sync { .. }));
        if pull && self.sync.pulling.is_none() && !busy {
            self.sync.pulling = Some(self.filters.wanted.clone());
            return Some(Request::Pull {
                cursor: self.head.cursor,
                filter: self.filters.wanted.clone(),
                // The first answer after a failure has to come at once: it is what ends the bad news.
                wait: self.sync.caught_up
                    && self.sync.pull.error().is_none()
                    && self.next_filter().is_none(),
            });
        }
        None
    }

    /// A look at the head: before a push, if this view was not confirmed just now, or because of a hint that does not fit it.
    pub(super) fn head_request(&mut self, now: Timestamp) -> Option<StoreRequest> {
        self.sync.room.look(now);
        let wanted = self.may_send()
            && self.is_judged()
            && self.sync.pushing.is_none()
            && !self.sync.is_fresh(now)
            && self.sync.push.is_free(now)
            && !self.next_push().is_empty();
        let hinted = core::mem::take(&mut self.disk.look);
        (wanted || hinted).then(|| {
            self.disk.busy = Some(Busy::Head);
            StoreRequest::Head
        })
    }

    /// The answer to [`StoreRequest::Head`].
    pub fn handle_head(&mut self, now: Timestamp, replica: ReplicaId, head: Head) {
        if !matches!(self.disk.busy, Some(Busy::Head)) {
            return;
        }
        self.disk.busy = None;
        if replica == self.id && head.generation == self.head.generation {
            self.sync.refreshed(now);
        } else {
            self.disk.load = true;
        }
    }

    const fn may_send(&self) -> bool {
        let open = self.opened && !self.closed;
        self.config.sync && open && self.sync.leader && self.sync.online
    }

    /// The first verdicts are on disk.
    pub(super) fn acked(&mut self, count: usize) {
        let (mut next, mut changed) = (0, false);
        for (id, attempt, position) in self.sync.acks.drain(..count).collect::<Vec<_>>() {
            let place = find_from(&self.queue, next, |entry| {
                entry.id() == id && entry.attempt() == attempt && entry.state == State::Pending
            });
            let Some(place) = place else { continue };
            next = place + 1;
            if let Some(entry) = self.queue.get_mut(place) {
                entry.state = State::Acked(position);
                self.receipt(id, ReceiptState::Acked(position));
                changed = true;
            }
        }
        if changed {
            self.notices.push_back(Notice::Queue);
        }
        self.settle_passed_over();
    }

    pub(super) fn after_confirm(&mut self) {
        let here = self.head.cursor.position;
        self.sync.caught_up = self.sync.server_head.is_some_and(|head| head <= here);
        self.unjudged = true;
        self.send_lost_again();
        self.forget_other_refusals();
        self.forget_push_trouble();
        self.renew_heads();
        self.status_changed();
    }

    /// What kept commits from being sent is over if none of them is left, whatever took them: a pull that confirmed those whose
    /// receipt was lost, a conflict, a verdict. No later push would say so.
    pub(super) fn forget_push_trouble(&mut self) {
        let queue = &self.queue;
        let is_queued = |id: CommitId| queue.iter().any(|entry| entry.id() == id);
        self.sync.room.keep(is_queued);
        if queue.iter().all(Entry::is_acked) {
            self.sync.push.settled();
        }
    }

    /// What another history refused is sent again: as long as nothing of the log has been read, a server may be put back unnoticed, and
    /// the conflict that it spoke of may never come.
    pub(super) fn forget_other_refusals(&mut self) {
        let here = self.head.cursor;
        if here.position > Position::START {
            for entry in &mut self.queue {
                entry.refused.take_if(|refused| refused.epoch != here.epoch);
            }
        }
    }

    /// An acked commit whose position was read without finding it there, or lies behind the server's end, goes back to
    /// pending: the history that took it is gone. For one that the filter leaves out, a gap stands there.
    pub(super) fn send_lost_again(&mut self) {
        let here = self.head.cursor.position;
        let at_end = self.sync.server_head.is_some_and(|head| head <= here);
        let here = if self.sync.leader && at_end {
            Position::new(u64::MAX)
        } else {
            here
        };
        self.settle_passed_over();
        let (kept, left_out) = (&self.filters.kept, &self.sync.left_out);
        for entry in &mut self.queue {
            let lost = matches!(entry.state, State::Acked(position) if position <= here);
            if lost && kept.matches(&entry.local.commit) && !left_out.contains(&entry.id()) {
                entry.state = State::Pending;
            }
        }
    }

    /// When to poll again even if nothing comes in.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let lanes = [
            self.sync.push.next_at(),
            self.sync.pull.next_at(),
            self.sync.room.next_at(),
        ];
        let send = lanes
            .into_iter()
            .flatten()
            .min()
            .filter(|_| self.may_send());
        let retry = self.disk.retry_at;
        let idle = self.disk.busy.is_none() && self.sync.page.is_none() && self.sync.leader;
        let confirm = self.disk.confirm_at.filter(|_| idle);
        // What has to be tried again comes first.
        let confirm = confirm.map(|at| retry.map_or(at, |retry| at.max(retry)));
        [send, retry, confirm].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::Sync;

    #[test]
    fn any_two_seeds_draw_other_numbers() {
        let first = |seed| {
            [(); 4].map({
                let mut sync = Sync::new(seed);
                move |()| sync.random()
            })
        };
        for seed in 1..100 {
            assert_ne!(first(seed), first(seed + 1), "seeds {seed} and the next");
        }
        assert!(first(0).iter().all(|number| *number != 0), "stuck at zero");
    }
}
