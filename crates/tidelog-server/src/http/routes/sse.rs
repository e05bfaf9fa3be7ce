//! `GET /v1/logs/{log}/live`: every commit as a server-sent event, for `EventSource` and `curl`.

use super::live::{heartbeats, stream_of};
use crate::http::access::{Caller, Grant, Reading};
use crate::http::caps::NEWS_BYTES;
use crate::http::feed::{self, Listener};
use crate::http::{App, Problem, params};
use crate::store::{After, LogState, LogStore, PageCap};
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use futures_util::stream::{self, StreamExt};
use serde::Deserialize;
use std::convert::Infallible;
use tidelog_core::LogName;

const LAST_EVENT_ID: &str = "last-event-id";

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    after: Option<String>,
}

pub(super) async fn follow<S: LogStore>(
    State(app): State<App<S>>,
    Reading(log, grant): Reading,
    caller: Caller,
    headers: HeaderMap,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let asked = params::query(query)?;
    // A browser that reconnects repeats the address it began with and adds how far it came.
    let last = headers
        .get(LAST_EVENT_ID)
        .map(|value| value.to_str().unwrap_or("?"));
    let after = params::after(last.or(asked.after.as_deref()))?;
    let closing = app.closing();
    let held = app.live(grant.subject())?;
    let ended = caller.ended(&app, vec![log.clone()]);
    let mut follower = Follower {
        listener: app.listen(&log).await?.0,
        app,
        log,
        grant,
        place: Place::Behind(after),
    };
    // The first page is read before the answer begins, so that a wrong cursor is a problem and not a broken stream.
    let first = follower.read(after).await?;
    let commits = stream::iter(first).chain(stream::unfold(follower, Follower::step));
    let events = stream::select(heartbeats(b":\n\n"), commits)
        .take_until(closing)
        .take_until(ended)
        .map(move |event| {
            let _until_it_ends = &held;
            Ok::<_, Infallible>(event)
        });
    Ok(stream_of("text/event-stream", Body::from_stream(events)))
}

/// Reads until it is level with the log, then listens; reads again when it has missed something.
struct Follower<S> {
    app: App<S>,
    log: LogName,
    grant: Grant,
    listener: Listener,
    place: Place,
}

enum Place {
    Behind(After),
    Level(LogState),
}

impl<S: LogStore> Follower<S> {
    async fn step(mut self) -> Option<(Bytes, Self)> {
        loop {
            match self.place {
                Place::Behind(after) => {
                    if let Some(events) = self.read(after).await.ok()? {
                        return Some((events, self));
                    }
                }
                Place::Level(at) => {
                    let news = self.listener.next().await?;
                    if news.is_old(at) {
                        continue;
                    }
                    // What is encoded once for all is for those who may read all.
                    if news.follows(at) && self.grant.reads_all() {
                        self.place = Place::Level(news.state());
                        return Some((news.events(&self.log)?, self));
                    }
                    self.place = Place::Behind(After::Cursor(at.cursor()));
                }
            }
        }
    }

    /// The next commits as events; `None` at the log's end, and if the next ones may not be seen.
    async fn read(&mut self, after: After) -> Result<Option<Bytes>, Problem> {
        let cap = PageCap {
            bytes: NEWS_BYTES,
            events: u64::MAX,
        };
        let page = self.app.store().page(&self.log, after, cap).await?;
        self.place = match page.commits.last() {
            None => Place::Level(page.state),
            Some(last) => Place::Behind(After::Position(last.recorded.last_position())),
        };
        let mut shown = page.commits;
        shown.retain(|stored| self.grant.may_see(&stored.recorded.commit));
        if shown.is_empty() {
            return Ok(None);
        }
        feed::events(&shown, &self.log).map(Some)
    }
}
