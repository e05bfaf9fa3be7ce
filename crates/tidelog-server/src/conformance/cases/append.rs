//! One event, and one stream, for any HTTP client.

use crate::conformance::case::{Ended, cases, same};
use crate::conformance::http::{Answer, Call};
use crate::conformance::target::Target;
use crate::conformance::writer::{TIME, id, stream};
use serde_json::{Value, json};

cases! { "append":

["append"] "If-None-Match, If-Match and neither say what the stream must be" => |target| {
    let a = stream()?;
    let body = json!({ "type": "case.happened", "data": { "a": 1 } });
    let say = |name: &str, value: &str| append(target, &a, &body, Some((name, value)));
    say("if-match", "*")?.problem(412, "version_conflict")?;
    say("if-match", "\"1\"")?.problem(412, "version_conflict")?;
    say("if-none-match", "*")?.is(201)?.has_header("etag", "\"1\"")?;
    say("if-none-match", "*")?.problem(412, "version_conflict")?;
    say("if-match", "\"1\"")?.is(201)?.has_header("etag", "\"2\"")?;
    let stale = say("if-match", "\"1\"")?;
    let problem = stale.problem(412, "version_conflict")?;
    same(&stale.sent, "actual", &json!(2), &problem["actual"])?;
    same(&stale.sent, "stream", &json!(a), &problem["stream"])?;
    stale.has_header("etag", "\"2\"")?;
    say("if-match", "*")?.is(201)?.has_header("etag", "\"3\"")?;
    append(target, &a, &body, None)?.is(201)?.has_header("etag", "\"4\"")
};

["append"] "with an id it may be sent again" => |target| {
    let a = stream()?;
    let body = json!({ "type": "case.happened", "data": 1, "id": id()?, "occurredAt": TIME });
    let first = append(target, &a, &body, Some(("if-none-match", "*")))?.is(201)?;
    let head = target.head()?;
    let again = append(target, &a, &body, Some(("if-none-match", "*")))?.is(200)?;
    again.at("/verdict", &json!("duplicate"))?;
    again.at("/positions", &first.json()?["positions"])?;
    target.nothing_stored_since(head, &again)?;
    let mut other = body.clone();
    other["data"] = json!(2);
    let answer = append(target, &a, &other, Some(("if-none-match", "*")))?;
    let problem = answer.problem(422, "rejected")?;
    same(&answer.sent, "rejection", &json!("attempt_mismatch"), &problem["rejection"])
};

["append"] "headers and bodies that cannot be are bad_request" => |target| {
    let a = stream()?;
    let head = target.head()?;
    let body = json!({ "type": "case.happened", "data": 1 });
    for (name, value) in [("if-match", "3"), ("if-match", "\"x\""), ("if-match", "W/\"1\""), ("if-none-match", "\"1\"")] {
        append(target, &a, &body, Some((name, value)))?.problem(400, "bad_request")?;
    }
    for body in [json!({}), json!({ "type": "a" }), json!({ "type": "a", "data": 1, "version": 1 }), json!([])] {
        let answer = append(target, &a, &body, None)?;
        answer.problem(400, "bad_request")?;
        target.nothing_stored_since(head, &answer)?;
    }
    Ok(())
};

["append"] "a stream is read either way, from a version on, so many events" => |target| {
    let a = stream()?;
    target.writer()?.fill(&a, 4)?;
    let read = |query: &str| -> Result<(Answer, Value), Ended> {
        let answer = target.get(&format!("/streams/{}{query}", a.replace('/', "%2F")))?.is(200)?;
        answer.has_header("etag", "\"4\"")?;
        answer.at("/stream", &json!(a))?;
        answer.at("/version", &json!(4))?;
        let body = answer.json()?;
        let versions = body["events"].as_array().into_iter().flatten().map(|event| event["version"].clone()).collect();
        Ok((answer, versions))
    };
    for (query, expected) in [
        ("", json!([1, 2, 3, 4])),
        ("?from=3", json!([3, 4])),
        ("?from=2&limit=2", json!([2, 3])),
        ("?direction=backward", json!([4, 3, 2, 1])),
        ("?direction=backward&from=2", json!([2, 1])),
        ("?direction=backward&limit=1", json!([4])),
        ("?from=5", json!([])),
    ] {
        let (answer, versions) = read(query)?;
        same(&answer.sent, "the versions", &expected, &versions)?;
    }
    Ok(())
};

["append"] "a stream without events has version 0" => |target| {
    let answer = target.get(&format!("/streams/{}", stream()?))?.is(200)?;
    answer.at("/version", &json!(0))?;
    answer.at("/events", &json!([]))?;
    answer.has_header("etag", "\"0\"")
};

["append"] "a query that cannot be is bad_request" => |target| {
    for query in ["from=0", "from=x", "limit=0", "direction=up"] {
        target.get(&format!("/streams/case/1?{query}"))?.problem(400, "bad_request")?;
    }
    Ok(())
};

}

fn append(
    target: &Target,
    stream: &str,
    body: &Value,
    header: Option<(&str, &str)>,
) -> Result<Answer, Ended> {
    let path = target.path(&format!("/streams/{}", stream.replace('/', "%2F")));
    let call = Call::new("POST", path).json(body);
    target.send(match header {
        Some((name, value)) => call.header(name, value),
        None => call,
    })
}
