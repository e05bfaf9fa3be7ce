//! Parked commits with both sides' events.

use crate::batch::millis;
use crate::error::{JsExpected, number};
use crate::event::EventJs;
use crate::notice::{CommandJs, js};
use serde::Serialize;
use tidelog_client::RecordedEvent;
use tidelog_core::map::Map;
use tidelog_core::replica::{ParkReason, Parked};
use tidelog_core::{Commit, Expected, StreamId};
use wasm_bindgen::JsValue;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ParkedJs {
    id: String,
    occurred_at: f64,
    reason: ReasonJs,
    mine: Vec<EventJs>,
    theirs: Vec<EventJs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<CommandJs>,
}

#[derive(Serialize)]
struct ReasonJs {
    code: &'static str,
    /// The decider's or the server's own code.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    message: String,
    conflicts: Vec<ConflictJs>,
}

#[derive(Serialize)]
struct ConflictJs {
    stream: String,
    expected: JsExpected,
    actual: f64,
}

/// The events of a parked commit with the versions they were to have; 0 where nothing was expected of their stream.
fn mine(commit: &Commit) -> Vec<EventJs> {
    let mut next: Map<&StreamId, u64> = Map::new();
    for condition in &commit.conditions {
        match condition.expected {
            Expected::NoStream => next.insert(&condition.stream, 1),
            Expected::Exact { exact, .. } => next.insert(&condition.stream, exact.value() + 1),
            Expected::Any | Expected::Exists => None,
        };
    }
    let versioned = commit.events.iter().map(|one| {
        let version = next.get_mut(&one.stream).map_or(0, |next| {
            *next += 1;
            *next - 1
        });
        EventJs::pending(one, commit.id, version)
    });
    versioned.collect()
}

fn reason(parked: &Parked) -> ReasonJs {
    let (code, cause, message) = match &parked.reason {
        ParkReason::Conflict => (
            "conflict",
            None,
            "this was changed elsewhere while the change was on its way".into(),
        ),
        ParkReason::Refused { code, message } => ("refused", Some(code.clone()), message.clone()),
        ParkReason::Rejected { code, message } => ("rejected", Some(code.clone()), message.clone()),
        _ => (
            "unknown_command",
            None,
            "this version of the app does not know the command any more".into(),
        ),
    };
    let conflicts = parked.conflicts.iter().map(|conflict| ConflictJs {
        stream: conflict.stream.to_string(),
        expected: conflict.expected.into(),
        actual: number(conflict.actual.value()),
    });
    ReasonJs {
        code,
        cause,
        message,
        conflicts: conflicts.collect(),
    }
}

pub(crate) fn parked(parked: &Parked, collided: &[RecordedEvent]) -> JsValue {
    let Parked { local, .. } = parked;
    let first = local.commit.events.first();
    js(&ParkedJs {
        id: local.commit.id.to_string(),
        occurred_at: first.map_or(0.0, |event| millis(event.occurred_at)),
        reason: reason(parked),
        mine: mine(&local.commit),
        theirs: collided.iter().map(EventJs::recorded).collect(),
        command: local.command.as_ref().map(CommandJs::from),
    })
}
