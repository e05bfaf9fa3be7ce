//! The endpoint, and what it says of itself.

use super::asked::{Asked, Payloads};
use super::case::Ended;
use super::http::{self, Answer, Call, Lines};
use super::seen::{Seen, Shown};
use super::writer::Writer;
use crate::http::FEATURES;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use tidelog_core::LogName;
use ureq::Agent;

/// The status of what came too often.
pub(crate) const TOO_OFTEN: u16 = 429;
/// How often a request that came too often is sent again, each time after as long as the endpoint says.
const PATIENCE: usize = 20;

/// Where to ask. With several addresses, of processes that serve the same logs, requests go to one after the other.
#[derive(Debug)]
pub(crate) struct Target {
    agent: Agent,
    asked: Asked,
    turns: AtomicUsize,
    pub(crate) log: LogName,
    features: BTreeSet<String>,
    about: Value,
    seen: Seen,
}

/// Why an endpoint cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("{base} does not describe the log {log}: {why}")]
    NoDescription {
        base: String,
        log: LogName,
        why: String,
    },
    #[error("there is no feature {name:?}; there are {known}")]
    UnknownFeature { name: String, known: String },
    #[error("the endpoint does not have the feature {name:?}; it has {has}")]
    LacksFeature { name: String, has: String },
}

impl Target {
    /// Reads the description of the log there.
    pub(crate) fn new(mut asked: Asked) -> Result<Self, TargetError> {
        let only = asked.features.take();
        for name in only.iter().flatten() {
            if !FEATURES.contains(&name.as_str()) {
                let (name, known) = (name.clone(), FEATURES.join(", "));
                return Err(TargetError::UnknownFeature { name, known });
            }
        }
        let all = asked.bases.iter_mut();
        for base in all.chain(&mut asked.limited).chain(&mut asked.failing) {
            base.truncate(base.trim_end_matches('/').len());
        }
        let mut target = Self {
            agent: http::agent(),
            turns: AtomicUsize::new(0),
            log: asked.log.clone(),
            asked,
            features: BTreeSet::new(),
            about: Value::Null,
            seen: Seen::default(),
        };
        target.describe()?;
        if let Some(only) = only {
            if let Some(name) = only.iter().find(|name| !target.features.contains(*name)) {
                let has: Vec<&str> = target.features.iter().map(String::as_str).collect();
                return Err(TargetError::LacksFeature {
                    name: name.clone(),
                    has: has.join(", "),
                });
            }
            target.features = only.into_iter().collect();
        }
        Ok(target)
    }

    fn describe(&mut self) -> Result<(), TargetError> {
        for _ in 0..self.asked.bases.len() {
            let described = self
                .get("")
                .and_then(|answer| answer.is(200))
                .and_then(|answer| answer.json());
            self.about = described.map_err(|ended| TargetError::NoDescription {
                base: self.asked.bases.join(", "),
                log: self.log.clone(),
                why: match ended {
                    Ended::Failed(mismatch) => mismatch.got,
                    Ended::Skipped(why) => why,
                },
            })?;
        }
        let features = self.about["features"].as_array().into_iter().flatten();
        self.features = features
            .filter_map(|feature| feature.as_str().map(str::to_owned))
            .collect();
        Ok(())
    }

    pub(crate) fn has(&self, feature: &str) -> bool {
        self.features.contains(feature)
    }

    /// A cap that it advertises; the case is skipped if it does not.
    pub(crate) fn cap(&self, name: &str) -> Result<usize, Ended> {
        let cap = self.about["caps"][name].as_u64();
        self.seen.cap(name);
        cap.and_then(|cap| usize::try_from(cap).ok())
            .ok_or_else(|| Ended::Skipped(format!("cap {name}")))
    }

    /// The token of the caller, where the endpoint asks for one.
    pub(crate) fn token(&self) -> Result<&str, Ended> {
        given(self.asked.token.as_deref(), "--token")
    }

    /// The token of somebody else with the same rights.
    pub(crate) fn other_token(&self) -> Result<&str, Ended> {
        given(self.asked.other_token.as_deref(), "--other-token")
    }

    /// The token of somebody who may do something with two kinds of streams alone.
    pub(crate) fn guest_token(&self) -> Result<&str, Ended> {
        given(self.asked.guest_token.as_deref(), "--guest-token")
    }

    /// What the endpoint says of payloads.
    pub(crate) fn payloads(&self) -> Result<&Payloads, Ended> {
        given(self.asked.payloads.as_ref(), "--payloads")
    }

    /// What the cases have demanded and got.
    pub(crate) fn shown(&self) -> Shown {
        self.seen.shown()
    }

    /// The path of something of the log.
    pub(crate) fn path(&self, of: &str) -> String {
        format!("/v1/logs/{}{of}", self.log)
    }

    pub(crate) fn get(&self, of: &str) -> Result<Answer, Ended> {
        self.send(Call::new("GET", self.path(of)))
    }

    /// Sends it as a client does that keeps to the protocol: what came too often is sent again when it is time.
    pub(crate) fn send(&self, call: Call) -> Result<Answer, Ended> {
        let call = self.with_token(call);
        for _ in 0..PATIENCE {
            let answer = call.send(&self.agent, self.base(), &self.seen)?;
            if answer.status != TOO_OFTEN {
                return Ok(answer);
            }
            thread::sleep(answer.retry_after()?);
        }
        call.send(&self.agent, self.base(), &self.seen)
    }

    /// Sends it with nothing that says who asks.
    pub(crate) fn send_bare(&self, call: &Call) -> Result<Answer, Ended> {
        call.send(&self.agent, self.base(), &self.seen)
    }

    /// Sends it once, to where nobody may ask often.
    pub(crate) fn send_limited(&self, call: Call) -> Result<Answer, Ended> {
        let base = given(self.asked.limited.as_deref(), "--limited")?;
        self.with_token(call).send(&self.agent, base, &self.seen)
    }

    /// Sends it to where nothing can be stored.
    pub(crate) fn send_failing(&self, call: Call) -> Result<Answer, Ended> {
        let base = given(self.asked.failing.as_deref(), "--failing")?;
        self.with_token(call).send(&self.agent, base, &self.seen)
    }

    /// An answer that does not end.
    pub(crate) fn open(&self, call: Call) -> Result<Lines, Ended> {
        self.with_token(call)
            .open(&self.agent, self.base(), &self.seen)
    }

    pub(crate) fn writer(&self) -> Result<Writer<'_>, Ended> {
        Writer::new(self)
    }

    fn with_token(&self, call: Call) -> Call {
        let has_own = call.headers.iter().any(|(name, _)| name == "authorization");
        match &self.asked.token {
            Some(token) if !has_own => call.header("authorization", format!("Bearer {token}")),
            _ => call,
        }
    }

    fn base(&self) -> &str {
        let bases = &self.asked.bases;
        let turn = self.turns.fetch_add(1, Ordering::Relaxed) % bases.len().max(1);
        bases.get(turn).map_or("", String::as_str)
    }
}

/// What was given for the suite to ask with; without it, the case is skipped and says so.
fn given<T>(given: Option<T>, option: &str) -> Result<T, Ended> {
    given.ok_or_else(|| Ended::Skipped(option.to_owned()))
}
