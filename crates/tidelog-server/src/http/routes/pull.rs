//! `GET /v1/logs/{log}/commits`: whole commits in order, all or those that a filter asks for, or a wait for them.

use super::head_headers;
use crate::http::access::Reading;
use crate::http::caps::{MAX_WAIT, PULL_BYTES};
use crate::http::negotiation::{Encoding, accepted};
use crate::http::pages::{self, Page, View};
use crate::http::{App, Problem, params};
use crate::store::{After, LogStore, PageCap, SEGMENT_EVENTS, StoreError, Stored};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::{Either, select};
use std::pin::pin;
use std::time::Duration;
use tidelog_core::LogName;
use tidelog_core::protocol::json::{self, GapJson, PullResponse, RecordedJson};
use tidelog_core::protocol::{FRAMES, SEGMENTS_HEADER};
use tokio::time::Instant;

const SEGMENTS: HeaderName = HeaderName::from_static(SEGMENTS_HEADER);

pub(super) async fn pull<S: LogStore>(
    State(app): State<App<S>>,
    Reading(log, grant): Reading,
    headers: HeaderMap,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, Problem> {
    let encoding = accepted(&headers)?;
    let asked = params::query(query)?;
    let view = View {
        filter: params::filter(&asked)?,
        grant,
    };
    let after = params::after(params::once(&asked, "after")?)?;
    let events = params::count("limit", params::once(&asked, "limit")?, u64::MAX)?;
    let wait = wait(params::once(&asked, "wait")?)?;
    let cap = PageCap {
        bytes: PULL_BYTES,
        events,
    };
    let page = page(&app, &log, after, cap, &view, wait).await?;
    let mut headers = head_headers(&page.state);
    Ok(match encoding {
        Encoding::Json => (headers, Json(to_json(page, &log)?)).into_response(),
        Encoding::Frames => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(FRAMES));
            // A segment is whole, so it is for those who may read all.
            if view.grant.reads_all() {
                headers.insert(SEGMENTS, HeaderValue::from(SEGMENT_EVENTS));
            }
            (headers, pages::frames(page)).into_response()
        }
    })
}

/// A page, as soon as it has anything, the wait is over or the server shuts down.
async fn page<S: LogStore>(
    app: &App<S>,
    log: &LogName,
    after: After,
    cap: PageCap,
    view: &View,
    wait: Duration,
) -> Result<Page, Problem> {
    let deadline = Instant::now() + wait;
    let mut closing = pin!(app.closing());
    loop {
        // Watching begins before reading, so nothing is missed between the two.
        let mut watch = app.store().watch(log);
        let page = pages::read(app, log, after, cap, view).await?;
        if !page.is_empty() || wait.is_zero() || app.is_closing() {
            return Ok(page);
        }
        let news = tokio::time::timeout_at(deadline, watch.changed());
        match select(pin!(news), closing.as_mut()).await {
            Either::Left((Ok(Ok(())), _)) => {}
            _ => return Ok(page),
        }
    }
}

fn to_json(page: Page, log: &LogName) -> Result<PullResponse, Problem> {
    let commits: Result<_, Problem> = page
        .commits
        .iter()
        .map(|stored| recorded_json(stored, log))
        .collect();
    Ok(PullResponse {
        epoch: page.state.epoch,
        head: page.state.head,
        commits: commits?,
        gaps: page.gaps.iter().map(GapJson::from).collect(),
    })
}

/// A commit as JSON.
pub(in crate::http) fn recorded_json(
    stored: &Stored,
    log: &LogName,
) -> Result<RecordedJson, Problem> {
    json::recorded(&stored.recorded, stored.chain).map_err(|error| {
        let (position, detail) = (
            stored.recorded.position,
            format!("a payload is not JSON: {error}"),
        );
        StoreError::Damaged {
            log: log.clone(),
            position,
            detail,
        }
        .into()
    })
}

/// Seconds, at most the cap: a longer wait is cut, not refused.
fn wait(text: Option<&str>) -> Result<Duration, Problem> {
    let Some(text) = text else {
        return Ok(Duration::ZERO);
    };
    let seconds = params::whole(text)
        .ok_or_else(|| Problem::bad_request("wait is not a number of seconds from 0"))?;
    Ok(Duration::from_secs(seconds).min(MAX_WAIT))
}
