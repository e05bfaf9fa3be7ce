//! What concerns a log wherever its frames are: erasing, and the check of all of it. The same for every database.

use super::reading::demand;
use super::{Archive, Part, Run, Shelf, Unread, archive_unavailable, marker, strays};
use crate::store::erase::InRows;
use crate::store::{Erase, Erased, StoreError, Verified, Versions};
use std::sync::Arc;
use tidelog_core::{LogName, Position};

/// Erases, as [`LogStore::erase`](crate::store::LogStore::erase): what is in the archive comes back first.
pub(in crate::store) async fn erase<S: Shelf>(
    store: &S,
    erase: &Erase,
) -> Result<Erased, StoreError> {
    loop {
        match store.erase_in_rows(erase).await? {
            InRows::Archived(position) => bring_back(store, &erase.log, position).await?,
            InRows::Erased(erased) => {
                // Also if nothing was left to erase: an earlier try may have left an object that still holds it. It is looked for without
                // an archive too, and then the answer is that it cannot be removed from here.
                if erase.versions != Versions::None {
                    strays::clean(store, &erase.log, erased.state.epoch, strays::Which::OfLog)
                        .await?;
                }
                return Ok(erased);
            }
        }
    }
}

/// Brings the run that holds a position back into the database, and removes its object. Nothing is done if there is none.
pub(super) async fn bring_back<S: Shelf>(
    store: &S,
    log: &LogName,
    position: Position,
) -> Result<(), StoreError> {
    while let Some(run) = store.run_at(log, position).await? {
        let archive = demand(store.shelf(), log, &run)?;
        marker::demand_ours(store, archive, log).await?;
        let part = match there(archive, log, &run).await {
            Ok(part) => part,
            Err(unread) if store.run_at(log, position).await?.as_ref() == Some(&run) => {
                return Err(unread.of(log, &run));
            }
            Err(_replaced) => continue,
        };
        let name = run.name.clone();
        store.unshelve(log, run, part).await?;
        // It was recorded: whoever put it has done so long since.
        strays::remove(store, archive, log, &[name], strays::Comes::NoMore).await?;
    }
    Ok(())
}

/// A run's commits, of an archive that has its object now. They may be in memory while it is in an archive that is not reached, from
/// which nothing can be removed.
async fn there(archive: &Archive, log: &LogName, run: &Run) -> Result<Arc<Part>, Unread> {
    match archive.objects.has(&run.name).await {
        Ok(true) => archive.part(log, run).await,
        Ok(false) => Err(Unread::Missing),
        Err(detail) => Err(archive_unavailable(log, run, detail).into()),
    }
}

/// How often the check begins again because a run came back while it was under way.
const TRIES: usize = 5;

/// Checks a log, as [`LogStore::verify`](crate::store::LogStore::verify). It is read as it is at one moment, but objects go when their
/// runs come back: one that is missing for this reason is no damage.
pub(in crate::store) async fn verify<S: Shelf>(
    store: &S,
    log: &LogName,
) -> Result<Verified, StoreError> {
    for _ in 0..TRIES {
        let before = store.runs(log).await?;
        let told = store.walk(log).await;
        let is_told = match &told {
            Err(StoreError::Damaged { .. } | StoreError::ArchiveUnavailable { .. }) => {
                store.runs(log).await? == before
            }
            _ => true,
        };
        if is_told {
            return told;
        }
    }
    let detail =
        "runs of the archive came back or went there all the time that it was checked".into();
    Err(StoreError::Unavailable { detail })
}
