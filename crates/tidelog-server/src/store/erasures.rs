//! Whether erased payloads and the events that tell of them agree, and what those events add up to.

use super::audit::{Audited, ErasureRecord};
use std::collections::{BTreeMap, BTreeSet};
use tidelog_core::erasure::{REDACTED, Reason, TOMBSTONED, erased_by, is_reserved};
use tidelog_core::{Event, EventId, Recorded, StreamId, Version};

/// What the commits of a log so far say, in order.
#[derive(Debug, Default)]
pub(crate) struct Erasures {
    /// Erased events; `true` for those that an event has told of.
    erased: BTreeMap<StreamId, BTreeMap<Version, (EventId, bool)>>,
    closed: BTreeSet<StreamId>,
}

impl Erasures {
    /// Takes the next commit; gives what is to be written down if it erases.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(crate) fn take(&mut self, recorded: &Recorded) -> Result<Option<Audited>, String> {
        let commit = &recorded.commit;
        let versions = recorded.event_versions();
        for (index, (event, version)) in commit.events.iter().zip(&versions).enumerate() {
            if self.closed.contains(&event.stream) && !is_reserved(&event.event_type) {
                return Err(format!("it writes to {}, which was closed", event.stream));
            }
            if event.data.text().is_none() {
                let erased = self.erased.entry(event.stream.clone()).or_default();
                erased.insert(*version, (commit.event_id(index), false));
            }
        }
        let mut events = Vec::new();
        let mut ranges = Vec::new();
        for (stream, named) in erased_by(recorded).map_err(|error| error.to_string())? {
            for range in named {
                let found = self.erased.entry(stream.clone()).or_default();
                let found = found.range_mut(range.first..=range.last);
                let mut next = range.first;
                for (version, (id, is_told)) in found {
                    if *version != next {
                        break;
                    }
                    *is_told = true;
                    events.push(*id);
                    next = version.next();
                }
                if next <= range.last {
                    return Err(format!(
                        "it says that version {next} of {stream} is erased, which still has its payload"
                    ));
                }
                ranges.push(range);
            }
        }
        let is_closing = |event: &&Event| event.event_type.as_str() == TOMBSTONED;
        let closing = commit.events.iter().find(is_closing);
        self.closed
            .extend(closing.map(|event| event.stream.clone()));
        let is_erasing =
            |event: &&Event| matches!(event.event_type.as_str(), REDACTED | TOMBSTONED);
        let Some(event) = commit.events.iter().find(is_erasing) else {
            return Ok(None);
        };
        Ok(Some(Audited {
            record: ErasureRecord {
                stream: event.stream.clone(),
                commit: commit.id,
                position: recorded.position,
                versions: ranges,
                tombstoned: closing.is_some(),
                reason: reason(event)?,
                actor: recorded.actor.clone(),
                recorded_at: recorded.recorded_at,
            },
            events,
        }))
    }

    /// Is this stream closed?
    pub(crate) fn is_closed(&self, stream: &StreamId) -> bool {
        self.closed.contains(stream)
    }

    /// Nothing was erased without an event that tells of it.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(crate) fn end(&self) -> Result<(), String> {
        for (stream, erased) in &self.erased {
            if let Some((version, _)) = erased.iter().find(|(_, (_, is_told))| !is_told) {
                return Err(format!(
                    "version {version} of {stream} has no payload, and no event tells of it"
                ));
            }
        }
        Ok(())
    }
}

/// Why an erasure was made, as its event says.
fn reason(event: &Event) -> Result<Reason, String> {
    #[derive(serde::Deserialize)]
    struct Data {
        reason: Reason,
    }
    let text = event.data.text().unwrap_or_default();
    let data: Data = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(data.reason)
}
