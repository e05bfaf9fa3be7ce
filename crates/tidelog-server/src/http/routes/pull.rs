//! `GET /v1/logs/{log}/commits`: whole commits in order, or a wait for them.

use super::head_headers;
use crate::http::access::Reading;
use crate::http::caps::{MAX_WAIT, PULL_BYTES};
use crate::http::negotiation::{Encoding, accepted};
use crate::http::{App, Problem, pages, params};
use crate::store::{After, LogStore, Page, PageCap, StoreError, Stored};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::{Either, select};
use serde::Deserialize;
use std::pin::pin;
use std::time::Duration;
use tidelog_core::LogName;
use tidelog_core::protocol::FRAMES;
use tidelog_core::protocol::json::{self, PullResponse, RecordedJson};
use tokio::time::Instant;

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    after: Option<String>,
    limit: Option<String>,
    wait: Option<String>,
}

pub(super) async fn pull<S: LogStore>(
    State(app): State<App<S>>,
    Reading(log): Reading,
    headers: HeaderMap,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let encoding = accepted(&headers)?;
    let asked = params::query(query)?;
    let after = params::after(asked.after.as_deref())?;
    let events = params::count("limit", asked.limit.as_deref(), u64::MAX)?;
    let cap = PageCap {
        bytes: PULL_BYTES,
        events,
    };
    let page = page(&app, &log, after, cap, wait(asked.wait.as_deref())?).await?;
    let headers = head_headers(&page.state);
    Ok(match encoding {
        Encoding::Json => (headers, Json(to_json(page, &log)?)).into_response(),
        Encoding::Frames => {
            let media_type = [(header::CONTENT_TYPE, HeaderValue::from_static(FRAMES))];
            (headers, media_type, pages::frames(page)).into_response()
        }
    })
}

/// A page, as soon as it has anything, the wait is over or the server shuts down.
async fn page<S: LogStore>(
    app: &App<S>,
    log: &LogName,
    after: After,
    cap: PageCap,
    wait: Duration,
) -> Result<Page, Problem> {
    let deadline = Instant::now() + wait;
    let mut closing = pin!(app.closing());
    loop {
        // Watching begins before reading, so nothing is missed between the two.
        let mut watch = app.store().watch(log);
        let page = app.store().page(log, after, cap).await?;
        if !page.commits.is_empty() || wait.is_zero() || app.is_closing() {
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
    })
}

/// A commit as JSON.
pub(super) fn recorded_json(stored: &Stored, log: &LogName) -> Result<RecordedJson, Problem> {
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
    let seconds: u64 = text
        .parse()
        .map_err(|_why| Problem::bad_request("wait is not a number of seconds from 0"))?;
    Ok(Duration::from_secs(seconds).min(MAX_WAIT))
}
