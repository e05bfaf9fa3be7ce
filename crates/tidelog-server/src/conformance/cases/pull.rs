//! Reading the log.

use crate::conformance::case::{cases, same};
use crate::conformance::http::Call;
use crate::conformance::writer::{TIME, condition, event, stream};
use serde_json::{Value, json};
use std::thread;

cases! { "pull":

"what was pushed comes back whole, with what the server added" => |target| {
    let (writer, a, b) = (target.writer()?, stream()?, stream()?);
    let head = target.head()?;
    let mut rich = event(&a, json!({ "title": "Milk \u{1F95B}", "list": [1, -2.5, null, true, "\u{0}\"\\"], "empty": {} }));
    rich["schema"] = json!(3);
    rich["tags"] = json!(["one", "two"]);
    rich["meta"] = json!({ "correlationId": "c", "causationId": "d", "device": "e" });
    let commit = writer.commit(&[condition(&a, "noStream")], &[rich.clone(), event(&b, json!(null))])?;
    writer.accepted(&commit)?;
    let answer = target.get(&format!("/commits?after={head}"))?.is(200)?;
    for (place, expected) in [
        ("/commits/0/id", commit["id"].clone()),
        ("/commits/0/attempt", json!(1)),
        ("/commits/0/replica", json!(writer.replica)),
        ("/commits/0/seq", commit["seq"].clone()),
        ("/commits/0/conditions", commit["conditions"].clone()),
    ] {
        answer.at(place, &expected)?;
    }
    let id = commit["id"].as_str().unwrap_or_default();
    for (index, (stream, sent)) in [(&a, &rich), (&b, &event(&b, json!(null)))].into_iter().enumerate() {
        let place = |field: &str| format!("/commits/0/events/{index}/{field}");
        answer.at(&place("id"), &json!(format!("{id}/1/{index}")))?;
        answer.at(&place("stream"), &json!(stream))?;
        answer.at(&place("version"), &json!(1))?;
        answer.at(&place("position"), &json!(head + 1 + index as u64))?;
        answer.at(&place("type"), &sent["type"])?;
        answer.at(&place("data"), &sent["data"])?;
        answer.at(&place("occurredAt"), &json!(TIME))?;
    }
    answer.at("/commits/0/events/0/schema", &json!(3))?;
    answer.at("/commits/0/events/0/tags", &rich["tags"])?;
    answer.at("/commits/0/events/0/meta", &rich["meta"])?;
    answer.at("/commits/0/events/1/schema", &json!(1))?;
    match answer.json()?.pointer("/commits/0/recordedAt").is_some_and(Value::is_string) {
        true => Ok(()),
        false => Err(answer.unlike("recordedAt of the commit, a time")),
    }
};

"pages follow each other without a hole and never cut a commit" => |target| {
    let (writer, a) = (target.writer()?, stream()?);
    let head = target.head()?;
    for events in [3, 1, 2, 4] {
        let events: Vec<Value> = (0..events).map(|number| event(&a, number)).collect();
        writer.accepted(&writer.commit(&[], &events)?)?;
    }
    for limit in [1, 2, 5] {
        let (mut after, mut sizes) = (head, Vec::new());
        while after < head + 10 {
            let answer = target.get(&format!("/commits?after={after}&limit={limit}"))?.is(200)?;
            let body = answer.json()?;
            let page = body["commits"].as_array().cloned().unwrap_or_default();
            if page.is_empty() {
                return Err(answer.unlike("the commits that follow"));
            }
            for commit in page {
                let events = commit["events"].as_array().cloned().unwrap_or_default();
                sizes.push(events.len());
                for event in events {
                    after += 1;
                    same(&answer.sent, "the next position", &json!(after), &event["position"])?;
                }
            }
        }
        same(&format!("pulls of {limit} events"), "sizes of commits", &json!([3, 1, 2, 4]), &json!(sizes))?;
    }
    Ok(())
};

"whoever has everything gets no commits, and the end" => |target| {
    target.writer()?.fill(&stream()?, 1)?;
    let described = target.get("")?.is(200)?.json()?;
    let answer = target.get(&format!("/commits?after={}", described["head"]["position"]))?.is(200)?;
    answer.at("/commits", &json!([]))?;
    answer.at("/epoch", &described["epoch"])?;
    answer.at("/head", &described["head"])
};

"a cursor is a place too" => |target| {
    let writer = target.writer()?;
    writer.fill(&stream()?, 1)?;
    let described = target.get("")?.is(200)?.json()?;
    let (epoch, head) = (described["epoch"].as_str().unwrap_or_default(), &described["head"]);
    let chain = head["chain"].as_str().map_or_else(|| "0".repeat(64), str::to_owned);
    let cursor = format!("{epoch}:{}:{chain}", head["position"]);
    target.get(&format!("/commits?after={cursor}"))?.is(200)?.at("/commits", &json!([]))?;
    let commit = writer.on(&stream()?, "any")?;
    writer.accepted(&commit)?;
    let answer = target.get(&format!("/commits?after={cursor}"))?.is(200)?;
    answer.at("/commits/0/id", &commit["id"])?;
    let other = format!("{}:{}:{chain}", crate::conformance::writer::id()?, head["position"]);
    let problem = target.get(&format!("/commits?after={other}"))?.problem(409, "cursor_mismatch")?;
    same("a cursor of another history", "epoch of the problem", &json!(epoch), &problem["epoch"])
};

"a place that the log has not reached is cursor_ahead, and says what it has" => |target| {
    let head = target.head()?;
    for after in [head + 1, head + 1_000_000] {
        let answer = target.get(&format!("/commits?after={after}"))?;
        let problem = answer.problem(409, "cursor_ahead")?;
        same(&answer.sent, "head.position", &json!(head), &problem["head"]["position"])?;
    }
    Ok(())
};

"what is no place is invalid_cursor" => |target| {
    for after in ["-1", "%2B1", "01", "x", "1:2", "1.5", "0x1", "%20", "99999999999999999999999"] {
        target.get(&format!("/commits?after={after}"))?.problem(400, "invalid_cursor")?;
    }
    Ok(())
};

"a limit or a wait that is no number is bad_request" => |target| {
    for query in ["limit=0", "limit=x", "limit=1.5", "limit=01", "wait=x", "wait=-1", "wait=%2B1"] {
        target.get(&format!("/commits?after=0&{query}"))?.problem(400, "bad_request")?;
    }
    Ok(())
};

"a parameter that is there twice is bad_request, and one that is not known is ignored" => |target| {
    for query in ["after=0&after=0", "after=0&limit=1&limit=1", "after=0&limit=1&wait=0&wait=0"] {
        target.get(&format!("/commits?{query}"))?.problem(400, "bad_request")?;
    }
    target.get("/commits?after=0&limit=1&unknown=x")?.is(200).map(drop)
};

"a wait ends with the next commit" => |target| {
    let (writer, head) = (target.writer()?, target.head()?);
    let commit = writer.on(&stream()?, "any")?;
    let seconds = target.cap("waitSeconds")?.min(20);
    let answer = thread::scope(|scope| {
        let waiting = scope.spawn(|| target.get(&format!("/commits?after={head}&wait={seconds}")));
        let pushed = writer.accepted(&commit);
        let answer = waiting.join().unwrap_or_else(|_| Err(crate::conformance::Ended::Skipped("panic".into())));
        pushed.and(answer)
    })?;
    answer.is(200)?.at("/commits/0/id", &commit["id"])
};

"two reads of the same part are equal" => |target| {
    let head = target.head()?;
    target.writer()?.fill(&stream()?, 5)?;
    let path = format!("/commits?after={head}");
    let first = target.get(&path)?.is(200)?;
    target.get(&path)?.is(200)?.at("/commits", &first.json()?["commits"])
};

"payloads are kept byte for byte" => |target| {
    // Where there is a chain, bytes count; elsewhere the value does.
    if !target.has("chain") {
        return Err(crate::conformance::Ended::Skipped("chain".into()));
    }
    let (writer, head) = (target.writer()?, target.head()?);
    let data = r#"{"b": 1.0,"a":10000000000000000000001, "b":-0, "c":"\u00e9"}"#;
    let body = writer.body(&[writer.on(&stream()?, "any")?]).to_string();
    let body = body.replace(r#""data":1"#, &format!(r#""data":{data}"#));
    target.send(Call::new("POST", target.path("/commits")).bytes("application/json", body))?.is(200)?;
    let answer = target.get(&format!("/commits?after={head}"))?.is(200)?;
    match String::from_utf8_lossy(&answer.body).contains(data) {
        true => Ok(()),
        false => Err(answer.unlike(format_args!("the payload {data} as it was sent"))),
    }
};

}
