//! Reads that go on where the archive ends. The same for every database.

use super::{Archive, Part, Run, Unread};
use crate::store::stored::{self, Filling, Reading};
use crate::store::{After, LogState, Page, PageCap, Segment, StoreError, StreamPage, StreamRange};
use std::future::Future;
use std::sync::Arc;
use tidelog_core::{LogName, Position, Recorded, StreamId, Version};

/// What a database answers when it is asked for a page.
#[derive(Debug)]
pub(in crate::store) enum Paged {
    /// It is there.
    Here(Page),
    /// The commit that holds this position, which comes first, is in a run of the archive.
    Archived(LogState, Position, Run),
}

/// A commit of a stream.
#[derive(Debug)]
pub(in crate::store) enum Place {
    /// It is there.
    Here(Recorded),
    /// It begins at this position, in the archive.
    Archived(Position),
}

/// What a database reads by itself.
pub(in crate::store) trait Source: Sync {
    /// How many commits a page holds at most.
    const PAGE_COMMITS: usize;

    fn shelf(&self) -> Option<&Archive>;

    fn paged(
        &self,
        log: &LogName,
        after: After,
        cap: PageCap,
    ) -> impl Future<Output = Result<Paged, StoreError>> + Send;

    /// The newest version of a stream, and the commits that hold the events asked for.
    fn placed(
        &self,
        log: &LogName,
        stream: &StreamId,
        range: StreamRange,
    ) -> impl Future<Output = Result<(Version, Vec<Place>), StoreError>> + Send;

    /// The run that holds a position.
    fn run_at(
        &self,
        log: &LogName,
        position: Position,
    ) -> impl Future<Output = Result<Option<Run>, StoreError>> + Send;
}

/// The archive, if there is one.
pub(in crate::store) fn demand<'a>(
    archive: Option<&'a Archive>,
    log: &LogName,
    run: &Run,
) -> Result<&'a Archive, StoreError> {
    archive.ok_or_else(|| StoreError::ArchiveUnavailable {
        log: log.clone(),
        position: run.first,
        detail: NOT_CONFIGURED.into(),
    })
}

/// What is said where somebody forgot it.
pub(in crate::store) const NOT_CONFIGURED: &str =
    "none is configured; say which with --archive URL, or TIDELOG_ARCHIVE";

/// A run's commits. Its object may have been replaced since its record was read: then the new record counts.
async fn part(store: &impl Source, log: &LogName, run: Run) -> Result<Arc<Part>, StoreError> {
    let mut run = run;
    loop {
        let archive = demand(store.shelf(), log, &run)?;
        match archive.part(log, &run).await {
            Ok(part) => return Ok(part),
            Err(unread) => run = replaced(store, log, run, unread).await?,
        }
    }
}

/// The record in place of one whose object is gone.
async fn replaced(
    store: &impl Source,
    log: &LogName,
    run: Run,
    unread: Unread,
) -> Result<Run, StoreError> {
    if matches!(unread, Unread::Missing)
        && let Some(now) = store.run_at(log, run.first).await?
        && now.name != run.name
    {
        return Ok(now);
    }
    Err(unread.of(log, &run))
}

/// Reads whole commits in order, as [`LogStore::page`](crate::store::LogStore::page).
pub(in crate::store) async fn page<S: Source>(
    store: &S,
    log: &LogName,
    after: After,
    cap: PageCap,
) -> Result<Page, StoreError> {
    let (state, mut next, mut run) = match store.paged(log, after, cap).await? {
        Paged::Here(page) => return Ok(page),
        Paged::Archived(state, next, run) => (state, next, run),
    };
    let mut page = Filling::new(state, cap);
    loop {
        let part = part(store, log, run).await?;
        let (commits, mut chain) = part.from(next);
        for stored in commits {
            next = stored.recorded.last_position().next();
            if page.len() >= S::PAGE_COMMITS || !page.push((stored.clone(), chain)) {
                return Ok(page.done());
            }
            chain = stored.chain;
        }
        let Some(room) = page.room().filter(|_| page.len() < S::PAGE_COMMITS) else {
            return Ok(page.done());
        };
        // The archive ends before the log does: nothing of its end is archived while it can be written to.
        let end = Position::new(next.value().saturating_sub(1));
        match store.paged(log, After::Position(end), room).await? {
            Paged::Archived(state, _, following) if page.is_of(state) => run = following,
            Paged::Here(rest) if page.is_of(rest.state) => {
                page.now(rest.state);
                let mut chain = rest.chain_before;
                for stored in rest.commits {
                    let after = stored.chain;
                    if page.len() >= S::PAGE_COMMITS || !page.push((stored, chain)) {
                        break;
                    }
                    chain = after;
                }
                return Ok(page.done());
            }
            _ => {
                let detail = "the log became another while it was read".into();
                return Err(StoreError::Unavailable { detail });
            }
        }
    }
}

/// Reads a stream, as [`LogStore::stream`](crate::store::LogStore::stream).
pub(in crate::store) async fn stream(
    store: &impl Source,
    log: &LogName,
    stream: &StreamId,
    range: StreamRange,
) -> Result<StreamPage, StoreError> {
    let (version, places) = store.placed(log, stream, range).await?;
    let mut reading = Reading::new(stream, range, version);
    let mut current: Option<Arc<Part>> = None;
    for place in places {
        let first = match place {
            Place::Here(recorded) => {
                reading.push(recorded);
                continue;
            }
            Place::Archived(first) => first,
        };
        let found = current.as_ref().and_then(|part| part.commit(first));
        let recorded = match found {
            Some((stored, _)) => stored.recorded.clone(),
            None => {
                let run = store.run_at(log, first).await?;
                let run = run.ok_or_else(|| lost(log, first))?;
                let part = current.insert(part(store, log, run).await?);
                let (stored, _) = part.commit(first).ok_or_else(|| lost(log, first))?;
                stored.recorded.clone()
            }
        };
        reading.push(recorded);
    }
    Ok(reading.done())
}

/// A commit that has left the database and is in no run.
pub(in crate::store) fn lost(log: &LogName, position: Position) -> StoreError {
    StoreError::Damaged {
        log: log.clone(),
        position,
        detail: "it was archived, and no run holds it".into(),
    }
}

/// The frames of one commit after the other, for the check of a whole log.
#[derive(Debug)]
pub(in crate::store) struct Frames<'a> {
    log: &'a LogName,
    archive: Option<&'a Archive>,
    current: Option<(String, Arc<Part>)>,
}

impl<'a> Frames<'a> {
    pub(in crate::store) const fn new(log: &'a LogName, archive: Option<&'a Archive>) -> Self {
        Self {
            log,
            archive,
            current: None,
        }
    }

    /// The frame for which a stub stands, if the stub says what the frame does.
    pub(in crate::store) async fn of(
        &mut self,
        run: &Run,
        first: Position,
        stub: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let part = match &self.current {
            Some((name, part)) if *name == run.name => Arc::clone(part),
            _ => {
                let part = demand(self.archive, self.log, run)?
                    .part(self.log, run)
                    .await;
                let part = part.map_err(|unread| unread.of(self.log, run))?;
                self.current = Some((run.name.clone(), Arc::clone(&part)));
                part
            }
        };
        let frame = part.frame(first).ok_or_else(|| lost(self.log, first))?;
        match stored::versions(first, stub)? == stored::versions(first, &frame)? {
            true => Ok(frame),
            false => Err(StoreError::Damaged {
                log: self.log.clone(),
                position: first,
                detail: "its row does not say what its frame in the archive does".into(),
            }),
        }
    }
}

/// A segment that is a run of the archive; `None` within if it has too many bytes to be one.
pub(in crate::store) async fn segment(
    store: &impl Source,
    log: &LogName,
    mut run: Run,
) -> Result<Option<Segment>, StoreError> {
    if !run.is_segment {
        return Ok(None);
    }
    loop {
        let archive = demand(store.shelf(), log, &run)?;
        match archive.bytes(log, &run).await {
            Ok(gzip) => {
                let (first, last) = (run.first, run.last);
                return Ok(Some(Segment { first, last, gzip }));
            }
            Err(unread) => run = replaced(store, log, run, unread).await?,
        }
    }
}
