//! Confirmed events as columns: typed arrays and one text, so that a fold in JavaScript touches no Wasm.

use crate::error::number;
use js_sys::{Array, Float64Array, JsString, Object, Reflect, Uint32Array};
use std::sync::Arc;
use tidelog_client::RecordedEvent;
use tidelog_core::frame::{Body, Frame};
use tidelog_core::map::Map;
use tidelog_core::{Event, Recorded};
use wasm_bindgen::JsValue;

/// A text per number, by the address of the shared text: the texts of a frame are shared.
#[derive(Default)]
struct Dictionary {
    numbers: Map<(usize, usize), u32>,
    texts: Array,
}

impl Dictionary {
    fn number(&mut self, text: &str) -> u32 {
        let texts = &self.texts;
        *self
            .numbers
            .entry((text.as_ptr() as usize, text.len()))
            .or_insert_with(|| {
                texts.push(&JsString::from(text));
                texts.length() - 1
            })
    }
}

#[derive(Default)]
struct Columns {
    streams: Dictionary,
    types: Dictionary,
    commit_ids: Array,
    actors: Array,
    recorded_at: Vec<f64>,
    stream: Vec<u32>,
    event_type: Vec<u32>,
    commit: Vec<u32>,
    schema: Vec<u32>,
    version: Vec<f64>,
    position: Vec<f64>,
    occurred_at: Vec<f64>,
}

/// A time as JavaScript counts it.
#[allow(
    clippy::cast_precision_loss,
    reason = "times of this age are exact in a double"
)]
pub(crate) const fn millis(time: tidelog_core::Timestamp) -> f64 {
    time.millis() as f64
}

impl Columns {
    fn commit(&mut self, id: &str, actor: Option<&str>, recorded_at: f64) {
        self.commit_ids.push(&JsString::from(id));
        self.actors
            .push(&actor.map_or(JsValue::UNDEFINED, JsValue::from_str));
        self.recorded_at.push(recorded_at);
    }

    fn event(&mut self, event: &Event, version: u64, position: u64) {
        self.stream.push(self.streams.number(event.stream.as_str()));
        self.event_type
            .push(self.types.number(event.event_type.as_str()));
        self.commit.push(self.commit_ids.length().saturating_sub(1));
        self.schema.push(event.schema.value());
        self.version.push(number(version));
        self.position.push(number(position));
        self.occurred_at.push(millis(event.occurred_at));
    }

    fn finish(self, data: &str) -> JsValue {
        let batch = Object::new();
        let first = self.position.first().copied().unwrap_or_default();
        let fields: [(&str, JsValue); 14] = [
            ("firstPosition", first.into()),
            ("count", number(self.position.len() as u64).into()),
            ("streams", self.streams.texts.into()),
            ("types", self.types.texts.into()),
            ("commitIds", self.commit_ids.into()),
            ("actors", self.actors.into()),
            (
                "recordedAt",
                Float64Array::from(self.recorded_at.as_slice()).into(),
            ),
            ("stream", Uint32Array::from(self.stream.as_slice()).into()),
            ("type", Uint32Array::from(self.event_type.as_slice()).into()),
            ("commit", Uint32Array::from(self.commit.as_slice()).into()),
            ("schema", Uint32Array::from(self.schema.as_slice()).into()),
            (
                "version",
                Float64Array::from(self.version.as_slice()).into(),
            ),
            (
                "position",
                Float64Array::from(self.position.as_slice()).into(),
            ),
            (
                "occurredAt",
                Float64Array::from(self.occurred_at.as_slice()).into(),
            ),
        ];
        for (name, value) in fields {
            set(&batch, name, &value);
        }
        set(&batch, "data", &JsValue::from_str(data));
        batch.into()
    }
}

/// Sets a property of a plain object, which cannot fail.
pub(crate) fn set(object: &Object, name: &str, value: &JsValue) {
    let _set = Reflect::set(object, &JsValue::from_str(name), value);
}

/// All events of a recorded frame.
pub(crate) fn of_frame(frame: &Arc<Frame>) -> JsValue {
    let mut columns = Columns::default();
    if let Body::Recorded(commits) = &frame.body {
        for recorded in commits {
            push_commit(&mut columns, recorded);
        }
    }
    columns.finish(&frame.payloads)
}

fn push_commit(columns: &mut Columns, recorded: &Recorded) {
    let actor = recorded.actor.as_ref().map(|actor| actor.as_str());
    columns.commit(
        &recorded.commit.id.to_string(),
        actor,
        millis(recorded.recorded_at),
    );
    let versions = recorded.event_versions();
    for (index, (event, version)) in recorded.commit.events.iter().zip(versions).enumerate() {
        let position = recorded.position.plus(index as u64);
        columns.event(event, version.value(), position.value());
    }
}

/// Some events, in order.
pub(crate) fn of_events(events: &[RecordedEvent]) -> JsValue {
    let mut columns = Columns::default();
    let mut data = String::new();
    let mut last = None;
    for recorded in events {
        if last != Some(recorded.commit) {
            last = Some(recorded.commit);
            let actor = recorded.actor.as_ref().map(|actor| actor.as_str());
            columns.commit(
                &recorded.commit.to_string(),
                actor,
                millis(recorded.recorded_at),
            );
        }
        columns.event(
            &recorded.event,
            recorded.version.value(),
            recorded.position.value(),
        );
        if !data.is_empty() {
            data.push(',');
        }
        data.push_str(recorded.event.data.text().unwrap_or("null"));
    }
    columns.finish(&data)
}
