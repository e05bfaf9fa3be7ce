//! Commits as JSON, for servers that have no frames.
//!
//! What comes is made into a frame here, so that the log on this device is as with any server. A frame carries the hash chain:
//! a server that names it is held to it; of one that has none this device computes its own, so that what is changed at rest
//! shows, and nothing can show what the server changed before it sent it.
//!
//! Payloads are cut out of the text as they stand in it, because their bytes count for the chain.

mod payloads;

use super::{Pulled, bad};
use crate::answer::{AnswerError, event, form, instant};
use crate::fields::Fields;
use js_sys::JSON;
use payloads::payloads;
use std::fmt::Write;
use tidelog_core::event::Tag;
use tidelog_core::replica::SyncError;
use tidelog_core::{
    Attempt, ChainHash, Commit, Condition, Cursor, Event, Expected, Gap, GapReason, GapRecord,
    Local, Position, Recorded, ReplicaId, Seq, StreamId, StreamVersions, Subject, Timestamp,
    Version, frame,
};
use wasm_bindgen::JsValue;

/// A pull's answer as a frame. Without a cursor the chain before it is not known, so none is checked.
pub(super) fn page(text: &str, after: Option<Cursor>) -> Result<Pulled, SyncError> {
    let answer = JSON::parse(text).map_err(|_why| bad("it is not JSON"))?;
    let read = Page::read(Fields::of(&answer), text, after);
    let page = read.map_err(|error| bad(&error.to_string()))?;
    let history = after.filter(|after| after.position > Position::START);
    if history.is_some_and(|after| after.epoch != page.epoch) {
        return Err(SyncError::HistoryChanged);
    }
    let frames = match page.commits.is_empty() && page.gaps.is_empty() {
        true => Vec::new(),
        false => vec![frame::encode_with_gaps(
            page.epoch,
            after.unwrap_or_default().chain,
            &page.commits,
            &page.gaps,
        )],
    };
    Ok(Pulled {
        frames,
        head: page.head,
    })
}

struct Page {
    epoch: tidelog_core::Epoch,
    head: Position,
    commits: Vec<Recorded>,
    gaps: Vec<GapRecord>,
}

impl Page {
    fn read(answer: Fields<'_>, text: &str, after: Option<Cursor>) -> Result<Self, AnswerError> {
        let head = answer.value("head");
        let mut page = Self {
            epoch: answer.text("epoch")?.parse()?,
            head: Position::new(Fields::of(&head).whole("position")?),
            commits: Vec::new(),
            gaps: Vec::new(),
        };
        let mut left_out = Vec::new();
        for gap in answer.list("gaps")? {
            left_out.push(gap_record(Fields::of(&gap))?);
        }
        let mut left_out = left_out.into_iter().peekable();
        let mut payloads = payloads(text).into_iter();
        let mut chain = after.map(|after| after.chain);
        let mut next = None;
        for commit in answer.list("commits")? {
            let (recorded, named) = recorded(Fields::of(&commit), &mut payloads)?;
            while let Some(gap) = left_out.next_if(|gap| gap.gap.from < recorded.position) {
                follow(&mut next, gap.gap.from, gap.gap.to)?;
                chain = chain.map(|_before| gap.chain);
                page.gaps.push(gap);
            }
            follow(&mut next, recorded.position, recorded.last_position())?;
            chain = chain.map(|before| before.after(&recorded));
            if let (Some(chain), Some(named)) = (chain, named)
                && chain != named
            {
                return Err(form("chain hash", &named.to_string()).into());
            }
            page.commits.push(recorded);
        }
        for gap in left_out {
            follow(&mut next, gap.gap.from, gap.gap.to)?;
            page.gaps.push(gap);
        }
        match payloads.next() {
            None => Ok(page),
            Some(stranger) => Err(form("payload", stranger).into()),
        }
    }
}

/// A frame says where it begins and no more of positions: so a hole would not show in it.
fn follow(next: &mut Option<Position>, first: Position, last: Position) -> Result<(), AnswerError> {
    if next.is_some_and(|next| next != first) || last < first {
        return Err(form("position", &first.to_string()).into());
    }
    *next = Some(last.next());
    Ok(())
}

fn gap_record(gap: Fields<'_>) -> Result<GapRecord, AnswerError> {
    Ok(GapRecord {
        gap: Gap {
            from: Position::new(gap.whole("from")?),
            to: Position::new(gap.whole("to")?),
            reason: match gap.text("reason")?.as_str() {
                "filter" => GapReason::Filter,
                other => return Err(form("gap", other).into()),
            },
        },
        chain: gap.text("chain")?.parse()?,
    })
}

/// A commit, and the chain hash that the server names behind it.
fn recorded<'t>(
    one: Fields<'_>,
    payloads: &mut impl Iterator<Item = &'t str>,
) -> Result<(Recorded, Option<ChainHash>), AnswerError> {
    let mut conditions = Vec::new();
    for condition in one.list("conditions")? {
        conditions.push(self::condition(Fields::of(&condition))?);
    }
    let mut events: Vec<Event> = Vec::new();
    let mut versions: Vec<StreamVersions> = Vec::new();
    let mut next = None;
    for value in one.list("events")? {
        let value = Fields::of(&value);
        let stream = StreamId::new(value.text("stream")?)?;
        let (at, version) = (
            Position::new(value.whole("position")?),
            Version::new(value.whole("version")?),
        );
        follow(&mut next, at, at)?;
        match versions.iter_mut().find(|range| range.stream == stream) {
            Some(range) if range.last.next() == version => range.last = version,
            Some(_) => return Err(form("version", &version.to_string()).into()),
            None => versions.push(StreamVersions {
                stream: stream.clone(),
                first: version,
                last: version,
            }),
        }
        let data = match value.has("data") {
            true => Some(payloads.next().ok_or_else(|| form("payload", ""))?),
            false => None,
        };
        events.push(event(value, stream, data)?);
    }
    let count = events.len() as u64;
    let end = next.ok_or_else(|| form("commit", "without events"))?;
    let actor = one.optional_text("actor")?;
    let chain = one.optional_text("chain")?;
    let commit = Commit {
        id: one.text("id")?.parse()?,
        attempt: Attempt::new(one.small("attempt")?),
        replica: one.text("replica")?.parse()?,
        seq: Seq::new(one.whole("seq")?),
        conditions,
        events,
    };
    let recorded = Recorded {
        commit,
        position: Position::new(end.value().saturating_sub(count)),
        recorded_at: instant(one, "recordedAt")?,
        actor: actor.map(Subject::new).transpose()?,
        versions,
    };
    Ok((recorded, chain.map(|chain| chain.parse()).transpose()?))
}

fn condition(one: Fields<'_>) -> Result<Condition, AnswerError> {
    let expected = one.value("expected");
    let expected = match expected.as_string().as_deref() {
        Some("any") => Expected::Any,
        Some("noStream") => Expected::NoStream,
        Some("exists") => Expected::Exists,
        Some(other) => return Err(form("expected version", other).into()),
        None => {
            let exact = Fields::of(&expected);
            let event = exact.optional_text("event")?;
            Expected::Exact {
                exact: Version::new(exact.whole("exact")?),
                event: event.map(|event| event.parse()).transpose()?,
            }
        }
    };
    Ok(Condition {
        stream: StreamId::new(one.text("stream")?)?,
        expected,
    })
}

/// The body of a push.
pub(super) fn push(replica: ReplicaId, cursor: Cursor, commits: &[Local]) -> String {
    let mut json = format!(r#"{{"replica":"{replica}","cursor":"{cursor}","commits":["#);
    list(&mut json, commits, |json, local| {
        commit(json, &local.commit)
    });
    json.push_str("]}");
    json
}

fn commit(json: &mut String, commit: &Commit) {
    let (id, attempt, seq) = (commit.id, commit.attempt, commit.seq);
    put(
        json,
        format_args!(r#"{{"id":"{id}","attempt":{attempt},"seq":{seq},"conditions":["#),
    );
    list(json, &commit.conditions, |json, condition| {
        let stream = quoted(condition.stream.as_str());
        put(json, format_args!(r#"{{"stream":{stream},"expected":"#));
        match condition.expected {
            Expected::Any => json.push_str(r#""any""#),
            Expected::NoStream => json.push_str(r#""noStream""#),
            Expected::Exists => json.push_str(r#""exists""#),
            Expected::Exact { exact, event } => {
                put(json, format_args!(r#"{{"exact":{exact}"#));
                if let Some(event) = event {
                    put(json, format_args!(r#","event":"{event}""#));
                }
                json.push('}');
            }
        }
        json.push('}');
    });
    json.push_str(r#"],"events":["#);
    list(json, &commit.events, authored);
    json.push_str("]}");
}

fn authored(json: &mut String, event: &Event) {
    let (stream, name) = (
        quoted(event.stream.as_str()),
        quoted(event.event_type.as_str()),
    );
    let (schema, time) = (event.schema, iso(event.occurred_at));
    let data = event.data.text().unwrap_or("null");
    put(
        json,
        format_args!(
            r#"{{"stream":{stream},"type":{name},"schema":{schema},"occurredAt":"{time}","data":{data},"tags":["#
        ),
    );
    list(json, &event.tags, |json, tag: &Tag| {
        json.push_str(&quoted(tag.as_str()))
    });
    json.push_str(r#"],"meta":{"#);
    let meta = [
        ("correlationId", &event.meta.correlation_id),
        ("causationId", &event.meta.causation_id),
        ("device", &event.meta.device),
    ];
    let meta: Vec<_> = meta
        .iter()
        .filter_map(|(name, reference)| Some((name, reference.as_ref()?)))
        .collect();
    list(json, &meta, |json, (name, reference)| {
        let reference = quoted(reference.as_str());
        put(json, format_args!(r#""{name}":{reference}"#));
    });
    json.push_str("}}");
}

fn list<T>(json: &mut String, items: &[T], mut write: impl FnMut(&mut String, &T)) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        write(json, item);
    }
}

fn put(json: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a String does not fail.
    let _ = json.write_fmt(text);
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    JSON::stringify(&JsValue::from_str(text)).map_or_else(|_never| "\"\"".into(), String::from)
}

/// RFC 3339, for the times that a date can say.
#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds that a date can say are exact in a double"
)]
fn iso(time: Timestamp) -> String {
    const FURTHEST: f64 = 8.64e15;
    let millis = (time.millis() as f64).clamp(-FURTHEST, FURTHEST);
    js_sys::Date::new(&JsValue::from_f64(millis))
        .to_iso_string()
        .into()
}
