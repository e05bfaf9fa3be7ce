//! What the server takes and gives at most, and how it says so.

use serde::Serialize;
use std::time::Duration;
use tidelog_core::limits;

/// About how many bytes of frames a pull returns.
pub(crate) const PULL_BYTES: usize = 1024 * 1024;
/// About how many bytes of frames a pull looks through for what a filter asks for: what it did not come to is asked for next.
pub(crate) const SCAN_BYTES: usize = 4 * PULL_BYTES;
/// How long a pull waits for news at most.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(30);
/// How long a body may take to arrive.
pub(crate) const BODY_TIME: Duration = Duration::from_secs(60);
/// Up to how many bytes a push is small: any number of those is decoded at once.
pub(crate) const SMALL_PUSH_BYTES: usize = 256 * 1024;
/// How many larger pushes are in memory at once; decoded, a body takes many times its bytes.
pub(crate) const LARGE_PUSHES: usize = 8;
/// How many events a read of a stream returns.
pub(crate) const STREAM_EVENTS: u64 = 1_000;
/// How many erasures one answer lists.
pub(crate) const ERASURES: u64 = 1_000;
/// How many logs one live call may follow.
pub(crate) const LIVE_LOGS: usize = 64;
/// About how many bytes of frames news carry; more are pulled.
pub(crate) const NEWS_BYTES: usize = 64 * 1024;
/// How often a quiet live connection says that it is alive.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);
/// The lowest client version that this server serves.
pub(crate) const MIN_CLIENT: u32 = 1;
/// What a client may rely on.
pub(crate) const FEATURES: [&str; 9] = [
    "frames",
    "chain",
    "live",
    "liveCommits",
    "sse",
    "append",
    "filter",
    "segments",
    "erasure",
];

/// The caps as a log's description shows them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Caps {
    body_bytes: usize,
    push_commits: usize,
    commit_bytes: usize,
    commit_events: usize,
    commit_conditions: usize,
    event_tags: usize,
    id_bytes: usize,
    json_depth: usize,
    pull_bytes: usize,
    filter_terms: usize,
    filter_bytes: usize,
    wait_seconds: u64,
    stream_events: u64,
    live_logs: usize,
    erasures: u64,
}

impl Caps {
    pub(crate) const fn advertised() -> Self {
        Self {
            body_bytes: limits::MAX_BODY_BYTES,
            push_commits: limits::MAX_PUSH_COMMITS,
            commit_bytes: limits::MAX_COMMIT_BYTES,
            commit_events: limits::MAX_COMMIT_EVENTS,
            commit_conditions: limits::MAX_COMMIT_CONDITIONS,
            event_tags: limits::MAX_EVENT_TAGS,
            id_bytes: limits::MAX_ID_BYTES,
            json_depth: limits::MAX_JSON_DEPTH,
            pull_bytes: PULL_BYTES,
            filter_terms: limits::MAX_FILTER_TERMS,
            filter_bytes: limits::MAX_FILTER_BYTES,
            wait_seconds: MAX_WAIT.as_secs(),
            stream_events: STREAM_EVENTS,
            live_logs: LIVE_LOGS,
            erasures: ERASURES,
        }
    }
}
