//! The server has another history of the log: it was restored from a backup, or replaced.
//!
//! Everything is read again from the beginning. What this replica appended goes back to pending, so that what the server
//! lost is sent again and what it still has is recognised by id; every frame of the old history is kept aside as `lost`,
//! because it may hold others' events that exist nowhere else.
//!
//! Erasures that wait are followed in the same transaction, also in what earlier histories left: the events that ask for them may be lost
//! with this one, and nobody would say it again.

use super::erasing::Erasing;
use super::frames::{Frames, put_outcomes, settle};
use super::write::Busy;
use super::{Replica, ResetReason, StoreRequest};
#[cfg(feature = "canaries")]
use crate::canary::Canary;
use crate::commit::{Local, Policy};
use crate::cursor::Cursor;
use crate::frame::{self, Body};
use crate::map::Map;
use crate::store::{Durability, LostFrame, StoreOp};
use alloc::borrow::Cow;
use alloc::vec::Vec;

#[derive(Debug, Clone)]
pub(super) enum Rewind {
    No,
    Wanted,
    Ready(Old),
}

/// What there is of the history that is left.
#[derive(Debug, Clone)]
pub(super) struct Old {
    log: Vec<Vec<u8>>,
    /// What histories before it left, if it was read.
    lost: Option<Vec<LostFrame>>,
}

impl Rewind {
    pub(super) const fn is_no(&self) -> bool {
        matches!(self, Self::No)
    }

    /// Payloads were erased since the log was read: what was read holds them.
    pub(super) fn read_anew(&mut self) {
        if matches!(self, Self::Ready(_)) {
            *self = Self::Wanted;
        }
    }
}

impl Replica {
    pub(super) fn rewind_request(&mut self) -> Option<StoreRequest> {
        match core::mem::replace(&mut self.sync.rewind, Rewind::No) {
            Rewind::No => None,
            Rewind::Wanted => {
                self.sync.rewind = Rewind::Wanted;
                self.disk.busy = Some(Busy::Log);
                Some(StoreRequest::Log)
            }
            Rewind::Ready(old) if self.is_whole_log(&old.log) => {
                let erasing = self.erasing_of(&old.log);
                if old.lost.is_none() && !erasing.is_empty() {
                    self.sync.rewind = Rewind::Ready(old);
                    self.disk.busy = Some(Busy::Lost);
                    return Some(StoreRequest::Lost);
                }
                Some(self.rewind(old, erasing))
            }
            Rewind::Ready(_) => {
                self.sync.rewind = Rewind::Wanted;
                self.rewind_request()
            }
        }
    }

    /// The answer to [`StoreRequest::Log`].
    pub fn handle_frames(&mut self, frames: Vec<Vec<u8>>) {
        if matches!(self.disk.busy, Some(Busy::Log)) {
            self.disk.busy = None;
            if self.is_whole_log(&frames) {
                self.sync.rewind = Rewind::Ready(Old {
                    log: frames,
                    lost: None,
                });
            } else {
                // Another tab wrote in between: look again first.
                self.sync.rewind = Rewind::Wanted;
                self.disk.load = true;
            }
        }
    }

    /// The answer to [`StoreRequest::Lost`].
    pub fn handle_lost(&mut self, frames: Vec<LostFrame>) {
        if matches!(self.disk.busy, Some(Busy::Lost)) {
            self.disk.busy = None;
            if let Rewind::Ready(old) = &mut self.sync.rewind {
                old.lost = Some(frames);
            }
        }
    }

    /// Do these frames follow each other from the oldest that is kept to the cursor? One that is damaged says nothing of
    /// where it ends; its bytes are kept with the others.
    fn is_whole_log(&self, frames: &[Vec<u8>]) -> bool {
        let mut end = Some(self.pruned());
        for bytes in frames {
            let header = frame::header(bytes).ok();
            let fits = match (&header, end) {
                (Some(header), Some(end)) => header.first_position() == end.next(),
                _ => true,
            };
            if !fits {
                return false;
            }
            end = header.map(|header| header.last_position());
        }
        end.is_none_or(|end| end == self.head.cursor.position)
    }

    fn rewind(&mut self, old: Old, mut erasing: Erasing) -> StoreRequest {
        let mut head = self.head;
        head.cursor = Cursor::default();
        let mut pending = Frames::default();
        let mut ops = Vec::new();
        let log: Vec<Vec<u8>> = old
            .log
            .into_iter()
            .map(|bytes| erasing.without(&bytes).ok().flatten().unwrap_or(bytes))
            .collect();
        if let Some(lost) = old.lost {
            for LostFrame { number, frame } in lost {
                // One of a newer format is of a build that erases in it.
                let _newer = erasing.take_lost(number, &frame);
            }
            ops.push(erasing.lost());
        }
        ops.push(StoreOp::ClearLog);
        for bytes in log {
            if frame::header(&bytes).is_ok_and(|header| header.recorded && header.commits == 0) {
                // Gaps only: nobody's events.
                continue;
            }
            if let Ok(decoded) = frame::decode(&bytes)
                && let Body::Recorded(commits) = decoded.body
            {
                for recorded in commits {
                    let known = self
                        .queue
                        .iter()
                        .any(|entry| entry.id() == recorded.commit.id);
                    #[cfg(feature = "canaries")]
                    let known = known || self.config.canary == Some(Canary::RewindForgetsOwn);
                    // Without its payload it is no commit that could be sent, and what was erased elsewhere and imported here a
                    // server does not take from a device; it stays among what was lost.
                    let sendable = recorded.commit.check().is_ok();
                    if recorded.commit.replica == self.id && sendable && !known {
                        let mut commit = recorded.commit;
                        commit.seq = head.next_seq;
                        // Its command is gone, so a conflict is for a person to decide.
                        let local = Local {
                            commit,
                            command: None,
                            policy: Policy::Ask,
                        };
                        pending.push(head.next_seq, Cow::Owned(local));
                        head.next_seq = head.next_seq.next();
                    }
                }
            }
            ops.push(StoreOp::AddLost { frame: bytes });
        }
        // What the old history had not confirmed comes after what it had, and is sent again even if it was acked.
        let mut outcomes = Map::new();
        for entry in &self.queue {
            if entry.location.is_some() {
                settle(&self.pending, &mut outcomes, entry.location);
                let mut local = entry.local.clone();
                local.commit.replica = self.id;
                local.commit.seq = head.next_seq;
                pending.push(head.next_seq, Cow::Owned(local));
                head.next_seq = head.next_seq.next();
            }
        }
        ops.extend(put_outcomes(outcomes));
        ops.extend(pending.finish());
        let (batch, ops, head) = self.batch(head, ops, Durability::Strict);
        self.disk.busy = Some(Busy::Rewind { ops, head });
        StoreRequest::Write(batch)
    }

    /// The old history is aside: begin again, with what the store now says is pending.
    pub(super) fn rewound(&mut self, reason: ResetReason) {
        let head = self.head;
        let pending = core::mem::take(&mut self.pending);
        self.start_again(reason);
        self.head = head;
        self.pending = pending;
        self.disk.load = true;
    }
}
