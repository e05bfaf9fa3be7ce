//! Reading the confirmed log: frames by position, one stream's events, a place by time.
//!
//! Nothing here trusts that the store holds what is asked for. Positions that no frame holds, because they were pruned or
//! because the frame there is damaged, are asked of the server and are not stored.

use crate::error::ClientError;
use crate::log::{Log, Outcome};
use crate::reads::Boxed;
use crate::remote::before;
use tidelog_core::cursor::Cursor;
use tidelog_core::event::Reference;
use tidelog_core::frame::{self, Body, Columns};
use tidelog_core::replica::{Collision, Parked};
use tidelog_core::store::{Direction, Page, StoreError};
use tidelog_core::text::{SharedText, TextError};
use tidelog_core::{
    CommitId, Event, EventType, Meta, Payload, Position, Recorded, SchemaVersion, StreamId,
    Subject, Tag, Timestamp, Version,
};

/// How many bytes of frames are looked through in one transaction.
const READ_BYTES: usize = 1024 * 1024;
/// How many frames of one stream are read in one transaction.
const READ_FRAMES: usize = 8;
/// The newest version that can be asked for: the largest whole number that JSON carries everywhere.
const NEWEST: Version = Version::new((1 << 53) - 1);
/// How many positions before the one asked for are fetched from the server when reading backwards.
const WINDOW: u64 = 2_000;

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

/// Whole frames of the confirmed log, in the order they were asked for.
#[derive(Debug, Clone, Default)]
pub struct LogPage {
    /// The frames. The first may begin before what was asked for, and the last may end behind it.
    pub frames: Vec<Columns>,
    /// Is there more in the range?
    pub more: bool,
}

/// Events of one stream, in the order they were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamPage {
    /// The events.
    pub events: Vec<RecordedEvent>,
    /// Is there more in the range?
    pub more: bool,
}

/// Where reading a stream left off: the next version to give, and the frame to look at first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bookmark {
    stream: StreamId,
    direction: Direction,
    version: Version,
    frame: Position,
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

impl LogPage {
    /// The events of its frames with positions in this range, oldest first.
    ///
    /// # Errors
    /// [`ClientError::Store`] if a frame is damaged.
    pub fn events(&self, from: Position, to: Position) -> Result<Vec<RecordedEvent>, ClientError> {
        let mut events = Vec::new();
        for columns in &self.frames {
            let frame = frame::decode(columns.bytes()).map_err(|error| damaged(&error))?;
            if let Body::Recorded(commits) = &frame.body {
                let of_frame = commits.iter().flat_map(RecordedEvent::of);
                events.extend(of_frame.filter(|event| (from..=to).contains(&event.position)));
            }
        }
        events.sort_by_key(|event| event.position);
        Ok(events)
    }
}

impl Log {
    /// The newest confirmed position that this tab knows; 0 for none.
    #[must_use]
    pub fn position(&self) -> Position {
        self.runtime.replica.borrow().head().cursor.position
    }

    /// Frames of the confirmed log that hold positions in `from..=to`, about `max_bytes` of them, at least one if there is
    /// one. [`Direction::Forward`] begins at `from`, [`Direction::Backward`] at `to`. Ask for the next page from the
    /// position behind the last frame's. What this device does not hold comes from the server. O(bytes read).
    ///
    /// ```no_run
    /// use tidelog_client::{ClientError, Log};
    /// use tidelog_core::{Position, store::Direction};
    ///
    /// async fn count(log: &Log) -> Result<usize, ClientError> {
    ///     let (mut from, to, mut events) = (Position::START.next(), log.position(), 0);
    ///     loop {
    ///         let page = log.read(from, to, Direction::Forward, 1024 * 1024).await?;
    ///         events += page.events(from, to)?.len();
    ///         match page.frames.last() {
    ///             Some(frame) if page.more => from = frame.last_position().next(),
    ///             _ => return Ok(events),
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Store`] if the database cannot be read; [`ClientError::HistoryNotAvailable`] if the server has to be
    /// asked and gives no answer.
    pub async fn read(
        &self,
        from: Position,
        to: Position,
        direction: Direction,
        max_bytes: usize,
    ) -> Result<LogPage, ClientError> {
        self.page(from, to, direction, max_bytes).await
    }

    pub(crate) fn page(
        &self,
        from: Position,
        to: Position,
        direction: Direction,
        max_bytes: usize,
    ) -> Boxed<'_, LogPage> {
        Box::pin(self.read_page(from, to, direction, max_bytes))
    }

    async fn read_page(
        &self,
        from: Position,
        to: Position,
        direction: Direction,
        max_bytes: usize,
    ) -> Result<LogPage, ClientError> {
        let from = from.max(Position::START.next());
        let to = to.min(self.position());
        if from > to {
            return Ok(LogPage::default());
        }
        let page = self.runtime.range(from, to, direction, max_bytes).await?;
        let (frames, known) = self.contiguous(page, from, to, direction);
        let frames = match (frames.is_empty(), direction) {
            (false, _) => frames,
            (true, Direction::Forward) => self.fetch_forward(from, known.unwrap_or(to)).await?,
            (true, Direction::Backward) => self.fetch_backward(known.unwrap_or(from), to).await?,
        };
        let more = match (direction, frames.last()) {
            (_, None) => false,
            (Direction::Forward, Some(last)) => last.last_position() < to,
            (Direction::Backward, Some(last)) => last.first_position() > from,
        };
        Ok(LogPage { frames, more })
    }

    /// Of the frames that were read, those without a hole between them. If there are none, how far the hole goes.
    fn contiguous(
        &self,
        page: Page,
        from: Position,
        to: Position,
        direction: Direction,
    ) -> (Vec<Columns>, Option<Position>) {
        let mut next = match direction {
            Direction::Forward => from,
            Direction::Backward => to,
        };
        let mut frames: Vec<Columns> = Vec::new();
        for bytes in page.frames {
            let Some(columns) = self.opened(bytes) else {
                return (frames, None);
            };
            let (first, last) = (columns.first_position(), columns.last_position());
            if !(first..=last).contains(&next) {
                let hole = match direction {
                    Direction::Forward => Position::new(first.value().saturating_sub(1)),
                    Direction::Backward => last.next(),
                };
                return (frames, Some(hole));
            }
            next = match direction {
                Direction::Forward => last.next(),
                Direction::Backward => Position::new(first.value().saturating_sub(1)),
            };
            frames.push(columns);
        }
        (frames, None)
    }

    /// A frame of the store; if it is damaged, the replica sees to it.
    fn opened(&self, bytes: Vec<u8>) -> Option<Columns> {
        let columns = frame::columns(bytes).ok();
        if columns.is_none() {
            self.runtime.damaged();
        }
        columns
    }

    /// Frames that begin with the one that holds `from`, from the server.
    fn fetch_forward(&self, from: Position, to: Position) -> Boxed<'_, Vec<Columns>> {
        Box::pin(self.fetch(from, to))
    }

    async fn fetch(&self, from: Position, to: Position) -> Result<Vec<Columns>, ClientError> {
        let epoch = self.runtime.replica.borrow().head().cursor.epoch;
        let after = Position::new(from.value().saturating_sub(1));
        let pulled = self.runtime.pull_after(after).await?;
        let mut frames: Vec<Columns> = Vec::new();
        let mut cursor: Option<Cursor> = None;
        for bytes in pulled {
            let columns = frame::columns(bytes).map_err(|error| damaged(&error))?;
            let header = *columns.header();
            let expected = match cursor {
                None => after.next(),
                Some(cursor) => cursor.position.next(),
            };
            let chained = cursor.is_none_or(|cursor| cursor.chain == header.chain_before);
            if header.epoch != epoch || header.first_position() != expected || !chained {
                return Err(unavailable("what it sends is of another history"));
            }
            let chain = frame::chain_after(columns.bytes()).map_err(|error| damaged(&error))?;
            cursor = Some(Cursor {
                epoch,
                position: header.last_position(),
                chain,
            });
            frames.push(columns);
            if cursor.is_some_and(|cursor| cursor.position >= to) {
                break;
            }
        }
        if frames.is_empty() {
            return Err(unavailable("it does not hold them either"));
        }
        Ok(frames)
    }

    /// Frames that end with the one that holds `to`, newest first, from the server.
    async fn fetch_backward(
        &self,
        from: Position,
        to: Position,
    ) -> Result<Vec<Columns>, ClientError> {
        let begin = to.value().saturating_sub(WINDOW - 1).max(from.value());
        let mut next = Position::new(begin);
        let mut frames: Vec<Columns> = Vec::new();
        while next <= to {
            frames.extend(self.fetch_forward(next, to).await?);
            next = frames.last().map_or(to, Columns::last_position).next();
        }
        frames.reverse();
        Ok(frames)
    }

    /// Confirmed events of one stream with versions in `from..=to`, at most `limit` of them, either way. Ask for the next
    /// page from the version behind the last one. Reads only frames that may hold the stream: those of this device cost
    /// O(frames with the stream), and what was pruned is asked of the server, as is all of a stream that this device does not
    /// ask for ([`Options::filter`](crate::Options::filter)).
    ///
    /// ```no_run
    /// use tidelog_client::{ClientError, Log};
    /// use tidelog_core::{StreamId, Version, store::Direction};
    ///
    /// async fn newest(log: &Log, stream: &StreamId) -> Result<Option<String>, ClientError> {
    ///     let all = (Version::new(1), Version::new(u64::MAX));
    ///     let page = log.read_stream(stream, all.0, all.1, Direction::Backward, 1).await?;
    ///     Ok(page.events.first().map(|newest| newest.event.event_type.to_string()))
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`Log::read`].
    pub async fn read_stream(
        &self,
        stream: &StreamId,
        from: Version,
        to: Version,
        direction: Direction,
        limit: usize,
    ) -> Result<StreamPage, ClientError> {
        self.stream_page(stream, from, to, direction, limit).await
    }

    fn stream_page<'a>(
        &'a self,
        stream: &'a StreamId,
        from: Version,
        to: Version,
        direction: Direction,
        limit: usize,
    ) -> Boxed<'a, StreamPage> {
        Box::pin(self.read_versions(stream, from, to, direction, limit))
    }

    async fn read_versions(
        &self,
        stream: &StreamId,
        from: Version,
        to: Version,
        direction: Direction,
        limit: usize,
    ) -> Result<StreamPage, ClientError> {
        if !self.runtime.replica.borrow().filter().wants(stream) {
            return self
                .read_elsewhere(stream, from, to, direction, limit)
                .await;
        }
        let head = self.runtime.replica.borrow().confirmed_head(stream);
        let to = to.min(head.map_or(Version::NONE, |head| head.version));
        let from = from.max(Version::new(1));
        if from > to || limit == 0 {
            return Ok(StreamPage::default());
        }
        let mut next = match direction {
            Direction::Forward => from,
            Direction::Backward => to,
        };
        let mut page = StreamPage::default();
        let done = |next: Version, page: &StreamPage| {
            !(from..=to).contains(&next) || page.events.len() >= limit
        };
        let candidates = self.candidates(stream, direction, next).await?;
        let mut left = candidates.as_slice();
        let mut mark = None;
        'frames: while !left.is_empty() {
            let (chunk, _) = left.split_at(left.len().min(READ_FRAMES));
            let mut frames = self.runtime.frames(chunk).await?;
            if direction == Direction::Backward {
                frames.reverse();
            }
            let before = left.len();
            for bytes in frames {
                let Some(columns) = self.opened(bytes) else {
                    break 'frames;
                };
                let held = columns.first_position()..=columns.last_position();
                mark = Some(*held.start());
                // Positions that were frames of their own before a compaction are all found by one.
                let seen = left.iter().take_while(|at| match direction {
                    Direction::Forward => *at <= held.end(),
                    Direction::Backward => *at >= held.start(),
                });
                left = left.split_at(seen.count()).1;
                let rows = rows_of(&columns, stream, direction);
                if let Some(oldest) = rows.first().filter(|row| row.version > next)
                    && direction == Direction::Forward
                {
                    // What comes before the oldest event that is held here is the server's to give.
                    let until = oldest.version;
                    self.fetch_stream(stream, direction, limit, &mut next, until, &mut page)
                        .await?;
                }
                for row in rows {
                    if row.version == next && !done(next, &page) {
                        page.events.push(event_of(&columns, stream, row.index)?);
                        next = step(next, direction);
                    }
                }
                if done(next, &page) {
                    break 'frames;
                }
            }
            if left.len() == before {
                break;
            }
        }
        if !done(next, &page) {
            let until = match direction {
                Direction::Forward => to.next(),
                Direction::Backward => Version::new(from.value() - 1),
            };
            self.fetch_stream(stream, direction, limit, &mut next, until, &mut page)
                .await?;
        }
        page.more = (from..=to).contains(&next);
        *self.runtime.bookmark.borrow_mut() = mark.filter(|_| page.more).map(|frame| Bookmark {
            stream: stream.clone(),
            direction,
            version: next,
            frame,
        });
        Ok(page)
    }

    /// A stream that this device does not ask for: the server has it.
    async fn read_elsewhere(
        &self,
        stream: &StreamId,
        from: Version,
        to: Version,
        direction: Direction,
        limit: usize,
    ) -> Result<StreamPage, ClientError> {
        let from = from.max(Version::new(1));
        let to = to.min(NEWEST);
        let mut next = match direction {
            Direction::Forward => from,
            Direction::Backward => to,
        };
        let mut page = StreamPage::default();
        while (from..=to).contains(&next) {
            let events = self.runtime.pull_stream(stream, next, direction).await?;
            if events.is_empty() {
                break;
            }
            for event in events {
                if !(from..=to).contains(&event.version) {
                    return Ok(page);
                }
                if page.events.len() >= limit {
                    page.more = true;
                    return Ok(page);
                }
                next = step(event.version, direction);
                page.events.push(event);
            }
        }
        Ok(page)
    }

    /// Where frames that may hold events of a stream are, in the order to read them.
    async fn candidates(
        &self,
        stream: &StreamId,
        direction: Direction,
        next: Version,
    ) -> Result<Vec<Position>, ClientError> {
        self.runtime.need_directory().await?;
        let mut candidates = self.runtime.replica.borrow_mut().frames_of(stream);
        if direction == Direction::Backward {
            candidates.reverse();
        }
        let bookmark = self.runtime.bookmark.borrow();
        if let Some(mark) = bookmark.as_ref().filter(|mark| {
            &mark.stream == stream && mark.direction == direction && mark.version == next
        }) {
            // The frame that was left half-read may have been merged into an earlier one since.
            let ordered = |at: &&Position| match direction {
                Direction::Forward => **at <= mark.frame,
                Direction::Backward => **at >= mark.frame,
            };
            let behind = candidates.iter().take_while(ordered).count();
            candidates.drain(..behind.saturating_sub(1));
        }
        Ok(candidates)
    }

    /// Events of a stream from `next` up to `until`, which is not given, from the server.
    async fn fetch_stream(
        &self,
        stream: &StreamId,
        direction: Direction,
        limit: usize,
        next: &mut Version,
        until: Version,
        page: &mut StreamPage,
    ) -> Result<(), ClientError> {
        while *next != until && page.events.len() < limit {
            let before = *next;
            for event in self.runtime.pull_stream(stream, *next, direction).await? {
                if event.version != *next || *next == until || page.events.len() >= limit {
                    break;
                }
                page.events.push(event);
                *next = step(*next, direction);
            }
            if *next == before {
                return Err(unavailable("it does not hold them either"));
            }
        }
        Ok(())
    }

    /// All confirmed events of one stream, oldest first.
    ///
    /// # Errors
    /// As [`Log::read`].
    pub async fn history(&self, stream: &StreamId) -> Result<Vec<RecordedEvent>, ClientError> {
        let (from, to) = (Version::new(1), Version::new(u64::MAX));
        let page = self.stream_page(stream, from, to, Direction::Forward, usize::MAX);
        Ok(page.await?.events)
    }

    /// The last position that was recorded at or before a time; 0 if there is none. Looks at O(log frames) frames.
    ///
    /// # Errors
    /// As [`Log::read`].
    pub async fn position_at(&self, time: Timestamp) -> Result<Position, ClientError> {
        let (mut low, mut high) = (1, self.position().value());
        // Everything before `low` was recorded by then, nothing behind `high`.
        while low <= high {
            let middle = Position::new(low + (high - low) / 2);
            let Some(columns) = self.frame_with_events(middle, Position::new(low)).await? else {
                // Nothing but gaps up to here.
                low = middle.value() + 1;
                continue;
            };
            let until = millis(time);
            let commits = columns
                .recorded_at()
                .partition_point(|recorded| *recorded <= until);
            let ends = columns.commit_end();
            let events = commits.checked_sub(1).and_then(|last| ends.get(last));
            let Some(events) = events else {
                high = before(columns.first_position()).value();
                continue;
            };
            if commits == ends.len() {
                low = columns
                    .last_position()
                    .next()
                    .value()
                    .max(middle.value() + 1);
            } else {
                return Ok(before(columns.position(*events as usize)));
            }
        }
        Ok(Position::new(high.min(low.saturating_sub(1))))
    }

    /// The frame that holds a position, or the nearest before it that is not only a gap, no earlier than `from`.
    async fn frame_with_events(
        &self,
        mut at: Position,
        from: Position,
    ) -> Result<Option<Columns>, ClientError> {
        while at >= from {
            let page = self.page(at, at, Direction::Forward, 1).await?;
            match page.frames.into_iter().next() {
                Some(columns) if columns.commits() == 0 => at = before(columns.first_position()),
                found => return Ok(found),
            }
        }
        Ok(None)
    }

    /// The parked commits, each with the confirmed events that it collided with.
    ///
    /// # Errors
    /// As [`Log::read`].
    pub async fn parked(&self) -> Result<Vec<(Parked, Vec<RecordedEvent>)>, ClientError> {
        let parked: Vec<Parked> = self.with_parked(|parked| parked.cloned().collect());
        let mut both = Vec::with_capacity(parked.len());
        for parked in parked {
            let mut theirs = Vec::new();
            for Collision { stream, from, to } in parked.theirs() {
                let page = self.stream_page(&stream, from, to, Direction::Forward, usize::MAX);
                theirs.extend(page.await?.events);
            }
            both.push((parked, theirs));
        }
        Ok(both)
    }

    pub(crate) async fn find_confirmed(&self, id: CommitId) -> Result<Outcome, ClientError> {
        let from = Position::START.next();
        let mut to = self.position();
        loop {
            let page = self.page(from, to, Direction::Backward, READ_BYTES).await?;
            for columns in &page.frames {
                for (commit, end) in columns.commit_end().iter().enumerate() {
                    if columns.commit_id(commit) == id {
                        let last = columns.position((*end as usize).saturating_sub(1));
                        return Ok(Outcome::Confirmed(last));
                    }
                }
            }
            match page.frames.last() {
                Some(oldest) if page.more => {
                    to = Position::new(oldest.first_position().value() - 1);
                }
                _ => return Ok(Outcome::Absent),
            }
        }
    }
}

const fn step(version: Version, direction: Direction) -> Version {
    match direction {
        Direction::Forward => version.next(),
        Direction::Backward => Version::new(version.value().saturating_sub(1)),
    }
}

/// An event of a frame: which one, and its version.
struct Row {
    index: usize,
    version: Version,
}

fn rows_of(columns: &Columns, stream: &StreamId, direction: Direction) -> Vec<Row> {
    let names = u32::try_from(columns.names()).unwrap_or(u32::MAX);
    let Some(name) = (0..names).find(|name| columns.name(*name) == stream.as_str()) else {
        return Vec::new();
    };
    let mut rows: Vec<Row> = columns
        .stream()
        .iter()
        .zip(columns.version())
        .enumerate()
        .filter(|(_, (stream, _))| **stream == name)
        .map(|(index, (_, version))| Row {
            index,
            version: whole(*version),
        })
        .collect();
    if direction == Direction::Backward {
        rows.reverse();
    }
    rows
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a version that was a whole number below 2^53"
)]
const fn whole(version: f64) -> Version {
    Version::new(version as u64)
}

#[allow(
    clippy::cast_precision_loss,
    reason = "times of this age are exact in a double"
)]
const fn millis(time: Timestamp) -> f64 {
    time.millis() as f64
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "times in a frame are whole milliseconds"
)]
fn time(column: &[f64], index: usize) -> Timestamp {
    Timestamp::from_millis(column.get(index).copied().unwrap_or_default() as i64)
}

/// One event of a frame as a value of its own.
fn event_of(
    columns: &Columns,
    stream: &StreamId,
    index: usize,
) -> Result<RecordedEvent, ClientError> {
    let read = || -> Result<RecordedEvent, TextError> {
        let number = |column: &[u32], at: usize| column.get(at).copied().unwrap_or_default();
        let commit = number(columns.commit(), index) as usize;
        let actor = number(columns.actor(), commit).checked_sub(1);
        let (mut tags, mut meta) = (Vec::new(), Meta::default());
        if let Some(extra) = columns.extra(index) {
            for tag in extra.tags {
                tags.push(Tag::new(tag)?);
            }
            let reference = |text: Option<&str>| text.map(Reference::new).transpose();
            meta = Meta {
                correlation_id: reference(extra.correlation_id)?,
                causation_id: reference(extra.causation_id)?,
                device: reference(extra.device)?,
            };
        }
        Ok(RecordedEvent {
            event: Event {
                stream: stream.clone(),
                event_type: EventType::new(columns.name(number(columns.event_type(), index)))?,
                schema: SchemaVersion::new(number(columns.schema(), index)),
                data: match columns.payload(index) {
                    Some(text) => Payload::Json(SharedText::from(text)),
                    None => Payload::Erased(columns.erased(index).unwrap_or_default()),
                },
                occurred_at: time(columns.occurred_at(), index),
                tags,
                meta,
            },
            commit: columns.commit_id(commit),
            position: columns.position(index),
            version: whole(columns.version().get(index).copied().unwrap_or_default()),
            recorded_at: time(columns.recorded_at(), commit),
            actor: actor
                .map(|name| Subject::new(columns.name(name)))
                .transpose()?,
        })
    };
    read().map_err(|error| damaged(&error))
}

pub(crate) fn damaged(error: &dyn std::fmt::Display) -> ClientError {
    ClientError::Store(StoreError::Corrupt {
        place: "log".into(),
        detail: error.to_string(),
    })
}

pub(crate) fn unavailable(detail: &str) -> ClientError {
    ClientError::HistoryNotAvailable {
        detail: detail.to_owned(),
    }
}
