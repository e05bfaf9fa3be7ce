//! Who may do what.

use super::params::text_param;
use super::{App, Problem};
use crate::store::LogStore;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use std::collections::BTreeMap;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use tidelog_core::{Digest, LogName, Subject};

/// How callers are known.
#[derive(Debug)]
#[non_exhaustive]
pub enum Access {
    /// Anybody may do anything, as the subject `dev`; a token, if given, is taken as the name of the subject. For
    /// development on one's own machine only.
    Dev,
    /// By bearer tokens.
    Tokens(Tokens),
}

/// What a token allows on a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Reading.
    Read,
    /// Reading and appending.
    Append,
}

/// Bearer tokens and what they allow. Only digests of tokens are kept.
#[derive(Default)]
pub struct Tokens(Vec<(Digest, Grants)>);

/// What one token allows, and as whom, by log.
type Grants = BTreeMap<LogName, (Subject, Scope)>;

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({})", self.0.len())
    }
}

/// Why a token file cannot be used. Never holds a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {wrong}. A line is `log token subject [read|append]`")]
pub struct TokenError {
    line: usize,
    wrong: String,
}

/// The fewest characters of a token.
const MIN_TOKEN: usize = 16;

impl Tokens {
    /// Reads a token file: on each line a log, a token, a subject and, optionally, `read` or `append` (the default).
    /// Empty lines and lines that begin with `#` are left out. The same token may stand on several lines.
    ///
    /// # Errors
    /// [`TokenError`] for the first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let mut tokens = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                tokens.add(line).map_err(|wrong| TokenError {
                    line: index + 1,
                    wrong,
                })?;
            }
        }
        Ok(tokens)
    }

    /// Does it allow nothing at all?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (log, token, subject, scope) = match words.as_slice() {
            [log, token, subject] => (log, token, subject, Scope::Append),
            [log, token, subject, "append"] => (log, token, subject, Scope::Append),
            [log, token, subject, "read"] => (log, token, subject, Scope::Read),
            [_, _, _, _] => return Err("the fourth word is neither `read` nor `append`".into()),
            _ => return Err(format!("it has {} words, not 3 or 4", words.len())),
        };
        if token.chars().count() < MIN_TOKEN {
            return Err(format!("the token is shorter than {MIN_TOKEN} characters"));
        }
        let log = LogName::new(log).map_err(|error| error.to_string())?;
        let subject = Subject::new(subject).map_err(|error| error.to_string())?;
        let digest = Digest::of(token.as_bytes());
        let at = self
            .0
            .iter()
            .position(|(known, _)| *known == digest)
            .unwrap_or_else(|| {
                self.0.push((digest, BTreeMap::new()));
                self.0.len() - 1
            });
        let grants = self.0.get_mut(at).map(|(_, grants)| grants);
        match grants.and_then(|grants| grants.insert(log.clone(), (subject, scope))) {
            Some(_) => Err(format!("the same token was given for log {log} before")),
            None => Ok(()),
        }
    }

    /// Which of its tokens this is. Every token is looked at in the same way, so the time tells nothing.
    fn find(&self, token: &str) -> Option<usize> {
        let digest = Digest::of(token.as_bytes());
        let mut found = 0_u64;
        let mut any = Choice::from(0);
        for (at, (known, _)) in (0_u64..).zip(&self.0) {
            let same = known.as_bytes().ct_eq(digest.as_bytes());
            found = u64::conditional_select(&found, &at, same);
            any |= same;
        }
        bool::from(any)
            .then_some(found)
            .and_then(|at| usize::try_from(at).ok())
    }
}

/// Somebody whose token, if one is needed, is known.
#[derive(Debug)]
pub(crate) enum Caller {
    Dev(Subject),
    Token(usize),
}

impl Caller {
    fn known<S: LogStore>(app: &App<S>, headers: &HeaderMap) -> Result<Self, Problem> {
        let token = bearer(headers)?;
        match (&app.settings().access, token) {
            (Access::Dev, token) => Subject::new(token.unwrap_or("dev"))
                .map(Self::Dev)
                .map_err(|_why| Problem::unauthorized("the token is not a valid subject name")),
            (Access::Tokens(_), None) => Err(Problem::unauthorized(
                "this server needs a token: send `Authorization: Bearer <token>`",
            )),
            (Access::Tokens(tokens), Some(token)) => tokens
                .find(token)
                .map(Self::Token)
                .ok_or_else(|| Problem::unauthorized("this token is not known here")),
        }
    }

    /// The log of this name and who the caller is there.
    pub(crate) fn on<S: LogStore>(
        &self,
        app: &App<S>,
        log: &str,
        scope: Scope,
    ) -> Result<(LogName, Subject), Problem> {
        let name = LogName::new(log).map_err(|_why| Problem::unknown_log(log))?;
        let granted = match (self, &app.settings().access) {
            (Self::Dev(subject), Access::Dev) => Some((subject, Scope::Append)),
            (Self::Token(at), Access::Tokens(tokens)) => tokens
                .0
                .get(*at)
                .and_then(|(_, grants)| grants.get(&name))
                .map(|(subject, granted)| (subject, *granted)),
            _ => None,
        };
        match granted {
            None => Err(Problem::unknown_log(log)),
            Some((_, granted)) if granted < scope => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                "this token may read this log but not append to it",
            )),
            Some((subject, _)) => Ok((name, subject.clone())),
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
pub(crate) struct Appending(pub(crate) LogName, pub(crate) Subject);

impl<S: LogStore> FromRequestParts<App<S>> for Appending {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App<S>) -> Result<Self, Problem> {
        let caller = Caller::known(app, &parts.headers)?;
        let (log, subject) = caller.on(app, &text_param(parts, "log").await?, Scope::Append)?;
        Ok(Self(log, subject))
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
