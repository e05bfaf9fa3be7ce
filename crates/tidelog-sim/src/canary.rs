//! Planted bugs: each must make some world break an invariant, or the oracle is blind to its kind.
//!
//! Those of the core are compiled in by the feature `canaries` only; those of the models stand for the code outside the
//! core that the models stand for.

use core::str::FromStr;

macro_rules! canaries {
    ($($(#[doc = $doc:literal])+ $variant:ident $name:literal $core:literal;)+) => {
        /// A planted bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Canary { $($(#[doc = $doc])+ $variant,)+ }

        const CANARIES: &[(Canary, &str, bool)] = &[$((Canary::$variant, $name, $core),)+];
    };
}

canaries! {
    /// The store lets a stale writer through.
    StoreWithoutFence "store-without-fence" false;
    /// Now and then a transaction completes and is not there.
    WriteNotKept "write-not-kept" false;
    /// The cursor moves on without the events it stands for.
    CursorBeforeEvents "cursor-before-events" false;
    /// A parked commit is not stored.
    ParkingNotStored "parking-not-stored" false;
    /// What only this device has is not flushed.
    PendingRelaxed "pending-relaxed" false;
    /// A snapshot names the end of the log instead of what its state has applied.
    SnapshotOfMaximum "snapshot-of-maximum" false;
    /// The server answers before the flush.
    ServerFsyncSkipped "server-fsync-skipped" false;
    /// The server says accepted of what it does not store.
    AcceptedNotStored "accepted-not-stored" false;
    /// The server does not look at conditions.
    StaleExpectationTaken "stale-expectation-taken" false;
    /// The server's expected version is off by one.
    ExpectedOffByOne "expected-off-by-one" false;
    /// The server takes another commit with the same sequence number for a repetition.
    DuplicateBySeq "duplicate-by-seq" false;
    /// The server does not recognise a repeated commit.
    DuplicateForgotten "duplicate-forgotten" false;
    /// The server takes other bytes of a known attempt for a repetition.
    OtherBytesTaken "other-bytes-taken" false;
    /// A transaction of the server that was killed leaves a part of itself.
    HalfCommitted "half-committed" false;
}

impl Canary {
    /// Every planted bug that this build has.
    pub fn all() -> impl Iterator<Item = Self> {
        let core = cfg!(feature = "canaries");
        let known = CANARIES
            .iter()
            .filter(move |(.., in_core)| core || !in_core);
        known.map(|(canary, ..)| *canary)
    }

    /// The same as the core calls it, if it is planted there.
    #[cfg(feature = "canaries")]
    pub const fn of_core(self) -> Option<()> {
        None
    }

    /// Is it planted in the core?
    #[must_use]
    pub fn in_core(self) -> bool {
        CANARIES[self as usize].2
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        CANARIES[self as usize].1
    }
}

impl FromStr for Canary {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = CANARIES.iter().find(|(_, known, _)| *known == name);
        found
            .map(|(canary, ..)| *canary)
            .ok_or_else(|| format!("there is no canary {name}"))
    }
}
