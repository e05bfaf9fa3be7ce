//! The recorded frames, by the positions that they hold.

use crate::raw::Answer;
use crate::record::{self, MAX_KEY};
use crate::schema::stores::LOG;
use crate::view::{View, bytes, numeric};
use tidelog_core::store::{Direction, Page, StoreError};
use tidelog_core::{Position, frame};
use wasm_bindgen::JsValue;

/// Frames per request: enough to make requests rare, few enough to bound what is read in vain.
const MAX_BATCH: usize = 1024;
/// How large frames are until some were read: a full segment, so that a first request does not read far too much.
const EXPECTED_BYTES: usize = 256 * 1024;

impl View<'_> {
    /// Frames that hold positions of a range, until their bytes would be more than asked for, at least one.
    pub(crate) async fn log(
        &self,
        from: Position,
        to: Position,
        direction: Direction,
        max_bytes: usize,
    ) -> Result<Page, StoreError> {
        let (from, to) = (from.value().max(1), to.value().min(MAX_KEY));
        if to < from {
            return Ok(Page::default());
        }
        let reader = Reader {
            view: self,
            max_bytes,
            bytes: 0,
            page: Page::default(),
        };
        match direction {
            Direction::Forward => reader.forward(from, to).await,
            Direction::Backward => reader.backward(from, to).await,
        }
    }

    /// The frames that hold these positions, each once, in the order of the log.
    pub(crate) async fn frames(&self, positions: &[Position]) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut asked: Vec<(u64, Answer)> = Vec::with_capacity(positions.len());
        for position in positions {
            // No frame has a position that no key holds.
            if (1..=MAX_KEY).contains(&position.value()) {
                asked.push((position.value(), self.get(LOG, position.value())?));
            }
        }
        let mut found = Vec::with_capacity(asked.len());
        for (position, answer) in asked {
            let value = self.value(Ok(answer)).await?;
            if !value.is_undefined() {
                found.push((position, bytes(LOG, position, &value)?));
            } else if let Some(straddling) = self.straddling(position).await? {
                found.push(straddling);
            }
        }
        found.sort_by_key(|(first, _)| *first);
        found.dedup_by_key(|(first, _)| *first);
        Ok(found.into_iter().map(|(_, frame)| frame).collect())
    }

    /// The frame that begins before a position and holds it. One whose end cannot be read from its header is not hidden, so
    /// that its reader finds the damage.
    async fn straddling(&self, position: u64) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let before = self.checked(record::until(position, true))?;
        let Some((first, value)) = self.last(LOG, &before).await? else {
            return Ok(None);
        };
        let bytes = bytes(LOG, first, &value)?;
        let holds =
            frame::header(&bytes).map_or(true, |header| header.last_position().value() >= position);
        Ok(holds.then_some((first, bytes)))
    }
}

/// A page while it is read.
struct Reader<'a> {
    view: &'a View<'a>,
    max_bytes: usize,
    bytes: usize,
    page: Page,
}

impl Reader<'_> {
    async fn forward(mut self, from: u64, to: u64) -> Result<Page, StoreError> {
        let mut next = from;
        while next <= to {
            let limit = self.batch();
            let entries = self.entries(next, to, limit)?;
            let entries = self.view.read(entries).await?;
            let end = entries.len() < limit;
            // None straddles where one begins, so reading page by page reads no frame twice.
            if self.page.frames.is_empty() {
                let begins = match entries.first() {
                    Some((first, _)) => numeric(LOG, first)? == from,
                    None => false,
                };
                if !begins && let Some((_, frame)) = self.view.straddling(from).await? {
                    self.take(frame);
                }
            }
            for (first, value) in entries {
                let first = numeric(LOG, &first)?;
                if !self.take(bytes(LOG, first, &value)?) {
                    return Ok(self.page);
                }
                next = first.saturating_add(1);
            }
            if end {
                break;
            }
        }
        Ok(self.page)
    }

    /// There is no list of values from behind, so the keys come first; they are small.
    async fn backward(mut self, from: u64, to: u64) -> Result<Page, StoreError> {
        let range = self.view.checked(record::between(from, to))?;
        let mut firsts = Vec::new();
        for key in self.view.keys(LOG, &range).await?.iter() {
            firsts.push(numeric(LOG, &key)?);
        }
        let begins = firsts.first() == Some(&from);
        while !firsts.is_empty() {
            let batch = firsts.split_off(firsts.len().saturating_sub(self.batch()));
            let (Some(low), Some(high)) = (batch.first(), batch.last()) else {
                break;
            };
            let entries = self.entries(*low, *high, batch.len())?;
            for (first, value) in self.view.read(entries).await?.into_iter().rev() {
                if !self.take(bytes(LOG, numeric(LOG, &first)?, &value)?) {
                    return Ok(self.page);
                }
            }
        }
        if !begins && let Some((_, frame)) = self.view.straddling(from).await? {
            self.take(frame);
        }
        Ok(self.page)
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        limit: usize,
    ) -> Result<crate::view::Entries, StoreError> {
        let range: JsValue = self.view.checked(record::between(low, high))?;
        self.view.entries(LOG, &range, u32::try_from(limit).ok())
    }

    /// How many frames to ask for next.
    fn batch(&self) -> usize {
        let mean = self
            .bytes
            .checked_div(self.page.frames.len())
            .unwrap_or(EXPECTED_BYTES)
            .max(1);
        (self.max_bytes.saturating_sub(self.bytes) / mean)
            .saturating_add(1)
            .min(MAX_BATCH)
    }

    /// Adds a frame, unless the page is full.
    fn take(&mut self, frame: Vec<u8>) -> bool {
        let bytes = self.bytes.saturating_add(frame.len());
        if !self.page.frames.is_empty() && bytes > self.max_bytes {
            self.page.more = true;
            return false;
        }
        self.bytes = bytes;
        self.page.frames.push(frame);
        true
    }
}
