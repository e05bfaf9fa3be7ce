//! Which stores a database has, one module per version.
//!
//! `rexie` deletes every store that its builder does not list when it upgrades, so a version's module lists all of
//! them, and a new version is a new module that starts from the list of the one before. A version bump locks out older
//! code in other tabs; that is why stores which nothing uses yet exist from the start.

pub(crate) mod v1;

pub(crate) use v1 as newest;

/// Confirmed, acked and parked state lives in these stores. They are the same in every version so far.
pub(crate) mod stores {
    /// First local sequence number and term → frame, or a fence where a term was taken away.
    pub(crate) const PENDING: &str = "pending";
    /// First local sequence number → the outcomes of the frame's commits; absent while all are pending.
    pub(crate) const OUTCOME: &str = "outcome";
    /// First position → frame.
    pub(crate) const LOG: &str = "log";
    /// Fold and version → checkpoint and number of buckets; fold, version and bucket → state.
    pub(crate) const SNAPSHOTS: &str = "snapshots";
    /// First position of a sealed segment → what is in it.
    pub(crate) const DIRECTORY: &str = "directory";
    /// Commit id → record.
    pub(crate) const PARKED: &str = "parked";
    /// A number of its own → frame of another history.
    pub(crate) const LOST: &str = "lost";
    /// The head, the gaps, the filters and how far erasures were followed, by name.
    pub(crate) const META: &str = "meta";
    /// First position → a damaged frame that was moved out of the log. One of the spare stores of the first release.
    pub(crate) const QUARANTINE: &str = "spare1";
    /// Nothing yet.
    pub(crate) const SPARE: &str = "spare2";
}

/// The keys in [`stores::META`].
pub(crate) mod meta {
    /// Format, replica, next sequence number, cursor, generation and term.
    pub(crate) const HEAD: &str = "head";
    /// What the log leaves out; absent if nothing.
    pub(crate) const GAPS: &str = "gaps";
    /// Which part of the log is here and which one is wanted; absent if both are everything.
    pub(crate) const FILTERS: &str = "filters";
    /// How far erasures have been followed; absent if none has.
    pub(crate) const ERASED: &str = "erased";
}
