//! What a replica tells its host.

use crate::commit::Command;
use crate::frame::Columns;
use crate::id::CommitId;
use crate::number::{Attempt, Position, Timestamp};
use crate::store::StoreError;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Something the host has to act on or show. Handle notices in order: each is about the state after those before it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Notice {
    /// Confirmed commits to fold, next in the order of the log.
    Confirmed {
        /// The frame that holds them.
        frame: Arc<Columns>,
        /// How many of its first events were confirmed before: a compaction put them into one frame with new ones.
        skip: usize,
        /// Commits of the queue that these confirm: they leave it in the same step.
        settled: Vec<CommitId>,
    },
    /// The commits that are not confirmed, or their order or content, changed.
    Queue,
    /// What became of a commit.
    Receipt {
        /// The commit.
        id: CommitId,
        /// What became of it.
        state: ReceiptState,
    },
    /// Decide a command again, on the state that the confirmed log and the queue before this commit give, and answer
    /// with [`Replica::answer_rerun`](super::Replica::answer_rerun). Nothing else is resolved before that.
    Rerun {
        /// The commit.
        id: CommitId,
        /// The attempt that the answer will be.
        attempt: Attempt,
        /// What to decide.
        command: Command,
        /// When the command was first given.
        occurred_at: Timestamp,
    },
    /// A recorded frame on disk is damaged. It was moved aside and the log goes on before it: what follows is pulled again.
    Damaged {
        /// The first position that has to be pulled again.
        from: Position,
    },
    /// The list of parked commits changed.
    Parked,
    /// The status changed.
    Status,
    /// All confirmed state is gone and comes again: forget every fold.
    Reset {
        /// Why.
        reason: ResetReason,
        /// Behind this position if the folds are to begin with the snapshots that
        /// [`Replica::handle_snapshot`](super::Replica::handle_snapshot) was given, otherwise from the beginning.
        after: Position,
    },
}

/// Why confirmed state begins again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResetReason {
    /// The local database was deleted or replaced.
    Storage,
    /// The server has another history: it was restored from a backup.
    History,
    /// Damage was found on disk; what is intact is read again, and the rest is pulled.
    Damage,
}

/// What has become of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiptState {
    /// It is on this disk.
    Durable,
    /// The server gave it this position.
    Acked(Position),
    /// It is part of the confirmed log. For a command that turned out to have nothing left to do: of what was
    /// confirmed by then.
    Confirmed(Position),
    /// It is parked.
    Parked,
    /// It could not be written; it is in no state and on no disk.
    Failed(StoreError),
    /// Whether it was written cannot be known: the database went away and could not be opened again.
    Unknown,
}

/// What a host's decider says to a rerun.
#[derive(Debug, Clone, PartialEq)]
pub enum RerunAnswer {
    /// These events, decided on the new state. None: nothing is left to do.
    Events(Vec<crate::event::Event>),
    /// The new state does not allow the command.
    Refused {
        /// The decider's code.
        code: String,
        /// In words.
        message: String,
    },
    /// This build has no such command.
    UnknownCommand,
}
