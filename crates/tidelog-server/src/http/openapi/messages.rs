//! What travels, as schemas: mirrors of the types in [`tidelog_core::protocol`], which know nothing of schemas.
//!
//! Fields that a server may leave out, because it lacks the feature or there is nothing to say, are not required.

#![expect(dead_code, reason = "they are described and never made")]

use crate::http::caps::LIVE_LOGS;
use serde_json::Value;
use tidelog_core::limits;
use utoipa::openapi::schema::Schema;
use utoipa::{IntoParams, ToSchema};

/// A text of a certain form.
macro_rules! texts {
    ($($(#[$attribute:meta])* $name:ident;)*) => {$(
        #[derive(ToSchema)]
        $(#[$attribute])*
        pub(super) struct $name(String);
    )*};
}

texts! {
    /// One unbroken history of a log. A restored backup begins a new one.
    #[schema(format = "uuid", examples("0198a3c6-7d3e-7b51-8e0d-2f6b9f1c4a10"))]
    Epoch;
    /// SHA-256 over every commit up to a position; all zeros before the first.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    ChainHash;
    /// How far somebody has read: `epoch:position:chain`.
    #[schema(pattern = "^[0-9a-f-]{36}:[0-9]+:[0-9a-f]{64}$")]
    Cursor;
    /// A cursor, or a plain position from 0.
    #[schema(pattern = "^([0-9]+|[0-9a-f-]{36}:[0-9]+:[0-9a-f]{64})$", examples("0"))]
    Place;
    /// A UUID that the author of a commit makes, version 7 for preference. It never changes.
    #[schema(format = "uuid")]
    CommitId;
    /// One device's copy of a log.
    #[schema(format = "uuid")]
    ReplicaId;
    /// An event: `commit id/attempt/index`.
    #[schema(pattern = "^[0-9a-f-]{36}/[0-9]+/[0-9]+$", examples("01980000-0000-7000-8000-000000000001/1/0"))]
    EventId;
    /// The events of one entity: `kind/key`.
    #[schema(min_length = 1, max_length = 256, examples("todo/42"))]
    StreamId;
    /// What kind of fact an event is.
    #[schema(min_length = 1, max_length = 256, examples("todo.added"))]
    EventType;
    /// RFC 3339.
    #[schema(format = "date-time", examples("2026-01-01T12:00:00.000Z"))]
    Time;
    /// Frames as PROTOCOL.md says, byte by byte.
    #[schema(format = "binary")]
    Frames;
}

/// A place in the log, from 1 without holes; 0 is the place before the first.
#[derive(ToSchema)]
#[schema(minimum = 0)]
pub(super) struct Position(u64);

/// A place in a stream, from 1 without holes; a stream of version 0 does not exist.
#[derive(ToSchema)]
#[schema(minimum = 0)]
pub(super) struct Version(u64);

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct LogPath {
    /// The log's name.
    #[param(min_length = 1, max_length = 64, example = "todos")]
    log: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct StreamPath {
    /// The stream's id, percent-encoded as one segment or with its slash as it is.
    #[param(min_length = 1, max_length = 256, example = "todo/42")]
    stream: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct SegmentPath {
    /// The log's epoch.
    #[param(inline)]
    epoch: Epoch,
    /// Which one, from 1.
    #[param(minimum = 1)]
    number: u64,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PullQuery {
    /// From where on; from the beginning if it is left out.
    #[param(inline)]
    after: Option<Place>,
    /// About how many events; a commit is never cut.
    #[param(minimum = 1)]
    limit: Option<u64>,
    /// How many seconds to wait if there is nothing yet.
    #[param(minimum = 0)]
    wait: Option<u64>,
    /// Only commits with an event on a stream of these kinds, or on the streams named (feature `filter`).
    kind: Option<Vec<String>>,
    /// Only commits with an event on these streams, or of the kinds named (feature `filter`).
    stream: Option<Vec<String>>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct StreamQuery {
    /// The version to begin with; the first, or backward the last, if it is left out.
    #[param(minimum = 1)]
    from: Option<u64>,
    /// How many events at most.
    #[param(minimum = 1)]
    limit: Option<u64>,
    /// Which way.
    #[param(inline)]
    direction: Option<Direction>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ErasuresQuery {
    /// What the answer before gave as `next`; the beginning of the list if it is left out.
    after: Option<String>,
    /// How many at most.
    #[param(minimum = 1)]
    limit: Option<u64>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
enum Direction {
    Forward,
    Backward,
}

/// A log.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct Description {
    /// Its name.
    log: String,
    epoch: Epoch,
    head: Head,
    /// The oldest position kept.
    horizon: Position,
    /// Of a server with the feature `segments`.
    segments: Option<Segments>,
    caps: Caps,
    /// What this server has of what a server may leave out.
    features: Vec<String>,
    /// The lowest version of a client that is served.
    #[schema(minimum = 0)]
    min_client: u32,
}

/// Which sealed runs there are.
#[derive(ToSchema)]
struct Segments {
    /// Segment n ends with the commit that holds position n times this.
    events: u64,
    /// How many there are.
    count: u64,
}

/// What a server takes and gives at most; bytes are counted decoded.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
struct Caps {
    /// Of a request's body.
    body_bytes: u64,
    /// Of a push.
    push_commits: u64,
    commit_bytes: u64,
    commit_events: u64,
    commit_conditions: u64,
    event_tags: u64,
    /// Of a stream id, an event type, a tag, a subject, a reference.
    id_bytes: u64,
    /// How deep the JSON of a payload is nested.
    json_depth: u64,
    /// About, of one answer to a pull.
    pull_bytes: u64,
    /// How many kinds and streams a filter names.
    filter_terms: u64,
    filter_bytes: u64,
    /// Of a pull that waits.
    wait_seconds: u64,
    /// Of one answer about a stream.
    stream_events: u64,
    /// Of one live connection.
    live_logs: u64,
    /// Of one answer about what was erased.
    erasures: u64,
}

/// The end of a log.
#[derive(ToSchema)]
struct Head {
    position: Position,
    /// Of a server with the feature `chain`.
    chain: Option<ChainHash>,
}

/// A push.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Push {
    replica: ReplicaId,
    /// How far the replica has read.
    cursor: Option<Cursor>,
    #[schema(schema_with = commits)]
    commits: Vec<Commit>,
}

fn commits() -> Schema {
    super::list_of("Commit", 0..=limits::MAX_PUSH_COMMITS)
}

/// A commit, as its author writes it.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Commit {
    id: CommitId,
    /// Which decision of it this is; 1 if it is left out.
    #[schema(minimum = 1)]
    attempt: Option<u32>,
    /// The replica's number for it, each used once.
    #[schema(minimum = 0)]
    seq: u64,
    /// What must hold when it is stored.
    #[schema(max_items = 1_000)]
    conditions: Option<Vec<Condition>>,
    #[schema(min_items = 1, max_items = 1_000)]
    events: Vec<Event>,
}

/// What must hold of a stream.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
struct Condition {
    stream: StreamId,
    expected: Expected,
}

/// What an author believes of a stream.
#[derive(ToSchema)]
#[serde(untagged)]
enum Expected {
    Word(ExpectedWord),
    Exact(Exact),
}

/// Anything; that it has no events; that it has some.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
enum ExpectedWord {
    Any,
    NoStream,
    Exists,
}

/// That it ends with this version and, if the event is named, with this very event.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
struct Exact {
    exact: Version,
    event: Option<EventId>,
}

/// An event, as its author writes it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[serde(deny_unknown_fields)]
struct Event {
    stream: StreamId,
    r#type: EventType,
    /// The version of its payload's shape; 1 if it is left out.
    #[schema(minimum = 1)]
    schema: Option<u32>,
    /// Any JSON, kept byte for byte.
    data: Value,
    occurred_at: Time,
    #[schema(max_items = 16)]
    tags: Option<Vec<String>>,
    meta: Option<Meta>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[serde(deny_unknown_fields)]
struct Meta {
    /// Ties together everything that one request caused.
    correlation_id: Option<String>,
    /// What directly caused the event.
    causation_id: Option<String>,
    /// The device it was made on.
    device: Option<String>,
}

/// The answer to a push.
#[derive(ToSchema)]
pub(super) struct PushResponse {
    epoch: Epoch,
    head: Head,
    /// One for each commit, in the order they were sent.
    results: Vec<CommitResult>,
}

/// The verdict on one commit.
#[derive(ToSchema)]
#[serde(untagged)]
enum CommitResult {
    Stored(Stored),
    Conflicting(Conflicting),
    Rejected(Rejected),
}

/// It is stored, now or since an earlier time.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct Stored {
    id: CommitId,
    /// The attempt that was sent.
    attempt: u32,
    #[schema(inline)]
    verdict: StoredWord,
    /// The attempt that is stored; it may be an earlier one than was sent.
    accepted_attempt: u32,
    positions: Positions,
    versions: Vec<Versions>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
enum StoredWord {
    Accepted,
    Duplicate,
}

/// From the first to the last, both included.
#[derive(ToSchema)]
struct Positions {
    first: Position,
    last: Position,
}

/// What a commit's events became in a stream, both included.
#[derive(ToSchema)]
struct Versions {
    stream: StreamId,
    first: Version,
    last: Version,
}

/// Conditions do not hold; nothing of it is stored.
#[derive(ToSchema)]
struct Conflicting {
    id: CommitId,
    attempt: u32,
    #[schema(inline)]
    verdict: ConflictWord,
    /// Every condition that does not hold.
    conflicts: Vec<Conflict>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
enum ConflictWord {
    Conflict,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
struct Conflict {
    /// Which of the commit's conditions, from 0.
    check_index: u32,
    stream: StreamId,
    expected: Expected,
    /// The version that the stream has.
    actual: Version,
}

/// It can never be stored as it is; nothing of it is.
#[derive(ToSchema)]
struct Rejected {
    id: CommitId,
    attempt: u32,
    #[schema(inline)]
    verdict: RejectedWord,
    code: RejectionCode,
    /// What is wrong and what to do.
    message: String,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
enum RejectedWord {
    Rejected,
}

/// Why a commit can never be stored as it is.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
enum RejectionCode {
    InvalidCommit,
    AttemptMismatch,
    IdTaken,
    SeqReused,
    InvalidPayload,
    StreamTombstoned,
    Forbidden,
}

/// What is to be erased.
#[derive(ToSchema)]
pub(super) struct EraseRequest {
    stream: StreamId,
    versions: Option<ErasedVersions>,
    /// Whether the stream is closed for ever.
    #[schema(default = false)]
    tombstone: Option<bool>,
    #[schema(inline)]
    reason: Reason,
}

/// `all`, or ranges of versions, both ends included, such as `[[3,4],[7,7]]`.
#[derive(ToSchema)]
#[serde(untagged)]
enum ErasedVersions {
    All(AllWord),
    Ranges(Vec<[u64; 2]>),
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
enum AllWord {
    All,
}

/// Why, in a person's words. It stays in the log.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 1024)]
struct Reason(String);

/// Where the log ends, and what was written down, if anything.
#[derive(ToSchema)]
pub(super) struct EraseResponse {
    epoch: Epoch,
    head: Head,
    erasure: Option<Erasure>,
}

/// An erasure.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
struct Erasure {
    stream: StreamId,
    /// The commit in the log that says so.
    commit: CommitId,
    /// The position of its first event.
    position: Position,
    /// The versions whose payloads it erased: ranges, both ends included.
    #[schema(inline)]
    versions: Vec<[u64; 2]>,
    /// Whether it closed the stream.
    tombstoned: bool,
    #[schema(inline)]
    reason: Reason,
    /// Who erased; an operator at the database is nobody.
    actor: Option<String>,
    recorded_at: Time,
}

/// What was erased, oldest first. There may be fewer than asked for, or none, with more to come.
#[derive(ToSchema)]
pub(super) struct Erasures {
    erasures: Vec<Erasure>,
    /// Where to go on: given as `after` in the next call. Only an answer without it is the end of the list.
    next: Option<String>,
}

/// The answer to a pull.
#[derive(ToSchema)]
pub(super) struct PullResponse {
    epoch: Epoch,
    head: Head,
    /// Whole commits, in order.
    commits: Vec<RecordedCommit>,
    /// What a filter left out between them and at their ends, in order.
    gaps: Option<Vec<Gap>>,
}

/// Positions that are left out.
#[derive(ToSchema)]
struct Gap {
    from: Position,
    to: Position,
    /// Why: `filter`, or a later reason.
    reason: String,
    /// The chain hash at the last of them.
    chain: ChainHash,
}

/// A commit of the log.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct RecordedCommit {
    id: CommitId,
    /// The attempt that was accepted.
    attempt: u32,
    replica: ReplicaId,
    seq: u64,
    /// What had to hold.
    conditions: Option<Vec<Condition>>,
    /// When the server took it.
    recorded_at: Time,
    /// Who appended it.
    actor: Option<String>,
    /// After it, of a server with the feature `chain`.
    chain: Option<ChainHash>,
    events: Vec<RecordedEvent>,
}

/// An event of the log.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
struct RecordedEvent {
    id: EventId,
    stream: StreamId,
    version: Version,
    position: Position,
    r#type: EventType,
    schema: u32,
    /// Its payload, which may be `null`; left out if it was erased.
    #[schema(required = false)]
    data: Value,
    /// The digest of a payload that was erased, in hexadecimal digits.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    erased: Option<String>,
    occurred_at: Time,
    recorded_at: Time,
    actor: Option<String>,
    tags: Option<Vec<String>>,
    meta: Option<Meta>,
}

/// A part of a stream.
#[derive(ToSchema)]
pub(super) struct StreamResponse {
    stream: StreamId,
    /// The newest version of the stream; 0 if it does not exist.
    version: Version,
    /// In the direction asked for.
    events: Vec<RecordedEvent>,
}

/// One event.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[serde(deny_unknown_fields)]
pub(super) struct Append {
    r#type: EventType,
    /// The version of its payload's shape; 1 if it is left out.
    #[schema(minimum = 1)]
    schema: Option<u32>,
    /// Any JSON, kept byte for byte.
    data: Value,
    /// When it happened; if it is left out, the time in the id, or now.
    occurred_at: Option<Time>,
    /// With one, the call can be repeated. Unless it is of version 7, `occurredAt` must be there too.
    id: Option<CommitId>,
}

/// Which logs to tell of.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LiveRequest {
    #[schema(schema_with = live_logs)]
    logs: Vec<LiveLog>,
    /// As what commits come along, of a server with the feature `liveCommits`; not at all if it is left out.
    #[schema(inline)]
    commits: Option<Carried>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
enum Carried {
    Frames,
    Json,
}

fn live_logs() -> Schema {
    super::list_of("LiveLog", 1..=LIVE_LOGS)
}

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LiveLog {
    log: String,
    /// Where the caller is; at the beginning if it is left out.
    #[schema(inline)]
    cursor: Option<Place>,
}

/// A line: news of a log, or a sign of life.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum LiveLine {
    Notice(Notice),
    Heartbeat(Heartbeat),
}

/// Where a log ends.
#[derive(ToSchema)]
pub(super) struct Notice {
    log: String,
    epoch: Epoch,
    head: Head,
    /// What lies between the end last told and this one, if it was asked for as JSON and is little.
    commits: Option<Vec<RecordedCommit>>,
    /// The same as frames in base64, if it was asked for so.
    #[schema(content_encoding = "base64")]
    frames: Option<String>,
}

/// The connection stands.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Heartbeat {}

/// What went wrong (RFC 9457). Nothing was stored.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct Problem {
    /// `urn:tidelog:problem:` and the code.
    r#type: String,
    title: String,
    status: u16,
    #[schema(schema_with = super::codes)]
    code: String,
    /// In words, for people.
    detail: String,
    /// Of `cursor_mismatch` and `cursor_ahead`: what the log has now.
    epoch: Option<Epoch>,
    /// Of `cursor_mismatch` and `cursor_ahead`: where the log ends now.
    head: Option<Head>,
    /// Of `unknown_log`.
    log: Option<String>,
    /// Of `replica_bound`.
    replica: Option<ReplicaId>,
    /// Of `payload_too_large` and `too_many_commits`.
    max: Option<u64>,
    /// Of `version_conflict`, and of what cannot be erased.
    stream: Option<StreamId>,
    /// Of `version_conflict`.
    expected: Option<Expected>,
    /// Of `version_conflict` and `unknown_versions`: the version that the stream has.
    actual: Option<Version>,
    /// Of `rejected`.
    rejection: Option<RejectionCode>,
    /// Of `client_too_old`.
    min_client: Option<u32>,
    /// Of `unavailable`, if what is stored there is damaged.
    position: Option<Position>,
}
