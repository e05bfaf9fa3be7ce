//! Damage on disk: the log goes back to where it is intact, and the server sends the rest again.
//!
//! One transaction moves the damaged frame aside, removes what lies behind it and puts the cursor before it. From there
//! everything is a pull like any other, so no path of its own has to be right. Where there is no server, the frame is the only
//! copy: then nothing is touched. A state that was saved behind the damage is gone on from, and where there is none the error says
//! where the damage is.

use super::write::Sought;
use super::{Notice, Replica, ResetReason};
use crate::cursor::Cursor;
use crate::frame;
use crate::id::ReplicaId;
use crate::number::Position;
use crate::store::{Durability, Head, Loaded, StoreError, StoreOp, WriteBatch};
use alloc::vec::Vec;

/// A repair that waits for its transaction.
#[derive(Debug, Clone)]
pub(super) struct Repair {
    replica: ReplicaId,
    before: Head,
    cursor: Cursor,
    ops: Vec<StoreOp>,
}

impl Repair {
    pub(super) fn batch(&self) -> WriteBatch {
        WriteBatch {
            replica: self.replica,
            expected: self.before.generation,
            head: Head {
                cursor: self.cursor,
                generation: self.before.generation.next(),
                ..self.before
            },
            ops: self.ops.clone(),
            durability: Durability::Strict,
        }
    }
}

impl Replica {
    /// The frame that should follow is damaged. With a server the log is cut before it; if that was tried in vain, it is
    /// read again as a whole.
    ///
    /// # Errors
    /// `error`, if there is no server to send it again, and no state that stands for it.
    pub(super) fn cut_before_damage(
        &mut self,
        loaded: &Loaded,
        error: StoreError,
    ) -> Result<(), StoreError> {
        let here = self.head.cursor;
        if !self.config.sync || self.disk.repaired == Some(here.position) {
            return self.begin_anew_or(loaded, error);
        }
        let chain = match &self.last_frame {
            _ if self.chain_known => Some(here.chain),
            Some(frame) => frame::chain_after(frame.bytes()).ok(),
            None => None,
        };
        let Some(chain) = chain else {
            return self.begin_anew_or(loaded, error);
        };
        self.disk.repaired = Some(here.position);
        self.disk.repair = Some(Repair {
            replica: loaded.replica,
            before: loaded.head,
            cursor: Cursor { chain, ..here },
            ops: Vec::from([
                StoreOp::Quarantine {
                    first: here.position.next(),
                },
                StoreOp::TruncateLog {
                    after: here.position,
                    gaps: loaded.gaps.clone(),
                },
            ]),
        });
        Ok(())
    }

    /// Everything is pulled again.
    ///
    /// # Errors
    /// `error`, if there is no server to pull from, and no state that stands for what cannot be read.
    pub(super) fn begin_anew_or(
        &mut self,
        loaded: &Loaded,
        error: StoreError,
    ) -> Result<(), StoreError> {
        if !self.config.sync {
            return self.go_on_behind(error);
        }
        self.begin_anew(loaded);
        Ok(())
    }

    /// Nobody sends what is damaged: while the log is being opened, a state that was saved behind it is looked for, whoever saved it.
    fn go_on_behind(&mut self, error: StoreError) -> Result<(), StoreError> {
        let tried = core::mem::take(&mut self.disk.snapshot) == Sought::Absent;
        if tried || self.opened {
            self.disk.unread = None;
            return Err(error);
        }
        self.disk.snapshot = Sought::Wanted;
        self.disk.unread = Some(self.head.cursor.position.next());
        Ok(())
    }

    /// What is kept of the log cannot be used: all of it is pulled again.
    pub(super) fn begin_anew(&mut self, loaded: &Loaded) {
        self.disk.repair = Some(Repair {
            replica: loaded.replica,
            before: loaded.head,
            cursor: Cursor::default(),
            ops: Vec::from([StoreOp::ClearLog]),
        });
    }

    pub(super) fn repair_done(&mut self) {
        let Some(repair) = self.disk.repair.take() else {
            return;
        };
        self.disk.load = true;
        if repair.cursor.position < self.head.cursor.position {
            self.start_again(ResetReason::Damage);
        } else {
            // Exactly where this tab stands: the next load finds nothing behind it.
            self.head.cursor = repair.cursor;
            self.chain_known = true;
        }
        self.notices.push_back(Notice::Damaged {
            from: repair.cursor.position.next(),
            refetch: true,
        });
        self.status_changed();
    }

    /// A reader found a recorded frame that is damaged. With a server, the log is read again up to it, it is moved aside
    /// and the rest is pulled; the state begins again meanwhile. Without one nothing happens: it is the only copy.
    pub fn handle_damage(&mut self) {
        self.disk.damaged = self.config.sync && self.opened;
    }

    /// The answer to [`Notice::Erased`] of a host that folds everything again: all confirmed frames come again.
    pub const fn read_again(&mut self) {
        self.disk.again = self.opened;
    }

    /// Begins again for the sake of what a reader found, once nothing is under way that is about the state as it was.
    pub(super) fn look_for_damage(&mut self) {
        if core::mem::take(&mut self.disk.damaged) {
            self.start_again(ResetReason::Damage);
            self.disk.load = true;
        } else if core::mem::take(&mut self.disk.again) {
            self.start_again(ResetReason::Erased);
            self.disk.load = true;
        }
    }

    /// The last position that this device no longer keeps.
    pub(super) fn pruned(&self) -> Position {
        self.gaps
            .first()
            .filter(|gap| gap.from == Position::new(1))
            .map_or(Position::START, |gap| gap.to)
    }
}
