//! `POST /v1/logs/{log}/commits`: commits in, a verdict for each out.

use super::head_headers;
use crate::http::access::Appending;
use crate::http::body::{self, Received};
use crate::http::negotiation::{self, Encoding, JSON};
use crate::http::params::invalid_cursor;
use crate::http::{App, Problem};
use crate::store::{Candidate, LogState, LogStore, Numbering, Push};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use tidelog_core::limits::MAX_PUSH_COMMITS;
use tidelog_core::protocol::json::{CommitJson, PushRequest};
use tidelog_core::protocol::{CURSOR_HEADER, PushResponse, REPLICA_HEADER};
use tidelog_core::text::TextError;
use tidelog_core::{Commit, Cursor, ReplicaId, frame};

/// What was sent, in either encoding.
struct Sent {
    replica: ReplicaId,
    cursor: Cursor,
    commits: Vec<Candidate>,
}

pub(super) async fn push<S: LogStore>(
    State(app): State<App<S>>,
    Appending(log, grant): Appending,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let encoding = negotiation::content(&headers)?;
    let Received { bytes, room: _room } = body::read(&app, &headers, body).await?;
    let known = app.clone();
    let sent = match encoding {
        Encoding::Json => body::decode(bytes, move |bytes| from_json(&known, bytes)).await?,
        Encoding::Frames => {
            let replica = text(&headers, REPLICA_HEADER)?
                .ok_or_else(|| Problem::bad_request("the Tidelog-Replica header is missing"))?
                .parse()
                .map_err(|error: TextError| Problem::bad_request(error.to_string()))?;
            let cursor = text(&headers, CURSOR_HEADER)?.map(str::parse).transpose();
            let cursor = cursor.map_err(|error: TextError| invalid_cursor(&error.to_string()))?;
            let cursor = cursor.unwrap_or_default();
            body::decode(bytes, move |bytes| {
                from_frame(&known, bytes, replica, cursor)
            })
            .await?
        }
    };
    let Sent {
        replica,
        cursor,
        commits,
    } = sent;
    grant.check(commits.iter().map(|sent| &sent.commit))?;
    let numbering = Numbering::Replica;
    let actor = Some(grant.into_subject());
    let push = Push {
        log,
        actor,
        replica,
        cursor,
        commits,
        numbering,
    };
    let response = app.push(push).await?;
    let state = LogState {
        epoch: response.epoch,
        head: response.head,
    };
    answer(head_headers(&state), &response)
}

/// As `(headers, Json(answer))` would be, without growing a map and a buffer step by step: no other answer is given as often.
fn answer(mut headers: HeaderMap, answer: &PushResponse) -> Result<Response, Problem> {
    let mut bytes = Vec::with_capacity(192 + 384 * answer.results.len());
    serde_json::to_writer(&mut bytes, answer).map_err(|error| {
        tracing::error!(%error, "an answer has no JSON");
        Problem::bug()
    })?;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    let mut response = Response::new(Body::from(bytes));
    *response.headers_mut() = headers;
    Ok(response)
}

fn from_json<S: LogStore>(app: &App<S>, bytes: &[u8]) -> Result<Sent, Problem> {
    let PushRequest {
        replica,
        cursor,
        commits,
    } = body::json(bytes)?;
    few_enough(commits.len())?;
    let commit = |json: CommitJson| app.candidate(json.into_commit(replica));
    Ok(Sent {
        replica,
        cursor,
        commits: commits.into_iter().map(commit).collect(),
    })
}

fn from_frame<S: LogStore>(
    app: &App<S>,
    bytes: &[u8],
    replica: ReplicaId,
    cursor: Cursor,
) -> Result<Sent, Problem> {
    let invalid = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "invalid_frame", detail);
    let header = frame::header(bytes).map_err(|error| invalid(error.to_string()))?;
    few_enough(usize::try_from(header.commits).unwrap_or(usize::MAX))?;
    let frame = frame::decode(bytes).map_err(|error| invalid(error.to_string()))?;
    let frame::Body::Local(commits) = frame.body else {
        return Err(invalid(
            "the frame is a recorded one; send a local one".into(),
        ));
    };
    // The commands that made the commits are their author's own: they are not looked at.
    let commits: Vec<Commit> = commits.into_iter().map(|local| local.commit).collect();
    if let Some(commit) = commits.iter().find(|commit| commit.replica != replica) {
        return Err(Problem::bad_request(format!(
            "commit {} is of replica {} and the Tidelog-Replica header says {replica}",
            commit.id, commit.replica
        )));
    }
    Ok(Sent {
        replica,
        cursor,
        commits: commits
            .into_iter()
            .map(|commit| app.candidate(commit))
            .collect(),
    })
}

fn few_enough(commits: usize) -> Result<(), Problem> {
    if commits <= MAX_PUSH_COMMITS {
        return Ok(());
    }
    let detail =
        format!("the push has {commits} commits, more than the {MAX_PUSH_COMMITS} allowed");
    Err(
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_commits", detail)
            .field("max", MAX_PUSH_COMMITS),
    )
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    let text = headers.get(name).map(|value| value.to_str()).transpose();
    text.map_err(|_why| Problem::bad_request(format!("the {name} header is not ASCII text")))
}
