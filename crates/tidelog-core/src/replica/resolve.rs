//! Conflicts: noticed as early as possible, and resolved by each commit's own policy.

use super::queue::{Entry, Heads, State};
use super::write::Busy;
use super::{
    AppendError, Departing, Notice, ParkReason, Parked, ReceiptState, Replica, RerunAnswer,
};
use crate::authority::unmet;
use crate::commit::{Commit, Local, Policy};
use crate::condition::{Condition, Conflict};
use crate::expected::Expected;
use crate::id::CommitId;
use crate::map::Set;
use crate::number::Attempt;
use crate::stream::{StreamHead, StreamId};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A commit that was decided so often without success is for a person to look at.
const MAX_ATTEMPTS: Attempt = Attempt::new(64);

impl Replica {
    /// Walks the queue on top of the confirmed log and resolves every commit whose conditions no longer hold. Stops where a
    /// command must be decided again, and goes on after the answer.
    pub(super) fn judge(&mut self) {
        let busy = matches!(
            self.disk.busy,
            Some(Busy::Append { .. } | Busy::Rewind { .. })
        );
        let blind = self.disk.load || self.disk.reopen || !self.opened;
        if !self.unjudged || self.rerun.is_some() || busy || blind {
            return;
        }
        self.unjudged = false;
        let mut heads = Heads::default();
        // Streams with a commit that goes back to the end of the line: what comes after it there must follow.
        let mut moved: Set<StreamId> = Set::new();
        let mut changed = false;
        let mut index = 0;
        while let Some(entry) = self.queue.get(index) {
            let conflicts = self.conflicts(entry, &heads);
            let resolvable = entry.location.is_none() || self.sync.leader || !self.config.sync;
            let keeps = entry.is_acked()
                || !resolvable
                || matches!(entry.state, State::Writing | State::Unresolved);
            let resolution = match conflicts {
                Some(conflicts) if !keeps && entry.attempt() >= MAX_ATTEMPTS => {
                    Some((Policy::Ask, conflicts))
                }
                Some(conflicts) if !keeps => Some((entry.local.policy, conflicts)),
                _ => None,
            };
            match resolution {
                None => {
                    // Also in a tab that led until now: what it moves must not overtake what another tab wrote.
                    let follows = entry.touched().any(|stream| moved.contains(stream));
                    if follows && entry.state == State::Pending {
                        changed = true;
                        self.set_unwritten(index);
                    }
                }
                Some((Policy::Rebase, _)) => {
                    changed = true;
                    self.renew(index, &heads);
                }
                Some((Policy::Rerun, conflicts)) if entry.local.command.is_some() => {
                    let id = entry.id();
                    self.unjudged = true;
                    self.queue_changed();
                    self.ask_rerun(id, conflicts);
                    return;
                }
                Some((Policy::Rerun | Policy::Ask, conflicts)) => {
                    changed = true;
                    self.park(index, ParkReason::Conflict, conflicts);
                    continue;
                }
            }
            if let Some(entry) = self.queue.get(index) {
                if entry.state == State::Unwritten && entry.location.is_some() {
                    let written = entry.local.commit.events.iter();
                    moved.extend(written.map(|event| event.stream.clone()));
                }
                heads.put(&entry.local.commit, &self.confirmed);
            }
            index += 1;
        }
        if changed {
            self.queue_changed();
        }
        if let Some(id) = self.retries.pop_front() {
            self.unjudged = true;
            if self.parked.contains_key(&id) && self.entry(id).is_none() {
                self.ask_rerun(id, Vec::new());
            }
        }
    }

    /// The conditions of a commit that do not hold: none if all is well, empty if only the server knows why.
    fn conflicts(&self, entry: &Entry, heads: &Heads) -> Option<Vec<Conflict>> {
        let mut unmet = unmet(&entry.local.commit, |stream| {
            heads.of(stream, &self.confirmed)
        });
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
            Some((conflicts, at)) if *at <= self.head.cursor.position => Some(conflicts.clone()),
            _ => None,
        }
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
            next_attempt(&mut entry.local.commit, |stream| {
                heads.of(stream, confirmed)
            });
            entry.state = State::Unwritten;
            entry.refused = None;
        }
    }

    fn ask_rerun(&mut self, id: CommitId, conflicts: Vec<Conflict>) {
        let local = match self.entry(id) {
            Some(entry) => &entry.local,
            None => match self.parked.get(&id) {
                Some(parked) => &parked.local,
                None => return,
            },
        };
        let Some(command) = local.command.clone() else {
            return;
        };
        let attempt = local.commit.attempt.next();
        let occurred_at = local
            .commit
            .events
            .first()
            .map_or_else(Default::default, |event| event.occurred_at);
        self.rerun = Some(id);
        self.rerun_conflicts = conflicts;
        self.notices.push_back(Notice::Rerun {
            id,
            attempt,
            command,
            occurred_at,
        });
    }

    /// The state that a command was to be decided on has changed: it is asked again.
    pub(super) fn cancel_rerun(&mut self) {
        let Some(id) = self.rerun.take() else { return };
        self.rerun_conflicts.clear();
        self.unjudged = true;
        self.notices
            .retain(|notice| !matches!(notice, Notice::Rerun { .. }));
        if self.entry(id).is_none() && self.parked.contains_key(&id) {
            self.retries.push_front(id);
        }
    }

    /// The answer to [`Notice::Rerun`]. An answer about any other commit is ignored.
    pub fn answer_rerun(&mut self, id: CommitId, answer: RerunAnswer) {
        if self.rerun != Some(id) {
            return;
        }
        self.rerun = None;
        self.unjudged = true;
        let conflicts = core::mem::take(&mut self.rerun_conflicts);
        let index = self.queue.iter().position(|entry| entry.id() == id);
        let reason = match answer {
            RerunAnswer::Events(events) if events.is_empty() => {
                return self.nothing_to_do(id, index);
            }
            RerunAnswer::Events(events) => match self.redecided(id, index, events) {
                Ok(()) => return,
                Err(message) => ParkReason::Refused {
                    code: String::from("invalid_commit"),
                    message,
                },
            },
            RerunAnswer::Refused { code, message } => ParkReason::Refused { code, message },
            RerunAnswer::UnknownCommand => ParkReason::UnknownCommand,
        };
        match index {
            Some(index) => self.park(index, reason, conflicts),
            None => self.park_again(id, reason),
        }
        self.queue_changed();
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
        self.queue_changed();
    }

    /// Puts newly decided events in the commit's place, or at the end if it was parked.
    fn redecided(
        &mut self,
        id: CommitId,
        index: Option<usize>,
        events: Vec<crate::event::Event>,
    ) -> Result<(), String> {
        let mut local = match index.and_then(|index| self.queue.get(index)) {
            Some(entry) => entry.local.clone(),
            None => match self.parked.get(&id) {
                Some(parked) => parked.local.clone(),
                None => return Ok(()),
            },
        };
        local.commit.events = events;
        let mut heads = Heads::default();
        for entry in self.queue.iter().take(index.unwrap_or(self.queue.len())) {
            heads.put(&entry.local.commit, &self.confirmed);
        }
        let known: Vec<StreamId> = local
            .commit
            .conditions
            .iter()
            .map(|condition| condition.stream.clone())
            .collect();
        let new: Set<StreamId> = local
            .commit
            .events
            .iter()
            .map(|event| event.stream.clone())
            .filter(|stream| !known.contains(stream))
            .collect();
        local
            .commit
            .conditions
            .extend(new.into_iter().map(|stream| Condition {
                stream,
                expected: Expected::NoStream,
            }));
        next_attempt(&mut local.commit, |stream| {
            heads.of(stream, &self.confirmed)
        });
        local.commit.check().map_err(|error| error.to_string())?;
        match index.and_then(|index| self.queue.get_mut(index)) {
            Some(entry) => {
                entry.local = local;
                entry.state = State::Unwritten;
                entry.refused = None;
            }
            None => self.revive(local),
        }
        self.queue_changed();
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

    /// Resolves a parked commit: its command is decided again on what is shown now. One without a command is rebased.
    ///
    /// # Errors
    /// [`AppendError::NotParked`] if there is none of this id.
    pub fn retry(&mut self, id: CommitId) -> Result<(), AppendError> {
        if self.parked_local(id)?.command.is_none() {
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
    /// [`AppendError::NotParked`] if there is none of this id.
    pub fn rebase(&mut self, id: CommitId) -> Result<(), AppendError> {
        let mut local = self.parked_local(id)?.clone();
        next_attempt(&mut local.commit, |stream| {
            self.heads.of(stream, &self.confirmed)
        });
        self.revive(local);
        self.queue_changed();
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

/// Raises the attempt, and makes every condition expect what its stream is now.
fn next_attempt(commit: &mut Commit, head_of: impl Fn(&StreamId) -> Option<StreamHead>) {
    commit.attempt = commit.attempt.next();
    for condition in &mut commit.conditions {
        if condition.expected != Expected::Any {
            condition.expected = Expected::seen(head_of(&condition.stream).as_ref());
        }
    }
}
