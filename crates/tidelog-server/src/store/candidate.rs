//! Commits that ask to be stored, with what can be checked of them before they queue.

use tidelog_core::Commit;
use tidelog_core::authority::{Rejection, RejectionCode};
use tidelog_core::limits::MAX_JSON_DEPTH;
use tidelog_core::protocol::json::{depth, is_json};

/// A commit and, if what it says is refused, why it can never be stored. That counts only for commits that are not stored
/// yet: what refuses it may be newer than they are.
#[derive(Debug)]
pub struct Candidate {
    pub(crate) commit: Commit,
    pub(crate) rejection: Option<Rejection>,
}

impl Candidate {
    /// Checks the payloads of a commit.
    #[must_use]
    pub fn new(commit: Commit) -> Self {
        let rejection = commit.events.iter().enumerate().find_map(|(index, event)| {
            let wrong = wrong_json(event.data.text()?)?;
            Some(Rejection {
                code: RejectionCode::InvalidPayload,
                message: format!("the data of event {index} {wrong}"),
            })
        });
        Self { commit, rejection }
    }
}

/// What keeps a text from being a JSON value that every reader can parse.
fn wrong_json(text: &str) -> Option<String> {
    if depth(text) > MAX_JSON_DEPTH {
        return Some(format!("nests deeper than {MAX_JSON_DEPTH} levels"));
    }
    (!is_json(text)).then(|| "is not a JSON value".into())
}

#[cfg(test)]
mod tests {
    use super::{MAX_JSON_DEPTH, wrong_json};

    fn nested(levels: usize) -> String {
        format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn json_of_any_kind_is_taken() {
        let deep = nested(MAX_JSON_DEPTH);
        for text in [
            "null",
            "1e400",
            r#"{"a":"[[[\"[["}"#,
            "9007199254740993",
            deep.as_str(),
        ] {
            assert_eq!(wrong_json(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_json_or_too_deep_is_refused() {
        let (deep, deepest) = (nested(MAX_JSON_DEPTH + 1), nested(100_000));
        for text in [
            "",
            "NaN",
            "{",
            "1 2",
            "'a'",
            "{\"a\":}",
            deep.as_str(),
            deepest.as_str(),
        ] {
            assert!(
                wrong_json(text).is_some(),
                "{}",
                &text[..text.len().min(20)]
            );
        }
    }
}
