//! Starting from a snapshot instead of the beginning, and writing the next one.

use super::confirmed::Confirmed;
use super::heads::Ends;
use super::queue::State;
use super::write::{Busy, Sought};
use super::{Notice, Replica, ResetReason};
use crate::cursor::Cursor;
use crate::number::{Generation, Position};
use crate::snapshot::{HEADS, HEADS_VERSION};
use crate::store::{FoldName, FoldSnapshot, Loaded, StoreError, StoredSnapshot};
use alloc::string::String;

/// A snapshot that the next load goes on from.
#[derive(Debug)]
pub(super) struct Found {
    checkpoint: Cursor,
    ends: Ends,
    unfollowed: bool,
    erased: Generation,
}

impl Replica {
    /// Begins at a checkpoint, with what [`Replica::heads`] gave there as it was read from the store. Call it before the
    /// store is polled for the first time. Says whether it was taken: buckets that are no such thing change nothing. Nor does
    /// [a state](StoredSnapshot::unfollowed) that may hold what is gone: the log is read from its start, and where that is not to be had,
    /// [`Replica::handle_snapshot`] takes it.
    pub fn restore(&mut self, found: StoredSnapshot) -> bool {
        let (checkpoint, unfollowed, erased) = (found.checkpoint, found.unfollowed, found.erased);
        let fresh = !self.opened && self.disk.busy.is_none() && !unfollowed;
        let ends = Ends::restore(checkpoint.position, found.buckets, found.filled);
        let ends = ends.filter(|_| fresh);
        let taken = ends.is_some();
        if let Some(ends) = ends {
            self.filters.kept = found.filter;
            self.go_on_from(Found {
                checkpoint,
                ends,
                unfollowed,
                erased,
            });
        }
        taken
    }

    /// The answer to [`StoreRequest::Snapshot`](super::StoreRequest::Snapshot): the snapshot of Tidelog's own fold, its buckets
    /// opened, if there is one. Says whether they are of use: then a [`Notice::Reset`](super::Notice::Reset) comes that names the
    /// checkpoint, and the app's folds are to begin with their snapshots behind it.
    pub fn handle_snapshot(&mut self, found: Option<StoredSnapshot>) -> bool {
        if !matches!(self.disk.busy, Some(Busy::Snapshot)) {
            return false;
        }
        self.disk.busy = None;
        self.disk.load = true;
        self.disk.snapshot = Sought::Absent;
        let safe = self.knows_what_is_written();
        let here = self.head.cursor.position;
        let behind = |at: Position| at > here && at >= self.pruned();
        let found = found.filter(|found| safe && behind(found.checkpoint.position));
        // Under another filter, the next load begins anew anyway.
        let found = found.filter(|found| found.filter == self.filters.kept);
        let Some(StoredSnapshot {
            checkpoint,
            buckets,
            filled,
            unfollowed,
            erased,
            ..
        }) = found
        else {
            return false;
        };
        let Some(ends) = Ends::restore(checkpoint.position, buckets, filled) else {
            return false;
        };
        self.disk.snapshot = Sought::Found(checkpoint.position);
        self.found = Some(Found {
            checkpoint,
            ends,
            unfollowed,
            erased,
        });
        true
    }

    /// Goes on from the snapshot that was found, together with what the store now says is not confirmed: a commit is never
    /// in both.
    pub(super) fn jump(&mut self, loaded: &Loaded) -> Result<(), StoreError> {
        let Some(found) = self.found.take() else {
            return Ok(());
        };
        self.disk.snapshot = Sought::No;
        // A state of an older build is gone on from in its place, as it would have been when the log was opened.
        let reason = match (found.unfollowed, self.disk.unread) {
            (true, None) => ResetReason::Erased,
            _ => ResetReason::Damage,
        };
        self.start_again(reason);
        for notice in self.notices.iter_mut().rev() {
            if let Notice::Reset { after, .. } = notice {
                *after = found.checkpoint.position;
                break;
            }
        }
        if let Some(from) = self.disk.unread.take() {
            let refetch = false;
            self.notices.push_back(Notice::Damaged { from, refetch });
        }
        self.go_on_from(found);
        self.install_parked(loaded.parked.clone())?;
        self.install_pending(&loaded.pending)
    }

    /// Is of every commit in memory known whether it is on disk? If not, what a snapshot skips may hold it, and it must be
    /// looked for by its id.
    fn knows_what_is_written(&self) -> bool {
        let queued = self.queue.iter().all(|entry| {
            let fresh = entry.state == State::Unwritten && !entry.only_copy && !entry.revived;
            entry.location.is_some() || fresh
        });
        queued
            && self
                .departing
                .iter()
                .all(|departing| departing.location.is_some())
    }

    fn go_on_from(&mut self, found: Found) {
        let Found {
            checkpoint,
            ends,
            unfollowed,
            erased,
        } = found;
        self.erasing.begin(unfollowed, erased);
        self.confirmed = Confirmed::restored(ends, checkpoint.position);
        self.head.cursor = checkpoint;
        self.chain_known = true;
        self.rebuild_heads();
    }

    /// Where all streams end at the head's cursor, for a set of snapshots there: what has changed since the last set that
    /// was saved. `None` while the log is being read, or folds may hold what is to be erased. Costs O(streams that changed).
    pub fn heads(&mut self) -> Option<FoldSnapshot> {
        if !self.is_ready() || !self.chain_known || self.folds_hold_erased() {
            return None;
        }
        let (buckets, whole, changed) = self.confirmed.ends.unsaved();
        Some(FoldSnapshot {
            fold: heads_name(),
            buckets,
            changed,
            whole,
            base: self.confirmed.ends.base(),
        })
    }

    /// The set with what [`Replica::heads`] gave last is stored with this checkpoint; `None`: it is not, because the store has
    /// another one by now, and the next one has to be whole.
    pub fn heads_saved(&mut self, checkpoint: Option<Position>) {
        self.confirmed.ends.saved(checkpoint);
    }
}

/// The name and version of Tidelog's own fold.
#[must_use]
pub fn heads_name() -> FoldName {
    FoldName {
        name: String::from(HEADS),
        version: HEADS_VERSION,
    }
}
