//! What a server takes at most: what it advertises is taken, and one more is not.

use crate::conformance::case::{Done, Ended, Mismatch, cases, same};
use crate::conformance::http::{Answer, Call};
use crate::conformance::target::Target;
use crate::conformance::writer::{changed, condition, event, stream};
use serde_json::{Value, json};

cases! { "caps":

"pushCommits" => |target| {
    let (writer, cap) = (target.writer()?, target.cap("pushCommits")?);
    let head = target.head()?;
    // Commits without events: they are answered, and store nothing.
    let commits = |count: usize| (0..count).map(|_| writer.commit(&[], &[])).collect::<Result<Vec<Value>, _>>();
    writer.send(&commits(cap)?)?.is(200)?;
    let answer = writer.send(&commits(cap + 1)?)?;
    let problem = answer.problem(413, "too_many_commits")?;
    if problem["max"] != json!(cap) {
        return Err(answer.unlike(format_args!("max: {cap}")));
    }
    target.nothing_stored_since(head, &answer)
};

"commitEvents" => |target| {
    let (writer, a, cap) = (target.writer()?, stream()?, target.cap("commitEvents")?);
    let events = |count: usize| (0..count).map(|number| event(&a, number)).collect::<Vec<_>>();
    writer.accepted(&writer.commit(&[], &events(cap))?)?;
    refused(target, &writer.commit(&[], &events(cap + 1))?, &writer)
};

"commitConditions" => |target| {
    let (writer, cap) = (target.writer()?, target.cap("commitConditions")?);
    let conditions = |count: usize| {
        let one = |number: usize| condition(&format!("case/none-{number}"), "any");
        (0..count).map(one).collect::<Vec<_>>()
    };
    let events = [event(&stream()?, 1)];
    writer.accepted(&writer.commit(&conditions(cap), &events)?)?;
    refused(target, &writer.commit(&conditions(cap + 1), &events)?, &writer)
};

"eventTags" => |target| {
    let (writer, cap) = (target.writer()?, target.cap("eventTags")?);
    let commit = |count: usize| {
        let mut event = event(&stream()?, 1);
        event["tags"] = (0..count).map(|number| format!("tag-{number}")).collect();
        writer.commit(&[], &[event])
    };
    writer.accepted(&commit(cap)?)?;
    refused(target, &commit(cap + 1)?, &writer)
};

"commitBytes" => |target| {
    let (writer, cap) = (target.writer()?, target.cap("commitBytes")?);
    let commit = |bytes: usize| writer.commit(&[], &[event(&stream()?, "x".repeat(bytes))]);
    // Names and a fixed cost count too.
    writer.accepted(&commit(cap.saturating_sub(1_024))?)?;
    refused(target, &commit(cap)?, &writer)
};

"idBytes" => |target| {
    let (writer, cap) = (target.writer()?, target.cap("idBytes")?);
    let head = target.head()?;
    let long = |bytes: usize| Ok::<_, Ended>(format!("{:x<bytes$}", stream()?));
    writer.accepted(&writer.on(&long(cap)?, "noStream")?)?;
    let head = head + 1;
    for (what, change) in [
        ("a stream", json!({ "stream": long(cap + 1)? })),
        ("a type", json!({ "type": "t".repeat(cap + 1) })),
        ("a tag", json!({ "tags": ["t".repeat(cap + 1)] })),
        ("a reference of meta", json!({ "meta": { "device": "d".repeat(cap + 1) } })),
    ] {
        let answer = writer.send(&[writer.commit(&[], &[changed(event(&stream()?, 1), change)])?])?;
        let about = |ended: Ended| ended.about(format_args!("{what} of {} bytes", cap + 1));
        answer.problem(400, "bad_request").map_err(about)?;
        target.nothing_stored_since(head, &answer).map_err(about)?;
    }
    Ok(())
};

"jsonDepth" => |target| {
    let (writer, cap) = (target.writer()?, target.cap("jsonDepth")?);
    let head = target.head()?;
    let send = |depth: usize| {
        let body = writer.body(&[writer.on(&stream()?, "any")?]).to_string();
        let nested = format!(r#""data":{}1{}"#, "[".repeat(depth), "]".repeat(depth));
        let body = body.replace(r#""data":1"#, &nested);
        target.send(Call::new("POST", target.path("/commits")).bytes("application/json", body))
    };
    // The payload of a push is nested in it already, so a little less than the cap must do.
    send(cap.saturating_sub(16))?.is(200)?.at("/results/0/verdict", &json!("accepted"))?;
    let answer = send(100_000)?;
    let is_rejected = answer.status == 200 && answer.json()?["results"][0]["verdict"] == "rejected";
    if !is_rejected {
        answer.problem(400, "bad_request")?;
    }
    target.nothing_stored_since(head + 1, &answer)
};

"bodyBytes" => |target| {
    let (writer, cap) = (target.writer()?, target.cap("bodyBytes")?);
    let head = target.head()?;
    let mut body = writer.body(&[writer.on(&stream()?, "any")?]).to_string();
    body.push_str(&" ".repeat(cap + 1));
    let answer = target.send(Call::new("POST", target.path("/commits")).bytes("application/json", body))?;
    let problem = answer.problem(413, "payload_too_large")?;
    if problem["max"] != json!(cap) {
        return Err(answer.unlike(format_args!("max: {cap}")));
    }
    target.nothing_stored_since(head, &answer)
};

"pullBytes" => |target| {
    // Roughly, and a commit is never cut: so commits of a quarter of it do not come ten at once.
    let (writer, cap, head) = (target.writer()?, target.cap("pullBytes")?, target.head()?);
    let size = cap / 4;
    for _ in 0..10 {
        writer.accepted(&writer.commit(&[], &[event(&stream()?, "x".repeat(size))])?)?;
    }
    let answer = target.get(&format!("/commits?after={head}"))?.is(200)?;
    let commits = answer.json()?["commits"].as_array().map_or(0, Vec::len);
    match (1..=6).contains(&commits) {
        true => Ok(()),
        false => Err(Mismatch::ended(&answer.sent, format_args!("about {cap} bytes: 4 commits of {size}"), commits)),
    }
};

["append"] "streamEvents" => |target| {
    // A larger limit is cut, not refused.
    let (writer, a, cap) = (target.writer()?, stream()?, target.cap("streamEvents")?);
    let per_commit = target.cap("commitEvents")?;
    for from in (0..=cap).step_by(per_commit.max(1)) {
        let numbers = from..(from + per_commit).min(cap + 1);
        let events: Vec<Value> = numbers.map(|number| event(&a, number)).collect();
        writer.accepted(&writer.commit(&[], &events)?)?;
    }
    for limit in ["", "?limit=1000000000"] {
        let answer = target.get(&format!("/streams/{}{limit}", a.replace('/', "%2F")))?.is(200)?;
        let events = answer.json()?["events"].as_array().map_or(0, Vec::len);
        same(&answer.sent, "so many events:", &json!(cap), &json!(events))?;
    }
    Ok(())
};

["filter"] "filterTerms" => |target| {
    let cap = target.cap("filterTerms")?;
    let ask = |count: usize| {
        let terms: String = (0..count).map(|number| format!("&kind=k{number}")).collect();
        target.get(&format!("/commits?after=0&limit=1{terms}"))
    };
    ask(cap)?.is(200)?;
    ask(cap + 1)?.problem(400, "invalid_filter").map(drop)
};

["filter"] "filterBytes" => |target| {
    let (cap, longest) = (target.cap("filterBytes")?, target.cap("idBytes")?);
    let ask = |bytes: usize| {
        let names = (0..bytes.div_ceil(longest)).map(|number| {
            let length = (bytes - number * longest).min(longest);
            format!("&kind={number:k<length$}")
        });
        target.get(&format!("/commits?after=0&limit=1{}", names.collect::<String>()))
    };
    // What stands between names counts too.
    ask(cap.saturating_sub(cap / 16))?.is(200)?;
    ask(cap + 1)?.problem(400, "invalid_filter").map(drop)
};

["erasure"] "erasures" => |target| {
    // A larger limit is cut, not refused.
    let (writer, a, cap) = (target.writer()?, stream()?, target.cap("erasures")?);
    writer.fill(&a, 1)?;
    let erase = json!({ "stream": a, "versions": "all", "reason": "asked" });
    target.send(Call::new("POST", target.path("/erasures")).json(&erase))?.is(201)?;
    let of_cap = target.get(&format!("/erasures?limit={cap}"))?.is(200)?.json()?;
    let answer = target.get(&format!("/erasures?limit={}", cap + 1_000_000))?.is(200)?;
    same(&answer.sent, "what a limit of the cap gives", &of_cap, &answer.json()?)?;
    // The list has something by now, so a page without any says where it goes on.
    match of_cap["erasures"].as_array().map(Vec::len) {
        Some(0) if of_cap["next"].is_string() => Ok(()),
        Some(1..) if of_cap["erasures"].as_array().is_some_and(|all| all.len() <= cap) => Ok(()),
        _ => Err(answer.unlike(format_args!("one erasure at least, and {cap} at most"))),
    }
};

"waitSeconds" => |target| {
    // A longer wait is cut, not refused.
    let seconds = target.cap("waitSeconds")? + 1_000_000;
    target.get(&format!("/commits?after=0&limit=1&wait={seconds}"))?.is(200).map(drop)
};

}

/// Demands that a commit is rejected and another one of the same push stored.
fn refused(
    target: &Target,
    commit: &Value,
    writer: &crate::conformance::writer::Writer<'_>,
) -> Done {
    let head = target.head()?;
    let (answer, _): (Answer, _) = writer.push(&[commit.clone(), writer.on(&stream()?, "any")?])?;
    answer.rejected(0, "invalid_commit")?;
    answer.at("/results/1/verdict", &json!("accepted"))?;
    target.nothing_stored_since(head + 1, &answer)
}
