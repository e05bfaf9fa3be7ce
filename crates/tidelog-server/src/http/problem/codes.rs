//! The codes of problems: all that this server answers with, each with its status and what a caller does about it.

use axum::http::StatusCode;

/// A code, which never changes its meaning.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) name: &'static str,
    pub(crate) status: StatusCode,
    /// What the caller does.
    pub(crate) advice: &'static str,
}

const fn code(status: StatusCode, name: &'static str, advice: &'static str) -> Code {
    Code {
        name,
        status,
        advice,
    }
}

const MEND: &str = "mend the request";
const ENCODINGS: &str = "the two encodings are application/json and application/vnd.tidelog.frames";
const OTHER_HISTORY: &str = "the history is another one: read from the start";

/// Every code. One that is not here cannot be answered: see [`Problem::new`](super::Problem::new).
pub(crate) const CODES: &[Code] = &[
    code(StatusCode::BAD_REQUEST, "bad_request", MEND),
    code(StatusCode::BAD_REQUEST, "invalid_cursor", MEND),
    code(StatusCode::BAD_REQUEST, "invalid_filter", MEND),
    code(StatusCode::BAD_REQUEST, "invalid_frame", MEND),
    code(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "get a new token, then send again",
    ),
    code(
        StatusCode::FORBIDDEN,
        "forbidden",
        "this token may not; nothing is lost",
    ),
    code(
        StatusCode::FORBIDDEN,
        "replica_bound",
        "the replica belongs to another subject: mint a new one",
    ),
    code(
        StatusCode::NOT_FOUND,
        "unknown_log",
        "there is no such log, or it is not the caller's to see",
    ),
    code(
        StatusCode::NOT_FOUND,
        "unknown_stream",
        "there is no such stream: nothing to erase",
    ),
    code(
        StatusCode::NOT_FOUND,
        "unknown_versions",
        "`actual` is the stream's newest version",
    ),
    code(
        StatusCode::NOT_FOUND,
        "unknown_segment",
        "pull its positions",
    ),
    code(
        StatusCode::NOT_FOUND,
        "not_found",
        "there is nothing at this path",
    ),
    code(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "the header Allow says what the path takes",
    ),
    code(StatusCode::NOT_ACCEPTABLE, "not_acceptable", ENCODINGS),
    code(StatusCode::REQUEST_TIMEOUT, "request_timeout", "send again"),
    code(StatusCode::CONFLICT, "cursor_mismatch", OTHER_HISTORY),
    code(StatusCode::CONFLICT, "cursor_ahead", OTHER_HISTORY),
    code(
        StatusCode::PRECONDITION_FAILED,
        "version_conflict",
        "read the stream again, then decide again",
    ),
    code(
        StatusCode::PAYLOAD_TOO_LARGE,
        "payload_too_large",
        "send less at once; `max` says how much",
    ),
    code(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_many_commits",
        "send less at once; `max` says how much",
    ),
    code(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        ENCODINGS,
    ),
    code(
        StatusCode::UNPROCESSABLE_ENTITY,
        "rejected",
        "the event can never be stored as it is; `rejection` says why",
    ),
    code(
        StatusCode::UNPROCESSABLE_ENTITY,
        "not_erasable",
        "the version says itself what was erased, or is in the archive: leave it out",
    ),
    code(
        StatusCode::UPGRADE_REQUIRED,
        "client_too_old",
        "update; `minClient` says to what",
    ),
    code(
        StatusCode::TOO_MANY_REQUESTS,
        "rate_limited",
        "ask again after Retry-After seconds",
    ),
    code(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "a bug; send again later",
    ),
    code(
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
        "send again after Retry-After seconds",
    ),
    code(
        StatusCode::SERVICE_UNAVAILABLE,
        "archive_unavailable",
        "send again after Retry-After seconds: the history asked for is elsewhere, and what is new can be read",
    ),
    code(
        StatusCode::INSUFFICIENT_STORAGE,
        "storage_full",
        "send again later",
    ),
];

/// Is it a code of this status?
pub(super) fn is_known(status: StatusCode, name: &str) -> bool {
    CODES
        .iter()
        .any(|code| code.name == name && code.status == status)
}
