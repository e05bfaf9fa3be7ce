//! Who may do what.
//!
//! An [`Authorizer`] knows callers: by the bearer tokens of a file ([`Tokens`]), by tokens that somebody else signed
//! ([`JwtKeys`]), or as whoever embeds the server likes. What a caller may do is asked log by log, so that a log that is not
//! the caller's looks like one that does not exist.

mod authorizer;
mod dev;
mod grant;
mod jwks;
mod jwt;
mod tokens;
mod watched;

pub(crate) use authorizer::AnyAuthorizer;
pub use authorizer::{Authorizer, Denied};
pub use dev::Dev;
pub(crate) use grant::refused;
pub use grant::{Grant, Kinds};
pub use jwt::{Claims, JwtKeys, KeysError};
pub use tokens::{Listed, TokenError, Tokens};

use super::params::text_param;
use super::{App, Problem};
use crate::clock;
use crate::store::LogStore;
use authorizer::Identity;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use std::time::Duration;
use tidelog_core::{LogName, Timestamp};

/// How often it is asked again whether a connection that stays open may.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What a call does with a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Read,
    Append,
    Erase,
}

fn forbidden(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "forbidden", detail)
}

/// Somebody who is known.
pub(crate) struct Caller {
    identity: Identity,
    request: Parts,
}

impl Caller {
    /// The log of this name and what the caller may do there.
    pub(crate) async fn on<S: LogStore>(
        &self,
        app: &App<S>,
        log: &str,
        scope: Scope,
    ) -> Result<(LogName, Grant), Problem> {
        granted(&self.identity, app, log, scope).await
    }

    /// Resolves when what the caller showed has expired, or no longer opens one of these logs: what was opened with it is then closed.
    pub(crate) fn ended<S: LogStore>(
        self,
        app: &App<S>,
        logs: Vec<LogName>,
    ) -> impl Future<Output = ()> + Send + use<S> {
        let app = app.clone();
        async move {
            let mut expires = self.identity.expires();
            loop {
                let left = expires.map_or(LOOK_AGAIN, until);
                tokio::time::sleep(left.min(LOOK_AGAIN)).await;
                if left <= LOOK_AGAIN && expires.is_some() {
                    return;
                }
                match known_again(&app, &self.request, &logs).await {
                    Ok(Some(again)) => expires = again,
                    Err(Denied::Unavailable { .. }) => {}
                    Ok(None) | Err(Denied::Unknown { .. }) => return,
                }
            }
        }
    }
}

fn until(at: Timestamp) -> Duration {
    let millis = at.millis().saturating_sub(clock::now().millis());
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// When a request, sent again, would expire; `None` if one of these logs would be no longer granted to it.
async fn known_again<S: LogStore>(
    app: &App<S>,
    request: &Parts,
    logs: &[LogName],
) -> Result<Option<Option<Timestamp>>, Denied> {
    let identity = app.settings().authorizer.identify(request).await?;
    for log in logs {
        if identity.grant(log).await?.is_none() {
            return Ok(None);
        }
    }
    Ok(Some(identity.expires()))
}

/// The log of this name and what somebody may do there.
async fn granted<S: LogStore>(
    identity: &Identity,
    app: &App<S>,
    log: &str,
    scope: Scope,
) -> Result<(LogName, Grant), Problem> {
    let name = LogName::new(log).map_err(|_why| Problem::unknown_log(log))?;
    let grant = identity.grant(&name).await?;
    let grant = grant.ok_or_else(|| Problem::unknown_log(log))?;
    if scope == Scope::Append && !grant.appends() {
        let detail = "this token may read this log but not append to it";
        return Err(forbidden(detail));
    }
    if scope == Scope::Erase && !grant.erases() {
        return Err(forbidden("this token may not erase in this log"));
    }
    if let Some(limiter) = app.limiter() {
        limiter.take(grant.subject(), &name)?;
    }
    Ok((name, grant))
}

/// What is asked of the log that a path names.
async fn on_path<S: LogStore>(
    parts: &mut Parts,
    app: &App<S>,
    scope: Scope,
) -> Result<(LogName, Grant), Problem> {
    let identity = app.settings().authorizer.identify(parts).await?;
    granted(&identity, app, &text_param(parts, "log").await?, scope).await
}

impl<S: LogStore> FromRequestParts<App<S>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App<S>) -> Result<Self, Problem> {
        Ok(Self {
            identity: app.settings().authorizer.identify(parts).await?,
            request: parts.clone(),
        })
    }
}

/// The log that a path names, for a caller that may read it.
#[derive(Debug)]
pub(crate) struct Reading(pub(crate) LogName, pub(crate) Grant);

impl<S: LogStore> FromRequestParts<App<S>> for Reading {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App<S>) -> Result<Self, Problem> {
        let (log, grant) = on_path(parts, app, Scope::Read).await?;
        Ok(Self(log, grant))
    }
}

/// The log that a path names, for a caller that may append to it.
#[derive(Debug)]
pub(crate) struct Appending(pub(crate) LogName, pub(crate) Grant);

impl<S: LogStore> FromRequestParts<App<S>> for Appending {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App<S>) -> Result<Self, Problem> {
        let (log, grant) = on_path(parts, app, Scope::Append).await?;
        Ok(Self(log, grant))
    }
}

/// The log that a path names, for a caller that may erase in it.
#[derive(Debug)]
pub(crate) struct Erasing(pub(crate) LogName, pub(crate) Grant);

impl<S: LogStore> FromRequestParts<App<S>> for Erasing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App<S>) -> Result<Self, Problem> {
        let (log, grant) = on_path(parts, app, Scope::Erase).await?;
        Ok(Self(log, grant))
    }
}

fn needed() -> Denied {
    Denied::unknown("this server needs a token: send `Authorization: Bearer <token>`")
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Denied> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return match headers.contains_key(header::AUTHORIZATION) {
            true => Err(Denied::unknown("send one Authorization header")),
            false => Ok(None),
        };
    };
    let wrong = || Denied::unknown("the Authorization header is not `Bearer <token>`");
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or_else(wrong)?;
    match token.trim() {
        token if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() => Ok(Some(token)),
        _ => Err(wrong()),
    }
}
