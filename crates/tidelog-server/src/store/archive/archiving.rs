//! What operators do with the archive.

use super::{Archive, Moved, Shelf, Wanted, moving, strays, whole};
use crate::store::{LogStore, StoreError};
use std::future::Future;
use tidelog_core::{LogName, Position};

/// A store whose older history can lie in an [`Archive`].
pub trait Archiving: LogStore + Sized {
    /// With the archive that runs of its logs are in, or go to.
    #[must_use]
    fn with_archive(self, archive: Archive) -> Self;

    /// Moves runs of a log to the archive, one after the other, and says of each up to where the log is archived by then. What
    /// ends it in the middle loses nothing; the next call goes on.
    ///
    /// # Errors
    /// [`StoreError::ArchiveUnavailable`] without an archive, or if it cannot be reached; [`StoreError::ArchiveOfAnother`] for one of another
    /// database; [`StoreError::Damaged`] for a log that is not
    /// whole; [`StoreError::Unavailable`] if it was changed meanwhile.
    fn archive(
        &self,
        log: &LogName,
        wanted: Wanted,
        done: impl FnMut(Position) + Send,
    ) -> impl Future<Output = Result<Moved, StoreError>> + Send;

    /// Brings the run of the archive that holds a position back into the database, and removes its object. Nothing is done if the
    /// position is in the database. [`LogStore::erase`] does it by itself.
    ///
    /// # Errors
    /// [`StoreError::ArchiveUnavailable`], [`StoreError::ArchiveOfAnother`] and [`StoreError::Damaged`] if it cannot be read; [`StoreError::Unavailable`] also if the object could
    /// not be removed: then the next call, or the next [`archive`](Self::archive), does it.
    fn recall(
        &self,
        log: &LogName,
        position: Position,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Gives the space of what was archived back: an SQLite file gets smaller, which takes as much space again meanwhile and keeps
    /// writers waiting; PostgreSQL takes it for what is new.
    ///
    /// # Errors
    /// [`StoreError::Full`] and [`StoreError::Unavailable`].
    fn shrink(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl<S: Shelf> Archiving for S {
    fn with_archive(self, archive: Archive) -> Self {
        self.with(archive)
    }

    async fn archive(
        &self,
        log: &LogName,
        wanted: Wanted,
        done: impl FnMut(Position) + Send,
    ) -> Result<Moved, StoreError> {
        moving::archive(self, log, wanted, done).await
    }

    async fn recall(&self, log: &LogName, position: Position) -> Result<(), StoreError> {
        whole::bring_back(self, log, position).await?;
        let epoch = self.state(log).await?.epoch;
        let cleaned = strays::clean(self, log, epoch, strays::Which::OfLog).await;
        cleaned.map(|_| ())
    }

    async fn shrink(&self) -> Result<(), StoreError> {
        self.vacuum().await
    }
}
