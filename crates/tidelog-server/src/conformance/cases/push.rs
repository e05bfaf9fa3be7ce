//! Verdicts, retries, and what a push must not be.

use crate::conformance::case::{Mismatch, cases, same};
use crate::conformance::http::Call;
use crate::conformance::writer::{changed, condition, event, id, stream};
use serde_json::{Value, json};
use std::thread;

cases! { "push":

"an accepted commit gets the next positions, and versions that go on" => |target| {
    let (writer, a, b) = (target.writer()?, stream()?, stream()?);
    let head = target.head()?;
    let first = writer.commit(&[], &[event(&a, 1), event(&b, 2), event(&a, 3)])?;
    let (answer, _) = writer.verdict(&first)?;
    answer.at("/results/0/verdict", &json!("accepted"))?;
    answer.at("/results/0/acceptedAttempt", &json!(1))?;
    answer.at("/results/0/positions", &json!({ "first": head + 1, "last": head + 3 }))?;
    answer.at("/results/0/versions", &json!([
        { "stream": a, "first": 1, "last": 2 },
        { "stream": b, "first": 1, "last": 1 },
    ]))?;
    answer.at("/head/position", &json!(head + 3))?;
    let (answer, _) = writer.verdict(&writer.on(&a, "any")?)?;
    answer.at("/results/0/positions", &json!({ "first": head + 4, "last": head + 4 }))?;
    answer.at("/results/0/versions", &json!([{ "stream": a, "first": 3, "last": 3 }]))
};

"each commit of a push has its own verdict and sees those before it" => |target| {
    let (writer, a, b) = (target.writer()?, stream()?, stream()?);
    let head = target.head()?;
    let commits = [
        writer.on(&a, "noStream")?,
        writer.on(&a, "noStream")?,
        writer.on(&b, "noStream")?,
        writer.on(&a, json!({ "exact": 1 }))?,
    ];
    let (answer, results) = writer.push(&commits)?;
    let verdicts: Vec<&Value> = results.iter().map(|result| &result["verdict"]).collect();
    same(&answer.sent, "the verdicts", &json!(["accepted", "conflict", "accepted", "accepted"]), &json!(verdicts))?;
    // What is refused takes no position.
    answer.at("/results/3/positions/first", &json!(head + 3))?;
    answer.at("/head/position", &json!(head + 3))
};

"a conflict names every condition that does not hold, and stores nothing" => |target| {
    let (writer, a, b, c) = (target.writer()?, stream()?, stream()?, stream()?);
    writer.fill(&a, 2)?;
    let head = target.head()?;
    let conditions = [
        condition(&a, json!({ "exact": 1 })),
        condition(&b, "noStream"),
        condition(&c, "exists"),
    ];
    let (answer, _) = writer.verdict(&writer.commit(&conditions, &[event(&b, 1)])?)?;
    answer.at("/results/0/verdict", &json!("conflict"))?;
    answer.at("/results/0/conflicts", &json!([
        { "checkIndex": 0, "stream": a, "expected": { "exact": 1 }, "actual": 2 },
        { "checkIndex": 2, "stream": c, "expected": "exists", "actual": 0 },
    ]))?;
    target.nothing_stored_since(head, &answer)
};

"a condition counts on a stream that is only read" => |target| {
    let (writer, read, written) = (target.writer()?, stream()?, stream()?);
    let held = writer.commit(&[condition(&read, "noStream")], &[event(&written, 1)])?;
    writer.accepted(&held)?;
    writer.fill(&read, 1)?;
    let broken = writer.commit(&[condition(&read, "noStream")], &[event(&written, 1)])?;
    let (answer, _) = writer.verdict(&broken)?;
    answer.at("/results/0/conflicts/0/stream", &json!(read))
};

"conditions are checked against the log before the commit" => |target| {
    let (writer, a) = (target.writer()?, stream()?);
    writer.accepted(&writer.commit(&[condition(&a, "noStream")], &[event(&a, 1), event(&a, 2)])?)?;
    writer.accepted(&writer.commit(&[condition(&a, json!({ "exact": 2 }))], &[event(&a, 3), event(&a, 4)])?).map(drop)
};

"a push that is sent again gets the receipts of the first time, and stores nothing" => |target| {
    let (writer, a, b) = (target.writer()?, stream()?, stream()?);
    let commits = [writer.on(&a, "noStream")?, writer.commit(&[], &[event(&b, 1), event(&a, 2)])?];
    let (_, mut first) = writer.push(&commits)?;
    writer.fill(&a, 1)?;
    let head = target.head()?;
    for result in &mut first {
        result["verdict"] = json!("duplicate");
    }
    for _ in 0..2 {
        let (answer, _) = writer.push(&commits)?;
        answer.at("/results", &json!(first))?;
        target.nothing_stored_since(head, &answer)?;
    }
    Ok(())
};

"a commit that stands twice in a push is stored once" => |target| {
    let writer = target.writer()?;
    let commit = writer.on(&stream()?, "noStream")?;
    let (answer, results) = writer.push(&[commit.clone(), commit])?;
    answer.at("/results/0/verdict", &json!("accepted"))?;
    answer.at("/results/1/verdict", &json!("duplicate"))?;
    let first = results.first().map(|first| first["positions"].clone()).unwrap_or_default();
    answer.at("/results/1/positions", &first)
};

"replica and number are no content: a copy under another number is a duplicate" => |target| {
    let (writer, other) = (target.writer()?, target.writer()?);
    let mut commit = writer.on(&stream()?, "noStream")?;
    writer.accepted(&commit)?;
    commit["seq"] = json!(77);
    let (answer, _) = other.verdict(&commit)?;
    answer.at("/results/0/verdict", &json!("duplicate"))
};

"other content under the same id and attempt is attempt_mismatch" => |target| {
    let (writer, a) = (target.writer()?, stream()?);
    let commit = writer.on(&a, "any")?;
    writer.accepted(&commit)?;
    let head = target.head()?;
    let changes: [(&str, Value); 5] = [
        ("/events/0/data", json!({ "other": true })),
        ("/events/0/type", json!("case.else")),
        ("/events/0/stream", json!(stream()?)),
        ("/events/0/occurredAt", json!("2026-01-01T12:00:00.001Z")),
        ("/conditions/0/expected", json!("exists")),
    ];
    for (place, value) in changes {
        let mut other = commit.clone();
        if let Some(field) = other.pointer_mut(place) {
            *field = value;
        }
        let (answer, _) = writer.verdict(&other)?;
        answer.rejected(0, "attempt_mismatch")?;
        target.nothing_stored_since(head, &answer)?;
    }
    Ok(())
};

"a later attempt after a conflict is accepted as that attempt" => |target| {
    let (writer, a) = (target.writer()?, stream()?);
    writer.fill(&a, 1)?;
    let mut commit = writer.on(&a, "noStream")?;
    let (answer, _) = writer.verdict(&commit)?;
    answer.at("/results/0/verdict", &json!("conflict"))?;
    commit["attempt"] = json!(2);
    commit["conditions"] = json!([condition(&a, json!({ "exact": 1 }))]);
    let (answer, _) = writer.verdict(&commit)?;
    answer.at("/results/0/verdict", &json!("accepted"))?;
    answer.at("/results/0/acceptedAttempt", &json!(2))?;
    // An earlier attempt that comes late gets its receipt.
    commit["attempt"] = json!(1);
    commit["conditions"] = json!([condition(&a, "noStream")]);
    let (answer, _) = writer.verdict(&commit)?;
    answer.at("/results/0/verdict", &json!("duplicate"))?;
    answer.at("/results/0/acceptedAttempt", &json!(2))
};

"a number of a replica that another commit has is seq_reused" => |target| {
    let (writer, a) = (target.writer()?, stream()?);
    let first = writer.on(&a, "any")?;
    writer.accepted(&first)?;
    let mut copied = writer.on(&a, "any")?;
    copied["seq"] = first["seq"].clone();
    let head = target.head()?;
    let (answer, _) = writer.verdict(&copied)?;
    answer.rejected(0, "seq_reused")?;
    target.nothing_stored_since(head, &answer)
};

"a number whose commit was not stored may be used" => |target| {
    let (writer, a) = (target.writer()?, stream()?);
    writer.fill(&a, 1)?;
    let refused = writer.on(&a, "noStream")?;
    writer.verdict(&refused)?;
    let mut next = writer.on(&a, "any")?;
    next["seq"] = refused["seq"].clone();
    writer.accepted(&next).map(drop)
};

"attempt, conditions and the like may be left out" => |target| {
    let (writer, a) = (target.writer()?, stream()?);
    let commit = json!({ "id": id()?, "seq": 1, "events": [event(&a, json!(null))] });
    let answer = writer.send(&[commit])?.is(200)?;
    answer.at("/results/0/verdict", &json!("accepted"))?;
    answer.at("/results/0/attempt", &json!(1))
};

"a push without commits is answered without verdicts" => |target| {
    let answer = target.writer()?.send(&[])?.is(200)?;
    answer.at("/results", &json!([]))
};

"a commit without events, of attempt or schema 0, or with two conditions on one stream is invalid_commit" => |target| {
    let (writer, a) = (target.writer()?, stream()?);
    let head = target.head()?;
    let twice = |one: &str, other: &str| writer.commit(&[condition(&a, one), condition(&a, other)], &[event(&a, 1)]);
    for commit in [
        writer.commit(&[condition(&a, "any")], &[])?,
        changed(writer.on(&a, "any")?, json!({ "attempt": 0 })),
        writer.commit(&[], &[changed(event(&a, 1), json!({ "schema": 0 }))])?,
        twice("noStream", "noStream")?,
        // What it breaks counts before what does not hold.
        twice("any", "exists")?,
    ] {
        let (answer, _) = writer.verdict(&commit)?;
        answer.rejected(0, "invalid_commit")?;
        target.nothing_stored_since(head, &answer)?;
    }
    Ok(())
};

"what is the server's to set is refused whole" => |target| {
    let writer = target.writer()?;
    let head = target.head()?;
    for field in ["position", "version", "recordedAt", "actor", "log", "chain"] {
        for place in ["", "/events/0"] {
            let mut commit = writer.on(&stream()?, "any")?;
            if let Some(value) = commit.pointer_mut(place) {
                value[field] = json!(1);
            }
            let answer = writer.send(&[writer.on(&stream()?, "any")?, commit])?;
            answer.problem(400, "bad_request")?;
            target.nothing_stored_since(head, &answer)?;
        }
    }
    Ok(())
};

"a body that is no push is bad_request" => |target| {
    let head = target.head()?;
    let good = target.writer()?.on(&stream()?, "any")?;
    let mut bodies: Vec<String> = ["", "{", "[]", "null", "7", r#"{"replica":1,"commits":[]}"#, r#"{"commits":[]}"#]
        .map(str::to_owned)
        .to_vec();
    for (place, value) in [
        ("/id", json!("1")),
        ("/seq", json!(-1)),
        ("/events", json!({})),
        ("/events/0/stream", json!("")),
        ("/events/0/stream", json!("nokind")),
        ("/events/0/occurredAt", json!("yesterday")),
        ("/conditions/0/expected", json!("most")),
        ("/conditions/0/expected", json!({ "exact": "1" })),
        ("/conditions/0/expected", json!({ "exact": 1, "event": "x" })),
    ] {
        let mut commit = good.clone();
        if let Some(field) = commit.pointer_mut(place) {
            *field = value;
        }
        bodies.push(target.writer()?.body(&[commit]).to_string());
    }
    for body in bodies {
        let answer = target.send(Call::new("POST", target.path("/commits")).bytes("application/json", body))?;
        answer.problem(400, "bad_request")?;
        target.nothing_stored_since(head, &answer)?;
    }
    Ok(())
};

"a body of another type is unsupported_media_type" => |target| {
    let writer = target.writer()?;
    let body = writer.body(&[writer.on(&stream()?, "any")?]).to_string();
    for media_type in ["text/plain", "application/x-www-form-urlencoded"] {
        let call = Call::new("POST", target.path("/commits")).bytes(media_type, body.clone());
        target.send(call)?.problem(415, "unsupported_media_type")?;
    }
    Ok(())
};

"a push from another history is cursor_mismatch, one from this history is taken" => |target| {
    let writer = target.writer()?;
    writer.fill(&stream()?, 1)?;
    let described = target.get("")?.is(200)?.json()?;
    let (epoch, head) = (described["epoch"].as_str().unwrap_or_default(), &described["head"]);
    let chain = head["chain"].as_str().map_or_else(|| "0".repeat(64), str::to_owned);
    let send = |epoch: &str| {
        let mut body = writer.body(&[writer.on(&stream()?, "any")?]);
        body["cursor"] = json!(format!("{epoch}:{}:{chain}", head["position"]));
        target.send(Call::new("POST", target.path("/commits")).json(&body))
    };
    let answer = send(&id()?)?;
    let problem = answer.problem(409, "cursor_mismatch")?;
    same(&answer.sent, "epoch", &json!(epoch), &problem["epoch"])?;
    same(&answer.sent, "head.position", &head["position"], &problem["head"]["position"])?;
    target.nothing_stored_since(head["position"].as_u64().unwrap_or(0), &answer)?;
    send(epoch)?.is(200).map(drop)
};

"a push with half a cursor, or none, is bad_request" => |target| {
    let (writer, head) = (target.writer()?, target.head()?);
    let described = target.get("")?.is(200)?.json()?;
    let epoch = described["epoch"].as_str().unwrap_or_default();
    for cursor in [json!(format!("{epoch}:{head}")), json!(head.to_string()), json!("x"), json!(""), json!(head)] {
        let body = changed(writer.body(&[writer.on(&stream()?, "any")?]), json!({ "cursor": cursor }));
        let answer = target.send(Call::new("POST", target.path("/commits")).json(&body))?;
        answer.problem(400, "bad_request")?;
        target.nothing_stored_since(head, &answer)?;
    }
    Ok(())
};

"the same commit from many at once is stored once, with equal receipts" => |target| {
    let writer = target.writer()?;
    let commit = writer.on(&stream()?, "noStream")?;
    let head = target.head()?;
    let results: Vec<Value> = at_once(16, |_| Ok(target.writer_named(&writer.replica).verdict(&commit)?.1))?;
    let accepted = results.iter().filter(|result| result["verdict"] == "accepted").count();
    let receipts: std::collections::BTreeSet<String> = results.iter().map(|result| result["positions"].to_string()).collect();
    let sent = format!("16 times at once: {commit}");
    same(&sent, "so many accepted", &json!(1), &json!(accepted))?;
    same(&sent, "so many different receipts", &json!(1), &json!(receipts.len()))?;
    same(&sent, "head.position", &json!(head + 1), &json!(target.head()?))
};

"of many writers that expect the same version one is accepted" => |target| {
    let a = stream()?;
    let verdicts: Vec<Value> = at_once(16, |_| {
        let writer = target.writer()?;
        Ok(writer.verdict(&writer.on(&a, "noStream")?)?.1["verdict"].clone())
    })?;
    let count = |verdict: &str| verdicts.iter().filter(|found| *found == verdict).count();
    let sent = format!("16 commits at once that expect noStream of {a}");
    same(&sent, "accepted and conflicts", &json!([1, 15]), &json!([count("accepted"), count("conflict")]))
};

"positions have no holes and commits stay whole while many write" => |target| {
    let head = target.head()?;
    at_once(8, |_| {
        let (writer, a) = (target.writer()?, stream()?);
        for _ in 0..5 {
            writer.push(&[writer.commit(&[], &[event(&a, 1), event(&a, 2)])?, writer.on(&a, "noStream")?])?;
        }
        Ok(())
    })?;
    let commits = target.commits_after(head)?;
    let positions: Vec<&Value> = commits.iter().flat_map(|commit| commit["events"].as_array().into_iter().flatten()).map(|event| &event["position"]).collect();
    let expected: Vec<u64> = (head + 1..=head + 80).collect();
    same("40 commits of two events, by 8 writers", "positions", &json!(expected), &json!(positions))
};

}

/// Does something in so many threads.
fn at_once<T: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<T, crate::conformance::Ended> + Sync,
) -> Result<Vec<T>, crate::conformance::Ended> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|number| {
                let work = &work;
                scope.spawn(move || work(number))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                let ended = thread.join();
                ended
                    .unwrap_or_else(|_| Err(Mismatch::ended("", "an answer", "the suite panicked")))
            })
            .collect()
    })
}
