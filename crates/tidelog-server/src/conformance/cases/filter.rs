//! A part of the log.

use super::frames::as_json;
use crate::conformance::case::{Ended, cases, same};
use crate::conformance::http::Call;
use crate::conformance::writer::{event, id, stream};
use serde_json::{Value, json};
use tidelog_core::protocol::FRAMES;

cases! { "filter":

["filter"] "commits of other streams are gaps, and a commit that writes one of them is whole" => |target| {
    let (writer, wanted, other) = (target.writer()?, stream()?, stream()?);
    let head = target.head()?;
    writer.fill(&other, 2)?;
    let both = writer.commit(&[], &[event(&other, 1), event(&wanted, 2)])?;
    writer.accepted(&both)?;
    writer.fill(&other, 1)?;
    let answer = target.get(&format!("/commits?after={head}&stream={}", wanted.replace('/', "%2F")))?.is(200)?;
    let commits = answer.json()?["commits"].as_array().map_or(0, Vec::len);
    if commits != 1 {
        return Err(answer.unlike("one commit"));
    }
    answer.at("/commits/0/id", &both["id"])?;
    answer.at("/commits/0/events/0/stream", &json!(other))?;
    for (index, from, to) in [(0, head + 1, head + 2), (1, head + 5, head + 5)] {
        answer.at(&format!("/gaps/{index}/from"), &json!(from))?;
        answer.at(&format!("/gaps/{index}/to"), &json!(to))?;
        answer.at(&format!("/gaps/{index}/reason"), &json!("filter"))?;
    }
    // Heads and cursors are those of the whole log.
    answer.at("/head/position", &json!(head + 5))
};

["filter"] "an answer in frames holds and leaves out the same, on the same chain" => |target| {
    if !target.has("frames") {
        return Err(Ended::Skipped("frames".to_owned()));
    }
    let (writer, wanted, other) = (target.writer()?, stream()?, stream()?);
    let head = target.head()?;
    writer.fill(&other, 2)?;
    writer.fill(&wanted, 2)?;
    writer.accepted(&writer.commit(&[], &[event(&other, 1), event(&wanted, json!({ "a": "é" }))])?)?;
    writer.fill(&other, 1)?;
    let path = target.path(&format!("/commits?after={head}&stream={}", wanted.replace('/', "%2F")));
    let told = target.send(Call::new("GET", path.clone()))?.is(200)?.json()?;
    let answer = target.send(Call::new("GET", path).header("accept", format!("{FRAMES}, application/json;q=0.1")))?.is(200)?;
    if answer.header("content-type") != Some(FRAMES) {
        // A server may answer with JSON where it leaves something out.
        return answer.at("/gaps", &told["gaps"]);
    }
    let (commits, gaps) = as_json(&answer)?;
    let listed = told["commits"].as_array().into_iter().flatten();
    let expected: Vec<Value> = listed.map(|commit| json!({ "id": commit["id"], "chain": commit["chain"] })).collect();
    same(&answer.sent, "the commits", &json!(expected), &json!(commits))?;
    same(&answer.sent, "the gaps", &told["gaps"], &json!(gaps))
};

["filter"] "a kind stands for all its streams" => |target| {
    let (writer, head) = (target.writer()?, target.head()?);
    let kind = format!("k{}", id()?);
    writer.fill(&stream()?, 1)?;
    writer.fill(&format!("{kind}/a"), 1)?;
    writer.fill(&format!("{kind}/b"), 1)?;
    let answer = target.get(&format!("/commits?after={head}&kind={kind}"))?.is(200)?;
    answer.at("/commits/0/events/0/stream", &json!(format!("{kind}/a")))?;
    answer.at("/commits/1/events/0/stream", &json!(format!("{kind}/b")))
};

["filter"] "a filter that cannot be is invalid_filter" => |target| {
    for query in ["stream=nokind", "kind=", "kind=a%2Fb"] {
        target.get(&format!("/commits?after=0&{query}"))?.problem(400, "invalid_filter")?;
    }
    Ok(())
};

}
