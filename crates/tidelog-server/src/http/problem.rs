//! Errors as problem documents (RFC 9457).

mod codes;

pub(crate) use codes::{CODES, Code};

use crate::store::{LogState, StoreError};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use tidelog_core::LogName;
use tidelog_core::protocol::PROBLEM;

/// An error with a stable code.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    fields: Map<String, Value>,
    headers: Vec<(header::HeaderName, HeaderValue)>,
}

impl Problem {
    /// The code is one of [`CODES`], where the document of this API has it from.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        debug_assert!(
            codes::is_known(status, code),
            "{status} {code} is not in problem/codes.rs"
        );
        let detail = detail.into();
        Self {
            status,
            code,
            detail,
            fields: Map::new(),
            headers: Vec::new(),
        }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    pub(crate) fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// What nobody but us can mend.
    pub(crate) fn bug() -> Self {
        let detail = "the server failed; this is a bug";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    pub(crate) fn unknown_log(log: &str) -> Self {
        // The same words whether it is missing or somebody else's.
        let shown: String = log.chars().take(64).collect();
        Self::new(
            StatusCode::NOT_FOUND,
            "unknown_log",
            format!("there is no log {shown:?} here"),
        )
        .field("log", shown)
    }

    /// It cannot be done now. Says when to come again, as every problem of this status does.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::later("unavailable", detail)
    }

    fn later(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
            .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    pub(crate) fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }

    pub(crate) fn header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    fn history(self, state: &LogState) -> Self {
        let head = &state.head;
        self.field("epoch", state.epoch.to_string()).field(
            "head",
            json!({ "position": head.position.value(), "chain": head.chain.to_string() }),
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self {
            status,
            code,
            detail,
            fields,
            headers,
        } = self;
        let mut document = Map::new();
        document.insert("type".into(), format!("urn:tidelog:problem:{code}").into());
        document.insert(
            "title".into(),
            status.canonical_reason().unwrap_or("Error").into(),
        );
        document.insert("status".into(), status.as_u16().into());
        document.insert("detail".into(), detail.into());
        document.insert("code".into(), code.into());
        document.extend(fields);
        let mut response = (status, Value::Object(document).to_string()).into_response();
        let set = response.headers_mut();
        set.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        set.extend(headers);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::UnknownLog { log } => Self::unknown_log(LogName::as_str(log)),
            StoreError::ReplicaBound { replica } => {
                Self::new(StatusCode::FORBIDDEN, "replica_bound", error.to_string())
                    .field("replica", replica.to_string())
            }
            StoreError::CursorMismatch { state } => {
                Self::new(StatusCode::CONFLICT, "cursor_mismatch", error.to_string()).history(state)
            }
            StoreError::CursorAhead { state, .. } => {
                Self::new(StatusCode::CONFLICT, "cursor_ahead", error.to_string()).history(state)
            }
            StoreError::UnknownStream { stream } => {
                Self::new(StatusCode::NOT_FOUND, "unknown_stream", error.to_string())
                    .field("stream", stream.as_str())
            }
            StoreError::UnknownVersions { stream, newest, .. } => {
                Self::new(StatusCode::NOT_FOUND, "unknown_versions", error.to_string())
                    .field("stream", stream.as_str())
                    .field("actual", newest.value())
            }
            StoreError::NotErasable { stream, .. } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "not_erasable",
                error.to_string(),
            )
            .field("stream", stream.as_str()),
            StoreError::TooManyRanges { .. } => Self::bad_request(error.to_string()),
            StoreError::Full => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "storage_full",
                error.to_string(),
            ),
            StoreError::Damaged { position, .. } => {
                tracing::error!(%error, "stored data is damaged");
                let detail = format!("what is stored at position {position} is damaged");
                Self::unavailable(detail).field("position", position.value())
            }
            StoreError::ArchiveUnavailable { position, .. } => {
                tracing::error!(%error, "the archive cannot be used");
                let detail = format!(
                    "the log's history from position {position} is in an archive that cannot be read now"
                );
                Self::later("archive_unavailable", detail).field("position", position.value())
            }
            StoreError::ArchiveOfAnother { .. } => {
                tracing::error!(%error, "the archive cannot be used");
                let detail = "what is to be changed is in an archive, and this server has another";
                Self::later("archive_unavailable", detail)
            }
            StoreError::Unavailable { detail } => {
                tracing::error!(detail, "the database cannot be used");
                Self::unavailable(error.to_string())
            }
            StoreError::Busy | StoreError::Outdated | StoreError::NotOurs { .. } => {
                Self::unavailable(error.to_string())
            }
        }
    }
}
