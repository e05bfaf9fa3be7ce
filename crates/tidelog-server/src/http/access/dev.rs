//! Access for development.

use super::{Authorizer, Denied, Grant, Kinds, bearer};
use axum::http::request::Parts;
use tidelog_core::{LogName, Subject};

/// Anybody may do anything, as the subject `dev`; a token, if given, is taken as the name of the subject. For
/// development on one's own machine only.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dev;

impl Authorizer for Dev {
    type Caller = Subject;

    async fn identify(&self, request: &Parts) -> Result<Subject, Denied> {
        let name = bearer(&request.headers)?.unwrap_or("dev");
        Subject::new(name).map_err(|_why| Denied::unknown("the token is not a valid subject name"))
    }

    async fn grant(&self, subject: &Subject, _: &LogName) -> Result<Option<Grant>, Denied> {
        Ok(Some(Grant::append(subject.clone()).erasing(Kinds::All)))
    }
}
