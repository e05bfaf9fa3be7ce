//! Long runs of the log for new devices.

use super::frames::{as_json, decoded};
use crate::conformance::case::{Ended, cases, same};
use crate::conformance::http::{Answer, Call};
use crate::conformance::target::Target;
use crate::conformance::writer::{event, id, stream};
use serde_json::{Value, json};
use tidelog_core::protocol::{FRAMES, SEGMENTS_HEADER};

cases! { "segments":

["segments"] "the first segment is the log's first commits, whole, up to the position it stands for" => |target| {
    let (epoch, size) = first_segment(target)?;
    let answer = read(target, &epoch)?.is(200)?;
    answer.has_header("content-type", FRAMES)?;
    let commits = decoded(&answer)?;
    let (mut next, mut last) = (1, 0);
    for recorded in &commits {
        same(&answer.sent, "the next position", &json!(next), &json!(recorded.position))?;
        last = recorded.position.value();
        next = recorded.last_position().value() + 1;
    }
    if next <= size || last > size {
        return Err(answer.unlike(format_args!("a last commit that holds position {size}")));
    }
    let pulled = target.get(&format!("/commits?after=0&limit={size}"))?.is(200)?.json()?;
    let first = commits.first().map(|recorded| recorded.commit.id.to_string());
    same(&answer.sent, "the first commit", &pulled["commits"][0]["id"], &json!(first))?;
    // The chain is the one that pulls come to there.
    if target.has("chain") {
        let pulled = target.get(&format!("/commits?after={}&limit=1", next - 2))?.is(200)?.json()?;
        let (chained, _) = as_json(&answer)?;
        let end = json!({ "id": pulled["commits"][0]["id"], "chain": pulled["commits"][0]["chain"] });
        same(&answer.sent, "the last commit", &end, chained.last().unwrap_or(&Value::Null))?;
    }
    // Whoever pulls learns where segments end.
    let call = Call::new("GET", target.path("/commits?after=0&limit=1"));
    let answer = target.send(call.header("accept", FRAMES))?.is(200)?;
    answer.has_header(SEGMENTS_HEADER, &size.to_string())
};

["segments"] "it may be kept by who asked, who is told while it is the same" => |target| {
    let (epoch, _) = first_segment(target)?;
    let answer = read(target, &epoch)?.is(200)?;
    answer.has_header("cache-control", "private, no-cache")?;
    let tag = answer.header("etag").ok_or_else(|| answer.unlike("the header etag"))?.to_owned();
    let call = Call::new("GET", path(target, &epoch)).header("accept", FRAMES);
    let again = target.send(call.header("if-none-match", tag))?.is(304)?;
    match again.body.is_empty() {
        true => Ok(()),
        false => Err(again.unlike("no body")),
    }
};

["segments"] "a segment that there is not is unknown_segment" => |target| {
    let described = target.get("")?.is(200)?.json()?;
    let epoch = described["epoch"].as_str().unwrap_or_default();
    let next = described["segments"]["count"].as_u64().unwrap_or(0) + 1;
    target.get(&format!("/segments/{epoch}/{next}"))?.problem(404, "unknown_segment")?;
    target.get(&format!("/segments/{}/1", id()?))?.problem(404, "unknown_segment").map(drop)
};

}

fn path(target: &Target, epoch: &str) -> String {
    target.path(&format!("/segments/{epoch}/1"))
}

fn read(target: &Target, epoch: &str) -> Result<Answer, Ended> {
    let call = Call::new("GET", path(target, epoch)).header("accept", FRAMES);
    // Packing is between the server and whoever carries its answers; what is packed is the same.
    target.send(call.header("accept-encoding", "identity"))
}

/// The log's epoch and how many events are a segment, once there is the first one: a log that is too short for it grows.
fn first_segment(target: &Target) -> Result<(String, u64), Ended> {
    loop {
        let answer = target.get("")?.is(200)?;
        let body = answer.json()?;
        let (Some(epoch), Some(size)) =
            (body["epoch"].as_str(), body["segments"]["events"].as_u64())
        else {
            return Err(answer.unlike("epoch and segments.events"));
        };
        if body["segments"]["count"].as_u64().unwrap_or(0) > 0 {
            return Ok((epoch.to_owned(), size));
        }
        let head = body["head"]["position"].as_u64().unwrap_or(0);
        if head >= size {
            let expected = format!("a segment, which {size} events are, of {head}");
            return Err(answer.unlike(expected));
        }
        let (writer, a) = (target.writer()?, stream()?);
        let most = u64::try_from(target.cap("commitEvents")?).unwrap_or(1);
        let events: Vec<Value> = (0..most.min(size - head))
            .map(|number| event(&a, number))
            .collect();
        writer.accepted(&writer.commit(&[], &events)?)?;
    }
}
