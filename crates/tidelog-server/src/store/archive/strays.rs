//! Objects that are no run's, or not yet: of commands that were ended or refused, and of runs that came back.
//!
//! Whoever moves a run announces its object before anything is read for it, and records it last, if it is still announced. Whoever
//! cleans dooms first what is announced, in a transaction: so exactly one of both wins, and what is doomed may be removed. Somebody may be
//! about to put it even so, finds out that it is doomed, and removes it; in case that one is killed in between, the name is kept until nobody
//! can be that slow.

use super::{Archive, NOT_CONFIGURED, Shelf, Stray, marker, names, unavailable};
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

/// Which objects are cleaned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// All of the log.
    OfLog,
    /// Also those of other logs that nobody can be about to record: whoever moves runs of another log at the same time goes on.
    AndLeftByOthers,
}

/// Removes objects of a log that belong to no run, so that none is left of what was announced of it. Gives how many were there.
pub(super) async fn clean<S: Shelf>(
    store: &S,
    log: &LogName,
    epoch: Epoch,
    which: Which,
) -> Result<u64, StoreError> {
    store.doom(epoch).await?;
    let (from, to) = names(epoch);
    let is_of_log = |stray: &Stray| (from.as_str()..to.as_str()).contains(&stray.name.as_str());
    let (of_log, others): (Vec<Stray>, Vec<Stray>) =
        store.strays().await?.into_iter().partition(is_of_log);
    // What was announced since belongs to somebody who began after what is to go.
    let doomed = of_log.into_iter().filter(|stray| stray.is_doomed);
    let mut names: Vec<String> = doomed.map(|stray| stray.name).collect();
    let others = others
        .into_iter()
        .filter(|_| which == Which::AndLeftByOthers);
    for Stray { name, is_doomed } in others {
        if is_doomed || (!is_young(&name) && store.withdraw(&name).await?) {
            names.push(name);
        }
    }
    match (store.shelf(), names.is_empty()) {
        (_, true) => Ok(0),
        (Some(archive), false) => {
            marker::demand_ours(store, archive, log).await?;
            let mut there = 0;
            for name in &names {
                there += u64::from(archive.objects.has(name).await.map_err(unavailable)?);
            }
            remove(store, archive, log, &names, Comes::Perhaps).await?;
            Ok(there)
        }
        (None, false) => Err(StoreError::ArchiveUnavailable {
            log: log.clone(),
            position: Position::START.next(),
            detail: NOT_CONFIGURED.into(),
        }),
    }
}

/// Removes doomed objects, if they are there. In another archive, such as a folder where nothing is mounted, all that is to go is
/// missing: so none counts as removed before the archive was seen to be there after it.
pub(super) async fn remove<S: Shelf>(
    store: &S,
    archive: &Archive,
    log: &LogName,
    names: &[String],
    comes: Comes,
) -> Result<(), StoreError> {
    for name in names {
        archive.forget(name);
        archive.objects.remove(name).await.map_err(unavailable)?;
    }
    marker::demand_ours(store, archive, log).await?;
    for name in names {
        if comes == Comes::NoMore || !is_young(name) {
            store.removed(name).await?;
        }
    }
    Ok(())
}

/// Removes what was announced and is not recorded, by whoever announced it. What fails here is done by the next who cleans.
pub(super) async fn withdraw<S: Shelf>(
    store: &S,
    archive: &Archive,
    log: &LogName,
    name: &str,
    comes: Comes,
) {
    let withdrawn = async {
        if store.withdraw(name).await? {
            remove(store, archive, log, &[name.to_owned()], comes).await?;
        }
        Ok::<_, StoreError>(())
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
