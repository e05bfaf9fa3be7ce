//! What a command gives, and how it ends.

use crate::error::ClientError;
use futures_channel::oneshot;
use std::fmt;
use tidelog_core::CommitId;
use tidelog_core::replica::ReceiptState;
use tidelog_core::text::TextError;

/// Why a command changed nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExecuteError<R> {
    /// The decider refused it.
    Refused(R),
    /// The log could not append it.
    Client(ClientError),
    /// A name the model gave is not valid.
    Name(TextError),
}

impl<R: fmt::Debug> fmt::Display for ExecuteError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "the command was refused: {refusal:?}"),
            Self::Client(error) => error.fmt(f),
            Self::Name(error) => error.fmt(f),
        }
    }
}

impl<R: fmt::Debug> std::error::Error for ExecuteError<R> {}

/// How a commit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settled {
    /// It is part of the confirmed log, or had nothing to do.
    Confirmed,
    /// It waits for somebody's decision ([`Log::retry`](crate::Log::retry), [`Log::rebase`](crate::Log::rebase),
    /// [`Log::discard`](crate::Log::discard)).
    Parked,
    /// It could not be written.
    Failed,
    /// Nobody can know: the database or this page went away first.
    Unknown,
}

/// What a command gives: its commit, and two moments to wait for.
#[derive(Debug)]
pub struct Receipt {
    /// The commit; none if the command changed nothing.
    pub commit: Option<CommitId>,
    durable: oneshot::Receiver<bool>,
    settled: oneshot::Receiver<Settled>,
}

impl Receipt {
    /// Waits until the commit is on this disk. False if it could not be written.
    pub async fn durable(&mut self) -> bool {
        (&mut self.durable).await.unwrap_or(false)
    }

    /// Waits until it is known how the commit ended.
    pub async fn settled(&mut self) -> Settled {
        (&mut self.settled).await.unwrap_or(Settled::Unknown)
    }
}

/// The other end of a receipt.
#[derive(Default)]
pub(super) struct Waiting {
    durable: Option<oneshot::Sender<bool>>,
    settled: Option<oneshot::Sender<Settled>>,
}

impl Waiting {
    pub(super) fn pair(commit: Option<CommitId>) -> (Self, Receipt) {
        let (durable_sender, durable) = oneshot::channel();
        let (settled_sender, settled) = oneshot::channel();
        let waiting = Self {
            durable: Some(durable_sender),
            settled: Some(settled_sender),
        };
        let receipt = Receipt {
            commit,
            durable,
            settled,
        };
        (waiting, receipt)
    }

    /// Tells what has become of the commit; true if that was the end of it.
    pub(super) fn tell(&mut self, state: &ReceiptState) -> bool {
        let (durable, settled) = match state {
            ReceiptState::Durable => (Some(true), None),
            ReceiptState::Confirmed(_) => (Some(true), Some(Settled::Confirmed)),
            ReceiptState::Parked => (Some(true), Some(Settled::Parked)),
            ReceiptState::Failed(_) => (Some(false), Some(Settled::Failed)),
            ReceiptState::Unknown => (Some(false), Some(Settled::Unknown)),
            _ => (None, None),
        };
        self.end(durable, settled)
    }

    /// The commit has nothing to do.
    pub(super) fn nothing(mut self) {
        self.end(Some(true), Some(Settled::Confirmed));
    }

    fn end(&mut self, durable: Option<bool>, settled: Option<Settled>) -> bool {
        // Who dropped the receipt does not want to know.
        if let Some((sender, durable)) = durable.and_then(|d| Some((self.durable.take()?, d))) {
            let _sent = sender.send(durable);
        }
        let ended = settled.is_some();
        if let Some((sender, settled)) = settled.and_then(|s| Some((self.settled.take()?, s))) {
            let _sent = sender.send(settled);
        }
        ended
    }
}
