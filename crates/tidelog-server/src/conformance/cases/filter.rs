//! A part of the log.

use crate::conformance::case::cases;
use crate::conformance::writer::{event, id, stream};
use serde_json::json;

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
