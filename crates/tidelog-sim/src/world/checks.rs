//! Everything is looked at.

use super::World;
use crate::hold;
use crate::tab::Tab;
use std::collections::BTreeSet;
use tidelog_core::replica::ReceiptState;

/// A tab that is polled never keeps more notices than this.
const MOST_NOTICES: usize = 64;

impl World {
    pub(super) fn check_tab(&self, at: usize) {
        let tab = &self.tabs[at];
        tab.check(self.time(tab.device), &self.oracle);
        let backlog = tab.replica.backlog();
        hold!(
            13,
            backlog <= MOST_NOTICES,
            "{backlog} notices wait in a tab that was polled"
        );
    }

    /// Every invariant of everything that is there.
    pub fn check_all(&mut self) {
        for at in 0..self.tabs.len() {
            if !self.is_frozen(at) {
                self.settle(self.tabs[at].uid);
                self.check_tab(at);
            }
        }
        self.oracle.check_server(&self.server);
        self.oracle.check_acknowledged(&self.server);
        for device in 0..self.devices.len() {
            self.oracle.check_disk(device, &self.devices[device].disk);
        }
    }

    /// Invariants 7, 10 and 14 when nothing moves any more.
    pub(super) fn check_quiet(&mut self) {
        self.check_all();
        let head = self.server.head().position;
        for tab in &self.tabs {
            let status = tab.replica.status();
            let uid = tab.uid;
            let counts = status.counts;
            hold!(
                14,
                (counts.unwritten, counts.pending, counts.acked) == (0, 0, 0),
                "tab {uid} is stuck: {status:?}"
            );
            hold!(
                14,
                status.position == head,
                "tab {uid} is behind: {status:?}"
            );
            let filter = tab.replica.filter();
            hold!(
                14,
                status.next_filter.is_none(),
                "tab {uid} has not come to the part that is asked for: {status:?}"
            );
            let log = self.server.log.iter().map(|recorded| &recorded.commit);
            let asked: BTreeSet<_> = log
                .filter(|commit| filter.matches(commit))
                .map(|commit| commit.id)
                .collect();
            hold!(
                10,
                *tab.confirmed() == asked,
                "tab {uid} holds other commits than it asks for ({filter})"
            );
            let disk = &self.devices[tab.device].disk;
            let parked: Vec<_> = tab.replica.parked().keys().collect();
            let stored: Vec<_> = disk.content.parked.keys().collect();
            hold!(
                14,
                parked == stored,
                "tab {uid} and its disk differ in what is parked"
            );
            self.check_receipts(tab);
        }
        for pair in self.tabs.windows(2) {
            if pair[0].replica.filter() != pair[1].replica.filter() {
                continue;
            }
            let same = pair[0].rows().streams().eq(pair[1].rows().streams());
            hold!(10, same, "two tabs that have caught up show other streams");
        }
        self.check_erased();
        self.oracle.check_end(&self.server, self.disks());
    }

    /// Every tab has heard the end of what it appended.
    fn check_receipts(&self, tab: &Tab) {
        let oracle = &self.oracle;
        // What was confirmed in a history that is no more went back to pending, after its receipt was settled.
        let replaced = oracle.histories.len() > 1;
        for (id, origin) in &oracle.created {
            let gone = oracle.discarded.contains(id) || oracle.excused.contains(id);
            if origin.tab != tab.uid || gone {
                continue;
            }
            let receipt = tab.receipts.get(id);
            let parked = tab.replica.parked().contains_key(id);
            let right = match receipt {
                Some(ReceiptState::Confirmed(_)) => !parked || replaced,
                Some(ReceiptState::Parked) => parked || oracle.satisfied.contains(id),
                Some(ReceiptState::Failed(_)) => !parked && !self.server.has(*id),
                _ => false,
            };
            hold!(
                7,
                right,
                "{id} ended, and its tab {} heard {receipt:?}",
                tab.uid
            );
        }
    }
}
