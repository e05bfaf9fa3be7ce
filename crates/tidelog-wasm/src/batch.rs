//! Confirmed events as columns: typed arrays and a few texts, so that a fold in JavaScript touches no Wasm.
//!
//! A frame crosses as it lies there: its dictionary as one text, its payloads as the bytes they are, numbers as typed arrays.
//! No object is made for an event, and nothing is copied but into the arrays.

use crate::error::number;
use js_sys::{Array, Float64Array, Object, Reflect, Uint8Array, Uint32Array};
use std::fmt::Write;
use tidelog_client::RecordedEvent;
use tidelog_core::frame::Columns;
use tidelog_core::map::Map;
use tidelog_core::{Digest, Event, Filter, StreamId};
use wasm_bindgen::JsValue;

/// A time as JavaScript counts it.
#[allow(
    clippy::cast_precision_loss,
    reason = "times of this age are exact in a double"
)]
pub(crate) const fn millis(time: tidelog_core::Timestamp) -> f64 {
    time.millis() as f64
}

/// Sets a property of a plain object, which cannot fail.
pub(crate) fn set(object: &Object, name: &str, value: &JsValue) {
    let _set = Reflect::set(object, &JsValue::from_str(name), value);
}

/// All events of a recorded frame, of which the first `skip` are folded already. `filter`: what the log was read with.
pub(crate) fn of_frame(frame: &Columns, skip: usize, filter: &Filter) -> JsValue {
    let extras = Array::new();
    for extra in frame.extras() {
        let references = [extra.correlation_id, extra.causation_id, extra.device];
        extras.push(&extra_of(extra.event, &extra.tags, references));
    }
    let batch = Object::new();
    let fields: [(&str, JsValue); 15] = [
        (
            "firstPosition",
            number(frame.first_position().value()).into(),
        ),
        ("count", number(frame.stream().len() as u64).into()),
        ("skip", number(skip as u64).into()),
        ("names", JsValue::from_str(frame.names_text())),
        ("commitIds", JsValue::from_str(&frame.commit_ids_text())),
        ("commitEnd", Uint32Array::from(frame.commit_end()).into()),
        ("recordedAt", Float64Array::from(frame.recorded_at()).into()),
        ("actor", Uint32Array::from(frame.actor()).into()),
        ("stream", Uint32Array::from(frame.stream()).into()),
        ("type", Uint32Array::from(frame.event_type()).into()),
        ("schema", Uint32Array::from(frame.schema()).into()),
        ("version", Float64Array::from(frame.version()).into()),
        ("occurredAt", Float64Array::from(frame.occurred_at()).into()),
        ("payloads", Uint8Array::from(frame.payload_bytes()).into()),
        ("payloadAt", Uint32Array::from(frame.payload_at()).into()),
    ];
    for (name, value) in fields {
        set(&batch, name, &value);
    }
    if extras.length() > 0 {
        set(&batch, "extras", &extras);
    }
    let erased = frame.erased_events();
    let erased = erased.filter_map(|event| Some((event, frame.erased(event as usize)?)));
    set_erased(&batch, erased);
    if !filter.is_everything() {
        let outside =
            |stream: &str| StreamId::new(stream).is_ok_and(|stream| !filter.wants(&stream));
        let partial = frame.streams().filter(|end| outside(end.stream));
        let partial: Array = partial.map(|end| JsValue::from(end.name)).collect();
        set(&batch, "partial", &partial);
    }
    if frame.header().left_out > 0 {
        let positions =
            (0..frame.stream().len()).map(|event| number(frame.position(event).value()));
        let positions: Vec<f64> = positions.collect();
        set(
            &batch,
            "positions",
            &Float64Array::from(&positions[..]).into(),
        );
        let last = number(frame.last_position().value());
        set(&batch, "lastPosition", &last.into());
    }
    batch.into()
}

fn extra_of(
    event: usize,
    tags: &[&str],
    [correlation, causation, device]: [Option<&str>; 3],
) -> JsValue {
    let extra = Object::new();
    set(&extra, "event", &number(event as u64).into());
    if !tags.is_empty() {
        let tags: Array = tags.iter().map(|tag| JsValue::from_str(tag)).collect();
        set(&extra, "tags", &tags);
    }
    let meta = Object::new();
    let mut any = false;
    for (name, reference) in [
        ("correlationId", correlation),
        ("causationId", causation),
        ("device", device),
    ] {
        if let Some(reference) = reference {
            set(&meta, name, &JsValue::from_str(reference));
            any = true;
        }
    }
    if any {
        set(&extra, "meta", &meta);
    }
    extra.into()
}

fn extra_of_event(index: usize, event: &Event) -> Option<JsValue> {
    let tags: Vec<&str> = event.tags.iter().map(AsRef::as_ref).collect();
    let meta = &event.meta;
    let references = [&meta.correlation_id, &meta.causation_id, &meta.device];
    let references = references.map(|reference| reference.as_ref().map(AsRef::as_ref));
    let any = !tags.is_empty() || references.iter().any(Option::is_some);
    any.then(|| extra_of(index, &tags, references))
}

/// A number for each text.
#[derive(Default)]
struct Dictionary {
    numbers: Map<String, u32>,
    names: String,
}

impl Dictionary {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        if number > 0 {
            self.names.push('\n');
        }
        self.names.push_str(text);
        self.numbers.insert(text.to_owned(), number);
        number
    }
}

/// Some events in order, each with its position.
pub(crate) fn of_events(events: &[RecordedEvent]) -> JsValue {
    let mut names = Dictionary::default();
    let (mut commit_ids, mut payloads, mut payload_at) = (String::new(), String::new(), Vec::new());
    let (mut commit_end, mut recorded_at, mut actor) = (Vec::new(), Vec::new(), Vec::new());
    let (mut stream, mut event_type, mut schema) = (Vec::new(), Vec::new(), Vec::new());
    let (mut version, mut occurred_at, mut positions) = (Vec::new(), Vec::new(), Vec::new());
    let (extras, mut erased) = (Array::new(), Vec::new());
    let mut last = None;
    for (index, recorded) in events.iter().enumerate() {
        let event = &recorded.event;
        if last != Some(recorded.commit) {
            last = Some(recorded.commit);
            let _written = write!(commit_ids, "{}", recorded.commit);
            recorded_at.push(millis(recorded.recorded_at));
            let name = recorded.actor.as_ref();
            actor.push(name.map_or(0, |name| names.number(name.as_str()) + 1));
            commit_end.push(0);
        }
        if let Some(end) = commit_end.last_mut() {
            *end = u32::try_from(index + 1).unwrap_or(u32::MAX);
        }
        stream.push(names.number(event.stream.as_str()));
        event_type.push(names.number(event.event_type.as_str()));
        schema.push(event.schema.value());
        version.push(number(recorded.version.value()));
        occurred_at.push(millis(event.occurred_at));
        positions.push(number(recorded.position.value()));
        if index > 0 {
            payloads.push(',');
        }
        payload_at.push(u32::try_from(payloads.len()).unwrap_or(u32::MAX));
        payloads.push_str(event.data.text().unwrap_or_else(|| {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            erased.push((index, event.data.digest()));
            "null"
        }));
        if let Some(extra) = extra_of_event(index, event) {
            extras.push(&extra);
        }
    }
    let batch = Object::new();
    let first = positions.first().copied().unwrap_or_default();
    let fields: [(&str, JsValue); 16] = [
        ("firstPosition", first.into()),
        ("count", number(events.len() as u64).into()),
        ("skip", 0.into()),
        ("names", JsValue::from_str(&names.names)),
        ("commitIds", JsValue::from_str(&commit_ids)),
        ("commitEnd", Uint32Array::from(&commit_end[..]).into()),
        ("recordedAt", Float64Array::from(&recorded_at[..]).into()),
        ("actor", Uint32Array::from(&actor[..]).into()),
        ("stream", Uint32Array::from(&stream[..]).into()),
        ("type", Uint32Array::from(&event_type[..]).into()),
        ("schema", Uint32Array::from(&schema[..]).into()),
        ("version", Float64Array::from(&version[..]).into()),
        ("occurredAt", Float64Array::from(&occurred_at[..]).into()),
        ("payloads", Uint8Array::from(payloads.as_bytes()).into()),
        ("payloadAt", Uint32Array::from(&payload_at[..]).into()),
        ("positions", Float64Array::from(&positions[..]).into()),
    ];
    for (name, value) in fields {
        set(&batch, name, &value);
    }
    if extras.length() > 0 {
        set(&batch, "extras", &extras);
    }
    set_erased(&batch, erased.into_iter());
    batch.into()
}

/// Which events have no payload any more, and the digests of what they had; nothing if all have.
fn set_erased(batch: &Object, erased: impl Iterator<Item = (u32, Digest)>) {
    let (mut events, mut digests) = (Vec::new(), String::new());
    for (event, digest) in erased {
        events.push(event);
        let _written = write!(digests, "{digest}");
    }
    if !events.is_empty() {
        set(batch, "erased", &Uint32Array::from(&events[..]).into());
        set(batch, "digests", &JsValue::from_str(&digests));
    }
}

/// A page of batches.
pub(crate) fn page(batches: impl IntoIterator<Item = JsValue>, more: bool) -> JsValue {
    let page = Object::new();
    let batches: Array = batches.into_iter().collect();
    set(&page, "batches", &batches);
    set(&page, "more", &more.into());
    page.into()
}
