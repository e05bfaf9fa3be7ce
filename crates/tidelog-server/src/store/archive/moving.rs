//! Moving runs from a database into the archive.

use super::strays::{self, Comes, Which};
use super::{Archive, Part, Row, Run, Shelf, marker, unavailable};
use crate::store::segment::{self, MOST_BYTES};
use crate::store::{After, PageCap, StoreError, sealed, stored};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tidelog_core::{Epoch, LogName, Position, Timestamp, frame};

/// Which part of a log is archived: whole segments only.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Wanted {
    /// Those whose last commit was recorded before this moment.
    Before(Timestamp),
    /// All but the newest events, so many at least.
    Keeping(u64),
}

/// What was moved.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Moved {
    /// How many objects were put.
    pub runs: u64,
    /// How many events they hold.
    pub events: u64,
    /// How many bytes of frames have left the database.
    pub freed: u64,
    /// How many bytes of objects were put.
    pub put: u64,
    /// Up to where the log is archived now.
    pub through: Position,
    /// How many objects that belong to no run were removed: of commands that ended in the middle.
    pub strays: u64,
}

/// Moves what is wanted, one run after the other. Whatever ends it in the middle, each run is either in the database or in the
/// archive; the next call goes on. `done` is told how far it has come.
pub(in crate::store) async fn archive<S: Shelf>(
    store: &S,
    log: &LogName,
    wanted: Wanted,
    mut done: impl FnMut(Position) + Send,
) -> Result<Moved, StoreError> {
    let Some(archive) = store.shelf() else {
        return Err(StoreError::ArchiveUnavailable {
            log: log.clone(),
            position: Position::START.next(),
            detail: super::NOT_CONFIGURED.into(),
        });
    };
    let state = store.state(log).await?;
    let mover = Mover {
        store,
        archive,
        log,
        epoch: state.epoch,
    };
    let runs = store.runs(log).await?;
    if !runs.is_empty() {
        marker::demand_ours(store, archive, log).await?;
        marker::demand_some_there(store, archive, log, &runs).await?;
    }
    let mut moved = Moved {
        strays: strays::clean(store, log, state.epoch, Which::AndLeftByOthers).await?,
        ..Moved::default()
    };
    let mut runs = runs.into_iter().peekable();
    for number in 1..=sealed(state.head.position) {
        let Some((_, end)) = segment::bounds(number) else {
            break;
        };
        while let Some(run) = runs.next_if(|run| run.first == moved.through.next()) {
            moved.through = run.last;
        }
        if moved.through >= end {
            continue;
        }
        if !mover.is_wanted(wanted, state.head.position, end).await? {
            break;
        }
        while moved.through < end {
            // What came back lies before what stayed.
            let next = runs.peek().map_or(end, |run| run.first);
            let to = end.min(Position::new(
                next.value().saturating_sub(u64::from(next < end)),
            ));
            mover.next(number, to, &mut moved).await?;
            while let Some(run) = runs.next_if(|run| run.first == moved.through.next()) {
                moved.through = run.last;
            }
            done(moved.through);
        }
    }
    Ok(moved)
}

/// What was read was archived, brought back or erased meanwhile.
pub(super) fn changed() -> StoreError {
    unavailable("the log was changed while it was archived; run it again".into())
}

/// A run that was moved.
struct Shelved {
    last: Position,
    /// How many bytes of frames have left the database.
    freed: u64,
    /// How many bytes the object has.
    put: u64,
}

struct Mover<'a, S> {
    store: &'a S,
    archive: &'a Archive,
    log: &'a LogName,
    epoch: Epoch,
}

impl<S: Shelf> Mover<'_, S> {
    async fn is_wanted(
        &self,
        wanted: Wanted,
        head: Position,
        end: Position,
    ) -> Result<bool, StoreError> {
        match wanted {
            Wanted::Keeping(events) => Ok(end.value().saturating_add(events) <= head.value()),
            Wanted::Before(moment) => {
                let before_it = After::Position(Position::new(end.value().saturating_sub(1)));
                let one = PageCap {
                    bytes: 0,
                    events: 1,
                };
                let page = self.store.page(self.log, before_it, one).await?;
                let last = page.commits.first();
                Ok(last.is_some_and(|stored| stored.recorded.recorded_at < moment))
            }
        }
    }

    /// Moves the next run: the segment, or as much of one as may be an object.
    async fn next(&self, number: u64, end: Position, moved: &mut Moved) -> Result<(), StoreError> {
        marker::demand_ours(self.store, self.archive, self.log).await?;
        let revision = self.store.revision(self.log).await?;
        let from = moved.through.next();
        let name = strays::name(self.epoch, number, from)?;
        // Before anything is read: what is erased from now on is looked for under this name, and what was erased is not read.
        self.store.announce(&name).await?;
        let mut comes = Comes::NoMore;
        let shelved = self.shelve(number, from, end, &name, &mut comes).await;
        match shelved {
            Ok(shelved) => {
                moved.runs += 1;
                moved.events += shelved.last.value().saturating_sub(moved.through.value());
                moved.freed += shelved.freed;
                moved.put += shelved.put;
                moved.through = shelved.last;
                Ok(())
            }
            Err(error) => {
                strays::withdraw(self.store, self.archive, self.log, &name, comes).await;
                Err(self.unless_changed(revision, error).await)
            }
        }
    }

    /// Puts the run under this name and records it. `comes` says of an error whether the object may come yet.
    async fn shelve(
        &self,
        number: u64,
        from: Position,
        end: Position,
        name: &str,
        comes: &mut Comes,
    ) -> Result<Shelved, StoreError> {
        let segment = self.store.segment(self.log, number).await?;
        let segment = segment.filter(|segment| segment.first == from);
        let most = match &segment {
            Some(_) => usize::MAX,
            None => MOST_BYTES,
        };
        let rows: Arc<[Row]> = self.store.rows(self.log, from, end, most).await?.into();
        let Some(last) = rows.last().map(|row| row.last) else {
            return Err(super::reading::lost(self.log, from));
        };
        if rows.iter().any(|row| stored::is_stub(&row.frame)) {
            return Err(changed());
        }
        let segment = segment.filter(|segment| segment.last == last);
        let (gzip, is_segment) = match segment {
            Some(segment) => (segment.gzip, true),
            None => (self.encode(&rows).await?, false),
        };
        let run = Run {
            number,
            first: from,
            last,
            name: name.to_owned(),
            sha256: Sha256::digest(&gzip).into(),
            bytes: gzip.len() as u64,
            is_segment,
        };
        *comes = Comes::Perhaps;
        let put = self.archive.objects.put(name, gzip).await;
        put.map_err(unavailable)?;
        *comes = Comes::NoMore;
        self.demand_same(&run, &rows).await?;
        // What lies where nothing is mounted is gone when the archive is back.
        marker::demand_ours(self.store, self.archive, self.log).await?;
        let shelved = Shelved {
            last,
            freed: rows.iter().map(|row| row.frame.len() as u64).sum(),
            put: run.bytes,
        };
        self.store.shelve(self.log, self.epoch, run, rows).await?;
        Ok(shelved)
    }

    /// What looks damaged may be of two moments: before something was erased, and after it.
    async fn unless_changed(&self, revision: u64, error: StoreError) -> StoreError {
        if !matches!(error, StoreError::Damaged { .. }) {
            return error;
        }
        let now = (
            self.store.state(self.log).await,
            self.store.revision(self.log).await,
        );
        match now {
            (Ok(state), Ok(now)) if state.epoch == self.epoch && now == revision => error,
            _ => changed(),
        }
    }

    async fn encode(&self, rows: &Arc<[Row]>) -> Result<Arc<[u8]>, StoreError> {
        let (rows, epoch, log) = (Arc::clone(rows), self.epoch, self.log.clone());
        let encoded = tokio::task::spawn_blocking(move || segment::encode(&log, epoch, &rows));
        encoded
            .await
            .map_err(|error| unavailable(error.to_string()))?
    }

    /// What was put is read back, and gives each row's frame byte for byte, and its chain hash.
    async fn demand_same(&self, run: &Run, rows: &Arc<[Row]>) -> Result<(), StoreError> {
        let read = self.archive.fetch(self.log, run).await;
        let bytes = read.map_err(|unread| unread.of(self.log, run))?;
        let rows = Arc::clone(rows);
        let differs = tokio::task::spawn_blocking(move || {
            let part = Part::decode(&bytes)?;
            if part.len() != rows.len() {
                return Ok(Some(run_first(&rows)));
            }
            let differs = rows.iter().find(|row| !is_same(&part, row));
            Ok::<_, String>(differs.map(|row| row.first))
        });
        let differs = differs
            .await
            .map_err(|error| unavailable(error.to_string()))?;
        match differs.map_err(unavailable)? {
            None => Ok(()),
            Some(position) => Err(StoreError::Damaged {
                log: self.log.clone(),
                position,
                detail: "its frame is not what its content gives; nothing was moved".into(),
            }),
        }
    }
}

fn run_first(rows: &[Row]) -> Position {
    rows.first().map_or(Position::START, |row| row.first)
}

fn is_same(part: &Part, row: &Row) -> bool {
    let chain = part.commit(row.first).map(|(stored, _)| stored.chain);
    chain == Some(row.chain)
        && part.frame(row.first).as_deref() == Some(&row.frame)
        && frame::header(&row.frame).is_ok()
}
