//! What a replica says of itself.

use super::queue::State;
use super::{Replica, SyncError};
use crate::filter::Filter;
use crate::number::{Position, Timestamp};
use crate::store::StoreError;

/// What a replica is doing, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Reading the local database.
    Opening,
    /// There is no server to sync with.
    Local,
    /// Another tab talks to the server.
    Follower,
    /// Asking the server for the first time, so that it is not known how far it is.
    Connecting,
    /// The server cannot be reached. Everything works and is sent later.
    Offline,
    /// Reading what the server has.
    CatchingUp,
    /// Up to date; new events come as they happen.
    Live,
    /// A person must do something first: sign in, ask for rights, update.
    Blocked,
    /// Something is wrong that may pass; see the error.
    Error,
    /// Closed by the app.
    Closed,
}

impl Phase {
    /// Its name, the same in every language. A follower that has heard nothing from the tab that leads does not know either.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Local => "local",
            Self::Follower | Self::Connecting => "connecting",
            Self::CatchingUp => "catching-up",
            Self::Offline => "offline",
            Self::Live => "live",
            Self::Blocked => "blocked",
            Self::Error => "error",
            Self::Closed => "closed",
        }
    }
}

/// How many commits are where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// In memory, not on disk yet.
    pub unwritten: usize,
    /// On disk, without a position.
    pub pending: usize,
    /// With a position, not pulled back yet.
    pub acked: usize,
    /// Waiting for somebody's decision.
    pub parked: usize,
}

/// A replica's state of health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What it is doing.
    pub phase: Phase,
    /// The newest confirmed position here.
    pub position: Position,
    /// The newest confirmed position of the local database: how far replaying has to go.
    pub stored: Position,
    /// The newest position of the server, as last heard.
    pub server_head: Option<Position>,
    /// How many commits are where.
    pub counts: Counts,
    /// Does this tab talk to the server?
    pub leader: bool,
    /// What is wrong with the network or the server.
    pub sync_error: Option<SyncError>,
    /// When that is tried again by itself, by this device's clock.
    pub retry_at: Option<Timestamp>,
    /// Which part of the server's log is here.
    pub filter: Filter,
    /// Which part is read instead as soon as the server answers, if that is another one.
    pub next_filter: Option<Filter>,
    /// This tab asks for another part than counts: [`SyncError::FilterReplaced`]. It is this tab's matter only.
    pub filter_error: Option<SyncError>,
    /// What is wrong with the local database.
    pub store_error: Option<StoreError>,
}

impl Replica {
    /// How many commits are where.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for entry in &self.queue {
            match entry.state {
                State::Acked(_) => counts.acked += 1,
                _ if entry.location.is_some() => counts.pending += 1,
                _ => counts.unwritten += 1,
            }
        }
        let leaving = self.departing.iter().filter(|departing| {
            departing.parked.is_some() && !self.parked.contains_key(&departing.id)
        });
        counts.parked = self.parked.len() + leaving.count();
        counts
    }

    /// The state of health.
    #[must_use]
    pub fn status(&self) -> Status {
        let (sync_error, retry_at) = match self.sync_error() {
            Some((error, at)) => (Some(error), at),
            None => (None, None),
        };
        Status {
            phase: self.phase(),
            position: self.head.cursor.position,
            stored: self.stored.max(self.head.cursor.position),
            server_head: self.sync.server_head,
            counts: self.counts(),
            leader: self.sync.leader,
            sync_error: sync_error.cloned(),
            retry_at,
            filter: self.filters.kept.clone(),
            next_filter: self.next_filter().cloned(),
            filter_error: self
                .filter_replaced()
                .map(|wanted| SyncError::FilterReplaced {
                    wanted: wanted.clone(),
                }),
            store_error: self.disk.error.clone(),
        }
    }

    /// What is wrong, and when it is tried again: first of all what a person has to do something about.
    fn sync_error(&self) -> Option<(&SyncError, Option<Timestamp>)> {
        let sync = &self.sync;
        let lanes = [
            (sync.push.error(), sync.push.next_at()),
            (sync.pull.error(), sync.pull.next_at()),
            (sync.room.error(), sync.room.next_at()),
        ];
        let errors = lanes
            .into_iter()
            .filter_map(|(error, at)| Some((error?, at)));
        errors
            .clone()
            .find(|(error, _)| error.needs_person())
            .or_else(|| errors.into_iter().next())
    }

    fn phase(&self) -> Phase {
        if self.closed {
            return Phase::Closed;
        }
        if self.disk.error.is_some() {
            return Phase::Error;
        }
        if !self.opened {
            return Phase::Opening;
        }
        if !self.config.sync {
            return Phase::Local;
        }
        if !self.sync.leader {
            return Phase::Follower;
        }
        match self.sync_error().map(|(error, _)| error) {
            _ if !self.sync.online => Phase::Offline,
            Some(error) if error.needs_person() => Phase::Blocked,
            Some(SyncError::Network { .. } | SyncError::Unavailable { .. }) => Phase::Offline,
            Some(SyncError::HistoryChanged) => Phase::CatchingUp,
            Some(_) => Phase::Error,
            None if self.sync.caught_up => Phase::Live,
            None if self.sync.server_head > Some(self.head.cursor.position) => Phase::CatchingUp,
            None => Phase::Connecting,
        }
    }
}
