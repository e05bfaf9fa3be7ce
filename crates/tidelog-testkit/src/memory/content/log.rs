//! The recorded frames as a reader asks for them.

use super::{Bytes, Content};
use std::collections::BTreeMap;
use tidelog_core::store::{Direction, Page};
use tidelog_core::{Position, frame};

impl Content {
    pub(in crate::memory) fn range(
        &self,
        from: Position,
        to: Position,
        direction: Direction,
        max_bytes: usize,
    ) -> Page {
        if to < from {
            return Page::default();
        }
        let straddling = if self.log.contains_key(&from) {
            None
        } else {
            self.holding(from)
        };
        let inside = self.log.range(from..=to);
        let mut frames: Vec<&Bytes> = straddling
            .into_iter()
            .chain(inside)
            .map(|(_, frame)| frame)
            .collect();
        if direction == Direction::Backward {
            frames.reverse();
        }
        let mut page = Page::default();
        let mut bytes = 0_usize;
        for frame in frames {
            bytes = bytes.saturating_add(frame.len());
            if !page.frames.is_empty() && bytes > max_bytes {
                page.more = true;
                break;
            }
            page.frames.push(frame.to_vec());
        }
        page
    }

    pub(in crate::memory) fn frames(&self, positions: &[Position]) -> Vec<Vec<u8>> {
        let found: BTreeMap<_, _> = positions
            .iter()
            .filter_map(|position| self.holding(*position))
            .collect();
        found.values().map(|frame| frame.to_vec()).collect()
    }

    pub(in crate::memory) fn directory(&self, after: Position) -> Vec<(Position, Vec<u8>)> {
        let behind = self.directory.range(after.next()..);
        behind
            .map(|(first, says)| (*first, says.to_vec()))
            .collect()
    }

    pub(in crate::memory) fn last_sealed(&self) -> Option<(Position, Vec<u8>)> {
        let last = self.directory.last_key_value();
        last.map(|(first, says)| (*first, says.to_vec()))
    }

    /// The frame that holds a position. One whose end cannot be read from its header is not hidden, so that its reader
    /// finds the damage.
    fn holding(&self, position: Position) -> Option<(&Position, &Bytes)> {
        let (first, bytes) = self.log.range(..=position).next_back()?;
        let holds = *first == position
            || frame::header(bytes).map_or(true, |header| header.last_position() >= position);
        holds.then_some((first, bytes))
    }
}
