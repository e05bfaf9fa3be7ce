//! A run of the suite.

use crate::servers::Running;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::{Command, Stdio};

/// What the suite found, as the program says it.
pub(crate) struct Suite {
    pub(crate) report: Value,
    ended: std::process::ExitStatus,
}

/// How many cases.
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Suite {
    pub(crate) fn run(server: &Running) -> Self {
        Self::of(server, &[])
    }

    /// With more words for the program.
    pub(crate) fn of(server: &Running, words: &[&str]) -> Self {
        let output = Command::new(env!("CARGO_BIN_EXE_tidelog"))
            .args(["conformance", "--json"])
            .args(&server.urls)
            .args(&server.arguments)
            .args(words)
            .stderr(Stdio::inherit())
            .output()
            .expect("the suite runs");
        let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
        Self {
            report,
            ended: output.status,
        }
    }

    /// The cases that failed, by name.
    pub(crate) fn failures(&self) -> Vec<String> {
        self.cases("failed")
            .map(|case| case["case"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// The cases that ended so.
    pub(crate) fn cases(&self, outcome: &str) -> impl Iterator<Item = &Value> {
        let cases = self.report["cases"].as_array().into_iter().flatten();
        cases.filter(move |case| case["outcome"] == outcome)
    }

    /// Prints what failed; gives the counts. A run has failed, too, that checked nothing, that ended otherwise than it says, or that
    /// left out anything but what the server is known to lack.
    pub(crate) fn shown(&self, lacks: &[&str]) -> Counts {
        for case in self.cases("failed") {
            println!("  FAILED {}: {}", case["group"], case["case"]);
            for field in ["sent", "expected", "got"] {
                println!("    {field:<9} {}", case["detail"][field]);
            }
        }
        let count = |name: &str| self.report["counts"][name].as_u64().unwrap_or(0);
        let (passed, mut failed) = (count("passed"), count("failed"));
        let reasons = self.cases("skipped");
        let reasons: BTreeSet<&str> = reasons
            .filter_map(|case| case["detail"]["for_want_of"].as_str())
            .collect();
        let shown: Vec<&str> = reasons.iter().copied().collect();
        println!(
            "  {passed} passed, {failed} failed, {} skipped ({})",
            count("skipped"),
            shown.join(", ")
        );
        if (failed == 0) != self.ended.success() || passed == 0 {
            println!("  the suite ended with {}", self.ended);
            failed += 1;
        }
        let lacks: BTreeSet<&str> = lacks.iter().copied().collect();
        if reasons != lacks {
            println!("  FAILED: what it lacks is {lacks:?}");
            failed += 1;
        }
        Counts { passed, failed }
    }
}
