//! What a token is shown and may do that is for some kinds of streams: with `--guest-token`.

use super::erasure::erasures;
use crate::conformance::asked::{OPEN, SHOWN};
use crate::conformance::case::{Ended, cases, same};
use crate::conformance::http::{Answer, Call};
use crate::conformance::target::Target;
use crate::conformance::writer::{Writer, condition, event, id, stream};
use serde_json::{Value, json};

cases! { "kinds":

"a commit that names a stream of another kind is a gap, be it in a condition" => |target| {
    let guest = Guest::of(target)?;
    let (writer, head, hidden) = (target.writer()?, target.head()?, stream()?);
    let (open, shown) = (of_kind(OPEN)?, of_kind(SHOWN)?);
    let commits = [
        writer.on(&open, "any")?,
        writer.on(&hidden, "any")?,
        writer.commit(&[], &[event(&shown, 1), event(&hidden, 2)])?,
        writer.commit(&[condition(&hidden, "exists")], &[event(&shown, 1)])?,
        writer.on(&shown, "any")?,
    ];
    writer.push(&commits)?;
    let answer = guest.get(&format!("/commits?after={head}"))?.is(200)?;
    if String::from_utf8_lossy(&answer.body).contains(&hidden) {
        return Err(answer.unlike(format_args!("nothing of {hidden}")));
    }
    let body = answer.json()?;
    let ids: Vec<&Value> = body["commits"].as_array().into_iter().flatten().map(|commit| &commit["id"]).collect();
    same(&answer.sent, "the commits", &json!([commits[0]["id"], commits[4]["id"]]), &json!(ids))?;
    for (field, expected) in [("from", json!(head + 2)), ("to", json!(head + 5)), ("reason", json!("filter"))] {
        answer.at(&format!("/gaps/0/{field}"), &expected)?;
    }
    // Heads are the whole log's.
    answer.at("/head/position", &json!(head + 6))
};

["filter"] "asking for another kind by its name brings nothing of it" => |target| {
    let guest = Guest::of(target)?;
    let (writer, head, hidden) = (target.writer()?, target.head()?, stream()?);
    writer.fill(&hidden, 1)?;
    for query in [format!("stream={}", hidden.replace('/', "%2F")), "kind=case".to_owned()] {
        let answer = guest.get(&format!("/commits?after={head}&{query}"))?.is(200)?;
        answer.at("/commits", &json!([]))?;
        answer.at("/gaps/0/to", &json!(head + 1))?;
    }
    Ok(())
};

["append"] "a stream of another kind is answered as a log that is not there" => |target| {
    let guest = Guest::of(target)?;
    let (writer, hidden, shown) = (target.writer()?, stream()?, of_kind(SHOWN)?);
    writer.fill(&hidden, 1)?;
    writer.fill(&shown, 2)?;
    let none = format!("none-{}", id()?);
    for stream in [hidden, stream()?] {
        let path = |log: &str| format!("/v1/logs/{log}/streams/{}", stream.replace('/', "%2F"));
        let one = json!({ "type": "case.happened", "data": 1 });
        for call in [|path| Call::new("GET", path), |path| Call::new("POST", path)] {
            let ask = |log: &str| {
                let call = call(path(log));
                guest.send(if call.method == "POST" { call.json(&one) } else { call })
            };
            let (here, there) = (ask(target.log.as_str())?, ask(&none)?);
            let words = there.problem(404, "unknown_log")?.to_string().replace(&none, target.log.as_str());
            let expected = serde_json::from_str(&words).unwrap_or_default();
            same(&here.sent, "the words for a log that is not there:", &expected, &here.problem(404, "unknown_log")?)?;
        }
    }
    guest.get(&format!("/streams/{}", shown.replace('/', "%2F")))?.is(200)?.at("/version", &json!(2))
};

["append"] "one event is taken of a kind that it may append to, and forbidden of one that it may read" => |target| {
    let guest = Guest::of(target)?;
    let append = |stream: &str| {
        let path = target.path(&format!("/streams/{}", stream.replace('/', "%2F")));
        guest.send(Call::new("POST", path).json(&json!({ "type": "case.happened", "data": 1 })))
    };
    let head = target.head()?;
    append(&of_kind(OPEN)?)?.is(201)?;
    let answer = append(&of_kind(SHOWN)?)?;
    answer.problem(403, "forbidden")?;
    target.nothing_stored_since(head + 1, &answer)
};

"a push that writes one stream of another kind is forbidden whole" => |target| {
    let guest = Guest::of(target)?;
    let (writer, head) = (target.writer()?, target.head()?);
    for stream in [of_kind(SHOWN)?, stream()?] {
        let answer = guest.push(&writer, &[writer.on(&of_kind(OPEN)?, "any")?, writer.on(&stream, "any")?])?;
        answer.problem(403, "forbidden")?;
        target.nothing_stored_since(head, &answer)?;
    }
    Ok(())
};

"a push cannot ask how far a stream is that may not be read" => |target| {
    let guest = Guest::of(target)?;
    let (writer, hidden, shown) = (target.writer()?, stream()?, of_kind(SHOWN)?);
    writer.fill(&hidden, 1)?;
    writer.fill(&shown, 1)?;
    let head = target.head()?;
    let own = target.writer()?;
    for (stream, expected) in [(hidden.clone(), json!({ "exact": 1 })), (hidden, json!("noStream")), (stream()?, json!("noStream"))] {
        let asking = own.commit(&[condition(&stream, expected)], &[event(&of_kind(OPEN)?, 1)])?;
        let answer = guest.push(&own, &[asking])?;
        answer.problem(403, "forbidden")?;
        target.nothing_stored_since(head, &answer)?;
    }
    let lost = own.commit(&[condition(&shown, "noStream")], &[event(&of_kind(OPEN)?, 1)])?;
    let held = own.commit(&[condition(&shown, json!({ "exact": 1 }))], &[event(&of_kind(OPEN)?, 1)])?;
    let answer = guest.push(&own, &[lost, held])?.is(200)?;
    answer.at("/results/0/verdict", &json!("conflict"))?;
    answer.at("/results/1/verdict", &json!("accepted"))
};

["segments"] "segments are for those who may read all" => |target| {
    let guest = Guest::of(target)?;
    let described = guest.get("")?.is(200)?;
    described.at("/segments/count", &json!(0))?;
    let epoch = described.json()?["epoch"].as_str().unwrap_or_default().to_owned();
    guest.get(&format!("/segments/{epoch}/1"))?.problem(404, "unknown_segment").map(drop)
};

["sse"] "what stays open leaves out the same" => |target| {
    let guest = Guest::of(target)?;
    let (writer, head, hidden, shown) = (target.writer()?, target.head()?, stream()?, of_kind(SHOWN)?);
    let call = Call::new("GET", target.path(&format!("/live?after={head}")));
    let mut lines = target.open(guest.signed(call))?;
    writer.fill(&hidden, 1)?;
    let wanted = writer.on(&shown, "any")?;
    writer.accepted(&wanted)?;
    let data = lines.find("data", |line| serde_json::from_str::<Value>(line.strip_prefix("data:")?).ok())?;
    same(&lines.sent, "the first commit that is told", &wanted["id"], &data["id"])
};

["erasure"] "erasing takes a right of its own, and the list has what may be read" => |target| {
    let guest = Guest::of(target)?;
    let (writer, open, hidden) = (target.writer()?, of_kind(OPEN)?, stream()?);
    writer.fill(&open, 1)?;
    writer.fill(&hidden, 1)?;
    let head = target.head()?;
    let erase = |stream: &str| {
        let body = json!({ "stream": stream, "versions": "all", "reason": "asked" });
        Call::new("POST", target.path("/erasures")).json(&body)
    };
    let answer = guest.send(erase(&open))?;
    answer.problem(403, "forbidden")?;
    target.nothing_stored_since(head, &answer)?;
    // What cannot be read may be said to be missing, too.
    let answer = guest.send(erase(&hidden))?;
    if answer.status != 403 {
        answer.problem(404, "unknown_log")?;
    }
    target.nothing_stored_since(head, &answer)?;
    for stream in [&open, &hidden] {
        target.send(erase(stream))?.is(201)?;
    }
    let listed = |stream: &str, all: &[Value]| all.iter().any(|one| one["stream"] == stream);
    let all = erasures(|of| guest.get(of))?;
    let sent = "GET …/erasures of a token that may read one of two";
    same(sent, "whether each is listed:", &json!([true, false]), &json!([listed(&open, &all), listed(&hidden, &all)]))
};

}

/// A stream of this kind that nobody has written to.
fn of_kind(kind: &str) -> Result<String, Ended> {
    Ok(format!("{kind}/{}", id()?))
}

/// Who may append to streams of the kind [`OPEN`], read those and the ones of [`SHOWN`], and nothing else.
struct Guest<'t> {
    target: &'t Target,
    bearer: String,
}

impl<'t> Guest<'t> {
    fn of(target: &'t Target) -> Result<Self, Ended> {
        let bearer = format!("Bearer {}", target.guest_token()?);
        Ok(Self { target, bearer })
    }

    fn signed(&self, call: Call) -> Call {
        call.header("authorization", &self.bearer)
    }

    fn send(&self, call: Call) -> Result<Answer, Ended> {
        self.target.send(self.signed(call))
    }

    fn get(&self, of: &str) -> Result<Answer, Ended> {
        self.send(Call::new("GET", self.target.path(of)))
    }

    fn push(&self, writer: &Writer<'_>, commits: &[Value]) -> Result<Answer, Ended> {
        let path = self.target.path("/commits");
        self.send(Call::new("POST", path).json(&writer.body(commits)))
    }
}
