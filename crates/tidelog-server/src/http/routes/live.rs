//! `POST /v1/live`: one connection that tells of any number of logs, as lines of JSON.

use crate::http::access::{Caller, Scope};
use crate::http::caps::{HEARTBEAT, LIVE_LOGS};
use crate::http::feed::{Carried, Listener, News, is_at};
use crate::http::params;
use crate::http::{App, Problem, body, negotiation};
use crate::store::{After, LogState, LogStore};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use tidelog_core::LogName;
use tokio::time::Instant;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    logs: Vec<AskedLog>,
    /// As what commits come along.
    commits: Option<Carried>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedLog {
    log: String,
    cursor: Option<String>,
}

pub(super) async fn follow<S: LogStore>(
    State(app): State<App<S>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    negotiation::json_only(&headers)?;
    let asked: Asked = body::json(&body::read(&app, &headers, body).await?.bytes)?;
    // A connection counts for whoever reads the log that it names first: one that names none would count for nobody.
    if asked.logs.is_empty() {
        return Err(Problem::bad_request("name at least one log"));
    }
    if asked.logs.len() > LIVE_LOGS {
        return Err(Problem::bad_request(format!(
            "more than {LIVE_LOGS} logs at once"
        )));
    }
    let mut notices: Vec<BoxStream<'static, Bytes>> = vec![heartbeats(b"{}\n").boxed()];
    let (mut logs, mut held) = (Vec::new(), None);
    for one in asked.logs {
        let (log, grant) = caller.on(&app, &one.log, Scope::Read).await?;
        logs.push(log.clone());
        if held.is_none() {
            held = Some(app.live(grant.subject())?);
        }
        let known = params::after(one.cursor.as_deref())?;
        let (listener, state) = app.listen(&log).await?;
        let told = Told {
            listener,
            log,
            state,
            // What is encoded once for all is for those who may read all.
            carried: asked.commits.filter(|_| grant.reads_all()),
        };
        notices.push(told.notices(known).boxed());
    }
    let lines = stream::select_all(notices)
        .take_until(app.closing())
        .take_until(caller.ended(&app, logs))
        .map(move |line| {
            let _until_it_ends = &held;
            Ok::<_, Infallible>(line)
        });
    Ok(stream_of("application/x-ndjson", Body::from_stream(lines)))
}

/// An answer that does not end.
pub(super) fn stream_of(media_type: &'static str, body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        // Proxies that gather answers would hold the news back.
        (
            header::HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    (headers, body).into_response()
}

/// Signs of life; the first one at once, so that the caller sees that the connection stands.
pub(super) fn heartbeats(sign: &'static [u8]) -> impl Stream<Item = Bytes> + Send {
    stream::unfold(Instant::now(), move |at| async move {
        tokio::time::sleep_until(at).await;
        Some((Bytes::from_static(sign), Instant::now() + HEARTBEAT))
    })
}

/// What a caller knows of a log.
struct Told {
    listener: Listener,
    log: LogName,
    state: LogState,
    carried: Option<Carried>,
}

impl Told {
    /// A line whenever the log is not where the caller was last told.
    fn notices(self, known: After) -> impl Stream<Item = Bytes> + Send {
        let first = match is_at(self.state, known) {
            true => None,
            false => News::end(self.state).line(&self.log, None),
        };
        stream::iter(first).chain(stream::unfold(self, Self::step))
    }

    async fn step(mut self) -> Option<(Bytes, Self)> {
        let news = self.news().await?;
        let carried = self.carried.filter(|_| news.follows(self.state));
        self.state = news.state();
        Some((news.line(&self.log, carried)?, self))
    }

    async fn news(&mut self) -> Option<Arc<News>> {
        loop {
            let news = self.listener.next().await?;
            if !news.is_old(self.state) {
                return Some(news);
            }
        }
    }
}
