//! What JavaScript appends and answers, parsed into the vocabulary.

use serde::Deserialize;
use tidelog_core::event::Reference;
use tidelog_core::replica::{Draft, RerunAnswer};
use tidelog_core::text::{SharedText, TextError};
use tidelog_core::{
    Command, Condition, Event, EventType, Expected, Meta, Payload, Policy, SchemaVersion, StreamId,
    Tag, Timestamp, Version,
};
use wasm_bindgen::JsValue;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DraftJs {
    id: String,
    occurred_at: f64,
    #[serde(default)]
    conditions: Vec<ConditionJs>,
    events: Vec<EventJs>,
    #[serde(default)]
    command: Option<CommandJs>,
    policy: Policy,
}

#[derive(Deserialize)]
struct ConditionJs {
    stream: String,
    /// A version, or a name; an untagged enum would make serde buffer every value.
    #[serde(with = "serde_wasm_bindgen::preserve")]
    expected: JsValue,
}

#[derive(Deserialize)]
pub(crate) struct EventJs {
    stream: String,
    #[serde(rename = "type")]
    event_type: String,
    schema: u32,
    data: String,
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    meta: Option<MetaJs>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct MetaJs {
    #[serde(default)]
    correlation_id: Option<String>,
    #[serde(default)]
    causation_id: Option<String>,
    #[serde(default)]
    device: Option<String>,
}

#[derive(Deserialize)]
struct CommandJs {
    stream: String,
    name: String,
    args: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AnswerJs {
    #[serde(default)]
    events: Option<Vec<EventJs>>,
    #[serde(default)]
    refused: Option<RefusedJs>,
    #[serde(default)]
    occurred_at: Option<f64>,
}

#[derive(Deserialize)]
struct RefusedJs {
    code: String,
    message: String,
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

fn reference(text: Option<String>) -> Result<Option<Reference>, TextError> {
    text.map(Reference::new).transpose()
}

impl EventJs {
    fn parse(self, occurred_at: Timestamp) -> Result<Event, TextError> {
        let meta = self.meta.unwrap_or_default();
        Ok(Event {
            stream: StreamId::new(self.stream)?,
            event_type: EventType::new(self.event_type)?,
            schema: SchemaVersion::new(self.schema),
            data: Payload::Json(SharedText::from(self.data.as_str())),
            occurred_at,
            tags: self
                .tags
                .unwrap_or_default()
                .into_iter()
                .map(Tag::new)
                .collect::<Result<_, _>>()?,
            meta: Meta {
                correlation_id: reference(meta.correlation_id)?,
                causation_id: reference(meta.causation_id)?,
                device: reference(meta.device)?,
            },
        })
    }
}

fn parse_events(events: Vec<EventJs>, occurred_at: Timestamp) -> Result<Vec<Event>, TextError> {
    events
        .into_iter()
        .map(|event| event.parse(occurred_at))
        .collect()
}

impl DraftJs {
    pub(crate) fn parse(self) -> Result<Draft, TextError> {
        let conditions = self.conditions.into_iter().map(|condition| {
            Ok(Condition {
                stream: StreamId::new(condition.stream)?,
                expected: expected(&condition.expected)?,
            })
        });
        let command = self.command.map(|command| {
            Ok(Command {
                stream: StreamId::new(command.stream)?,
                name: EventType::new(command.name)?,
                args: SharedText::from(command.args.as_str()),
            })
        });
        Ok(Draft {
            id: self.id.parse()?,
            conditions: conditions.collect::<Result<_, TextError>>()?,
            events: parse_events(self.events, timestamp(self.occurred_at))?,
            command: command.transpose()?,
            policy: self.policy,
        })
    }
}

impl AnswerJs {
    pub(crate) fn parse(self, occurred_at: Timestamp) -> Result<RerunAnswer, TextError> {
        let occurred_at = self.occurred_at.map_or(occurred_at, timestamp);
        Ok(match (self.events, self.refused) {
            (Some(events), _) => RerunAnswer::Events(parse_events(events, occurred_at)?),
            (None, Some(RefusedJs { code, message })) => RerunAnswer::Refused { code, message },
            (None, None) => RerunAnswer::UnknownCommand,
        })
    }
}
