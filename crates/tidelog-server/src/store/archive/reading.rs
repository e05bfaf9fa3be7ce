//! Reads that go on where the archive ends. The same for every database.

use super::{Archive, Part, Run, Unread};
use crate::store::stored::{self, Filling, Reading};
use crate::store::{
    After, LogState, LogStore, Page, PageCap, Segment, StoreError, Stored, StreamPage, StreamRange,
};
use std::future::Future;
use std::sync::Arc;
use tidelog_core::{ChainHash, LogName, Position, Recorded, StreamId, Version};

/// What a database answers when it is asked for a page.
#[derive(Debug)]
pub(in crate::store) enum Paged {
    /// It is there.
    Here(Page),
    /// A part of it is there, behind which a run of the archive follows.
    Before(Page),
    /// The commit that holds this position, which comes first, is in a run of the archive.
    Archived(LogState, Position, Run),
}

impl Paged {
    const fn state(&self) -> LogState {
        match self {
            Self::Here(page) | Self::Before(page) => page.state,
            Self::Archived(state, ..) => *state,
        }
    }
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

/// How often a read begins again because what it looked up went to the archive, or came back, meanwhile.
const TRIES: usize = 5;

/// What is said where somebody forgot it.
pub(in crate::store) const NOT_CONFIGURED: &str =
    "none is configured; say which with --archive URL, or TIDELOG_ARCHIVE";

/// A run's commits. Its object may have been replaced since its record was read: then the new record counts. `None`: it is in the
/// database again.
async fn part(
    store: &impl Source,
    log: &LogName,
    mut run: Run,
) -> Result<Option<Arc<Part>>, StoreError> {
    loop {
        let archive = demand(store.shelf(), log, &run)?;
        match archive.part(log, &run).await {
            Ok(part) => return Ok(Some(part)),
            Err(unread) => match replaced(store, log, run, unread).await? {
                Some(now) => run = now,
                None => return Ok(None),
            },
        }
    }
}

/// The record in place of one whose object is gone; `None` if nothing is in its place.
async fn replaced(
    store: &impl Source,
    log: &LogName,
    run: Run,
    unread: Unread,
) -> Result<Option<Run>, StoreError> {
    if matches!(unread, Unread::Missing) {
        let now = store.run_at(log, run.first).await?;
        if now.as_ref().is_none_or(|now| now.name != run.name) {
            return Ok(now);
        }
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
    let mut read = store.paged(log, after, cap).await?;
    if let Paged::Here(page) = read {
        return Ok(page);
    }
    let mut page = Filling::new(read.state(), cap);
    loop {
        if !page.is_of(read.state()) {
            let detail = "the log became another while it was read".into();
            return Err(StoreError::Unavailable { detail });
        }
        page.now(read.state());
        let is_rest = matches!(read, Paged::Here(_));
        let end = match read {
            Paged::Here(rest) | Paged::Before(rest) => {
                fill::<S>(&mut page, rest.commits.into_iter(), rest.chain_before)
            }
            Paged::Archived(_, next, run) => match part(store, log, run).await? {
                Some(part) => {
                    let (commits, chain) = part.from(next);
                    fill::<S>(&mut page, commits.iter().cloned(), chain)
                }
                None => Some(Position::new(next.value().saturating_sub(1))),
            },
        };
        let (Some(end), Some(room), false) = (end, page.room(), is_rest) else {
            return Ok(page.done());
        };
        read = store.paged(log, After::Position(end), room).await?;
    }
}

/// Puts commits into a page as far as there is room. Gives the last position, if there is room still.
fn fill<S: Source>(
    page: &mut Filling,
    commits: impl Iterator<Item = Stored>,
    mut chain: ChainHash,
) -> Option<Position> {
    let mut end = None;
    for stored in commits {
        let (last, after) = (stored.recorded.last_position(), stored.chain);
        if page.len() >= S::PAGE_COMMITS || !page.push((stored, chain)) {
            return None;
        }
        (end, chain) = (Some(last), after);
    }
    end.filter(|_| page.len() < S::PAGE_COMMITS)
}

/// Reads a stream, as [`LogStore::stream`](crate::store::LogStore::stream).
pub(in crate::store) async fn stream(
    store: &impl Source,
    log: &LogName,
    stream: &StreamId,
    range: StreamRange,
) -> Result<StreamPage, StoreError> {
    for _ in 0..TRIES {
        let (version, places) = store.placed(log, stream, range).await?;
        let mut reading = Reading::new(stream, range, version);
        if take(store, log, places, &mut reading).await? {
            return Ok(reading.done());
        }
    }
    let detail = "what was read went to the archive and back all the time".into();
    Err(StoreError::Unavailable { detail })
}

/// Takes the commits at these places; `false` if one that was in the archive is there no more.
async fn take(
    store: &impl Source,
    log: &LogName,
    places: Vec<Place>,
    reading: &mut Reading<'_>,
) -> Result<bool, StoreError> {
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
        if let Some((stored, _)) = found {
            reading.push(stored.recorded.clone());
            continue;
        }
        let Some(run) = store.run_at(log, first).await? else {
            return Ok(false);
        };
        let Some(part) = part(store, log, run).await? else {
            return Ok(false);
        };
        let (stored, _) = part.commit(first).ok_or_else(|| lost(log, first))?;
        reading.push(stored.recorded.clone());
        current = Some(part);
    }
    Ok(true)
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

/// A segment that is a run of the archive; `None` within if it has too many bytes to be one. `None`: it is in the database again.
pub(in crate::store) async fn segment(
    store: &(impl Source + LogStore),
    log: &LogName,
    mut run: Run,
) -> Result<Option<Option<Segment>>, StoreError> {
    while run.is_segment {
        let archive = demand(store.shelf(), log, &run)?;
        // A run that is still there after the revision was read holds nothing that was erased by then.
        let revision = store.revision(log).await?;
        match store.run_at(log, run.first).await? {
            Some(now) if now == run => {}
            Some(now) => {
                run = now;
                continue;
            }
            None => return Ok(None),
        }
        match archive.bytes(log, &run).await {
            Ok(gzip) => {
                let (first, last) = (run.first, run.last);
                return Ok(Some(Some(Segment {
                    first,
                    last,
                    revision,
                    gzip,
                })));
            }
            Err(unread) => match replaced(store, log, run, unread).await? {
                Some(now) => run = now,
                None => return Ok(None),
            },
        }
    }
    Ok(Some(None))
}
