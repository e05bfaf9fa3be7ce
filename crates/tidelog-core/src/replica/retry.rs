//! When a request that failed is made again.
//!
//! Pushes and pulls fail for themselves: a server that is full still answers pulls, and their success says nothing of a push.
//! So each of the two has a lane: what is wrong with it, how often it failed in a row, and when it is tried again.
//!
//! - The pause doubles from a quarter of a second to half a minute, half of it by chance, so that the clients of a server that
//!   comes back do not all arrive at once. What the server asks for (`Retry-After`) is waited out.
//! - Where a person has to do something first, time alone leads nowhere: it is tried again when something happens (the page
//!   is looked at, the network changes, somebody asks), and now and then if it may change without that.
//! - Time is the device's, so a pause that lies in the future of a clock that was set back is over.

use super::SyncError;
use crate::number::Timestamp;

const FIRST_DELAY_MILLIS: u64 = 250;
const MAX_DELAY_MILLIS: u64 = 30_000;
/// What a server may ask to wait at most: more is taken for a mistake.
const MAX_ASKED_MILLIS: u64 = 3_600_000;
/// What is appended waits no longer than this, if only the network was in the way.
const HURRY_MILLIS: i64 = 1_000;
/// How often it is looked whether what a person has to do was done elsewhere.
const PERSON_DELAY_MILLIS: u64 = 60_000;
/// How often it is looked whether the server takes a build again that it found too old: it seldom does, but it may be rolled back.
const BUILD_DELAY_MILLIS: u64 = 300_000;

/// Until when a lane is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pause {
    since: Timestamp,
    until: Timestamp,
    /// The server asked for it: nothing but time ends it.
    asked: bool,
}

/// One kind of requests: what is wrong with it, and when it is tried again.
#[derive(Debug, Clone, Default)]
pub(super) struct Lane {
    error: Option<SyncError>,
    failures: u32,
    pause: Option<Pause>,
}

impl Lane {
    pub(super) const fn error(&self) -> Option<&SyncError> {
        self.error.as_ref()
    }

    /// A request failed. `random` spreads the pause.
    pub(super) fn failed(&mut self, now: Timestamp, random: u64, error: SyncError) {
        let doubled = FIRST_DELAY_MILLIS << self.failures.min(7);
        let longest = doubled.min(MAX_DELAY_MILLIS);
        self.failures = self.failures.saturating_add(1);
        let mut delay = longest / 2 + random % (longest / 2 + 1);
        let asked = error.retry_after();
        if let Some(asked) = asked {
            delay = delay.max(asked.min(MAX_ASKED_MILLIS));
        }
        let patience = match &error {
            SyncError::ClientTooOld => Some(BUILD_DELAY_MILLIS),
            SyncError::CommitOversized { .. } => Some(PERSON_DELAY_MILLIS),
            error if error.needs_person() => Some(PERSON_DELAY_MILLIS),
            _ => None,
        };
        if let Some(patience) = patience {
            delay = patience + random % patience;
        }
        self.pause = Some(Pause {
            since: now,
            until: now.plus_millis(i64::try_from(delay).unwrap_or(i64::MAX)),
            asked: asked.is_some(),
        });
        self.error = Some(error);
    }

    /// A request was answered. Was something wrong before?
    pub(super) fn succeeded(&mut self) -> bool {
        core::mem::take(self).error.is_some()
    }

    /// Nothing is left that it was about. What the server asked for still holds.
    pub(super) fn settled(&mut self) {
        self.error = None;
        self.kick();
    }

    /// Something happened that may have changed it all: it is tried again now, unless the server asked to wait.
    pub(super) const fn kick(&mut self) {
        self.failures = 0;
        if !matches!(self.pause, Some(Pause { asked: true, .. })) {
            self.pause = None;
        }
    }

    /// There is something new to send: a pause that is only for caution becomes short.
    pub(super) fn hurry(&mut self, now: Timestamp) {
        let person = self.error.as_ref().is_some_and(SyncError::needs_person);
        if let Some(Pause {
            until,
            asked: false,
            ..
        }) = &mut self.pause
            && !person
        {
            *until = (*until).min(now.plus_millis(HURRY_MILLIS));
        }
    }

    /// May a request be made? A pause that is over is forgotten.
    pub(super) fn is_free(&mut self, now: Timestamp) -> bool {
        if let Some(Pause { since, until, .. }) = self.pause
            && (until <= now || now < since)
        {
            self.pause = None;
        }
        self.pause.is_none()
    }

    /// When it is tried again by itself.
    pub(super) const fn next_at(&self) -> Option<Timestamp> {
        match self.pause {
            Some(pause) => Some(pause.until),
            None => None,
        }
    }
}
