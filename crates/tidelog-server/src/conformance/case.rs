//! A case, and how it says what is wrong.

use super::target::Target;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Display;

/// Something that the protocol demands.
pub(crate) struct Case {
    pub(crate) group: &'static str,
    pub(crate) name: String,
    /// The feature that it is about; none if it is asked of every server.
    pub(crate) feature: Option<&'static str>,
    pub(crate) run: Box<dyn Fn(&Target) -> Done>,
}

pub(crate) type Done = Result<(), Ended>;

/// Why a case went no further.
#[derive(Debug)]
pub(crate) enum Ended {
    Failed(Box<Mismatch>),
    /// It cannot be asked here, for want of this.
    Skipped(String),
}

impl Ended {
    /// Says which of several things it is about.
    pub(super) fn about(self, what: impl Display) -> Self {
        match self {
            Self::Failed(mut mismatch) => {
                mismatch.expected = format!("{what}: {}", mismatch.expected);
                Self::Failed(mismatch)
            }
            Self::Skipped(why) => Self::Skipped(why),
        }
    }
}

/// What was sent, what the protocol demands, and what came.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Mismatch {
    pub(crate) sent: String,
    pub(crate) expected: String,
    pub(crate) got: String,
}

impl Mismatch {
    pub(super) fn ended(sent: impl Display, expected: impl Display, got: impl Display) -> Ended {
        Ended::Failed(Box::new(Self {
            sent: sent.to_string(),
            expected: expected.to_string(),
            got: got.to_string(),
        }))
    }
}

/// Demands that two values are equal.
pub(super) fn same(sent: &str, what: &str, expected: &Value, got: &Value) -> Done {
    match expected == got {
        true => Ok(()),
        false => Err(Mismatch::ended(
            sent,
            format_args!("{what} {expected}"),
            got,
        )),
    }
}

/// Defines cases and registers them: `[feature] "what is demanded" => |target| …`.
macro_rules! cases {
    ($group:literal: $($([$feature:literal])? $name:literal => $run:expr;)*) => {
        pub(super) fn all() -> Vec<$crate::conformance::Case> {
            vec![$($crate::conformance::Case {
                group: $group,
                name: $name.to_owned(),
                feature: [$($feature,)?].first().copied(),
                run: Box::new($run),
            }),*]
        }
    };
}
pub(super) use cases;
