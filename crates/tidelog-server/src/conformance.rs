//! The protocol as a suite of cases against an endpoint, seen from outside: `tidelog conformance URL`.
//!
//! It is for everybody who keeps a server of the protocol, in whatever language: each case sends what a client could send, says
//! what the protocol demands, and shows what came. What a server may leave out is asked only of one that has it.
//!
//! A case makes its own streams, replicas and commits, so the log may hold others; nobody else may append to it meanwhile.
//! Cases are defined and registered by one macro ([`case::cases`]), and those of the truth table by the table.

#![expect(
    clippy::indexing_slicing,
    reason = "JSON: a field that is not there is null, and what is written to are objects of the suite"
)]

mod asked;
mod case;
mod cases;
mod http;
mod seen;
mod target;
mod writer;

pub(crate) use asked::{Asked, Payloads};
pub(crate) use case::{Case, Ended};
pub(crate) use target::Target;

/// Every case, in the order of PROTOCOL.md.
pub(crate) fn cases() -> Vec<Case> {
    cases::all()
}

/// How a case ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed,
    Failed(case::Mismatch),
    Skipped(String),
}

/// Runs one case, unless the endpoint lacks its feature.
pub(crate) fn run(case: &Case, target: &Target) -> Outcome {
    if let Some(feature) = case.feature
        && !target.has(feature)
    {
        return Outcome::Skipped(feature.to_owned());
    }
    match (case.run)(target) {
        Ok(()) => Outcome::Passed,
        Err(Ended::Skipped(why)) => Outcome::Skipped(why),
        Err(Ended::Failed(mismatch)) => Outcome::Failed(*mismatch),
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, Target, cases};
    use crate::http::FEATURES;
    use std::collections::BTreeSet;

    #[test]
    fn every_case_has_a_name_of_its_own_and_a_feature_that_there_is() {
        let mut names = BTreeSet::new();
        for case in cases() {
            assert!(
                case.feature.is_none_or(|name| FEATURES.contains(&name)),
                "{}",
                case.name
            );
            assert!(names.insert((case.group, case.name)));
        }
        assert!(!names.is_empty());
    }

    #[test]
    fn every_feature_has_a_case() {
        let cases = cases();
        let asked: BTreeSet<&str> = cases.iter().filter_map(|case| case.feature).collect();
        assert_eq!(asked, BTreeSet::from(FEATURES));
    }

    #[test]
    fn a_feature_that_there_is_not_is_an_error_that_names_those_there_are() {
        let log = "todos".parse().expect("a name");
        let asked = Asked {
            bases: vec!["http://127.0.0.1:1".to_owned()],
            log,
            token: None,
            other_token: None,
            guest_token: None,
            features: Some(vec!["frame".to_owned()]),
            payloads: None,
            limited: None,
            failing: None,
        };
        let error = Target::new(asked).expect_err("no such feature").to_string();
        assert!(FEATURES.iter().all(|name| error.contains(name)), "{error}");
    }
}
