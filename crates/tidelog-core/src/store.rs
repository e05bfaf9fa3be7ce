//! What a replica asks of a local store, as a contract that every store keeps and one conformance suite checks.
//!
//! A store is a log device: opaque frames under numeric keys, one head, and transactions that happen whole or not at
//! all. Several tabs share one store; every write says which generation it was made for, and a store whose head has
//! moved on writes nothing and says [`Written::Stale`].

use crate::cursor::Cursor;
use crate::filter::Filter;
use crate::gap::Gap;
use crate::id::{CommitId, Epoch, ReplicaId};
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

/// Which part of the server's log a database holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filters {
    /// What the recorded frames were read with.
    pub kept: Filter,
    /// What they are to be read with.
    pub wanted: Filter,
}

/// How far a store has followed the log's erasures ([`crate::erasure`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Erased {
    /// What erasure events up to here name is gone.
    pub through: Position,
    /// The generation that the last write left which took payloads or recorded frames away. State that was folded from what was
    /// read before may hold what is gone: what is read again in the place of a frame may be without payloads.
    pub generation: Generation,
}

/// A recorded frame whose payloads were erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasedFrame {
    /// Its first position, which is its key.
    pub first: Position,
    /// The frame, which says the same but for those payloads.
    pub frame: Vec<u8>,
    /// What the directory is to say of it, if it is sealed.
    pub directory: Vec<u8>,
}

/// A frame of a lost history whose payloads were erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasedLost {
    /// Its number ([`LostFrame::number`]).
    pub number: u64,
    /// The frame, which says the same but for those payloads; `None` for one that is damaged: it goes.
    pub frame: Option<Vec<u8>>,
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
    /// Removes every recorded frame, the directory, the snapshots and the gaps: the log begins again, and so does
    /// [`Erased::through`]. [`Erased::generation`] is this write's. The filters stay.
    ClearLog,
    /// Removes every recorded frame whose first position is after this one, and what the directory says of them. Snapshots
    /// whose checkpoint lies after it are not given out until the log has reached them again. [`Erased::through`] begins again, and
    /// [`Erased::generation`] is this write's.
    TruncateLog {
        /// The last position that stays.
        after: Position,
        /// All gaps of the log from now on.
        gaps: Vec<Gap>,
    },
    /// Moves a recorded frame that is damaged out of the log and keeps its bytes aside ([`Store::quarantined`]). It is no
    /// error if it is not there.
    Quarantine {
        /// The frame's first position, which is its key.
        first: Position,
    },
    /// Follows the erasure events up to a position: each of these frames takes the place of the one under its key, which must be
    /// there and end where it ends. If a frame of the log is replaced, or a snapshot has a checkpoint in `from..through` or of
    /// another epoch, those snapshots go, and [`Erased::generation`] becomes that of the new head. All frames in quarantine go:
    /// nobody can tell what they hold.
    Erase {
        /// The first position of a payload that goes.
        from: Position,
        /// The position of the last erasure event that is followed.
        through: Position,
        /// The frames that held such payloads.
        frames: Vec<ErasedFrame>,
        /// The frames of lost histories that held them.
        lost: Vec<ErasedLost>,
    },
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
    /// Notes which part of the log the database holds. A new database holds everything.
    SetFilters {
        /// The filters.
        filters: Filters,
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
    /// What the log leaves out, by position.
    pub gaps: Vec<Gap>,
    /// Which part of the server's log this is.
    pub filters: Filters,
    /// How far its erasures have been followed.
    pub erased: Erased,
}

/// Recorded frames of a range of positions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// In the order that was asked for.
    pub frames: Vec<Vec<u8>>,
    /// Does the store hold more of them?
    pub more: bool,
}

/// A frame of a history that the server has lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostFrame {
    /// What the store keeps it under, from 1. One that came later has a greater number.
    pub number: u64,
    /// The frame.
    pub frame: Vec<u8>,
}

/// Some frames of lost histories.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LostPage {
    /// By number.
    pub frames: Vec<LostFrame>,
    /// Does the store hold more behind them?
    pub more: bool,
}

/// In which order a range is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Oldest first.
    #[default]
    Forward,
    /// Newest first.
    Backward,
}

/// Replaces a run of recorded frames by one that says the same, or seals one as it is. Nothing that a reader can see
/// changes, so the head stays as it is and other tabs need not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compaction {
    /// The replica whose database this must be.
    pub replica: ReplicaId,
    /// The first positions of the frames that it covers, ascending, without another frame between them.
    pub covered: Vec<Position>,
    /// The frame that takes their place, under the first of the keys. None: the one covered frame stays.
    pub segment: Option<Vec<u8>>,
    /// What the directory says of it, if it is sealed: no later compaction covers it. It is kept under the same key.
    pub directory: Option<Vec<u8>>,
    /// [`Erased::generation`] before the covered frames were read: what was erased since must not come back.
    pub erased: Generation,
}

/// Removes the oldest sealed segments: their events can be had from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruning {
    /// The replica whose database this must be.
    pub replica: ReplicaId,
    /// The history that it is about.
    pub epoch: Epoch,
    /// Frames that end at or before this position go, with what the directory says of them. It is the last position of a
    /// frame.
    pub through: Position,
    /// All gaps of the log from now on.
    pub gaps: Vec<Gap>,
}

/// Snapshots of folds that have all applied the log up to one checkpoint, written in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotSet {
    /// The replica whose database this must be.
    pub replica: ReplicaId,
    /// What every fold of the set has applied.
    pub checkpoint: Cursor,
    /// Which part of the log they have applied.
    pub filter: Filter,
    /// The folds.
    pub folds: Vec<FoldSnapshot>,
}

/// What a snapshot is of: the name of a fold and the version of its code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoldName {
    /// The name; one that begins with `#` is Tidelog's own.
    pub name: String,
    /// The fold's version.
    pub version: u32,
}

/// The state of one fold in buckets, of which only the changed ones are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldSnapshot {
    /// Of which fold.
    pub fold: FoldName,
    /// How many buckets its state is spread over. If it is another number than before, `changed` holds all of them.
    pub buckets: u32,
    /// Buckets by number, in `0..buckets`, that replace what was there. One that was never written is empty.
    pub changed: Vec<(u32, Vec<u8>)>,
    /// `changed` is the whole state: forget all buckets that were there. Without it there must be a snapshot of the same
    /// epoch and number of buckets to change, or nothing is written.
    pub whole: bool,
    /// Unless it is whole: the position of the stored snapshot that the changed buckets are changes of. Another tab may have
    /// written a later one since.
    pub base: Position,
}

/// A snapshot as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// What it has applied.
    pub checkpoint: Cursor,
    /// Which part of the log that is: what the store holds.
    pub filter: Filter,
    /// How many buckets its state is spread over.
    pub buckets: u32,
    /// The buckets that were written, by number.
    pub filled: Vec<(u32, Vec<u8>)>,
    /// Was it saved by a build that did not follow all erasures? It may hold what the log had said to be gone.
    pub unfollowed: bool,
    /// [`Erased::generation`] when it was read.
    pub erased: Generation,
}

/// What a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Recorded frames, sealed ones included.
    pub frames: u64,
    /// Sealed segments.
    pub segments: u64,
    /// The first position of the oldest frame.
    pub oldest: Option<Position>,
    /// Frames in quarantine.
    pub quarantined: u64,
    /// Frames of lost histories.
    pub lost: u64,
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
///
/// Maintenance ([`Store::compact`], [`Store::prune`], [`Store::save`], [`Store::forget`]) is atomic too, checks that the
/// replica is the same ([`StoreError::Wiped`] if not), and says `false`, having written nothing, where what it was made
/// for is no longer so. It leaves the head as it is, because nothing that a reader sees is another afterwards; but
/// `prune`, which makes a gap, moves the generation on.
pub trait Store {
    /// Runs one transaction.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written unless [`StoreError::is_outcome_unknown`].
    fn write(&self, batch: WriteBatch) -> impl Future<Output = Result<Written, StoreError>>;

    /// Reads the replica and the head and nothing else: has anybody written?
    ///
    /// # Errors
    /// [`StoreError`].
    fn head(&self) -> impl Future<Output = Result<(ReplicaId, Head), StoreError>>;

    /// Reads a consistent view: everything but the log, and recorded frames after a position up to about `max_bytes`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn load(
        &self,
        after: Position,
        max_bytes: usize,
    ) -> impl Future<Output = Result<Loaded, StoreError>>;

    /// Reads the recorded frames that hold these positions, ascending, each frame once. A position that no frame holds is
    /// left out. Fastest where the positions are first positions of frames, which they are until a compaction.
    ///
    /// # Errors
    /// [`StoreError`].
    fn frames(
        &self,
        positions: &[Position],
    ) -> impl Future<Output = Result<Vec<Vec<u8>>, StoreError>>;

    /// Reads recorded frames that hold positions in `from..=to`, until their bytes are more than `max_bytes`, at least one
    /// if there is one. [`Direction::Forward`] begins at `from`, [`Direction::Backward`] at `to`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn range(
        &self,
        from: Position,
        to: Position,
        direction: Direction,
        max_bytes: usize,
    ) -> impl Future<Output = Result<Page, StoreError>>;

    /// What the directory says of the sealed segments whose first position is after this one, by first position.
    ///
    /// # Errors
    /// [`StoreError`].
    fn directory(
        &self,
        after: Position,
    ) -> impl Future<Output = Result<Vec<(Position, Vec<u8>)>, StoreError>>;

    /// The newest sealed segment's first position and what the directory says of it.
    ///
    /// # Errors
    /// [`StoreError`].
    fn last_sealed(&self) -> impl Future<Output = Result<Option<(Position, Vec<u8>)>, StoreError>>;

    /// Runs a compaction: checks that the covered keys are there, none of them sealed and no other between them, and that nothing
    /// was erased since they were read, then puts the segment and deletes what it covers. `false` if that is not so.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written unless [`StoreError::is_outcome_unknown`].
    fn compact(&self, compaction: Compaction) -> impl Future<Output = Result<bool, StoreError>>;

    /// Removes old segments, says so in the gaps and moves the generation on. `false` if the log has another epoch, or a frame begins at or before
    /// `through` and is not sealed.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written unless [`StoreError::is_outcome_unknown`].
    fn prune(&self, pruning: Pruning) -> impl Future<Output = Result<bool, StoreError>>;

    /// Writes snapshots. They never move backwards: `false` if the checkpoint is not of the log's epoch, lies after its
    /// end or before [`Erased::through`], the store keeps another part of the log, or one of the folds is there with a later checkpoint of the same epoch; and if a fold that is not whole is not
    /// there at its base, with as many buckets.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written unless [`StoreError::is_outcome_unknown`].
    fn save(&self, set: SnapshotSet) -> impl Future<Output = Result<bool, StoreError>>;

    /// Reads the snapshots of these folds. One that is not there, is of another epoch than the log or lies after its end is
    /// `None`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn snapshots(
        &self,
        folds: &[FoldName],
    ) -> impl Future<Output = Result<Vec<Option<StoredSnapshot>>, StoreError>>;

    /// Forgets all snapshots but those of these folds.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written unless [`StoreError::is_outcome_unknown`].
    fn forget(&self, all_but: &[FoldName]) -> impl Future<Output = Result<(), StoreError>>;

    /// How much it holds. Costs O(frames) at most.
    ///
    /// # Errors
    /// [`StoreError`].
    fn usage(&self) -> impl Future<Output = Result<Usage, StoreError>>;

    /// Reads the damaged frames that were moved out of the log.
    ///
    /// # Errors
    /// [`StoreError`].
    fn quarantined(&self) -> impl Future<Output = Result<Vec<Vec<u8>>, StoreError>>;

    /// Reads the frames of histories that the server has lost, behind a number, until their bytes are more than `max_bytes`,
    /// at least one if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    fn lost_after(
        &self,
        number: u64,
        max_bytes: usize,
    ) -> impl Future<Output = Result<LostPage, StoreError>>;

    /// All of them at once.
    ///
    /// # Errors
    /// [`StoreError`].
    fn lost(&self) -> impl Future<Output = Result<Vec<Vec<u8>>, StoreError>> {
        async {
            let page = self.lost_after(0, usize::MAX).await?;
            Ok(page.frames.into_iter().map(|lost| lost.frame).collect())
        }
    }
}
