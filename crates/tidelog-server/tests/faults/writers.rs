//! Writers that push one commit after the other, and the same again until it has an answer.

use crate::fleet::{Address, Fleet, LOG};
use crate::harness::{Answer, agent, event, text, uuid};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a writer expects of the streams that it writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Nothing, of streams that others write to as well.
    Any,
    /// Each version exactly, of a stream of its own: a commit that was lost or stored twice would conflict.
    Own,
    /// The version it was told last, of a stream that others write to as well: it often conflicts.
    Contended,
    /// Three events in two streams: there as a whole or not at all.
    Several,
}

pub(crate) struct Writer {
    number: u64,
    style: Style,
    replica: String,
    seq: u64,
    version: u64,
    agent: ureq::Agent,
    waiting: Option<Value>,
    /// Commit → first and last position.
    pub(crate) receipts: BTreeMap<String, (u64, u64)>,
    /// What was answered with a conflict.
    pub(crate) refused: Vec<String>,
}

impl Writer {
    pub(crate) fn new(number: u64) -> Self {
        let styles = [Style::Any, Style::Own, Style::Contended, Style::Several];
        Self {
            number,
            style: styles[usize::try_from(number).expect("few writers") % styles.len()],
            replica: uuid(),
            seq: 0,
            version: 0,
            agent: agent(),
            waiting: None,
            receipts: BTreeMap::new(),
            refused: Vec::new(),
        }
    }

    /// Pushes until it is over, and then until nothing is left without an answer.
    pub(crate) fn push_on(&mut self, fleet: &Fleet) {
        let mut gone = None;
        while !fleet.is_done() && (!fleet.is_over() || self.waiting.is_some()) {
            match fleet.pick(self.number, gone.as_ref()) {
                Some(address) => gone = self.push(fleet, address),
                None => fleet.rest(),
            }
        }
    }

    /// Pushes what waits for an answer, or a new commit. Gives the server if it was not there.
    fn push(&mut self, fleet: &Fleet, address: Address) -> Option<Address> {
        let commit = match self.waiting.take() {
            Some(commit) => commit,
            None => self.next(),
        };
        let body = json!({ "replica": self.replica, "commits": [commit] }).to_string();
        self.waiting = Some(commit);
        let request = ureq::http::Request::post(format!("{}{LOG}", address.base))
            .header("content-type", "application/json")
            .body(body);
        let answered = self.agent.run(request.expect("a request"));
        let answered = answered.and_then(|mut response| {
            Ok(Answer {
                status: response.status().as_u16(),
                headers: response.headers().clone(),
                body: response.body_mut().read_to_vec()?,
            })
        });
        let Ok(answer) = answered else {
            // Of the connections that are kept none is worth anything now.
            self.agent = agent();
            fleet.rest();
            return Some(address);
        };
        match answer.status {
            200 => self.take(fleet, &answer.json()["results"][0]),
            status => {
                is_told_to_come_again(&answer);
                fleet.refused(status);
                fleet.rest();
                // Whoever is told so asks another server, if there is one.
                return Some(address);
            }
        }
        None
    }

    fn next(&mut self) -> Value {
        self.seq += 1;
        let (number, seq) = (self.number, self.seq);
        let (stream, expected) = match self.style {
            Style::Any | Style::Several => (format!("todo/shared-{}", seq % 3), json!("any")),
            Style::Own => (format!("todo/own-{number}"), self.expected()),
            Style::Contended => (format!("todo/contended-{}", number % 2), self.expected()),
        };
        let mut events = vec![event(&stream, &json!({ "writer": number, "seq": seq }))];
        if self.style == Style::Several {
            events.push(event(&stream, &json!(2)));
            events.push(event(&format!("todo/several-{number}"), &json!(3)));
        }
        json!({
            "id": uuid(), "attempt": 1, "seq": seq, "events": events,
            "conditions": [{ "stream": stream, "expected": expected }],
        })
    }

    fn expected(&self) -> Value {
        match self.version {
            0 => json!("noStream"),
            version => json!({ "exact": version }),
        }
    }

    fn take(&mut self, fleet: &Fleet, result: &Value) {
        let commit = self.waiting.take().expect("what was pushed");
        let id = result["id"].as_str().expect("an id").to_owned();
        assert_eq!(commit["id"], id);
        if result["verdict"] == "conflict" && self.style == Style::Contended {
            let actual = result["conflicts"][0]["actual"].as_u64();
            self.version = actual.expect("a version");
            self.refused.push(id);
            return;
        }
        assert!(
            result["verdict"] == "accepted" || result["verdict"] == "duplicate",
            "{commit} was answered {result}"
        );
        let version = result["versions"][0]["last"].as_u64().expect("a version");
        if self.style == Style::Own {
            assert_eq!(version, self.version + 1, "{result}");
        }
        self.version = version;
        let positions = &result["positions"];
        let [first, last] = ["first", "last"].map(|end| positions[end].as_u64().expect("one"));
        let events = commit["events"].as_array().map_or(0, Vec::len) as u64;
        assert_eq!(last - first + 1, events, "{result}");
        assert_eq!(self.receipts.insert(id, (first, last)), None);
        fleet.acknowledged();
    }
}

/// Of what is no answer to the question, a client may be told one thing: that it may ask again, and when.
pub(crate) fn is_told_to_come_again(answer: &Answer) {
    let shown = text(&answer.body);
    match answer.status {
        503 => {
            assert_eq!(answer.json()["code"], "unavailable", "{shown}");
            let seconds = answer.header("retry-after").parse::<u64>();
            assert!(seconds.is_ok_and(|seconds| seconds >= 1), "{shown}");
        }
        507 => assert_eq!(answer.json()["code"], "storage_full", "{shown}"),
        status => panic!("{status}: {shown}"),
    }
}
