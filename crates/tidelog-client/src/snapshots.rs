//! Snapshots of folds: installed when the log is opened, saved when the page is idle.
//!
//! A fold says its state as buckets of bytes; what they mean is its own business. Every set that is saved has
//! applied the log exactly up to its checkpoint, and holds where all streams end there, which the replica opens from.

use crate::error::ClientError;
use crate::log::Log;
use crate::reads::Boxed;
use crate::runtime::Runtime;
use std::collections::VecDeque;
use tidelog_core::replica::{Phase, heads_name};
use tidelog_core::store::{FoldName, FoldSnapshot, SnapshotSet, Store, StoredSnapshot};
use tidelog_core::{Position, snapshot};

/// So many events are worth a new set, and so many when the page may go away soon.
const DUE_EVENTS: u64 = 1_000;
const DUE_EVENTS_HIDDEN: u64 = 100;
/// About how many bytes of buckets are handed over at once.
const GROUP_BYTES: usize = 256 * 1024;

/// A part of a fold's stored state. Parts come before the first confirmed frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPart {
    /// Of which fold.
    pub fold: FoldName,
    /// What it has applied.
    pub position: Position,
    /// Over how many buckets it is spread.
    pub count: u32,
    /// Some of those that are not empty, as they were saved.
    pub buckets: Vec<Vec<u8>>,
    /// Was that the last of them?
    pub last: bool,
}

/// A fold's state as it is to be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldState {
    /// Of which fold.
    pub fold: FoldName,
    /// Over how many buckets it is spread: a power of two is best, as a key's bucket then changes least.
    pub buckets: u32,
    /// Forget what is stored: `changed` holds every bucket that is not empty.
    pub whole: bool,
    /// The buckets that changed since the last set, by number.
    pub changed: Vec<(u32, Vec<u8>)>,
}

/// What a tab knows of the stored snapshots.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// The newest checkpoint that this tab has read or saved.
    pub(crate) newest: Position,
    /// Up to here every fold of this app has a snapshot, so older events can be pruned.
    pub(crate) covered: Position,
    /// The checkpoint of each stored fold, as far as this tab knows: changes are changes of that.
    bases: Vec<(FoldName, Position)>,
    /// To be handed to the host.
    parts: VecDeque<SnapshotPart>,
    /// To be handed to the host when it has been told that the log begins again behind them.
    held: VecDeque<SnapshotPart>,
    /// The page is not visible, so it may end at any time.
    pub(crate) hidden: bool,
    /// A set is being written.
    saving: bool,
}

impl Log {
    /// The next part of a stored state, to be taken before [`Log::poll_notice`] is asked.
    pub fn poll_snapshot(&self) -> Option<SnapshotPart> {
        self.runtime.stored.borrow_mut().parts.pop_front()
    }

    /// The position at which this tab should now save its folds; `None` if it should not: another tab leads, the log is not
    /// caught up or is being written, or too little is new. Take everything that [`Log::poll_notice`] gives first.
    #[must_use]
    pub fn snapshot_due(&self) -> Option<Position> {
        let position = self.snapshot_now()?;
        let stored = self.runtime.stored.borrow();
        let worth = if stored.hidden {
            DUE_EVENTS_HIDDEN
        } else {
            DUE_EVENTS
        };
        let new = position.value().saturating_sub(stored.newest.value());
        (new >= worth).then_some(position)
    }

    /// As [`Log::snapshot_due`], however little is new.
    #[must_use]
    pub fn snapshot_now(&self) -> Option<Position> {
        let replica = self.runtime.replica.borrow();
        let position = replica.head().cursor.position;
        // What is to be erased may be in the folds.
        let busy = replica.is_storing() || replica.is_to_erase();
        let idle = replica.backlog() == 0 && !busy;
        (self.runtime.options.snapshots && idle && self.runtime.leads() && position.value() > 0)
            .then_some(position)
    }

    /// Waits until nothing is being written and nothing waits to be: [`Log::snapshot_now`] says none meanwhile. Take what
    /// [`Log::poll_notice`] gives afterwards.
    pub async fn at_rest(&self) {
        self.runtime.settled().await;
    }

    /// Saves the states of all folds of the app as one set. Each must have applied exactly the events up to `position`. False
    /// if it was not written, because the log has gone on or another tab was faster: then try again when the next
    /// one is due, with everything that has changed since the last set that was written.
    ///
    /// ```no_run
    /// use tidelog_client::{ClientError, FoldState, Log};
    ///
    /// async fn save(log: &Log, state: impl Fn() -> Vec<FoldState>) -> Result<bool, ClientError> {
    ///     match log.snapshot_due() {
    ///         Some(position) => log.save_snapshot(position, state()).await,
    ///         None => Ok(false),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Store`] if it cannot be written.
    pub async fn save_snapshot(
        &self,
        position: Position,
        folds: Vec<FoldState>,
    ) -> Result<bool, ClientError> {
        let set = {
            if self.runtime.stored.borrow().saving {
                return Ok(false);
            }
            let mut replica = self.runtime.replica.borrow_mut();
            let checkpoint = replica.head().cursor;
            if checkpoint.position != position || position == Position::START {
                return Ok(false);
            }
            let id = replica.id();
            let Some(heads) = replica.heads() else {
                return Ok(false);
            };
            let stored = self.runtime.stored.borrow();
            let folds = folds.into_iter().map(|fold| FoldSnapshot {
                base: stored.base(&fold.fold),
                fold: fold.fold,
                buckets: fold.buckets,
                whole: fold.whole,
                changed: fold.changed,
            });
            let folds = std::iter::once(heads).chain(folds).map(sealed).collect();
            SnapshotSet {
                replica: id,
                checkpoint,
                filter: replica.filter().clone(),
                folds,
            }
        };
        let names: Vec<FoldName> = set.folds.iter().map(|fold| fold.fold.clone()).collect();
        let all = self.runtime.options.folds.iter();
        let complete = all.clone().all(|fold| names.contains(fold));
        let store = self.runtime.store()?;
        self.runtime.stored.borrow_mut().saving = true;
        let saved = store.save(set).await;
        self.runtime.stored.borrow_mut().saving = false;
        let saved = saved?;
        let checkpoint = saved.then_some(position);
        self.runtime.replica.borrow_mut().heads_saved(checkpoint);
        if saved {
            let mut stored = self.runtime.stored.borrow_mut();
            stored.newest = stored.newest.max(position);
            stored.bases.retain(|(fold, _)| !names.contains(fold));
            let known = names.into_iter().map(|fold| (fold, position));
            stored.bases.extend(known);
            if complete {
                stored.covered = stored.covered.max(position);
            }
            drop(stored);
            self.runtime.retain_soon();
        }
        Ok(saved)
    }

    /// Forgets all snapshots: the log is replayed when it is opened the next time.
    ///
    /// # Errors
    /// [`ClientError::Store`] if they cannot be deleted.
    pub async fn forget_snapshots(&self) -> Result<(), ClientError> {
        self.runtime.store()?.forget(&[]).await?;
        self.runtime.replica.borrow_mut().heads_saved(None);
        let mut stored = self.runtime.stored.borrow_mut();
        stored.newest = Position::START;
        stored.covered = Position::START;
        stored.bases.clear();
        Ok(())
    }
}

fn sealed(mut fold: FoldSnapshot) -> FoldSnapshot {
    for (_, bytes) in &mut fold.changed {
        *bytes = snapshot::seal(bytes);
    }
    fold
}

/// A snapshot with its buckets as they were given to [`snapshot::seal`]; `None` if one is damaged.
fn opened(mut stored: StoredSnapshot) -> Option<StoredSnapshot> {
    for (_, bytes) in &mut stored.filled {
        let seal = bytes.len() - snapshot::open(bytes)?.len();
        bytes.drain(..seal);
    }
    Some(stored)
}

impl Runtime {
    /// May this tab do what one tab does for all?
    pub(crate) fn leads(&self) -> bool {
        let replica = self.replica.borrow();
        let status = replica.status();
        let settled = matches!(
            status.phase,
            Phase::Local | Phase::Live | Phase::Offline | Phase::Blocked
        );
        replica.is_ready() && status.leader && settled && status.store_error.is_none()
    }

    /// Starts the replica at the newest checkpoint and keeps the folds' states for the host. A fold whose snapshot is missing,
    /// damaged or ahead of the checkpoint gets none.
    pub(crate) async fn install_snapshots(&self) -> Result<(), ClientError> {
        let Some((heads, found)) = self.read_snapshots().await? else {
            return Ok(());
        };
        let position = heads.checkpoint.position;
        let taken = self.replica.borrow_mut().restore(heads);
        if taken {
            let parts = self.know(position, found);
            self.stored.borrow_mut().parts = parts;
        }
        Ok(())
    }

    /// The same for a tab that runs already and is behind what the log on disk begins with.
    pub(crate) async fn find_snapshots(&self) {
        // What cannot be read is as good as not there.
        let found = match self.options.snapshots {
            true => self.read_snapshots().await.unwrap_or_default(),
            false => None,
        };
        let (heads, found) = found.unzip();
        let position = heads.as_ref().map(|heads| heads.checkpoint.position);
        let taken = self.replica.borrow_mut().handle_snapshot(heads);
        if let (true, Some(position), Some(found)) = (taken, position, found) {
            let parts = self.know(position, found);
            self.stored.borrow_mut().held = parts;
        }
    }

    /// The ends of all streams, if there is a snapshot of them, and what there is of the app's folds.
    fn read_snapshots(&self) -> Boxed<'_, Option<(StoredSnapshot, Found)>> {
        Box::pin(self.look_for_snapshots())
    }

    async fn look_for_snapshots(&self) -> Result<Option<(StoredSnapshot, Found)>, ClientError> {
        let mut names = vec![heads_name()];
        names.extend(self.options.folds.iter().cloned());
        let mut found = self.store()?.snapshots(&names).await?.into_iter();
        let Some(heads) = found.next().flatten() else {
            return Ok(None);
        };
        let found: Found = found.collect();
        let Some(mut heads) = opened(heads) else {
            return Ok(None);
        };
        heads.unfollowed |= found.iter().flatten().any(|fold| fold.unfollowed);
        Ok(Some((heads, found)))
    }

    /// Remembers what is stored. Gives the states that can be used.
    fn know(&self, checkpoint: Position, found: Found) -> VecDeque<SnapshotPart> {
        let mut stored = self.stored.borrow_mut();
        stored.newest = checkpoint;
        stored.covered = checkpoint;
        stored.bases.clear();
        let mut parts = VecDeque::new();
        for (fold, snapshot) in self.options.folds.iter().zip(found) {
            let usable = snapshot
                .filter(|found| found.checkpoint.position <= checkpoint)
                .and_then(opened);
            match usable {
                Some(found) => {
                    let position = found.checkpoint.position;
                    stored.covered = stored.covered.min(position);
                    stored.bases.push((fold.clone(), position));
                    let whole = SnapshotPart {
                        fold: fold.clone(),
                        position,
                        count: found.buckets,
                        buckets: found.filled.into_iter().map(|(_, bytes)| bytes).collect(),
                        last: true,
                    };
                    push_parts(&mut parts, whole);
                }
                None => stored.covered = Position::START,
            }
        }
        parts
    }
}

impl Stored {
    fn base(&self, fold: &FoldName) -> Position {
        let known = self.bases.iter().find(|(known, _)| known == fold);
        known.map_or(Position::START, |(_, position)| *position)
    }

    /// The host is told that the log begins again, from behind these snapshots if that is so.
    pub(crate) fn begin_again(&mut self, after: Position) {
        self.parts = match after {
            Position::START => VecDeque::new(),
            _ => std::mem::take(&mut self.held),
        };
        if after == Position::START {
            self.newest = Position::START;
            self.covered = Position::START;
        }
    }
}

type Found = Vec<Option<StoredSnapshot>>;

/// Cuts a state into parts of about [`GROUP_BYTES`].
fn push_parts(parts: &mut VecDeque<SnapshotPart>, whole: SnapshotPart) {
    let mut group = Vec::new();
    let mut bytes = 0;
    for bucket in whole.buckets {
        if bytes + bucket.len() > GROUP_BYTES && !group.is_empty() {
            parts.push_back(SnapshotPart {
                fold: whole.fold.clone(),
                buckets: std::mem::take(&mut group),
                last: false,
                ..whole
            });
            bytes = 0;
        }
        bytes += bucket.len();
        group.push(bucket);
    }
    parts.push_back(SnapshotPart {
        buckets: group,
        ..whole
    });
}
