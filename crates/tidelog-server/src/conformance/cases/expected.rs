//! The truth table of expected versions against what the stream has, and against what became of the commit before.

use crate::conformance::case::{Case, Done};
use crate::conformance::target::Target;
use crate::conformance::writer::{id, stream};
use serde_json::{Value, json};

/// What a commit expects of the stream that it writes.
#[derive(Debug, Clone, Copy)]
enum Expect {
    Any,
    NoStream,
    Exists,
    Exact(u64),
    /// With the id of the event that has this version.
    ExactSeen(u64),
    /// With the id of an event that nobody has.
    ExactOther(u64),
}

const EXPECTED: [Expect; 11] = [
    Expect::Any,
    Expect::NoStream,
    Expect::Exists,
    Expect::Exact(0),
    Expect::Exact(1),
    Expect::Exact(2),
    Expect::Exact(3),
    Expect::ExactSeen(1),
    Expect::ExactSeen(2),
    Expect::ExactOther(1),
    Expect::ExactOther(2),
];
/// How many events the stream has.
const VERSIONS: [u64; 3] = [0, 1, 2];

/// What is sent after the first time.
#[derive(Debug, Clone, Copy)]
enum Again {
    /// Nothing: the first verdict is what counts.
    Fresh,
    Duplicate,
    OtherBytes,
    NewAttempt,
}

const AGAIN: [(Again, &str); 4] = [
    (Again::Fresh, "fresh"),
    (Again::Duplicate, "sent again"),
    (Again::OtherBytes, "sent again with other content"),
    (Again::NewAttempt, "sent again as a new attempt"),
];

impl Expect {
    fn name(self) -> String {
        match self {
            Self::Any => "any".into(),
            Self::NoStream => "noStream".into(),
            Self::Exists => "exists".into(),
            Self::Exact(version) => format!("exact {version}"),
            Self::ExactSeen(version) => format!("exact {version} with its event"),
            Self::ExactOther(version) => format!("exact {version} with another event"),
        }
    }

    fn holds(self, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => version == 0,
            Self::Exists => version > 0,
            Self::Exact(exact) | Self::ExactSeen(exact) => exact == version,
            Self::ExactOther(_) => false,
        }
    }

    /// As it is sent. `events` are the ids of the stream's events, and of one more.
    fn json(self, events: &[String], other: &str) -> Value {
        let event = |version: u64| {
            let index = usize::try_from(version).unwrap_or(0).saturating_sub(1);
            events.get(index).map_or(other, String::as_str)
        };
        match self {
            Self::Any => json!("any"),
            Self::NoStream => json!("noStream"),
            Self::Exists => json!("exists"),
            Self::Exact(version) => json!({ "exact": version }),
            Self::ExactSeen(version) => json!({ "exact": version, "event": event(version) }),
            Self::ExactOther(version) => json!({ "exact": version, "event": other }),
        }
    }
}

pub(super) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for expect in EXPECTED {
        for version in VERSIONS {
            for (again, how) in AGAIN {
                cases.push(Case {
                    group: "expected",
                    name: format!("{} of a stream of {version}, {how}", expect.name()),
                    feature: None,
                    run: Box::new(move |target| check(target, expect, version, again)),
                });
            }
        }
    }
    cases
}

fn check(target: &Target, expect: Expect, version: u64, again: Again) -> Done {
    let (writer, stream) = (target.writer()?, stream()?);
    let events: Vec<String> = writer
        .fill(&stream, version)?
        .iter()
        .map(|receipt| format!("{}/1/0", receipt["id"].as_str().unwrap_or_default()))
        .collect();
    let expected = expect.json(&events, &format!("{}/1/0", id()?));
    let mut commit = writer.on(&stream, expected.clone())?;
    let holds = expect.holds(version);
    let (answer, first) = writer.verdict(&commit)?;
    let conflicts =
        json!([{ "checkIndex": 0, "stream": stream, "expected": expected, "actual": version }]);
    match holds {
        true => {
            answer.at("/results/0/verdict", &json!("accepted"))?;
            let versions = json!([{ "stream": stream, "first": version + 1, "last": version + 1 }]);
            answer.at("/results/0/versions", &versions)?;
        }
        false => {
            answer.at("/results/0/verdict", &json!("conflict"))?;
            answer.at("/results/0/conflicts", &conflicts)?;
        }
    }
    match again {
        Again::Fresh => return Ok(()),
        Again::Duplicate => {}
        Again::OtherBytes => commit["events"][0]["data"] = json!("other"),
        Again::NewAttempt => commit["attempt"] = json!(2),
    }
    let head = target.head()?;
    let (answer, _) = writer.verdict(&commit)?;
    target.nothing_stored_since(head, &answer)?;
    // What was stored decides; what was refused has left nothing behind, so that the same question has the same answer.
    match (holds, again) {
        (false, _) => {
            answer.at("/results/0/verdict", &json!("conflict"))?;
            answer.at("/results/0/conflicts", &conflicts)
        }
        (true, Again::OtherBytes) => answer.rejected(0, "attempt_mismatch"),
        (true, _) => {
            answer.at("/results/0/verdict", &json!("duplicate"))?;
            for field in ["acceptedAttempt", "positions", "versions"] {
                answer.at(&format!("/results/0/{field}"), &first[field])?;
            }
            Ok(())
        }
    }
}
