//! Whether the cases ask for everything that the protocol has, as its OpenAPI document lists it: each call, cap, problem code and
//! rejection was demanded of some server and got, or is shown by a test that does what nobody can do from outside.

use crate::suite::{Counts, Suite};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// What no case can bring about from outside, and the file that shows it.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    // What operators and tools ask, which is not the protocol's.
    ("calls", "GET /healthz", "tests/server/running.rs"),
    ("calls", "GET /readyz", "tests/server/readiness.rs"),
    (
        "calls",
        "GET /openapi.json",
        "../../tests/protocol/openapi.spec.mjs",
    ),
    // A body that takes a minute to arrive; a bug; a disk without room; an archive that is away.
    ("problems", "request_timeout", "tests/embedded.rs"),
    ("problems", "internal", "tests/embedded.rs"),
    ("problems", "storage_full", "tests/faults/writers.rs"),
    ("problems", "archive_unavailable", "tests/server/archive.rs"),
    // A rule of whoever embeds the server.
    ("rejections", "forbidden", "tests/embedded.rs"),
];
/// The sorts of things that there are.
const SORTS: [&str; 4] = ["calls", "caps", "problems", "rejections"];

/// What was demanded and got, by its sort, of any server.
#[derive(Debug, Default)]
pub(crate) struct Coverage(BTreeMap<&'static str, BTreeSet<String>>);

impl Coverage {
    pub(crate) fn add(&mut self, suite: &Suite) {
        for sort in SORTS {
            let names = suite.report["shown"][sort].as_array();
            let names = names.into_iter().flatten().filter_map(Value::as_str);
            let all = self.0.entry(sort).or_default();
            all.extend(names.map(str::to_owned));
        }
    }

    /// Prints what nothing shows, and what is shown elsewhere without need.
    pub(crate) fn shown(&self) -> Counts {
        let (mut passed, mut failed) = (0, 0);
        for (sort, names) in listed() {
            for name in names {
                let is_here = self.has(sort, &name);
                let is_elsewhere = ELSEWHERE
                    .iter()
                    .find(|(of, other, _)| *of == sort && *other == name);
                let wrong = match (is_here, is_elsewhere) {
                    (true, None) => None,
                    (false, Some((_, _, file))) => (!mentions(file, &name))
                        .then(|| format!("{file} has nothing of it any more")),
                    (true, Some(_)) => Some("a case shows it, so it is not shown elsewhere".into()),
                    (false, None) => Some("nothing shows it".into()),
                };
                match wrong {
                    None => passed += 1,
                    Some(wrong) => {
                        failed += 1;
                        println!("  FAILED {sort}: {name}: {wrong}");
                    }
                }
            }
        }
        println!("  {passed} passed, {failed} failed");
        Counts { passed, failed }
    }

    fn has(&self, sort: &str, name: &str) -> bool {
        let shown = self.0.get(sort).into_iter().flatten();
        match sort {
            "calls" => shown.into_iter().any(|call| is_call(call, name)),
            _ => shown.into_iter().any(|one| one == name),
        }
    }
}

/// Everything that the document lists.
fn listed() -> Vec<(&'static str, Vec<String>)> {
    let printed = Command::new(env!("CARGO_BIN_EXE_tidelog"))
        .arg("openapi")
        .output()
        .expect("the document");
    let document: Value = serde_json::from_slice(&printed.stdout).expect("JSON");
    let at = |pointer: &str| document.pointer(pointer).expect("a part of the document");
    let keys = |of: &Value| -> Vec<String> {
        of.as_object().expect("an object").keys().cloned().collect()
    };
    let texts = |of: &Value| -> Vec<String> {
        let all = of.as_array().expect("a list").iter();
        all.filter_map(|one| one.as_str().map(str::to_owned))
            .collect()
    };
    let schemas = "/components/schemas";
    let paths = at("/paths").as_object().expect("an object").iter();
    let calls = paths.flat_map(|(path, calls)| {
        let named = |method: String| format!("{} {path}", method.to_uppercase());
        keys(calls).into_iter().map(named).collect::<Vec<_>>()
    });
    let listed = vec![
        ("calls", calls.collect()),
        ("caps", keys(at(&format!("{schemas}/Caps/properties")))),
        (
            "problems",
            texts(at(&format!("{schemas}/Problem/properties/code/enum"))),
        ),
        (
            "rejections",
            texts(at(&format!("{schemas}/RejectionCode/enum"))),
        ),
    ];
    assert!(
        listed
            .iter()
            .all(|(_, names): &(_, Vec<String>)| !names.is_empty())
    );
    listed
}

/// Is this request one of this call, which has names in braces for what differs?
fn is_call(request: &str, call: &str) -> bool {
    let (asked, named): (Vec<&str>, Vec<&str>) =
        (request.split('/').collect(), call.split('/').collect());
    asked.len() == named.len()
        && asked
            .iter()
            .zip(named)
            .all(|(asked, named)| named.starts_with('{') || *asked == named)
}

/// Does this file speak of it, of a call by its path?
fn mentions(file: &str, name: &str) -> bool {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let name = name.rsplit(' ').next().unwrap_or(name);
    text.contains(name)
}
