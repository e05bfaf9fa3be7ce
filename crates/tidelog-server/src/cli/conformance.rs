//! `tidelog conformance`.

use super::{Failure, output};
use crate::conformance::{self, Asked, Outcome, Payloads, Target};
use clap::Args;
use serde_json::json;
use std::collections::BTreeSet;
use tidelog_core::LogName;

/// Check an endpoint, of whatever make, against the protocol: every verdict, rule and refusal that a client may rely on.
///
/// It appends to the log, in streams of its own; nobody else may append to it meanwhile. What a server may leave out
/// is asked only of one whose description names it; what takes more than an address and a token is asked if it is given, and is
/// skipped otherwise, by the name of the option. Exits with 1 if anything is not as the protocol says.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidelog conformance http://127.0.0.1:8080 --log todos
  tidelog conformance https://sync.example.com --log test --token T1 --other-token T2
  tidelog conformance http://127.0.0.1:8080 http://127.0.0.1:8081 --log todos --features frames,chain
  tidelog conformance http://127.0.0.1:8080 --log todos --group push --json
  tidelog conformance http://127.0.0.1:8080 --payloads '{\"type\": \"todo.added\", \"taken\": {\"title\": \"Milk\"}, \"refused\": {}}'
      The server was started with --schemas, and a schema in which todo.added needs a title.
  tidelog conformance http://127.0.0.1:8080 --token T1 --other-token T2 --guest-token T3 --limited http://127.0.0.1:8081
      With --tokens, and a second server with --rate-limit 1. The file of tokens has the lines
      `conformance T1 ann append erase`, `conformance T2 bob` and `conformance T3 guest append:open read:shown`.")]
pub(super) struct Conformance {
    /// Where the server is, without /v1. Several, of processes that serve the same logs, are asked in turn.
    #[arg(value_name = "URL", required = true)]
    urls: Vec<String>,
    /// A log that is there for it.
    #[arg(long, value_name = "NAME", default_value = "conformance")]
    log: LogName,
    /// Who asks, where the server wants to know: a token that may read, append and, if the server erases, erase.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "TIDELOG_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
    /// The token of another subject with the same rights, for the cases between two.
    #[arg(long, value_name = "TOKEN", hide_env_values = true)]
    other_token: Option<String>,
    /// The token of a third subject, who may append to streams of the kind `open`, read those of the kind `shown` beside them, and
    /// nothing else.
    #[arg(long, value_name = "TOKEN", hide_env_values = true)]
    guest_token: Option<String>,
    /// Payloads of an event type that the server checks, as JSON: {"type": …, "schema": 1, "taken": …, "refused": …}.
    #[arg(long, value_name = "JSON")]
    payloads: Option<Payloads>,
    /// Where another server of the same make, with the log and the tokens, lets a subject make only few requests at once.
    #[arg(long, value_name = "URL")]
    limited: Option<String>,
    /// Where another server of the same make, with the log and the tokens, cannot store anything: its database is stopped, or read-only.
    #[arg(long, value_name = "URL")]
    failing: Option<String>,
    /// Of the features that the server names, check only these.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    features: Option<Vec<String>>,
    /// Run only the cases of this group.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
}

impl Conformance {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut cases = conformance::cases();
        if let Some(group) = &self.group {
            let groups: BTreeSet<&str> = cases.iter().map(|case| case.group).collect();
            if !groups.contains(group.as_str()) {
                let known: Vec<&str> = groups.into_iter().collect();
                return Err(Failure::Refused(format!(
                    "there is no group {group:?}; there are {}",
                    known.join(", ")
                )));
            }
            cases.retain(|case| case.group == group);
        }
        let target = Target::new(Asked {
            bases: self.urls,
            log: self.log,
            token: self.token,
            other_token: self.other_token,
            guest_token: self.guest_token,
            features: self.features,
            payloads: self.payloads,
            limited: self.limited,
            failing: self.failing,
        });
        let target = target.map_err(|error| Failure::Refused(error.to_string()))?;
        let (mut passed, mut failed, mut skipped) = (0_u32, 0_u32, 0_u32);
        let mut reasons = BTreeSet::new();
        let mut report = Vec::new();
        let mut group = "";
        for case in &cases {
            if group != case.group && !self.json {
                group = case.group;
                output::line(group);
            }
            let outcome = conformance::run(case, &target);
            let (word, detail) = match &outcome {
                Outcome::Passed => ("ok", json!(null)),
                Outcome::Failed(mismatch) => ("FAILED", json!(mismatch)),
                Outcome::Skipped(why) => ("skipped", json!({ "for_want_of": why })),
            };
            report.push(json!({ "group": case.group, "case": case.name, "feature": case.feature, "outcome": word.to_lowercase(), "detail": detail }));
            if !self.json {
                let why = match &outcome {
                    Outcome::Skipped(why) => format!(" ({why})"),
                    _ => String::new(),
                };
                output::line(format_args!("  {word:<8} {}{why}", case.name));
            }
            match outcome {
                Outcome::Passed => passed += 1,
                Outcome::Failed(mismatch) => {
                    failed += 1;
                    if !self.json {
                        output::line(format_args!("           sent      {}", mismatch.sent));
                        output::line(format_args!("           expected  {}", mismatch.expected));
                        output::line(format_args!("           got       {}", mismatch.got));
                    }
                }
                Outcome::Skipped(why) => {
                    skipped += 1;
                    reasons.insert(why);
                }
            }
        }
        if self.json {
            let counts = json!({ "passed": passed, "failed": failed, "skipped": skipped });
            output::line(json!({ "counts": counts, "cases": report, "shown": target.shown() }));
        } else {
            let reasons: Vec<String> = reasons.into_iter().collect();
            let reasons = match reasons.is_empty() {
                true => String::new(),
                false => format!(" ({})", reasons.join(", ")),
            };
            output::line(format_args!(
                "{passed} passed, {failed} failed, {skipped} skipped{reasons}"
            ));
        }
        match failed {
            0 => Ok(()),
            _ => Err(Failure::Failed(format!(
                "{failed} of {} cases failed",
                passed + failed
            ))),
        }
    }
}
