//! Which database an archive belongs to, and whether it is there at all.
//!
//! A small object beside the runs, the *marker*, names an id that the database keeps as well. It is put before the first run is announced, and
//! goes wherever the archive is copied to, as the id goes wherever the database is copied to. So a folder where nothing is mounted,
//! from which all that is to go is missing, does not count as the archive; and no two databases fill one.

use super::{Archive, Run, Shelf, archive_unavailable, unavailable};
use crate::clock;
use crate::store::StoreError;
use serde::{Deserialize, Serialize};
use std::fmt;
use tidelog_core::{LogName, Position};

/// The marker's name. Runs have slashes in theirs.
pub(super) const NAME: &str = "tidelog-archive.json";
/// What a marker has at most.
const MOST_BYTES: u64 = 4_096;
/// How many recorded runs are looked for where there is no marker. One of them is enough, since their names are used once.
const SAMPLE: usize = 16;

/// What a database calls its archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct ArchiveId([u8; 16]);

impl ArchiveId {
    fn mint() -> Result<Self, StoreError> {
        let random = clock::random().map_err(|error| unavailable(error.to_string()))?;
        Ok(Self(random))
    }

    pub(in crate::store) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(in crate::store) const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for ArchiveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// What a database knows of its marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Marker {
    pub(in crate::store) id: ArchiveId,
    /// Was it seen there? It was not if an older build filled the archive, or if putting it was ended.
    pub(in crate::store) is_put: bool,
}

/// The marker's content.
#[derive(Debug, Serialize, Deserialize)]
struct Content {
    archive: String,
    about: String,
}

impl Content {
    fn of(id: ArchiveId) -> Self {
        Self {
            archive: id.to_string(),
            about: "History of a Tidelog database. Keep this file with the rest.".into(),
        }
    }
}

/// What an archive says whose it is.
#[derive(Debug)]
enum Said {
    Nothing,
    Id(String),
    Unreadable,
}

/// Fails unless the archive is there and belongs to this database. One that is new, or that an older build has filled, gets the marker.
pub(super) async fn demand_ours<S: Shelf>(
    store: &S,
    archive: &Archive,
    log: &LogName,
) -> Result<(), StoreError> {
    let marker = store.marker(ArchiveId::mint()?).await?;
    let mut said = read(archive).await?;
    if matches!(said, Said::Nothing) {
        demand_markable(store, archive, log, marker).await?;
        let content = serde_json::to_vec_pretty(&Content::of(marker.id));
        let content = content.map_err(|error| unavailable(error.to_string()))?;
        // Another database may be doing the same, and only one of them puts it.
        let put = archive.objects.put_once(NAME, content).await;
        put.map_err(unavailable)?;
        said = read(archive).await?;
    }
    match said {
        Said::Id(id) if id == marker.id.to_string() => match marker.is_put {
            true => Ok(()),
            false => store.marker_put().await,
        },
        Said::Id(_) => Err(another(
            log,
            format!(
                "{archive:?} belongs to another database, as its {NAME} says; use a folder or a prefix that is this database's alone. (A copy \
                 of a database needs a copy of the archive. A database that was restored by `tidelog restore`, or from before it had \
                 an archive, needs a new one. Objects of this database that lie there are copied to a folder of their own without that file)"
            ),
        )),
        Said::Unreadable => Err(another(
            log,
            format!(
                "the {NAME} of {archive:?} cannot be read; if the objects beside it are this database's, remove it, and it is written again"
            ),
        )),
        Said::Nothing => Err(unavailable(format!(
            "the {NAME} of {archive:?} was put and is not there"
        ))),
    }
}

fn another(log: &LogName, detail: String) -> StoreError {
    StoreError::ArchiveOfAnother {
        log: log.clone(),
        detail,
    }
}

async fn read(archive: &Archive) -> Result<Said, StoreError> {
    let found = archive.objects.get(NAME, MOST_BYTES).await;
    let Some(bytes) = found.map_err(unavailable)? else {
        return Ok(Said::Nothing);
    };
    Ok(match serde_json::from_slice::<Content>(&bytes) {
        Ok(content) => Said::Id(content.archive),
        Err(_) => Said::Unreadable,
    })
}

/// Without a marker it is the archive if a run is there that the database records, of a few that it does. If it records none, there is
/// nothing to miss, but for objects that are to go from an archive that had the marker.
async fn demand_markable<S: Shelf>(
    store: &S,
    archive: &Archive,
    log: &LogName,
    marker: Marker,
) -> Result<(), StoreError> {
    loop {
        let runs = store.some_runs(SAMPLE).await?;
        if is_any_there(archive, runs.iter().map(|(_, run)| run)).await? {
            return Ok(());
        }
        if let Some((log, run)) = runs.first() {
            // They came back meanwhile, and others count.
            if store.some_runs(SAMPLE).await? != runs {
                continue;
            }
            return Err(archive_unavailable(log, run, not_there(archive)));
        }
        return match marker.is_put && !store.strays().await?.is_empty() {
            false => Ok(()),
            true => Err(StoreError::ArchiveUnavailable {
                log: log.clone(),
                position: Position::START.next(),
                detail: not_there(archive),
            }),
        };
    }
}

fn not_there(archive: &Archive) -> String {
    format!(
        "{archive:?} has no {NAME}, and nothing that was moved there; is it the archive that this was moved to, and is it mounted?"
    )
}

/// Is one of the newest of these runs there? A log whose runs are elsewhere does not go on here, and one that has lost some does.
pub(super) async fn demand_some_there<S: Shelf>(
    store: &S,
    archive: &Archive,
    log: &LogName,
    runs: &[Run],
) -> Result<(), StoreError> {
    let newest = || runs.iter().rev().take(SAMPLE);
    match runs.last() {
        Some(run) if !is_any_there(archive, newest()).await? => {
            match store.run_at(log, run.first).await? {
                Some(now) if now == *run => Err(super::Unread::Missing.of(log, run)),
                _ => Err(super::moving::changed()),
            }
        }
        _ => Ok(()),
    }
}

async fn is_any_there(
    archive: &Archive,
    runs: impl Iterator<Item = &Run>,
) -> Result<bool, StoreError> {
    for run in runs {
        if archive.objects.has(&run.name).await.map_err(unavailable)? {
            return Ok(true);
        }
    }
    Ok(false)
}
