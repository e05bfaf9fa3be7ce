//! Pulling: a page of the confirmed log is checked whole before anything of it is kept.

use super::{InconsistentLog, Replica, SyncError};
#[cfg(feature = "canaries")]
use crate::canary::Canary;
use crate::cursor::Cursor;
use crate::filter::Filter;
use crate::frame::{self, Columns};
use crate::id::CommitId;
use crate::map::StreamMap;
use crate::number::{Position, Timestamp};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

#[derive(Debug, Clone)]
pub(super) struct PageFrame {
    pub(super) first: Position,
    pub(super) frame: Arc<Columns>,
}

/// Frames of the confirmed log that wait to be written.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) frames: Vec<PageFrame>,
    /// Where they begin.
    pub(super) after: Cursor,
    /// Where they end.
    pub(super) cursor: Cursor,
    /// Nobody else has them.
    pub(super) only_copy: bool,
}

impl Page {
    pub(super) fn commit_ids(&self) -> impl Iterator<Item = CommitId> {
        self.frames
            .iter()
            .flat_map(|page| (0..page.frame.commits()).map(|number| page.frame.commit_id(number)))
    }
}

impl Replica {
    /// The answer to a pull: the cursor and the filter it was asked with, frames that follow, and the server's head. Everything is checked
    /// (checksum, order, versions, hash chain) before anything is kept.
    ///
    /// # Errors
    /// [`InconsistentLog`] if the answer does not follow what is here. Nothing has changed, and it is asked again later.
    pub fn handle_pulled(
        &mut self,
        now: Timestamp,
        asked: Cursor,
        filter: &Filter,
        frames: Vec<Vec<u8>>,
        server_head: Position,
    ) -> Result<(), InconsistentLog> {
        if self.sync.pulling.as_ref() != Some(filter) {
            // Another filter counts by now: what it leaves out may be what is asked for.
            return Ok(());
        }
        let late = asked != self.head.cursor;
        #[cfg(feature = "canaries")]
        let late = late && !self.planted(Canary::LatePageTaken);
        if self.sync.pulling.take().is_none() || late {
            return Ok(());
        }
        // What was to be the next filter when it was asked may have been given up since.
        let again = self.next_filter().is_some() || self.erasing.unfollowed;
        if again || *filter != self.filters.kept {
            // The server knows this cursor, so nothing is lost by reading again; the answer is of what is given up.
            self.sync.pull_succeeded();
            self.sync.verified = true;
            self.sync.server_head = Some(server_head);
            self.status_changed();
            return Ok(());
        }
        if frames.is_empty() {
            self.sync.pull_succeeded();
            if server_head == Position::START {
                // A history that is restored at its very beginning has the name of the one that was left.
                self.sync.left = None;
            }
            if server_head > self.head.cursor.position {
                // It says there is more but gives none: do not ask in a tight loop.
                let detail = String::from("it says that there is more, but sends nothing");
                self.sync.pull_failed(now, SyncError::BadAnswer { detail });
            }
            self.sync.server_head = Some(server_head);
            self.after_confirm();
            // Another tab's hint may have been lost; the quiet moment is a good one to look.
            self.disk.load |= self.sync.caught_up;
            return Ok(());
        }
        match self.check_page(frames) {
            Ok(page) => {
                self.sync.pull_succeeded();
                self.sync.page = Some(page);
                self.sync.server_head = Some(server_head);
                self.status_changed();
                Ok(())
            }
            Err(error) => {
                let detail = error.to_string();
                self.sync.pull_failed(now, SyncError::BadAnswer { detail });
                self.status_changed();
                Err(error)
            }
        }
    }

    pub(super) fn check_page(&self, frames: Vec<Vec<u8>>) -> Result<Page, InconsistentLog> {
        let mut cursor = self.head.cursor;
        let mut heads = StreamMap::default();
        let mut page = Vec::new();
        for bytes in frames {
            let frame = frame::decode(&bytes)?;
            let frame_bytes = frame::leave_out(&frame, &self.filters.kept).unwrap_or(bytes);
            let first = cursor.position.next();
            if cursor.position == Position::START && cursor.epoch == Default::default() {
                cursor.epoch = frame.epoch;
            }
            if frame.epoch != cursor.epoch || frame.chain_before != cursor.chain {
                return Err(InconsistentLog::Chain { position: first });
            }
            self.confirmed
                .check(&frame, cursor.position, &mut heads, &self.filters.kept)?;
            for step in frame.steps() {
                cursor.chain = step.chain_after(cursor.chain);
                cursor.position = step.last();
            }
            if cursor.position < first {
                return Err(InconsistentLog::Invalid {
                    detail: String::from("an empty frame"),
                });
            }
            page.push(PageFrame {
                first,
                frame: Arc::new(frame::columns(frame_bytes)?),
            });
        }
        Ok(Page {
            frames: page,
            after: self.head.cursor,
            cursor,
            only_copy: false,
        })
    }

    /// A pull failed.
    pub fn handle_pull_failed(&mut self, now: Timestamp, error: SyncError) {
        if self.sync.pulling.take().is_none() {
            return;
        }
        if error == SyncError::HistoryChanged && self.head.cursor.position > Position::START {
            self.sync.rewind = super::rewind::Rewind::Wanted;
        }
        self.sync.pull_failed(now, error);
        self.status_changed();
    }
}
