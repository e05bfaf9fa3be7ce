//! Commits to bytes.

use super::gaps;
use super::layout::{ERASED_TEXT, Ends, Field, LANES, Layout, checksum, header_bytes, split_id};
use super::writer::{Dictionary, Section};
use super::{FORMAT_GAPS, FORMAT_LANES, FORMAT_ROWS, MAGIC, RECORDED};
use crate::commit::{Commit, Local, Policy, Recorded};
use crate::event::{Event, Payload};
use crate::expected::Expected;
use crate::gap::GapRecord;
use crate::hash::ChainHash;
use crate::id::{Epoch, EventId};
use crate::number::Seq;
use alloc::vec::Vec;

pub(super) fn encode_recorded(
    layout: Layout,
    epoch: Epoch,
    chain_before: ChainHash,
    commits: &[Recorded],
) -> Vec<u8> {
    let mut encoder = Encoder::new(layout);
    for recorded in commits {
        encoder.recorded(recorded);
    }
    let first = commits
        .first()
        .map_or(0, |recorded| recorded.position.value());
    encoder.finish(RECORDED, epoch, first, commits.len(), chain_before, None)
}

pub(super) fn encode_with_gaps(
    epoch: Epoch,
    chain_before: ChainHash,
    commits: &[Recorded],
    gaps: &[GapRecord],
) -> Vec<u8> {
    let first = gaps::steps(commits, gaps).next();
    let first = first.map_or(0, |step| step.first().value());
    let mut encoder = Encoder::new(Layout::Lanes);
    for recorded in commits {
        encoder.recorded(recorded);
    }
    let gaps = (!gaps.is_empty()).then(|| gaps::write(commits, gaps));
    encoder.finish(RECORDED, epoch, first, commits.len(), chain_before, gaps)
}

pub(super) fn encode_local(first: Seq, commits: &[&Local]) -> Vec<u8> {
    let mut encoder = Encoder::new(Layout::Rows);
    for local in commits {
        encoder.local(local);
    }
    encoder.finish(
        0,
        Epoch::default(),
        first.value(),
        commits.len(),
        ChainHash::default(),
        None,
    )
}

struct Encoder<'a> {
    layout: Layout,
    names: Dictionary<'a>,
    lanes: [Section; LANES],
    payloads: Section,
    ends: Ends,
    event_count: usize,
    seq: u64,
    occurred_at: i64,
    /// What the next recorded time is told from.
    recorded_at: i64,
    id_time: i64,
}

impl<'a> Encoder<'a> {
    fn new(layout: Layout) -> Self {
        Self {
            layout,
            names: Dictionary::default(),
            lanes: [const { Section(Vec::new()) }; LANES],
            payloads: Section::default(),
            ends: Ends::default(),
            event_count: 0,
            seq: 0,
            occurred_at: 0,
            recorded_at: 0,
            id_time: 0,
        }
    }

    #[allow(
        clippy::indexing_slicing,
        reason = "a lane's number is below the number of lanes"
    )]
    const fn lane(&mut self, field: Field) -> &mut Section {
        &mut self.lanes[self.layout.lane(field)]
    }

    fn recorded(&mut self, recorded: &'a Recorded) {
        self.commit(&recorded.commit);
        let at = recorded.recorded_at.millis();
        let difference = at.wrapping_sub(self.recorded_at);
        self.lane(Field::RecordedAt).signed(difference);
        self.recorded_at = at;
        let actor = self
            .names
            .optional(recorded.actor.as_ref().map(AsRef::as_ref));
        self.lane(Field::Actor).varint(actor);
        self.lane(Field::Versions).length(recorded.versions.len());
        for versions in &recorded.versions {
            let stream = self.names.text(versions.stream.as_str());
            let (first, last) = (versions.first.value(), versions.last.value());
            self.lane(Field::VersionsStream).varint(stream);
            match self.layout {
                Layout::Rows => self.lane(Field::VersionsFirst).varint(first),
                Layout::Lanes => {
                    let end = self.ends.of(stream);
                    let next = end.version.wrapping_add(1);
                    end.version = last;
                    self.lane(Field::VersionsFirst).difference(first, next);
                }
            }
            self.lane(Field::VersionsMore)
                .varint(last.saturating_sub(first));
        }
    }

    fn local(&mut self, local: &'a Local) {
        self.commit(&local.commit);
        self.lane(Field::Local).byte(match local.policy {
            Policy::Rerun => 0,
            Policy::Rebase => 1,
            Policy::Ask => 2,
            Policy::Merge => 3,
        });
        self.lane(Field::Local)
            .byte(u8::from(local.command.is_some()));
        if let Some(command) = &local.command {
            let stream = self.names.text(command.stream.as_str());
            let name = self.names.text(command.name.as_str());
            let lane = self.lane(Field::Local);
            lane.varint(stream);
            lane.varint(name);
            lane.length(command.args.as_str().len());
            lane.bytes(command.args.as_str().as_bytes());
        }
    }

    fn commit(&mut self, commit: &'a Commit) {
        match self.layout {
            Layout::Rows => self.lane(Field::IdRest).id(&commit.id),
            Layout::Lanes => {
                let (time, rest) = split_id(commit.id.as_bytes());
                let difference = time - self.id_time;
                self.lane(Field::IdTime).signed(difference);
                self.lane(Field::IdRest).bytes(rest);
                self.id_time = time;
                // A server takes a commit soon after it was made.
                self.recorded_at = time;
            }
        }
        self.lane(Field::Attempt)
            .varint(u64::from(commit.attempt.value()));
        let replica = self.names.replica(commit.replica);
        self.lane(Field::Replica).varint(replica);
        let before = self.seq;
        self.seq = commit.seq.value();
        self.lane(Field::Seq).difference(commit.seq.value(), before);
        self.lane(Field::Conditions).length(commit.conditions.len());
        for condition in &commit.conditions {
            let stream = self.names.text(condition.stream.as_str());
            self.lane(Field::ConditionStream).varint(stream);
            self.expected(stream, &condition.expected);
        }
        self.lane(Field::Events).length(commit.events.len());
        for (index, event) in commit.events.iter().enumerate() {
            self.event(event, commit.event_id(index));
        }
    }

    fn expected(&mut self, stream: u64, expected: &Expected) {
        let (kind, told) = match expected {
            Expected::Any => (0, None),
            Expected::NoStream => (1, None),
            Expected::Exists => (2, None),
            Expected::Exact { exact, event } => {
                (if event.is_none() { 3 } else { 4 }, Some((exact, event)))
            }
        };
        let Some((exact, event)) = told else {
            self.lane(Field::ConditionKind).byte(kind);
            return;
        };
        let event = match self.layout {
            Layout::Rows => {
                self.lane(Field::ConditionKind).byte(kind);
                self.lane(Field::ConditionVersion).varint(exact.value());
                *event
            }
            Layout::Lanes => {
                let end = *self.ends.of(stream);
                // Most commits expect the event that the frame has before them.
                let known = event.is_some() && end.event == *event;
                self.lane(Field::ConditionKind)
                    .byte(if known { 5 } else { kind });
                self.lane(Field::ConditionVersion)
                    .difference(exact.value(), end.version);
                if known { None } else { *event }
            }
        };
        if let Some(event) = event {
            let lane = self.lane(Field::ConditionEvent);
            lane.id(&event.commit);
            lane.varint(u64::from(event.attempt.value()));
            lane.varint(u64::from(event.index));
        }
    }

    fn event(&mut self, event: &'a Event, id: EventId) {
        let stream = self.names.text(event.stream.as_str());
        let event_type = self.names.text(event.event_type.as_str());
        if self.layout == Layout::Lanes {
            self.ends.of(stream).event = Some(id);
        }
        self.lane(Field::Stream).varint(stream);
        self.lane(Field::EventType).varint(event_type);
        self.lane(Field::Schema)
            .varint(u64::from(event.schema.value()));
        let difference = event.occurred_at.millis().wrapping_sub(self.occurred_at);
        self.lane(Field::OccurredAt).signed(difference);
        self.occurred_at = event.occurred_at.millis();
        self.lane(Field::Tags).length(event.tags.len());
        for tag in &event.tags {
            let tag = self.names.text(tag.as_str());
            self.lane(Field::Tags).varint(tag);
        }
        for reference in [
            &event.meta.correlation_id,
            &event.meta.causation_id,
            &event.meta.device,
        ] {
            let reference = self.names.optional(reference.as_ref().map(AsRef::as_ref));
            self.lane(Field::References).varint(reference);
        }
        if self.event_count > 0 {
            self.payloads.byte(b',');
        }
        self.event_count += 1;
        match &event.data {
            Payload::Json(text) => {
                self.lane(Field::PayloadLength)
                    .length(text.as_str().len() + 1);
                self.payloads.bytes(text.as_str().as_bytes());
            }
            Payload::Erased(digest) => {
                self.lane(Field::PayloadLength).varint(0);
                self.lane(Field::PayloadDigest).bytes(digest.as_bytes());
                self.payloads.bytes(ERASED_TEXT.as_bytes());
            }
        }
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "a frame is far below 4 GiB: commits are capped at 1 MiB and frames are cut at some hundred KiB"
    )]
    fn finish(
        self,
        flags: u8,
        epoch: Epoch,
        first: u64,
        commits: usize,
        chain_before: ChainHash,
        gaps: Option<(Section, u64)>,
    ) -> Vec<u8> {
        let format = match (self.layout, &gaps) {
            (Layout::Rows, _) => FORMAT_ROWS,
            (Layout::Lanes, None) => FORMAT_LANES,
            (Layout::Lanes, Some(_)) => FORMAT_GAPS,
        };
        let dictionary = self.names.finish();
        let lanes = self.lanes.iter().take(self.layout.lanes());
        let left_out = gaps.as_ref().map(|(_, left_out)| *left_out);
        let sections: Vec<&Section> = gaps
            .iter()
            .map(|(section, _)| section)
            .chain([&dictionary])
            .chain(lanes)
            .chain([&self.payloads])
            .collect();
        let length: usize = sections.iter().map(|section| section.0.len() + 5).sum();
        let mut frame = Section(Vec::with_capacity(header_bytes(format) + length));
        frame.bytes(&MAGIC);
        frame.bytes(&[format, flags, 0, 0]);
        frame.bytes(&[0; 8]);
        frame.bytes(epoch.as_bytes());
        frame.bytes(&first.to_le_bytes());
        frame.bytes(&(commits as u32).to_le_bytes());
        frame.bytes(&(self.event_count as u32).to_le_bytes());
        frame.bytes(chain_before.as_bytes());
        if let Some(left_out) = left_out {
            frame.bytes(&left_out.to_le_bytes());
        }
        for section in sections {
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
