//! Bugs planted on purpose, one at a time, so that the simulator proves that it sees their kind.
//!
//! Compiled by the feature `canaries` alone, which nothing that is released asks for. Each hook is a statement behind
//! `#[cfg(feature = "canaries")]` at the place whose care it takes away.

macro_rules! canaries {
    ($($(#[doc = $doc:literal])+ $variant:ident $name:literal;)+) => {
        /// A planted bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Canary { $($(#[doc = $doc])+ $variant,)+ }

        impl Canary {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

canaries! {
    /// A commit is sent before the transaction that holds it has completed.
    SentBeforeDurable "sent-before-durable";
    /// A commit that leaves the queue to be parked is parked nowhere.
    ParkingForgotten "parking-forgotten";
    /// A verdict about any attempt of a commit counts.
    VerdictOfAnyAttempt "verdict-of-any-attempt";
    /// An error of the network parks what was being sent.
    ErrorParks "error-parks";
    /// Rebased events are sent as the attempt they were before.
    SameAttempt "same-attempt";
    /// An expected version does not say which event it means.
    ExpectedWithoutEvent "expected-without-event";
    /// A commit passes an earlier one on its stream that is not sent yet.
    NotHeldBack "not-held-back";
    /// A commit behind one that goes to the end of the line keeps its place before it.
    NotStampedAgain "not-stamped-again";
    /// A write whose end is not known counts as failed.
    UnknownCountsAsFailed "unknown-counts-as-failed";
    /// A write that was stale counts as done.
    StaleCountsAsDone "stale-counts-as-done";
    /// The own commits of a lost history are not sent again.
    RewindForgetsOwn "rewind-forgets-own";
    /// Events of a merged frame that were folded before are folded again.
    FoldedTwice "folded-twice";
    /// A push that failed is waited for for ever.
    PushNeverEnds "push-never-ends";
    /// An acknowledged commit is settled before it is pulled.
    AckedIsSettled "acked-is-settled";
    /// What is only in memory is forgotten when another tab has written.
    MemoryForgotten "memory-forgotten";
    /// A page counts although the cursor has moved on since it was asked for.
    LatePageTaken "late-page-taken";
    /// A copied profile keeps the replica id of the original.
    CopyNotNoticed "copy-not-noticed";
    /// A commit that is brought back stays in the parked list.
    RevivedStaysParked "revived-stays-parked";
}
