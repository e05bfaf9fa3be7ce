//! Stored frames as values, and what readers make of them.
//!
//! In the place of a frame that is in the archive there is a *stub*: a zero byte, which begins no frame, and the versions that
//! the commit has, as JSON. An own commit that is sent again is answered with them.

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
    if is_stub(bytes) {
        return Err(damaged("it was archived while it was read".into()));
    }
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
    if let Some((0, json)) = bytes.split_first() {
        return from_stub(json).ok_or_else(|| {
            let detail = format!("the commit archived at position {first} is damaged");
            StoreError::Unavailable { detail }
        });
    }
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

/// Is it what stands for a frame that is in the archive?
pub(super) fn is_stub(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0)
}

/// What stands for the frame of a commit that has these versions.
pub(super) fn stub(versions: &[StreamVersions]) -> Vec<u8> {
    let all: Vec<(&str, u64, u64)> = versions
        .iter()
        .map(|one| (one.stream.as_str(), one.first.value(), one.last.value()))
        .collect();
    let mut bytes = vec![0];
    bytes.extend(serde_json::json!(all).to_string().into_bytes());
    bytes
}

fn from_stub(json: &[u8]) -> Option<Vec<StreamVersions>> {
    let all: Vec<(String, u64, u64)> = serde_json::from_slice(json).ok()?;
    let versions = all.into_iter().map(|(stream, first, last)| {
        Some(StreamVersions {
            stream: StreamId::new(&stream).ok()?,
            first: Version::new(first),
            last: Version::new(last),
        })
    });
    versions.collect()
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

    /// How many commits it holds.
    pub(super) const fn len(&self) -> usize {
        self.page.commits.len()
    }

    /// What it has room for; `None` if that is nothing.
    pub(super) fn room(&self) -> Option<PageCap> {
        let bytes = self.cap.bytes.checked_sub(self.bytes)?;
        let events = self.cap.events.checked_sub(self.events)?;
        (bytes > 0 && events > 0).then_some(PageCap { bytes, events })
    }

    /// Is this the same history, not before what the page is of?
    pub(super) fn is_of(&self, state: LogState) -> bool {
        let before = self.page.state;
        state.epoch == before.epoch && state.head.position >= before.head.position
    }

    /// The log as it is by now.
    pub(super) const fn now(&mut self, state: LogState) {
        self.page.state = state;
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
        let events = Vec::new();
        Self {
            stream,
            range,
            from: range.begin(version),
            page: StreamPage { version, events },
        }
    }

    /// How many events may still come.
    fn room(&self) -> usize {
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
