//! The endpoint, and what it says of itself.

use super::case::Ended;
use super::http::{self, Answer, Call, Lines};
use super::writer::Writer;
use crate::http::FEATURES;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use tidelog_core::LogName;
use ureq::Agent;

/// Where to ask. With several addresses, of processes that serve the same logs, requests go to one after the other.
#[derive(Debug)]
pub(crate) struct Target {
    agent: Agent,
    bases: Vec<String>,
    asked: AtomicUsize,
    pub(crate) log: LogName,
    token: Option<String>,
    other_token: Option<String>,
    features: BTreeSet<String>,
    about: Value,
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
    /// Reads the description of the log there. `only` narrows the features that are asked for.
    pub(crate) fn new(
        bases: Vec<String>,
        log: LogName,
        token: Option<String>,
        other_token: Option<String>,
        only: Option<&[String]>,
    ) -> Result<Self, TargetError> {
        for name in only.unwrap_or_default() {
            if !FEATURES.contains(&name.as_str()) {
                let (name, known) = (name.clone(), FEATURES.join(", "));
                return Err(TargetError::UnknownFeature { name, known });
            }
        }
        let mut target = Self {
            agent: http::agent(),
            bases: bases
                .into_iter()
                .map(|base| base.trim_end_matches('/').to_owned())
                .collect(),
            asked: AtomicUsize::new(0),
            log,
            token,
            other_token,
            features: BTreeSet::new(),
            about: Value::Null,
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
            target.features = only.iter().cloned().collect();
        }
        Ok(target)
    }

    fn describe(&mut self) -> Result<(), TargetError> {
        for _ in 0..self.bases.len() {
            let described = self
                .get("")
                .and_then(|answer| answer.is(200))
                .and_then(|answer| answer.json());
            self.about = described.map_err(|ended| TargetError::NoDescription {
                base: self.bases.join(", "),
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
        cap.and_then(|cap| usize::try_from(cap).ok())
            .ok_or_else(|| Ended::Skipped(format!("cap {name}")))
    }

    /// The token of the caller, where the endpoint asks for one.
    pub(crate) fn token(&self) -> Result<&str, Ended> {
        let token = self.token.as_deref();
        token.ok_or_else(|| Ended::Skipped("--token".to_owned()))
    }

    /// The token of somebody else with the same rights.
    pub(crate) fn other_token(&self) -> Result<&str, Ended> {
        let token = self.other_token.as_deref();
        token.ok_or_else(|| Ended::Skipped("--other-token".to_owned()))
    }

    /// The path of something of the log.
    pub(crate) fn path(&self, of: &str) -> String {
        format!("/v1/logs/{}{of}", self.log)
    }

    pub(crate) fn get(&self, of: &str) -> Result<Answer, Ended> {
        self.send(Call::new("GET", self.path(of)))
    }

    pub(crate) fn send(&self, call: Call) -> Result<Answer, Ended> {
        self.with_token(call).send(&self.agent, self.base())
    }

    /// Sends it with nothing that says who asks.
    pub(crate) fn send_bare(&self, call: Call) -> Result<Answer, Ended> {
        call.send(&self.agent, self.base())
    }

    /// An answer that does not end.
    pub(crate) fn open(&self, call: Call) -> Result<Lines, Ended> {
        self.with_token(call).open(&self.agent, self.base())
    }

    pub(crate) fn writer(&self) -> Result<Writer<'_>, Ended> {
        Writer::new(self)
    }

    fn with_token(&self, call: Call) -> Call {
        let has_own = call.headers.iter().any(|(name, _)| name == "authorization");
        match &self.token {
            Some(token) if !has_own => call.header("authorization", format!("Bearer {token}")),
            _ => call,
        }
    }

    fn base(&self) -> &str {
        let turn = self.asked.fetch_add(1, Ordering::Relaxed) % self.bases.len().max(1);
        self.bases.get(turn).map_or("", String::as_str)
    }
}
