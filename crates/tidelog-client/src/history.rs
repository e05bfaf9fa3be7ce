//! Reading the confirmed log: one stream's history, or all of it from a position.

use crate::error::ClientError;
use crate::log::{Log, Outcome};
use tidelog_core::frame::{self, Body, Frame};
use tidelog_core::replica::{Collision, Parked};
use tidelog_core::store::{Store, StoreError};
use tidelog_core::{CommitId, Event, Position, Recorded, StreamId, Subject, Timestamp, Version};

/// How many frames are read in one transaction.
const READ_AHEAD: usize = 32;

/// A confirmed event with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// The event.
    pub event: Event,
    /// Its commit.
    pub commit: CommitId,
    /// Its place in the log.
    pub position: Position,
    /// Its place in its stream.
    pub version: Version,
    /// When the server took it.
    pub recorded_at: Timestamp,
    /// Who appended it.
    pub actor: Option<Subject>,
}

impl RecordedEvent {
    /// The events of a confirmed commit.
    pub fn of(recorded: &Recorded) -> impl Iterator<Item = Self> {
        let versions = recorded.event_versions();
        recorded
            .commit
            .events
            .iter()
            .zip(versions)
            .enumerate()
            .map(|(index, (event, version))| Self {
                event: event.clone(),
                commit: recorded.commit.id,
                position: recorded.position.plus(index as u64),
                version,
                recorded_at: recorded.recorded_at,
                actor: recorded.actor.clone(),
            })
    }
}

impl Log {
    /// All confirmed events of one stream, oldest first. Reads only the frames that hold some of them.
    ///
    /// # Errors
    /// [`ClientError::Store`] if the database cannot be read.
    pub async fn history(&self, stream: &StreamId) -> Result<Vec<RecordedEvent>, ClientError> {
        let positions = self.runtime.frames_of(stream);
        let mut events = Vec::new();
        for chunk in positions.chunks(READ_AHEAD) {
            for frame in self.read(chunk).await? {
                let found = recorded(&frame).iter().flat_map(RecordedEvent::of);
                events.extend(found.filter(|event| &event.event.stream == stream));
            }
        }
        Ok(events)
    }

    /// Confirmed events after a position, oldest first, in whole commits: at most `limit` of them unless the first commit
    /// alone has more, and at most as many as a frame holds; at least one commit if there is one.
    ///
    /// # Errors
    /// [`ClientError::Store`] if the database cannot be read.
    pub async fn after(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, ClientError> {
        let positions = {
            let replica = self.runtime.replica.borrow();
            replica
                .frames_after(position)
                .iter()
                .take(2)
                .copied()
                .collect::<Vec<_>>()
        };
        for frame in self.read(&positions).await? {
            let mut events = Vec::new();
            for recorded in recorded(&frame) {
                let full = events.len() + recorded.commit.events.len() > limit;
                if full && !events.is_empty() {
                    break;
                }
                events.extend(RecordedEvent::of(recorded).filter(|e| e.position > position));
            }
            if !events.is_empty() {
                return Ok(events);
            }
        }
        Ok(Vec::new())
    }

    /// The parked commits, each with the confirmed events that it collided with.
    ///
    /// # Errors
    /// [`ClientError::Store`] if the database cannot be read.
    pub async fn parked(&self) -> Result<Vec<(Parked, Vec<RecordedEvent>)>, ClientError> {
        let parked: Vec<Parked> = self.with_parked(|parked| parked.cloned().collect());
        let mut both = Vec::with_capacity(parked.len());
        for parked in parked {
            let mut theirs = Vec::new();
            for Collision { stream, from, to } in parked.theirs() {
                let history = self.history(&stream).await?;
                theirs.extend(
                    history
                        .into_iter()
                        .filter(|e| (from..=to).contains(&e.version)),
                );
            }
            both.push((parked, theirs));
        }
        Ok(both)
    }

    pub(crate) async fn find_confirmed(&self, id: CommitId) -> Result<Outcome, ClientError> {
        let positions = self
            .runtime
            .replica
            .borrow()
            .frames_after(Position::START)
            .to_vec();
        for chunk in positions.rchunks(READ_AHEAD) {
            for frame in self.read(chunk).await? {
                let found = recorded(&frame)
                    .iter()
                    .find(|recorded| recorded.commit.id == id);
                if let Some(found) = found {
                    return Ok(Outcome::Confirmed(found.last_position()));
                }
            }
        }
        Ok(Outcome::Absent)
    }

    async fn read(&self, positions: &[Position]) -> Result<Vec<Frame>, ClientError> {
        let frames = self.runtime.store()?.frames(positions).await?;
        let decoded: Result<Vec<Frame>, _> =
            frames.iter().map(|bytes| frame::decode(bytes)).collect();
        decoded.map_err(|error| {
            ClientError::Store(StoreError::Corrupt {
                place: "log".into(),
                detail: error.to_string(),
            })
        })
    }
}

fn recorded(frame: &Frame) -> &[Recorded] {
    match &frame.body {
        Body::Recorded(commits) => commits,
        Body::Local(_) => &[],
    }
}
