//! The store on SQLite.
//!
//! One thread writes, many connections read. The writer takes every push that waits, decides and stores them all in one
//! transaction, and answers when `COMMIT` has returned: in WAL mode with `synchronous=FULL` that is when the bytes are on
//! disk. So one fsync serves everybody who waited for it, of whatever log.
//!
//! Nothing is kept in memory between transactions, so other processes (`tidelog import`) may write to the same file.

mod archive;
mod erase;
mod keeping;
mod ledger;
mod reader;
mod rows;
mod schema;
mod segments;
mod verify;
mod writer;

use super::archive::{self as shelved, Archive, Moved, Shelf, Wanted};
use super::heads::Heads;
use super::{
    After, Erase, Erased, ErasureRecord, Load, LogState, LogStore, Page, PageCap, Push, Segment,
    StoreError, StreamPage, StreamRange, Verified, segment,
};
use crate::clock;
use reader::Readers;
use rusqlite::TransactionBehavior;
use std::path::Path;
use std::sync::Arc;
use tidelog_core::protocol::PushResponse;
use tidelog_core::{CommitId, LogName, Position, StreamId};
use tokio::sync::{Mutex, watch};
use writer::Writer;

/// How a database is opened.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// The most pages (of 4 KiB) that the file may have; a push that needs more is answered as on a full disk.
    pub max_pages: Option<u32>,
}

/// Logs in one SQLite file. Cheap to clone; the writer ends when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    writer: Arc<Writer>,
    readers: Arc<Readers>,
    heads: Heads,
    /// Held by whoever encodes a segment: others wait and find it kept.
    sealing: Arc<Mutex<()>>,
    archive: Option<Archive>,
}

impl SqliteStore {
    /// Opens or makes a database.
    ///
    /// # Errors
    /// [`StoreError::NotOurs`] for a file of another kind or of a newer build, [`StoreError::Unavailable`] if it cannot be
    /// opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(path, &Options::default())
    }

    /// Opens or makes a database with options.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn open_with(path: impl AsRef<Path>, options: &Options) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let connection = schema::open_writer(path)?;
        if let Some(pages) = options.max_pages {
            connection.pragma_update(None, "max_page_count", pages)?;
        }
        let heads = Heads::default();
        let writer = Writer::start(connection, heads.clone())?;
        Ok(Self {
            writer: Arc::new(writer),
            readers: Arc::new(Readers::new(path)),
            heads,
            sealing: Arc::default(),
            archive: None,
        })
    }

    /// With the archive that runs of its logs are in, or go to.
    #[must_use]
    pub fn with_archive(self, archive: Archive) -> Self {
        let archive = Some(archive);
        Self { archive, ..self }
    }

    /// Moves runs of a log to the archive, one after the other, and says of each up to where the log is archived by then. What
    /// ends it in the middle loses nothing; the next call goes on.
    ///
    /// # Errors
    /// [`StoreError::ArchiveUnavailable`] without an archive, or if it cannot be reached; [`StoreError::Damaged`] for a log that is not
    /// whole; [`StoreError::Unavailable`] if it was changed meanwhile.
    pub async fn archive(
        &self,
        log: &LogName,
        wanted: Wanted,
        done: impl FnMut(Position),
    ) -> Result<Moved, StoreError> {
        shelved::archive(self, log, wanted, done).await
    }

    /// Brings the run of the archive that holds a position back into the database, and removes its object: before something of it
    /// is changed. Nothing is done if the position is in the database.
    ///
    /// # Errors
    /// [`StoreError::ArchiveUnavailable`] and [`StoreError::Damaged`] if it cannot be read; [`StoreError::Unavailable`] also if the object could
    /// not be removed: then the next call, or the next [`archive`](Self::archive), does it.
    pub async fn recall(&self, log: &LogName, position: Position) -> Result<(), StoreError> {
        shelved::recall(self, log, position).await
    }

    /// Gives the space of what was archived back: an SQLite file gets smaller, which takes as much space again meanwhile and keeps
    /// writers waiting; PostgreSQL takes it for what is new.
    ///
    /// # Errors
    /// [`StoreError::Full`] and [`StoreError::Unavailable`].
    pub async fn shrink(&self) -> Result<(), StoreError> {
        Shelf::shrink(self).await
    }

    /// Runs a read on a connection of its own, away from the async threads.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut rusqlite::Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = Arc::clone(&self.readers);
        let turn = self.readers.turn().await;
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            readers.with(read)
        })
        .await
        .map_err(|error| StoreError::Unavailable {
            detail: error.to_string(),
        })?
    }
}

impl SqliteStore {
    /// Erases in what the database holds.
    async fn erase_in_rows(&self, erase: Erase) -> Result<Erased, StoreError> {
        let random = clock::random().map_err(|error| StoreError::Unavailable {
            detail: error.to_string(),
        })?;
        let log = erase.log.clone();
        let erased = self
            .writer
            .run(move |connection| {
                let now = clock::now();
                let id = CommitId::mint(now, random);
                let transaction =
                    connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let erased = erase::erase(&transaction, &erase, id, now)?;
                transaction.commit()?;
                Ok(erased)
            })
            .await?;
        if erased.record.is_some() {
            self.writer.fold().await;
            self.heads.moved(&log, erased.state.head.position);
        }
        Ok(erased)
    }
}

impl LogStore for SqliteStore {
    async fn create(&self, log: &LogName) -> Result<LogState, StoreError> {
        self.writer.create(log.clone()).await
    }

    async fn state(&self, log: &LogName) -> Result<LogState, StoreError> {
        let log = log.clone();
        self.read(move |connection| Ok(rows::log(connection, &log)?.state))
            .await
    }

    async fn push(&self, push: Push) -> Result<PushResponse, StoreError> {
        self.writer.push(push).await
    }

    async fn page(&self, log: &LogName, after: After, cap: PageCap) -> Result<Page, StoreError> {
        shelved::page(self, log, after, cap).await
    }

    async fn stream(
        &self,
        log: &LogName,
        stream: &StreamId,
        range: StreamRange,
    ) -> Result<StreamPage, StoreError> {
        shelved::stream(self, log, stream, range).await
    }

    async fn segment(&self, log: &LogName, number: u64) -> Result<Option<Segment>, StoreError> {
        let kept = || {
            let log = log.clone();
            self.read(move |connection| segments::kept(connection, &log, number))
        };
        if let Some(kept) = kept().await? {
            return Ok(kept.segment());
        }
        let name = log.clone();
        let run = self.read(move |connection| archive::run_of(connection, &name, number));
        if let Some(run) = run.await?
            && let Some(segment) = shelved::segment(self, log, run).await?
        {
            return Ok(segment);
        }
        let _sealing = self.sealing.lock().await;
        if let Some(kept) = kept().await? {
            return Ok(kept.segment());
        }
        let Some(sealed) = segment::build(self, log, number).await? else {
            return Ok(None);
        };
        let (name, keep) = (log.clone(), sealed.clone());
        let keep = move |connection: &mut _| segments::keep(connection, &name, number, &keep);
        if let Err(error) = self.writer.run(keep).await {
            // It is as good as one that is kept; the next who asks pays for it again.
            tracing::warn!(?error, "a segment could not be kept");
        }
        Ok(sealed.segment())
    }

    async fn erase(&self, erase: Erase) -> Result<Erased, StoreError> {
        loop {
            match self.erase_in_rows(erase.clone()).await {
                Err(StoreError::NotErasableArchived { position, .. }) => {
                    self.recall(&erase.log, position).await?;
                }
                Ok(erased) => {
                    // An object that an earlier try could not remove still holds what is erased.
                    shelved::remove_doomed(self).await?;
                    return Ok(erased);
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn erasures(&self, log: &LogName) -> Result<Vec<ErasureRecord>, StoreError> {
        let audited = self.audited(log).await?;
        Ok(audited.into_iter().map(|one| one.record).collect())
    }

    async fn revision(&self, log: &LogName) -> Result<u64, StoreError> {
        let log = log.clone();
        self.read(move |connection| rows::revision(connection, &log))
            .await
    }

    async fn verify(&self, log: &LogName) -> Result<Verified, StoreError> {
        let (log, archive) = (log.clone(), self.archive.clone());
        // The walk waits for runs of the archive on its own thread.
        let waits = tokio::runtime::Handle::current();
        self.read(move |connection| verify::verify(connection, &log, archive.as_ref(), &waits))
            .await
    }

    fn watch(&self, log: &LogName) -> watch::Receiver<Position> {
        self.heads.watch(log)
    }

    fn load(&self) -> Load {
        self.writer.load()
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.writer.ready()?;
        let has_archive = self.archive.is_some();
        self.read(move |connection| {
            connection.query_row("SELECT count(*) FROM logs", [], |_| Ok(()))?;
            schema::demand_layout(connection)?;
            match has_archive {
                true => Ok(()),
                false => archive::demand_none(connection),
            }
        })
        .await
    }
}
