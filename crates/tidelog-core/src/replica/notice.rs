//! What a replica tells its host.

use super::parked::Collision;
use crate::commit::Command;
use crate::event::Event;
use crate::frame::Columns;
use crate::id::CommitId;
use crate::number::{Attempt, Position, Timestamp};
use crate::store::StoreError;
use crate::stream::{StreamHead, StreamId};
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
    /// The commits that are not confirmed, or their order or content, changed otherwise than by an append of the host's own.
    /// That some of them are on disk now is said by their receipts.
    Queue,
    /// What became of a commit.
    Receipt {
        /// The commit.
        id: CommitId,
        /// What became of it.
        state: ReceiptState,
    },
    /// Decide a command again, on the state that the confirmed log and the queue before this commit give
    /// ([`Replica::queued_before`](super::Replica::queued_before)), and answer with
    /// [`Replica::decide`](super::Replica::decide). Nothing else is resolved before that. The queue that [`Notice::Queue`] told of
    /// last may be behind until the last question of a row is answered.
    Rerun {
        /// To answer with.
        question: Question,
        /// The attempt that the answer will be.
        attempt: Attempt,
        /// What to decide.
        command: Command,
        /// When the command was first given.
        occurred_at: Timestamp,
        /// Where the command's stream ends before this commit. A host that has just folded it up to there need not do so again.
        before: Option<StreamHead>,
    },
    /// Merge a commit with what came between, and answer as for [`Notice::Rerun`] with the events to append in place of its own.
    /// For each collision there are three states of its stream: the *base* before `from`, *theirs* with everything confirmed
    /// and in the queue before this commit, and *mine*: the base with the commit's own events on it.
    Merge {
        /// To answer with.
        question: Question,
        /// The attempt that the answer will be.
        attempt: Attempt,
        /// What the commit was to append, on all its streams.
        events: Vec<Event>,
        /// Where others were faster.
        collisions: Vec<Collision>,
        /// When it was first appended.
        occurred_at: Timestamp,
    },
    /// A recorded frame on disk is damaged.
    Damaged {
        /// The first position that cannot be read.
        from: Position,
        /// Is it pulled again, with what follows? Then the frame was moved aside and the log goes on before it. Without a server it
        /// stays where it is, and a saved state behind it is gone on from.
        refetch: bool,
    },
    /// Payloads were erased from recorded frames: fold the log as it now is, and give up no sooner what was folded before. No snapshot
    /// is to be made of that. A host that cannot fold beside what it shows begins again ([`Replica::read_again`](super::Replica::read_again)).
    Erased,
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
    /// The log holds another part of the server's log from now on, which is pulled from the beginning.
    Filter,
    /// Damage was found on disk; what is intact is read again, and the rest is pulled.
    Damage,
    /// Payloads were erased, and the log is folded again as it now is.
    Erased,
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

/// What a host is asked to decide about a commit; one stands at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// The commit.
    pub id: CommitId,
    /// Tells it from other questions about the same commit, on a state that is no more.
    pub number: u32,
}

/// What a host says to a [`Question`].
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// These events, on the conditions that the commit has. None: nothing is left to do.
    Events(Vec<Event>),
    /// The same, decided on the command's stream and on these others, which the commit expects unchanged from now on instead of
    /// what it read before.
    Decided {
        /// What the command causes.
        events: Vec<Event>,
        /// Streams that were read, besides the command's own.
        reads: Vec<StreamId>,
    },
    /// The new state does not allow the command.
    Refused {
        /// The decider's code.
        code: String,
        /// In words.
        message: String,
    },
    /// It cannot be merged: a person is to look at it.
    Ask,
    /// This build has no such command.
    UnknownCommand,
}
