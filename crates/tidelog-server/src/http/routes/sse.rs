//! `GET /v1/logs/{log}/live`: every commit as a server-sent event, for `EventSource` and `curl`.

use super::pull::recorded_json;
use crate::http::access::{Caller, Reading};
use crate::http::caps::{HEARTBEAT, PULL_BYTES};
use crate::http::{App, Problem, params};
use crate::store::{After, LogStore, PageCap, Stored};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream, StreamExt};
use serde::Deserialize;
use std::collections::VecDeque;
use std::convert::Infallible;
use tidelog_core::{LogName, Position};
use tokio::sync::watch;

const LAST_EVENT_ID: &str = "last-event-id";

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    after: Option<String>,
}

pub(super) async fn follow<S: LogStore>(
    State(app): State<App<S>>,
    Reading(log): Reading,
    caller: Caller,
    headers: HeaderMap,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let asked = params::query(query)?;
    // A browser that reconnects repeats the address it began with and adds how far it came.
    let last = headers
        .get(LAST_EVENT_ID)
        .map(|value| value.to_str().unwrap_or("?"));
    let after = params::after(last.or(asked.after.as_deref()))?;
    let watch = app.store().watch(&log);
    let closing = app.closing();
    let ended = caller.ended(&app);
    let mut follower = Follower {
        app,
        log,
        watch,
        after,
        ready: VecDeque::new(),
    };
    // The first page is read before the answer begins, so that a wrong cursor is a problem and not a broken stream.
    follower.fill().await?;
    let events = stream::unfold(follower, Follower::step)
        .take_until(closing)
        .take_until(ended)
        .map(Ok);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

struct Follower<S> {
    app: App<S>,
    log: LogName,
    watch: watch::Receiver<Position>,
    after: After,
    ready: VecDeque<Stored>,
}

impl<S: LogStore> Follower<S> {
    async fn fill(&mut self) -> Result<(), Problem> {
        self.watch.mark_unchanged();
        let cap = PageCap {
            bytes: PULL_BYTES,
            events: u64::MAX,
        };
        self.ready = self
            .app
            .store()
            .page(&self.log, self.after, cap)
            .await?
            .commits
            .into();
        Ok(())
    }

    async fn step(mut self) -> Option<(Event, Self)> {
        loop {
            if let Some(stored) = self.ready.pop_front() {
                let last = stored.recorded.last_position();
                self.after = After::Position(last);
                return Some((event(&stored, last, &self.log)?, self));
            }
            self.fill().await.ok()?;
            if self.ready.is_empty() {
                self.watch.changed().await.ok()?;
            }
        }
    }
}

fn event(stored: &Stored, last: Position, log: &LogName) -> Option<Event> {
    let json = serde_json::to_string(&recorded_json(stored, log).ok()?).ok()?;
    // Line ends in JSON stand between tokens only, and would end the field here.
    let line = json.replace(['\n', '\r'], " ");
    Some(
        Event::default()
            .event("commits")
            .id(last.to_string())
            .data(line),
    )
}
