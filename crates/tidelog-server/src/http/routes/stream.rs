//! `GET /v1/logs/{log}/streams/{stream}`: one stream, either way.

use crate::http::access::Reading;
use crate::http::caps::STREAM_EVENTS;
use crate::http::params::{self, StreamPath};
use crate::http::{App, Problem};
use crate::store::{Direction, LogStore, StoreError, StreamEvent, StreamPage, StreamRange};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderName, HeaderValue, header};
use serde::Deserialize;
use tidelog_core::protocol::json::{self, RecordedEventJson, StreamResponse};
use tidelog_core::{LogName, Version};

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    from: Option<String>,
    limit: Option<String>,
    direction: Option<String>,
}

pub(super) async fn read<S: LogStore>(
    State(app): State<App<S>>,
    Reading(log, grant): Reading,
    StreamPath(stream): StreamPath,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<([(HeaderName, HeaderValue); 1], Json<StreamResponse>), Problem> {
    if !grant.may_read(&stream) {
        return Err(Problem::unknown_log(log.as_str()));
    }
    let asked = params::query(query)?;
    let from = asked.from.as_deref();
    let range = StreamRange {
        from: from
            .map(|from| params::count("from", Some(from), 1))
            .transpose()?
            .map(Version::new),
        direction: match asked.direction.as_deref() {
            None | Some("forward") => Direction::Forward,
            Some("backward") => Direction::Backward,
            Some(_) => {
                return Err(Problem::bad_request(
                    "direction is neither forward nor backward",
                ));
            }
        },
        limit: params::count("limit", asked.limit.as_deref(), STREAM_EVENTS)
            .map(|limit| usize::try_from(limit.min(STREAM_EVENTS)).unwrap_or(usize::MAX))?,
    };
    let StreamPage { version, events } = app.store().stream(&log, &stream, range).await?;
    let events: Result<_, Problem> = events.iter().map(|event| event_json(event, &log)).collect();
    let response = StreamResponse {
        stream,
        version,
        events: events?,
    };
    Ok(([etag(version)], Json(response)))
}

/// A stream's version as its entity tag.
pub(super) fn etag(version: Version) -> (HeaderName, HeaderValue) {
    let quoted = HeaderValue::try_from(format!("\"{version}\""));
    (
        header::ETAG,
        quoted.unwrap_or(HeaderValue::from_static("\"0\"")),
    )
}

fn event_json(event: &StreamEvent, log: &LogName) -> Result<RecordedEventJson, Problem> {
    let damaged = |detail: String| -> Problem {
        let position = event.commit.position;
        StoreError::Damaged {
            log: log.clone(),
            position,
            detail,
        }
        .into()
    };
    let mut events = json::recorded_events(&event.commit)
        .map_err(|error| damaged(format!("a payload is not JSON: {error}")))?;
    if event.index >= events.len() {
        return Err(damaged("an event is missing".into()));
    }
    Ok(events.swap_remove(event.index))
}
