//! The recorded frames, by the positions that they hold.

use crate::raw::Answer;
use crate::record::{self, MAX_KEY};
use crate::schema::stores::LOG;
use crate::view::{Entries, View, bytes, numeric};
use tidelog_core::store::{Direction, Page, StoreError};
use tidelog_core::{Position, frame};

/// Frames per request: enough to make requests rare, few enough to bound what is read in vain.
const MAX_BATCH: usize = 1024;
/// How large frames are until some were read: a full segment, so that a first request does not read far too much.
const EXPECTED_BYTES: usize = 128 * 1024;

impl<'a> View<'a> {
    /// Frames that hold positions of a range, at least one if there is one, until their bytes would be more than asked for.
    pub(crate) async fn log(
        &self,
        from: Position,
        to: Position,
        direction: Direction,
        max_bytes: usize,
    ) -> Result<Page, StoreError> {
        match direction {
            Direction::Forward => self.ask_log(from, to, max_bytes)?.read().await,
            Direction::Backward => {
                let (from, to) = (from.value().max(1), to.value().min(MAX_KEY));
                match from <= to {
                    true => Reader::new(*self, max_bytes).backward(from, to).await,
                    false => Ok(Page::default()),
                }
            }
        }
    }

    /// Asks for the same, forward; the answer is read when other requests have been made.
    pub(crate) fn ask_log(
        &self,
        from: Position,
        to: Position,
        max_bytes: usize,
    ) -> Result<AskedLog<'a>, StoreError> {
        let (from, to) = (from.value().max(1), to.value().min(MAX_KEY));
        let reader = Reader::new(*self, max_bytes);
        let asked = match from <= to {
            true => Some(reader.ask(from, to)?),
            false => None,
        };
        Ok(AskedLog {
            reader,
            from,
            to,
            asked,
        })
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

/// A page that was asked for.
#[derive(Debug)]
pub(crate) struct AskedLog<'a> {
    reader: Reader<'a>,
    from: u64,
    to: u64,
    asked: Option<Asked>,
}

/// The next frames of a page, and the key of one more, which says whether there is more.
#[derive(Debug)]
struct Asked {
    entries: Entries,
    limit: usize,
}

/// A page while it is read.
#[derive(Debug)]
struct Reader<'a> {
    view: View<'a>,
    max_bytes: usize,
    bytes: usize,
    page: Page,
}

impl AskedLog<'_> {
    pub(crate) async fn read(self) -> Result<Page, StoreError> {
        let Self {
            mut reader,
            from,
            to,
            mut asked,
        } = self;
        while let Some(Asked { entries, limit }) = asked {
            let keys = reader.view.array(Ok(entries.keys)).await?;
            let values = reader.view.array(Ok(entries.values)).await?;
            // None straddles where one begins, so reading page by page reads no frame twice.
            if reader.page.frames.is_empty() {
                let begins = match keys.get(0) {
                    none if none.is_undefined() => false,
                    first => numeric(LOG, &first)? == from,
                };
                if !begins && let Some((_, frame)) = reader.view.straddling(from).await? {
                    reader.take(frame);
                }
            }
            for (first, value) in keys.iter().zip(values.iter()) {
                if !reader.take(bytes(LOG, numeric(LOG, &first)?, &value)?) {
                    return Ok(reader.page);
                }
            }
            let next = keys.get(u32::try_from(limit).unwrap_or(u32::MAX));
            asked = match next.is_undefined() {
                true => None,
                false if reader.is_full() => {
                    reader.page.more = true;
                    None
                }
                false => Some(reader.ask(numeric(LOG, &next)?, to)?),
            };
        }
        Ok(reader.page)
    }
}

impl<'a> Reader<'a> {
    fn new(view: View<'a>, max_bytes: usize) -> Self {
        Self {
            view,
            max_bytes,
            bytes: 0,
            page: Page::default(),
        }
    }

    fn ask(&self, from: u64, to: u64) -> Result<Asked, StoreError> {
        let limit = self.batch();
        let range = self.view.checked(record::between(from, to))?;
        let entries = self
            .view
            .entries_and_next(LOG, &range, u32::try_from(limit).ok())?;
        Ok(Asked { entries, limit })
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
            let range = self.view.checked(record::between(*low, *high))?;
            let entries = self.view.entries(LOG, &range, None)?;
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

    /// How many frames to ask for next.
    fn batch(&self) -> usize {
        self.max_bytes
            .saturating_sub(self.bytes)
            .checked_div(self.mean())
            .unwrap_or_default()
            .clamp(1, MAX_BATCH)
    }

    /// What a frame may take, by those that were read.
    fn mean(&self) -> usize {
        self.bytes
            .checked_div(self.page.frames.len())
            .unwrap_or(EXPECTED_BYTES)
            .max(1)
    }

    /// Is there no room for another frame like those that were read? One that is read in vain costs as much as any.
    fn is_full(&self) -> bool {
        self.max_bytes.saturating_sub(self.bytes) < self.mean()
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
