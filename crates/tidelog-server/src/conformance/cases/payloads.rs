//! What a server demands of payloads: with `--payloads`, which names one of each sort.

use crate::conformance::asked::Payloads;
use crate::conformance::case::{cases, same};
use crate::conformance::http::Call;
use crate::conformance::writer::{condition, event, stream};
use serde_json::{Value, json};

cases! { "payloads":

"a commit with one wrong payload is invalid_payload whole, and others are stored" => |target| {
    let payloads = target.payloads()?;
    let (writer, a, head) = (target.writer()?, stream()?, target.head()?);
    let commits = [
        writer.commit(&[], &[taken(payloads, &a)])?,
        writer.commit(&[], &[taken(payloads, &a), refused(payloads, &a), taken(payloads, &a)])?,
        writer.on(&a, json!({ "exact": 1 }))?,
    ];
    let (answer, results) = writer.push(&commits)?;
    answer.at("/results/0/verdict", &json!("accepted"))?;
    answer.rejected(1, "invalid_payload")?;
    answer.at("/results/2/verdict", &json!("accepted"))?;
    let message = results[1]["message"].as_str().unwrap_or_default();
    if !message.contains(&payloads.event_type) {
        return Err(answer.unlike(format_args!("a message that names the type {}", payloads.event_type)));
    }
    target.nothing_stored_since(head + 2, &answer)
};

"a number that was used comes before the payload, and the payload before conditions" => |target| {
    let payloads = target.payloads()?;
    let (writer, a) = (target.writer()?, stream()?);
    let first = writer.on(&a, "noStream")?;
    writer.accepted(&first)?;
    let head = target.head()?;
    let wrong = |of: &str| writer.commit(&[condition(of, "noStream")], &[refused(payloads, of)]);
    let mut copied = wrong(&a)?;
    copied["seq"] = first["seq"].clone();
    let (answer, _) = writer.push(&[copied, wrong(&a)?])?;
    answer.rejected(0, "seq_reused")?;
    answer.rejected(1, "invalid_payload")?;
    target.nothing_stored_since(head, &answer)
};

"a later attempt with a payload that is taken is accepted" => |target| {
    let payloads = target.payloads()?;
    let (writer, a) = (target.writer()?, stream()?);
    let mut commit = writer.commit(&[], &[refused(payloads, &a)])?;
    let (answer, _) = writer.verdict(&commit)?;
    answer.rejected(0, "invalid_payload")?;
    commit["attempt"] = json!(2);
    commit["events"] = json!([taken(payloads, &a)]);
    writer.accepted(&commit).map(drop)
};

"a type that it demands nothing of is taken with any payload" => |target| {
    let payloads = target.payloads()?;
    let (writer, a) = (target.writer()?, stream()?);
    writer.accepted(&writer.commit(&[], &[event(&a, payloads.refused.clone())])?).map(drop)
};

["append"] "one event with a wrong payload is rejected" => |target| {
    let payloads = target.payloads()?;
    let (a, head) = (stream()?, target.head()?);
    let path = target.path(&format!("/streams/{}", a.replace('/', "%2F")));
    let body = json!({ "type": payloads.event_type, "schema": payloads.schema, "data": payloads.refused });
    let answer = target.send(Call::new("POST", path).json(&body))?;
    let problem = answer.problem(422, "rejected")?;
    same(&answer.sent, "rejection", &json!("invalid_payload"), &problem["rejection"])?;
    target.nothing_stored_since(head, &answer)
};

}

fn taken(payloads: &Payloads, stream: &str) -> Value {
    checked(payloads, stream, &payloads.taken)
}

fn refused(payloads: &Payloads, stream: &str) -> Value {
    checked(payloads, stream, &payloads.refused)
}

fn checked(payloads: &Payloads, stream: &str, data: &Value) -> Value {
    let mut event = event(stream, data.clone());
    event["type"] = json!(payloads.event_type);
    event["schema"] = json!(payloads.schema);
    event
}
