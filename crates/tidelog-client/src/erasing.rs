//! Erasures that the log tells of, followed on this device: what the leading tab does as soon as nothing else is to be written.
//!
//! The core knows what is to go (`replica/erasing.rs`); this reads the frames that may hold it, and writes them without it. A transaction
//! that comes too late changes nothing, and what it was made for is still to be done then. Whatever else goes wrong is tried
//! again with the next occasion, at the latest when the log is opened again.

use crate::error::ClientError;
use crate::platform::spawn;
use crate::read::damaged;
use crate::runtime::Runtime;
use std::rc::Rc;
use tidelog_core::Position;
use tidelog_core::store::{LostFrame, Store, Written};

/// So many frames are in memory at once, besides those that change.
const FRAMES: usize = 8;
/// So much of lost histories is.
const LOST_BYTES: usize = 1024 * 1024;

impl Runtime {
    /// Begins to erase in the background if this tab leads and something is to be erased.
    pub(crate) fn erase(self: &Rc<Self>) {
        let erasing = &self.upkeep.erasing;
        if erasing.get() || !self.replica.borrow().is_to_erase() || !self.leads() {
            return;
        }
        erasing.set(true);
        let me = Rc::clone(self);
        spawn(async move {
            let erased = me.erase_once().await;
            me.upkeep.erasing.set(false);
            if let Ok(true) = erased {
                me.schedule();
            }
        });
    }

    /// Was there something that can be done now?
    async fn erase_once(&self) -> Result<bool, ClientError> {
        self.need_directory().await?;
        let store = self.store()?;
        let (mut erasing, positions) = {
            let mut replica = self.replica.borrow_mut();
            let Some(erasing) = replica.erasing() else {
                return Ok(false);
            };
            let streams = erasing.streams();
            let mut positions: Vec<Position> = streams
                .flat_map(|stream| replica.frames_of(stream))
                .collect();
            positions.sort_unstable();
            positions.dedup();
            (erasing, positions)
        };
        let mut after = Position::START;
        for positions in positions.chunks(FRAMES) {
            for bytes in store.frames(positions).await? {
                // Compaction may have put the frames of several positions into one.
                let last = self.header(&bytes)?.last_position();
                if last > after {
                    after = last;
                    erasing.take(&bytes).map_err(|error| {
                        self.damaged();
                        damaged(&error)
                    })?;
                }
            }
        }
        let mut lost = 0;
        loop {
            let page = store.lost_after(lost, LOST_BYTES).await?;
            for LostFrame { number, frame } in page.frames {
                lost = number;
                let taken = erasing.take_lost(number, &frame);
                taken.map_err(|error| damaged(&error))?;
            }
            if !page.more {
                break;
            }
        }
        let batch = erasing.batch();
        let generation = batch.head.generation;
        match store.write(batch).await? {
            Written::Done => {
                self.replica.borrow_mut().handle_hint(generation);
                self.hint(generation);
            }
            Written::Stale { actual } => self.replica.borrow_mut().handle_hint(actual),
        }
        Ok(true)
    }
}
