//! Objects that are no run's, or not yet: of commands that were ended or refused, and of runs that came back.
//!
//! Whoever moves a run announces its object before anything is read for it, and records it last, if it is still announced. Whoever
//! cleans dooms first what is announced, in a transaction: so exactly one of both wins, and what is doomed may be removed. Somebody may be
//! about to put it even so, finds out that it is doomed, and removes it; in case that one is killed in between, the name is kept until nobody
//! can be that slow.

use super::{Archive, NOT_CONFIGURED, Shelf, archive_unavailable, unavailable};
use crate::clock;
use crate::store::StoreError;
use tidelog_core::{Epoch, LogName, Position};

/// How long after it was announced an object may still come, in milliseconds: a day, which no putting takes, and no clock is wrong by.
const LATEST: i64 = 24 * 60 * 60 * 1_000;

/// Whether somebody may still put an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comes {
    /// Nobody.
    NoMore,
    /// Whoever announced it, for all that is known.
    Perhaps,
}

/// A name that nothing ever had, since one that was removed may be removed again by somebody slow. It says when it was made.
pub(super) fn name(epoch: Epoch, number: u64, first: Position) -> Result<String, StoreError> {
    let random: [u8; 8] = clock::random().map_err(|error| unavailable(error.to_string()))?;
    let (now, once) = (clock::now().millis(), u64::from_be_bytes(random));
    Ok(format!("{epoch}/{number:010}/{first}-{now}-{once:016x}.gz"))
}

/// May an object of this name still come? Names that do not say when they were made are of builds that are gone.
fn is_young(name: &str) -> bool {
    let made = name
        .rsplit('/')
        .next()
        .and_then(|file| file.split('-').nth(1));
    let made = made.and_then(|millis| millis.parse::<i64>().ok());
    made.is_some_and(|made| clock::now().millis() < made.saturating_add(LATEST))
}

/// Removes objects that belong to no run, of the log of this epoch or of all. Gives how many were there.
pub(super) async fn clean<S: Shelf>(
    store: &S,
    log: &LogName,
    of: Option<Epoch>,
) -> Result<u64, StoreError> {
    let strays = store.doom(of).await?;
    let archive = match (store.shelf(), strays.is_empty()) {
        (_, true) => return Ok(0),
        (Some(archive), false) => archive,
        (None, false) => {
            return Err(StoreError::ArchiveUnavailable {
                log: log.clone(),
                position: Position::START.next(),
                detail: NOT_CONFIGURED.into(),
            });
        }
    };
    demand_ours(store, archive).await?;
    let mut removed = 0;
    for name in &strays {
        let there = archive.objects.has(name).await.map_err(unavailable)?;
        remove(store, archive, name, Comes::Perhaps).await?;
        removed += u64::from(there);
    }
    Ok(removed)
}

/// In another archive, such as a folder where nothing is mounted, all that is to go is missing, and would count as removed. One object that is
/// recorded has to be there, if there is one.
async fn demand_ours<S: Shelf>(store: &S, archive: &Archive) -> Result<(), StoreError> {
    while let Some((log, run)) = store.some_run().await? {
        match archive.objects.has(&run.name).await {
            Ok(true) => return Ok(()),
            // It came back, and another one counts.
            Ok(false) if store.run_at(&log, run.first).await?.as_ref() != Some(&run) => {}
            Ok(false) => {
                let detail = format!(
                    "it does not have {}; is it the archive that this was moved to?",
                    run.name
                );
                return Err(archive_unavailable(&log, &run, detail));
            }
            Err(detail) => return Err(unavailable(detail)),
        }
    }
    Ok(())
}

/// Removes a doomed object, if there is one.
pub(super) async fn remove<S: Shelf>(
    store: &S,
    archive: &Archive,
    name: &str,
    comes: Comes,
) -> Result<(), StoreError> {
    archive.forget(name);
    archive.objects.remove(name).await.map_err(unavailable)?;
    match comes == Comes::Perhaps && is_young(name) {
        true => Ok(()),
        false => store.removed(name).await,
    }
}

/// Removes what was announced and is not recorded, by whoever announced it. What fails here is done by the next who cleans.
pub(super) async fn withdraw<S: Shelf>(store: &S, archive: &Archive, name: &str, comes: Comes) {
    let withdrawn = async {
        match store.withdraw(name).await? {
            true => remove(store, archive, name, comes).await,
            false => Ok(()),
        }
    };
    if let Err(error) = withdrawn.await {
        tracing::warn!(%error, name, "an object that was not recorded is removed by the next `tidelog archive`");
    }
}

#[cfg(test)]
mod tests {
    use super::{LATEST, is_young, name};
    use crate::clock;
    use tidelog_core::{Epoch, Position};

    #[test]
    fn a_name_says_when_it_was_made() {
        let epoch = Epoch::from_bytes([7; 16]);
        let of = || name(epoch, 3, Position::new(32_769)).expect("a name");
        assert_ne!(of(), of());
        assert!(is_young(&of()), "{}", of());
        let old = clock::now().millis() - LATEST;
        assert!(!is_young(&format!("{epoch}/0000000003/32769-{old}-0.gz")));
        // As names were before, with a sum.
        let before = format!("{epoch}/0000000003/32769-{}-01020304.gz", "ab".repeat(32));
        assert!(!is_young(&before) && !is_young("left") && !is_young(""));
    }
}
