//! Frames of formats 1 to 3 and directory records as they were first written. They open for ever, to the same commits,
//! digests and chain hashes, and encode to the same bytes. A fixture that is missing is a failure.
//!
//! `cargo test -p tidelog-core --test golden -- --ignored` writes fixtures that do not exist yet; it never changes one
//! that does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use tidelog_core::directory::{DirectoryRecord, stream_hash};
use tidelog_core::event::Reference;
use tidelog_core::frame::{self, Body, Step};
use tidelog_core::hash::commit_digest;
use tidelog_core::*;

const NAMES: [&str; 7] = [
    "v1/recorded",
    "v1/recorded-erased",
    "v1/local",
    "v1/empty",
    "v2/merged",
    "v2/merged-erased",
    "v3/gaps",
];
const DIRECTORY: &str = "v1/directory.record";

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures")
        .join(file)
}

fn read(file: &str) -> Vec<u8> {
    let path = path(file);
    fs::read(&path).unwrap_or_else(|error| panic!("fixture {}: {error}", path.display()))
}

/// All that a frame holds, in words. Numbers are written as texts, so that none is rounded.
fn describe(bytes: &[u8]) -> Value {
    let header = frame::header(bytes).unwrap();
    let frame = frame::decode(bytes).unwrap();
    let commits: Vec<Value> = match &frame.body {
        Body::Recorded(commits) => {
            let mut chain = frame.chain_before;
            let mut described = Vec::with_capacity(commits.len());
            for step in frame.steps() {
                chain = step.chain_after(chain);
                if let Step::Commit(recorded) = step {
                    described.push(describe_recorded(recorded, chain));
                }
            }
            described
        }
        Body::Local(commits) => commits.iter().map(describe_local).collect(),
    };
    let gaps = frame.gaps.iter().map(|record| {
        let gap = record.gap;
        json!([
            gap.from.to_string(),
            gap.to.to_string(),
            gap.reason.name(),
            record.chain.to_string()
        ])
    });
    let mut told = json!({
        "recorded": header.recorded,
        "bytes": header.length,
        "sha256": Digest::of(bytes).to_string(),
        "epoch": frame.epoch.to_string(),
        "first": header.first.to_string(),
        "events": header.events,
        "chainBefore": frame.chain_before.to_string(),
        "payloads": &*frame.payloads,
        "commits": commits,
    });
    if header.format > 2 {
        told["gaps"] = gaps.collect();
    }
    told
}

fn describe_recorded(recorded: &Recorded, chain: ChainHash) -> Value {
    json!({
        "commit": describe_commit(&recorded.commit),
        "position": recorded.position.to_string(),
        "recordedAt": recorded.recorded_at.millis().to_string(),
        "actor": recorded.actor.as_ref().map(Subject::as_str),
        "versions": recorded.versions.iter().map(|versions| json!([
            versions.stream.as_str(), versions.first.to_string(), versions.last.to_string(),
        ])).collect::<Vec<_>>(),
        "chain": chain.to_string(),
    })
}

fn describe_local(local: &Local) -> Value {
    json!({
        "commit": describe_commit(&local.commit),
        "policy": local.policy,
        "command": local.command.as_ref().map(|command| json!({
            "stream": command.stream.as_str(), "name": command.name.as_str(), "args": command.args.as_str(),
        })),
    })
}

fn describe_commit(commit: &Commit) -> Value {
    json!({
        "id": commit.id.to_string(),
        "attempt": commit.attempt.value(),
        "replica": commit.replica.to_string(),
        "seq": commit.seq.to_string(),
        "conditions": commit.conditions.iter().map(|condition| json!([
            condition.stream.as_str(), condition.expected.to_string(),
        ])).collect::<Vec<_>>(),
        "events": commit.events.iter().map(describe_event).collect::<Vec<_>>(),
        "digest": commit_digest(commit).to_string(),
    })
}

fn describe_event(event: &Event) -> Value {
    json!({
        "stream": event.stream.as_str(),
        "type": event.event_type.as_str(),
        "schema": event.schema.value(),
        "data": event.data.text(),
        "dataDigest": event.data.digest().to_string(),
        "occurredAt": event.occurred_at.millis().to_string(),
        "tags": event.tags.iter().map(Tag::as_str).collect::<Vec<_>>(),
        "correlationId": event.meta.correlation_id.as_ref().map(Reference::as_str),
        "causationId": event.meta.causation_id.as_ref().map(Reference::as_str),
        "device": event.meta.device.as_ref().map(Reference::as_str),
    })
}

#[test]
fn fixtures_decode_to_what_is_written_beside_them() {
    for name in NAMES {
        let told: Value = serde_json::from_slice(&read(&format!("{name}.json"))).unwrap();
        assert_eq!(describe(&read(&format!("{name}.frame"))), told, "{name}");
    }
}

#[test]
fn fixtures_encode_to_the_same_bytes() {
    for name in NAMES {
        let bytes = read(&format!("{name}.frame"));
        let decoded = frame::decode(&bytes).unwrap();
        let again = match &decoded.body {
            Body::Recorded(commits) => {
                let (epoch, chain) = (decoded.epoch, decoded.chain_before);
                match frame::header(&bytes).unwrap().format {
                    1 => frame::encode_recorded(epoch, chain, commits),
                    2 => frame::encode_segment(epoch, chain, commits),
                    _ => frame::encode_with_gaps(epoch, chain, commits, &decoded.gaps),
                }
            }
            Body::Local(commits) => {
                frame::encode_local(Seq::new(frame::header(&bytes).unwrap().first), commits)
            }
        };
        assert!(again == bytes, "{name} encodes differently now");
    }
}

#[test]
fn an_erased_payload_leaves_digests_and_chain_as_they_were() {
    let body = |name: &str| match frame::decode(&read(name)).unwrap().body {
        Body::Recorded(commits) => commits,
        Body::Local(_) => panic!("{name} is not recorded"),
    };
    let (whole, erased) = (body("v1/recorded.frame"), body("v1/recorded-erased.frame"));
    assert_ne!(whole, erased);
    assert_eq!(whole.len(), erased.len());
    let (mut one, mut other) = (ChainHash::default(), ChainHash::default());
    for (whole, erased) in whole.iter().zip(&erased) {
        (one, other) = (one.after(whole), other.after(erased));
        assert_eq!(one, other);
    }
}

#[test]
fn every_single_bit_flip_of_a_fixture_is_refused() {
    for name in NAMES {
        let mut bytes = read(&format!("{name}.frame"));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(
                frame::decode(&bytes).is_err(),
                "{name} with bit {bit} flipped"
            );
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        frame::decode(&bytes).unwrap();
    }
}

#[test]
fn fixtures_of_recorded_frames_have_columns_that_say_the_same() {
    for name in NAMES {
        let bytes = read(&format!("{name}.frame"));
        if frame::header(&bytes).unwrap().recorded {
            common::agree::check(&bytes);
        }
    }
}

#[test]
fn a_merged_fixture_is_what_its_parts_merge_to() {
    let [.., merged, erased, _] = frames();
    assert!(merged == read("v2/merged.frame"));
    assert!(erased == read("v2/merged-erased.frame"));
    assert_eq!(
        frame::chain_after(&merged).unwrap(),
        frame::chain_after(&read("v1/recorded.frame")).unwrap()
    );
}

#[test]
fn the_directory_record_opens_and_encodes_to_the_same_bytes() {
    let bytes = read(DIRECTORY);
    let record = DirectoryRecord::decode(&bytes).unwrap();
    assert_eq!(record.last, Position::new(15));
    assert_eq!((record.bytes, record.events), (505, 5));
    assert_eq!(record.recorded_until.millis(), 1_700_000_000_500);
    for stream in ["todo/a", "list/b", "todo/é𝄞\u{202e}/.."] {
        assert!(record.may_hold(stream_hash(stream)), "{stream}");
    }
    assert_eq!(record.streams.len(), 3);
    assert!(record.encode() == bytes);
}

#[test]
#[ignore = "writes fixtures that do not exist yet"]
fn write_missing_fixtures() {
    let write = |file: &str, bytes: &[u8]| {
        let place = path(file);
        if !place.exists() {
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(&place, bytes).unwrap();
        }
    };
    let frames = frames();
    for (name, bytes) in NAMES.iter().zip(&frames) {
        write(&format!("{name}.frame"), bytes);
        let told = serde_json::to_string_pretty(&describe(bytes)).unwrap();
        write(&format!("{name}.json"), (told + "\n").as_bytes());
    }
    let columns = frame::columns(frames[4].clone()).unwrap();
    write(DIRECTORY, &DirectoryRecord::of(&columns).encode());
}

/// What the fixtures hold, in the order of their names.
fn frames() -> [Vec<u8>; 7] {
    let epoch = Epoch::from_bytes([0xe0; 16]);
    let chain = ChainHash::from_bytes([0xcc; 32]);
    let commits = vec![common::full(), second()];
    let mut erased = commits.clone();
    for recorded in &mut erased {
        let data = &mut recorded.commit.events[0].data;
        *data = Payload::Erased(data.digest());
    }
    let merged = |commits: &[Recorded]| {
        let one = frame::encode_recorded(epoch, chain, &commits[..1]);
        let other = frame::encode_recorded(epoch, chain.after(&commits[0]), &commits[1..]);
        frame::merge(&[&one, &other]).unwrap().frame
    };
    [
        frame::encode_recorded(epoch, chain, &commits),
        frame::encode_recorded(epoch, chain, &erased),
        frame::encode_local(Seq::new(u64::MAX - 1), &locals()),
        frame::encode_recorded(epoch, chain, &[]),
        merged(&commits),
        merged(&erased),
        frame::encode_with_gaps(epoch, chain, &commits[..1], &gaps(&commits)),
    ]
}

/// What is left out around the first commit: something before it, the second commit, and more behind.
fn gaps(commits: &[Recorded]) -> Vec<GapRecord> {
    let before = Position::new(commits[0].position.value() - 1);
    [
        (Position::new(5), before, GapReason::Filter),
        (
            commits[1].position,
            commits[1].last_position(),
            GapReason::Filter,
        ),
        (
            commits[1].last_position().next(),
            Position::new(1 << 33),
            GapReason::Redaction,
        ),
    ]
    .map(|(from, to, reason)| GapRecord {
        gap: Gap { from, to, reason },
        chain: ChainHash::from_bytes([reason.name().len().try_into().unwrap_or(0); 32]),
    })
    .to_vec()
}

/// Follows [`common::full`]: unicode, extreme numbers, an odd payload, no actor.
fn second() -> Recorded {
    let mut commit = common::commit(8, &["todo/é𝄞\u{202e}/..", "todo/a"]);
    commit.attempt = Attempt::new(u32::MAX);
    commit.replica = common::replica(2);
    commit.seq = Seq::new(u64::MAX);
    for (id, expected) in [
        ("todo/any", Expected::Any),
        ("todo/exists", Expected::Exists),
        (
            "todo/exact",
            Expected::Exact {
                exact: Version::new(u64::MAX),
                event: None,
            },
        ),
    ] {
        commit = common::expecting(commit, id, expected);
    }
    commit.events[0].data = Payload::json(r#"{ "n":1e400, "k":1,"k":2, "t":"é𝄞\ud834\udd1e" }"#);
    commit.events[0].schema = SchemaVersion::new(u32::MAX);
    commit.events[0].occurred_at = Timestamp::from_millis(i64::MIN);
    commit.events[1].occurred_at = Timestamp::from_millis(i64::MAX);
    let version = |id: &str, at| StreamVersions {
        stream: common::stream(id),
        first: Version::new(at),
        last: Version::new(at),
    };
    Recorded {
        commit,
        position: Position::new(14),
        recorded_at: Timestamp::from_millis(-1),
        actor: None,
        versions: vec![version("todo/é𝄞\u{202e}/..", 1), version("todo/a", 6)],
    }
}

fn locals() -> Vec<Local> {
    let command = Command {
        stream: common::stream("todo/a"),
        name: EventType::new("complete").unwrap(),
        args: r#"{"why":"done"}"#.into(),
    };
    vec![
        Local {
            commit: common::full().commit,
            command: Some(command),
            policy: Policy::Rerun,
        },
        Local {
            commit: second().commit,
            command: None,
            policy: Policy::Rebase,
        },
        Local {
            commit: common::commit(9, &["todo/b"]),
            command: None,
            policy: Policy::Ask,
        },
    ]
}
