//! What the server asks of a database.

mod admission;
mod any;
mod archive;
mod audit;
mod candidate;
mod erase;
mod erasures;
mod error;
mod heads;
mod keeping;
mod layout;
mod ledger;
mod load;
mod place;
#[cfg(feature = "postgres")]
mod postgres;
mod segment;
mod sqlite;
mod stored;
mod verify;

pub use any::{AnyStore, StoreAddress, StoreAddressError};
pub use archive::{Archive, ArchiveAddress, ArchiveError, Archiving, Moved, Wanted};
pub(crate) use audit::Audited;
pub use audit::{ErasurePlace, ErasureRecord, NoErasurePlace};
pub use candidate::Candidate;
pub use erase::{Erase, Erased, Versions};
pub(crate) use erasures::Erasures;
pub use error::StoreError;
pub(crate) use keeping::Stats;
#[cfg(feature = "postgres")]
pub use postgres::PostgresStore;
pub use segment::{SEGMENT_EVENTS, Segment, sealed};
pub use sqlite::{Options, SqliteStore};
pub use verify::Verified;

use segment::Sealed;
use std::future::Future;
use tidelog_core::protocol::{LogHead, PushResponse};
use tidelog_core::{
    ChainHash, Cursor, Epoch, LogName, Position, Recorded, ReplicaId, StreamId, Subject, Version,
};
use tokio::sync::watch;

/// Which history a log has, and how far it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogState {
    /// The history.
    pub epoch: Epoch,
    /// Its end.
    pub head: LogHead,
}

impl LogState {
    /// The cursor of a reader that has read everything.
    #[must_use]
    pub const fn cursor(&self) -> Cursor {
        Cursor {
            epoch: self.epoch,
            position: self.head.position,
            chain: self.head.chain,
        }
    }
}

/// Commits of one replica for one log.
#[derive(Debug)]
pub struct Push {
    /// The log.
    pub log: LogName,
    /// Who sends.
    pub actor: Option<Subject>,
    /// The replica that made the commits.
    pub replica: ReplicaId,
    /// How far the sender has read. [`Cursor::default`] says nothing.
    pub cursor: Cursor,
    /// The commits in the order they were made.
    pub commits: Vec<Candidate>,
    /// Who numbers them.
    pub numbering: Numbering,
}

/// Who gives commits their sequence numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbering {
    /// The replica did.
    Replica,
    /// The store does: the next one of the replica. For clients that are no replica.
    Store,
}

/// Where a reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// After a position, of whatever history.
    Position(Position),
    /// At a place of one history.
    Cursor(Cursor),
}

/// How much a page may hold. A page holds at least one commit if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageCap {
    /// About how many bytes of frames.
    pub bytes: usize,
    /// How many events.
    pub events: u64,
}

/// A confirmed commit as it is stored.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The commit and its place.
    pub recorded: Recorded,
    /// The chain hash after it.
    pub chain: ChainHash,
    /// Its length as a frame of its own.
    pub bytes: usize,
}

/// A run of commits, contiguous in position.
#[derive(Debug, Clone)]
pub struct Page {
    /// The log at the moment of reading.
    pub state: LogState,
    /// The chain hash before the first commit.
    pub chain_before: ChainHash,
    /// The commits.
    pub commits: Vec<Stored>,
}

/// Which way a stream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Oldest first.
    #[default]
    Forward,
    /// Newest first.
    Backward,
}

/// Which events of a stream to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamRange {
    /// The first version to return; the stream's end or beginning if absent.
    pub from: Option<Version>,
    /// Which way from there.
    pub direction: Direction,
    /// How many events at most.
    pub limit: usize,
}

impl StreamRange {
    /// The version it begins at, if this is the newest one.
    fn begin(self, newest: Version) -> Version {
        self.from.unwrap_or(match self.direction {
            Direction::Forward => Version::new(1),
            Direction::Backward => newest,
        })
    }
}

/// One event of a stream: the commit that holds it and its index there.
#[derive(Debug, Clone)]
pub struct StreamEvent {
    /// The commit.
    pub commit: std::sync::Arc<Recorded>,
    /// The event's index in the commit.
    pub index: usize,
    /// The event's version.
    pub version: Version,
}

/// A part of a stream.
#[derive(Debug, Clone)]
pub struct StreamPage {
    /// The stream's newest version; 0 if it does not exist.
    pub version: Version,
    /// Events in the asked direction.
    pub events: Vec<StreamEvent>,
}

/// How busy a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// How many pushes wait now.
    pub queue: u64,
    /// How many groups of pushes were written since it was opened, each in a transaction.
    pub groups: u64,
    /// How many pushes were in those.
    pub grouped: u64,
}

/// A database of logs.
///
/// Contract:
///
/// - [`LogStore::push`] answers only when what it answers is on disk. All facts are read and all changes are written
///   in one transaction that holds the log's head; an error means that nothing of the push is stored, or that its
///   end is not known and repeating it is safe.
/// - Positions of a log have no holes, versions of a stream have no holes, and no reader ever sees an event appear
///   below a position it has read.
/// - A replica belongs to the subject of its first stored commit.
/// - A read sees one moment.
/// - After a push, every receiver of [`LogStore::watch`] for the log is woken.
pub trait LogStore: std::fmt::Debug + Send + Sync + 'static {
    /// Makes a log if there is none of this name.
    fn create(&self, log: &LogName) -> impl Future<Output = Result<LogState, StoreError>> + Send;

    /// The history and the end of a log.
    fn state(&self, log: &LogName) -> impl Future<Output = Result<LogState, StoreError>> + Send;

    /// Decides on commits one after the other and stores those that are accepted.
    fn push(&self, push: Push) -> impl Future<Output = Result<PushResponse, StoreError>> + Send;

    /// Reads whole commits in order. A position inside a commit begins with that commit.
    fn page(
        &self,
        log: &LogName,
        after: After,
        cap: PageCap,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// Reads a stream. One that does not exist has version 0 and no events; a limit of 0 asks for its version alone.
    fn stream(
        &self,
        log: &LogName,
        stream: &StreamId,
        range: StreamRange,
    ) -> impl Future<Output = Result<StreamPage, StoreError>> + Send;

    /// Erases payloads of a stream, closes it, or both, and appends the event that says so. All or nothing; what was erased or
    /// closed before is left alone, and if that is everything, nothing is appended.
    fn erase(&self, erase: Erase) -> impl Future<Output = Result<Erased, StoreError>> + Send;

    /// What was erased in the logs of this name, oldest first, apart from what the log itself says: so many at most, after a place.
    fn erasures(
        &self,
        log: &LogName,
        after: Option<ErasurePlace>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<ErasureRecord>, StoreError>> + Send;

    /// How often payloads of a log were erased.
    fn revision(&self, log: &LogName) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// A sealed run of the log by its number, from 1; `None` if the log has not come so far, or if it would be too large. One that
    /// was given once is given again byte for byte, until one of its payloads is erased.
    ///
    /// Without an implementation it is encoded whenever it is asked for.
    fn segment(
        &self,
        log: &LogName,
        number: u64,
    ) -> impl Future<Output = Result<Option<Segment>, StoreError>> + Send
    where
        Self: Sized,
    {
        async move {
            let built = segment::build(self, log, number).await?;
            Ok(built.and_then(Sealed::segment))
        }
    }

    /// Recomputes everything that follows from a log's commits and compares it with what is stored.
    ///
    /// [`StoreError::Damaged`] names the first position that is wrong.
    fn verify(&self, log: &LogName) -> impl Future<Output = Result<Verified, StoreError>> + Send;

    /// Wakes whenever the head of this log has moved. The value is a hint; read the log to know.
    fn watch(&self, log: &LogName) -> watch::Receiver<Position>;

    /// How busy it is; nothing, of a store that does not count.
    fn load(&self) -> Load {
        Load::default()
    }

    /// Can it take pushes?
    fn ready(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}
