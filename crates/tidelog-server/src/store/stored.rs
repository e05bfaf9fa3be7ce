//! Stored frames as values, and what readers make of them.

use super::{Direction, Page, PageCap, StoreError, Stored, StreamEvent, StreamPage, StreamRange};
use crate::store::LogState;
use std::sync::Arc;
use tidelog_core::{
    ChainHash, LogName, Position, Recorded, StreamId, StreamVersions, Version, frame,
};

/// Decodes the frame that holds one commit. Returns the commit and the chain hash before it.
///
/// # Errors
/// [`StoreError::Damaged`].
pub(super) fn decode(
    log: &LogName,
    position: Position,
    chain: ChainHash,
    bytes: &[u8],
) -> Result<(Stored, ChainHash), StoreError> {
    let damaged = |detail: String| StoreError::Damaged {
        log: log.clone(),
        position,
        detail,
    };
    let frame = frame::decode(bytes).map_err(|error| damaged(error.to_string()))?;
    let frame::Body::Recorded(mut commits) = frame.body else {
        return Err(damaged("the stored frame is a local one".into()));
    };
    let recorded: Recorded = match (commits.pop(), commits.is_empty()) {
        (Some(recorded), true) => recorded,
        _ => return Err(damaged("the stored frame does not hold one commit".into())),
    };
    if recorded.position != position {
        return Err(damaged(format!(
            "the stored frame is of position {}",
            recorded.position
        )));
    }
    Ok((
        Stored {
            recorded,
            chain,
            bytes: bytes.len(),
        },
        frame.chain_before,
    ))
}

/// The versions that a stored commit has. Its frame is not checked for more.
pub(super) fn versions(first: Position, bytes: &[u8]) -> Result<Vec<StreamVersions>, StoreError> {
    match frame::decode(bytes).map(|frame| frame.body) {
        Ok(frame::Body::Recorded(commits)) => Ok(commits
            .into_iter()
            .next()
            .map(|recorded| recorded.versions)
            .unwrap_or_default()),
        _ => {
            let detail = format!("the commit stored at position {first} is damaged");
            Err(StoreError::Unavailable { detail })
        }
    }
}

/// A page that is being filled.
#[derive(Debug)]
pub(super) struct Filling {
    page: Page,
    cap: PageCap,
    bytes: usize,
    events: u64,
}

impl Filling {
    pub(super) const fn new(state: LogState, cap: PageCap) -> Self {
        let page = Page {
            state,
            chain_before: state.head.chain,
            commits: Vec::new(),
        };
        Self {
            page,
            cap,
            bytes: 0,
            events: 0,
        }
    }

    /// Takes the next commit. Returns whether there is room for more.
    pub(super) fn push(&mut self, (stored, chain_before): (Stored, ChainHash)) -> bool {
        self.bytes += stored.bytes;
        self.events += stored.recorded.commit.events.len() as u64;
        if self.page.commits.is_empty() {
            self.page.chain_before = chain_before;
        } else if self.bytes > self.cap.bytes || self.events > self.cap.events {
            return false;
        }
        self.page.commits.push(stored);
        true
    }

    pub(super) fn done(self) -> Page {
        self.page
    }
}

/// A part of a stream that is being filled.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    stream: &'a StreamId,
    range: StreamRange,
    from: Version,
    page: StreamPage,
}

impl<'a> Reading<'a> {
    /// `version` is the newest one.
    pub(super) fn new(stream: &'a StreamId, range: StreamRange, version: Version) -> Self {
        let from = range.from.unwrap_or(match range.direction {
            Direction::Forward => Version::new(1),
            Direction::Backward => version,
        });
        let events = Vec::new();
        Self {
            stream,
            range,
            from,
            page: StreamPage { version, events },
        }
    }

    /// The version it begins at.
    pub(super) const fn from(&self) -> Version {
        self.from
    }

    /// How many events may still come.
    pub(super) fn room(&self) -> usize {
        self.range.limit.saturating_sub(self.page.events.len())
    }

    /// Takes the next commit of the stream, in the asked direction.
    pub(super) fn push(&mut self, recorded: Recorded) {
        let commit = Arc::new(recorded);
        let versions = commit.event_versions();
        let (direction, from) = (self.range.direction, self.from);
        let wanted = |version: Version| match direction {
            Direction::Forward => version >= from,
            Direction::Backward => version <= from,
        };
        let mut here: Vec<StreamEvent> = (commit.commit.events.iter().zip(versions).enumerate())
            .filter(|(_, (event, version))| &event.stream == self.stream && wanted(*version))
            .map(|(index, (_, version))| StreamEvent {
                commit: Arc::clone(&commit),
                index,
                version,
            })
            .collect();
        if direction == Direction::Backward {
            here.reverse();
        }
        here.truncate(self.room());
        self.page.events.extend(here);
    }

    pub(super) fn done(self) -> StreamPage {
        self.page
    }
}
