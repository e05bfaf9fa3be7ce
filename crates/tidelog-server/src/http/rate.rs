//! How often one subject may ask for one log, so that nobody takes a server from the others.
//!
//! Requests are let through evenly with room for a burst: the generic cell rate algorithm (GCRA, of ITU-T I.371), which keeps one
//! number for each subject and log.

use super::Problem;
use axum::http::{HeaderValue, StatusCode, header};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
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
