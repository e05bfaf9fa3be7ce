//! What this device does not hold, asked of the server on demand and not stored.

use crate::answer::stream_events;
use crate::error::ClientError;
use crate::read::{RecordedEvent, damaged, unavailable};
use crate::reads::Boxed;
use crate::runtime::Runtime;
use crate::transport::Endpoint;
use tidelog_core::directory::DirectoryRecord;
use tidelog_core::frame;
use tidelog_core::replica::SyncError;
use tidelog_core::store::Direction;
use tidelog_core::{Position, StreamId, Version};
use web_sys::AbortController;

/// About how many bytes of frames are looked at in one transaction.
const READ_BYTES: usize = 1024 * 1024;

impl Runtime {
    /// Whole frames that begin at the position after this one.
    pub(crate) async fn pull_after(&self, after: Position) -> Result<Vec<Vec<u8>>, ClientError> {
        let (endpoint, abort) = self.remote()?;
        let filter = self.replica.borrow().filter().clone();
        let pulled = endpoint.page(&abort, after, &filter).await;
        self.requests.borrow_mut().retain(|other| other != &abort);
        let mut frames = pulled.map_err(|error| not_available(&error))?.frames;
        for bytes in &mut frames {
            let decoded = frame::decode(bytes).map_err(|error| damaged(&error))?;
            if let Some(asked) = frame::leave_out(&decoded, &filter) {
                *bytes = asked;
            }
        }
        Ok(frames)
    }

    /// Events of a stream from this version on.
    pub(crate) async fn pull_stream(
        &self,
        stream: &StreamId,
        from: Version,
        direction: Direction,
    ) -> Result<Vec<RecordedEvent>, ClientError> {
        let (endpoint, abort) = self.remote()?;
        let answer = endpoint.stream(&abort, stream, from, direction).await;
        self.requests.borrow_mut().retain(|other| other != &abort);
        let answer = answer.map_err(|error| not_available(&error))?;
        stream_events(&answer).map_err(|error| unavailable(&error.to_string()))
    }

    fn remote(&self) -> Result<(Endpoint, AbortController), ClientError> {
        let endpoint = self.endpoint.clone().ok_or_else(|| {
            damaged(&"events are missing, and there is no server that could send them again")
        })?;
        let abort = AbortController::new().map_err(|_old| unavailable("there is no fetch here"))?;
        self.requests.borrow_mut().push(abort.clone());
        Ok((endpoint, abort))
    }

    /// A reader met a damaged frame: where there is a server, the replica moves it aside and pulls it again.
    pub(crate) fn damaged(&self) {
        self.replica.borrow_mut().handle_damage();
        self.wake_later();
    }

    /// Gives the replica what frames hold that a snapshot spared it from reading.
    pub(crate) async fn need_directory(&self) -> Result<(), ClientError> {
        let Some(until) = self.replica.borrow().needs_directory() else {
            return Ok(());
        };
        let mut records = Vec::new();
        let mut next = Position::START.next();
        for (first, bytes) in self.directory().await? {
            // One that is damaged says nothing: its segment is read instead.
            let Ok(record) = DirectoryRecord::decode(&bytes) else {
                continue;
            };
            self.index(&mut records, next, before(first)).await?;
            next = record.last.next();
            records.push((first, record));
        }
        self.index(&mut records, next, until).await?;
        self.replica.borrow_mut().handle_directory(records);
        Ok(())
    }

    /// Makes directory records of the frames that hold these positions.
    fn index<'a>(
        &'a self,
        records: &'a mut Vec<(Position, DirectoryRecord)>,
        from: Position,
        to: Position,
    ) -> Boxed<'a, ()> {
        Box::pin(self.index_frames(records, from, to))
    }

    async fn index_frames(
        &self,
        records: &mut Vec<(Position, DirectoryRecord)>,
        mut from: Position,
        to: Position,
    ) -> Result<(), ClientError> {
        while from <= to {
            let range = self.range(from, to, Direction::Forward, READ_BYTES);
            let page = range.await?;
            for bytes in page.frames {
                let columns = frame::columns(bytes).map_err(|error| {
                    self.damaged();
                    damaged(&error)
                })?;
                from = from.max(columns.last_position().next());
                records.push((columns.first_position(), DirectoryRecord::of(&columns)));
            }
            if !page.more {
                break;
            }
        }
        Ok(())
    }
}

pub(crate) fn before(position: Position) -> Position {
    Position::new(position.value().saturating_sub(1))
}

fn not_available(error: &SyncError) -> ClientError {
    unavailable(&error.to_string())
}
