//! The protocol over HTTP: version 1 of `crates/tidelog-core`'s [`protocol`](tidelog_core::protocol).
//!
//! One module for each concern, one file in `routes` for each call. A handler does, in this order: who is it, which
//! log, what do they want, what does the store say. Invariant: every error is a [`problem::Problem`], and nobody can tell
//! a log that does not exist from one that is not theirs.

mod access;
mod around;
mod body;
mod caps;
mod connections;
mod cors;
mod feed;
mod metrics;
mod negotiation;
pub mod openapi;
pub(crate) mod pages;
mod params;
mod problem;
mod rate;
mod routes;
mod spans;
mod www;

pub(crate) use caps::FEATURES;
pub(crate) use routes::ErasureJson;

pub use access::{
    Authorizer, Claims, Denied, Dev, Grant, JwtKeys, KeysError, Kinds, Listed, TokenError, Tokens,
};
pub use connections::{Limits, serve};
pub use cors::Origins;
pub use metrics::metrics;
pub use problem::Problem;
pub use rate::Rate;
pub use routes::router;

use crate::check::{AnyCheck, CommitCheck, PayloadCheck, commits, payloads};
use crate::clock;
use crate::store::{Candidate, LogStore, Push, StoreError};
use access::AnyAuthorizer;
use feed::Feeds;
use metrics::Metrics;
use rate::{Held, Limiter, Open};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tidelog_core::protocol::PushResponse;
use tidelog_core::{Commit, Subject};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// How a server behaves.
#[derive(Debug)]
#[non_exhaustive]
pub struct Settings {
    pub(crate) authorizer: AnyAuthorizer,
    /// Which web pages may call it from other origins.
    pub origins: Origins,
    /// A directory of files to serve beside the protocol.
    pub www: Option<PathBuf>,
    /// What payloads must be.
    pub payloads: Option<Arc<dyn PayloadCheck>>,
    pub(crate) commits: Option<AnyCheck>,
    /// How often a subject may ask for a log; as often as it likes if there is none.
    pub rate: Option<Rate>,
    /// How many live connections a subject may hold; as many as it likes if there is none.
    pub live: Option<NonZeroU32>,
}

impl Settings {
    /// Who may do what; no other origins, no files, no check and no limit.
    #[must_use]
    pub fn new(authorizer: impl Authorizer) -> Self {
        Self {
            authorizer: AnyAuthorizer::new(authorizer),
            origins: Origins::None,
            www: None,
            payloads: None,
            commits: None,
            rate: None,
            live: None,
        }
    }
}

impl Settings {
    /// Judges commits on what happened before them.
    pub fn check_commits(&mut self, check: impl CommitCheck) {
        self.commits = Some(AnyCheck::new(check));
    }
}

/// What every handler shares.
#[derive(Debug)]
pub struct App<S> {
    shared: Arc<Shared<S>>,
}

#[derive(Debug)]
struct Shared<S> {
    store: S,
    settings: Settings,
    phase: watch::Sender<Phase>,
    large_pushes: Arc<Semaphore>,
    limiter: Option<Limiter>,
    feeds: Feeds,
    open: Arc<Open>,
    metrics: Metrics,
    /// The number of the last request; the first is random.
    requests: AtomicU64,
}

/// Where a server is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Open,
    Draining,
    Closing,
}

impl<S> Clone for App<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S: LogStore> App<S> {
    /// A server over this store.
    #[must_use]
    pub fn new(store: S, settings: Settings) -> Self {
        let phase = watch::Sender::new(Phase::Open);
        let open = Arc::new(Open::new(settings.live));
        let limiter = settings.rate.map(Limiter::new);
        let large_pushes = Arc::new(Semaphore::new(caps::LARGE_PUSHES));
        // Without random bytes two servers may give the same numbers, and serve.
        let requests = clock::random().map_or(0, u64::from_be_bytes);
        Self {
            shared: Arc::new(Shared {
                store,
                settings,
                phase,
                large_pushes,
                limiter,
                feeds: Feeds::default(),
                open,
                metrics: Metrics::default(),
                requests: AtomicU64::new(requests),
            }),
        }
    }

    /// Says from now on that it is not ready (`GET /readyz` is answered 503), and goes on serving: so that whatever hands requests
    /// to several servers learns of it before [`App::close`].
    pub fn drain(&self) {
        self.enter(Phase::Draining);
    }

    /// Ends everything that waits: long-polls answer at once, live streams end. Requests that are being answered go on.
    pub fn close(&self) {
        self.enter(Phase::Closing);
    }

    fn enter(&self, next: Phase) {
        self.shared.phase.send_if_modified(|phase| {
            let moves = next > *phase;
            *phase = next.max(*phase);
            moves
        });
    }

    /// Stores commits, and counts what became of them.
    pub(crate) async fn push(&self, mut push: Push) -> Result<PushResponse, StoreError> {
        if let Some(check) = &self.settings().commits {
            commits(check, self.store(), &mut push).await?;
        }
        let response = self.store().push(push).await?;
        self.metrics().pushed(&response);
        Ok(response)
    }

    /// Lets a subject hold one more live connection, for as long as what is returned is held.
    pub(crate) fn live(&self, subject: &Subject) -> Result<Held, Problem> {
        Open::hold(&self.shared.open, subject, self.metrics().live())
    }

    /// A number for a request that no other request has. They count up: that tells how busy a server is to those who ask twice, as its answers'
    /// positions do.
    fn next_request(&self) -> u64 {
        self.shared.requests.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    pub(crate) fn store(&self) -> &S {
        &self.shared.store
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Waits until a body of this length may be decoded; what is returned is held while the commits are in memory.
    pub(crate) async fn room_for(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        match bytes {
            0..=caps::SMALL_PUSH_BYTES => None,
            _ => Arc::clone(&self.shared.large_pushes)
                .acquire_owned()
                .await
                .ok(),
        }
    }

    /// A commit that asks to be stored here.
    pub(crate) fn candidate(&self, commit: Commit) -> Candidate {
        let mut candidate = Candidate::new(commit);
        if let Some(check) = &self.settings().payloads
            && candidate.rejection.is_none()
        {
            candidate.rejection = payloads(check.as_ref(), &candidate.commit.events);
        }
        candidate
    }

    pub(crate) fn limiter(&self) -> Option<&Limiter> {
        self.shared.limiter.as_ref()
    }

    pub(crate) fn feeds(&self) -> &Feeds {
        &self.shared.feeds
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.shared.phase.borrow() >= Phase::Draining
    }

    pub(crate) fn is_closing(&self) -> bool {
        *self.shared.phase.borrow() == Phase::Closing
    }

    /// Resolves when [`App::close`] is called.
    pub(crate) fn closing(&self) -> impl Future<Output = ()> + Send + use<S> {
        let mut phase = self.shared.phase.subscribe();
        async move {
            // An error means that the server is gone, which is closed too.
            let _ = phase.wait_for(|phase| *phase == Phase::Closing).await;
        }
    }
}
