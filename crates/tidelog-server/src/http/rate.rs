//! How often one subject may ask for one log, and how many live connections it may hold, so that nobody takes a server from the
//! others.
//!
//! Requests are let through evenly with room for a burst: the generic cell rate algorithm (GCRA, of ITU-T I.371), which keeps one
//! number for each subject and log.

use super::Problem;
use super::metrics::Live;
use axum::http::{HeaderValue, StatusCode, header};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tidelog_core::{LogName, Subject};

/// After so many requests, those who have not asked for a while are forgotten.
const FORGET_EVERY: u32 = 10_000;

/// How many requests a subject may make of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub per_second: NonZeroU32,
    /// At once, by somebody who has not asked for a while.
    pub burst: NonZeroU32,
}

#[derive(Debug)]
pub(crate) struct Limiter {
    limiter: DefaultKeyedRateLimiter<(Subject, LogName)>,
    asked: AtomicU32,
}

impl Limiter {
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            limiter: RateLimiter::keyed(Quota::per_second(rate.per_second).allow_burst(rate.burst)),
            asked: AtomicU32::new(0),
        }
    }

    /// Counts a request, or says when to come again.
    pub(crate) fn take(&self, subject: &Subject, log: &LogName) -> Result<(), Problem> {
        if self.asked.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.limiter.retain_recent();
        }
        let key = (subject.clone(), log.clone());
        let Err(until) = self.limiter.check_key(&key) else {
            return Ok(());
        };
        let wait = until.wait_time_from(DefaultClock::default().now());
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let detail = format!(
            "{subject} asks too often for this log; nothing is lost: ask again in {seconds} s"
        );
        Err(
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail)
                .header(header::RETRY_AFTER, HeaderValue::from(seconds)),
        )
    }
}

/// The live connections that are open, by subject.
#[derive(Debug)]
pub(crate) struct Open {
    most: Option<NonZeroU32>,
    held: Mutex<BTreeMap<Subject, u32>>,
}

/// One of them. Dropping it makes room for another.
#[derive(Debug)]
pub(crate) struct Held {
    open: Arc<Open>,
    subject: Subject,
    _counted: Live,
}

/// When to ask again for a live connection: they end when a page is closed, and no count of seconds tells when.
const ASK_AGAIN: u64 = 10;

impl Open {
    pub(crate) fn new(most: Option<NonZeroU32>) -> Self {
        let held = Mutex::default();
        Self { most, held }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Subject, u32>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hold(open: &Arc<Self>, subject: &Subject, live: Live) -> Result<Held, Problem> {
        let mut held = open.lock();
        let count = held.entry(subject.clone()).or_insert(0);
        if let Some(most) = open.most
            && *count >= most.get()
        {
            let detail = format!(
                "{subject} holds the {most} live connections that it may; close one, or pull"
            );
            return Err(
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail)
                    .header(header::RETRY_AFTER, HeaderValue::from(ASK_AGAIN)),
            );
        }
        *count += 1;
        Ok(Held {
            open: Arc::clone(open),
            subject: subject.clone(),
            _counted: live,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.open.lock();
        if let Some(count) = held.get_mut(&self.subject) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.subject);
            }
        }
    }
}
