//! Bytes to commits.

use super::gaps::{self, Place};
use super::layout::{self, ERASED_TEXT, End, Ends, Field, LANES, Layout, join_id};
use super::reader::{Names, Reader};
use super::{Body, Frame, FrameError, Header};
use crate::commit::{Command, Commit, Local, Policy, Recorded, StreamVersions};
use crate::condition::Condition;
use crate::event::{Event, EventType, Meta, Payload, Reference, Tag};
use crate::expected::Expected;
use crate::gap::GapRecord;
use crate::hash::Digest;
use crate::id::{CommitId, EventId};
use crate::number::{Attempt, Position, SchemaVersion, Seq, Timestamp, Version};
use crate::stream::{StreamId, Subject};
use crate::text::{SharedText, TextError};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

/// No commit takes fewer bytes: its id, or most of it.
const LEAST_COMMIT_BYTES: usize = 10;

pub(super) fn decode(bytes: &[u8]) -> Result<Frame, FrameError> {
    let (header, sections) = layout::open(bytes)?;
    let section = |range: &Range<usize>| bytes.get(range.clone()).unwrap_or_default();
    let payloads = core::str::from_utf8(section(&sections.payloads)).map_err(|_cause| {
        FrameError::Malformed {
            field: "payloads (not UTF-8)",
            at: 0,
        }
    })?;
    let mut decoder = Decoder {
        layout: sections.layout,
        names: Names::read(Reader::new(section(&sections.dictionary)))?,
        lanes: sections
            .lanes
            .each_ref()
            .map(|lane| Reader::new(section(lane))),
        payloads: Arc::from(payloads),
        ends: Ends::default(),
        payload_at: 0,
        event_count: 0,
        seq: 0,
        occurred_at: 0,
        recorded_at: 0,
        id_time: 0,
    };
    let mut gaps = Vec::new();
    let body = if header.recorded {
        let places = match sections.gaps.is_empty() {
            true => Vec::new(),
            false => gaps::read(Reader::new(section(&sections.gaps)), &header)?,
        };
        Body::Recorded(decoder.recorded(&header, &places, &mut gaps)?)
    } else {
        Body::Local(decoder.local(&header)?)
    };
    decoder.end(&header)?;
    Ok(Frame {
        epoch: header.epoch,
        chain_before: header.chain_before,
        body,
        gaps,
        payloads: decoder.payloads,
    })
}

struct Decoder<'a> {
    layout: Layout,
    names: Names,
    lanes: [Reader<'a>; LANES],
    payloads: Arc<str>,
    ends: Ends,
    payload_at: usize,
    event_count: u32,
    seq: u64,
    occurred_at: i64,
    /// What the next recorded time is told from.
    recorded_at: i64,
    id_time: i64,
}

impl<'a> Decoder<'a> {
    #[allow(
        clippy::indexing_slicing,
        reason = "a lane's number is below the number of lanes"
    )]
    const fn lane(&mut self, field: Field) -> &mut Reader<'a> {
        &mut self.lanes[self.layout.lane(field)]
    }

    /// A name and its number.
    #[allow(
        clippy::indexing_slicing,
        reason = "a lane's number is below the number of lanes"
    )]
    fn name<T>(
        &mut self,
        field: Field,
        what: &'static str,
        parse: impl Fn(&Arc<str>) -> Result<T, TextError>,
    ) -> Result<(u64, T), FrameError> {
        let lane = &mut self.lanes[self.layout.lane(field)];
        self.names.text(lane, what, parse)
    }

    /// A stream and the number of its name.
    #[allow(
        clippy::indexing_slicing,
        reason = "a lane's number is below the number of lanes"
    )]
    fn stream(&mut self, field: Field) -> Result<(u64, StreamId), FrameError> {
        self.names.stream(&mut self.lanes[self.layout.lane(field)])
    }

    #[allow(
        clippy::indexing_slicing,
        reason = "a lane's number is below the number of lanes"
    )]
    fn optional<T>(
        &mut self,
        field: Field,
        what: &'static str,
        parse: impl Fn(&Arc<str>) -> Result<T, TextError>,
    ) -> Result<Option<T>, FrameError> {
        let lane = &mut self.lanes[self.layout.lane(field)];
        self.names.optional(lane, what, parse)
    }

    fn recorded(
        &mut self,
        header: &Header,
        places: &[Place],
        gaps: &mut Vec<GapRecord>,
    ) -> Result<Vec<Recorded>, FrameError> {
        let mut places = places.iter().peekable();
        let mut left_out = 0_u64;
        let mut pass = |number: u32, events: u32| {
            while let Some(place) = places.next_if(|place| place.commits <= number) {
                let before = left_out.saturating_add(u64::from(events));
                gaps.push(place.record(header.first, before));
                left_out = left_out.saturating_add(place.count);
            }
            left_out
        };
        // What the header claims is believed only as far as the section has room for commits.
        let room = self.lane(Field::IdRest).left() / LEAST_COMMIT_BYTES;
        let mut recorded = Vec::with_capacity(room.min(header.commits as usize));
        for number in 0..header.commits {
            let left_out = pass(number, self.event_count);
            let events = u64::from(self.event_count);
            let position = header.first.saturating_add(events).saturating_add(left_out);
            let commit = self.commit()?;
            let difference = self.lane(Field::RecordedAt).signed("recorded time")?;
            self.recorded_at = self.recorded_at.wrapping_add(difference);
            let actor = self.optional(Field::Actor, "actor", Subject::from_shared)?;
            recorded.push(Recorded {
                commit,
                position: Position::new(position),
                recorded_at: Timestamp::from_millis(self.recorded_at),
                actor,
                versions: self.versions()?,
            });
        }
        pass(header.commits, self.event_count);
        Ok(recorded)
    }

    fn versions(&mut self) -> Result<Vec<StreamVersions>, FrameError> {
        let count = self.lane(Field::Versions).length("number of streams")?;
        self.room(Field::VersionsStream, count, "number of streams")?;
        let mut versions = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            let (number, stream) = self.stream(Field::VersionsStream)?;
            let first = match self.layout {
                Layout::Rows => self.lane(Field::VersionsFirst).varint("first version")?,
                Layout::Lanes => {
                    let next = self.ends.of(number).version.wrapping_add(1);
                    self.lane(Field::VersionsFirst)
                        .difference(next, "first version")?
                }
            };
            let lane = self.lane(Field::VersionsMore);
            let more = lane.varint("last version")?;
            let last = first.checked_add(more);
            let last = last.ok_or_else(|| lane.bad("last version"))?;
            if self.layout == Layout::Lanes {
                self.ends.of(number).version = last;
            }
            versions.push(StreamVersions {
                stream,
                first: Version::new(first),
                last: Version::new(last),
            });
        }
        Ok(versions)
    }

    /// Each of these things takes at least a byte in this lane: so no small input asks for much memory.
    fn room(&mut self, field: Field, count: usize, what: &'static str) -> Result<(), FrameError> {
        let lane = self.lane(field);
        if count > lane.left() {
            return Err(lane.bad(what));
        }
        Ok(())
    }

    fn local(&mut self, header: &Header) -> Result<Vec<Local>, FrameError> {
        let mut locals = Vec::new();
        for _ in 0..header.commits {
            let commit = self.commit()?;
            let lane = self.lane(Field::Local);
            let policy = match lane.byte("policy")? {
                0 => Policy::Rerun,
                1 => Policy::Rebase,
                2 => Policy::Ask,
                3 => Policy::Merge,
                _ => return Err(lane.bad("policy")),
            };
            let command = match lane.byte("command flag")? {
                0 => None,
                1 => Some(self.command()?),
                _ => return Err(lane.bad("command flag")),
            };
            locals.push(Local {
                commit,
                command,
                policy,
            });
        }
        Ok(locals)
    }

    fn command(&mut self) -> Result<Command, FrameError> {
        let (_, stream) = self.stream(Field::Local)?;
        let (_, name) = self.name(Field::Local, "command", EventType::from_shared)?;
        let lane = self.lane(Field::Local);
        let length = lane.length("length of arguments")?;
        let args = core::str::from_utf8(lane.take(length, "arguments")?)
            .map_err(|_cause| lane.bad("arguments (not UTF-8)"))?;
        Ok(Command {
            stream,
            name,
            args: SharedText::from(args),
        })
    }

    fn id(&mut self) -> Result<CommitId, FrameError> {
        match self.layout {
            Layout::Rows => self.lane(Field::IdRest).id("commit id"),
            Layout::Lanes => {
                let difference = self.lane(Field::IdTime).signed("commit id")?;
                self.id_time = self.id_time.wrapping_add(difference);
                self.recorded_at = self.id_time;
                let time = self.id_time;
                let lane = self.lane(Field::IdRest);
                let rest: [u8; 10] = lane.array("commit id")?;
                let id = join_id(time, &rest).ok_or_else(|| lane.bad("commit id"))?;
                Ok(CommitId::from_bytes(id))
            }
        }
    }

    fn commit(&mut self) -> Result<Commit, FrameError> {
        let id = self.id()?;
        let attempt = Attempt::new(self.lane(Field::Attempt).small("attempt")?);
        let layout = self.layout;
        let replica = {
            let lane = self.lane(Field::Replica);
            let number = lane.length("replica number")?;
            let wrong = lane.bad("replica number");
            self.names.replica(number).ok_or(wrong)?
        };
        let before = self.seq;
        self.seq = self
            .lane(Field::Seq)
            .difference(before, "sequence number")?;
        let count = self
            .lane(Field::Conditions)
            .length("number of conditions")?;
        self.room(Field::ConditionStream, count, "number of conditions")?;
        let mut conditions = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            let (number, stream) = self.stream(Field::ConditionStream)?;
            let from = match layout {
                Layout::Rows => End::default(),
                Layout::Lanes => *self.ends.of(number),
            };
            let expected = self.expected(from)?;
            conditions.push(Condition { stream, expected });
        }
        let count = self.lane(Field::Events).length("number of events")?;
        let mut commit = Commit {
            id,
            attempt,
            replica,
            seq: Seq::new(self.seq),
            conditions,
            events: Vec::with_capacity(count.min(1024)),
        };
        for index in 0..count {
            let event = self.event(commit.event_id(index))?;
            commit.events.push(event);
        }
        Ok(commit)
    }

    /// What a condition expects, told from where its stream ends in the frame.
    fn expected(&mut self, end: End) -> Result<Expected, FrameError> {
        let lane = self.lane(Field::ConditionKind);
        let kind = lane.byte("expected version")?;
        let wrong = lane.bad("expected version");
        match kind {
            0 => return Ok(Expected::Any),
            1 => return Ok(Expected::NoStream),
            2 => return Ok(Expected::Exists),
            _ => {}
        }
        let layout = self.layout;
        let lane = self.lane(Field::ConditionVersion);
        let exact = match layout {
            Layout::Rows => lane.varint("expected version")?,
            Layout::Lanes => lane.difference(end.version, "expected version")?,
        };
        let event = match kind {
            3 => None,
            4 => {
                let lane = self.lane(Field::ConditionEvent);
                Some(EventId {
                    commit: lane.id("expected event")?,
                    attempt: Attempt::new(lane.small("expected event")?),
                    index: lane.small("expected event")?,
                })
            }
            5 if end.event.is_some() => end.event,
            _ => return Err(wrong),
        };
        Ok(Expected::Exact {
            exact: Version::new(exact),
            event,
        })
    }

    fn event(&mut self, id: EventId) -> Result<Event, FrameError> {
        let (number, stream) = self.stream(Field::Stream)?;
        if self.layout == Layout::Lanes {
            self.ends.of(number).event = Some(id);
        }
        let (_, event_type) = self.name(Field::EventType, "event type", EventType::from_shared)?;
        let schema = SchemaVersion::new(self.lane(Field::Schema).small("schema version")?);
        let difference = self.lane(Field::OccurredAt).signed("time of the event")?;
        self.occurred_at = self.occurred_at.wrapping_add(difference);
        let count = self.lane(Field::Tags).count("number of tags")?;
        let mut tags = Vec::with_capacity(count.min(64));
        for _ in 0..count {
            tags.push(self.name(Field::Tags, "tag", Tag::from_shared)?.1);
        }
        let mut reference = || self.optional(Field::References, "metadata", Reference::from_shared);
        let meta = Meta {
            correlation_id: reference()?,
            causation_id: reference()?,
            device: reference()?,
        };
        Ok(Event {
            stream,
            event_type,
            schema,
            data: self.payload()?,
            occurred_at: Timestamp::from_millis(self.occurred_at),
            tags,
            meta,
        })
    }

    fn payload(&mut self) -> Result<Payload, FrameError> {
        if self.event_count > 0 {
            if self.payloads.as_bytes().get(self.payload_at) != Some(&b',') {
                return Err(self.lane(Field::PayloadLength).bad("payload separator"));
            }
            self.payload_at += 1;
        }
        let lane = self.lane(Field::PayloadLength);
        let length = lane.length("length of a payload")?;
        let wrong = lane.bad("length of a payload");
        self.event_count = self.event_count.checked_add(1).ok_or(wrong.clone())?;
        let (erased, length) = match length.checked_sub(1) {
            Some(length) => (None, length),
            None => {
                let digest = self
                    .lane(Field::PayloadDigest)
                    .array("digest of a payload")?;
                (Some(Digest::from_bytes(digest)), ERASED_TEXT.len())
            }
        };
        let start = self.payload_at;
        let text = start
            .checked_add(length)
            .and_then(|end| SharedText::slice(&self.payloads, start, end))
            .ok_or(wrong.clone())?;
        self.payload_at = start + length;
        match erased {
            None => Ok(Payload::Json(text)),
            Some(digest) if text.as_str() == ERASED_TEXT => Ok(Payload::Erased(digest)),
            Some(_) => Err(wrong),
        }
    }

    /// Everything was read, and the header told the truth.
    fn end(&self, header: &Header) -> Result<(), FrameError> {
        for lane in &self.lanes {
            lane.end("lane (more than its commits say)")?;
        }
        if self.payload_at != self.payloads.len() || self.event_count != header.events {
            return Err(FrameError::Malformed {
                field: "number of events",
                at: self.payload_at,
            });
        }
        Ok(())
    }
}
