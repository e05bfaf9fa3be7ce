//! What a server demands of events beyond their shape, so that no client can put into a log what others cannot read or what
//! cannot have happened.

mod commits;

pub(crate) use commits::{AnyCheck, commits};
pub use commits::{CommitCheck, Proposed, Refused};

use tidelog_core::Event;
use tidelog_core::authority::{Rejection, RejectionCode};

/// Looks at payloads before they are stored. [`Schemas`](crate::schemas::Schemas) does by JSON Schema; a server that is
/// embedded somewhere can use the types with which its own code reads them.
///
/// Contract:
///
/// - A commit with an event that is refused is refused whole: `rejected`, `invalid_payload`, which its author parks. Others of
///   the same push are not concerned.
/// - The same event always gets the same answer, as long as the program runs. What was stored before a check
///   became stricter stays stored: a repeated push of it still gets its receipt.
/// - It is asked on the way in, of every payload that is JSON, and takes no long time.
///
/// ```
/// use tidelog_server::check::{PayloadCheck, WrongPayload};
/// use tidelog_core::Event;
///
/// #[derive(serde::Deserialize)]
/// struct Added { title: String }
///
/// #[derive(Debug)]
/// struct Todos;
///
/// impl PayloadCheck for Todos {
///     fn check(&self, event: &Event) -> Result<(), WrongPayload> {
///         if event.event_type.as_str() != "todo.added" {
///             return Ok(());
///         }
///         let added: Added = serde_json::from_str(event.data.text().unwrap_or_default())
///             .map_err(|error| WrongPayload::at("", error.to_string()))?;
///         match added.title.is_empty() {
///             true => Err(WrongPayload::at("/title", "is empty")),
///             false => Ok(()),
///         }
///     }
/// }
/// ```
pub trait PayloadCheck: std::fmt::Debug + Send + Sync + 'static {
    /// Is this event's payload what its type and schema version promise?
    ///
    /// # Errors
    /// [`WrongPayload`], if it is not.
    fn check(&self, event: &Event) -> Result<(), WrongPayload>;
}

/// What is wrong with a payload, in words for the author of the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", if path.is_empty() { "its root" } else { path })]
pub struct WrongPayload {
    path: String,
    detail: String,
}

/// The most characters of a detail: it may repeat what was sent.
const MAX_DETAIL: usize = 300;

impl WrongPayload {
    /// Says what is wrong, and where: a JSON pointer (RFC 6901), empty for the whole payload.
    #[must_use]
    pub fn at(path: impl Into<String>, detail: impl Into<String>) -> Self {
        let (path, mut detail) = (path.into(), detail.into());
        if let Some((end, _)) = detail.char_indices().nth(MAX_DETAIL) {
            detail.truncate(end);
            detail.push('…');
        }
        Self { path, detail }
    }
}

/// Why a commit with these events may not be stored, if it may not.
pub(crate) fn payloads(check: &dyn PayloadCheck, events: &[Event]) -> Option<Rejection> {
    events.iter().enumerate().find_map(|(index, event)| {
        let wrong = check.check(event).err()?;
        let (name, schema) = (&event.event_type, event.schema);
        Some(Rejection {
            code: RejectionCode::InvalidPayload,
            message: format!(
                "the data of event {index} ({name}, schema {schema}) is refused at {wrong}"
            ),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{MAX_DETAIL, WrongPayload};

    #[test]
    fn a_detail_is_cut_and_a_place_is_always_named() {
        assert_eq!(WrongPayload::at("", "no").to_string(), "its root: no");
        let long = WrongPayload::at("/a", "ü".repeat(1_000)).to_string();
        assert_eq!(long.chars().count(), "/a: ".len() + MAX_DETAIL + 1);
    }
}
