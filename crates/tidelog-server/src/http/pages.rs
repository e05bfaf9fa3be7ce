//! Pages of commits as frames.

use crate::store::{Page, Stored};
use tidelog_core::limits::FRAME_TARGET_BYTES;
use tidelog_core::{ChainHash, Epoch, Recorded, frame};

/// Encodes a page as frames of about 60 KiB, one after the other.
pub(crate) fn frames(page: Page) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut chain = page.chain_before;
    let mut run = Run::default();
    for stored in page.commits {
        if !run.commits.is_empty() && run.bytes + stored.bytes > FRAME_TARGET_BYTES {
            chain = run.flush(page.state.epoch, chain, &mut bytes);
        }
        run.push(stored);
    }
    if !run.commits.is_empty() {
        run.flush(page.state.epoch, chain, &mut bytes);
    }
    bytes
}

/// The commits of the next frame.
#[derive(Default)]
struct Run {
    commits: Vec<Recorded>,
    bytes: usize,
    chain: ChainHash,
}

impl Run {
    fn push(&mut self, stored: Stored) {
        self.bytes += stored.bytes;
        self.chain = stored.chain;
        self.commits.push(stored.recorded);
    }

    /// Appends the frame; returns the chain after it.
    fn flush(&mut self, epoch: Epoch, chain_before: ChainHash, to: &mut Vec<u8>) -> ChainHash {
        to.extend(frame::encode_recorded(epoch, chain_before, &self.commits));
        self.commits.clear();
        self.bytes = 0;
        self.chain
    }
}
