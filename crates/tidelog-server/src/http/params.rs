//! Paths and queries, with problems instead of plain-text refusals.

use super::Problem;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, RawPathParams};
use axum::http::StatusCode;
use axum::http::request::Parts;
use tidelog_core::{Cursor, Filter, Position, StreamId};

use crate::store::After;

/// A part of the path by its name, percent-decoded.
pub(crate) async fn text_param(parts: &mut Parts, name: &str) -> Result<String, Problem> {
    let wrong = |error: &dyn std::fmt::Display| {
        Problem::bad_request(format!("the path is not valid: {error}"))
    };
    let params = RawPathParams::from_request_parts(parts, &()).await;
    let params = params.map_err(|error| wrong(&error))?;
    // The last one is ours, whatever a router around this one calls its own.
    let found = params.iter().filter(|(known, _)| *known == name);
    found
        .last()
        .map(|(_, value)| value.to_owned())
        .ok_or_else(|| wrong(&"a part is missing"))
}

/// The stream that a path names: `kind/key`, or percent-encoded as one segment.
#[derive(Debug)]
pub(crate) struct StreamPath(pub(crate) StreamId);

impl<S: Send + Sync> FromRequestParts<S> for StreamPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = text_param(parts, "stream").await?;
        let stream =
            StreamId::new(text).map_err(|error| Problem::bad_request(error.to_string()))?;
        Ok(Self(stream))
    }
}

/// A query, or the problem with it.
pub(crate) fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    query
        .map(|Query(query)| query)
        .map_err(|error| Problem::bad_request(error.body_text()))
}

/// A parameter that may be there once, of a query as it came.
pub(crate) fn once<'q>(
    query: &'q [(String, String)],
    name: &str,
) -> Result<Option<&'q str>, Problem> {
    let mut found = all(query, name);
    let first = found.next();
    match found.next() {
        None => Ok(first),
        Some(_) => Err(Problem::bad_request(format!("{name} is there twice"))),
    }
}

fn all<'q>(query: &'q [(String, String)], name: &str) -> impl Iterator<Item = &'q str> {
    let found = query.iter().filter(move |(key, _)| key == name);
    found.map(|(_, value)| value.as_str())
}

/// What the parameters `kind` and `stream`, each as often as one likes, ask for; everything without them.
pub(crate) fn filter(query: &[(String, String)]) -> Result<Filter, Problem> {
    Filter::new(all(query, "kind"), all(query, "stream"))
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "invalid_filter", error.to_string()))
}

/// A number as this protocol writes it: without sign, leading zeros or fraction.
pub(crate) fn whole(text: &str) -> Option<u64> {
    let is_shortest = text == "0" || !text.starts_with('0');
    let is_whole = is_shortest && text.bytes().all(|byte| byte.is_ascii_digit());
    is_whole.then(|| text.parse().ok()).flatten()
}

/// A number that must be at least 1, or its default.
pub(crate) fn count(name: &str, text: Option<&str>, default: u64) -> Result<u64, Problem> {
    match text.map(whole) {
        None => Ok(default),
        Some(Some(count)) if count > 0 => Ok(count),
        Some(_) => Err(Problem::bad_request(format!(
            "{name} is not a number from 1"
        ))),
    }
}

/// A cursor or a plain position; absent, the beginning.
pub(crate) fn after(text: Option<&str>) -> Result<After, Problem> {
    let Some(text) = text else {
        return Ok(After::Position(Position::START));
    };
    if let Some(position) = whole(text) {
        return Ok(After::Position(Position::new(position)));
    }
    text.parse::<Cursor>()
        .map(After::Cursor)
        .map_err(|error| invalid_cursor(&error.to_string()))
}

pub(crate) fn invalid_cursor(detail: &str) -> Problem {
    invalid_place(&format!("{detail}; a plain position from 0 is taken too"))
}

/// What says where to go on is no such thing.
pub(crate) fn invalid_place(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_cursor", detail)
}
