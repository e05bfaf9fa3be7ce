//! A log without a server: this device gives the positions.
//!
//! Commits become durable as pending frames, as always. Then the tab that leads confirms them in local order, by the
//! same transaction that takes in a pulled page: it adds them to the log, settles them and moves the head. So positions,
//! versions, chain and history mean the same as with a server, and a server that is added later finds another epoch: then
//! all of this device's own commits go back to pending and are pushed.

use super::pull::{Page, PageFrame};
use super::queue::State;
use super::{InconsistentLog, Replica};
use crate::commit::{Commit, Recorded, StreamVersions};
use crate::cursor::Cursor;
use crate::frame;
use crate::id::Epoch;
use crate::limits::{FRAME_TARGET_BYTES, SEGMENT_TARGET_BYTES};
use crate::map::StreamMap;
use crate::number::{Seq, Timestamp, Version};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Confirming waits until so long nothing more has become durable, because it would only hold up what is being appended;
/// but not for ever, and not if there are many.
const WAIT_MILLIS: i64 = 50;
const MOST_MILLIS: i64 = 1_000;
const MANY: usize = 1_000;
/// About so many bytes one transaction confirms.
const MAX_BYTES: usize = 1024 * 1024;

/// Why events could not be taken in as they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Only a log of this device gives positions by itself; to a server's log events are appended.
    #[error(
        "this log is synced with a server, which gives the positions: append the events instead"
    )]
    Synced,
    /// The log is opening, closed, or still writing what came before. Wait until the store is idle and try again.
    #[error("the log is busy with what came before; try again when that is written")]
    Busy,
    /// The frames do not continue what is here.
    #[error("{0}")]
    Mismatch(#[from] InconsistentLog),
}

impl Replica {
    /// Takes recorded frames into a log of this device, as they are. They must continue it: positions, versions and chain are
    /// checked as those of a pull. They are durable when the write that [`Replica::poll_store`] gives next is done.
    ///
    /// # Errors
    /// [`ImportError`]; nothing has changed.
    pub fn import(&mut self, frames: Vec<Vec<u8>>) -> Result<(), ImportError> {
        self.check_import()?;
        let mut page = self.check_page(frames)?;
        page.only_copy = true;
        self.sync.page = Some(page).filter(|page| !page.frames.is_empty());
        Ok(())
    }

    /// Takes commits into a log of this device, behind all that is confirmed; their conditions are not looked at. What another
    /// log had erased stays so, and what says so is followed here. They are durable when the write that [`Replica::poll_store`] gives next is done.
    ///
    /// # Errors
    /// [`ImportError`]; nothing has changed.
    pub fn record(&mut self, now: Timestamp, commits: Vec<Commit>) -> Result<(), ImportError> {
        self.check_import()?;
        if commits
            .iter()
            .any(|commit| commit.check_recorded().is_err())
        {
            return Err(ImportError::Mismatch(InconsistentLog::Invalid {
                detail: String::from("a commit is not valid"),
            }));
        }
        let mut page = self.admit(now, commits, true)?;
        page.only_copy = true;
        self.sync.page = Some(page).filter(|page| !page.frames.is_empty());
        Ok(())
    }

    fn check_import(&self) -> Result<(), ImportError> {
        if self.config.sync {
            return Err(ImportError::Synced);
        }
        let busy = self.disk.busy.is_some()
            || self.disk.load
            || self.disk.reopen
            || self.sync.page.is_some()
            || !self.queue.is_empty()
            || !self.departing.is_empty();
        if self.check_open().is_err() || busy {
            return Err(ImportError::Busy);
        }
        Ok(())
    }

    /// Confirms what is durable, if this tab leads a log without a server and it is time.
    pub(super) fn confirm_here(&mut self, now: Timestamp) {
        if self.config.sync
            || !self.sync.leader
            || self.closed
            || self.sync.page.is_some()
            || !self.is_judged()
        {
            return;
        }
        // In order: nothing overtakes a commit that is still on its way to the disk.
        let durable = self
            .queue
            .iter()
            .take_while(|entry| entry.state == State::Pending);
        let count = durable.clone().count();
        if count == 0 {
            self.disk.confirm_at = None;
            self.disk.durable = None;
            return;
        }
        let (begun, known) = self.disk.durable.unwrap_or((now, 0));
        if known != count {
            self.disk.durable = Some((begun, count));
            let latest = begun.plus_millis(MOST_MILLIS);
            self.disk.confirm_at = Some(now.plus_millis(WAIT_MILLIS).min(latest));
        }
        let at = self.disk.confirm_at.unwrap_or(now);
        // A clock that was set back does not hold it up.
        if at > now && now.plus_millis(WAIT_MILLIS) >= at && count < MANY {
            return;
        }
        let mut bytes = 0;
        let commits = durable.map(|entry| entry.local.commit.clone());
        let commits = commits.take_while(|commit| {
            let fits = bytes < MAX_BYTES;
            bytes += commit.weight();
            fits
        });
        let commits: Vec<Commit> = commits.collect();
        if let Ok(page) = self.admit(now, commits, false) {
            self.disk.confirm_at = None;
            self.disk.durable = None;
            self.sync.page = Some(page);
        }
    }

    /// Gives commits the next positions and versions. `many`: in frames that are segments at once, so that no compaction
    /// has to write them again.
    fn admit(
        &self,
        now: Timestamp,
        commits: Vec<Commit>,
        many: bool,
    ) -> Result<Page, InconsistentLog> {
        let mut cursor = self.head.cursor;
        if cursor.epoch == Epoch::default() {
            cursor.epoch = self.config.epoch;
        }
        let mut page = Page {
            frames: Vec::new(),
            after: self.head.cursor,
            cursor,
            only_copy: false,
        };
        let mut heads: StreamMap<Version> = StreamMap::default();
        let mut run = Vec::new();
        let mut bytes = 0;
        let target = if many {
            let all: usize = commits.iter().map(encoded_bytes).sum();
            // Equal parts, so that no small one is left over.
            all / (all / SEGMENT_TARGET_BYTES).max(1)
        } else {
            FRAME_TARGET_BYTES
        };
        let mut begin = cursor;
        for mut commit in commits {
            if bytes >= target {
                page.frames.push(page_frame(begin, &run, many)?);
                run.clear();
                bytes = 0;
                begin = cursor;
            }
            bytes += encoded_bytes(&commit);
            if commit.replica == Default::default() {
                commit.replica = self.id;
                commit.seq = Seq::default();
            }
            let versions = commit.written();
            let versions = versions.into_iter().map(|(stream, count)| {
                let last = heads.get(stream).copied();
                let before = last.or_else(|| self.confirmed.head(stream).map(|head| head.version));
                let before = before.unwrap_or(Version::NONE);
                heads.insert(stream.clone(), before.plus(count));
                StreamVersions {
                    stream: stream.clone(),
                    first: before.next(),
                    last: before.plus(count),
                }
            });
            let versions = versions.collect();
            let recorded = Recorded {
                position: cursor.position.next(),
                recorded_at: now,
                actor: None,
                versions,
                commit,
            };
            cursor = Cursor {
                position: recorded.last_position(),
                chain: cursor.chain.after(&recorded),
                ..cursor
            };
            run.push(recorded);
        }
        if !run.is_empty() {
            page.frames.push(page_frame(begin, &run, many)?);
        }
        page.cursor = cursor;
        Ok(page)
    }
}

/// About how many bytes a commit takes in a frame.
fn encoded_bytes(commit: &Commit) -> usize {
    let payloads = commit
        .events
        .iter()
        .map(|event| event.data.text().map_or(32, str::len) + 12);
    24 + payloads.sum::<usize>()
}

fn page_frame(begin: Cursor, run: &[Recorded], many: bool) -> Result<PageFrame, InconsistentLog> {
    let bytes = if many {
        frame::encode_segment(begin.epoch, begin.chain, run)
    } else {
        frame::encode_recorded(begin.epoch, begin.chain, run)
    };
    Ok(PageFrame {
        first: begin.position.next(),
        frame: Arc::new(frame::columns(bytes)?),
    })
}
