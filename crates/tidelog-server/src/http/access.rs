//! Who may do what.
//!
//! A caller is known by a bearer token: one of a file's ([`Tokens`]) or one that somebody else signed ([`JwtKeys`]). What it allows is asked log by
//! log, so that a log that is not the caller's looks like one that does not exist.

mod jwt;
mod tokens;

pub use jwt::{JwtKeys, KeysError};
pub use tokens::{TokenError, Tokens};

use super::params::text_param;
use super::{App, Problem};
use crate::clock;
use crate::store::LogStore;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use jwt::Claims;
use std::collections::BTreeSet;
use std::time::Duration;
use tidelog_core::{LogName, StreamId, Subject, Timestamp};

/// How often the token of a connection that stays open is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// How callers are known.
#[derive(Debug)]
#[non_exhaustive]
pub enum Access {
    /// Anybody may do anything, as the subject `dev`; a token, if given, is taken as the name of the subject. For
    /// development on one's own machine only.
    Dev,
    /// By the bearer tokens of a file.
    Tokens(Tokens),
    /// By JSON Web Tokens (RFC 7519) that somebody else signs.
    Jwt(JwtKeys),
}

/// What a token allows on a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Reading.
    Read,
    /// Reading and appending.
    Append,
}

/// The kinds of streams that somebody may append to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kinds {
    All,
    Only(BTreeSet<String>),
}

/// As whom a caller appends to a log, and to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) subject: Subject,
    kinds: Kinds,
}

impl Grant {
    const fn whole(subject: Subject) -> Self {
        let kinds = Kinds::All;
        Self { subject, kinds }
    }

    /// Refuses all of it if it writes one stream of a kind that the caller may not append to.
    pub(crate) fn check<'a>(
        &self,
        mut streams: impl Iterator<Item = &'a StreamId>,
    ) -> Result<(), Problem> {
        let Kinds::Only(kinds) = &self.kinds else {
            return Ok(());
        };
        match streams.find(|stream| !kinds.contains(stream.kind())) {
            None => Ok(()),
            Some(stream) => {
                let detail = format!(
                    "this token may not append to streams of the kind {:?}; nothing was stored",
                    stream.kind()
                );
                Err(forbidden(detail).field("stream", stream.as_str()))
            }
        }
    }
}

fn forbidden(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "forbidden", detail)
}

/// Somebody whose token, if one is needed, is known.
pub(crate) struct Caller {
    who: Who,
    token: Option<String>,
}

enum Who {
    Dev(Subject),
    /// One of the file's tokens.
    Listed(usize),
    Signed(Claims),
}

impl Who {
    fn known(access: &Access, token: Option<&str>) -> Result<Self, Problem> {
        let needed = || {
            token.ok_or_else(|| {
                Problem::unauthorized(
                    "this server needs a token: send `Authorization: Bearer <token>`",
                )
            })
        };
        match access {
            Access::Dev => Subject::new(token.unwrap_or("dev"))
                .map(Self::Dev)
                .map_err(|_why| Problem::unauthorized("the token is not a valid subject name")),
            Access::Tokens(tokens) => tokens
                .find(needed()?)
                .map(Self::Listed)
                .ok_or_else(|| Problem::unauthorized("this token is not known here")),
            Access::Jwt(keys) => keys
                .verify(needed()?)
                .map(Self::Signed)
                .map_err(|why| Problem::unauthorized(&why)),
        }
    }

    /// As whom and how far it may go on a log.
    fn grant(&self, access: &Access, log: &LogName) -> Option<(Grant, Scope)> {
        match (self, access) {
            (Self::Dev(subject), Access::Dev) => {
                Some((Grant::whole(subject.clone()), Scope::Append))
            }
            (Self::Listed(at), Access::Tokens(tokens)) => {
                let (subject, scope) = tokens.grant(*at, log)?;
                Some((Grant::whole(subject.clone()), scope))
            }
            (Self::Signed(claims), _) => {
                let (kinds, scope) = claims.grant(log)?;
                let subject = claims.subject().clone();
                Some((Grant { subject, kinds }, scope))
            }
            _ => None,
        }
    }

    /// When the token ends by itself.
    const fn expires(&self) -> Option<Timestamp> {
        match self {
            Self::Signed(claims) => Some(claims.expires()),
            _ => None,
        }
    }
}

impl Caller {
    fn known<S: LogStore>(app: &App<S>, headers: &HeaderMap) -> Result<Self, Problem> {
        let token = bearer(headers)?;
        Ok(Self {
            who: Who::known(&app.settings().access, token)?,
            token: token.map(str::to_owned),
        })
    }

    /// The log of this name and what the caller may do there.
    pub(crate) fn on<S: LogStore>(
        &self,
        app: &App<S>,
        log: &str,
        scope: Scope,
    ) -> Result<(LogName, Grant), Problem> {
        let name = LogName::new(log).map_err(|_why| Problem::unknown_log(log))?;
        match self.who.grant(&app.settings().access, &name) {
            None => Err(Problem::unknown_log(log)),
            Some((_, granted)) if granted < scope => Err(forbidden(
                "this token may read this log but not append to it",
            )),
            Some((grant, _)) => {
                if let Some(limiter) = app.limiter() {
                    limiter.take(&grant.subject, &name)?;
                }
                Ok((name, grant))
            }
        }
    }

    /// Resolves when the token has expired, or is no longer good: what was opened with it is then closed.
    pub(crate) fn ended<S: LogStore>(
        &self,
        app: &App<S>,
    ) -> impl Future<Output = ()> + Send + use<S> {
        let (app, token) = (app.clone(), self.token.clone());
        let mut expires = self.who.expires();
        async move {
            loop {
                let left = expires.map_or(LOOK_AGAIN, |at| {
                    let millis = at.millis().saturating_sub(clock::now().millis());
                    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
                });
                tokio::time::sleep(left.min(LOOK_AGAIN)).await;
                if left <= LOOK_AGAIN && expires.is_some() {
                    return;
                }
                match Who::known(&app.settings().access, token.as_deref()) {
                    Ok(who) => expires = who.expires(),
                    Err(_gone) => return,
                }
            }
        }
    }
}

impl<S: LogStore> FromRequestParts<App<S>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App<S>) -> Result<Self, Problem> {
        Self::known(app, &parts.headers)
    }
}

/// The log that a path names, for a caller that may read it.
#[derive(Debug)]
pub(crate) struct Reading(pub(crate) LogName);

impl<S: LogStore> FromRequestParts<App<S>> for Reading {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App<S>) -> Result<Self, Problem> {
        let caller = Caller::known(app, &parts.headers)?;
        let (log, _) = caller.on(app, &text_param(parts, "log").await?, Scope::Read)?;
        Ok(Self(log))
    }
}

/// The log that a path names, for a caller that may append to it.
#[derive(Debug)]
pub(crate) struct Appending(pub(crate) LogName, pub(crate) Grant);

impl<S: LogStore> FromRequestParts<App<S>> for Appending {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App<S>) -> Result<Self, Problem> {
        let caller = Caller::known(app, &parts.headers)?;
        let (log, grant) = caller.on(app, &text_param(parts, "log").await?, Scope::Append)?;
        Ok(Self(log, grant))
    }
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return match headers.contains_key(header::AUTHORIZATION) {
            true => Err(Problem::unauthorized("send one Authorization header")),
            false => Ok(None),
        };
    };
    let wrong = || Problem::unauthorized("the Authorization header is not `Bearer <token>`");
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
