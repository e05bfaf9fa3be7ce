//! A recorded frame as columns: what folds read, without a struct for each event.

use super::gaps;
use super::layout::{self, ERASED_TEXT, Field, Layout, join_id};
use super::reader::Reader;
use super::scan::Scan;
use super::{FrameError, Header};
use crate::gap::GapRecord;
use crate::hash::Digest;
use crate::id::{CommitId, EventId, ReplicaId};
use crate::number::{Attempt, Position, Version};
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

/// No commit takes fewer bytes in the lane of ids, and no event fewer in the one of streams.
const LEAST_COMMIT_BYTES: usize = 10;
const LEAST_EVENT_BYTES: usize = 1;
const DIGEST_BYTES: usize = 32;

/// A recorded frame as columns: arrays with one number for each event or commit, ready to be handed to JavaScript.
///
/// Names (streams, types, actors, tags, references) are numbers of the frame's dictionary ([`Columns::name`]). Versions
/// and times are `f64` because they go into a `Float64Array`: exact up to 2^53.
#[derive(Debug, Clone)]
pub struct Columns {
    header: Header,
    bytes: Vec<u8>,
    /// Where the payloads are in the bytes.
    payloads: Range<usize>,
    /// Where the first replica's id is.
    replicas: usize,
    /// The names of the dictionary, joined by line feeds, and where each of them is.
    text: String,
    names: Vec<Range<u32>>,
    ends: Vec<End>,
    // Of each event.
    stream: Vec<u32>,
    event_type: Vec<u32>,
    schema: Vec<u32>,
    version: Vec<f64>,
    occurred_at: Vec<f64>,
    commit: Vec<u32>,
    /// Where its payload begins in the payloads.
    payload: Vec<u32>,
    // Of each commit.
    ids: Vec<[u8; 16]>,
    attempt: Vec<u32>,
    replica: Vec<u32>,
    recorded_at: Vec<f64>,
    actor: Vec<u32>,
    commit_end: Vec<u32>,
    // Of few events.
    extras: Vec<ExtraAt>,
    erased: Vec<Erased>,
    gaps: Vec<GapAt>,
}

/// A gap, and what it does to the positions of the events behind it.
#[derive(Debug, Clone, Copy)]
struct GapAt {
    /// The number of the first event behind it.
    event: u32,
    /// How many positions are left out up to its end.
    left_out: u64,
    record: GapRecord,
}

/// Where an event's labels and references are in the frame's bytes.
#[derive(Debug, Clone, Copy)]
struct ExtraAt {
    event: u32,
    tags: u32,
    references: u32,
}

/// Where the digest of an erased payload is in the frame's bytes.
#[derive(Debug, Clone, Copy)]
struct Erased {
    event: u32,
    at: u32,
}

/// Where the stream of this name ends, as far as it was read.
#[derive(Debug, Clone, Default)]
struct End {
    /// The version of its next event in the commit being read.
    next: u64,
    /// The version of its last event.
    last: u64,
    /// The last version that a commit named for it, from which format 2 tells the next.
    told: u64,
    /// The number of the commit whose versions name it, plus one.
    commit: u32,
    /// The number of its last event, plus one.
    event: u32,
}

/// What few events carry: labels and references.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extra<'a> {
    /// The event's number in the frame, from 0.
    pub event: usize,
    /// Its labels.
    pub tags: Vec<&'a str>,
    /// Ties together everything that one request caused.
    pub correlation_id: Option<&'a str>,
    /// What directly caused the event.
    pub causation_id: Option<&'a str>,
    /// The device it was made on.
    pub device: Option<&'a str>,
}

/// Where a stream ends in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamEnd<'a> {
    /// The number of its name.
    pub name: u32,
    /// Its id.
    pub stream: &'a str,
    /// The version of its last event in the frame.
    pub last: Version,
    /// That event.
    pub event: EventId,
}

pub(super) fn columns(bytes: Vec<u8>) -> Result<Columns, FrameError> {
    let (header, sections) = layout::open(&bytes)?;
    if !header.recorded {
        return Err(FrameError::NotRecorded);
    }
    let mut dictionary = Scan::new(&bytes, core::slice::from_ref(&sections.dictionary));
    let (replicas, replica_count) = replicas(&mut dictionary);
    let (text, names) = texts(dictionary)?;
    let layout = sections.layout;
    let lanes = Scan::new(&bytes, &sections.lanes);
    // What the header claims is believed only as far as the lanes have room for it.
    let (events, commits) = (header.events as usize, header.commits as usize);
    if events > lanes.left(layout.lane(Field::Stream)) / LEAST_EVENT_BYTES
        || commits > lanes.left(layout.lane(Field::IdRest)) / LEAST_COMMIT_BYTES
    {
        return Err(malformed("number of events", 0));
    }
    let mut columns = Columns {
        header,
        bytes: Vec::new(),
        payloads: sections.payloads.clone(),
        replicas,
        ends: alloc::vec![End::default(); names.len()],
        text,
        names,
        stream: alloc::vec![0; events],
        event_type: alloc::vec![0; events],
        schema: alloc::vec![0; events],
        version: alloc::vec![0.0; events],
        occurred_at: alloc::vec![0.0; events],
        commit: alloc::vec![0; events],
        payload: alloc::vec![0; events],
        ids: alloc::vec![[0; 16]; commits],
        attempt: alloc::vec![0; commits],
        replica: alloc::vec![0; commits],
        recorded_at: alloc::vec![0.0; commits],
        actor: alloc::vec![0; commits],
        commit_end: alloc::vec![0; commits],
        extras: Vec::new(),
        erased: Vec::new(),
        gaps: Vec::new(),
    };
    let mut rows = Rows {
        layout,
        scan: lanes,
        event: 0,
        payloads: bytes.get(sections.payloads).unwrap_or_default(),
        payload_at: 0,
        replicas: replica_count,
        recorded_at: 0,
        id_time: 0,
        occurred_at: 0,
    };
    if core::str::from_utf8(rows.payloads).is_err() {
        return Err(malformed("payloads (not UTF-8)", 0));
    }
    rows.read(&mut columns)?;
    if !sections.gaps.is_empty() {
        let section = bytes.get(sections.gaps).unwrap_or_default();
        columns.place_gaps(&gaps::read(Reader::new(section), &header)?);
    }
    columns.bytes = bytes;
    Ok(columns)
}

const fn malformed(field: &'static str, at: usize) -> FrameError {
    FrameError::Malformed { field, at }
}

/// Where the replicas' ids are, and how many.
fn replicas(dictionary: &mut Scan<'_>) -> (usize, usize) {
    let count = dictionary.count(0);
    let at = dictionary.at(0);
    dictionary.take(0, count.saturating_mul(16));
    (at, count)
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "a frame's length is a 32-bit number"
)]
fn texts(mut dictionary: Scan<'_>) -> Result<(String, Vec<Range<u32>>), FrameError> {
    let count = dictionary.count(0);
    let mut joined = String::with_capacity(dictionary.left(0));
    let mut names = Vec::with_capacity(count);
    for number in 0..count {
        let length = dictionary.small(0) as usize;
        let text = core::str::from_utf8(dictionary.take(0, length));
        let (false, Ok(text)) = (dictionary.failed, text) else {
            dictionary.fail();
            break;
        };
        if number > 0 {
            joined.push('\n');
        }
        let start = joined.len() as u32;
        joined.push_str(text);
        names.push(start..joined.len() as u32);
    }
    if dictionary.failed || !dictionary.is_done() {
        return Err(malformed("dictionary", dictionary.at(0)));
    }
    Ok((joined, names))
}

struct Rows<'a> {
    layout: Layout,
    scan: Scan<'a>,
    /// How many events were read.
    event: u32,
    payloads: &'a [u8],
    payload_at: usize,
    replicas: usize,
    /// What the next recorded time is told from.
    recorded_at: i64,
    id_time: i64,
    occurred_at: i64,
}

impl Rows<'_> {
    fn read(&mut self, columns: &mut Columns) -> Result<(), FrameError> {
        let total = columns.header.events;
        for number in 0..columns.header.commits {
            let events = self.commit(columns, number)?;
            if events > total - self.event {
                return Err(self.wrong("number of events", Field::Events));
            }
            for _ in 0..events {
                self.event(columns, number);
                if self.scan.failed {
                    return Err(self.wrong("event", Field::Stream));
                }
                self.event += 1;
            }
            put(&mut columns.commit_end, number, self.event);
        }
        if !self.scan.is_done() {
            return Err(malformed("lane (more than its commits say)", 0));
        }
        if self.payload_at != self.payloads.len() || self.event != total {
            return Err(malformed("number of events", self.payload_at));
        }
        Ok(())
    }

    fn wrong(&self, what: &'static str, field: Field) -> FrameError {
        malformed(what, self.scan.at(self.layout.lane(field)))
    }

    /// Reads a commit; how many events it has.
    #[allow(
        clippy::cast_precision_loss,
        reason = "times beyond 2^53 are said to lose bits"
    )]
    fn commit(&mut self, columns: &mut Columns, number: u32) -> Result<u32, FrameError> {
        let names = columns.names.len();
        let id = self.id();
        put(&mut columns.ids, number, id);
        let layout = self.layout;
        let scan = &mut self.scan;
        let attempt = scan.small(layout.lane(Field::Attempt));
        put(&mut columns.attempt, number, attempt);
        let replica = scan.below(layout.lane(Field::Replica), self.replicas);
        put(&mut columns.replica, number, replica);
        scan.varint(layout.lane(Field::Seq)); // of use to nobody but its replica
        for _ in 0..scan.count_in(
            layout.lane(Field::Conditions),
            layout.lane(Field::ConditionStream),
        ) {
            let stream = scan.below(layout.lane(Field::ConditionStream), names);
            let end = columns.ends.get(stream as usize);
            expected(scan, layout, end.is_some_and(|end| end.event > 0));
        }
        let events = scan.small(layout.lane(Field::Events));
        let difference = scan.signed(layout.lane(Field::RecordedAt));
        self.recorded_at = self.recorded_at.wrapping_add(difference);
        put(&mut columns.recorded_at, number, self.recorded_at as f64);
        let actor = scan.below(layout.lane(Field::Actor), names + 1);
        put(&mut columns.actor, number, actor);
        for _ in 0..scan.count_in(
            layout.lane(Field::Versions),
            layout.lane(Field::VersionsStream),
        ) {
            versions(scan, layout, &mut columns.ends, number);
        }
        if scan.failed {
            return Err(self.wrong("commit", Field::IdRest));
        }
        Ok(events)
    }

    fn id(&mut self) -> [u8; 16] {
        let lane = self.layout.lane(Field::IdRest);
        let id = match self.layout {
            Layout::Rows => self.scan.take(lane, 16).first_chunk().copied(),
            Layout::Lanes => {
                let difference = self.scan.signed(self.layout.lane(Field::IdTime));
                self.id_time = self.id_time.wrapping_add(difference);
                self.recorded_at = self.id_time;
                join_id(self.id_time, self.scan.take(lane, 10))
            }
        };
        if id.is_none() {
            self.scan.fail();
        }
        id.unwrap_or_default()
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a frame's length is a 32-bit number; versions and times beyond 2^53 are said to lose bits"
    )]
    fn event(&mut self, columns: &mut Columns, commit: u32) {
        let (layout, scan) = (self.layout, &mut self.scan);
        let names = columns.names.len();
        let event = self.event;
        let stream = scan.below(layout.lane(Field::Stream), names);
        put(&mut columns.stream, event, stream);
        let event_type = scan.below(layout.lane(Field::EventType), names);
        put(&mut columns.event_type, event, event_type);
        let schema = scan.small(layout.lane(Field::Schema));
        put(&mut columns.schema, event, schema);
        let difference = scan.signed(layout.lane(Field::OccurredAt));
        self.occurred_at = self.occurred_at.wrapping_add(difference);
        put(&mut columns.occurred_at, event, self.occurred_at as f64);
        put(&mut columns.commit, event, commit);
        if let Some(end) = columns.ends.get_mut(stream as usize) {
            end.last = 0;
            if end.commit == commit + 1 {
                end.last = end.next;
                end.next = end.next.saturating_add(1);
            }
            end.event = event + 1;
            put(&mut columns.version, event, end.last as f64);
        }
        let (tags, references) = (layout.lane(Field::Tags), layout.lane(Field::References));
        let plain = match layout {
            Layout::Rows => scan.skip_zeros::<4>(tags),
            Layout::Lanes => scan.skip_zeros_in::<1, 3>(tags, references),
        };
        if !plain {
            let tags_at = scan.at(tags) as u32;
            for _ in 0..scan.count(tags) {
                scan.below(tags, names);
            }
            columns.extras.push(ExtraAt {
                event,
                tags: tags_at,
                references: scan.at(references) as u32,
            });
            for _ in 0..3 {
                scan.below(references, names + 1);
            }
        }
        if event > 0 {
            if self.payloads.get(self.payload_at) != Some(&b',') {
                scan.fail();
            }
            self.payload_at += 1;
        }
        put(&mut columns.payload, event, self.payload_at as u32);
        let length = match scan.small(layout.lane(Field::PayloadLength)) {
            0 => {
                let lane = layout.lane(Field::PayloadDigest);
                columns.erased.push(Erased {
                    event,
                    at: scan.at(lane) as u32,
                });
                scan.take(lane, DIGEST_BYTES);
                let text = self.payloads.get(self.payload_at..).unwrap_or_default();
                if !text.starts_with(ERASED_TEXT.as_bytes()) {
                    scan.fail();
                }
                ERASED_TEXT.len()
            }
            more => more as usize - 1,
        };
        self.payload_at = self.payload_at.saturating_add(length);
        if self.payload_at > self.payloads.len() {
            scan.fail();
        }
    }
}

/// Reads what a condition expects; `known` if the frame has an event on its stream before it.
fn expected(scan: &mut Scan<'_>, layout: Layout, known: bool) {
    let kind = scan.take(layout.lane(Field::ConditionKind), 1);
    match kind.first().copied() {
        Some(0..=2) => {}
        Some(kind @ 3..=5) => {
            scan.varint(layout.lane(Field::ConditionVersion));
            if kind == 4 {
                let lane = layout.lane(Field::ConditionEvent);
                scan.take(lane, 16);
                scan.small(lane);
                scan.small(lane);
            }
            if kind == 5 && (layout == Layout::Rows || !known) {
                scan.fail();
            }
        }
        _ => scan.fail(),
    }
}

/// Reads the versions that a commit has on one stream.
#[allow(
    clippy::cast_sign_loss,
    reason = "undoes the wrapped difference of the encoder"
)]
fn versions(scan: &mut Scan<'_>, layout: Layout, ends: &mut [End], commit: u32) {
    let stream = scan.below(layout.lane(Field::VersionsStream), ends.len());
    let first = layout.lane(Field::VersionsFirst);
    let Some(end) = ends.get_mut(stream as usize) else {
        return;
    };
    let first = match layout {
        Layout::Rows => scan.varint(first),
        Layout::Lanes => end
            .told
            .wrapping_add(1)
            .wrapping_add(scan.signed(first) as u64),
    };
    let last = first.checked_add(scan.varint(layout.lane(Field::VersionsMore)));
    match last {
        Some(last) => end.told = last,
        None => scan.fail(),
    }
    if end.commit != commit + 1 {
        end.commit = commit + 1;
        end.next = first;
    }
}

/// Writes into a column, which has the length that its frame's header says. Inlined: a call costs more than a write.
#[inline(always)]
fn put<T>(column: &mut [T], at: u32, value: T) {
    if let Some(place) = column.get_mut(at as usize) {
        *place = value;
    }
}

impl Columns {
    fn place_gaps(&mut self, places: &[gaps::Place]) {
        let mut left_out = 0_u64;
        for place in places {
            let before = place.commits.checked_sub(1);
            let event = before.and_then(|commit| self.commit_end.get(commit as usize));
            let event = event.copied().unwrap_or_default();
            let record = place.record(self.header.first, left_out + u64::from(event));
            left_out += place.count;
            self.gaps.push(GapAt {
                event,
                left_out,
                record,
            });
        }
    }

    /// What it leaves out between its commits and at its ends, by position.
    pub fn gaps(&self) -> impl Iterator<Item = &GapRecord> {
        self.gaps.iter().map(|gap| &gap.record)
    }

    /// What the frame's header says.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The frame.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The frame, without its columns.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The position of an event. O(log gaps).
    #[must_use]
    pub fn position(&self, event: usize) -> Position {
        let behind = self.gaps.partition_point(|gap| gap.event as usize <= event);
        let left_out = behind.checked_sub(1).and_then(|last| self.gaps.get(last));
        let left_out = left_out.map_or(0, |gap| gap.left_out);
        self.first_position().plus(left_out).plus(event as u64)
    }

    /// The first position that it covers: of its first event, or of the gap before it.
    #[must_use]
    pub fn first_position(&self) -> Position {
        self.header.first_position()
    }

    /// The last position that it covers: of its last event, or of the gap behind it.
    #[must_use]
    pub fn last_position(&self) -> Position {
        self.header.last_position()
    }

    /// How many of its events stand at or before a position: how many to skip where a reader has come that far.
    #[must_use]
    pub fn events_until(&self, position: Position) -> usize {
        let behind = self
            .gaps
            .partition_point(|gap| gap.record.gap.to <= position);
        let before = behind.checked_sub(1).and_then(|last| self.gaps.get(last));
        // Inside a gap, it is as if the gap had just begun.
        let until = match self.gaps.get(behind) {
            Some(next) if next.record.gap.from <= position => next.record.gap.from.value(),
            _ => position.value().saturating_add(1),
        };
        let until = until
            .saturating_sub(self.header.first)
            .saturating_sub(before.map_or(0, |gap| gap.left_out));
        usize::try_from(until).map_or(self.stream.len(), |until| until.min(self.stream.len()))
    }

    /// How many names its dictionary holds: streams, types, actors, tags and references.
    #[must_use]
    pub fn names(&self) -> usize {
        self.names.len()
    }

    /// The name with this number; empty if there is none.
    #[must_use]
    pub fn name(&self, number: u32) -> &str {
        let range = self.names.get(number as usize);
        range
            .and_then(|range| self.text.get(range.start as usize..range.end as usize))
            .unwrap_or_default()
    }

    /// All names in their order, joined by line feeds, which no name holds.
    #[must_use]
    pub fn names_text(&self) -> &str {
        &self.text
    }

    /// All payloads as JSON texts joined by commas; `null` stands for one that was erased. O(bytes): the text is checked
    /// again.
    #[must_use]
    pub fn payloads(&self) -> &str {
        core::str::from_utf8(self.payload_bytes()).unwrap_or_default()
    }

    /// [`Columns::payloads`] as UTF-8, for whoever decodes it anyway. O(1).
    #[must_use]
    pub fn payload_bytes(&self) -> &[u8] {
        self.bytes.get(self.payloads.clone()).unwrap_or_default()
    }

    /// Of each event: where its payload begins in [`Columns::payload_bytes`].
    #[must_use]
    pub fn payload_at(&self) -> &[u32] {
        &self.payload
    }

    /// An event's payload; `None` if it was erased or there is no such event.
    #[must_use]
    pub fn payload(&self, event: usize) -> Option<&str> {
        if self.erased_at(event).is_some() {
            return None;
        }
        let start = *self.payload.get(event)? as usize;
        let end = match self.payload.get(event + 1) {
            Some(next) => *next as usize - 1,
            None => self.payloads.len(),
        };
        core::str::from_utf8(self.payload_bytes().get(start..end)?).ok()
    }

    /// The digest of a payload that was erased; `None` for any other event.
    #[must_use]
    pub fn erased(&self, event: usize) -> Option<Digest> {
        let digest = self.bytes.get(self.erased_at(event)?..)?.first_chunk()?;
        Some(Digest::from_bytes(*digest))
    }

    /// The events whose payloads were erased, in order.
    pub fn erased_events(&self) -> impl ExactSizeIterator<Item = u32> {
        self.erased.iter().map(|erased| erased.event)
    }

    fn erased_at(&self, event: usize) -> Option<usize> {
        let place = self
            .erased
            .binary_search_by_key(&event, |erased| erased.event as usize);
        Some(self.erased.get(place.ok()?)?.at as usize)
    }

    /// Of each event: the name of its stream.
    #[must_use]
    pub fn stream(&self) -> &[u32] {
        &self.stream
    }

    /// Of each event: the name of its type.
    #[must_use]
    pub fn event_type(&self) -> &[u32] {
        &self.event_type
    }

    /// Of each event: the version of its payload's shape.
    #[must_use]
    pub fn schema(&self) -> &[u32] {
        &self.schema
    }

    /// Of each event: its version, as [`Recorded::event_versions`](crate::Recorded::event_versions) has it.
    #[must_use]
    pub fn version(&self) -> &[f64] {
        &self.version
    }

    /// Of each event: when it happened, in milliseconds since 1970 by the author's clock.
    #[must_use]
    pub fn occurred_at(&self) -> &[f64] {
        &self.occurred_at
    }

    /// Of each event: the number of its commit in the frame.
    #[must_use]
    pub fn commit(&self) -> &[u32] {
        &self.commit
    }

    /// How many commits there are.
    #[must_use]
    pub fn commits(&self) -> usize {
        self.ids.len()
    }

    /// A commit's id; zeros if there is no such commit.
    #[must_use]
    pub fn commit_id(&self, commit: usize) -> CommitId {
        CommitId::from_bytes(self.ids.get(commit).copied().unwrap_or_default())
    }

    /// Which decision of the commit this is; 0 if there is no such commit.
    #[must_use]
    pub fn attempt(&self, commit: usize) -> Attempt {
        Attempt::new(self.attempt.get(commit).copied().unwrap_or_default())
    }

    /// The replica that made a commit; zeros if there is no such commit.
    #[must_use]
    pub fn replica(&self, commit: usize) -> ReplicaId {
        let id = self.replica.get(commit).and_then(|number| {
            let at = self.replicas + *number as usize * 16;
            self.bytes.get(at..)?.first_chunk()
        });
        ReplicaId::from_bytes(id.copied().unwrap_or_default())
    }

    /// Of each commit: when the server took it, in milliseconds since 1970.
    #[must_use]
    pub fn recorded_at(&self) -> &[f64] {
        &self.recorded_at
    }

    /// Of each commit: the name of who appended it plus one, or 0 for nobody.
    #[must_use]
    pub fn actor(&self) -> &[u32] {
        &self.actor
    }

    /// Of each commit: the number of the event behind its last one.
    #[must_use]
    pub fn commit_end(&self) -> &[u32] {
        &self.commit_end
    }

    /// The ids of all commits, each in 36 characters, without separators.
    #[must_use]
    pub fn commit_ids_text(&self) -> String {
        let mut text = String::with_capacity(self.ids.len() * 36);
        let mut buffer = [0; 36];
        for id in &self.ids {
            let id = uuid::Uuid::from_bytes(*id);
            text.push_str(id.hyphenated().encode_lower(&mut buffer));
        }
        text
    }

    /// The events that have labels or references, in order.
    pub fn extras(&self) -> impl Iterator<Item = Extra<'_>> {
        self.extras.iter().map(|extra| self.read_extra(*extra))
    }

    /// The labels and references of an event, if it has some. O(log events that have some).
    #[must_use]
    pub fn extra(&self, event: usize) -> Option<Extra<'_>> {
        let place = self
            .extras
            .binary_search_by_key(&event, |extra| extra.event as usize);
        Some(self.read_extra(*self.extras.get(place.ok()?)?))
    }

    fn read_extra(&self, extra: ExtraAt) -> Extra<'_> {
        let at = |place: u32| place as usize..self.bytes.len();
        let mut scan = Scan::new(&self.bytes, &[at(extra.tags), at(extra.references)]);
        let tags = (0..scan.count(0))
            .map(|_| self.name(scan.small(0)))
            .collect();
        let mut reference = || scan.small(1).checked_sub(1).map(|name| self.name(name));
        Extra {
            event: extra.event as usize,
            tags,
            correlation_id: reference(),
            causation_id: reference(),
            device: reference(),
        }
    }

    /// Where each stream of the frame ends in it, each stream once.
    pub fn streams(&self) -> impl Iterator<Item = StreamEnd<'_>> {
        (0..).zip(&self.ends).filter_map(|(name, end)| {
            let last = end.event.checked_sub(1)? as usize;
            let commit = *self.commit.get(last)? as usize;
            let before = match commit.checked_sub(1) {
                Some(before) => *self.commit_end.get(before)? as usize,
                None => 0,
            };
            Some(StreamEnd {
                name,
                stream: self.name(name),
                last: Version::new(end.last),
                event: EventId {
                    commit: self.commit_id(commit),
                    attempt: self.attempt(commit),
                    index: u32::try_from(last - before).unwrap_or(u32::MAX),
                },
            })
        })
    }
}
