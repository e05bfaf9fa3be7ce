//! Who waits for which log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tidelog_core::{LogName, Position};
use tokio::sync::watch;

/// A channel for each log that somebody has watched; carries the newest position heard of.
#[derive(Debug, Clone, Default)]
pub(super) struct Heads(Arc<Mutex<BTreeMap<LogName, watch::Sender<Position>>>>);

impl Heads {
    pub(super) fn watch(&self, log: &LogName) -> watch::Receiver<Position> {
        let mut heads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heads.retain(|name, sender| name == log || sender.receiver_count() > 0);
        heads
            .entry(log.clone())
            .or_insert_with(|| watch::Sender::new(Position::START))
            .subscribe()
    }

    /// Wakes those who watch this log, unless they know already.
    pub(super) fn moved(&self, log: &LogName, head: Position) {
        let heads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = heads.get(log) {
            sender.send_if_modified(|known| {
                let news = head != *known;
                *known = head;
                news
            });
        }
    }

    pub(super) fn watched(&self) -> Vec<LogName> {
        let heads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let watched = heads
            .iter()
            .filter(|(_, sender)| sender.receiver_count() > 0);
        watched.map(|(log, _)| log.clone()).collect()
    }
}
