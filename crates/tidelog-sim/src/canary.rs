//! Planted bugs: each must make some world break an invariant, or the oracle is blind to its kind.
//!
//! Those of the core are compiled in by the feature `canaries` only; those of the models stand for bugs in the code that the
//! models stand for.

use core::str::FromStr;

macro_rules! canaries {
    ($($(#[doc = $doc:literal])+ $variant:ident $name:literal;)+) => {
        /// A planted bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Canary {
            $($(#[doc = $doc])+ $variant,)+
            /// One in the core.
            #[cfg(feature = "canaries")]
            Core(tidelog_core::canary::Canary),
        }

        const MODELS: &[Canary] = &[$(Canary::$variant,)+];

        impl Canary {
            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                    #[cfg(feature = "canaries")]
                    Self::Core(canary) => canary.name(),
                }
            }
        }
    };
}

canaries! {
    /// The store lets a stale writer through.
    StoreWithoutFence "store-without-fence";
    /// Now and then a transaction completes and is not there.
    WriteNotKept "write-not-kept";
    /// The cursor moves on without the events it stands for.
    CursorBeforeEvents "cursor-before-events";
    /// A parked commit is not stored.
    ParkingNotStored "parking-not-stored";
    /// What only this device has is not flushed.
    PendingRelaxed "pending-relaxed";
    /// A snapshot names the end of the log instead of what its state has applied.
    SnapshotOfMaximum "snapshot-of-maximum";
    /// The server answers before the flush.
    ServerFsyncSkipped "server-fsync-skipped";
    /// The server says accepted of what it does not store.
    AcceptedNotStored "accepted-not-stored";
    /// The server does not look at conditions.
    StaleExpectationTaken "stale-expectation-taken";
    /// The server's expected version is off by one.
    ExpectedOffByOne "expected-off-by-one";
    /// The server takes another commit with the same sequence number for a repetition.
    DuplicateBySeq "duplicate-by-seq";
    /// The server does not recognise a repeated commit.
    DuplicateForgotten "duplicate-forgotten";
    /// The server takes other bytes of a known attempt for a repetition.
    OtherBytesTaken "other-bytes-taken";
    /// The server sends a commit only if all of its streams are asked for.
    FilterDropsCommit "filter-drops-commit";
    /// A gap hides the commit behind it.
    GapHidesOne "gap-hides-one";
    /// A device says that it has erased and keeps the payloads.
    ErasedStays "erased-stays";
    /// A device erases in its log and not in what lost histories held.
    ErasedStaysLost "erased-stays-lost";
    /// A transaction of the server that was killed leaves a part of itself.
    HalfCommitted "half-committed";
}

impl Canary {
    /// Every planted bug that this build has, those of the models first.
    pub fn all() -> impl Iterator<Item = Self> {
        let models = MODELS.iter().copied();
        #[cfg(feature = "canaries")]
        let models = models.chain(
            tidelog_core::canary::Canary::ALL
                .iter()
                .copied()
                .map(Self::Core),
        );
        models
    }

    /// Is it planted in a model?
    #[must_use]
    pub fn in_model(self) -> bool {
        MODELS.contains(&self)
    }

    /// As the core knows it, if it is planted there.
    #[cfg(feature = "canaries")]
    #[must_use]
    pub const fn of_core(self) -> Option<tidelog_core::canary::Canary> {
        match self {
            Self::Core(canary) => Some(canary),
            _ => None,
        }
    }
}

impl FromStr for Canary {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::all().find(|canary| canary.name() == name);
        found.ok_or_else(|| format!("this build has no canary {name}"))
    }
}
