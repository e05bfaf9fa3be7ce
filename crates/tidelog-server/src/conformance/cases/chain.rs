//! The hash chain, computed here again.

use crate::conformance::case::{Ended, cases, same};
use crate::conformance::http::Answer;
use crate::conformance::writer::{condition, event, stream};
use serde_json::json;
use tidelog_core::protocol::CHAIN_HEADER;
use tidelog_core::protocol::json::{PullResponse, RecordedJson};
use tidelog_core::{ChainHash, Commit, Event, Meta, Payload, Recorded, StreamVersions};

cases! { "chain":

["chain"] "each commit names the hash of all that was written, its own content included" => |target| {
    let (writer, a, b) = (target.writer()?, stream()?, stream()?);
    let described = target.get("")?.is(200)?;
    let before = described.json()?["head"].clone();
    let mut rich = event(&b, json!({ "a": [1, "é"] }));
    rich["tags"] = json!(["t"]);
    rich["meta"] = json!({ "causationId": "c" });
    writer.fill(&a, 2)?;
    writer.accepted(&writer.commit(&[condition(&a, "exists"), condition(&b, "noStream")], &[rich, event(&a, 2), event(&b, 3)])?)?;
    let answer = target.get(&format!("/commits?after={}", before["position"]))?.is(200)?;
    let pulled: PullResponse = serde_json::from_slice(&answer.body).map_err(|error| answer.unlike(format_args!("a pull's answer ({error})")))?;
    let mut chain: ChainHash = serde_json::from_value(before["chain"].clone()).map_err(|_why| described.unlike("head.chain"))?;
    for commit in pulled.commits {
        let named = commit.chain;
        chain = chain.after(&recorded(commit, &answer)?);
        same(&answer.sent, "chain", &json!(chain), &json!(named))?;
    }
    answer.has_header(CHAIN_HEADER, &chain.to_string())?;
    answer.at("/head/chain", &json!(chain))
};

["chain"] "a cursor with another chain hash is cursor_mismatch" => |target| {
    target.writer()?.fill(&stream()?, 1)?;
    let described = target.get("")?.is(200)?.json()?;
    let (epoch, position) = (described["epoch"].as_str().unwrap_or_default(), &described["head"]["position"]);
    let other = format!("{epoch}:{position}:{}", "1".repeat(64));
    target.get(&format!("/commits?after={other}"))?.problem(409, "cursor_mismatch").map(drop)
};

}

/// The commit as its hash is made of it.
fn recorded(json: RecordedJson, answer: &Answer) -> Result<Recorded, Ended> {
    let mut versions: Vec<StreamVersions> = Vec::new();
    let first = json.events.first().map(|event| event.position);
    for event in &json.events {
        match versions
            .iter_mut()
            .find(|range| range.stream == event.stream)
        {
            Some(range) => range.last = event.version,
            None => versions.push(StreamVersions {
                stream: event.stream.clone(),
                first: event.version,
                last: event.version,
            }),
        }
    }
    let events: Option<Vec<Event>> = json
        .events
        .into_iter()
        .map(|event| {
            Some(Event {
                stream: event.stream,
                event_type: event.event_type,
                schema: event.schema,
                data: Payload::json(event.data?.get()),
                occurred_at: event.occurred_at.0,
                tags: event.tags,
                meta: Meta::from(event.meta),
            })
        })
        .collect();
    Ok(Recorded {
        commit: Commit {
            id: json.id,
            attempt: json.attempt,
            replica: json.replica,
            seq: json.seq,
            conditions: json.conditions,
            events: events.ok_or_else(|| answer.unlike("the payload of every event"))?,
        },
        position: first.ok_or_else(|| answer.unlike("commits with events"))?,
        recorded_at: json.recorded_at.0,
        actor: json.actor,
        versions,
    })
}
