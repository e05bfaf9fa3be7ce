//! The commits of a replica that are not confirmed, in the order they take effect.

use super::Queued;
use super::confirmed::Confirmed;
use crate::commit::{Commit, Local};
use crate::condition::Conflict;
use crate::id::{CommitId, Epoch, EventId};
use crate::map::StreamMap;
use crate::number::{Attempt, Position, Seq, Version};
use crate::stream::{StreamHead, StreamId};
use alloc::vec::Vec;

/// Where a commit stands on disk: which pending frame, and which of its commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) first: Seq,
    pub(super) index: usize,
}

/// How far a commit has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// In memory only (this attempt of it, if it has a location).
    Unwritten,
    /// In a transaction that has not ended.
    Writing,
    /// In a transaction whose end is unknown until the database is open again.
    Unresolved,
    /// On disk.
    Pending,
    /// On disk, and the server gave it this position.
    Acked(Position),
}

/// A conflict that the server spoke of.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) conflicts: Vec<Conflict>,
    /// How far its log went by then.
    pub(super) head: Position,
    /// The history that it spoke of.
    pub(super) epoch: Epoch,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) local: Local,
    pub(super) state: State,
    /// Where this commit is on disk; while unwritten, where the attempt is that it replaces.
    pub(super) location: Option<Location>,
    /// The server refused this attempt.
    pub(super) refused: Option<Refused>,
    /// It was durable in a database that is gone: memory may hold the only copy, so a write that fails never drops it.
    pub(super) only_copy: bool,
    /// Brought back from the parked list, where its record stays until this is written.
    pub(super) revived: bool,
}

/// A commit as it lies on disk.
pub(super) const fn stored(local: Local, state: State, location: Option<Location>) -> Entry {
    Entry {
        local,
        state,
        location,
        refused: None,
        only_copy: false,
        revived: false,
    }
}

/// The place of an item in a list that is mostly asked for in its own order: what is looked for stands at `from` or a little
/// behind it, so that to find all of a list takes about as long as to walk it.
pub(super) fn find_from<T>(list: &[T], from: usize, is_it: impl Fn(&T) -> bool) -> Option<usize> {
    let (before, after) = list.split_at(from.min(list.len()));
    let behind = after.iter().position(&is_it).map(|at| before.len() + at);
    behind.or_else(|| before.iter().position(is_it))
}

impl Entry {
    pub(super) const fn id(&self) -> CommitId {
        self.local.commit.id
    }

    pub(super) const fn attempt(&self) -> Attempt {
        self.local.commit.attempt
    }

    /// As it is shown.
    pub(super) const fn queued(&self) -> Queued<'_> {
        Queued {
            local: &self.local,
            durable: matches!(self.state, State::Pending | State::Acked(_)),
            acked: match self.state {
                State::Acked(position) => Some(position),
                _ => None,
            },
        }
    }

    pub(super) const fn is_acked(&self) -> bool {
        matches!(self.state, State::Acked(_))
    }

    /// The streams it writes or has a condition on.
    pub(super) fn touched(&self) -> impl Iterator<Item = &StreamId> {
        touched(&self.local.commit)
    }
}

/// The streams that a commit writes or has a condition on.
pub(super) fn touched(commit: &Commit) -> impl Iterator<Item = &StreamId> {
    let written = commit.events.iter().map(|event| &event.stream);
    written.chain(commit.conditions.iter().map(|condition| &condition.stream))
}

/// The ends of streams with some commits on top that are not confirmed.
#[derive(Debug, Default)]
pub(super) struct Heads(StreamMap<StreamHead>);

impl Heads {
    pub(super) fn of(&self, stream: &StreamId, confirmed: &Confirmed) -> Option<StreamHead> {
        self.0
            .get(stream)
            .copied()
            .or_else(|| confirmed.head(stream))
    }

    /// The end of one stream with a whole queue on top, without a map of all.
    pub(super) fn of_queue(
        queue: &[Entry],
        stream: &StreamId,
        confirmed: &Confirmed,
    ) -> Option<StreamHead> {
        let mut head = confirmed.head(stream);
        for entry in queue {
            let commit = &entry.local.commit;
            for (index, event) in commit.events.iter().enumerate() {
                if &event.stream == stream {
                    head = Some(StreamHead {
                        version: head.map_or(Version::NONE, |head| head.version).next(),
                        last: commit.event_id(index),
                    });
                }
            }
        }
        head
    }

    /// Does any of the commits on top write it?
    pub(super) fn has(&self, stream: &StreamId) -> bool {
        self.0.contains_key(stream)
    }

    /// Puts a commit on top.
    pub(super) fn put(&mut self, commit: &Commit, confirmed: &Confirmed) {
        for (index, event) in commit.events.iter().enumerate() {
            self.put_event(&event.stream, commit.event_id(index), confirmed);
        }
    }

    /// Puts a commit on top. Gives the version of each of its events.
    pub(super) fn put_counting(&mut self, commit: &Commit, confirmed: &Confirmed) -> Vec<Version> {
        let events = commit.events.iter().enumerate();
        events
            .map(|(index, event)| self.put_event(&event.stream, commit.event_id(index), confirmed))
            .collect()
    }

    fn put_event(&mut self, stream: &StreamId, last: EventId, confirmed: &Confirmed) -> Version {
        if let Some(head) = self.0.get_mut(stream) {
            let version = head.version.next();
            *head = StreamHead { version, last };
            return version;
        }
        let before = confirmed.head(stream);
        let version = before.map_or(Version::NONE, |head| head.version).next();
        self.0.insert(stream.clone(), StreamHead { version, last });
        version
    }
}
