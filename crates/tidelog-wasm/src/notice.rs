//! What the replica tells, as JavaScript objects.

use crate::batch::{self, set};
use crate::error::{Failure, number};
use crate::event::EventJs;
use js_sys::{Array, JSON, Object};
use serde::Serialize;
use std::fmt::Write;
use tidelog_client::{PeerStatus, SnapshotPart, Storage};
use tidelog_core::replica::{Notice, Phase, Queued, ReceiptState, ResetReason, Status};
use tidelog_core::{Command, CommitId, Filter, Local};
use wasm_bindgen::JsValue;

pub(crate) fn js(value: &impl Serialize) -> JsValue {
    let serializer = serde_wasm_bindgen::Serializer::new().serialize_missing_as_null(false);
    value.serialize(&serializer).unwrap_or(JsValue::UNDEFINED)
}

#[derive(Serialize)]
pub(crate) struct CommandJs {
    stream: String,
    name: String,
    args: String,
}

impl From<&Command> for CommandJs {
    fn from(command: &Command) -> Self {
        Self {
            stream: command.stream.as_str().into(),
            name: command.name.as_str().into(),
            args: command.args.as_str().into(),
        }
    }
}

#[derive(Serialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
enum NoticeJs {
    Queue,
    Status,
    Parked,
    Erased,
    Reset {
        reason: &'static str,
        after: f64,
    },
    Receipt {
        id: String,
        state: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        position: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Failure>,
    },
    Merge {
        id: String,
        question: u32,
        attempt: u32,
        occurred_at: f64,
        events: Vec<EventJs>,
        collisions: Vec<CollisionJs>,
    },
}

/// Versions of a stream, the last one included.
#[derive(Serialize)]
struct CollisionJs {
    stream: String,
    from: f64,
    to: f64,
}

#[allow(
    clippy::cast_precision_loss,
    reason = "times of this age are exact in a double"
)]
pub(crate) fn notice(notice: Notice, filter: impl FnOnce() -> Filter) -> JsValue {
    js(&match notice {
        Notice::Confirmed {
            frame,
            skip,
            settled,
        } => {
            let object = Object::new();
            let ids: Array = settled
                .iter()
                .map(|id| JsValue::from_str(&id.to_string()))
                .collect();
            set(&object, "kind", &JsValue::from_str("batch"));
            set(&object, "batch", &batch::of_frame(&frame, skip, &filter()));
            set(&object, "settled", &ids);
            return object.into();
        }
        Notice::Damaged { from, refetch } => {
            let object = Object::new();
            set(&object, "kind", &JsValue::from_str("damaged"));
            set(&object, "from", &number(from.value()).into());
            set(&object, "refetch", &JsValue::from_bool(refetch));
            return object.into();
        }
        Notice::Queue => NoticeJs::Queue,
        Notice::Parked => NoticeJs::Parked,
        Notice::Erased => NoticeJs::Erased,
        Notice::Reset { reason, after } => NoticeJs::Reset {
            after: number(after.value()),
            reason: match reason {
                ResetReason::History => "history",
                ResetReason::Damage => "damage",
                ResetReason::Filter => "filter",
                ResetReason::Erased => "erased",
                _ => "storage",
            },
        },
        Notice::Receipt { id, state } => {
            let (state, position, error) = match state {
                ReceiptState::Durable => ("durable", None, None),
                ReceiptState::Acked(position) => ("acked", Some(position), None),
                ReceiptState::Confirmed(position) => ("confirmed", Some(position), None),
                ReceiptState::Parked => ("parked", None, None),
                ReceiptState::Failed(error) => ("failed", None, Some(Failure::from(&error))),
                _ => ("unknown", None, None),
            };
            let position = position.map(|position| number(position.value()));
            NoticeJs::Receipt {
                id: id.to_string(),
                state,
                position,
                error,
            }
        }
        Notice::Rerun {
            question,
            attempt,
            command,
            occurred_at,
            before,
        } => {
            // A commit each, so a thousand may come at once: no detour by what serializes any object.
            let object = Object::new();
            let mut text = String::with_capacity(36);
            question.id.push_to(&mut text);
            set(&object, "kind", &JsValue::from_str("rerun"));
            set(&object, "id", &JsValue::from_str(&text));
            set(&object, "question", &question.number.into());
            set(&object, "attempt", &attempt.value().into());
            set(&object, "occurredAt", &(occurred_at.millis() as f64).into());
            let stream = command.stream.as_str();
            set(&object, "stream", &JsValue::from_str(stream));
            let name = command.name.as_str();
            set(&object, "name", &JsValue::from_str(name));
            let args = command.args.as_str();
            set(&object, "args", &JsValue::from_str(args));
            if let Some(head) = before {
                text.clear();
                head.last.push_to(&mut text);
                set(&object, "before", &JsValue::from_str(&text));
            }
            return object.into();
        }
        Notice::Merge {
            question,
            attempt,
            events,
            collisions,
            occurred_at,
        } => NoticeJs::Merge {
            id: question.id.to_string(),
            question: question.number,
            attempt: attempt.value(),
            occurred_at: occurred_at.millis() as f64,
            events: events.iter().map(|event| EventJs::of(event, 0)).collect(),
            collisions: collisions
                .iter()
                .map(|collision| CollisionJs {
                    stream: collision.stream.to_string(),
                    from: number(collision.from.value()),
                    to: number(collision.to.value()),
                })
                .collect(),
        },
        _ => NoticeJs::Status,
    })
}

/// Part of a fold's stored state.
pub(crate) fn snapshot(part: &SnapshotPart) -> JsValue {
    let object = Object::new();
    let buckets: Array = part
        .buckets
        .iter()
        // They were texts when they were saved, and their checksum fits.
        .map(|bytes| JsValue::from_str(str::from_utf8(bytes).unwrap_or_default()))
        .collect();
    set(&object, "kind", &JsValue::from_str("snapshot"));
    set(&object, "name", &JsValue::from_str(&part.fold.name));
    set(&object, "version", &part.fold.version.into());
    set(&object, "position", &number(part.position.value()).into());
    set(&object, "buckets", &buckets);
    set(&object, "last", &part.last.into());
    object.into()
}

/// One notice for many receipts: these commits are durable.
pub(crate) fn durable(ids: &[CommitId]) -> JsValue {
    let mut text = String::with_capacity(ids.len() * 36);
    for id in ids {
        id.push_to(&mut text);
    }
    let object = Object::new();
    set(&object, "kind", &JsValue::from_str("durable"));
    set(&object, "ids", &JsValue::from_str(&text));
    object.into()
}

/// What a log takes on this device.
pub(crate) fn storage(storage: &Storage) -> JsValue {
    let object = Object::new();
    let numbers = [
        ("events", storage.events),
        ("oldest", storage.oldest.value()),
        ("frames", storage.frames),
        ("segments", storage.segments),
        ("quarantined", storage.quarantined),
        ("lost", storage.lost),
        ("bytes", storage.bytes),
        ("leftOut", storage.left_out),
    ];
    for (name, value) in numbers {
        set(&object, name, &number(value).into());
    }
    let gaps = Array::new();
    for gap in &storage.gaps {
        let one = Object::new();
        set(&one, "from", &number(gap.from.value()).into());
        set(&one, "to", &number(gap.to.value()).into());
        set(&one, "reason", &JsValue::from_str(gap.reason.name()));
        gaps.push(&one);
    }
    set(&object, "gaps", &gaps);
    set(
        &object,
        "only",
        &JsValue::from_str(&storage.filter.canonical()),
    );
    if let Some(usage) = storage.usage {
        set(&object, "usage", &usage.into());
    }
    if let Some(quota) = storage.quota {
        set(&object, "quota", &quota.into());
    }
    if let Some(persisted) = storage.persisted {
        set(&object, "persisted", &persisted.into());
    }
    object.into()
}

/// The commits that are not confirmed. Many are told by one text that `JSON.parse` reads: making each object from here would
/// cross the border ten times for each.
pub(crate) fn queue(queue: &mut dyn Iterator<Item = Queued<'_>>) -> JsValue {
    let mut text = String::from("[");
    for queued in queue {
        if text.len() > 1 {
            text.push(',');
        }
        let commit = &queued.local.commit;
        let state = match (queued.acked, queued.durable) {
            (Some(_), _) => "acked",
            (None, true) => "pending",
            (None, false) => "local",
        };
        let (id, attempt) = (commit.id, commit.attempt.value());
        let _written = write!(
            text,
            r#"{{"id":"{id}","attempt":{attempt},"state":"{state}"}}"#
        );
    }
    text.push(']');
    JSON::parse(&text).unwrap_or_default()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusJs {
    phase: String,
    position: f64,
    head: f64,
    pending: usize,
    parked: usize,
    leader: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed: Option<ReplayedJs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JsErrorText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at: Option<f64>,
    /// Which part of the log is here, unless it is all of it: a filter's canonical text.
    #[serde(skip_serializing_if = "Option::is_none")]
    only: Option<String>,
    /// What is read next instead of what is here, if that is another part of the log: a filter's canonical text.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_only: Option<String>,
}

/// How much of the local log has been read, while it is being opened.
#[derive(Serialize)]
struct ReplayedJs {
    done: f64,
    total: f64,
}

/// A failure of this tab, or what the tab that talks to the server says of one.
#[derive(Serialize)]
#[serde(untagged)]
enum JsErrorText {
    Own(Failure),
    Peer { code: String, message: String },
}

pub(crate) fn status(status: &Status, peer: Option<PeerStatus>) -> JsValue {
    let position = number(status.position.value());
    let head = status.server_head.map(|head| number(head.value()));
    let own = status
        .store_error
        .as_ref()
        .map(Failure::from)
        .or_else(|| status.sync_error.as_ref().map(Failure::from))
        .or_else(|| status.filter_error.as_ref().map(Failure::from));
    let peer_error = peer.as_ref().and_then(|peer| {
        Some(JsErrorText::Peer {
            code: peer.error.clone()?,
            message: peer.message.clone()?,
        })
    });
    #[allow(
        clippy::cast_precision_loss,
        reason = "times of this age are exact in a double"
    )]
    let own_retry = status.retry_at.map(|at| at.millis() as f64);
    let retry_at = own_retry.or_else(|| peer.as_ref().and_then(|peer| peer.retry_at));
    let phase = match (&peer, status.phase) {
        (Some(peer), _) => peer.phase.clone(),
        (None, phase) => phase.name().to_owned(),
    };
    let head = head.or_else(|| peer.as_ref().and_then(|peer| peer.head));
    let counts = status.counts;
    js(&StatusJs {
        phase,
        position,
        head: head.unwrap_or(position).max(position),
        pending: counts.unwritten + counts.pending + counts.acked,
        parked: counts.parked,
        leader: status.leader,
        replayed: (status.phase == Phase::Opening).then(|| ReplayedJs {
            done: position,
            total: number(status.stored.value()),
        }),
        error: own.map(JsErrorText::Own).or(peer_error),
        retry_at,
        only: Some(status.filter.canonical()).filter(|only| !only.is_empty()),
        next_only: status.next_filter.as_ref().map(Filter::canonical),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CommitJs {
    id: String,
    attempt: u32,
    occurred_at: f64,
    events: Vec<EventJs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<CommandJs>,
}

#[allow(
    clippy::cast_precision_loss,
    reason = "times of this age are exact in a double"
)]
/// A commit of the queue with the versions that its events are shown with.
pub(crate) fn commit(local: &Local, versions: &[u64]) -> JsValue {
    let occurred_at = local
        .commit
        .events
        .first()
        .map_or(0.0, |event| event.occurred_at.millis() as f64);
    let events = local
        .commit
        .events
        .iter()
        .enumerate()
        .map(|(index, event)| EventJs::of(event, versions.get(index).copied().unwrap_or_default()));
    js(&CommitJs {
        id: local.commit.id.to_string(),
        attempt: local.commit.attempt.value(),
        occurred_at,
        events: events.collect(),
        command: local.command.as_ref().map(CommandJs::from),
    })
}
