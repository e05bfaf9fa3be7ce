//! Which write fails, and how.

use std::collections::BTreeMap;
use tidelog_core::store::StoreError;

/// How one write goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is written and this error is reported. `ConnectionLost` kills the handle; `Wiped` wipes the database.
    Fail(StoreError),
    /// All of it is written, and then the connection is lost before the writer hears of it.
    AppliedThenLost,
    /// The connection is lost before anything is written.
    Lost,
    /// The page stops after this many steps of the transaction, and with it the connection: nothing is written, as a browser
    /// does with a transaction whose page has gone. A transaction of fewer steps goes well. A step is a change of one
    /// record, or of a range at once.
    StopAfter(u64),
}

/// The faults of the writes to come, maintenance included, by their number from 1. A write without one goes well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FaultPlan {
    faults: BTreeMap<u64, Fault>,
    writes: u64,
}

impl FaultPlan {
    /// A plan in which nothing fails.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the `n`-th write from now go wrong; 1 is the next.
    #[must_use]
    pub fn at(mut self, n: u64, fault: Fault) -> Self {
        self.faults.insert(n, fault);
        self
    }

    /// Counts a write and gives its fault.
    pub(super) fn next(&mut self) -> Option<Fault> {
        self.writes += 1;
        self.faults.remove(&self.writes)
    }
}
