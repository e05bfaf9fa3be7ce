//! Events as lines of JSON: what `import` reads and `export` writes.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tidelog_core::erasure::is_reserved;
use tidelog_core::event::{EventType, Tag};
use tidelog_core::protocol::json::{EventJson, Instant, MetaJson};
use tidelog_core::{Digest, Event, Payload, SchemaVersion, StreamId, Version};

/// One event. `stream` is `kind/key`; without a slash it is split at its first hyphen.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub(super) stream: String,
    pub(super) version: Version,
    #[serde(rename = "type")]
    pub(super) event_type: EventType,
    pub(super) time: Instant,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<Box<RawValue>>,
    /// Instead of the data, the digest of what was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) erased: Option<Digest>,
    #[serde(default = "first_schema", skip_serializing_if = "is_first_schema")]
    pub(super) schema: SchemaVersion,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) tags: Vec<Tag>,
    #[serde(default, skip_serializing_if = "is_no_meta")]
    pub(super) meta: MetaJson,
}

const fn first_schema() -> SchemaVersion {
    SchemaVersion::FIRST
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_first_schema(schema: &SchemaVersion) -> bool {
    *schema == SchemaVersion::FIRST
}

fn is_no_meta(meta: &MetaJson) -> bool {
    *meta == MetaJson::default()
}

impl Line {
    /// The event and the version it must have.
    ///
    /// # Errors
    /// What is wrong with the line, in words.
    pub(super) fn parse(text: &str) -> Result<(Event, Version), String> {
        let line: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let stream = match line.stream.split_once('-') {
            Some((kind, key)) if !line.stream.contains('/') => {
                StreamId::new(format!("{kind}/{key}"))
            }
            _ => StreamId::new(&line.stream),
        };
        if line.erased.is_some() || is_reserved(&line.event_type) {
            return Err(
                "it is an erased event, or one that says what was erased, and only a server can append those; \
                 bring such a log over with `tidelog backup` and `tidelog restore`"
                    .into(),
            );
        }
        let data = line.data.ok_or("missing field `data`")?;
        let event = EventJson {
            stream: stream.map_err(|error| error.to_string())?,
            event_type: line.event_type,
            schema: line.schema,
            data,
            occurred_at: line.time,
            tags: line.tags,
            meta: line.meta,
        };
        Ok((event.into(), line.version))
    }

    /// The line of an event.
    ///
    /// # Errors
    /// If its payload is not JSON.
    pub(super) fn of(event: Event, version: Version) -> serde_json::Result<Self> {
        let (data, erased) = match &event.data {
            Payload::Json(text) => {
                let data = RawValue::from_string(text.as_str().to_owned())?;
                (Some(data), None)
            }
            Payload::Erased(digest) => (None, Some(*digest)),
        };
        Ok(Self {
            stream: event.stream.into(),
            version,
            event_type: event.event_type,
            time: Instant(event.occurred_at),
            data,
            erased,
            schema: event.schema,
            tags: event.tags,
            meta: event.meta.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn a_stream_without_a_slash_is_split_at_its_first_hyphen() {
        let line = |stream: &str| {
            let line = format!(
                r#"{{"stream":"{stream}","version":1,"type":"a","time":"2011-10-01T00:38:44.546+02:00","data":{{"n":1.0}}}}"#
            );
            Line::parse(&line).map(|(event, _)| event)
        };
        let event = line("application-173688-b").expect("a valid line");
        assert_eq!(event.stream.as_str(), "application/173688-b");
        assert_eq!(event.occurred_at.millis(), 1_317_422_324_546);
        assert_eq!(event.data.text(), Some(r#"{"n":1.0}"#));
        assert_eq!(
            line("a-b/c-d").expect("a valid line").stream.as_str(),
            "a-b/c-d"
        );
        assert!(line("nokey").is_err());
    }
}
