//! What the archive asks of a database.

use super::{Archive, ArchiveId, Marker, Part, Source};
use crate::store::erase::InRows;
use crate::store::{Erase, LogStore, StoreError, Verified};
use std::future::Future;
use std::sync::Arc;
use tidelog_core::{ChainHash, Epoch, LogName, Position};

/// A run of commits whose frames are in an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Run {
    /// The segment that it is, or is a part of.
    pub(in crate::store) number: u64,
    /// The position of its first event.
    pub(in crate::store) first: Position,
    /// The position of its last event.
    pub(in crate::store) last: Position,
    /// The object.
    pub(in crate::store) name: String,
    /// The object's hash.
    pub(in crate::store) sha256: [u8; 32],
    /// The object's length.
    pub(in crate::store) bytes: u64,
    /// Is it the whole segment, as it is sent?
    pub(in crate::store) is_segment: bool,
}

/// An object that may be there without being a run's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Stray {
    pub(in crate::store) name: String,
    /// Can nobody record it any more?
    pub(in crate::store) is_doomed: bool,
}

/// A commit's row, as the archive needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Row {
    pub(in crate::store) first: Position,
    pub(in crate::store) last: Position,
    pub(in crate::store) chain: ChainHash,
    pub(in crate::store) frame: Vec<u8>,
}

/// What the archive asks of a database, beside reading ([`Source`]).
///
/// An object that is no run's is in the table `strays` in one of two states: *announced*, by somebody who may put and record it, or
/// *doomed*, which nobody can record any more. The row goes in the transaction that records it, or when it is removed and nobody can put it again.
pub(in crate::store) trait Shelf: LogStore + Source + Sized {
    /// With this archive.
    fn with(self, archive: Archive) -> Self;

    /// Erases in the rows that the database has.
    fn erase_in_rows(
        &self,
        erase: &Erase,
    ) -> impl Future<Output = Result<InRows, StoreError>> + Send;

    /// Checks a log as it is at one moment.
    fn walk(&self, log: &LogName) -> impl Future<Output = Result<Verified, StoreError>> + Send;

    /// The runs of a log, in order.
    fn runs(&self, log: &LogName) -> impl Future<Output = Result<Vec<Run>, StoreError>> + Send;

    /// So many runs of any logs, if there are as many.
    fn some_runs(
        &self,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(LogName, Run)>, StoreError>> + Send;

    /// What is known of the archive's marker. It has this id from now on if it had none.
    fn marker(&self, id: ArchiveId) -> impl Future<Output = Result<Marker, StoreError>> + Send;

    /// The marker is there.
    fn marker_put(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Rows from a position to the commit that holds another, as many as have so many bytes and at least one.
    fn rows(
        &self,
        log: &LogName,
        from: Position,
        to: Position,
        bytes: usize,
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;

    /// Notes that an object of this name may be there.
    fn announce(&self, name: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Dooms what was announced, also if that is forgotten by now. `false`: it is recorded.
    fn withdraw(&self, name: &str) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Records a run of these rows in place of their frames, in one transaction. Nothing is changed, and it fails, if the log is of
    /// another epoch, a row is another by now, or the object is no longer announced.
    fn shelve(
        &self,
        log: &LogName,
        epoch: Epoch,
        run: Run,
        rows: Arc<[Row]>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Puts the frames of a run back into their rows, and dooms its object, in one transaction. Nothing is done if it is no run any more.
    fn unshelve(
        &self,
        log: &LogName,
        run: Run,
        part: Arc<Part>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Dooms all that is announced of the log of this epoch.
    fn doom(&self, of: Epoch) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// All that is announced or doomed.
    fn strays(&self) -> impl Future<Output = Result<Vec<Stray>, StoreError>> + Send;

    /// There is no object of this name any more, and there will be none.
    fn removed(&self, name: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Gives the space of what has left to whoever needs it.
    fn vacuum(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Which names the objects of a log have: from the first of these on, and before the second.
pub(in crate::store) fn names(of: Epoch) -> (String, String) {
    // What comes after a slash is a zero.
    (format!("{of}/"), format!("{of}0"))
}
