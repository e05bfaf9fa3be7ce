//! `GET /v1/logs/{log}/segments/{epoch}/{n}`: a long run of the log for a new device.

use crate::http::access::Reading;
use crate::http::negotiation;
use crate::http::params::{text_param, whole};
use crate::http::{App, Problem};
use crate::store::{LogStore, Segment, StoreError};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::read::GzDecoder;
use std::io::Read;
use tidelog_core::protocol::FRAMES;
use tidelog_core::{Epoch, LogName};

/// Whoever may read it may keep it, and asks each time whether it is still the same: what is erased must not come back from a
/// cache. Others must not be given it from a shared one.
const ASK_AGAIN: &str = "private, no-cache";

/// Which segment a path names.
pub(super) struct Named {
    epoch: Epoch,
    number: u64,
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let (epoch, number) = (
            text_param(parts, "epoch").await?,
            text_param(parts, "number").await?,
        );
        let epoch = epoch.parse::<Epoch>();
        let number = whole(&number).filter(|number| *number > 0);
        match (epoch, number) {
            (Ok(epoch), Some(number)) => Ok(Self { epoch, number }),
            _ => Err(Problem::bad_request(
                "a segment is named by its epoch and a number from 1",
            )),
        }
    }
}

pub(super) async fn read<S: LogStore>(
    State(app): State<App<S>>,
    Reading(log, grant): Reading,
    named: Named,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    negotiation::takes_frames(&headers)?;
    if !grant.reads_all() {
        return Err(unknown(
            "segments are for those who may read all of a log; pull what you may read of it",
        ));
    }
    let state = app.store().state(&log).await?;
    if state.epoch != named.epoch {
        return Err(unknown(
            "the log has another epoch; read it again from the beginning",
        ));
    }
    let Some(segment) = app.store().segment(&log, named.number).await? else {
        return Err(unknown(
            "the log has no such segment, or none for events as large as these; pull its positions",
        ));
    };
    let tag = format!("\"{}-{}-{}\"", named.epoch, named.number, segment.revision);
    let tag = HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"\""));
    let known = headers.get(header::IF_NONE_MATCH) == Some(&tag);
    let kept = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, HeaderValue::from_static(ASK_AGAIN)),
        (
            header::VARY,
            HeaderValue::from_static("authorization, accept, accept-encoding"),
        ),
    ];
    Ok(match known {
        true => (StatusCode::NOT_MODIFIED, kept).into_response(),
        false => (kept, body(&headers, segment, &log)?).into_response(),
    })
}

/// The frames as the caller takes them: as they are kept, or unpacked.
fn body(headers: &HeaderMap, segment: Segment, log: &LogName) -> Result<Response, Problem> {
    let media_type = (header::CONTENT_TYPE, HeaderValue::from_static(FRAMES));
    let position = segment.first;
    let gzip = axum::body::Bytes::from_owner(segment.gzip);
    if negotiation::takes_gzip(headers) {
        let encoding: (HeaderName, _) =
            (header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        return Ok(([media_type, encoding], gzip).into_response());
    }
    let mut frames = Vec::new();
    GzDecoder::new(&*gzip)
        .read_to_end(&mut frames)
        .map_err(|error| StoreError::Damaged {
            log: log.clone(),
            position,
            detail: format!("a kept segment cannot be unpacked: {error}"),
        })?;
    Ok(([media_type], frames).into_response())
}

fn unknown(detail: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown_segment", detail)
}
