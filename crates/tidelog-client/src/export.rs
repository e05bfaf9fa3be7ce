//! The log as bytes: what is confirmed, what is not yet, and what was put aside. Frames delimit themselves, so a file of
//! them is just their bytes one after the other.

use crate::error::ClientError;
use crate::log::Log;
use tidelog_core::frame::Columns;
use tidelog_core::store::{Direction, Store};
use tidelog_core::{Local, Position, Seq, frame};

impl Log {
    /// Raw recorded frames from the one that holds `position` on, about `max_bytes` of them, and the last position in
    /// them; `None` past the end. The first one may begin before `position`. What was pruned comes from the server.
    ///
    /// ```no_run
    /// use tidelog_client::{ClientError, Log};
    /// use tidelog_core::Position;
    ///
    /// async fn export(log: &Log) -> Result<Vec<u8>, ClientError> {
    ///     let (mut file, mut next) = (Vec::new(), Position::START.next());
    ///     while let Some((frames, last)) = log.frames_from(next, 1024 * 1024).await? {
    ///         file.extend(frames);
    ///         next = last.next();
    ///     }
    ///     Ok(file)
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`Log::read`].
    pub async fn frames_from(
        &self,
        position: Position,
        max_bytes: usize,
    ) -> Result<Option<(Vec<u8>, Position)>, ClientError> {
        let end = self.position();
        let page = self.page(position, end, Direction::Forward, max_bytes);
        let frames = page.await?.frames;
        let Some(last) = frames.last().map(Columns::last_position) else {
            return Ok(None);
        };
        let mut bytes = Vec::with_capacity(frames.iter().map(|frame| frame.bytes().len()).sum());
        for frame in &frames {
            bytes.extend_from_slice(frame.bytes());
        }
        Ok(Some((bytes, last)))
    }

    /// Everything that is not confirmed, parked commits included, with their commands, as frames of this device:
    /// [`Log::import_frames`] takes them. Empty if there is nothing.
    #[must_use]
    pub fn unconfirmed(&self) -> Vec<u8> {
        let mut locals: Vec<Local> = Vec::new();
        self.with_queue(|queue| locals.extend(queue.map(|queued| queued.local.clone())));
        self.with_parked(|parked| locals.extend(parked.map(|parked| parked.local.clone())));
        let mut bytes = Vec::new();
        let mut rest = locals.as_slice();
        while !rest.is_empty() {
            let mut weight = 0;
            let fits = rest.iter().take_while(|local| {
                let room = weight < frame_bytes();
                weight += local.commit.weight();
                room
            });
            let (run, later) = rest.split_at(fits.count());
            let first = run.first().map_or(Seq::default(), |local| local.commit.seq);
            bytes.extend(frame::encode_local(first, run));
            rest = later;
        }
        bytes
    }

    /// What the server's earlier histories had and it has lost, as far as it can be read, the oldest first. Commits that it has got back
    /// since are among them.
    ///
    /// # Errors
    /// [`ClientError::Store`] if they cannot be read.
    pub async fn lost_history(&self) -> Result<Vec<Columns>, ClientError> {
        let frames = self.runtime.store()?.lost().await?;
        Ok(frames
            .into_iter()
            .filter_map(|frame| frame::columns(frame).ok())
            .collect())
    }

    /// Frames that the server's earlier history had and it has lost, then frames that were damaged and moved aside. They
    /// are as they were found, so the latter may not open.
    ///
    /// # Errors
    /// [`ClientError::Store`] if they cannot be read.
    pub async fn lost(&self) -> Result<Vec<Vec<u8>>, ClientError> {
        let store = self.runtime.store()?;
        let mut frames = store.lost().await?;
        frames.extend(store.quarantined().await?);
        Ok(frames)
    }
}

const fn frame_bytes() -> usize {
    tidelog_core::limits::FRAME_TARGET_BYTES
}
