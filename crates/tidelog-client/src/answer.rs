//! The answer to a push as it comes from `JSON.parse`.
//!
//! The protocol's own types ([`tidelog_core::protocol`]) would do, but their tagged and flattened enums make serde buffer
//! values and cost some 20 KB of Wasm. These are flat, and take only what a replica needs.

use serde::Deserialize;
use tidelog_core::authority::{Rejection, RejectionCode};
use tidelog_core::condition::Conflict;
use tidelog_core::protocol::{CommitResult, LogHead, PositionRange, PushResponse, Verdict};
use tidelog_core::text::TextError;
use tidelog_core::{Attempt, Local, Position, Version};

#[derive(Deserialize)]
pub(crate) struct PushAnswer {
    epoch: String,
    head: Head,
    results: Vec<Answer>,
}

#[derive(Deserialize)]
struct Head {
    position: u64,
    chain: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    id: String,
    attempt: u32,
    verdict: String,
    #[serde(default)]
    accepted_attempt: u32,
    positions: Option<Range>,
    #[serde(default)]
    conflicts: Vec<Unmet>,
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Range {
    first: u64,
    last: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unmet {
    check_index: u32,
    actual: u64,
}

fn form(what: &'static str, found: &str) -> TextError {
    TextError::Form {
        what,
        found: found.chars().take(64).collect(),
        form: "of the protocol",
    }
}

impl PushAnswer {
    /// The answer in the vocabulary. What a conflict is about is looked up in the commits that were sent.
    pub(crate) fn into_response(self, sent: &[Local]) -> Result<PushResponse, TextError> {
        let results: Result<Vec<CommitResult>, TextError> = self
            .results
            .into_iter()
            .map(|answer| answer.into_result(sent))
            .collect();
        Ok(PushResponse {
            epoch: self.epoch.parse()?,
            head: LogHead {
                position: Position::new(self.head.position),
                chain: self.head.chain.parse()?,
            },
            results: results?,
        })
    }
}

impl Answer {
    fn into_result(self, sent: &[Local]) -> Result<CommitResult, TextError> {
        let id = self.id.parse()?;
        let accepted_attempt = Attempt::new(self.accepted_attempt);
        let positions = self.positions.map(|range| PositionRange {
            first: Position::new(range.first),
            last: Position::new(range.last),
        });
        let verdict = match (self.verdict.as_str(), positions) {
            ("accepted" | "duplicate", Some(positions)) => Verdict::Accepted {
                accepted_attempt,
                positions,
                versions: Vec::new(),
            },
            ("conflict", _) => {
                let commit = sent.iter().find(|local| local.commit.id == id);
                let conditions = commit.map(|local| local.commit.conditions.as_slice());
                let conflicts = self.conflicts.into_iter().filter_map(|unmet| {
                    let condition = conditions?.get(unmet.check_index as usize)?;
                    Some(Conflict {
                        check_index: unmet.check_index,
                        stream: condition.stream.clone(),
                        expected: condition.expected,
                        actual: Version::new(unmet.actual),
                    })
                });
                Verdict::Conflict {
                    conflicts: conflicts.collect(),
                }
            }
            ("rejected", _) => Verdict::Rejected(Rejection {
                code: rejection_code(&self.code),
                message: self.message,
            }),
            _ => return Err(form("verdict", &self.verdict)),
        };
        Ok(CommitResult {
            id,
            attempt: Attempt::new(self.attempt),
            verdict,
        })
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
