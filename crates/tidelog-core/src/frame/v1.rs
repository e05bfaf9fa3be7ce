//! Format 1. It opens for ever; a change of layout is another format beside it.

use super::checksum;
use super::reader::{Names, Reader};
use super::writer::{Dictionary, Section};
use super::{Body, FORMAT, Frame, FrameError, HEADER_BYTES, Header, MAGIC, RECORDED};
use crate::commit::{Command, Commit, Local, Policy, Recorded, StreamVersions};
use crate::condition::Condition;
use crate::event::{Event, EventType, Meta, Payload, Reference, Tag};
use crate::expected::Expected;
use crate::hash::{ChainHash, Digest};
use crate::id::{Epoch, EventId};
use crate::number::{Attempt, Position, SchemaVersion, Seq, Timestamp, Version};
use crate::stream::{StreamId, Subject};
use crate::text::SharedText;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

pub(super) const ERASED_TEXT: &str = "null";
/// The bytes of a commit's id: no commit takes fewer.
const LEAST_COMMIT_BYTES: usize = 16;

pub(super) fn encode_recorded(
    epoch: Epoch,
    chain_before: ChainHash,
    commits: &[Recorded],
) -> Vec<u8> {
    let mut encoder = Encoder::default();
    let mut recorded_at = 0;
    for recorded in commits {
        encoder.commit(&recorded.commit);
        encoder
            .commits
            .signed(recorded.recorded_at.millis().wrapping_sub(recorded_at));
        recorded_at = recorded.recorded_at.millis();
        let actor = encoder
            .names
            .optional(recorded.actor.as_ref().map(AsRef::as_ref));
        encoder.commits.varint(actor);
        encoder.commits.length(recorded.versions.len());
        for versions in &recorded.versions {
            let stream = encoder.names.text(versions.stream.as_str());
            encoder.commits.varint(stream);
            encoder.commits.varint(versions.first.value());
            encoder
                .commits
                .varint(versions.last.value().saturating_sub(versions.first.value()));
        }
    }
    let first = commits
        .first()
        .map_or(0, |recorded| recorded.position.value());
    encoder.finish(RECORDED, epoch, first, commits.len(), chain_before)
}

pub(super) fn encode_local(first: Seq, commits: &[Local]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    for local in commits {
        encoder.commit(&local.commit);
        encoder.commits.byte(match local.policy {
            Policy::Rerun => 0,
            Policy::Rebase => 1,
            Policy::Ask => 2,
        });
        encoder.commits.byte(u8::from(local.command.is_some()));
        if let Some(command) = &local.command {
            let stream = encoder.names.text(command.stream.as_str());
            let name = encoder.names.text(command.name.as_str());
            encoder.commits.varint(stream);
            encoder.commits.varint(name);
            encoder.commits.length(command.args.as_str().len());
            encoder.commits.bytes(command.args.as_str().as_bytes());
        }
    }
    encoder.finish(
        0,
        Epoch::default(),
        first.value(),
        commits.len(),
        ChainHash::default(),
    )
}

#[derive(Default)]
struct Encoder<'a> {
    names: Dictionary<'a>,
    commits: Section,
    events: Section,
    payloads: Section,
    event_count: usize,
    seq: u64,
    occurred_at: i64,
}

impl<'a> Encoder<'a> {
    #[allow(
        clippy::cast_possible_wrap,
        reason = "a wrapped difference is undone by wrapping addition"
    )]
    fn commit(&mut self, commit: &'a Commit) {
        self.commits.id(&commit.id);
        self.commits.varint(u64::from(commit.attempt.value()));
        let replica = self.names.replica(commit.replica);
        self.commits.varint(replica);
        self.commits
            .signed(commit.seq.value().wrapping_sub(self.seq) as i64);
        self.seq = commit.seq.value();
        self.commits.length(commit.conditions.len());
        for condition in &commit.conditions {
            let stream = self.names.text(condition.stream.as_str());
            self.commits.varint(stream);
            self.expected(&condition.expected);
        }
        self.commits.length(commit.events.len());
        for event in &commit.events {
            self.event(event);
        }
    }

    fn expected(&mut self, expected: &Expected) {
        match expected {
            Expected::Any => self.commits.byte(0),
            Expected::NoStream => self.commits.byte(1),
            Expected::Exists => self.commits.byte(2),
            Expected::Exact { exact, event: None } => {
                self.commits.byte(3);
                self.commits.varint(exact.value());
            }
            Expected::Exact {
                exact,
                event: Some(event),
            } => {
                self.commits.byte(4);
                self.commits.varint(exact.value());
                self.commits.id(&event.commit);
                self.commits.varint(u64::from(event.attempt.value()));
                self.commits.varint(u64::from(event.index));
            }
        }
    }

    fn event(&mut self, event: &'a Event) {
        let stream = self.names.text(event.stream.as_str());
        let event_type = self.names.text(event.event_type.as_str());
        self.events.varint(stream);
        self.events.varint(event_type);
        self.events.varint(u64::from(event.schema.value()));
        self.events
            .signed(event.occurred_at.millis().wrapping_sub(self.occurred_at));
        self.occurred_at = event.occurred_at.millis();
        self.events.length(event.tags.len());
        for tag in &event.tags {
            let tag = self.names.text(tag.as_str());
            self.events.varint(tag);
        }
        for reference in [
            &event.meta.correlation_id,
            &event.meta.causation_id,
            &event.meta.device,
        ] {
            let reference = self.names.optional(reference.as_ref().map(AsRef::as_ref));
            self.events.varint(reference);
        }
        if self.event_count > 0 {
            self.payloads.byte(b',');
        }
        self.event_count += 1;
        match &event.data {
            Payload::Json(text) => {
                self.events.length(text.as_str().len() + 1);
                self.payloads.bytes(text.as_str().as_bytes());
            }
            Payload::Erased(digest) => {
                self.events.varint(0);
                self.events.bytes(digest.as_bytes());
                self.payloads.bytes(ERASED_TEXT.as_bytes());
            }
        }
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "a frame is far below 4 GiB: commits are capped at 1 MiB and frames are cut at about 60 KiB"
    )]
    fn finish(
        self,
        flags: u8,
        epoch: Epoch,
        first: u64,
        commits: usize,
        chain_before: ChainHash,
    ) -> Vec<u8> {
        let sections = [
            self.names.finish(),
            self.commits,
            self.events,
            self.payloads,
        ];
        let length: usize = sections.iter().map(|section| section.0.len() + 5).sum();
        let mut frame = Section(Vec::with_capacity(HEADER_BYTES + length));
        frame.bytes(&MAGIC);
        frame.bytes(&[FORMAT, flags, 0, 0]);
        frame.bytes(&[0; 8]);
        frame.bytes(epoch.as_bytes());
        frame.bytes(&first.to_le_bytes());
        frame.bytes(&(commits as u32).to_le_bytes());
        frame.bytes(&(self.event_count as u32).to_le_bytes());
        frame.bytes(chain_before.as_bytes());
        for section in &sections {
            frame.length(section.0.len());
            frame.bytes(&section.0);
        }
        let mut bytes = frame.0;
        let length = (bytes.len() as u32).to_le_bytes();
        put(&mut bytes, 8, length);
        let checksum = checksum(&bytes).to_le_bytes();
        put(&mut bytes, 12, checksum);
        bytes
    }
}

fn put(bytes: &mut [u8], at: usize, value: [u8; 4]) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&value);
    }
}

/// CRC-32C of a frame without the four bytes that hold it.
fn checksum(frame: &[u8]) -> u32 {
    checksum::of_parts([
        frame.get(..12).unwrap_or_default(),
        frame.get(16..).unwrap_or_default(),
    ])
}

pub(super) fn header(bytes: &[u8]) -> Result<Header, FrameError> {
    let short = |need| FrameError::Truncated {
        have: bytes.len(),
        need,
    };
    if bytes.len() >= MAGIC.len() && !bytes.starts_with(&MAGIC) {
        return Err(FrameError::NotAFrame);
    }
    let head = bytes
        .get(..HEADER_BYTES)
        .ok_or_else(|| short(HEADER_BYTES))?;
    let mut reader = Reader::new(head);
    reader.take(4, "magic")?;
    let format = reader.byte("format")?;
    if format > FORMAT {
        return Err(FrameError::NewerFormat {
            found: format,
            newest: FORMAT,
        });
    }
    let flags = reader.byte("flags")?;
    let reserved: [u8; 2] = reader.array("reserved bytes")?;
    if format == 0 || flags & !RECORDED != 0 || reserved != [0, 0] {
        return Err(reader.bad("flags"));
    }
    let length = u32::from_le_bytes(reader.array("length")?);
    reader.take(4, "checksum")?;
    let header = Header {
        recorded: flags & RECORDED != 0,
        length: usize::try_from(length).map_err(|_cause| reader.bad("length"))?,
        epoch: Epoch::from_bytes(reader.array("epoch")?),
        first: u64::from_le_bytes(reader.array("first")?),
        commits: u32::from_le_bytes(reader.array("number of commits")?),
        events: u32::from_le_bytes(reader.array("number of events")?),
        chain_before: ChainHash::from_bytes(reader.array("chain hash")?),
    };
    if header.length < HEADER_BYTES {
        return Err(reader.bad("length"));
    }
    Ok(header)
}

/// Where the sections of a frame are in its bytes.
#[derive(Debug)]
pub(super) struct Sections {
    pub(super) dictionary: Range<usize>,
    pub(super) commits: Range<usize>,
    pub(super) events: Range<usize>,
    pub(super) payloads: Range<usize>,
}

/// Checks all of a frame but what stands in its sections: header, length, checksum.
pub(super) fn open(bytes: &[u8]) -> Result<(Header, Sections), FrameError> {
    let header = header(bytes)?;
    if bytes.len() < header.length {
        return Err(FrameError::Truncated {
            have: bytes.len(),
            need: header.length,
        });
    }
    let mut reader = Reader::new(bytes);
    reader.take(12, "header")?;
    let expected = u32::from_le_bytes(reader.array("checksum")?);
    if bytes.len() > header.length {
        return Err(reader.bad("length"));
    }
    let actual = checksum(bytes);
    if actual != expected {
        return Err(FrameError::Checksum { expected, actual });
    }
    reader.take(HEADER_BYTES - 16, "header")?;
    let mut section = |field| {
        let length = reader.length(field)?;
        let start = bytes.len() - reader.left();
        reader.take(length, field)?;
        Ok::<_, FrameError>(start..start + length)
    };
    let sections = Sections {
        dictionary: section("dictionary")?,
        commits: section("commits")?,
        events: section("events")?,
        payloads: section("payloads")?,
    };
    reader.end("end")?;
    Ok((header, sections))
}

pub(super) fn decode(bytes: &[u8]) -> Result<Frame, FrameError> {
    let (header, sections) = open(bytes)?;
    let section = |range: &Range<usize>| bytes.get(range.clone()).unwrap_or_default();
    let names = Names::read(Reader::new(section(&sections.dictionary)))?;
    let commits = Reader::new(section(&sections.commits));
    let events = Reader::new(section(&sections.events));
    let payloads = core::str::from_utf8(section(&sections.payloads)).map_err(|_cause| {
        FrameError::Malformed {
            field: "payloads (not UTF-8)",
            at: 0,
        }
    })?;
    let mut decoder = Decoder {
        names,
        commits,
        events,
        payloads: Arc::from(payloads),
        payload_at: 0,
        event_count: 0,
        seq: 0,
        occurred_at: 0,
    };
    let body = if header.recorded {
        Body::Recorded(decoder.recorded(&header)?)
    } else {
        Body::Local(decoder.local(&header)?)
    };
    decoder.end(&header)?;
    Ok(Frame {
        epoch: header.epoch,
        chain_before: header.chain_before,
        body,
        payloads: decoder.payloads,
    })
}

struct Decoder<'a> {
    names: Names,
    commits: Reader<'a>,
    events: Reader<'a>,
    payloads: Arc<str>,
    payload_at: usize,
    event_count: u32,
    seq: u64,
    occurred_at: i64,
}

impl Decoder<'_> {
    fn recorded(&mut self, header: &Header) -> Result<Vec<Recorded>, FrameError> {
        // What the header claims is believed only as far as the section has room for commits.
        let room = self.commits.left() / LEAST_COMMIT_BYTES;
        let mut recorded = Vec::with_capacity(room.min(header.commits as usize));
        let mut recorded_at = 0_i64;
        for _ in 0..header.commits {
            let position = header.first.checked_add(u64::from(self.event_count));
            let position = position.ok_or_else(|| self.commits.bad("first position"))?;
            let commit = self.commit()?;
            recorded_at = recorded_at.wrapping_add(self.commits.signed("recorded time")?);
            let actor = self
                .names
                .optional(&mut self.commits, "actor", Subject::from_shared)?;
            let count = self.commits.count("number of streams")?;
            let mut versions = Vec::with_capacity(count.min(1024));
            for _ in 0..count {
                let stream = self
                    .names
                    .text(&mut self.commits, "stream", StreamId::from_shared)?;
                let first = self.commits.varint("first version")?;
                let more = self.commits.varint("last version")?;
                let last = first.checked_add(more);
                let last = last.ok_or_else(|| self.commits.bad("last version"))?;
                versions.push(StreamVersions {
                    stream,
                    first: Version::new(first),
                    last: Version::new(last),
                });
            }
            recorded.push(Recorded {
                commit,
                position: Position::new(position),
                recorded_at: Timestamp::from_millis(recorded_at),
                actor,
                versions,
            });
        }
        Ok(recorded)
    }

    fn local(&mut self, header: &Header) -> Result<Vec<Local>, FrameError> {
        let mut locals = Vec::new();
        for _ in 0..header.commits {
            let commit = self.commit()?;
            let policy = match self.commits.byte("policy")? {
                0 => Policy::Rerun,
                1 => Policy::Rebase,
                2 => Policy::Ask,
                _ => return Err(self.commits.bad("policy")),
            };
            let command = match self.commits.byte("command flag")? {
                0 => None,
                1 => {
                    let commits = &mut self.commits;
                    let stream = self.names.text(commits, "stream", StreamId::from_shared)?;
                    let name = self
                        .names
                        .text(commits, "command", EventType::from_shared)?;
                    let length = commits.length("length of arguments")?;
                    let args = core::str::from_utf8(commits.take(length, "arguments")?)
                        .map_err(|_cause| commits.bad("arguments (not UTF-8)"))?;
                    Some(Command {
                        stream,
                        name,
                        args: SharedText::from(args),
                    })
                }
                _ => return Err(self.commits.bad("command flag")),
            };
            locals.push(Local {
                commit,
                command,
                policy,
            });
        }
        Ok(locals)
    }

    #[allow(
        clippy::cast_sign_loss,
        reason = "undoes the wrapped difference of the encoder"
    )]
    fn commit(&mut self) -> Result<Commit, FrameError> {
        let id = self.commits.id("commit id")?;
        let attempt = Attempt::new(self.commits.small("attempt")?);
        let replica = self.names.replica(&mut self.commits)?;
        self.seq = self
            .seq
            .wrapping_add(self.commits.signed("sequence number")? as u64);
        let count = self.commits.count("number of conditions")?;
        let mut conditions = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            let stream = self
                .names
                .text(&mut self.commits, "stream", StreamId::from_shared)?;
            conditions.push(Condition {
                stream,
                expected: self.expected()?,
            });
        }
        let count = self.commits.length("number of events")?;
        let mut events = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            events.push(self.event()?);
        }
        Ok(Commit {
            id,
            attempt,
            replica,
            seq: Seq::new(self.seq),
            conditions,
            events,
        })
    }

    fn expected(&mut self) -> Result<Expected, FrameError> {
        let commits = &mut self.commits;
        Ok(match commits.byte("expected version")? {
            0 => Expected::Any,
            1 => Expected::NoStream,
            2 => Expected::Exists,
            3 => Expected::Exact {
                exact: Version::new(commits.varint("expected version")?),
                event: None,
            },
            4 => Expected::Exact {
                exact: Version::new(commits.varint("expected version")?),
                event: Some(EventId {
                    commit: commits.id("expected event")?,
                    attempt: Attempt::new(commits.small("expected event")?),
                    index: commits.small("expected event")?,
                }),
            },
            _ => return Err(commits.bad("expected version")),
        })
    }

    fn event(&mut self) -> Result<Event, FrameError> {
        let events = &mut self.events;
        let stream = self.names.text(events, "stream", StreamId::from_shared)?;
        let event_type = self
            .names
            .text(events, "event type", EventType::from_shared)?;
        let schema = SchemaVersion::new(events.small("schema version")?);
        self.occurred_at = self
            .occurred_at
            .wrapping_add(events.signed("time of the event")?);
        let count = events.count("number of tags")?;
        let mut tags = Vec::with_capacity(count.min(64));
        for _ in 0..count {
            tags.push(self.names.text(events, "tag", Tag::from_shared)?);
        }
        let meta = Meta {
            correlation_id: self
                .names
                .optional(events, "metadata", Reference::from_shared)?,
            causation_id: self
                .names
                .optional(events, "metadata", Reference::from_shared)?,
            device: self
                .names
                .optional(events, "metadata", Reference::from_shared)?,
        };
        let data = self.payload()?;
        Ok(Event {
            stream,
            event_type,
            schema,
            data,
            occurred_at: Timestamp::from_millis(self.occurred_at),
            tags,
            meta,
        })
    }

    fn payload(&mut self) -> Result<Payload, FrameError> {
        if self.event_count > 0 {
            if self.payloads.as_bytes().get(self.payload_at) != Some(&b',') {
                return Err(self.events.bad("payload separator"));
            }
            self.payload_at += 1;
        }
        self.event_count = self
            .event_count
            .checked_add(1)
            .ok_or_else(|| self.events.bad("number of events"))?;
        let length = self.events.length("length of a payload")?;
        let (erased, length) = match length.checked_sub(1) {
            Some(length) => (None, length),
            None => {
                let digest = Digest::from_bytes(self.events.array("digest of a payload")?);
                (Some(digest), ERASED_TEXT.len())
            }
        };
        let start = self.payload_at;
        let end = start
            .checked_add(length)
            .ok_or_else(|| self.events.bad("length of a payload"))?;
        let text = SharedText::slice(&self.payloads, start, end)
            .ok_or_else(|| self.events.bad("length of a payload"))?;
        self.payload_at = end;
        match erased {
            None => Ok(Payload::Json(text)),
            Some(digest) if text.as_str() == ERASED_TEXT => Ok(Payload::Erased(digest)),
            Some(_) => Err(self.events.bad("erased payload")),
        }
    }

    /// Everything was read, and the header told the truth.
    fn end(&self, header: &Header) -> Result<(), FrameError> {
        self.commits.end("commits")?;
        self.events.end("events")?;
        if self.payload_at != self.payloads.len() || self.event_count != header.events {
            return Err(self.events.bad("number of events"));
        }
        Ok(())
    }
}
