//! The server has another history of the log: it was restored from a backup, or replaced.
//!
//! Everything is read again from the beginning. What this replica appended goes back to pending, so that what the server
//! lost is sent again and what it still has is recognised by id; every frame of the old history is kept aside as `lost`,
//! because it may hold others' events that exist nowhere else.

use super::frames::{Frames, put_outcomes, settle};
use super::write::Busy;
use super::{Replica, ResetReason, StoreRequest};
#[cfg(feature = "canaries")]
use crate::canary::Canary;
use crate::commit::{Local, Policy};
use crate::cursor::Cursor;
use crate::frame::{self, Body};
use crate::map::Map;
use crate::store::{Durability, StoreOp};
use alloc::borrow::Cow;
use alloc::vec::Vec;

#[derive(Debug, Clone)]
pub(super) enum Rewind {
    No,
    Wanted,
    Ready(Vec<Vec<u8>>),
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
            Rewind::Ready(old) if self.is_whole_log(&old) => Some(self.rewind(old)),
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
                self.sync.rewind = Rewind::Ready(frames);
            } else {
                // Another tab wrote in between: look again first.
                self.sync.rewind = Rewind::Wanted;
                self.disk.load = true;
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

    fn rewind(&mut self, old: Vec<Vec<u8>>) -> StoreRequest {
        let mut head = self.head;
        head.cursor = Cursor::default();
        let mut pending = Frames::default();
        let mut ops = Vec::from([StoreOp::ClearLog]);
        // What waits to be erased was said by events that are lost themselves, maybe: nobody would say it again.
        let mut erasing = self.erasing_all();
        for bytes in old {
            let bytes = erasing.without(&bytes).ok().flatten().unwrap_or(bytes);
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
