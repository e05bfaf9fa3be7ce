//! Moving runs from a database into the archive.

use super::reading::demand;
use super::{Archive, Part, Row, Run, Shelf, Unread};
use crate::clock;
use crate::store::segment::{self, MOST_BYTES};
use crate::store::{After, PageCap, StoreError, sealed};
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
    /// How many objects that belong to nothing were removed: of runs of this command that ended in the middle.
    pub strays: u64,
}

/// Moves what is wanted, one run after the other. Whatever ends it in the middle, each run is either in the database or in the
/// archive; the next call goes on. `done` is told how far it has come.
pub(in crate::store) async fn archive<S: Shelf>(
    store: &S,
    log: &LogName,
    wanted: Wanted,
    mut done: impl FnMut(Position),
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
    if let Some(run) = runs.last() {
        mover.demand_there(run).await?;
    }
    let mut moved = Moved {
        strays: clean(store, archive, store.strays().await?).await?,
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

/// Brings the run that holds a position back into the database, and removes its object. Nothing is done if there is none.
pub(in crate::store) async fn recall<S: Shelf>(
    store: &S,
    log: &LogName,
    position: Position,
) -> Result<(), StoreError> {
    while let Some(run) = store.run_at(log, position).await? {
        let archive = demand(store.shelf(), log, &run)?;
        let part = match archive.part(log, &run).await {
            Ok(part) => part,
            Err(unread) if store.run_at(log, position).await?.as_ref() == Some(&run) => {
                return Err(unread.of(log, &run));
            }
            Err(_replaced) => continue,
        };
        store.recall(log, run, part).await?;
    }
    remove_doomed(store).await
}

/// Removes objects whose runs came back. Until that is done they hold what is in the database.
pub(in crate::store) async fn remove_doomed<S: Shelf>(store: &S) -> Result<(), StoreError> {
    let doomed = store.doomed().await?;
    match (store.shelf(), doomed.is_empty()) {
        (_, true) => Ok(()),
        (Some(archive), false) => clean(store, archive, doomed).await.map(|_| ()),
        (None, false) => Err(unavailable(super::NOT_CONFIGURED.into())),
    }
}

/// Removes objects that belong to no run.
async fn clean<S: Shelf>(
    store: &S,
    archive: &Archive,
    strays: Vec<String>,
) -> Result<u64, StoreError> {
    for name in &strays {
        archive.forget(name);
        archive.objects.remove(name).await.map_err(unavailable)?;
        store.removed(name).await?;
    }
    Ok(strays.len() as u64)
}

fn unavailable(detail: String) -> StoreError {
    StoreError::Unavailable { detail }
}

struct Mover<'a, S> {
    store: &'a S,
    archive: &'a Archive,
    log: &'a LogName,
    epoch: Epoch,
}

impl<S: Shelf> Mover<'_, S> {
    /// Where a log's history lies in one archive it goes on in that.
    async fn demand_there(&self, run: &Run) -> Result<(), StoreError> {
        match self.archive.objects.has(&run.name).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Unread::Missing.of(self.log, run)),
            Err(detail) => Err(unavailable(detail)),
        }
    }

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
        let from = moved.through.next();
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
        let segment = segment.filter(|segment| segment.last == last);
        let (gzip, is_segment) = match segment {
            Some(segment) => (segment.gzip, true),
            None => (self.encode(&rows).await?, false),
        };
        let sha256 = Sha256::digest(&gzip).into();
        let run = Run {
            number,
            first: from,
            last,
            name: self.name(number, from, sha256)?,
            sha256,
            bytes: gzip.len() as u64,
            is_segment,
        };
        self.store.announce(&run.name).await?;
        let put = self.archive.objects.put(&run.name, gzip).await;
        put.map_err(unavailable)?;
        self.demand_same(&run, &rows).await?;
        moved.runs += 1;
        moved.events += last.value().saturating_sub(moved.through.value());
        moved.freed += rows.iter().map(|row| row.frame.len() as u64).sum::<u64>();
        moved.put += run.bytes;
        moved.through = last;
        self.store.shelve(self.log, self.epoch, run, rows).await
    }

    async fn encode(&self, rows: &Arc<[Row]>) -> Result<Arc<[u8]>, StoreError> {
        let (rows, epoch, log) = (Arc::clone(rows), self.epoch, self.log.clone());
        let encoded = tokio::task::spawn_blocking(move || segment::encode(&log, epoch, &rows));
        encoded
            .await
            .map_err(|error| unavailable(error.to_string()))?
    }

    /// A name that nothing ever had: one that was removed may be removed again by somebody slow.
    fn name(&self, number: u64, first: Position, sha256: [u8; 32]) -> Result<String, StoreError> {
        let random: [u8; 4] = clock::random().map_err(|error| unavailable(error.to_string()))?;
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        let (sum, once) = (hex(&sha256), hex(&random));
        Ok(format!(
            "{}/{number:010}/{first}-{sum}-{once}.gz",
            self.epoch
        ))
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
