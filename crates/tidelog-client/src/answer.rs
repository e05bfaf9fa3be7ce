//! The answer to a push as it comes from `JSON.parse`: of the protocol's [`PushResponse`] what a replica needs.

use crate::fields::{FieldError, Fields};
use tidelog_core::authority::{Rejection, RejectionCode};
use tidelog_core::condition::Conflict;
use tidelog_core::protocol::{CommitResult, LogHead, PositionRange, PushResponse, Verdict};
use tidelog_core::text::TextError;
use tidelog_core::{Attempt, Local, Position, Version};
use wasm_bindgen::JsValue;

/// Why an answer is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error("{0}")]
    Field(#[from] FieldError),
    #[error("{0}")]
    Text(#[from] TextError),
}

/// The answer in the vocabulary. What a conflict is about is looked up in the commits that were sent.
pub(crate) fn push_response(answer: &JsValue, sent: &[Local]) -> Result<PushResponse, AnswerError> {
    let answer = Fields::of(answer);
    let head = answer.value("head");
    let head = Fields::of(&head);
    let mut results = Vec::new();
    for one in answer.list("results")? {
        results.push(result(Fields::of(&one), sent)?);
    }
    Ok(PushResponse {
        epoch: answer.text("epoch")?.parse()?,
        head: LogHead {
            position: Position::new(head.whole("position")?),
            chain: head.text("chain")?.parse()?,
        },
        results,
    })
}

fn result(answer: Fields<'_>, sent: &[Local]) -> Result<CommitResult, AnswerError> {
    let id = answer.text("id")?.parse()?;
    let name = answer.text("verdict")?;
    let verdict = match name.as_str() {
        "accepted" | "duplicate" => {
            let positions = answer.value("positions");
            let positions = Fields::of(&positions);
            Verdict::Accepted {
                accepted_attempt: Attempt::new(answer.small("acceptedAttempt")?),
                positions: PositionRange {
                    first: Position::new(positions.whole("first")?),
                    last: Position::new(positions.whole("last")?),
                },
                versions: Vec::new(),
            }
        }
        "conflict" => {
            let commit = sent.iter().find(|local| local.commit.id == id);
            let conditions = commit.map_or(&[][..], |local| &local.commit.conditions);
            let mut conflicts = Vec::new();
            for unmet in answer.list("conflicts")? {
                let unmet = Fields::of(&unmet);
                let check_index = unmet.small("checkIndex")?;
                let actual = Version::new(unmet.whole("actual")?);
                if let Some(condition) = conditions.get(check_index as usize) {
                    conflicts.push(Conflict {
                        check_index,
                        stream: condition.stream.clone(),
                        expected: condition.expected,
                        actual,
                    });
                }
            }
            Verdict::Conflict { conflicts }
        }
        "rejected" => Verdict::Rejected(Rejection {
            code: rejection_code(&answer.optional_text("code")?.unwrap_or_default()),
            message: answer.optional_text("message")?.unwrap_or_default(),
        }),
        _ => return Err(form("verdict", &name).into()),
    };
    Ok(CommitResult {
        id,
        attempt: Attempt::new(answer.small("attempt")?),
        verdict,
    })
}

fn form(what: &'static str, found: &str) -> TextError {
    TextError::Form {
        what,
        found: found.chars().take(64).collect(),
        form: "of the protocol",
    }
}

/// A code of a newer server counts as its own rule: the message says what it is.
fn rejection_code(code: &str) -> RejectionCode {
    match code {
        "invalid_commit" => RejectionCode::InvalidCommit,
        "attempt_mismatch" => RejectionCode::AttemptMismatch,
        "id_taken" => RejectionCode::IdTaken,
        "seq_reused" => RejectionCode::SeqReused,
        "invalid_payload" => RejectionCode::InvalidPayload,
        _ => RejectionCode::Forbidden,
    }
}
