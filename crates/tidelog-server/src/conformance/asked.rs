//! What the suite is given to ask with.

use serde::Deserialize;
use serde_json::Value;
use std::str::FromStr;
use tidelog_core::LogName;

/// Where to ask, as whom, and what of it cannot be found out by asking.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) bases: Vec<String>,
    pub(crate) log: LogName,
    pub(crate) token: Option<String>,
    /// Of another subject with the same rights.
    pub(crate) other_token: Option<String>,
    /// Of one that may append to [`OPEN`], read [`SHOWN`] too, and nothing else.
    pub(crate) guest_token: Option<String>,
    /// Narrows the features that are asked for.
    pub(crate) features: Option<Vec<String>>,
    pub(crate) payloads: Option<Payloads>,
    /// Where a server lets nobody ask often.
    pub(crate) limited: Option<String>,
    /// Where a server cannot store anything.
    pub(crate) failing: Option<String>,
}

/// The kind of streams that the guest may append to.
pub(crate) const OPEN: &str = "open";
/// The kind of streams that the guest may read beside them.
pub(crate) const SHOWN: &str = "shown";

/// Payloads of one type of events that the endpoint tells apart.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Payloads {
    #[serde(rename = "type")]
    pub(crate) event_type: String,
    #[serde(default = "first")]
    pub(crate) schema: u32,
    pub(crate) taken: Value,
    pub(crate) refused: Value,
}

const fn first() -> u32 {
    1
}

impl FromStr for Payloads {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(text)
    }
}
