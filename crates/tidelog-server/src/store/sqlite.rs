//! The store on SQLite.
//!
//! One thread writes, many connections read. The writer takes every push that waits, decides and stores them all in one
//! transaction, and answers when `COMMIT` has returned: in WAL mode with `synchronous=FULL` that is when the bytes are on
//! disk. So one fsync serves everybody who waited for it, of whatever log.
//!
//! What the writer keeps in memory between transactions it forgets when another connection has written, so other processes
//! (`tidelog import`) may write to the same file.

mod archive;
mod erase;
mod keeping;
mod ledger;
mod reader;
mod rows;
mod schema;
mod seen;
mod segments;
mod verify;
mod writer;

use super::archive::{self as shelved, Archive};
use super::heads::Heads;
use super::{
    After, Erase, Erased, ErasurePlace, ErasureRecord, Load, LogState, LogStore, Page, PageCap,
    Push, Segment, StoreError, StreamPage, StreamRange, Verified, segment,
};
use reader::Readers;
use std::path::Path;
use std::sync::Arc;
use tidelog_core::protocol::PushResponse;
use tidelog_core::{LogName, Position, StreamId};
use tokio::sync::{Mutex, watch};
use writer::Writer;

/// How a database is opened.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// The most pages (of 4 KiB) that the file may have; a push that needs more is answered as on a full disk.
    pub max_pages: Option<u32>,
    /// Leaves the layout as it is: a file that has none, or that of an older build, is refused. To write there an older layout has to be
    /// changed, and the server of that build takes no pushes from then on.
    pub keep_layout: bool,
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
        let connection = schema::open_writer(path, options.keep_layout)?;
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
        shelved::erase(self, &erase).await
    }

    async fn erasures(
        &self,
        log: &LogName,
        after: Option<ErasurePlace>,
        limit: usize,
    ) -> Result<Vec<ErasureRecord>, StoreError> {
        let log = log.clone();
        self.read(move |connection| erase::listed(connection, &log, after, limit))
            .await
    }

    async fn revision(&self, log: &LogName) -> Result<u64, StoreError> {
        let log = log.clone();
        self.read(move |connection| rows::revision(connection, &log))
            .await
    }

    async fn verify(&self, log: &LogName) -> Result<Verified, StoreError> {
        shelved::verify(self, log).await
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
