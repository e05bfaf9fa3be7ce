//! `POST /v1/logs/{log}/erasures`: payloads of a stream are erased, or it is closed. `GET` of the same: what was erased.

use crate::http::access::{Erasing, Reading, refused};
use crate::http::caps::ERASURES;
use crate::http::{App, Problem, body, negotiation, params};
use crate::store::{
    Erase, Erased, ErasurePlace, ErasureRecord, LogStore, NoErasurePlace, Versions,
};
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tidelog_core::erasure::{Reason, VersionRange};
use tidelog_core::protocol::LogHead;
use tidelog_core::protocol::json::Instant;
use tidelog_core::{CommitId, Epoch, Position, StreamId, Subject, Version};

/// How many records are read at once: few for a short page, more where many of them may not be shown.
const FEWEST_READ: usize = 16;
const MOST_READ: usize = 256;
/// How many records one call looks at, whatever it may show of them.
const MOST_LOOKED_AT: usize = 4_096;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Asked {
    stream: StreamId,
    versions: Option<AskedVersions>,
    #[serde(default)]
    tombstone: bool,
    reason: Reason,
}

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "`versions` is \"all\" or a list of ranges such as [[3,4],[7,7]]"
)]
enum AskedVersions {
    All(All),
    Ranges(Vec<(Version, Version)>),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum All {
    All,
}

#[derive(Debug, Serialize)]
struct Answer {
    epoch: Epoch,
    head: LogHead,
    #[serde(skip_serializing_if = "Option::is_none")]
    erasure: Option<ErasureJson>,
}

/// An erasure as it is told; the command line prints the same.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErasureJson {
    stream: StreamId,
    commit: CommitId,
    position: Position,
    versions: Vec<(Version, Version)>,
    tombstoned: bool,
    reason: Reason,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<Subject>,
    recorded_at: Instant,
}

impl From<ErasureRecord> for ErasureJson {
    fn from(record: ErasureRecord) -> Self {
        let pair = |range: VersionRange| (range.first, range.last);
        Self {
            stream: record.stream,
            commit: record.commit,
            position: record.position,
            versions: record.versions.into_iter().map(pair).collect(),
            tombstoned: record.tombstoned,
            reason: record.reason,
            actor: record.actor,
            recorded_at: Instant(record.recorded_at),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Part {
    after: Option<String>,
    limit: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct List {
    erasures: Vec<ErasureJson>,
    /// Where to go on; none at the end of the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

pub(super) async fn erase<S: LogStore>(
    State(app): State<App<S>>,
    Erasing(log, grant): Erasing,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    negotiation::json_only(&headers)?;
    let body = body::read(&app, &headers, body).await?;
    let asked: Asked = body::decode(body.bytes, body::json).await?;
    if !grant.may_read(&asked.stream) {
        return Err(Problem::unknown_log(log.as_str()));
    }
    if !grant.may_erase(&asked.stream) {
        return Err(refused("erase in", &asked.stream));
    }
    let versions = match asked.versions {
        None if !asked.tombstone => {
            return Err(Problem::bad_request(
                "nothing is asked for: give `versions`, `tombstone`, or both",
            ));
        }
        None => Versions::None,
        Some(AskedVersions::All(All::All)) => Versions::All,
        Some(AskedVersions::Ranges(ranges)) => Versions::Ranges(checked(&ranges)?),
    };
    let erase = Erase {
        log,
        stream: asked.stream,
        versions,
        tombstone: asked.tombstone,
        reason: asked.reason,
        actor: Some(grant.into_subject()),
    };
    let Erased { state, record } = app.store().erase(erase).await?;
    let status = match record {
        Some(_) => StatusCode::CREATED,
        None => StatusCode::OK,
    };
    let answer = Answer {
        epoch: state.epoch,
        head: state.head,
        erasure: record.map(Into::into),
    };
    Ok((status, Json(answer)).into_response())
}

/// Ranges that are some: at least one, each from a version that can be to one that is not before it.
fn checked(ranges: &[(Version, Version)]) -> Result<Vec<VersionRange>, Problem> {
    let is_range = |&(first, last): &(Version, Version)| first > Version::NONE && first <= last;
    if ranges.is_empty() || !ranges.iter().all(is_range) {
        return Err(Problem::bad_request(
            "`versions` names at least one range, each [first, last] from 1, such as [[3,4],[7,7]]",
        ));
    }
    let range = |&(first, last): &(Version, Version)| VersionRange { first, last };
    Ok(ranges.iter().map(range).collect())
}

pub(super) async fn list<S: LogStore>(
    State(app): State<App<S>>,
    Reading(log, grant): Reading,
    query: Result<Query<Part>, QueryRejection>,
) -> Result<Json<List>, Problem> {
    let Part { after, limit } = params::query(query)?;
    let mut after: Option<ErasurePlace> = after
        .map(|text| text.parse())
        .transpose()
        .map_err(|error: NoErasurePlace| params::invalid_place(&error.to_string()))?;
    let limit = params::count("limit", limit.as_deref(), ERASURES)?.min(ERASURES);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    // The log must be there, whatever was written down of an earlier one of its name.
    app.store().state(&log).await?;
    let mut shown: Vec<ErasureRecord> = Vec::new();
    let (mut left, mut is_end) = (MOST_LOOKED_AT, false);
    // One more than asked for tells whether there is more. What the caller may not read makes no page shorter, until the call has looked at
    // as many as it may: then it goes on behind the last of them. Where that lies is no secret, since pulls have a gap there.
    while shown.len() <= limit && left > 0 && !is_end {
        let missing = limit.saturating_add(1).saturating_sub(shown.len());
        let read = missing.clamp(FEWEST_READ, MOST_READ).min(left);
        let records = app.store().erasures(&log, after, read).await?;
        let Some(last) = records.last() else {
            is_end = true;
            continue;
        };
        after = Some(last.place());
        left = left.saturating_sub(read);
        let seen = records
            .into_iter()
            .filter(|record| grant.may_read(&record.stream));
        shown.extend(seen);
    }
    let next = match shown.len() > limit {
        true => {
            shown.truncate(limit);
            shown.last().map(ErasureRecord::place)
        }
        false => after.filter(|_| !is_end),
    };
    Ok(Json(List {
        next: next.map(|place| place.to_string()),
        erasures: shown.into_iter().map(Into::into).collect(),
    }))
}
