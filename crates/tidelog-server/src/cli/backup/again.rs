//! What was erased since a backup was made is erased again when the backup is restored.

use crate::cli::Failure;
use crate::store::{AnyStore, Audited, Erase, Erasures, LogStore, StoreError, Versions};
use std::collections::{BTreeMap, HashMap};
use tidelog_core::erasure::version_ranges;
use tidelog_core::{EventId, LogName, Recorded, Version};

/// What the database knows of erasures, and what the commits of a backup say of them.
#[derive(Debug, Default)]
pub(super) struct Again {
    /// What was written down under the log's name.
    known: Vec<Audited>,
    /// Of an erased event, its place in that list.
    events: HashMap<EventId, usize>,
    /// What the backup has of it with its payload, by the same place.
    back: BTreeMap<usize, Vec<Version>>,
    said: Erasures,
    told: Vec<Audited>,
}

impl Again {
    /// Asks what was written down under any of these names.
    pub(super) async fn of(store: &AnyStore, logs: [&LogName; 2]) -> Result<Self, Failure> {
        let mut again = Self::default();
        let [first, second] = logs;
        again.known = store.audited(first).await?;
        if second != first {
            again.known.extend(store.audited(second).await?);
        }
        for (at, audited) in again.known.iter().enumerate() {
            again
                .events
                .extend(audited.events.iter().map(|id| (*id, at)));
        }
        Ok(again)
    }

    /// Takes the next commit of the backup.
    pub(super) fn take(&mut self, log: &LogName, recorded: &Recorded) -> Result<(), Failure> {
        let told = self.said.take(recorded).map_err(|wrong| {
            let position = recorded.position;
            Failure::Failed(format!("log {log}, position {position}: {wrong}"))
        })?;
        self.told.extend(told);
        let commit = &recorded.commit;
        for (index, (event, version)) in commit
            .events
            .iter()
            .zip(recorded.event_versions())
            .enumerate()
        {
            if event.data.text().is_some()
                && let Some(at) = self.events.get(&commit.event_id(index))
            {
                self.back.entry(*at).or_default().push(version);
            }
        }
        Ok(())
    }

    /// Writes down what the backup says of erasures.
    pub(super) async fn remember(
        &mut self,
        store: &AnyStore,
        log: &LogName,
    ) -> Result<(), Failure> {
        Ok(store.remember(log, std::mem::take(&mut self.told)).await?)
    }

    /// Erases in the restored log what the backup brought back, and closes what was closed. Gives how many payloads that were.
    pub(super) async fn erase(mut self, store: &AnyStore, log: &LogName) -> Result<usize, Failure> {
        let mut payloads = 0;
        for (at, audited) in self.known.into_iter().enumerate() {
            let record = audited.record;
            let back = self.back.remove(&at).unwrap_or_default();
            payloads += back.len();
            let versions = match back.is_empty() {
                true => Versions::None,
                false => Versions::Ranges(version_ranges(back)),
            };
            if versions == Versions::None && !record.tombstoned {
                continue;
            }
            let erased = store.erase(Erase {
                log: log.clone(),
                stream: record.stream,
                versions,
                tombstone: record.tombstoned,
                reason: record.reason,
                actor: record.actor,
            });
            match erased.await {
                // A stream that began after the backup.
                Ok(_) | Err(StoreError::UnknownStream { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(payloads)
    }
}
