//! Which failure of the platform is which [`StoreError`].
//!
//! The question behind every line is whether something may have been written. What the specification defines as an
//! abort before or instead of a commit is certain. Anything else that happens after a commit was asked for (a broken
//! backing store, a browser process that went away) is unknown, and only reopening tells.

use js_sys::Reflect;
use std::error::Error as _;
use std::fmt;
use tidelog_core::store::StoreError;
use wasm_bindgen::JsValue;

/// What a `DOMException` or any other thrown value says.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    name: String,
    message: String,
}

impl Failure {
    pub(crate) fn of(thrown: &JsValue) -> Self {
        let text = |field: &str| {
            Reflect::get(thrown, &field.into())
                .ok()
                .and_then(|value| value.as_string())
        };
        let message = text("message").unwrap_or_else(|| format!("{thrown:?}"));
        Self {
            name: text("name").unwrap_or_default(),
            message,
        }
    }

    /// What a transaction throws that was asked for something. If it has ended already, it was aborted: it ends by
    /// itself only when nothing is asked of it any more.
    pub(crate) fn in_transaction(thrown: &JsValue) -> Self {
        let mut failure = Self::of(thrown);
        if failure.name == "InvalidStateError" {
            failure.name = "AbortError".into();
        }
        failure
    }

    /// The name of the exception.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// An abort without a reason.
    pub(crate) fn unexplained() -> Self {
        Self {
            name: "AbortError".into(),
            message: "no reason given".into(),
        }
    }

    /// Something of ours that aborts a transaction.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self {
            name: "DataError".into(),
            message: message.into(),
        }
    }

    /// The error of a transaction whose commit was not asked for: nothing was written.
    pub(crate) fn before_commit(&self) -> StoreError {
        match self.name.as_str() {
            "AbortError" | "TransactionInactiveError" => StoreError::Aborted {
                detail: self.to_string(),
            },
            _ => self.after_commit(),
        }
    }

    /// The error of a transaction whose commit was asked for.
    pub(crate) fn after_commit(&self) -> StoreError {
        let detail = self.to_string();
        match self.name.as_str() {
            "QuotaExceededError" => StoreError::QuotaExceeded { detail },
            "ConstraintError" | "DataError" | "DataCloneError" | "ReadOnlyError" | "TypeError"
            | "TimeoutError" => StoreError::Aborted { detail },
            "NotFoundError" => StoreError::Corrupt {
                place: "schema".into(),
                detail,
            },
            // A large value lies in a file of its own, and that is not there or not whole.
            "NotReadableError" => StoreError::Corrupt {
                place: "a value's file".into(),
                detail,
            },
            _ => StoreError::ConnectionLost { detail },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name.as_str(), self.message.as_str()) {
            ("", message) => f.write_str(message),
            (name, message) => write!(f, "{name}: {message}"),
        }
    }
}

/// Why a database could not be opened or deleted.
pub(crate) fn opening(failure: &Failure) -> StoreError {
    let detail = failure.to_string();
    match failure.name() {
        "QuotaExceededError" => StoreError::QuotaExceeded { detail },
        "AbortError" => StoreError::Aborted { detail },
        _ => StoreError::Unavailable { detail },
    }
}

/// Why `rexie` could not open or upgrade a database.
pub(crate) fn building(error: &rexie::Error) -> StoreError {
    let detail = text(error);
    if detail.contains("QuotaExceededError") {
        StoreError::QuotaExceeded { detail }
    } else {
        StoreError::Unavailable { detail }
    }
}

/// What the platform said: `rexie` gives the name of the exception only inside the text of its error's source.
fn text(error: &rexie::Error) -> String {
    error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string)
}
