//! The events of a frame one after the other, for folds in Rust. Names are made once for each frame and payloads are parts of one
//! text, so that an event costs no allocation.

use std::sync::Arc;
use tidelog_core::event::Reference;
use tidelog_core::frame::Columns;
use tidelog_core::text::SharedText;
use tidelog_core::{
    Event, EventType, Meta, Payload, Position, SchemaVersion, StreamId, Tag, Timestamp,
};

/// A place in a frame.
#[derive(Debug)]
pub(super) struct Events {
    frame: Arc<Columns>,
    payloads: Arc<str>,
    streams: Vec<Option<StreamId>>,
    types: Vec<Option<EventType>>,
    /// Events with tags or metadata that are still to come, the next one last.
    labelled: Vec<(usize, Vec<Tag>, Meta)>,
    next: usize,
}

impl Events {
    pub(super) fn new(frame: Arc<Columns>) -> Self {
        let mut labelled: Vec<_> = frame
            .extras()
            .map(|extra| {
                let reference =
                    |text: Option<&str>| text.and_then(|text| Reference::new(text).ok());
                let meta = Meta {
                    correlation_id: reference(extra.correlation_id),
                    causation_id: reference(extra.causation_id),
                    device: reference(extra.device),
                };
                let tags = extra.tags.iter().filter_map(|tag| Tag::new(tag).ok());
                (extra.event, tags.collect(), meta)
            })
            .collect();
        labelled.reverse();
        Self {
            payloads: Arc::from(frame.payloads()),
            streams: vec![None; frame.names()],
            types: vec![None; frame.names()],
            labelled,
            next: 0,
            frame,
        }
    }

    /// The position of the next event.
    pub(super) fn position(&self) -> Position {
        self.frame.position(self.next)
    }

    /// The last position that the frame covers.
    pub(super) fn end(&self) -> Position {
        self.frame.last_position()
    }

    /// Does the next event begin a commit, or is there none?
    pub(super) fn is_between_commits(&self) -> bool {
        let commit = self.frame.commit();
        self.next == 0 || commit.get(self.next) != commit.get(self.next - 1)
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "times in a frame are whole milliseconds"
    )]
    fn event(&mut self) -> Option<Event> {
        let at = self.next;
        let stream = *self.frame.stream().get(at)? as usize;
        let event_type = *self.frame.event_type().get(at)? as usize;
        let data = match self.frame.erased(at) {
            Some(digest) => Payload::Erased(digest),
            None => {
                let starts = self.frame.payload_at();
                // Behind a payload that is not the last one comes a comma.
                let end = match starts.get(at + 1) {
                    Some(next) => (*next as usize).checked_sub(1)?,
                    None => self.payloads.len(),
                };
                let start = *starts.get(at)? as usize;
                Payload::Json(SharedText::slice(&self.payloads, start, end)?)
            }
        };
        let labels = self.labelled.pop_if(|(event, _, _)| *event == at);
        let (tags, meta) = labels.map_or_else(Default::default, |(_, tags, meta)| (tags, meta));
        self.next += 1;
        Some(Event {
            stream: shared(&mut self.streams, stream, || {
                StreamId::new(self.frame.name(u32::try_from(stream).ok()?)).ok()
            })?,
            event_type: shared(&mut self.types, event_type, || {
                EventType::new(self.frame.name(u32::try_from(event_type).ok()?)).ok()
            })?,
            schema: SchemaVersion::new(*self.frame.schema().get(at)?),
            data,
            occurred_at: Timestamp::from_millis(*self.frame.occurred_at().get(at)? as i64),
            tags,
            meta,
        })
    }
}

fn shared<T: Clone>(
    known: &mut [Option<T>],
    at: usize,
    make: impl FnOnce() -> Option<T>,
) -> Option<T> {
    let place = known.get_mut(at)?;
    if place.is_none() {
        *place = make();
    }
    place.clone()
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        while self.next < self.frame.stream().len() {
            let before = self.next;
            if let Some(event) = self.event() {
                return Some(event);
            }
            // Names of recorded frames were checked when they were taken in.
            self.next = self.next.max(before + 1);
        }
        None
    }
}
