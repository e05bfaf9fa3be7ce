//! Failures as plain objects `{ code, message, … }`.

use serde::Serialize;
use tidelog_client::ClientError;
use tidelog_core::Expected;
use tidelog_core::replica::{AppendError, SyncError};
use tidelog_core::store::StoreError;
use wasm_bindgen::JsValue;

/// What crosses for a failure.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Failure {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<JsExpected>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actual: Option<f64>,
    /// The server's own code, where it said one.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    only: Option<String>,
}

/// An expected version as JavaScript writes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum JsExpected {
    Name(&'static str),
    Version(f64),
}

#[allow(
    clippy::cast_precision_loss,
    reason = "versions and positions stay below 2^53"
)]
pub(crate) const fn number(value: u64) -> f64 {
    value as f64
}

impl From<Expected> for JsExpected {
    fn from(expected: Expected) -> Self {
        match expected {
            Expected::Any => Self::Name("any"),
            Expected::NoStream => Self::Name("noStream"),
            Expected::Exists => Self::Name("exists"),
            Expected::Exact { exact, .. } => Self::Version(number(exact.value())),
        }
    }
}

impl Failure {
    pub(crate) fn new(code: &'static str, message: String) -> Self {
        Self {
            code,
            message,
            stream: None,
            expected: None,
            actual: None,
            server_code: None,
            status: None,
            position: None,
            only: None,
        }
    }

    pub(crate) fn js(&self) -> JsValue {
        serde_wasm_bindgen::to_value(self).unwrap_or_else(|_never| JsValue::from_str(self.code))
    }
}

impl From<&ClientError> for Failure {
    fn from(error: &ClientError) -> Self {
        let failure = Self::new(error.code(), error.to_string());
        match error {
            ClientError::Append(AppendError::VersionConflict {
                stream,
                expected,
                actual,
            }) => Self {
                stream: Some(stream.to_string()),
                expected: Some((*expected).into()),
                actual: Some(number(actual.value())),
                ..failure
            },
            ClientError::Append(AppendError::OutsideFilter { stream, filter }) => Self {
                stream: Some(stream.to_string()),
                only: Some(filter.canonical()),
                ..failure
            },
            ClientError::Tampered { position } => Self {
                position: Some(number(position.value())),
                ..failure
            },
            _ => failure,
        }
    }
}

impl From<&StoreError> for Failure {
    fn from(error: &StoreError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<&SyncError> for Failure {
    fn from(error: &SyncError) -> Self {
        let failure = Self::new(error.code(), error.to_string());
        match error {
            SyncError::Forbidden { code, .. } => Self {
                server_code: Some(code.clone()),
                ..failure
            },
            SyncError::Refused { code, status, .. } => Self {
                server_code: Some(code.clone()),
                status: Some(*status),
                ..failure
            },
            SyncError::Unavailable { status, .. } => Self {
                status: Some(*status),
                ..failure
            },
            _ => failure,
        }
    }
}

pub(crate) fn throw(error: ClientError) -> JsValue {
    Failure::from(&error).js()
}

pub(crate) fn invalid(what: &str, error: &dyn std::fmt::Display) -> JsValue {
    Failure::new("invalid_argument", format!("{what}: {error}")).js()
}
