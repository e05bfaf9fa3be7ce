//! The calls: for each what it takes, what it gives, and the problems that it has beside the ones that all share.
//!
//! The functions below only carry what is said of a call; `routes` has the handlers. A test asks the router for every path
//! and method.

#![expect(
    dead_code,
    reason = "the functions stand for handlers that are generic over the store"
)]

use super::Common;
use super::messages::*;
use crate::http::problem::{CODES, Code};
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tidelog",
        description = "How a replica (a browser, a service, a script) and the server that keeps its logs talk: protocol version 1. \
                       PROTOCOL.md of the crate tidelog-server says it in prose, with examples, and which parts a server may leave out.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    paths(describe, push, pull, segment, follow, read_stream, append, erase, erasures, live, alive, ready, openapi),
    components(schemas(
        Epoch, Position, Version, ChainHash, Cursor, CommitId, ReplicaId, EventId, StreamId, EventType, Time, Place,
        Problem, Commit, LiveLog
    )),
    tags(
        (name = "log", description = "A log: an ordered list of commits, each of one or more events."),
        (name = "stream", description = "One stream of a log, for any HTTP client."),
        (name = "news", description = "What tells that a log has grown."),
        (name = "operations", description = "For whoever runs the server.")
    ),
    modifiers(&Common)
)]
pub(super) struct Document;

/// Calls whose answers name the log's end in their headers.
pub(super) const TELLS_THE_HEAD: [&str; 3] = ["describe", "push", "pull"];

/// What each call of the protocol may answer.
const EVERY: [&str; 10] = [
    "bad_request",
    "unauthorized",
    "unknown_log",
    "not_found",
    "method_not_allowed",
    "client_too_old",
    "rate_limited",
    "internal",
    "unavailable",
    "storage_full",
];
const BODY: [&str; 4] = [
    "request_timeout",
    "payload_too_large",
    "unsupported_media_type",
    "forbidden",
];

/// The problems of a call, by its operation id.
pub(super) fn problems(id: &str, is_protocol: bool) -> impl Iterator<Item = &'static Code> {
    let every: &[&str] = match is_protocol {
        true => &EVERY,
        false => &["method_not_allowed", "internal"],
    };
    let body: &[&str] = match id {
        "push" | "append" | "erase" => &BODY,
        "live" => &[
            "request_timeout",
            "payload_too_large",
            "unsupported_media_type",
        ],
        _ => &[],
    };
    let own: &[&str] = match id {
        "push" => &[
            "invalid_cursor",
            "invalid_frame",
            "replica_bound",
            "cursor_mismatch",
            "cursor_ahead",
            "too_many_commits",
        ],
        "pull" => &[
            "invalid_cursor",
            "invalid_filter",
            "not_acceptable",
            "cursor_mismatch",
            "cursor_ahead",
            "archive_unavailable",
        ],
        "follow" => &[
            "invalid_cursor",
            "cursor_mismatch",
            "cursor_ahead",
            "archive_unavailable",
        ],
        "erasures" => &["invalid_cursor"],
        "read_stream" => &["archive_unavailable"],
        "append" => &["version_conflict", "rejected", "replica_bound"],
        "erase" => &[
            "unknown_stream",
            "unknown_versions",
            "not_erasable",
            "replica_bound",
            "archive_unavailable",
        ],
        "live" => &["invalid_cursor"],
        "segment" => &["unknown_segment", "not_acceptable", "archive_unavailable"],
        "ready" => &["unavailable", "archive_unavailable"],
        _ => &[],
    };
    CODES.iter().filter(move |code| {
        [every, body, own]
            .iter()
            .any(|names| names.contains(&code.name))
    })
}

/// What a log is, where it ends, and what this server takes and leaves out
#[utoipa::path(get, path = "/v1/logs/{log}", tag = "log", params(LogPath),
    responses((status = 200, description = "The log.", body = Description)))]
fn describe() {}

/// Push commits, in the order they were made; a verdict for each
///
/// Every commit has its own verdict and holds up no other. The same push may be sent as often as needed: a commit that is stored
/// already is answered `duplicate` with the receipt of the first time. Only a verdict says anything about a commit; a status code, a
/// lost answer and a proxy's page do not.
#[utoipa::path(post, path = "/v1/logs/{log}/commits", tag = "log",
    params(LogPath,
        ("tidelog-replica" = Option<ReplicaId>, Header, description = "Who sends; needed if the body is a frame."),
        ("tidelog-cursor" = Option<Cursor>, Header, description = "How far the replica has read, if the body is a frame.")),
    request_body(content((Push = "application/json", example = json!({
        "replica": "01980000-0000-7000-8000-0000000000aa",
        "commits": [{
            "id": "01980000-0000-7000-8000-000000000001", "seq": 1,
            "conditions": [{ "stream": "todo/1", "expected": "noStream" }],
            "events": [{ "stream": "todo/1", "type": "todo.added", "data": { "title": "Milk" }, "occurredAt": "2026-01-01T12:00:00Z" }]
        }]
    })), (Frames = "application/vnd.tidelog.frames")), description = "Commits as JSON, or one local frame."),
    responses((status = 200, description = "The verdicts, in the order of the commits.", body = PushResponse, example = json!({
        "epoch": "0198a3c6-7d3e-7b51-8e0d-2f6b9f1c4a10",
        "head": { "position": 1, "chain": "5e1c3f0a7b9d2e4f6a8c0b1d3e5f7a9b1c3d5e7f9a0b2c4d6e8f0a1b3c5d7e9f" },
        "results": [{
            "id": "01980000-0000-7000-8000-000000000001", "attempt": 1, "verdict": "accepted", "acceptedAttempt": 1,
            "positions": { "first": 1, "last": 1 }, "versions": [{ "stream": "todo/1", "first": 1, "last": 1 }]
        }]
    }))))]
fn push() {}

/// Pull whole commits after a place, in order
///
/// An answer without commits (and gaps), whose head is where the caller is, says that the caller has everything.
#[utoipa::path(get, path = "/v1/logs/{log}/commits", tag = "log", params(LogPath, PullQuery),
    responses((status = 200, description = "What follows, as JSON or, if `Accept` likes it better, as recorded frames one after the other.",
        content((PullResponse = "application/json"), (Frames = "application/vnd.tidelog.frames")))))]
fn pull() {}

/// A long run of whole commits, which changes only when a payload in it is erased
///
/// For a device that has nothing yet. Segment `n` ends with the commit that holds position `n × events`, as the log's description says.
#[utoipa::path(get, path = "/v1/logs/{log}/segments/{epoch}/{number}", tag = "log",
    params(LogPath, SegmentPath, ("if-none-match" = Option<String>, Header, description = "The ETag of a copy that the caller kept.")),
    responses(
        (status = 200, description = "Recorded frames, one after the other; gzipped for those who take that.",
            body = Frames, content_type = "application/vnd.tidelog.frames",
            headers(("etag" = String, description = "Its name."), ("cache-control" = String, description = "The one who asked may keep it, and asks each time whether it is still the same."))),
        (status = 304, description = "The caller's copy is this segment.")))]
fn segment() {}

/// Every commit as a server-sent event
///
/// Each is named `commits`, has its last position as its id and a commit as in a pull as its data.
#[utoipa::path(get, path = "/v1/logs/{log}/live", tag = "news",
    params(LogPath,
        ("after" = Option<Place>, Query, description = "From where on; from the beginning if it is left out."),
        ("last-event-id" = Option<Place>, Header, description = "How far a browser came that connects again; counts before `after`.")),
    responses((status = 200, description = "An answer that does not end.", body = RecordedCommit, content_type = "text/event-stream")))]
fn follow() {}

/// One stream, either way
#[utoipa::path(get, path = "/v1/logs/{log}/streams/{stream}", tag = "stream", params(LogPath, StreamPath, StreamQuery),
    responses((status = 200, description = "The events asked for. A stream without events has version 0.", body = StreamResponse,
        headers(("etag" = String, description = "The stream's version in quotes.")))))]
fn read_stream() {}

/// Append one event, where the stream has the version that was seen
#[utoipa::path(post, path = "/v1/logs/{log}/streams/{stream}", tag = "stream",
    params(LogPath, StreamPath,
        ("if-match" = Option<String>, Header, description = "`\"3\"`: the stream has this version. `*`: it exists.", example = "\"3\""),
        ("if-none-match" = Option<String>, Header, description = "`*`: the stream does not exist.", example = "*")),
    request_body(content = Append, example = json!({
        "type": "todo.completed", "data": {}, "id": "01980000-0000-7000-8000-000000000003"
    })),
    responses(
        (status = 201, description = "It is stored.", body = Stored,
            headers(("etag" = String, description = "The stream's version now, in quotes."))),
        (status = 200, description = "It was stored before: the receipt of that time.", body = Stored,
            headers(("etag" = String, description = "The version that it has, in quotes.")))))]
fn append() {}

/// Erase payloads of a stream, close it for ever, or both
///
/// The server appends an event of the type `tidelog.redacted` or `tidelog.tombstoned` to the stream. Positions, versions, ids and hashes stay.
/// Asking again for what is erased already stores nothing.
#[utoipa::path(post, path = "/v1/logs/{log}/erasures", tag = "stream", params(LogPath),
    request_body(content = EraseRequest, example = json!({
        "stream": "todo/1", "versions": [[1, 1]], "reason": "asked by the person"
    })),
    responses(
        (status = 201, description = "It is done, and the log says so.", body = EraseResponse),
        (status = 200, description = "There was nothing left to do.", body = EraseResponse)))]
fn erase() {}

/// What was erased, oldest first
#[utoipa::path(get, path = "/v1/logs/{log}/erasures", tag = "stream", params(LogPath, ErasuresQuery),
    responses((status = 200, description = "What the caller may read of it.", body = Erasures)))]
fn erasures() {}

/// One connection that tells where any number of logs end
///
/// Each line is JSON: a log's end whenever it is not where the caller was last told, with what is new if it is asked for and
/// little; and `{}` now and then.
#[utoipa::path(post, path = "/v1/live", tag = "news",
    request_body(content = LiveRequest, example = json!({ "logs": [{ "log": "todos", "cursor": "2" }] })),
    responses((status = 200, description = "Lines, until the caller or the server ends it.", body = LiveLine, content_type = "application/x-ndjson")))]
fn live() {}

/// The process answers
#[utoipa::path(get, path = "/healthz", tag = "operations",
    responses((status = 200, description = "It does.", body = String, content_type = "text/plain")))]
fn alive() {}

/// It takes pushes, and does not shut down
#[utoipa::path(get, path = "/readyz", tag = "operations",
    responses((status = 200, description = "It does.", body = String, content_type = "text/plain")))]
fn ready() {}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "operations",
    responses((status = 200, description = "An OpenAPI document, version 3.1.", body = Object)))]
fn openapi() {}
