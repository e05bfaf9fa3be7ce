//! A replica that asks for a part of the log only.
//!
//! The store knows two filters: the one its log was read with (*kept*), and the one that is to take its place (*wanted*), as
//! whoever opened the database last asked. Where they differ, the log is read again from the beginning, but not before the
//! server has answered a pull: what is here stays on the screen as long as nothing can take its place, and a server that
//! was restored meanwhile is found first, as ever (`rewind.rs`). Then one transaction empties the log and notes the filter;
//! what is not confirmed stays as it is. A database that is still empty gets its filter at once.
//!
//! The same is done under the same filter where a pruned log stands on a state that an older build saved, which did not follow
//! the log's erasures: only the server has what came before it.
//!
//! Invariants:
//!
//! - What the filter asks for is here whole: a stream's versions have no holes, so a gap that hides one of its events shows
//!   with the next one.
//! - A stream outside the filter is not known, even if a commit on several streams brought some of its events: nothing is
//!   decided, appended or expected on it. What was pending on it when the filter became narrower is sent as it is, and the
//!   server judges it; if it conflicts, a person decides.
//!   What a gap hides cannot end a parked commit: it stays for that person, or until its streams are asked for again.
//! - A commit of this device that the filter leaves out is done when the log has passed the position that the server gave
//!   it: a gap stands for it.

use super::queue::{Entry, State, touched};
use super::write::Busy;
use super::{AppendError, Departing, ReceiptState, Replica, StoreRequest};
use crate::commit::Commit;
use crate::cursor::Cursor;
use crate::filter::Filter;
use crate::number::Position;
use crate::store::{Durability, Filters, StoreOp};
use crate::stream::StreamId;
use alloc::vec::Vec;

impl Replica {
    /// What the log here was read with: everything, or some kinds and streams. It is the one that was asked for
    /// ([`Config::filter`](super::Config::filter)), unless the log is still to be read again under another one.
    #[must_use]
    pub const fn filter(&self) -> &Filter {
        &self.filters.kept
    }

    /// What the log is to be read with next, if that is another filter: as soon as the server answers.
    #[must_use]
    pub fn next_filter(&self) -> Option<&Filter> {
        let asked = self.config.filter.as_ref();
        // What this tab asks for counts before the store has heard of it.
        let next = asked.filter(|_| !self.announced);
        let next = next.unwrap_or(&self.filters.wanted);
        (self.config.sync && self.filters.kept != *next).then_some(next)
    }

    /// Another tab has opened the database with another filter than this one asks for: the newer one counts.
    #[must_use]
    pub fn filter_replaced(&self) -> Option<&Filter> {
        let asked = self.config.filter.as_ref();
        let replaced = self.announced && asked.is_some_and(|asked| *asked != self.filters.wanted);
        (self.config.sync && replaced).then_some(&self.filters.wanted)
    }

    /// Is a stream known here, now and when the log has been read under the next filter?
    #[must_use]
    pub fn is_kept(&self, stream: &StreamId) -> bool {
        let next = self.next_filter().is_none_or(|next| next.wants(stream));
        next && self.filters.kept.wants(stream)
    }

    /// Refuses what is about a stream that is not known here.
    pub(super) fn check_kept<'s>(
        &self,
        mut streams: impl Iterator<Item = &'s StreamId>,
    ) -> Result<(), AppendError> {
        match streams.find(|stream| !self.is_kept(stream)) {
            None => Ok(()),
            Some(stream) => Err(AppendError::OutsideFilter {
                stream: stream.clone(),
                filter: self.next_filter().unwrap_or(&self.filters.kept).clone(),
            }),
        }
    }

    /// Is all known here that this commit is about?
    pub(super) fn is_judgeable(&self, commit: &Commit) -> bool {
        touched(commit).all(|stream| self.filters.kept.wants(stream))
    }

    /// Does a gap stand in the log for this commit of the queue?
    fn is_passed_over(&self, entry: &Entry) -> bool {
        let here = self.head.cursor.position;
        matches!(entry.state, State::Acked(position) if position <= here)
            && (!self.filters.kept.matches(&entry.local.commit)
                || self.sync.left_out.contains(&entry.id()))
    }

    /// Ends the commits that gaps stand for.
    pub(super) fn settle_passed_over(&mut self) {
        if !self.sync.leader || !self.queue.iter().any(|entry| self.is_passed_over(entry)) {
            return;
        }
        for entry in core::mem::take(&mut self.queue) {
            let State::Acked(position) = entry.state else {
                self.queue.push(entry);
                continue;
            };
            if !self.is_passed_over(&entry) {
                self.queue.push(entry);
                continue;
            }
            self.departing.push(Departing {
                id: entry.id(),
                location: entry.location,
                parked: None,
                listed: false,
            });
            self.sync.left_out.retain(|id| *id != entry.id());
            self.receipt(entry.id(), ReceiptState::Confirmed(position));
        }
        self.queue_changed();
    }

    /// Notes which filter is asked for, and begins again under it where that may be.
    pub(super) fn filter_request(&mut self) -> Option<StoreRequest> {
        if !self.config.sync {
            return None;
        }
        let asked = self.config.filter.as_ref();
        let news = asked.filter(|asked| !self.announced && **asked != self.filters.wanted);
        let announce = news.is_some();
        let wanted = news.unwrap_or(&self.filters.wanted).clone();
        self.announced |= !announce;
        let empty = self.head.cursor.position == Position::START;
        let unfollowed = self.erasing.unfollowed && self.sync.verified;
        let switch = unfollowed || (self.filters.kept != wanted && (empty || self.sync.verified));
        if !announce && !switch {
            return None;
        }
        let mut head = self.head;
        let mut filters = Filters {
            kept: self.filters.kept.clone(),
            wanted,
        };
        let mut ops = Vec::new();
        if switch {
            filters.kept = filters.wanted.clone();
            head.cursor = Cursor::default();
            ops.push(StoreOp::ClearLog);
        }
        ops.push(StoreOp::SetFilters {
            filters: filters.clone(),
        });
        let (batch, ops, head) = self.batch(head, ops, Durability::Strict);
        self.disk.busy = Some(Busy::Filter { ops, head, filters });
        Some(StoreRequest::Write(batch))
    }
}
