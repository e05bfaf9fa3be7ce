//! The binary encoding, both ways.

use crate::conformance::case::{Ended, cases, same};
use crate::conformance::http::{Answer, Call};
use crate::conformance::target::Target;
use crate::conformance::writer::{condition, event, stream};
use serde_json::{Value, json};
use tidelog_core::protocol::json::{CommitJson, GapJson};
use tidelog_core::protocol::{CURSOR_HEADER, FRAMES, REPLICA_HEADER};
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

["frames"] "a frame with a name that cannot be is invalid_frame" => |target| {
    let writer = target.writer()?;
    let push = |from: &'static [u8], to: &'static [u8]| {
        let commit = writer.on(&stream()?, "any")?;
        push_frame(target, parsed(&writer.replica, &commit)?, |bytes| renamed(bytes, from, to))
    };
    // Renamed to what can be, it is a frame.
    push(b"case.happened", b"case.happen\xc3\xa9")?.is(200)?.at("/results/0/verdict", &json!("accepted"))?;
    let head = target.head()?;
    let names: [(&str, &[u8], &[u8]); 5] = [
        ("a type with a control character", b"case.happened", b"case.happene\n"),
        ("a type that is no UTF-8", b"case.happened", b"case.happene\xff"),
        ("a kind with a space", b"case/", b"c se/"),
        ("a kind that begins with a hyphen", b"case/", b"-ase/"),
        ("a stream without a kind", b"case/", b"/case"),
    ];
    for (what, from, to) in names {
        let answer = push(from, to)?;
        let about = |ended: Ended| ended.about(what);
        answer.problem(400, "invalid_frame").map_err(about)?;
        target.nothing_stored_since(head, &answer).map_err(about)?;
    }
    Ok(())
};

["frames"] "a frame says in its headers whose it is, and where it was made" => |target| {
    let (writer, head) = (target.writer()?, target.head()?);
    let frame = |call: fn(Call, String) -> Call, value: String| {
        let commit = parsed(&writer.replica, &writer.on(&stream()?, "any")?)?;
        target.send(call(frame_call(target, commit, |bytes| bytes), value))
    };
    let of = |call: Call, value| call.header(REPLICA_HEADER, value);
    let at = |call: Call, value| call.header(CURSOR_HEADER, value);
    let another = frame(of, target.writer()?.replica)?;
    another.problem(400, "bad_request")?;
    for replica in ["", "x"] {
        frame(of, replica.to_owned())?.problem(400, "bad_request")?;
    }
    for cursor in ["x".to_owned(), head.to_string()] {
        frame(at, cursor)?.problem(400, "invalid_cursor")?;
    }
    target.nothing_stored_since(head, &another)
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
    let bodies = frames(answer)?.into_iter().map(|frame| frame.body);
    let commits = bodies.flat_map(|body| match body {
        frame::Body::Recorded(commits) => commits,
        frame::Body::Local(_) => Vec::new(),
    });
    Ok(commits.collect())
}

/// What an answer in frames of any format holds and leaves out, with the chain that it comes to, as an answer in JSON has it.
pub(super) fn as_json(answer: &Answer) -> Result<(Vec<Value>, Vec<Value>), Ended> {
    let (mut commits, mut gaps, mut end) = (Vec::new(), Vec::new(), None);
    for frame in frames(answer)? {
        let mut chain = frame.chain_before;
        if end.is_some_and(|end| end != chain) {
            return Err(answer.unlike("frames each of which goes on from the one before"));
        }
        for step in frame.steps() {
            chain = step.chain_after(chain);
            match step {
                frame::Step::Commit(recorded) => {
                    commits.push(json!({ "id": recorded.commit.id, "chain": chain }))
                }
                frame::Step::Gap(record) => gaps.push(json!(GapJson::from(record))),
            }
        }
        end = Some(chain);
    }
    Ok((commits, gaps))
}

fn frames(answer: &Answer) -> Result<Vec<frame::Frame>, Ended> {
    let wrong = |error: frame::FrameError| answer.unlike(format_args!("whole frames ({error})"));
    let all = frame::split(&answer.body).map_err(wrong)?.into_iter();
    let all: Vec<frame::Frame> = all
        .map(frame::decode)
        .collect::<Result<_, _>>()
        .map_err(wrong)?;
    let is_local = |frame: &frame::Frame| matches!(frame.body, frame::Body::Local(_));
    match all.iter().any(is_local) {
        true => Err(answer.unlike("recorded frames")),
        false => Ok(all),
    }
}

fn parsed(replica: &str, commit: &Value) -> Result<Commit, Ended> {
    let none = |_why| Ended::Skipped("a commit of the suite that is none".to_owned());
    let replica: ReplicaId = replica.parse().map_err(|_why| none(()))?;
    let commit: CommitJson = serde_json::from_str(&commit.to_string()).map_err(|_why| none(()))?;
    Ok(commit.into_commit(replica))
}

fn push_frame(
    target: &Target,
    commit: Commit,
    change: impl Fn(Vec<u8>) -> Vec<u8>,
) -> Result<Answer, Ended> {
    target.send(frame_call(target, commit, change))
}

fn frame_call(target: &Target, commit: Commit, change: impl Fn(Vec<u8>) -> Vec<u8>) -> Call {
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
    Call::new("POST", target.path("/commits"))
        .bytes(FRAMES, bytes)
        .header(REPLICA_HEADER, &replica)
}

/// The frame with another name of as many bytes in it, and the checksum of that.
fn renamed(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let found = bytes.windows(from.len()).position(|name| name == from);
    if let Some(at) = found {
        drop(bytes.splice(at..at + to.len(), to.iter().copied()));
    }
    let castagnoli = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);
    let mut digest = castagnoli.digest();
    digest.update(bytes.get(..12).unwrap_or_default());
    digest.update(bytes.get(16..).unwrap_or_default());
    drop(bytes.splice(12..16, digest.finalize().to_le_bytes()));
    bytes
}
