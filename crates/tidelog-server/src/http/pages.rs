//! What a pull gives, and as which frames.

use super::App;
use super::access::Grant;
use super::caps::{PULL_BYTES, SCAN_BYTES};
use crate::store::{self, After, LogState, LogStore, PageCap, StoreError, Stored};
use tidelog_core::limits::FRAME_TARGET_BYTES;
use tidelog_core::{
    ChainHash, Commit, Epoch, Filter, Gap, GapReason, GapRecord, LogName, Recorded, frame,
};

/// What of a log somebody is sent: what they ask for and may see.
pub(crate) struct View {
    pub(crate) filter: Filter,
    pub(crate) grant: Grant,
}

impl View {
    fn is_everything(&self) -> bool {
        self.filter.is_everything() && self.grant.reads_all()
    }

    fn shows(&self, commit: &Commit) -> bool {
        self.filter.matches(commit) && self.grant.may_see(commit)
    }
}

/// A run of the log: commits, and gaps for those that were not asked for or may not be seen.
pub(crate) struct Page {
    /// The log at the moment of reading.
    pub(crate) state: LogState,
    pub(crate) chain_before: ChainHash,
    pub(crate) commits: Vec<Stored>,
    pub(crate) gaps: Vec<GapRecord>,
}

impl From<store::Page> for Page {
    fn from(page: store::Page) -> Self {
        Self {
            state: page.state,
            chain_before: page.chain_before,
            commits: page.commits,
            gaps: Vec::new(),
        }
    }
}

impl Page {
    pub(crate) const fn is_empty(&self) -> bool {
        self.commits.is_empty() && self.gaps.is_empty()
    }

    /// Takes in what follows, as far as the view shows it and the cap has room: `false` if it has none.
    fn take(&mut self, stored: Stored, view: &View, room: &mut PageCap) -> bool {
        let recorded = &stored.recorded;
        if !view.shows(&recorded.commit) {
            let gap = Gap {
                from: recorded.position,
                to: recorded.last_position(),
                reason: GapReason::Filter,
            };
            let chain = stored.chain;
            GapRecord { gap, chain }.push(&mut self.gaps);
            return true;
        }
        let events = recorded.commit.events.len() as u64;
        let fits = stored.bytes <= room.bytes && events <= room.events;
        if !fits && !self.commits.is_empty() {
            return false;
        }
        room.bytes = room.bytes.saturating_sub(stored.bytes);
        room.events = room.events.saturating_sub(events);
        self.commits.push(stored);
        true
    }
}

/// What comes after a place, as far as a view shows it. It looks through a bounded part of the log, and comes further
/// with every call: what it has looked at and not found is a gap.
pub(crate) async fn read<S: LogStore>(
    app: &App<S>,
    log: &LogName,
    after: After,
    cap: PageCap,
    view: &View,
) -> Result<Page, StoreError> {
    if view.is_everything() {
        return Ok(app.store().page(log, after, cap).await?.into());
    }
    let part = PageCap {
        bytes: PULL_BYTES,
        events: u64::MAX,
    };
    let mut read = app.store().page(log, after, part).await?;
    let (mut page, mut room, mut scanned) = (
        Page {
            state: read.state,
            chain_before: read.chain_before,
            commits: Vec::new(),
            gaps: Vec::new(),
        },
        cap,
        0,
    );
    loop {
        page.state = read.state;
        let Some(last) = read.commits.last() else {
            return Ok(page);
        };
        let end = last.recorded.last_position();
        for stored in read.commits {
            scanned += stored.bytes;
            if !page.take(stored, view, &mut room) {
                return Ok(page);
            }
        }
        if end >= page.state.head.position || scanned >= SCAN_BYTES {
            return Ok(page);
        }
        read = app.store().page(log, After::Position(end), part).await?;
    }
}

/// Encodes a page as frames of about 60 KiB, one after the other.
pub(crate) fn frames(page: Page) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut chain = page.chain_before;
    let mut run = Run::default();
    let mut gaps = page.gaps.into_iter().peekable();
    for stored in page.commits {
        while let Some(record) = gaps.next_if(|record| record.gap.from < stored.recorded.position) {
            run.leave_out(record);
        }
        if !run.commits.is_empty() && run.bytes + stored.bytes > FRAME_TARGET_BYTES {
            chain = run.flush(page.state.epoch, chain, &mut bytes);
        }
        run.push(stored);
    }
    gaps.for_each(|record| run.leave_out(record));
    if !run.is_empty() {
        run.flush(page.state.epoch, chain, &mut bytes);
    }
    bytes
}

/// The commits and gaps of the next frame.
#[derive(Default)]
struct Run {
    commits: Vec<Recorded>,
    gaps: Vec<GapRecord>,
    bytes: usize,
    chain: ChainHash,
}

impl Run {
    const fn is_empty(&self) -> bool {
        self.commits.is_empty() && self.gaps.is_empty()
    }

    fn push(&mut self, stored: Stored) {
        self.bytes += stored.bytes;
        self.chain = stored.chain;
        self.commits.push(stored.recorded);
    }

    fn leave_out(&mut self, record: GapRecord) {
        self.chain = record.chain;
        self.gaps.push(record);
    }

    /// Appends the frame; returns the chain after it. Without a gap it has the format that every build reads.
    fn flush(&mut self, epoch: Epoch, chain_before: ChainHash, to: &mut Vec<u8>) -> ChainHash {
        to.extend(match self.gaps.is_empty() {
            true => frame::encode_recorded(epoch, chain_before, &self.commits),
            false => frame::encode_with_gaps(epoch, chain_before, &self.commits, &self.gaps),
        });
        self.commits.clear();
        self.gaps.clear();
        self.bytes = 0;
        self.chain
    }
}
