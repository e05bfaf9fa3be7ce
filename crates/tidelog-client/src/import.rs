//! Taking events in that were not decided here: files of another system, or of this log.

use crate::error::ClientError;
use crate::log::Log;
use crate::platform::{now, random};
use crate::reads::Boxed;
use crate::runtime::Runtime;
use futures_channel::oneshot;
use gloo_timers::future::TimeoutFuture;
use tidelog_core::frame::{self, Body};
use tidelog_core::replica::{AppendError, Draft, ImportError, Replica};
use tidelog_core::store::Direction;
use tidelog_core::{
    Attempt, Commit, CommitId, Event, Local, Policy, Position, ReplicaId, Seq, StreamId,
};

/// About how many bytes of the log are looked through at once for the ids it knows.
const READ_BYTES: usize = 1024 * 1024;

/// How long to wait until what came before is out of the way.
const BUSY_MILLIS: u32 = 20;

/// The last commit of those that are taken in, and the stream that its last event is on.
type Last = (CommitId, Option<StreamId>);

/// What an import took in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Events.
    pub events: u64,
    /// Commits.
    pub commits: u64,
    /// Commits that the log knew.
    pub skipped: u64,
}

/// The ids of a log's confirmed commits, up to a position.
#[derive(Debug, Default)]
pub(crate) struct Known {
    until: Position,
    ids: Vec<CommitId>,
}

impl Log {
    /// Takes in events that are facts already, each list as one commit, behind everything that is here and without any
    /// condition. They are durable when this returns. On a log of this device they go right into the confirmed log; on a synced
    /// one they are pending until the server has taken them. Events that are erased, or say what was, only a log of this device takes:
    /// a server records its own.
    ///
    /// # Errors
    /// [`ClientError::Append`] if a commit is not valid; [`ClientError::Store`] if it cannot be written. What earlier
    /// calls took in stays.
    pub async fn import_events(&self, commits: Vec<Vec<Event>>) -> Result<Imported, ClientError> {
        let mut imported = Imported::default();
        let mut minted = Vec::with_capacity(commits.len());
        for events in commits {
            imported.events += events.len() as u64;
            imported.commits += 1;
            minted.push(Commit {
                id: CommitId::mint(now(), random()),
                attempt: Attempt::FIRST,
                replica: ReplicaId::default(),
                seq: Seq::default(),
                conditions: Vec::new(),
                events,
            });
        }
        if self.runtime.endpoint.is_some() {
            let drafts = minted.into_iter().map(draft);
            self.append_all(drafts.collect(), Vec::new()).await?;
            return Ok(imported);
        }
        for commit in &minted {
            commit.check_recorded().map_err(AppendError::Commit)?;
        }
        let last = minted.last().and_then(|commit| {
            let stream = commit.events.last()?.stream.clone();
            Some((commit.id, Some(stream)))
        });
        if let Some(last) = last {
            self.confirm_all(last, imported.events, &|replica| {
                replica.record(now(), minted.clone())
            })
            .await?;
        }
        Ok(imported)
    }

    /// Has the replica take commits into the log, and waits until they are there: `events` events, of which the last commit and
    /// the stream of its last event are given. Tried again if another tab wrote at the same time.
    fn confirm_all<'a>(
        &'a self,
        last: Last,
        events: u64,
        take: &'a dyn Fn(&mut Replica) -> Result<(), ImportError>,
    ) -> Boxed<'a, ()> {
        Box::pin(self.confirm(last, events, take))
    }

    async fn confirm(
        &self,
        (last, stream): Last,
        events: u64,
        take: &dyn Fn(&mut Replica) -> Result<(), ImportError>,
    ) -> Result<(), ClientError> {
        loop {
            self.runtime.hold_upkeep();
            let before = self.position();
            let taken = take(&mut self.runtime.replica.borrow_mut());
            match taken {
                Ok(()) => {}
                Err(ImportError::Mismatch(error)) => return Err(mismatch(&error)),
                Err(_busy) => {
                    self.runtime.wait_to_import().await?;
                    continue;
                }
            }
            self.runtime.schedule();
            self.runtime.settled().await;
            self.runtime.hold_upkeep();
            let newest = stream
                .as_ref()
                .and_then(|stream| self.runtime.replica.borrow().confirmed_head(stream));
            if newest.is_some_and(|newest| newest.last.commit == last) {
                return Ok(());
            }
            let end = before.plus(events);
            if self.position() >= end {
                let page = self.page(end, end, Direction::Forward, 1).await?;
                let found = page.frames.first().is_some_and(|frame| {
                    let ids = (0..frame.commits()).rev();
                    ids.map(|at| frame.commit_id(at)).any(|id| id == last)
                });
                if found {
                    return Ok(());
                }
            }
            self.runtime.check_usable()?;
        }
    }

    /// Takes in whole frames. Frames of a confirmed log: a log of this device takes them as they are, if they continue it;
    /// a synced one appends their commits, without their conditions. Frames of a device ([`Log::unconfirmed`]): their
    /// commits are appended with their commands; where their conditions do not hold here, their own policy decides, so they
    /// may end up parked. Commits that the log knows are skipped. What was taken in is
    /// durable when this returns.
    ///
    /// # Errors
    /// [`ClientError::ImportMismatch`] if the frames do not continue the log, or are none; otherwise as
    /// [`Log::import_events`].
    pub async fn import_frames(&self, bytes: &[u8]) -> Result<Imported, ClientError> {
        let mut imported = Imported::default();
        let mut recorded = Vec::new();
        let mut drafts = Vec::new();
        let mut work = Vec::new();
        let frames = frame::split(bytes).map_err(|error| mismatch(&error))?;
        for bytes in frames {
            let header = frame::header(bytes).map_err(|error| mismatch(&error))?;
            if header.recorded && self.runtime.endpoint.is_none() {
                recorded.push(bytes.to_vec());
                continue;
            }
            match frame::decode(bytes).map_err(|error| mismatch(&error))?.body {
                Body::Recorded(commits) => drafts.extend(commits.into_iter().map(|recorded| {
                    draft(Commit {
                        conditions: Vec::new(),
                        ..recorded.commit
                    })
                })),
                Body::Local(locals) => work.extend(locals),
            }
        }
        if !recorded.is_empty() {
            let own = self.take_in(recorded).await?;
            imported.events += own.events;
            imported.commits += own.commits;
            imported.skipped += own.skipped;
        }
        if !drafts.is_empty() || !work.is_empty() {
            let before = drafts.len() + work.len();
            self.learn_ids().await?;
            drafts.retain(|draft: &Draft| !self.runtime.knows(draft.id));
            work.retain(|local: &Local| !self.runtime.knows(local.commit.id));
            imported.skipped += (before - drafts.len() - work.len()) as u64;
            let events = drafts.iter().map(|draft| draft.events.len());
            let events = events.chain(work.iter().map(|local| local.commit.events.len()));
            imported.events += events.sum::<usize>() as u64;
            imported.commits += (drafts.len() + work.len()) as u64;
            self.append_all(drafts, work).await?;
        }
        Ok(imported)
    }

    /// Recorded frames of this very history, behind what is here; those that are here are skipped.
    async fn take_in(&self, frames: Vec<Vec<u8>>) -> Result<Imported, ClientError> {
        let mut imported = Imported::default();
        let head = self.runtime.replica.borrow().head().cursor;
        let mut fresh = Vec::new();
        for bytes in frames {
            let header = frame::header(&bytes).map_err(|error| mismatch(&error))?;
            if header.epoch == head.epoch && header.last_position() <= head.position {
                imported.skipped += u64::from(header.commits);
                continue;
            }
            imported.events += u64::from(header.events);
            imported.commits += u64::from(header.commits);
            fresh.push(bytes);
        }
        if let Some(bytes) = fresh.last() {
            let columns = frame::columns(bytes.clone()).map_err(|error| mismatch(&error))?;
            let last = columns.commit_id(columns.commits().saturating_sub(1));
            self.confirm_all((last, None), imported.events, &|replica| {
                replica.import(fresh.clone())
            })
            .await?;
        }
        Ok(imported)
    }

    /// Appends commits, then those of another device, and waits until they are on disk.
    fn append_all(&self, drafts: Vec<Draft>, work: Vec<Local>) -> Boxed<'_, ()> {
        Box::pin(self.append_durably(drafts, work))
    }

    async fn append_durably(
        &self,
        drafts: Vec<Draft>,
        work: Vec<Local>,
    ) -> Result<(), ClientError> {
        let taken = self.append_to_queue(drafts, work);
        // The host shows them, also if one of them could not be taken, and decides what is to be decided again.
        self.runtime.replica.borrow_mut().tell_queue();
        self.runtime.after();
        taken?;
        self.runtime.settled().await;
        match self.status().0.store_error {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    fn append_to_queue(&self, drafts: Vec<Draft>, work: Vec<Local>) -> Result<(), ClientError> {
        let mut replica = self.runtime.replica.borrow_mut();
        for draft in drafts {
            replica.append(draft)?;
        }
        if !work.is_empty() {
            replica.adopt(work)?;
        }
        Ok(())
    }

    /// Learns the ids of all confirmed commits, once for as long as an import goes on.
    async fn learn_ids(&self) -> Result<(), ClientError> {
        let mut known = self.runtime.known.take().unwrap_or_default();
        let end = self.position();
        while known.until < end {
            let from = known.until.next();
            let page = self.page(from, end, Direction::Forward, READ_BYTES).await?;
            let Some(last) = page.frames.last().map(frame::Columns::last_position) else {
                break;
            };
            known.until = last;
            for columns in &page.frames {
                known
                    .ids
                    .extend((0..columns.commit_end().len()).map(|at| columns.commit_id(at)));
            }
        }
        known.ids.sort_unstable();
        *self.runtime.known.borrow_mut() = Some(known);
        self.runtime.forget_known_later();
        Ok(())
    }
}

impl Runtime {
    fn knows(&self, id: CommitId) -> bool {
        let replica = self.replica.borrow();
        let known = self.known.borrow();
        let confirmed = known
            .as_ref()
            .is_some_and(|known| known.ids.binary_search(&id).is_ok());
        confirmed
            || replica.parked().contains_key(&id)
            || replica.queue().any(|queued| queued.local.commit.id == id)
    }

    /// Until what was there before is confirmed, as far as this tab can bring that about.
    async fn wait_to_import(&self) -> Result<(), ClientError> {
        self.check_usable()?;
        self.replica.borrow_mut().handle_kick(now());
        self.schedule();
        self.settled().await;
        TimeoutFuture::new(BUSY_MILLIS).await;
        self.check_usable()
    }

    fn check_usable(&self) -> Result<(), ClientError> {
        let replica = self.replica.borrow();
        if !replica.is_ready() {
            return Err(Log::closed());
        }
        match replica.status().store_error {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Waits until nothing is being written and nothing waits to be.
    pub(crate) async fn settled(&self) {
        let (idle, written) = oneshot::channel();
        self.idle.borrow_mut().push(idle);
        self.schedule();
        // Cancelled only if the runtime is gone, and then there is nothing to wait for.
        let _written = written.await;
    }
}

fn draft(commit: Commit) -> Draft {
    Draft {
        id: commit.id,
        conditions: commit.conditions,
        events: commit.events,
        command: None,
        policy: Policy::Rebase,
    }
}

fn mismatch(error: &dyn std::fmt::Display) -> ClientError {
    ClientError::ImportMismatch {
        detail: error.to_string(),
    }
}
