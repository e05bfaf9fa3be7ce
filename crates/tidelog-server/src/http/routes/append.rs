//! `POST /v1/logs/{log}/streams/{stream}`: one event, for any HTTP client. The stream's version is its entity tag.

use super::stream::etag;
use crate::clock;
use crate::derived::derived_uuid;
use crate::http::access::{Appending, refused};
use crate::http::params::{StreamPath, whole};
use crate::http::{App, Problem, body, negotiation};
use crate::store::{LogStore, Numbering, Push};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::value::RawValue;
use tidelog_core::condition::Conflict;
use tidelog_core::protocol::json::Instant;
use tidelog_core::protocol::{CommitResult, Verdict};
use tidelog_core::{
    Attempt, Commit, CommitId, Condition, Cursor, Event, EventType, Expected, LogName, Meta,
    Payload, ReplicaId, SchemaVersion, Seq, Subject, Timestamp, Version,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Asked {
    #[serde(rename = "type")]
    event_type: EventType,
    #[serde(default = "first_schema")]
    schema: SchemaVersion,
    data: Box<RawValue>,
    occurred_at: Option<Instant>,
    id: Option<CommitId>,
}

const fn first_schema() -> SchemaVersion {
    SchemaVersion::FIRST
}

pub(super) async fn append<S: LogStore>(
    State(app): State<App<S>>,
    Appending(log, grant): Appending,
    StreamPath(stream): StreamPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    negotiation::json_only(&headers)?;
    if !grant.may_read(&stream) {
        return Err(Problem::unknown_log(log.as_str()));
    }
    if !grant.may_append(&stream) {
        return Err(refused("append to", &stream));
    }
    let subject = grant.into_subject();
    let expected = expected(&headers)?;
    let body = body::read(&app, &headers, body).await?;
    let asked: Asked = body::decode(body.bytes, body::json).await?;
    let (id, occurred_at) = identity(&asked)?;
    let replica = replica(&log, &subject);
    let commit = Commit {
        id,
        attempt: Attempt::FIRST,
        replica,
        seq: Seq::default(),
        conditions: vec![Condition {
            stream: stream.clone(),
            expected,
        }],
        events: vec![Event {
            stream,
            event_type: asked.event_type,
            schema: asked.schema,
            data: Payload::json(asked.data.get()),
            occurred_at,
            tags: Vec::new(),
            meta: Meta::default(),
        }],
    };
    let response = app.push(Push {
        log,
        actor: Some(subject),
        replica,
        cursor: Cursor::default(),
        commits: vec![app.candidate(commit)],
        numbering: Numbering::Store,
    });
    match response.await?.results.pop() {
        Some(result) => answer(result),
        None => Err(Problem::bug()),
    }
}

fn answer(result: CommitResult) -> Result<Response, Problem> {
    let (status, versions) = match &result.verdict {
        Verdict::Accepted { versions, .. } => (StatusCode::CREATED, versions),
        Verdict::Duplicate { versions, .. } => (StatusCode::OK, versions),
        Verdict::Conflict { conflicts } => return Err(conflict(conflicts)),
        Verdict::Rejected(rejection) => {
            let code = serde_json::to_value(rejection.code).unwrap_or_default();
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "rejected",
                rejection.message.clone(),
            )
            .field("rejection", code));
        }
    };
    let version = versions
        .first()
        .map_or(Version::NONE, |versions| versions.last);
    Ok((status, [etag(version)], Json(result)).into_response())
}

fn conflict(conflicts: &[Conflict]) -> Problem {
    let Some(Conflict {
        stream,
        expected,
        actual,
        ..
    }) = conflicts.first()
    else {
        return Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "version_conflict",
            "a condition failed",
        );
    };
    let detail = format!("expected {expected} of {stream}, which has version {actual}");
    let (name, value) = etag(*actual);
    Problem::new(StatusCode::PRECONDITION_FAILED, "version_conflict", detail)
        .field("stream", stream.as_str())
        .field(
            "expected",
            serde_json::to_value(expected).unwrap_or_default(),
        )
        .field("actual", actual.value())
        .header(name, value)
}

/// What the caller believes of the stream.
fn expected(headers: &HeaderMap) -> Result<Expected, Problem> {
    let one = |name: HeaderName| -> Result<Option<&str>, Problem> {
        let mut values = headers.get_all(&name).iter();
        let text = values.next().map(|value| value.to_str()).transpose();
        match (text, values.next()) {
            (Ok(text), None) => Ok(text.map(str::trim)),
            _ => Err(Problem::bad_request(format!(
                "send one {name} header of ASCII text"
            ))),
        }
    };
    match (one(header::IF_MATCH)?, one(header::IF_NONE_MATCH)?) {
        (None, None) => Ok(Expected::Any),
        (Some("*"), None) => Ok(Expected::Exists),
        (None, Some("*")) => Ok(Expected::NoStream),
        (Some(tag), None) => {
            let digits = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            let version = digits.and_then(whole);
            let exact = version.map(Version::new).ok_or_else(|| {
                Problem::bad_request("If-Match is not one version in quotes, such as \"3\", or *")
            })?;
            Ok(Expected::Exact { exact, event: None })
        }
        (None, Some(_)) => Err(Problem::bad_request("If-None-Match can only be *")),
        (Some(_), Some(_)) => Err(Problem::bad_request(
            "If-Match and If-None-Match cannot both be given",
        )),
    }
}

/// The commit's id and time. Both must be the same in a retry, or it would be other content under the same id.
fn identity(asked: &Asked) -> Result<(CommitId, Timestamp), Problem> {
    let now = clock::now();
    match (asked.id, asked.occurred_at) {
        (Some(id), Some(Instant(time))) => Ok((id, time)),
        (Some(id), None) => match minted(id) {
            Some(time) => Ok((id, time)),
            None => Err(Problem::bad_request(
                "give occurredAt too: an id that is not a UUID of version 7 does not tell its time",
            )),
        },
        (None, time) => {
            let random = clock::random().map_err(|error| {
                tracing::error!(%error, "no randomness");
                Problem::unavailable("no id can be made now")
            })?;
            Ok((
                CommitId::mint(now, random),
                time.map_or(now, |Instant(time)| time),
            ))
        }
    }
}

/// The time inside a UUID of version 7.
fn minted(id: CommitId) -> Option<Timestamp> {
    let bytes = id.as_bytes();
    let [a, b, c, d, e, f, version, ..] = *bytes;
    let millis = i64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    (version >> 4 == 7).then(|| Timestamp::from_millis(millis))
}

/// Clients of this call are no replicas; each subject's appends to a log count as one replica's, numbered by the store.
fn replica(log: &LogName, subject: &Subject) -> ReplicaId {
    ReplicaId::from_bytes(derived_uuid(format!("append\n{log}\n{subject}").as_bytes()))
}
