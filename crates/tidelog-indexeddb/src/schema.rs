//! Which stores a database has, one module per version.
//!
//! `rexie` deletes every store that its builder does not list when it upgrades, so a version's module lists all of
//! them, and a new version is a new module that starts from the list of the one before. A version bump locks out older
//! code in other tabs; that is why stores which nothing uses yet exist from the start.

pub(crate) mod v1;

pub(crate) use v1 as newest;

/// Confirmed, acked and parked state lives in these stores. They are the same in every version so far.
pub(crate) mod stores {
    /// First local sequence number → frame.
    pub(crate) const PENDING: &str = "pending";
    /// The same key → the outcomes of the frame's commits.
    pub(crate) const OUTCOME: &str = "outcome";
    /// First position → frame.
    pub(crate) const LOG: &str = "log";
    /// Projection, fold version and bucket → state and checkpoint.
    pub(crate) const SNAPSHOTS: &str = "snapshots";
    /// Segment → the streams in it.
    pub(crate) const DIRECTORY: &str = "directory";
    /// Commit id → record.
    pub(crate) const PARKED: &str = "parked";
    /// A number of its own → frame of another history.
    pub(crate) const LOST: &str = "lost";
    /// Format, replica and head by name.
    pub(crate) const META: &str = "meta";
    /// Nothing yet.
    pub(crate) const SPARE: [&str; 2] = ["spare1", "spare2"];
}

/// The keys in [`stores::META`].
pub(crate) mod meta {
    /// The format of the content.
    pub(crate) const FORMAT: &str = "format";
    /// The replica id.
    pub(crate) const REPLICA: &str = "replica";
    /// Next sequence number, cursor and generation.
    pub(crate) const HEAD: &str = "head";
}
