//! What a replica asks of a local store, as a contract that every store keeps and one conformance suite checks.
//!
//! A store is a log device: opaque frames under numeric keys, one head, and transactions that happen whole or not at
//! all. Several tabs share one store; every write says which generation it was made for, and a store whose head has
//! moved on writes nothing and says [`Written::Stale`].

use crate::cursor::Cursor;
use crate::id::{CommitId, ReplicaId};
use crate::number::{Generation, Position, Seq};
use alloc::string::String;
use alloc::vec::Vec;
use core::future::Future;

/// The newest format of a store's content that this build reads.
pub const STORE_FORMAT: u32 = 1;

/// What every write transaction reads, checks and advances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The sequence number that the next local commit gets.
    pub next_seq: Seq,
    /// How far the confirmed log goes.
    pub cursor: Cursor,
    /// How many write transactions there were.
    pub generation: Generation,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            next_seq: Seq::new(1),
            cursor: Cursor::default(),
            generation: Generation::new(0),
        }
    }
}

/// What has become of one commit of a pending frame. Commits never leave `pending` except by one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Waiting to be sent, or sent without an answer yet.
    Pending,
    /// The server gave it this position; it waits to be pulled back.
    Acked(Position),
    /// Done with: confirmed, parked, discarded, or replaced by a later attempt in another frame.
    Settled,
}

/// One change of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreOp {
    /// Adds a local frame under its first sequence number, all of its commits pending. The key must be free.
    AddPending {
        /// The frame's first sequence number.
        first: Seq,
        /// The frame.
        frame: Vec<u8>,
        /// The state of each of its commits.
        outcomes: Vec<Outcome>,
    },
    /// Replaces the outcomes of a pending frame. If all are settled, frame and outcomes go.
    PutOutcomes {
        /// The frame's first sequence number.
        first: Seq,
        /// The state of each of its commits.
        outcomes: Vec<Outcome>,
    },
    /// Adds a recorded frame under its first position. The key must be free.
    AddLog {
        /// The frame's first position.
        first: Position,
        /// The frame.
        frame: Vec<u8>,
    },
    /// Removes every recorded frame: the server has another history.
    ClearLog,
    /// Adds or replaces a parked commit.
    PutParked {
        /// The commit.
        id: CommitId,
        /// Its record.
        record: Vec<u8>,
    },
    /// Removes a parked commit.
    RemoveParked {
        /// The commit.
        id: CommitId,
    },
    /// The database gets another replica id: its profile was copied from another device.
    SetReplica {
        /// The new id.
        replica: ReplicaId,
    },
    /// Keeps a recorded frame of another history whose events the server has lost.
    AddLost {
        /// The frame's epoch and first position are inside it; the key is minted by the store.
        frame: Vec<u8>,
    },
}

/// How much a write must survive before it counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// A crash of the machine: for bytes that nobody else holds.
    #[default]
    Strict,
    /// A crash of the page: for bytes that the server can send again.
    Relaxed,
}

/// One atomic transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteBatch {
    /// The replica whose database this must be.
    pub replica: ReplicaId,
    /// The generation that the writer knows.
    pub expected: Generation,
    /// The head afterwards. Its generation is `expected` and one.
    pub head: Head,
    /// The changes, in order.
    pub ops: Vec<StoreOp>,
    /// How much it must survive.
    pub durability: Durability,
}

/// How a write ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// All of it is stored.
    Done,
    /// The head had moved on: nothing is stored. Load what came between, rebase and try again.
    Stale {
        /// The generation that the store has.
        actual: Generation,
    },
}

/// A frame of commits that are not confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingFrame {
    /// Its first sequence number.
    pub first: Seq,
    /// The frame.
    pub frame: Vec<u8>,
    /// The state of each of its commits.
    pub outcomes: Vec<Outcome>,
}

/// A parked commit as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedRecord {
    /// The commit.
    pub id: CommitId,
    /// Its record ([`crate::replica::Parked`] as bytes).
    pub record: Vec<u8>,
}

/// One consistent view of a store: all of it was true at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The database's replica.
    pub replica: ReplicaId,
    /// The head.
    pub head: Head,
    /// All pending frames by sequence number.
    pub pending: Vec<PendingFrame>,
    /// All parked commits by id.
    pub parked: Vec<ParkedRecord>,
    /// Recorded frames after the asked position, contiguous, as many as fit the asked bytes, at least one if there is
    /// one.
    pub log: Vec<Vec<u8>>,
    /// Are there more recorded frames after these?
    pub more: bool,
}

/// Why a store could not do what it was asked. Each says whether anything was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk is full or the origin's quota is used up. Nothing was written.
    #[error(
        "the browser has no room left for this site's data ({detail}); nothing was written. Free some space and try again"
    )]
    QuotaExceeded {
        /// What the platform said.
        detail: String,
    },
    /// The transaction was aborted. Nothing was written.
    #[error("the database transaction was aborted ({detail}); nothing was written")]
    Aborted {
        /// What the platform said.
        detail: String,
    },
    /// The connection was lost before the transaction's end was known: it may or may not be written.
    #[error(
        "the connection to the database was lost ({detail}); it must be reopened to learn what was written"
    )]
    ConnectionLost {
        /// What the platform said.
        detail: String,
    },
    /// Another tab holds an older version of the database open.
    #[error(
        "another tab of this site keeps an older version of the database open; close or reload it"
    )]
    Blocked,
    /// The database was made by a newer build.
    #[error(
        "the local database has format {found}, newer than the {newest} this build reads; reload to get the newer build"
    )]
    TooNew {
        /// Its format.
        found: u32,
        /// The newest this build reads.
        newest: u32,
    },
    /// The database was deleted, or it has another replica id than the writer knows. Open and load again.
    #[error(
        "the local database was deleted or replaced; it is opened again and starts from what is there"
    )]
    Wiped,
    /// Something stored is damaged.
    #[error("the local database holds damaged data in {place}: {detail}")]
    Corrupt {
        /// Which store and key.
        place: String,
        /// What is wrong.
        detail: String,
    },
    /// There is no database here: private mode, a blocked origin, or no IndexedDB.
    #[error("this browser context offers no database ({detail})")]
    Unavailable {
        /// What the platform said.
        detail: String,
    },
    /// The store was closed by this page.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// The stable code of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::QuotaExceeded { .. } => "quota_exceeded",
            Self::Aborted { .. } => "transaction_aborted",
            Self::ConnectionLost { .. } => "connection_lost",
            Self::Blocked => "upgrade_blocked",
            Self::TooNew { .. } => "database_too_new",
            Self::Wiped => "database_wiped",
            Self::Corrupt { .. } => "database_corrupt",
            Self::Unavailable { .. } => "storage_unavailable",
            Self::Closed => "closed",
        }
    }

    /// Can the caller not know whether the write happened? Then only reopening tells.
    #[must_use]
    pub const fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::ConnectionLost { .. })
    }
}

/// A local store.
///
/// Contract, checked by the conformance suite of `tidelog-testkit`:
///
/// - [`Store::write`] is atomic: after it, either all changes and the new head are there or none is. `Done` means that
///   the transaction completed, not that its requests succeeded. It reads replica, head and generation in the same
///   transaction; another replica is [`StoreError::Wiped`], another generation [`Written::Stale`].
/// - A taken key of `AddPending` or `AddLog` aborts the transaction ([`StoreError::Aborted`]). So do outcomes
///   for a frame that is not there or has another number of commits, a frame without outcomes, a head whose generation is not
///   `expected` and one, and a key outside 1..=2^53-1.
/// - [`Store::load`] sees one moment.
/// - Frames are opaque: the order of keys is kept, and whether positions follow without a gap is the reader's to check.
/// - Bytes come back as they went in.
pub trait Store {
    /// Runs one transaction.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written unless [`StoreError::is_outcome_unknown`].
    fn write(&self, batch: WriteBatch) -> impl Future<Output = Result<Written, StoreError>>;

    /// Reads a consistent view: everything but the log, and recorded frames after a position up to about `max_bytes`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn load(
        &self,
        after: Position,
        max_bytes: usize,
    ) -> impl Future<Output = Result<Loaded, StoreError>>;

    /// Reads the recorded frames with these first positions; one that is missing is left out.
    ///
    /// # Errors
    /// [`StoreError`].
    fn frames(
        &self,
        first_positions: &[Position],
    ) -> impl Future<Output = Result<Vec<Vec<u8>>, StoreError>>;

    /// Reads the frames that another history of the server has lost.
    ///
    /// # Errors
    /// [`StoreError`].
    fn lost(&self) -> impl Future<Output = Result<Vec<Vec<u8>>, StoreError>>;
}
