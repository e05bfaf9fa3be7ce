//! Caps that clients and servers share. A server may advertise smaller ones, never larger.

use core::ops::RangeInclusive;

/// The times that an event may have occurred at, in milliseconds since the Unix epoch: those that RFC 3339 text of JSON can say,
/// `-009999-01-02T01:59:59Z` to `9999-12-30T22:00:00.999Z`.
pub const TIMES: RangeInclusive<i64> = -377_705_023_201_000..=253_402_207_200_999;
/// The most UTF-8 bytes of a stream id, event type, tag, subject or correlation id.
pub const MAX_ID_BYTES: usize = 256;
/// The most UTF-8 bytes of a log's name.
pub const MAX_LOG_NAME_BYTES: usize = 64;
/// The most bytes of a commit: payloads plus names plus a fixed cost for each event and condition.
pub const MAX_COMMIT_BYTES: usize = 1024 * 1024;
/// The most UTF-8 bytes of the reason of an erasure.
pub const MAX_REASON_BYTES: usize = 1_024;
/// The most events of a commit.
pub const MAX_COMMIT_EVENTS: usize = 1_000;
/// The most conditions of a commit.
pub const MAX_COMMIT_CONDITIONS: usize = 1_000;
/// The most tags of an event.
pub const MAX_EVENT_TAGS: usize = 16;
/// The most kinds and streams that a filter names.
pub const MAX_FILTER_TERMS: usize = 64;
/// The most UTF-8 bytes of a filter in its canonical form: percent-encoded, it fits the address line that proxies take.
pub const MAX_FILTER_BYTES: usize = 2_000;
/// The most commits of a push.
pub const MAX_PUSH_COMMITS: usize = 1_000;
/// The most decoded bytes of a request's body.
pub const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;
/// About how many payload bytes a frame gathers before the next one begins.
pub const FRAME_TARGET_BYTES: usize = 60 * 1024;
/// About how many bytes of frames compaction gathers into one sealed segment. Chromium compresses a value with Snappy and
/// puts what is then above 64 KiB into a file of its own, which takes three times as long to `get`; below, fewer and larger
/// records open faster. Frames shrink to between a quarter and a half, so this is the largest size that stays below.
pub const SEGMENT_TARGET_BYTES: usize = 128 * 1024;
/// How deep a payload's JSON may be nested: what common parsers take without a stack that grows with the input.
pub const MAX_JSON_DEPTH: usize = 127;
