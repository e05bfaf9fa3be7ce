//! Single events as JavaScript objects. Recorded events cross in batches instead.

use crate::batch::millis;
use crate::error::number;
use serde::Serialize;
use tidelog_client::RecordedEvent;
use tidelog_core::event::Reference;
use tidelog_core::{CommitId, Event, Meta};

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventJs {
    stream: String,
    #[serde(rename = "type")]
    event_type: String,
    schema: u32,
    version: f64,
    /// Nothing if it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<MetaJs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded_at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MetaJs {
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
}

impl EventJs {
    /// An event of a commit whose id and time are told apart.
    pub(crate) fn of(event: &Event, version: u64) -> Self {
        let text = |reference: &Option<Reference>| reference.as_ref().map(ToString::to_string);
        let meta = MetaJs {
            correlation_id: text(&event.meta.correlation_id),
            causation_id: text(&event.meta.causation_id),
            device: text(&event.meta.device),
        };
        let any = event.meta != Meta::default();
        let tags = event.tags.iter().map(ToString::to_string);
        Self {
            stream: event.stream.to_string(),
            event_type: event.event_type.to_string(),
            schema: event.schema.value(),
            version: number(version),
            data: event.data.text().map(ToOwned::to_owned),
            tags: (!event.tags.is_empty()).then(|| tags.collect()),
            meta: any.then_some(meta),
            ..Self::default()
        }
    }

    /// An event that is not confirmed.
    pub(crate) fn pending(event: &Event, commit: CommitId, version: u64) -> Self {
        Self {
            occurred_at: Some(millis(event.occurred_at)),
            commit_id: Some(commit.to_string()),
            ..Self::of(event, version)
        }
    }

    pub(crate) fn recorded(recorded: &RecordedEvent) -> Self {
        let version = recorded.version.value();
        Self {
            position: Some(number(recorded.position.value())),
            recorded_at: Some(millis(recorded.recorded_at)),
            actor: recorded.actor.as_ref().map(ToString::to_string),
            ..Self::pending(&recorded.event, recorded.commit, version)
        }
    }
}
