//! What JavaScript appends and answers, parsed into the vocabulary.

use js_sys::{Float64Array, Uint32Array};
use std::sync::Arc;
use tidelog_client::{FieldError, Fields};
use tidelog_core::event::Reference;
use tidelog_core::replica::{Decision, Draft};
use tidelog_core::text::{SharedText, TextError};
use tidelog_core::{
    Command, Condition, Event, EventType, Expected, Meta, Payload, Policy, SchemaVersion, StreamId,
    Tag, Timestamp, Version,
};
use wasm_bindgen::{JsCast, JsValue};

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

/// What was decided: its events happen at the given time unless it says another.
pub(crate) fn decision(decision: &JsValue, now: Timestamp) -> Result<Decision, DraftError> {
    let decision = Fields::of(decision);
    let refused = decision.value("refused");
    if !decision.value("events").is_undefined() {
        let occurred_at = decision.value("occurredAt").as_f64().map_or(now, timestamp);
        let events = events(decision, occurred_at)?;
        if decision.value("reads").is_undefined() {
            return Ok(Decision::Events(events));
        }
        let mut reads = Vec::new();
        for stream in decision.list("reads")? {
            reads.push(StreamId::new(stream.as_string().unwrap_or_default())?);
        }
        Ok(Decision::Decided { events, reads })
    } else if !refused.is_undefined() {
        let refused = Fields::of(&refused);
        Ok(Decision::Refused {
            code: refused.text("code")?,
            message: refused.text("message")?,
        })
    } else if decision.value("ask").is_truthy() {
        Ok(Decision::Ask)
    } else {
        Ok(Decision::UnknownCommand)
    }
}

/// Events that take the place of others.
pub(crate) fn replacement(of: &JsValue) -> Result<Vec<Event>, DraftError> {
    let of = Fields::of(of);
    events(of, timestamp(of.number("occurredAt")?))
}

fn events(of: Fields<'_>, occurred_at: Timestamp) -> Result<Vec<Event>, DraftError> {
    let mut events = Vec::new();
    for one in of.list("events")? {
        events.push(event(Fields::of(&one), occurred_at)?);
    }
    Ok(events)
}

fn event(event: Fields<'_>, occurred_at: Timestamp) -> Result<Event, DraftError> {
    let (tags, meta) = labels(event)?;
    Ok(Event {
        stream: StreamId::new(event.text("stream")?)?,
        event_type: EventType::new(event.text("type")?)?,
        schema: SchemaVersion::new(event.small("schema")?),
        data: Payload::Json(SharedText::from(event.text("data")?.as_str())),
        occurred_at,
        tags,
        meta,
    })
}

/// The tags and the metadata of an event, or of what stands for it in columns.
fn labels(of: Fields<'_>) -> Result<(Vec<Tag>, Meta), DraftError> {
    let mut tags = Vec::new();
    for tag in of.list("tags")? {
        let tag = tag.as_string().ok_or(FieldError {
            field: "tags",
            form: "a list of texts",
        })?;
        tags.push(Tag::new(tag)?);
    }
    let meta = of.value("meta");
    // Most events have none, and to ask nothing for a field throws, which takes as long as all the rest.
    if meta.is_undefined() {
        return Ok((tags, Meta::default()));
    }
    let meta = Fields::of(&meta);
    let reference = |field| -> Result<Option<Reference>, DraftError> {
        let text = meta.optional_text(field)?;
        Ok(text.map(Reference::new).transpose()?)
    };
    let meta = Meta {
        correlation_id: reference("correlationId")?,
        causation_id: reference("causationId")?,
        device: reference("device")?,
    };
    Ok((tags, meta))
}

/// A commit of one event on its own stream, given flat.
#[derive(Debug)]
pub(crate) struct Flat<'a> {
    pub(crate) id: &'a str,
    pub(crate) occurred_at: f64,
    pub(crate) policy: u8,
    pub(crate) expected: f64,
    pub(crate) stream: &'a str,
    pub(crate) event_type: &'a str,
    pub(crate) schema: u32,
    pub(crate) data: &'a str,
    pub(crate) command: Option<(&'a str, &'a str)>,
}

impl Flat<'_> {
    pub(crate) fn draft(&self) -> Result<Draft, DraftError> {
        let stream = StreamId::new(self.stream)?;
        let conditions = vec![Condition {
            stream: stream.clone(),
            expected: numbered(self.expected)?,
        }];
        let command = match self.command {
            None => None,
            Some((name, args)) => Some(Command {
                stream: stream.clone(),
                name: EventType::new(name)?,
                args: SharedText::from(args),
            }),
        };
        Ok(Draft {
            id: self.id.parse()?,
            conditions,
            events: vec![plain_event(
                stream,
                EventType::new(self.event_type)?,
                self.schema,
                SharedText::from(self.data),
                timestamp(self.occurred_at),
            )],
            command,
            policy: match self.policy {
                0 => Policy::Rerun,
                1 => Policy::Rebase,
                _ => Policy::Ask,
            },
        })
    }
}

/// The one event of a decision, given flat.
pub(crate) fn flat_event(
    occurred_at: f64,
    stream: &str,
    event_type: &str,
    schema: u32,
    data: &str,
) -> Result<Event, DraftError> {
    Ok(plain_event(
        StreamId::new(stream)?,
        EventType::new(event_type)?,
        schema,
        SharedText::from(data),
        timestamp(occurred_at),
    ))
}

/// An event without tags and metadata.
fn plain_event(
    stream: StreamId,
    event_type: EventType,
    schema: u32,
    data: SharedText,
    occurred_at: Timestamp,
) -> Event {
    Event {
        stream,
        event_type,
        schema: SchemaVersion::new(schema),
        data: Payload::Json(data),
        occurred_at,
        tags: Vec::new(),
        meta: Meta::default(),
    }
}

/// The events of an import, a list for each commit.
pub(crate) fn import(batch: &JsValue) -> Result<Vec<Vec<Event>>, DraftError> {
    let batch = Fields::of(batch);
    let mut streams = Vec::new();
    for stream in batch.list("streams")? {
        streams.push(StreamId::new(stream.as_string().unwrap_or_default())?);
    }
    let mut types = Vec::new();
    for event_type in batch.list("types")? {
        types.push(EventType::new(event_type.as_string().unwrap_or_default())?);
    }
    let (stream, event_type) = (integers(batch, "stream")?, integers(batch, "type")?);
    let (schema, ends) = (integers(batch, "schema")?, integers(batch, "ends")?);
    let occurred_at = batch.value("occurredAt").dyn_into::<Float64Array>();
    let occurred_at = occurred_at.map_err(|_other| FieldError {
        field: "occurredAt",
        form: "a Float64Array",
    })?;
    let occurred_at = occurred_at.to_vec();
    let data: Arc<str> = Arc::from(batch.text("data")?);
    let ends = byte_ends(&data, &ends);
    let wrong = |field| FieldError {
        field,
        form: "one for each event, each within its list",
    };
    let mut payload_at = 0;
    let mut all = Vec::with_capacity(stream.len());
    for (index, number) in stream.iter().enumerate() {
        let name = streams.get(*number as usize).ok_or(wrong("stream"))?;
        let number = event_type.get(index).ok_or(wrong("type"))?;
        let event_type = types.get(*number as usize).ok_or(wrong("type"))?;
        let end = *ends.get(index).ok_or(wrong("ends"))?;
        let text = SharedText::slice(&data, payload_at, end).ok_or(wrong("ends"))?;
        payload_at = end + 1;
        all.push(plain_event(
            name.clone(),
            event_type.clone(),
            *schema.get(index).ok_or(wrong("schema"))?,
            text,
            timestamp(*occurred_at.get(index).ok_or(wrong("occurredAt"))?),
        ));
    }
    for extra in batch.list("extras")? {
        let extra = Fields::of(&extra);
        let event = all.get_mut(extra.small("event")? as usize);
        let event = event.ok_or(wrong("extras"))?;
        (event.tags, event.meta) = labels(extra)?;
        if let Some(digest) = extra.optional_text("erased")? {
            event.data = Payload::Erased(digest.parse()?);
        }
    }
    let mut commits = Vec::new();
    let mut all = all.into_iter();
    let mut begin = 0;
    for end in integers(batch, "commitEnd")? {
        let count = end.checked_sub(begin).ok_or(wrong("commitEnd"))?;
        commits.push(all.by_ref().take(count as usize).collect());
        begin = end;
    }
    match all.next() {
        None => Ok(commits),
        Some(_) => Err(wrong("commitEnd").into()),
    }
}

fn integers(of: Fields<'_>, field: &'static str) -> Result<Vec<u32>, FieldError> {
    let form = "a Uint32Array";
    let array = of.value(field).dyn_into::<Uint32Array>();
    let array = array.map_err(|_other| FieldError { field, form })?;
    Ok(array.to_vec())
}

/// Offsets in UTF-16 units, ascending, as offsets in bytes.
fn byte_ends(text: &str, ends: &[u32]) -> Vec<usize> {
    if ends.last().is_some_and(|last| *last as usize == text.len()) {
        // All of it is ASCII.
        return ends.iter().map(|end| *end as usize).collect();
    }
    let (mut units, mut bytes) = (0, 0);
    let mut chars = text.chars();
    let mut found = Vec::with_capacity(ends.len());
    for end in ends {
        while units < *end as usize {
            let Some(next) = chars.next() else { break };
            units += next.len_utf16();
            bytes += next.len_utf8();
        }
        found.push(bytes);
    }
    found
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
        "merge" => Ok(Policy::Merge),
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

/// What a number of the flat form expects: -1 anything, -2 that the stream exists, else a version from 0.
fn numbered(number: f64) -> Result<Expected, TextError> {
    match number {
        -1.0 => Ok(Expected::Any),
        -2.0 => Ok(Expected::Exists),
        version => expected(&JsValue::from_f64(version)),
    }
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
