//! What JavaScript appends and answers, parsed into the vocabulary.

use tidelog_client::{FieldError, Fields};
use tidelog_core::event::Reference;
use tidelog_core::replica::{Draft, RerunAnswer};
use tidelog_core::text::{SharedText, TextError};
use tidelog_core::{
    Command, Condition, Event, EventType, Expected, Meta, Payload, Policy, SchemaVersion, StreamId,
    Tag, Timestamp, Version,
};
use wasm_bindgen::JsValue;

/// Why a draft is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DraftError {
    #[error("{0}")]
    Field(#[from] FieldError),
    #[error("{0}")]
    Text(#[from] TextError),
}

/// A commit to append.
pub(crate) fn draft(draft: &JsValue) -> Result<Draft, DraftError> {
    let draft = Fields::of(draft);
    let mut conditions = Vec::new();
    for one in draft.list("conditions")? {
        conditions.push(condition(Fields::of(&one))?);
    }
    let command_given = draft.value("command");
    Ok(Draft {
        id: draft.text("id")?.parse()?,
        conditions,
        events: events(draft, timestamp(draft.number("occurredAt")?))?,
        command: if command_given.is_undefined() {
            None
        } else {
            Some(command(Fields::of(&command_given))?)
        },
        policy: policy(&draft.text("policy")?)?,
    })
}

/// The answer to a rerun: its events happen at the given time unless it says another.
pub(crate) fn answer(answer: &JsValue, now: Timestamp) -> Result<RerunAnswer, DraftError> {
    let answer = Fields::of(answer);
    let refused = answer.value("refused");
    if !answer.value("events").is_undefined() {
        let occurred_at = answer.value("occurredAt").as_f64().map_or(now, timestamp);
        Ok(RerunAnswer::Events(events(answer, occurred_at)?))
    } else if !refused.is_undefined() {
        let refused = Fields::of(&refused);
        Ok(RerunAnswer::Refused {
            code: refused.text("code")?,
            message: refused.text("message")?,
        })
    } else {
        Ok(RerunAnswer::UnknownCommand)
    }
}

fn events(of: Fields<'_>, occurred_at: Timestamp) -> Result<Vec<Event>, DraftError> {
    let mut events = Vec::new();
    for one in of.list("events")? {
        events.push(event(Fields::of(&one), occurred_at)?);
    }
    Ok(events)
}

fn event(event: Fields<'_>, occurred_at: Timestamp) -> Result<Event, DraftError> {
    let mut tags = Vec::new();
    for tag in event.list("tags")? {
        let tag = tag.as_string().ok_or(FieldError {
            field: "tags",
            form: "a list of texts",
        })?;
        tags.push(Tag::new(tag)?);
    }
    let meta = event.value("meta");
    let meta = Fields::of(&meta);
    let reference = |field| -> Result<Option<Reference>, DraftError> {
        let text = meta.optional_text(field)?;
        Ok(text.map(Reference::new).transpose()?)
    };
    Ok(Event {
        stream: StreamId::new(event.text("stream")?)?,
        event_type: EventType::new(event.text("type")?)?,
        schema: SchemaVersion::new(event.small("schema")?),
        data: Payload::Json(SharedText::from(event.text("data")?.as_str())),
        occurred_at,
        tags,
        meta: Meta {
            correlation_id: reference("correlationId")?,
            causation_id: reference("causationId")?,
            device: reference("device")?,
        },
    })
}

fn command(command: Fields<'_>) -> Result<Command, DraftError> {
    Ok(Command {
        stream: StreamId::new(command.text("stream")?)?,
        name: EventType::new(command.text("name")?)?,
        args: SharedText::from(command.text("args")?.as_str()),
    })
}

fn condition(condition: Fields<'_>) -> Result<Condition, DraftError> {
    Ok(Condition {
        stream: StreamId::new(condition.text("stream")?)?,
        expected: expected(&condition.value("expected"))?,
    })
}

fn policy(name: &str) -> Result<Policy, TextError> {
    match name {
        "rerun" => Ok(Policy::Rerun),
        "rebase" => Ok(Policy::Rebase),
        "ask" => Ok(Policy::Ask),
        _ => Err(TextError::Form {
            what: "policy",
            found: name.into(),
            form: "of rerun, rebase or ask",
        }),
    }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "Date gives whole milliseconds below 2^53"
)]
pub(crate) const fn timestamp(millis: f64) -> Timestamp {
    Timestamp::from_millis(millis as i64)
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be a whole number that a double holds exactly"
)]
fn expected(value: &JsValue) -> Result<Expected, TextError> {
    let name = value.as_string();
    match (name.as_deref(), value.as_f64()) {
        (Some("any"), _) => Ok(Expected::Any),
        (Some("noStream"), _) | (None, Some(0.0)) => Ok(Expected::NoStream),
        (Some("exists"), _) => Ok(Expected::Exists),
        (None, Some(version)) if js_sys::Number::is_safe_integer(value) && version > 0.0 => {
            Ok(Expected::Exact {
                exact: Version::new(version as u64),
                event: None,
            })
        }
        _ => Err(TextError::Form {
            what: "expected version",
            found: name.unwrap_or_default(),
            form: "of any, noStream, exists or a version from 0",
        }),
    }
}
