//! The binary encoding, both ways.

use crate::conformance::case::{Ended, cases, same};
use crate::conformance::http::{Answer, Call};
use crate::conformance::writer::{condition, event, stream};
use serde_json::json;
use tidelog_core::protocol::json::CommitJson;
use tidelog_core::protocol::{FRAMES, REPLICA_HEADER};
use tidelog_core::{
    Commit, Event, Local, Payload, Policy, Recorded, ReplicaId, Seq, Timestamp, frame, limits,
};

cases! { "frames":

["frames"] "a pull of frames holds the same commits as one of JSON" => |target| {
    let (writer, a) = (target.writer()?, stream()?);
    let head = target.head()?;
    writer.fill(&a, 3)?;
    writer.accepted(&writer.commit(&[condition(&a, "exists")], &[event(&a, json!({ "a": 1 })), event(&stream()?, 2)])?)?;
    let path = target.path(&format!("/commits?after={head}"));
    let answer = target.send(Call::new("GET", path.clone()).header("accept", FRAMES))?.is(200)?;
    answer.has_header("content-type", FRAMES)?;
    let commits = decoded(&answer)?;
    let told = target.send(Call::new("GET", path))?.is(200)?.json()?;
    let ids: Vec<String> = commits.iter().map(|recorded| recorded.commit.id.to_string()).collect();
    let expected: Vec<_> = told["commits"].as_array().into_iter().flatten().map(|commit| commit["id"].clone()).collect();
    same(&answer.sent, "the commits", &json!(expected), &json!(ids))?;
    let payloads: Vec<String> = commits.iter().flat_map(|recorded| &recorded.commit.events).map(|event| event.data.text().unwrap_or_default().to_owned()).collect();
    same(&answer.sent, "the payloads", &json!(["1", "1", "1", r#"{"a":1}"#, "2"]), &json!(payloads))
};

["frames"] "a push of a frame is a push, and JSON of it a duplicate" => |target| {
    let writer = target.writer()?;
    let commit = writer.on(&stream()?, "noStream")?;
    let answer = push_frame(target, parsed(&writer.replica, &commit)?, |bytes| bytes)?.is(200)?;
    answer.at("/results/0/verdict", &json!("accepted"))?;
    let (answer, _) = writer.verdict(&commit)?;
    answer.at("/results/0/verdict", &json!("duplicate"))
};

["frames"] "a frame whose bytes were changed is invalid_frame" => |target| {
    let writer = target.writer()?;
    let head = target.head()?;
    let changes: [fn(Vec<u8>) -> Vec<u8>; 4] = [
        |mut bytes| { if let Some(last) = bytes.last_mut() { *last ^= 1; } bytes },
        |mut bytes| { bytes.truncate(bytes.len() - 1); bytes },
        |_| b"TIDE".to_vec(),
        |_| Vec::new(),
    ];
    for change in changes {
        let commit = writer.on(&stream()?, "any")?;
        let answer = push_frame(target, parsed(&writer.replica, &commit)?, change)?;
        answer.problem(400, "invalid_frame")?;
        target.nothing_stored_since(head, &answer)?;
    }
    Ok(())
};

["frames"] "a commit of a frame that JSON cannot say is invalid_commit" => |target| {
    let writer = target.writer()?;
    let head = target.head()?;
    let changes: [fn(&mut Event); 4] = [
        |event| event.data = Payload::json(" 1"),
        |event| event.data = Payload::json("[1]\n"),
        |event| event.occurred_at = Timestamp::from_millis(limits::TIMES.end() + 1),
        |event| event.occurred_at = Timestamp::from_millis(i64::MIN),
    ];
    for change in changes {
        let mut commit = parsed(&writer.replica, &writer.on(&stream()?, "any")?)?;
        commit.events.iter_mut().for_each(change);
        let answer = push_frame(target, commit, |bytes| bytes)?.is(200)?;
        answer.rejected(0, "invalid_commit")?;
        target.nothing_stored_since(head, &answer)?;
    }
    Ok(())
};

["frames"] "an answer that the caller does not take is not_acceptable" => |target| {
    let call = Call::new("GET", target.path("/commits?after=0&limit=1")).header("accept", "text/html");
    target.send(call)?.problem(406, "not_acceptable").map(drop)
};

}

pub(super) fn decoded(answer: &Answer) -> Result<Vec<Recorded>, Ended> {
    let wrong =
        |error: &dyn std::fmt::Display| answer.unlike(format_args!("whole frames ({error})"));
    let mut commits = Vec::new();
    for bytes in frame::split(&answer.body).map_err(|error| wrong(&error))? {
        match frame::decode(bytes).map_err(|error| wrong(&error))?.body {
            frame::Body::Recorded(recorded) => commits.extend(recorded),
            frame::Body::Local(_) => return Err(answer.unlike("recorded frames")),
        }
    }
    Ok(commits)
}

fn parsed(replica: &str, commit: &serde_json::Value) -> Result<Commit, Ended> {
    let none = |_why| Ended::Skipped("a commit of the suite that is none".to_owned());
    let replica: ReplicaId = replica.parse().map_err(|_why| none(()))?;
    let commit: CommitJson = serde_json::from_str(&commit.to_string()).map_err(|_why| none(()))?;
    Ok(commit.into_commit(replica))
}

fn push_frame(
    target: &crate::conformance::Target,
    commit: Commit,
    change: impl Fn(Vec<u8>) -> Vec<u8>,
) -> Result<Answer, Ended> {
    let replica = commit.replica.to_string();
    let local = Local {
        commit,
        command: None,
        policy: Policy::default(),
    };
    let bytes = change(frame::encode_local(
        Seq::new(1),
        std::slice::from_ref(&local),
    ));
    let call = Call::new("POST", target.path("/commits"))
        .bytes(FRAMES, bytes)
        .header(REPLICA_HEADER, &replica);
    target.send(call)
}
