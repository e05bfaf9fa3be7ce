//! The log as a front end holds it.

use crate::error::ClientError;
use crate::options::Options;
use crate::runtime::Runtime;
use crate::tabs::PeerStatus;
use std::rc::Rc;
use tidelog_core::number::Generation;
use tidelog_core::replica::{
    Decision, Draft, Notice, Parked, Phase, Question, Queued, Replica, Status,
};
use tidelog_core::store::StoreError;
use tidelog_core::{CommitId, Event, EventId, Filter, Position, StreamHead, StreamId, Version};

/// One log of one user, open in this tab. Cloning gives another handle on the same log.
#[derive(Debug, Clone)]
pub struct Log {
    pub(crate) runtime: Rc<Runtime>,
}

/// What is known of a commit, found again by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// In memory, on its way to the disk.
    Local,
    /// On this disk.
    Durable,
    /// The server gave it this position.
    Acked(Position),
    /// Part of the confirmed log; the position of its last event.
    Confirmed(Position),
    /// Waiting for somebody's decision.
    Parked,
    /// Nowhere: it never became durable, was discarded, or had nothing left to do.
    Absent,
}

impl Log {
    /// A log that is not open yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            runtime: Runtime::new(options),
        }
    }

    /// Opens the database and replays it. Confirmed frames come out of [`Log::poll_notice`] meanwhile.
    ///
    /// # Errors
    /// [`ClientError::Store`] if the database cannot be opened or read.
    pub async fn open(&self) -> Result<(), ClientError> {
        self.runtime.begin().await?;
        self.runtime.replay().await
    }

    /// Appends in memory at once and on disk right after; see [`Replica::append`].
    ///
    /// # Errors
    /// [`ClientError::Append`]; then nothing has changed.
    pub fn append(&self, draft: Draft) -> Result<Vec<Version>, ClientError> {
        let versions = self.append_shown(draft)?;
        self.runtime.replica.borrow_mut().tell_queue();
        self.runtime.wake_later();
        Ok(versions)
    }

    /// The same for a host that folds these events itself: no notice tells it of the queue.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn append_shown(&self, draft: Draft) -> Result<Vec<Version>, ClientError> {
        let versions = self.runtime.replica.borrow_mut().append(draft)?;
        self.runtime.schedule();
        Ok(versions)
    }

    /// The next thing to fold, decide or tell. Call until there is nothing.
    pub fn poll_notice(&self) -> Option<Notice> {
        let (notice, backlog) = {
            let mut replica = self.runtime.replica.borrow_mut();
            (replica.poll_notice(), replica.backlog())
        };
        self.runtime.make_room(backlog);
        match &notice {
            None => self.runtime.schedule(),
            Some(Notice::Reset { after, .. }) => {
                self.runtime.stored.borrow_mut().begin_again(*after);
            }
            Some(Notice::Erased) => {
                self.runtime
                    .stored
                    .borrow_mut()
                    .begin_again(Position::START);
            }
            _ => {}
        }
        notice
    }

    /// Has all confirmed frames come again ([`Replica::read_again`]).
    pub fn read_again(&self) {
        self.runtime.replica.borrow_mut().read_again();
        self.runtime.schedule();
    }

    /// The answer to [`Notice::Rerun`] or [`Notice::Merge`].
    pub fn decide(&self, question: Question, decision: Decision) {
        self.runtime.replica.borrow_mut().decide(question, decision);
        self.runtime.schedule();
    }

    /// Looks at the events of a stream from commits of the queue before this one ([`Replica::queued_before`]).
    pub fn with_queued_before<T>(
        &self,
        id: CommitId,
        stream: &StreamId,
        look: impl FnOnce(&mut dyn Iterator<Item = (EventId, &Event)>) -> T,
    ) -> T {
        look(&mut self.runtime.replica.borrow().queued_before(id, stream))
    }

    /// How many write transactions the local database has seen, as this tab knows.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.runtime.replica.borrow().head().generation
    }

    /// Looks at the commits that are not confirmed, in order.
    pub fn with_queue<T>(&self, look: impl FnOnce(&mut dyn Iterator<Item = Queued<'_>>) -> T) -> T {
        look(&mut self.runtime.replica.borrow().queue())
    }

    /// Looks at the commit at a place of the queue, from 0.
    pub fn with_queued<T>(&self, place: usize, look: impl FnOnce(Queued<'_>) -> T) -> Option<T> {
        self.runtime.replica.borrow().queued(place).map(look)
    }

    /// Looks at the parked commits.
    pub fn with_parked<T>(&self, look: impl FnOnce(&mut dyn Iterator<Item = &Parked>) -> T) -> T {
        look(&mut self.runtime.replica.borrow().parked().values())
    }

    /// What the log on this device was read with: everything, or some kinds and streams.
    #[must_use]
    pub fn filter(&self) -> Filter {
        self.runtime.replica.borrow().filter().clone()
    }

    /// Is a stream synced to this device? Of others nothing is known here, and nothing can be appended to them.
    #[must_use]
    pub fn keeps(&self, stream: &StreamId) -> bool {
        self.runtime.replica.borrow().is_kept(stream)
    }

    /// The end of a stream as shown.
    #[must_use]
    pub fn head(&self, stream: &StreamId) -> Option<StreamHead> {
        self.runtime.replica.borrow().shown_head(stream)
    }

    /// The end of a stream as confirmed.
    #[must_use]
    pub fn confirmed_head(&self, stream: &StreamId) -> Option<StreamHead> {
        self.runtime.replica.borrow().confirmed_head(stream)
    }

    /// Decides a parked command again, merges it if that is its policy, or rebases a parked commit that has none.
    ///
    /// # Errors
    /// If nothing of this id is parked.
    pub fn retry(&self, id: CommitId) -> Result<(), ClientError> {
        self.resolve(|replica| Ok(replica.retry(id)?))
    }

    /// Appends the events of a parked commit as they are.
    ///
    /// # Errors
    /// If nothing of this id is parked.
    pub fn rebase(&self, id: CommitId) -> Result<(), ClientError> {
        self.resolve(|replica| Ok(replica.rebase(id)?))
    }

    /// Drops a parked commit for good.
    ///
    /// # Errors
    /// If nothing of this id is parked.
    pub fn discard(&self, id: CommitId) -> Result<(), ClientError> {
        self.resolve(|replica| Ok(replica.discard(id)?))
    }

    /// Appends these events in place of those of a parked commit.
    ///
    /// # Errors
    /// If nothing of this id is parked, or the events are no commit.
    pub fn replace(&self, id: CommitId, events: Vec<Event>) -> Result<(), ClientError> {
        self.resolve(|replica| Ok(replica.replace(id, events)?))
    }

    fn resolve(
        &self,
        how: impl FnOnce(&mut Replica) -> Result<(), ClientError>,
    ) -> Result<(), ClientError> {
        how(&mut self.runtime.replica.borrow_mut())?;
        self.runtime.wake_later();
        Ok(())
    }

    /// What has become of a commit, also of one made before a reload. Looks through the confirmed log from its end, so an old
    /// commit costs O(log).
    ///
    /// # Errors
    /// [`ClientError::Store`] if the log cannot be read.
    pub async fn outcome(&self, id: CommitId) -> Result<Outcome, ClientError> {
        {
            let replica = self.runtime.replica.borrow();
            if let Some(queued) = replica.queue().find(|queued| queued.local.commit.id == id) {
                return Ok(match queued {
                    Queued {
                        acked: Some(position),
                        ..
                    } => Outcome::Acked(position),
                    Queued { durable: true, .. } => Outcome::Durable,
                    _ => Outcome::Local,
                });
            }
            if replica.parked().contains_key(&id) {
                return Ok(Outcome::Parked);
            }
        }
        self.find_confirmed(id).await
    }

    /// The state of health, and what the tab that talks to the server says if this one does not.
    #[must_use]
    pub fn status(&self) -> (Status, Option<PeerStatus>) {
        let status = self.runtime.replica.borrow().status();
        let peer = match status.phase {
            Phase::Follower => self.runtime.peer.borrow().clone(),
            _ => None,
        };
        (status, peer)
    }

    /// Look again now: at the database and at the server.
    pub fn kick(&self) {
        self.runtime.kick();
    }

    /// Tells the log whether there is a network, where the platform's own events do not.
    pub fn set_online(&self, online: bool) {
        self.runtime.online(online);
    }

    /// Writes what is not on disk yet, gives up the network and closes the database.
    pub async fn close(&self) {
        self.runtime.close().await;
    }

    pub(crate) fn closed() -> ClientError {
        ClientError::Store(StoreError::Closed)
    }
}
