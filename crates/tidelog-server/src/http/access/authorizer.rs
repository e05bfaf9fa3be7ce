//! Who decides who may do what: the contract for those who keep accounts, and how any of them is held.

use super::{Grant, Problem};
use axum::http::request::Parts;
use futures_util::future::{BoxFuture, FutureExt};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use tidelog_core::{LogName, Timestamp};

/// Knows callers, and what they may do. [`Dev`](super::Dev), [`Tokens`](super::Tokens) and [`JwtKeys`](super::JwtKeys)
/// are three; a server that is embedded somewhere brings one that knows that place's accounts.
///
/// Contract:
///
/// - Each request is identified once, before its body is read, and then asks for a grant on each log that it names (one,
///   but for `POST /v1/live`). Nothing is kept between requests: whoever asks elsewhere keeps answers as long as
///   it may. No time limit is set either.
/// - No grant looks to the caller as if there were no such log. It must therefore be `None`, and not an error, for logs that
///   somebody else has, and must not take longer for them.
/// - A connection that stays open is closed when [`Authorizer::expires`] has come. Before that both questions are asked
///   again every 30 seconds: it is closed when the caller is no longer known or one of its logs no longer granted, and stays
///   while the answer is [`Denied::Unavailable`].
/// - What is said in [`Denied`] goes to the caller. It must hold no secret.
///
/// ```
/// use tidelog_server::http::{Authorizer, Denied, Grant};
/// use axum::http::request::Parts;
/// use tidelog_core::{LogName, Subject};
///
/// /// What a middleware of the surrounding app found out, and put into the request.
/// #[derive(Clone)]
/// struct User { name: String }
///
/// /// Everybody has a log of their own.
/// #[derive(Debug)]
/// struct OwnLog;
///
/// impl Authorizer for OwnLog {
///     type Caller = User;
///
///     async fn identify(&self, request: &Parts) -> Result<User, Denied> {
///         let user = request.extensions.get::<User>();
///         user.cloned().ok_or_else(|| Denied::unknown("log in first"))
///     }
///
///     async fn grant(&self, user: &User, log: &LogName) -> Result<Option<Grant>, Denied> {
///         let subject = Subject::new(&*user.name).map_err(|error| Denied::unknown(error.to_string()))?;
///         Ok((log.as_str() == format!("home-{}", user.name)).then(|| Grant::append(subject)))
///     }
/// }
/// ```
pub trait Authorizer: fmt::Debug + Send + Sync + 'static {
    /// Somebody who is known.
    type Caller: Send + Sync + 'static;

    /// Who sends this request? Its head is as the surrounding app passed it on, extensions included.
    ///
    /// # Errors
    /// [`Denied`], if nobody who is known here does, or it cannot be found out now.
    fn identify(
        &self,
        request: &Parts,
    ) -> impl Future<Output = Result<Self::Caller, Denied>> + Send;

    /// What may they do with this log? `None`: they may not know of it.
    ///
    /// # Errors
    /// [`Denied`], if it cannot be found out now.
    fn grant(
        &self,
        caller: &Self::Caller,
        log: &LogName,
    ) -> impl Future<Output = Result<Option<Grant>, Denied>> + Send;

    /// When what they showed ends by itself.
    fn expires(&self, caller: &Self::Caller) -> Option<Timestamp> {
        let _ = caller;
        None
    }
}

/// Why nobody is let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// The caller is not known: answered 401.
    #[error("{detail}")]
    Unknown {
        /// What the caller should do, in words for them.
        detail: String,
    },
    /// It cannot be found out now: answered 503, and asked again by clients.
    #[error("{detail}")]
    Unavailable {
        /// What is in the way, in words for the caller.
        detail: String,
    },
}

impl Denied {
    /// The caller is not known; says what to do about it.
    #[must_use]
    pub fn unknown(detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::Unknown { detail }
    }

    /// It cannot be found out now; says what is in the way.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::Unavailable { detail }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unknown { detail } => Self::unauthorized(&detail),
            Denied::Unavailable { detail } => Self::unavailable(detail),
        }
    }
}

/// An authorizer of whatever kind.
#[derive(Debug, Clone)]
pub(crate) struct AnyAuthorizer(Arc<dyn Identify>);

impl AnyAuthorizer {
    pub(crate) fn new(authorizer: impl Authorizer) -> Self {
        Self(Arc::new(Held(Arc::new(authorizer))))
    }

    pub(crate) async fn identify(&self, request: &Parts) -> Result<Identity, Denied> {
        self.0.identify(request).await.map(Identity)
    }
}

/// Somebody whom an authorizer knows.
pub(crate) struct Identity(Box<dyn Known>);

impl Identity {
    pub(crate) async fn grant(&self, log: &LogName) -> Result<Option<Grant>, Denied> {
        self.0.grant(log).await
    }

    pub(crate) fn expires(&self) -> Option<Timestamp> {
        self.0.expires()
    }
}

trait Identify: fmt::Debug + Send + Sync {
    fn identify<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Box<dyn Known>, Denied>>;
}

trait Known: Send + Sync {
    fn grant<'a>(&'a self, log: &'a LogName) -> BoxFuture<'a, Result<Option<Grant>, Denied>>;
    fn expires(&self) -> Option<Timestamp>;
}

#[derive(Debug)]
struct Held<A>(Arc<A>);

struct KnownTo<A: Authorizer> {
    authorizer: Arc<A>,
    caller: A::Caller,
}

impl<A: Authorizer> Identify for Held<A> {
    fn identify<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Box<dyn Known>, Denied>> {
        async move {
            let caller = self.0.identify(request).await?;
            let authorizer = Arc::clone(&self.0);
            let known: Box<dyn Known> = Box::new(KnownTo { authorizer, caller });
            Ok(known)
        }
        .boxed()
    }
}

impl<A: Authorizer> Known for KnownTo<A> {
    fn grant<'a>(&'a self, log: &'a LogName) -> BoxFuture<'a, Result<Option<Grant>, Denied>> {
        self.authorizer.grant(&self.caller, log).boxed()
    }

    fn expires(&self) -> Option<Timestamp> {
        self.authorizer.expires(&self.caller)
    }
}
