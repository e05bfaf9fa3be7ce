//! Erasing payloads, and closing streams.

use crate::conformance::case::{Ended, cases, same};
use crate::conformance::http::{Answer, Call};
use crate::conformance::target::Target;
use crate::conformance::writer::{condition, event, stream};
use serde_json::{Value, json};
use std::collections::BTreeSet;

cases! { "erasure":

["erasure"] "what is erased is gone from pulls and reads, and all else stays" => |target| {
    let (writer, a) = (target.writer()?, stream()?);
    let head = target.head()?;
    let secret = writer.commit(&[], &[event(&a, "a secret"), event(&a, "kept")])?;
    writer.accepted(&secret)?;
    let before = target.commits_after(head)?;
    let answer = erase(target, &json!({ "stream": a, "versions": [[1, 1]], "reason": "asked" }))?.is(201)?;
    answer.at("/erasure/versions", &json!([[1, 1]]))?;
    answer.at("/erasure/stream", &json!(a))?;
    answer.at("/erasure/position", &json!(head + 3))?;
    answer.at("/head/position", &json!(head + 3))?;
    let pull = target.get(&format!("/commits?after={head}"))?.is(200)?;
    let after = target.commits_after(head)?;
    let [was, is, says] = [before.first(), after.first(), after.get(1)].map(Option::unwrap_or_default);
    for field in ["id", "chain", "recordedAt"] {
        same(&pull.sent, field, &was[field], &is[field])?;
    }
    same(&pull.sent, "the event beside it", &was["events"][1], &is["events"][1])?;
    let gone = &is["events"][0];
    if !gone["data"].is_null() || !gone["erased"].is_string() {
        return Err(pull.unlike("an event without data, with `erased`, the digest of what was there"));
    }
    same(&pull.sent, "type", &json!("tidelog.redacted"), &says["events"][0]["type"])?;
    same(&pull.sent, "versions", &json!([[1, 1]]), &says["events"][0]["data"]["versions"])?;
    same(&pull.sent, "version", &json!(3), &says["events"][0]["version"])?;
    let again = writer.verdict(&secret)?;
    same(&again.0.sent, "verdict", &json!("duplicate"), &again.1["verdict"])?;
    let read = target.get(&format!("/streams/{}", a.replace('/', "%2F")))?.is(200)?;
    read.at("/events/0/erased", &gone["erased"])?;
    let listed = erasures(|of| target.get(of))?.pop().unwrap_or_default();
    same("GET …/erasures to its end", "the newest erasure", &answer.json()?["erasure"], &listed)
};

["erasure"] "the list comes in pages, each from where the one before ended" => |target| {
    let (writer, a) = (target.writer()?, stream()?);
    writer.fill(&a, 3)?;
    for version in 1..=3 {
        erase(target, &json!({ "stream": a, "versions": [[version, version]], "reason": "asked" }))?.is(201)?;
    }
    let all = erasures(|of| target.get(of))?;
    let ours = |listed: &[Value]| listed.iter().filter(|one| one["stream"] == json!(a)).count();
    same("GET …/erasures to its end", "so many of this stream:", &json!(3), &json!(ours(&all)))?;
    let paged = pages("?limit=2", |of| {
        let answer = target.get(of)?.is(200)?;
        match answer.json()?["erasures"].as_array().is_some_and(|page| page.len() <= 2) {
            true => Ok(answer),
            false => Err(answer.unlike("2 erasures at most")),
        }
    })?;
    same("pages of two", "the whole list", &json!(all), &json!(paged))?;
    target.get("/erasures?after=nothing")?.problem(400, "invalid_cursor")?;
    target.get("/erasures?limit=0")?.problem(400, "bad_request").map(drop)
};

["erasure"] "erasing again stores nothing" => |target| {
    let (writer, a) = (target.writer()?, stream()?);
    writer.fill(&a, 3)?;
    let all = json!({ "stream": a, "versions": "all", "tombstone": true, "reason": "asked" });
    let first = erase(target, &all)?.is(201)?;
    first.at("/erasure/versions", &json!([[1, 3]]))?;
    first.at("/erasure/tombstoned", &json!(true))?;
    let head = target.head()?;
    let again = erase(target, &all)?.is(200)?;
    target.nothing_stored_since(head, &again)
};

["erasure"] "a closed stream takes nothing, and can be expected" => |target| {
    let (writer, a, b) = (target.writer()?, stream()?, stream()?);
    writer.fill(&a, 1)?;
    erase(target, &json!({ "stream": a, "tombstone": true, "reason": "asked" }))?.is(201)?;
    let head = target.head()?;
    for expected in [json!("any"), json!("noStream")] {
        let (answer, _) = writer.verdict(&writer.on(&a, expected)?)?;
        answer.rejected(0, "stream_tombstoned")?;
        target.nothing_stored_since(head, &answer)?;
    }
    let reader = writer.commit(&[condition(&a, json!({ "exact": 2 }))], &[event(&b, 1)])?;
    writer.accepted(&reader).map(drop)
};

["erasure"] "what cannot be erased is named, and nothing is" => |target| {
    let (writer, a) = (target.writer()?, stream()?);
    writer.fill(&a, 1)?;
    erase(target, &json!({ "stream": a, "versions": "all", "reason": "asked" }))?.is(201)?;
    let head = target.head()?;
    let of = |versions: Value| json!({ "stream": a, "versions": versions, "reason": "asked" });
    for (body, status, code) in [
        (of(json!([[1, 3]])), 404, "unknown_versions"),
        (of(json!([[2, 2]])), 422, "not_erasable"),
        (of(json!([[0, 1]])), 400, "bad_request"),
        (of(json!([[2, 1]])), 400, "bad_request"),
        (of(json!([])), 400, "bad_request"),
        (of(json!("none")), 400, "bad_request"),
        (json!({ "stream": a, "reason": "asked" }), 400, "bad_request"),
        (json!({ "stream": a, "versions": "all" }), 400, "bad_request"),
        (json!({ "stream": a, "versions": "all", "reason": "a\nb" }), 400, "bad_request"),
        (json!({ "stream": stream()?, "versions": "all", "reason": "asked" }), 404, "unknown_stream"),
    ] {
        let answer = erase(target, &body)?;
        answer.problem(status, code)?;
        target.nothing_stored_since(head, &answer)?;
    }
    Ok(())
};

["erasure"] "types of the server's own events are invalid_commit" => |target| {
    let (writer, a) = (target.writer()?, stream()?);
    let head = target.head()?;
    for name in ["tidelog.redacted", "tidelog.tombstoned", "tidelog.anything"] {
        let mut own = event(&a, json!({ "versions": [[1, 1]], "reason": "asked" }));
        own["type"] = json!(name);
        let (answer, _) = writer.verdict(&writer.commit(&[], &[own])?)?;
        answer.rejected(0, "invalid_commit")?;
        target.nothing_stored_since(head, &answer)?;
    }
    Ok(())
};

}

/// So many pages are read of a list that has no more than a few hundred erasures: more is one without an end.
const MOST_PAGES: usize = 2_000;

/// The whole list, page by page.
pub(super) fn erasures(get: impl Fn(&str) -> Result<Answer, Ended>) -> Result<Vec<Value>, Ended> {
    pages("", get)
}

/// The whole list, in pages that are asked for with this. One may be short, or empty: only without `next` it is the last one.
fn pages(asked: &str, get: impl Fn(&str) -> Result<Answer, Ended>) -> Result<Vec<Value>, Ended> {
    let (mut listed, mut asked_for) = (Vec::new(), BTreeSet::new());
    let mut answer = get(&format!("/erasures{asked}"))?.is(200)?;
    let and = if asked.is_empty() { '?' } else { '&' };
    loop {
        let page = answer.json()?;
        listed.extend(page["erasures"].as_array().cloned().unwrap_or_default());
        let Some(next) = page["next"].as_str() else {
            return Ok(listed);
        };
        if !asked_for.insert(next.to_owned()) {
            return Err(answer.unlike("a `next` that no page had: this one leads back"));
        }
        if asked_for.len() > MOST_PAGES {
            return Err(answer.unlike(format_args!("an end of the list within {MOST_PAGES} pages")));
        }
        answer = get(&format!("/erasures{asked}{and}after={next}"))?.is(200)?;
    }
}

fn erase(target: &Target, body: &Value) -> Result<Answer, Ended> {
    target.send(Call::new("POST", target.path("/erasures")).json(body))
}
