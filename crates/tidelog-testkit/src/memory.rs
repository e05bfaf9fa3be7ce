//! A store in memory: the contract of [`Store`] without a browser.
//!
//! One [`MemoryDatabase`] stands for the database of a device; each [`MemoryStore`] it opens is one tab's connection.
//! A write happens whole or not at all, at once, in the call that polls it. Faults are injected into the database by
//! a [`FaultPlan`], which counts the writes of all its handles.
//!
//! ```
//! use tidelog_core::ReplicaId;
//! use tidelog_core::store::{Store, StoreError};
//! use tidelog_core::Position;
//! use tidelog_testkit::memory::MemoryDatabase;
//!
//! let database = MemoryDatabase::default();
//! let tab = database.open(ReplicaId::from_bytes([7; 16]));
//! let other_tab = database.open(ReplicaId::from_bytes([8; 16]));
//! assert_eq!(other_tab.replica(), tab.replica(), "the database has one replica id");
//!
//! database.wipe();
//! let load = tidelog_testkit::block_on(tab.load(Position::START, 1024));
//! assert_eq!(load, Err(StoreError::Wiped));
//! ```

mod content;
mod factory;
mod fault;

pub use factory::MemoryFactory;
pub use fault::{Fault, FaultPlan};

use content::Content;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tidelog_core::store::{
    Compaction, Direction, FoldName, Head, Loaded, LostPage, Page, Pruning, SnapshotSet, Store,
    StoreError, StoredSnapshot, Usage, WriteBatch, Written,
};
use tidelog_core::{Position, ReplicaId};

/// A database that any number of handles share. A clone is the same database.
#[derive(Debug, Clone, Default)]
pub struct MemoryDatabase {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Absent before the first opening and after a wipe.
    content: Option<Content>,
    /// How often it was wiped: a handle of an earlier life must not write into a later one.
    life: u64,
    faults: FaultPlan,
}

/// One connection to a [`MemoryDatabase`], as a tab has it.
#[derive(Debug)]
pub struct MemoryStore {
    database: MemoryDatabase,
    replica: ReplicaId,
    life: u64,
    gone: Mutex<Option<StoreError>>,
}

impl MemoryDatabase {
    /// Opens a handle. `replica` becomes the database's replica id if it is new or was wiped.
    #[must_use]
    pub fn open(&self, replica: ReplicaId) -> MemoryStore {
        let mut shared = lock(&self.shared);
        let replica = shared
            .content
            .get_or_insert_with(|| Content::new(replica))
            .replica();
        let life = shared.life;
        MemoryStore {
            database: self.clone(),
            replica,
            life,
            gone: Mutex::default(),
        }
    }

    /// Replaces the plan of faults; the next write of any handle is its first.
    pub fn inject(&self, faults: FaultPlan) {
        lock(&self.shared).faults = faults;
    }

    /// Deletes everything, as a browser does that needs room. Open handles say [`StoreError::Wiped`] from now on; the
    /// next opening finds a new database.
    pub fn wipe(&self) {
        lock(&self.shared).wipe();
    }
}

impl Shared {
    fn wipe(&mut self) {
        self.content = None;
        self.life += 1;
    }

    fn content(&mut self, life: u64) -> Result<&mut Content, StoreError> {
        let same_life = self.life == life;
        self.content
            .as_mut()
            .filter(|_| same_life)
            .ok_or(StoreError::Wiped)
    }
}

impl MemoryStore {
    /// The database's replica id when this handle was opened.
    #[must_use]
    pub const fn replica(&self) -> ReplicaId {
        self.replica
    }

    /// Closes the handle: every later call says [`StoreError::Closed`].
    pub fn close(&self) {
        self.end(StoreError::Closed);
    }

    /// Breaks the connection: every later call says [`StoreError::ConnectionLost`]. Nothing stored is touched.
    pub fn lose_connection(&self) {
        self.end(connection_lost());
    }

    /// [`Store::write`] in one call, for a driver that is not asynchronous.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_now(&self, batch: &WriteBatch) -> Result<Written, StoreError> {
        // The head is a record too.
        self.transact(batch.ops.len() + 1, |content| content.write(batch))
    }

    /// [`Store::load`] in one call, for a driver that is not asynchronous.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub fn load_now(&self, after: Position, max_bytes: usize) -> Result<Loaded, StoreError> {
        self.read(|content| content.load(after, max_bytes))
    }

    /// Runs a transaction that writes, or the fault that is planned for it.
    fn transact<T>(
        &self,
        steps: usize,
        run: impl FnOnce(&mut Content) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.check_open()?;
        let mut shared = lock(&self.database.shared);
        let life = self.life;
        let result = match shared.faults.next() {
            Some(Fault::StopAfter(stop)) if stop < steps as u64 => Err(connection_lost()),
            None | Some(Fault::StopAfter(_)) => shared.content(life).and_then(run),
            Some(Fault::AppliedThenLost) => shared
                .content(life)
                .and_then(run)
                .and(Err(connection_lost())),
            Some(Fault::Lost) => Err(connection_lost()),
            Some(Fault::Fail(StoreError::Wiped)) => {
                shared.wipe();
                Err(StoreError::Wiped)
            }
            Some(Fault::Fail(error)) => Err(error),
        };
        drop(shared);
        result.inspect_err(|error| self.note(error))
    }

    fn read<T>(&self, read: impl FnOnce(&Content) -> T) -> Result<T, StoreError> {
        self.check_open()?;
        lock(&self.database.shared)
            .content(self.life)
            .map(|content| read(content))
            .inspect_err(|error| self.note(error))
    }

    fn check_open(&self) -> Result<(), StoreError> {
        lock(&self.gone).clone().map_or(Ok(()), Err)
    }

    /// A lost connection stays lost, a wiped database stays wiped: only opening again helps.
    fn note(&self, error: &StoreError) {
        if matches!(error, StoreError::ConnectionLost { .. } | StoreError::Wiped) {
            self.end(error.clone());
        }
    }

    fn end(&self, why: StoreError) {
        lock(&self.gone).get_or_insert(why);
    }
}

impl Store for MemoryStore {
    async fn write(&self, batch: WriteBatch) -> Result<Written, StoreError> {
        self.write_now(&batch)
    }

    async fn head(&self) -> Result<(ReplicaId, Head), StoreError> {
        self.read(Content::head)
    }

    async fn load(&self, after: Position, max_bytes: usize) -> Result<Loaded, StoreError> {
        self.load_now(after, max_bytes)
    }

    async fn frames(&self, positions: &[Position]) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read(|content| content.frames(positions))
    }

    async fn range(
        &self,
        from: Position,
        to: Position,
        direction: Direction,
        max_bytes: usize,
    ) -> Result<Page, StoreError> {
        self.read(|content| content.range(from, to, direction, max_bytes))
    }

    async fn directory(&self, after: Position) -> Result<Vec<(Position, Vec<u8>)>, StoreError> {
        self.read(|content| content.directory(after))
    }

    async fn last_sealed(&self) -> Result<Option<(Position, Vec<u8>)>, StoreError> {
        self.read(Content::last_sealed)
    }

    async fn compact(&self, compaction: Compaction) -> Result<bool, StoreError> {
        // What it covers goes at once; the segment and its directory record come.
        let steps = usize::from(compaction.segment.is_some()) * 2
            + usize::from(compaction.directory.is_some());
        self.transact(steps, |content| content.compact(&compaction))
    }

    async fn prune(&self, pruning: Pruning) -> Result<bool, StoreError> {
        // Frames, directory, gaps, head.
        self.transact(4, |content| content.prune(&pruning))
    }

    async fn save(&self, set: SnapshotSet) -> Result<bool, StoreError> {
        let steps = set.folds.iter().map(|fold| 1 + fold.changed.len()).sum();
        self.transact(steps, |content| content.save(&set))
    }

    async fn snapshots(
        &self,
        folds: &[FoldName],
    ) -> Result<Vec<Option<StoredSnapshot>>, StoreError> {
        self.read(|content| content.snapshots(folds))
    }

    async fn forget(&self, all_but: &[FoldName]) -> Result<(), StoreError> {
        self.transact(1, |content| {
            content.forget(all_but);
            Ok(())
        })
    }

    async fn usage(&self) -> Result<Usage, StoreError> {
        self.read(Content::usage)
    }

    async fn quarantined(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read(Content::quarantined)
    }

    async fn lost_after(&self, number: u64, max_bytes: usize) -> Result<LostPage, StoreError> {
        self.read(|content| content.lost_after(number, max_bytes))
    }
}

fn connection_lost() -> StoreError {
    StoreError::ConnectionLost {
        detail: "injected by a test".into(),
    }
}

/// A panic in another test's thread must not hide what this one finds.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
