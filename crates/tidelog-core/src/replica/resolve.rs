//! Conflicts: noticed as early as possible, and resolved by each commit's own policy.

use super::parked::collisions;
use super::queue::{Entry, Heads, State, touched};
use super::write::Busy;
use super::{
    AppendError, Decision, Departing, Notice, ParkReason, Parked, Question, ReceiptState, Replica,
};
use crate::authority::unmet;
#[cfg(feature = "canaries")]
use crate::canary::Canary;
use crate::commit::{Commit, CommitError, Local, Policy};
use crate::condition::{Condition, Conflict};
use crate::event::Event;
use crate::expected::Expected;
use crate::id::{CommitId, EventId};
use crate::map::Set;
use crate::number::Attempt;
use crate::stream::{StreamHead, StreamId};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A commit that was decided so often without success is for a person to look at.
const MAX_ATTEMPTS: u32 = 64;

/// How far the queue has been judged: everything before `index` is as it will be.
#[derive(Debug, Default)]
pub(super) struct Walk {
    index: usize,
    /// What shows of the queue before it.
    heads: Heads,
    /// Streams with a commit that goes back to the end of the line: what comes after it there must follow.
    moved: Set<StreamId>,
    changed: bool,
}

impl Replica {
    /// Is every commit of the queue on top of what is confirmed, or told why it cannot be?
    pub(super) const fn is_judged(&self) -> bool {
        !self.unjudged && self.walk.is_none()
    }

    /// Walks the queue on top of the confirmed log and resolves every commit whose conditions no longer hold. Rests where the
    /// host must decide, and goes on from there after its answer: O(queue) in all, however many are decided again, unless
    /// the confirmed log moves meanwhile; then it begins anew.
    pub(super) fn judge(&mut self) {
        let busy = matches!(
            self.disk.busy,
            Some(Busy::Append { .. } | Busy::Filter { .. } | Busy::Rewind { .. })
        );
        let blind = self.disk.load || self.disk.reopen || !self.opened;
        if self.is_judged() || self.asked.is_some() || busy || blind {
            return;
        }
        let mut walk = self.walk.take().unwrap_or_default();
        if core::mem::take(&mut self.unjudged) {
            walk = Walk {
                changed: walk.changed,
                ..Walk::default()
            };
        }
        if let Some((id, conflicts)) = self.walk_on(&mut walk) {
            self.walk = Some(walk);
            self.heads_stale = true;
            self.ask(id, conflicts);
            return;
        }
        if walk.changed {
            self.queue_changed();
        } else {
            self.heads = walk.heads;
            self.heads_stale = false;
        }
        if let Some(id) = self.retries.pop_front() {
            self.unjudged = true;
            if self.entry(id).is_none()
                && let Some(Parked {
                    local, conflicts, ..
                }) = self.parked.get(&id).cloned()
            {
                self.put_question(&local, local.commit.attempt.next_row(), conflicts);
            }
        }
    }

    /// Goes on until the end, or to a commit that the host must decide about, with its broken conditions.
    fn walk_on(&mut self, walk: &mut Walk) -> Option<(CommitId, Vec<Conflict>)> {
        while let Some(entry) = self.queue.get(walk.index) {
            let conflicts = self.conflicts(entry, &walk.heads);
            let resolvable = entry.location.is_none() || self.sync.leader || !self.config.sync;
            let keeps = entry.is_acked()
                || !resolvable
                || matches!(entry.state, State::Writing | State::Unresolved);
            match conflicts.filter(|_| !keeps) {
                None => {
                    // Also in a tab that led until now: what it moves must not overtake what another tab wrote.
                    let follows = entry.touched().any(|stream| walk.moved.contains(stream));
                    #[cfg(feature = "canaries")]
                    let follows = follows && !self.planted(Canary::NotStampedAgain);
                    if follows && entry.state == State::Pending {
                        walk.changed = true;
                        self.set_unwritten(walk.index);
                    }
                }
                Some(conflicts) => match self.policy_of(&entry.local, &conflicts) {
                    Policy::Rebase => {
                        walk.changed = true;
                        self.renew(walk.index, &walk.heads);
                    }
                    Policy::Rerun | Policy::Merge => return Some((entry.id(), conflicts)),
                    Policy::Ask => {
                        walk.changed = true;
                        self.park(walk.index, ParkReason::Conflict, conflicts);
                        continue;
                    }
                },
            }
            if let Some(entry) = self.queue.get(walk.index) {
                if entry.state == State::Unwritten && entry.location.is_some() {
                    let written = entry.local.commit.events.iter();
                    walk.moved.extend(written.map(|event| event.stream.clone()));
                }
                walk.heads.put(&entry.local.commit, &self.confirmed);
            }
            walk.index += 1;
        }
        None
    }

    /// The conditions of a commit that do not hold: none if all is well, empty if only the server knows why.
    pub(super) fn conflicts(&self, entry: &Entry, heads: &Heads) -> Option<Vec<Conflict>> {
        let mut unmet = unmet(&entry.local.commit, |stream| {
            heads.of(stream, &self.confirmed)
        });
        // What is not known here is for the server to judge.
        unmet.retain(|conflict| self.filters.kept.wants(&conflict.stream));
        if self.config.sync && !self.sync.caught_up {
            // A stream that is shorter than expected may only not have been read that far yet.
            unmet.retain(|conflict| match conflict.expected {
                Expected::Exact { exact, .. } => exact <= conflict.actual,
                Expected::Exists => false,
                Expected::Any | Expected::NoStream => true,
            });
        }
        if !unmet.is_empty() {
            return Some(unmet);
        }
        // A refusal counts only once everything that caused it is here; until then a pull may show it.
        match &entry.refused {
            Some(refused) if refused.head <= self.head.cursor.position => {
                Some(refused.conflicts.clone())
            }
            _ => None,
        }
    }

    /// What is to be done about a commit that breaks these conditions. What is about streams that are not known here cannot be
    /// decided here.
    fn policy_of(&self, local: &Local, conflicts: &[Conflict]) -> Policy {
        match self.is_judgeable(&local.commit) {
            true => policy_of(local, conflicts),
            false => Policy::Ask,
        }
    }

    /// Why a decision cannot stand: it writes or reads a stream that is not known here.
    fn outside_of(&self, events: &[Event], reads: Option<&[StreamId]>) -> Option<AppendError> {
        let read = reads.unwrap_or_default().iter();
        self.check_kept(streams_of(events).chain(read)).err()
    }

    fn set_unwritten(&mut self, index: usize) {
        if let Some(entry) = self.queue.get_mut(index) {
            entry.state = State::Unwritten;
        }
    }

    /// The next attempt of a commit: the same events, expecting what there is now.
    fn renew(&mut self, index: usize, heads: &Heads) {
        let confirmed = &self.confirmed;
        if let Some(entry) = self.queue.get_mut(index) {
            let commit = &mut entry.local.commit;
            commit.attempt = commit.attempt.next();
            expect_now(commit, |stream| heads.of(stream, confirmed));
            #[cfg(feature = "canaries")]
            if self.config.canary == Some(Canary::SameAttempt) {
                let raised = entry.local.commit.attempt.value();
                entry.local.commit.attempt = Attempt::new(raised - 1);
            }
            entry.state = State::Unwritten;
            entry.refused = None;
        }
    }

    /// Puts the question about a commit of the queue to the host.
    fn ask(&mut self, id: CommitId, conflicts: Vec<Conflict>) {
        let place = self.place(id);
        if let Some(entry) = place.and_then(|place| self.queue.get(place)) {
            let local = entry.local.clone();
            let attempt = local.commit.attempt.next();
            self.put_question(&local, attempt, conflicts);
        }
    }

    fn put_question(&mut self, local: &Local, attempt: Attempt, conflicts: Vec<Conflict>) {
        let commit = &local.commit;
        let occurred_at = commit
            .events
            .first()
            .map_or_else(Default::default, |event| event.occurred_at);
        self.questions = self.questions.wrapping_add(1);
        let question = Question {
            id: commit.id,
            number: self.questions,
        };
        let notice = match (policy_of(local, &conflicts), &local.command) {
            (Policy::Merge, _) => Notice::Merge {
                question,
                attempt,
                events: commit.events.clone(),
                collisions: collisions(&conflicts),
                occurred_at,
            },
            (_, Some(command)) => Notice::Rerun {
                question,
                attempt,
                command: command.clone(),
                occurred_at,
                before: self.head_before(&command.stream),
            },
            (_, None) => return,
        };
        self.asked = Some(question);
        self.asked_conflicts = conflicts;
        self.notices.push_back(notice);
    }

    /// The end of a stream before the commit that the host is asked about.
    fn head_before(&self, stream: &StreamId) -> Option<StreamHead> {
        match &self.walk {
            Some(walk) => walk.heads.of(stream, &self.confirmed),
            None => self.shown_head(stream),
        }
    }

    /// Events of the queue on a stream before a commit, oldest first, with their identities; all of them if the commit is not in
    /// the queue. With the confirmed state they give what a decision about that commit is made on.
    pub fn queued_before<'r>(
        &'r self,
        id: CommitId,
        stream: &'r StreamId,
    ) -> impl Iterator<Item = (EventId, &'r Event)> {
        // The walk knows without a look at each commit that most streams have none.
        let none = self.walk.as_ref().is_some_and(|walk| {
            self.asked.is_some_and(|asked| asked.id == id) && !walk.heads.has(stream)
        });
        let entries = if none { &[] } else { self.queue.as_slice() };
        entries
            .iter()
            .take_while(move |entry| entry.id() != id)
            .flat_map(move |entry| {
                let commit = &entry.local.commit;
                let events = commit.events.iter().enumerate();
                events
                    .filter(move |(_, event)| &event.stream == stream)
                    .map(|(index, event)| (commit.event_id(index), event))
            })
    }

    /// The state that the host was to decide on has changed: it is asked again.
    pub(super) fn cancel_question(&mut self) {
        self.unjudged |= self.walk.is_some();
        let Some(Question { id, .. }) = self.asked.take() else {
            return;
        };
        self.asked_conflicts.clear();
        self.unjudged = true;
        self.notices
            .retain(|notice| !matches!(notice, Notice::Rerun { .. } | Notice::Merge { .. }));
        if self.entry(id).is_none() && self.parked.contains_key(&id) {
            self.retries.push_front(id);
        }
    }

    /// The answer to [`Notice::Rerun`] or [`Notice::Merge`]. One to a question that does not stand any more is ignored.
    pub fn decide(&mut self, question: Question, decision: Decision) {
        if self.asked != Some(question) {
            return;
        }
        self.asked = None;
        let id = question.id;
        let conflicts = core::mem::take(&mut self.asked_conflicts);
        let index = self.place(id);
        let decided = match decision {
            Decision::Events(events) => Ok((events, None)),
            Decision::Decided { events, reads } => Ok((events, Some(reads))),
            Decision::Refused { code, message } => Err(ParkReason::Refused { code, message }),
            Decision::Ask => Err(ParkReason::Conflict),
            Decision::UnknownCommand => Err(ParkReason::UnknownCommand),
        };
        let reason = match decided {
            Ok((events, _)) if events.is_empty() => return self.nothing_to_do(id, index),
            Ok((events, reads)) if self.outside_of(&events, reads.as_deref()).is_some() => {
                let outside = self.outside_of(&events, reads.as_deref());
                ParkReason::Refused {
                    code: String::from("outside_filter"),
                    message: outside.map(|error| error.to_string()).unwrap_or_default(),
                }
            }
            Ok((events, reads)) => match self.redecided(id, index, events, reads) {
                Ok(()) => return,
                Err(error) => ParkReason::Refused {
                    code: String::from("invalid_commit"),
                    message: error.to_string(),
                },
            },
            Err(reason) => reason,
        };
        match index {
            Some(index) => self.park(index, reason, conflicts),
            None => self.park_again(id, reason),
        }
        self.queue_touched();
    }

    /// Where a commit is in the queue.
    fn place(&self, id: CommitId) -> Option<usize> {
        let here = self.walk.as_ref().map(|walk| walk.index);
        let here = here.filter(|at| self.queue.get(*at).is_some_and(|entry| entry.id() == id));
        here.or_else(|| self.queue.iter().position(|entry| entry.id() == id))
    }

    /// A commit changed or left the queue where it is being judged: that is told once, at the end of the queue.
    fn queue_touched(&mut self) {
        match &mut self.walk {
            Some(walk) => {
                walk.changed = true;
                self.heads_stale = true;
            }
            None => self.queue_changed(),
        }
    }

    fn nothing_to_do(&mut self, id: CommitId, index: Option<usize>) {
        let entry = index.map(|index| self.queue.remove(index));
        let listed = entry.as_ref().is_none_or(|entry| entry.revived);
        let location = entry.and_then(|entry| entry.location);
        if location.is_some() || listed {
            self.departing.push(Departing {
                id,
                location,
                parked: None,
                listed,
            });
        }
        self.receipt(id, ReceiptState::Confirmed(self.head.cursor.position));
        self.queue_touched();
    }

    /// Puts newly decided events in the commit's place, or at the end if it was parked. `reads`: other streams that they were
    /// decided on, if it is known.
    fn redecided(
        &mut self,
        id: CommitId,
        index: Option<usize>,
        events: Vec<Event>,
        reads: Option<Vec<StreamId>>,
    ) -> Result<(), CommitError> {
        let local = match index.and_then(|index| self.queue.get(index)) {
            Some(entry) => &entry.local,
            None => match self.parked.get(&id) {
                Some(parked) => &parked.local,
                None => return Ok(()),
            },
        };
        let mut local = local.clone();
        if let Some(reads) = reads {
            replace_reads(&mut local, reads);
        }
        replace_events(&mut local.commit, events);
        local.commit.attempt = match index {
            Some(_) => local.commit.attempt.next(),
            None => local.commit.attempt.next_row(),
        };
        let walked = index.is_some() && index == self.walk.as_ref().map(|walk| walk.index);
        match index.filter(|_| !walked) {
            Some(index) => {
                let mut heads = Heads::default();
                for entry in self.queue.iter().take(index) {
                    heads.put(&entry.local.commit, &self.confirmed);
                }
                expect_now(&mut local.commit, |stream| {
                    heads.of(stream, &self.confirmed)
                });
            }
            None if walked => expect_now(&mut local.commit, |stream| self.head_before(stream)),
            None => expect_now(&mut local.commit, |stream| self.shown_head(stream)),
        }
        local.commit.check()?;
        match index.and_then(|index| self.queue.get_mut(index)) {
            Some(entry) => {
                entry.local = local;
                entry.state = State::Unwritten;
                entry.refused = None;
            }
            None => self.revive(local),
        }
        self.queue_touched();
        Ok(())
    }

    /// Takes a commit out of the state and keeps it with the reason.
    pub(super) fn park(&mut self, index: usize, reason: ParkReason, conflicts: Vec<Conflict>) {
        let entry = self.queue.remove(index);
        self.departing.push(Departing {
            id: entry.id(),
            location: entry.location,
            parked: Some(Parked {
                local: entry.local,
                reason,
                conflicts,
            }),
            listed: entry.revived,
        });
    }

    fn park_again(&mut self, id: CommitId, reason: ParkReason) {
        if let Some(parked) = self.parked.get(&id) {
            let parked = Parked {
                reason,
                ..parked.clone()
            };
            self.departing.push(Departing {
                id,
                location: None,
                parked: Some(parked),
                listed: true,
            });
        }
    }

    fn revive(&mut self, local: Local) {
        self.queue.push(Entry {
            local,
            state: State::Unwritten,
            location: None,
            refused: None,
            only_copy: false,
            revived: true,
        });
    }

    fn parked_local(&self, id: CommitId) -> Result<&Local, AppendError> {
        self.check_open()?;
        let leaving = self.departing.iter().any(|departing| departing.id == id);
        match self.parked.get(&id) {
            Some(parked) if !leaving && self.entry(id).is_none() => Ok(&parked.local),
            _ => Err(AppendError::NotParked { id }),
        }
    }

    /// Resolves a parked commit: its command is decided again on what is shown now, or merged with it if that is its policy.
    /// One without a command that cannot be merged is rebased.
    ///
    /// # Errors
    /// [`AppendError::NotParked`] if there is none of this id; [`AppendError::OutsideFilter`] if its streams are not known here.
    pub fn retry(&mut self, id: CommitId) -> Result<(), AppendError> {
        let local = self.parked_local(id)?;
        self.check_kept(touched(&local.commit))?;
        let conflicts = self.parked.get(&id).map(|parked| &parked.conflicts);
        let merges = conflicts.is_some_and(|conflicts| merges(local, conflicts));
        if local.command.is_none() && !merges {
            return self.rebase(id);
        }
        if !self.retries.contains(&id) {
            self.retries.push_back(id);
        }
        self.unjudged = true;
        Ok(())
    }

    /// Resolves a parked commit: its events are appended as they are, expecting what is shown now.
    ///
    /// # Errors
    /// [`AppendError::NotParked`] if there is none of this id; [`AppendError::OutsideFilter`] if its streams are not known here.
    pub fn rebase(&mut self, id: CommitId) -> Result<(), AppendError> {
        let mut local = self.parked_local(id)?.clone();
        self.check_kept(touched(&local.commit))?;
        local.commit.attempt = local.commit.attempt.next_row();
        expect_now(&mut local.commit, |stream| self.shown_head(stream));
        self.revive(local);
        self.queue_changed();
        Ok(())
    }

    /// Resolves a parked commit: these events, merged or edited by somebody, are appended in place of its own, expecting what is
    /// shown now on all streams that it had a condition on and on those they write.
    ///
    /// # Errors
    /// [`AppendError::NotParked`] if there is none of this id; [`AppendError::OutsideFilter`] if streams of either side are not
    /// known here; [`AppendError::Commit`] if the events are no commit. Then nothing has
    /// changed.
    pub fn replace(&mut self, id: CommitId, events: Vec<Event>) -> Result<(), AppendError> {
        let local = self.parked_local(id)?;
        self.check_kept(touched(&local.commit).chain(streams_of(&events)))?;
        self.redecided(id, None, events, None)?;
        Ok(())
    }

    /// Resolves a parked commit: it is dropped for good. Gone when the store says so.
    ///
    /// # Errors
    /// [`AppendError::NotParked`] if there is none of this id.
    pub fn discard(&mut self, id: CommitId) -> Result<(), AppendError> {
        self.parked_local(id)?;
        self.departing.push(Departing {
            id,
            location: None,
            parked: None,
            listed: true,
        });
        Ok(())
    }
}

fn streams_of(events: &[Event]) -> impl Iterator<Item = &StreamId> {
    events.iter().map(|event| &event.stream)
}

/// What is to be done about a commit that breaks these conditions; none if only the server knows which.
fn policy_of(local: &Local, conflicts: &[Conflict]) -> Policy {
    let decided = match local.command {
        Some(_) => Policy::Rerun,
        None => Policy::Ask,
    };
    match local.policy {
        _ if local.commit.attempt.in_row() >= MAX_ATTEMPTS => Policy::Ask,
        Policy::Rerun => decided,
        Policy::Merge if merges(local, conflicts) => Policy::Merge,
        Policy::Merge => decided,
        policy @ (Policy::Rebase | Policy::Ask) => policy,
    }
}

/// Can it be merged? There must be something to merge with, and it must have events of its own wherever others were faster.
fn merges(local: &Local, conflicts: &[Conflict]) -> bool {
    let written = |stream: &StreamId| {
        let mut events = local.commit.events.iter();
        events.any(|event| &event.stream == stream)
    };
    local.policy == Policy::Merge
        && !collisions(conflicts).is_empty()
        && conflicts.iter().all(|conflict| written(&conflict.stream))
}

/// Leaves the commit with conditions on its command's stream and on these, and on no other.
fn replace_reads(local: &mut Local, reads: Vec<StreamId>) {
    let mut read = reads;
    read.extend(local.command.iter().map(|command| command.stream.clone()));
    let conditions = &mut local.commit.conditions;
    conditions.retain(|known| read.contains(&known.stream));
    for stream in &read {
        watch(&mut local.commit, stream);
    }
}

/// Gives the commit other events. Every stream they write gets a condition.
fn replace_events(commit: &mut Commit, events: Vec<Event>) {
    for event in &events {
        watch(commit, &event.stream);
    }
    commit.events = events;
}

/// Makes sure that the commit has a condition on a stream; what it expects there is for [`expect_now`] to say.
fn watch(commit: &mut Commit, stream: &StreamId) {
    let conditions = &mut commit.conditions;
    if conditions.iter().all(|known| &known.stream != stream) {
        conditions.push(Condition {
            stream: stream.clone(),
            expected: Expected::NoStream,
        });
    }
}

/// Makes every condition expect what its stream is now.
fn expect_now(commit: &mut Commit, head_of: impl Fn(&StreamId) -> Option<StreamHead>) {
    for condition in &mut commit.conditions {
        if condition.expected != Expected::Any {
            condition.expected = Expected::seen(head_of(&condition.stream).as_ref());
        }
    }
}
