//! `POST /v1/live`: one connection that tells of the heads of any number of logs, as lines of JSON.

use crate::http::access::{Caller, Scope};
use crate::http::caps::{HEARTBEAT, LIVE_LOGS};
use crate::http::params;
use crate::http::{App, Problem, body, negotiation};
use crate::store::{After, LogState, LogStore};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, BoxStream, StreamExt};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::time::Duration;
use tidelog_core::protocol::LogHead;
use tidelog_core::{Cursor, Epoch, LogName, Position};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    logs: Vec<AskedLog>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedLog {
    log: String,
    cursor: Option<String>,
}

/// A log's end has moved, or differs from the caller's cursor.
#[derive(Debug, Serialize)]
struct Notice {
    log: LogName,
    epoch: Epoch,
    head: LogHead,
}

pub(super) async fn follow<S: LogStore>(
    State(app): State<App<S>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    negotiation::json_only(&headers)?;
    let asked: Asked = body::json(&body::read(&headers, body).await?)?;
    if asked.logs.len() > LIVE_LOGS {
        return Err(Problem::bad_request(format!(
            "more than {LIVE_LOGS} logs at once"
        )));
    }
    let mut notices: Vec<BoxStream<'static, String>> = vec![heartbeats().boxed()];
    for asked in asked.logs {
        let (log, _) = caller.on(&app, &asked.log, Scope::Read)?;
        let known = params::after(asked.cursor.as_deref())?;
        app.store().state(&log).await?;
        notices.push(heads(app.clone(), log, known).boxed());
    }
    let lines = stream::select_all(notices)
        .take_until(app.closing())
        .take_until(caller.ended(&app))
        .map(Ok::<_, Infallible>);
    let media_type = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-ndjson"),
        ),
        // Proxies that gather answers would hold the news back.
        (
            header::HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    Ok((media_type, Body::from_stream(lines)).into_response())
}

fn heartbeats() -> impl futures_util::Stream<Item = String> + Send {
    stream::unfold(Duration::ZERO, |pause| async move {
        // The first one at once, so that the caller sees that the connection stands.
        tokio::time::sleep(pause).await;
        Some(("{}\n".to_owned(), HEARTBEAT))
    })
}

/// A line whenever the log is not where the caller was last told.
fn heads<S: LogStore>(
    app: App<S>,
    log: LogName,
    known: After,
) -> impl futures_util::Stream<Item = String> + Send {
    let watch = app.store().watch(&log);
    stream::unfold(
        (app, log, watch, known),
        |(app, log, mut watch, known)| async move {
            loop {
                watch.mark_unchanged();
                let state = app.store().state(&log).await.ok()?;
                if !is_at(&state, known) {
                    let notice = Notice {
                        log: log.clone(),
                        epoch: state.epoch,
                        head: state.head,
                    };
                    let line = serde_json::to_string(&notice).ok()? + "\n";
                    return Some((line, (app, log, watch, After::Cursor(state.cursor()))));
                }
                watch.changed().await.ok()?;
            }
        },
    )
}

fn is_at(state: &LogState, known: After) -> bool {
    match known {
        After::Position(position) => position == state.head.position,
        After::Cursor(cursor) if cursor == Cursor::default() => {
            state.head.position == Position::START
        }
        After::Cursor(cursor) => cursor == state.cursor(),
    }
}
