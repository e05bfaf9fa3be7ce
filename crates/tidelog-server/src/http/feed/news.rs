//! What is new in a log, made into bytes once, when the first listener wants them.

use crate::http::caps::NEWS_BYTES;
use crate::http::routes::recorded_json;
use crate::http::{Problem, pages};
use crate::store::{After, LogState, Page, StoreError, Stored};
use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;
use tidelog_core::protocol::LogHead;
use tidelog_core::protocol::json::RecordedJson;
use tidelog_core::{ChainHash, Cursor, Epoch, LogName, Position};

/// A log ends elsewhere than before; with the commits that made it so, if they are few.
#[derive(Debug)]
pub(crate) struct News {
    /// Where the commits begin.
    before: Option<LogState>,
    page: Page,
    notice: OnceLock<Option<Bytes>>,
    with_frames: OnceLock<Option<Bytes>>,
    with_json: OnceLock<Option<Bytes>>,
    events: OnceLock<Option<Bytes>>,
}

/// As what a line of news carries commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Carried {
    Frames,
    Json,
}

/// A line of `POST /v1/live`.
#[derive(Debug, Serialize)]
struct Notice<'a> {
    log: &'a LogName,
    epoch: Epoch,
    head: LogHead,
    #[serde(skip_serializing_if = "Option::is_none")]
    frames: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commits: Option<Vec<RecordedJson>>,
}

impl News {
    /// The end alone.
    pub(crate) const fn end(state: LogState) -> Self {
        Self {
            before: None,
            page: Page {
                state,
                chain_before: ChainHash::from_bytes([0; 32]),
                commits: Vec::new(),
            },
            notice: OnceLock::new(),
            with_frames: OnceLock::new(),
            with_json: OnceLock::new(),
            events: OnceLock::new(),
        }
    }

    /// What was read after a place. Commits that are too large, or do not reach the end, are left to be pulled.
    pub(super) fn of(before: LogState, page: Page) -> Self {
        let bytes: usize = page.commits.iter().map(|stored| stored.bytes).sum();
        let end = page
            .commits
            .last()
            .map(|last| last.recorded.last_position());
        if end != Some(page.state.head.position) || bytes > NEWS_BYTES {
            return Self::end(page.state);
        }
        let before = Some(before);
        let state = page.state;
        Self {
            before,
            page,
            ..Self::end(state)
        }
    }

    /// Where the log ends now.
    pub(crate) const fn state(&self) -> LogState {
        self.page.state
    }

    /// Has somebody at this place heard of it?
    pub(crate) fn is_old(&self, at: LogState) -> bool {
        let state = self.state();
        state.epoch == at.epoch && state.head.position <= at.head.position
    }

    /// Does it carry all that somebody at this place has not read?
    pub(crate) fn follows(&self, at: LogState) -> bool {
        self.before == Some(at)
    }

    /// As a line of JSON. `None` only if a stored payload is damaged.
    pub(crate) fn line(&self, log: &LogName, carried: Option<Carried>) -> Option<Bytes> {
        let line = match carried {
            None => &self.notice,
            Some(Carried::Frames) => &self.with_frames,
            Some(Carried::Json) => &self.with_json,
        };
        line.get_or_init(|| {
            let notice = Notice {
                log,
                epoch: self.page.state.epoch,
                head: self.page.state.head,
                frames: (carried == Some(Carried::Frames))
                    .then(|| STANDARD.encode(pages::frames(self.page.clone().into()))),
                commits: match carried {
                    Some(Carried::Json) => Some(self.json(log)?),
                    _ => None,
                },
            };
            Some(Bytes::from(serde_json::to_string(&notice).ok()? + "\n"))
        })
        .clone()
    }

    fn json(&self, log: &LogName) -> Option<Vec<RecordedJson>> {
        let commits = self.page.commits.iter();
        commits
            .map(|stored| recorded_json(stored, log).ok())
            .collect()
    }

    /// Its commits as server-sent events. `None` only if a stored payload is damaged.
    pub(crate) fn events(&self, log: &LogName) -> Option<Bytes> {
        self.events
            .get_or_init(|| events(&self.page.commits, log).ok())
            .clone()
    }
}

/// Commits as server-sent events.
pub(crate) fn events(commits: &[Stored], log: &LogName) -> Result<Bytes, Problem> {
    let mut text = String::new();
    for stored in commits {
        let json = serde_json::to_string(&recorded_json(stored, log)?);
        let json = json.map_err(|error| {
            let detail = error.to_string();
            StoreError::Unavailable { detail }
        })?;
        // Line ends in JSON stand between tokens only, and would end the field here.
        let line = json.replace(['\n', '\r'], " ");
        let last = stored.recorded.last_position();
        text += &format!("event: commits\nid: {last}\ndata: {line}\n\n");
    }
    Ok(text.into())
}

/// Is a log's end where a reader stands?
pub(crate) fn is_at(state: LogState, known: After) -> bool {
    match known {
        After::Position(position) => position == state.head.position,
        After::Cursor(cursor) if cursor == Cursor::default() => {
            state.head.position == Position::START
        }
        After::Cursor(cursor) => cursor == state.cursor(),
    }
}
