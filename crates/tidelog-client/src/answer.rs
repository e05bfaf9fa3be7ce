//! Answers of the server as they come from `JSON.parse`: of the protocol's [`PushResponse`] what a replica needs, and events
//! of one stream.

use crate::fields::{FieldError, Fields};
use crate::read::RecordedEvent;
use tidelog_core::authority::{Rejection, RejectionCode};
use tidelog_core::condition::Conflict;
use tidelog_core::event::Reference;
use tidelog_core::protocol::{CommitResult, LogHead, PositionRange, PushResponse, Verdict};
use tidelog_core::text::TextError;
use tidelog_core::{
    Attempt, ChainHash, Digest, Event, EventId, EventType, Local, Meta, Payload, Position,
    SchemaVersion, StreamId, Subject, Tag, Timestamp, Version,
};
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
            // A server may have no chain. The replica's own goes by what it pulls.
            chain: head
                .optional_text("chain")?
                .map_or_else(|| Ok(ChainHash::default()), |chain| chain.parse())?,
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

/// The events of a `StreamResponse`. A payload is written anew as JSON: numbers that JavaScript cannot hold are rounded.
pub(crate) fn stream_events(answer: &JsValue) -> Result<Vec<RecordedEvent>, AnswerError> {
    let answer = Fields::of(answer);
    let stream = StreamId::new(answer.text("stream")?)?;
    let mut events = Vec::new();
    for one in answer.list("events")? {
        events.push(stream_event(Fields::of(&one), &stream)?);
    }
    Ok(events)
}

fn stream_event(one: Fields<'_>, stream: &StreamId) -> Result<RecordedEvent, AnswerError> {
    let id: EventId = one.text("id")?.parse()?;
    // Left out if it was erased, and there if it is null.
    let data = match one.has("data") {
        true => js_sys::JSON::stringify(&one.raw("data")).ok(),
        false => None,
    };
    let data = data.map(String::from);
    let actor = one.optional_text("actor")?;
    Ok(RecordedEvent {
        event: event(one, stream.clone(), data.as_deref())?,
        commit: id.commit,
        position: Position::new(one.whole("position")?),
        version: Version::new(one.whole("version")?),
        recorded_at: instant(one, "recordedAt")?,
        actor: actor.map(Subject::new).transpose()?,
    })
}

/// What the author of an event wrote. A payload that is not there was erased.
pub(crate) fn event(
    one: Fields<'_>,
    stream: StreamId,
    data: Option<&str>,
) -> Result<Event, AnswerError> {
    let meta = one.value("meta");
    let meta = Fields::of(&meta);
    let reference = |field| -> Result<Option<Reference>, AnswerError> {
        Ok(meta.optional_text(field)?.map(Reference::new).transpose()?)
    };
    let mut tags = Vec::new();
    for tag in one.list("tags")? {
        tags.push(Tag::new(tag.as_string().unwrap_or_default())?);
    }
    let erased = one.optional_text("erased")?;
    let erased: Option<Digest> = erased.map(|digest| digest.parse()).transpose()?;
    Ok(Event {
        stream,
        event_type: EventType::new(one.text("type")?)?,
        schema: SchemaVersion::new(one.small("schema")?),
        data: data.map_or(Payload::Erased(erased.unwrap_or_default()), Payload::json),
        occurred_at: instant(one, "occurredAt")?,
        tags,
        meta: Meta {
            correlation_id: reference("correlationId")?,
            causation_id: reference("causationId")?,
            device: reference("device")?,
        },
    })
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "Date gives whole milliseconds below 2^53"
)]
pub(crate) fn instant(of: Fields<'_>, field: &'static str) -> Result<Timestamp, AnswerError> {
    let text = of.text(field)?;
    let millis = js_sys::Date::parse(&text);
    if millis.is_nan() {
        return Err(form("time", &text).into());
    }
    Ok(Timestamp::from_millis(millis as i64))
}

pub(crate) fn form(what: &'static str, found: &str) -> TextError {
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
        "stream_tombstoned" => RejectionCode::StreamTombstoned,
        _ => RejectionCode::Forbidden,
    }
}
