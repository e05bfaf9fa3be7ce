//! The protocol over HTTP: version 1 of `crates/tidelog-core`'s [`protocol`](tidelog_core::protocol).
//!
//! One module for each concern, one file in `routes` for each call. A handler does, in this order: who is it, which
//! log, what do they want, what does the store say. Invariant: every error is a [`problem::Problem`], and nobody can tell
//! a log that does not exist from one that is not theirs.

mod access;
mod body;
mod caps;
mod cors;
mod feed;
mod negotiation;
pub mod openapi;
pub(crate) mod pages;
mod params;
mod problem;
mod rate;
mod routes;
mod www;

pub use access::{
    Authorizer, Claims, Denied, Dev, Grant, JwtKeys, KeysError, Kinds, Listed, TokenError, Tokens,
};
pub use cors::Origins;
pub use problem::Problem;
pub use rate::Rate;
pub use routes::router;

use crate::check::{PayloadCheck, payloads};
use crate::store::{Candidate, LogStore};
use access::AnyAuthorizer;
use feed::Feeds;
use rate::Limiter;
use std::path::PathBuf;
use std::sync::Arc;
use tidelog_core::Commit;
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
    /// How often a subject may ask for a log; as often as it likes if there is none.
    pub rate: Option<Rate>,
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
            rate: None,
        }
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
    closing: watch::Sender<bool>,
    large_pushes: Arc<Semaphore>,
    limiter: Option<Limiter>,
    feeds: Feeds,
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
        let closing = watch::Sender::new(false);
        let limiter = settings.rate.map(Limiter::new);
        let large_pushes = Arc::new(Semaphore::new(caps::LARGE_PUSHES));
        Self {
            shared: Arc::new(Shared {
                store,
                settings,
                closing,
                large_pushes,
                limiter,
                feeds: Feeds::default(),
            }),
        }
    }

    /// Ends everything that waits: long-polls answer at once, live streams end. Requests that are being answered go on.
    pub fn close(&self) {
        self.shared.closing.send_replace(true);
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

    pub(crate) fn is_closing(&self) -> bool {
        *self.shared.closing.borrow()
    }

    /// Resolves when [`App::close`] is called.
    pub(crate) fn closing(&self) -> impl Future<Output = ()> + Send + use<S> {
        let mut closing = self.shared.closing.subscribe();
        async move {
            // An error means that the server is gone, which is closed too.
            let _ = closing.wait_for(|closing| *closing).await;
        }
    }
}
