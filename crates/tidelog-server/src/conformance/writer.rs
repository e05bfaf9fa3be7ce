//! A replica of the suite: commits in its name.

use super::case::{Ended, Mismatch};
use super::http::{Answer, Call};
use super::target::Target;
use crate::clock;
use serde_json::{Value, json};
use std::cell::Cell;
use tidelog_core::CommitId;

pub(crate) const TIME: &str = "2026-01-01T12:00:00.000Z";

#[derive(Debug)]
pub(crate) struct Writer<'t> {
    target: &'t Target,
    pub(crate) replica: String,
    seq: Cell<u64>,
}

/// A UUID that nobody else has.
pub(crate) fn id() -> Result<String, Ended> {
    let random = clock::random().map_err(|error| Mismatch::ended("", "a random id", error))?;
    Ok(CommitId::mint(clock::now(), random).to_string())
}

/// A stream that nobody has written to.
pub(crate) fn stream() -> Result<String, Ended> {
    Ok(format!("case/{}", id()?))
}

/// An event of this stream.
pub(crate) fn event(stream: &str, data: impl Into<Value>) -> Value {
    json!({ "stream": stream, "type": "case.happened", "data": data.into(), "occurredAt": TIME })
}

/// The same with other values in these fields.
pub(crate) fn changed(mut one: Value, fields: Value) -> Value {
    if let (Value::Object(one), Value::Object(fields)) = (&mut one, fields) {
        one.extend(fields);
    }
    one
}

/// A condition on this stream.
pub(crate) fn condition(stream: &str, expected: impl Into<Value>) -> Value {
    json!({ "stream": stream, "expected": expected.into() })
}

impl<'t> Writer<'t> {
    pub(super) fn new(target: &'t Target) -> Result<Self, Ended> {
        Ok(Self {
            target,
            replica: id()?,
            seq: Cell::new(0),
        })
    }

    /// A commit with the next number.
    pub(crate) fn commit(&self, conditions: &[Value], events: &[Value]) -> Result<Value, Ended> {
        self.seq.set(self.seq.get() + 1);
        Ok(
            json!({ "id": id()?, "attempt": 1, "seq": self.seq.get(), "conditions": conditions, "events": events }),
        )
    }

    /// A commit of one event on a stream of which this is expected.
    pub(crate) fn on(&self, stream: &str, expected: impl Into<Value>) -> Result<Value, Ended> {
        self.commit(&[condition(stream, expected)], &[event(stream, 1)])
    }

    /// The body of a push.
    pub(crate) fn body(&self, commits: &[Value]) -> Value {
        json!({ "replica": self.replica, "commits": commits })
    }

    /// Sends a push, whatever comes of it.
    pub(crate) fn send(&self, commits: &[Value]) -> Result<Answer, Ended> {
        let call = Call::new("POST", self.target.path("/commits")).json(&self.body(commits));
        self.target.send(call)
    }

    /// Sends a push that is answered with verdicts, one for each commit.
    pub(crate) fn push(&self, commits: &[Value]) -> Result<(Answer, Vec<Value>), Ended> {
        let answer = self.send(commits)?.is(200)?;
        let body = answer.json()?;
        let results = body["results"].as_array().cloned().unwrap_or_default();
        let names = |of: &[Value]| -> Vec<(Value, Value)> {
            of.iter()
                .map(|one| (one["id"].clone(), one["attempt"].clone()))
                .collect()
        };
        match names(commits) == names(&results) {
            true => Ok((answer, results)),
            false => {
                Err(answer.unlike("a verdict for each commit in order, with its id and attempt"))
            }
        }
    }

    /// Sends one commit.
    pub(crate) fn verdict(&self, commit: &Value) -> Result<(Answer, Value), Ended> {
        let (answer, mut results) = self.push(std::slice::from_ref(commit))?;
        let result = results.pop().unwrap_or_default();
        Ok((answer, result))
    }

    /// Sends a commit that must be accepted; gives its receipt.
    pub(crate) fn accepted(&self, commit: &Value) -> Result<Value, Ended> {
        let (answer, result) = self.verdict(commit)?;
        match result["verdict"] == "accepted" {
            true => Ok(result),
            false => Err(answer.unlike("the verdict accepted")),
        }
    }

    /// Appends so many events to a stream, one commit each.
    pub(crate) fn fill(&self, stream: &str, events: u64) -> Result<Vec<Value>, Ended> {
        (0..events)
            .map(|_| self.accepted(&self.on(stream, "any")?))
            .collect()
    }
}

impl Target {
    /// Where the log ends.
    pub(crate) fn head(&self) -> Result<u64, Ended> {
        let answer = self.get("")?.is(200)?;
        let head = answer.json()?["head"]["position"].as_u64();
        head.ok_or_else(|| answer.unlike("head.position, a number"))
    }

    /// All commits after a position.
    pub(crate) fn commits_after(&self, mut after: u64) -> Result<Vec<Value>, Ended> {
        let mut commits = Vec::new();
        loop {
            let answer = self.get(&format!("/commits?after={after}"))?.is(200)?;
            let body = answer.json()?;
            let page = body["commits"].as_array().cloned().unwrap_or_default();
            let last = page
                .last()
                .and_then(|commit| commit["events"].as_array()?.last()?["position"].as_u64());
            match last {
                Some(last) if last > after => after = last,
                Some(_) => return Err(answer.unlike(format_args!("positions after {after}"))),
                None => return Ok(commits),
            }
            commits.extend(page);
        }
    }

    /// Demands that the log ends where it ended.
    pub(crate) fn nothing_stored_since(&self, head: u64, answer: &Answer) -> Result<(), Ended> {
        match self.head()? {
            now if now == head => Ok(()),
            now => Err(answer.unlike(format_args!(
                "nothing stored: the log still at position {head}, and it is at {now}"
            ))),
        }
    }
}

impl Target {
    /// The same replica, in another thread.
    pub(crate) fn writer_named(&self, replica: &str) -> Writer<'_> {
        Writer {
            target: self,
            replica: replica.to_owned(),
            seq: Cell::new(0),
        }
    }
}
