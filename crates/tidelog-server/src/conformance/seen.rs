//! What the cases have asked for and were shown, so that what they leave out can be told.

use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Shared by a target and all that it answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Shown>>);

/// Only what a case demanded and got is shown: an answer that nobody looked at proves nothing.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Shown {
    /// Requests that were served, such as `GET /v1/logs/conformance/commits`, without their queries.
    calls: BTreeSet<String>,
    /// Caps that a case has held the endpoint to.
    caps: BTreeSet<String>,
    /// Codes of problem documents.
    problems: BTreeSet<String>,
    /// Codes of commits that were rejected.
    rejections: BTreeSet<String>,
}

impl Seen {
    pub(super) fn call(&self, method: &str, path: &str) {
        let path = path.split_once('?').map_or(path, |(path, _query)| path);
        self.note(|shown| shown.calls.insert(format!("{method} {path}")));
    }

    pub(super) fn cap(&self, name: &str) {
        self.note(|shown| shown.caps.insert(name.to_owned()));
    }

    pub(super) fn problem(&self, code: &str) {
        self.note(|shown| shown.problems.insert(code.to_owned()));
    }

    pub(super) fn rejection(&self, code: &str) {
        self.note(|shown| shown.rejections.insert(code.to_owned()));
    }

    pub(crate) fn shown(&self) -> Shown {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note(&self, what: impl FnOnce(&mut Shown) -> bool) {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
