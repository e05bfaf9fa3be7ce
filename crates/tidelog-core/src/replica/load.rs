//! Taking in what the store holds: when it is opened, and whenever another tab wrote.

use super::confirmed::InconsistentLog;
use super::parked::Parked;
use super::queue::{Entry, Location, State, find_from, stored};
use super::write::{Busy, Sought};
use super::{Departing, Notice, ReceiptState, Replica, ResetReason};
#[cfg(feature = "canaries")]
use crate::canary::Canary;
use crate::frame::{self, Body, Columns};
use crate::hash::ChainHash;
use crate::id::CommitId;
use crate::map::{Map, Set};
use crate::number::{Position, Timestamp};
use crate::store::{Loaded, Outcome, ParkedRecord, PendingFrame, StoreError};
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

impl Replica {
    /// The answer to [`super::StoreRequest::Load`].
    pub fn handle_loaded(&mut self, now: Timestamp, loaded: Loaded) {
        if !matches!(self.disk.busy, Some(Busy::Load)) {
            return;
        }
        self.disk.busy = None;
        self.cancel_question();
        let (before, generation) = (self.head.generation, loaded.head.generation);
        let result = self.take_in(loaded);
        self.renew_heads();
        match result {
            Ok(()) => {
                self.disk.retry_at = None;
                if self.opened && !self.disk.load && self.head.generation == generation {
                    self.sync.refreshed(now);
                    if generation != before {
                        // Another tab may have appended.
                        self.sync.push.hurry(now);
                    }
                }
            }
            Err(error) => self.handle_load_failed(now, error),
        }
    }

    fn take_in(&mut self, mut loaded: Loaded) -> Result<(), StoreError> {
        let another = self.opened && loaded.replica != self.id;
        // What a snapshot holds, or was read while opening, is told to the host as it was.
        let told = self.opened && (another || self.found.is_none());
        if !another {
            self.jump(&loaded)?;
        }
        self.found = None;
        let ours = self.head.cursor;
        let theirs = loaded.head.cursor;
        // Before the first load there is nothing here that could be under another filter, but for a snapshot.
        let begun = self.opened || ours.position > Position::START;
        let refiltered = begun && loaded.filters.kept != self.filters.kept;
        if loaded.filters.wanted != self.filters.wanted {
            // What a pull under way brings is under the other filter.
            self.sync.pulling = None;
            self.status_changed();
        }
        let erased = self.erased();
        let folded_before = self.erasing.learn(loaded.erased, ours.position);
        if self.erased() != erased {
            self.sync.rewind.read_anew();
        }
        self.announced &= !another;
        self.filters.clone_from(&loaded.filters);
        let rewound = refiltered
            || theirs.position < ours.position
            || (ours.position > Position::START && theirs.epoch != ours.epoch);
        if another || rewound {
            // Another database, or an older copy of this one: what only it held has to be written again.
            let storage = another || loaded.head.generation < self.head.generation;
            // The same history, but shorter: another tab cut it before damage.
            let cut = theirs.epoch == ours.epoch && theirs.position > Position::START;
            self.start_again(match (storage, refiltered, cut) {
                (true, ..) => ResetReason::Storage,
                (false, true, _) => ResetReason::Filter,
                (false, false, true) => ResetReason::Damage,
                (false, false, false) => ResetReason::History,
            });
            self.id = loaded.replica;
            self.disk.load = true;
            return Ok(());
        }
        if folded_before && !told {
            self.start_again(ResetReason::Erased);
            self.disk.load = true;
            return Ok(());
        } else if folded_before {
            self.confirmed.ends.saved(None);
            self.notices.push_back(Notice::Erased);
        }
        self.gaps.clone_from(&loaded.gaps);
        if self.config.sync && self.erasing.unfollowed && self.pruned() == Position::START {
            // Another tab has emptied the log, and has perhaps pulled as much again by now.
            self.start_again(ResetReason::Erased);
            self.disk.load = true;
            return Ok(());
        }
        if self.head.cursor.position < self.pruned() {
            // What is kept begins later: a snapshot stands for the rest.
            match core::mem::replace(&mut self.disk.snapshot, Sought::Wanted) {
                Sought::No | Sought::Wanted | Sought::Found(_) => {}
                Sought::Absent => {
                    self.disk.snapshot = Sought::No;
                    if !self.config.sync {
                        let detail =
                            format!("nothing stands for it up to position {}", self.pruned());
                        return Err(corrupt("log", &detail));
                    }
                    self.begin_anew(&loaded);
                }
            }
            return Ok(());
        }
        for bytes in core::mem::take(&mut loaded.log) {
            let begins = frame::header(&bytes).map(|header| header.first_position());
            match self.take_in_frame(bytes) {
                Ok(true) => {}
                Ok(false) => {
                    // Another tab read another history of the server since.
                    self.start_again(ResetReason::History);
                    self.disk.load = true;
                    return Ok(());
                }
                Err(error) if begins.is_ok_and(|first| first <= self.head.cursor.position) => {
                    // It holds what is here, too: there is no place to cut at.
                    return self.begin_anew_or(&loaded, error);
                }
                Err(error) => return self.cut_before_damage(&loaded, error),
            }
        }
        self.stored = theirs.position;
        if loaded.more {
            self.disk.load = true;
            self.status_changed();
            return Ok(());
        }
        if self.head.cursor.position != theirs.position {
            let error = corrupt(
                "log",
                &InconsistentLog::Position {
                    expected: theirs.position.next(),
                    found: self.head.cursor.position.next(),
                },
            );
            return self.cut_before_damage(&loaded, error);
        }
        self.disk.repaired = None;
        self.id = loaded.replica;
        self.head = loaded.head;
        self.chain_known = true;
        self.install_parked(core::mem::take(&mut loaded.parked))?;
        self.install_pending(&loaded.pending)?;
        if self.last_generation_heard > self.head.generation {
            self.last_generation_heard = self.head.generation;
        }
        self.send_lost_again();
        self.forget_other_refusals();
        self.opened = true;
        self.unjudged = true;
        self.disk.error = None;
        self.notices.push_back(Notice::Queue);
        self.status_changed();
        Ok(())
    }

    /// The next frame of the store. `false` if it is of another history than what is here.
    fn take_in_frame(&mut self, bytes: Vec<u8>) -> Result<bool, StoreError> {
        let here = self.head.cursor;
        let place = |error: &dyn core::fmt::Display| {
            corrupt("log", &format!("after position {}: {error}", here.position))
        };
        let frame = frame::columns(bytes).map_err(|error| place(&error))?;
        let (first, last) = (frame.first_position(), frame.last_position());
        if first > here.position.next() || last < first {
            let error = InconsistentLog::Position {
                expected: here.position.next(),
                found: first,
            };
            return Err(place(&error));
        }
        if last <= here.position {
            // A compaction closed what was already here.
            return Ok(true);
        }
        // A compaction may have put what is here and what follows into one frame.
        let skip = frame.events_until(here.position);
        #[cfg(feature = "canaries")]
        let skip = if self.planted(Canary::FoldedTwice) {
            0
        } else {
            skip
        };
        if self.chain_known && here.position > Position::START {
            let before = match skip {
                0 if first == here.position.next() => frame.header().chain_before,
                _ => chain_at(frame.bytes(), here.position).map_err(|error| place(&error))?,
            };
            if before != here.chain || frame.header().epoch != here.epoch {
                return Ok(false);
            }
        }
        self.chain_known = false;
        self.head.cursor.position = last;
        self.head.cursor.epoch = frame.header().epoch;
        let frame = Arc::new(frame);
        self.last_frame = Some(Arc::clone(&frame));
        self.confirm(frame, skip).map_err(|error| place(&error))?;
        Ok(true)
    }

    pub(super) fn install_parked(&mut self, records: Vec<ParkedRecord>) -> Result<(), StoreError> {
        let before = if self.are_known(&records) {
            None
        } else {
            let mut parked = Map::new();
            for ParkedRecord { id, record } in &records {
                let record = Parked::decode(record).map_err(|error| corrupt("parked", &error))?;
                parked.insert(*id, record);
            }
            if parked != self.parked {
                self.notices.push_back(Notice::Parked);
            }
            let records = records.into_iter();
            self.known_parked = records.map(|known| (known.id, known.record)).collect();
            Some(core::mem::replace(&mut self.parked, parked))
        };
        let kept = |id: &CommitId| match &before {
            None => self.parked.contains_key(id),
            Some(before) => before.contains_key(id) && before.get(id) == self.parked.get(id),
        };
        self.retries.retain(kept);
        // What was taken from the list here, but resolved in another tab.
        let mut undone = Vec::new();
        self.queue.retain(|entry| {
            let stays = !entry.revived || kept(&entry.id());
            undone.extend((!stays).then(|| entry.id()));
            stays
        });
        self.departing.retain(|departing| {
            let stays = !departing.listed || kept(&departing.id);
            undone.extend((!stays).then_some(departing.id));
            stays
        });
        // Resolved there without success: what was told here is no longer true.
        undone.retain(|id| self.parked.contains_key(id));
        for id in undone {
            self.receipt(id, ReceiptState::Parked);
        }
        Ok(())
    }

    /// Are these the records that the parked commits were decoded from? On most loads they are.
    fn are_known(&self, records: &[ParkedRecord]) -> bool {
        let known = |ParkedRecord { id, record }: &ParkedRecord| {
            self.parked.contains_key(id) && self.known_parked.get(id) == Some(record)
        };
        records.len() == self.parked.len() && records.iter().all(known)
    }

    /// The disk's truth about what is pending, with what this tab has in memory on top of it.
    pub(super) fn install_pending(&mut self, frames: &[PendingFrame]) -> Result<(), StoreError> {
        let mut checksums = Map::new();
        let mut known = true;
        for pending in frames {
            let checked = frame::checked(&pending.frame);
            let (header, checksum) = checked.map_err(|error| corrupt("pending", &error))?;
            known &= header.commits as usize == pending.outcomes.len();
            // What is written about its commits goes to this key: by another's they would be pending for ever.
            if header.first != pending.first.value() {
                let detail = "a frame lies under the key of another";
                return Err(corrupt("pending", &detail));
            }
            checksums.insert(pending.first, checksum);
        }
        if known && checksums == self.known_frames && self.is_pending(frames) {
            return Ok(());
        }
        let mut disk: Vec<Entry> = Vec::new();
        for pending in frames {
            let before = self.known_frames.get(&pending.first);
            let same = before.is_some() && before == checksums.get(&pending.first);
            if !(known && same && self.take_known(pending, &mut disk)) {
                take_stored(pending, &mut disk)?;
            }
        }
        // A write that adds an attempt settles the one before it, so no commit waits in two places.
        let mut ids = Set::new();
        if !disk.iter().all(|entry| ids.insert(entry.id())) {
            return Err(corrupt("pending", &"a commit lies there twice"));
        }
        self.known_frames = checksums;
        self.pending = frames
            .iter()
            .map(|pending| (pending.first, pending.outcomes.clone()))
            .collect();
        self.merge(disk);
        Ok(())
    }

    /// Is the queue what these frames say is pending, no more and no less? They are known.
    fn is_pending(&self, frames: &[PendingFrame]) -> bool {
        let mut queue = self.queue.iter();
        let same = frames.iter().all(|pending| {
            let outcomes = pending.outcomes.iter().enumerate();
            let mut waiting =
                outcomes.filter_map(|(index, outcome)| Some((index, state_of(*outcome)?)));
            self.pending.get(&pending.first) == Some(&pending.outcomes)
                && waiting.all(|(index, state)| {
                    let first = pending.first;
                    let location = Some(Location { first, index });
                    let entry = queue.next();
                    entry.is_some_and(|entry| entry.location == location && entry.state == state)
                })
        });
        same && queue.next().is_none() && self.departing.is_empty()
    }

    /// The commits of a frame that was decoded before, as far as they wait for something: none is added unless all of them are
    /// in the queue as they lie there.
    fn take_known(&self, pending: &PendingFrame, disk: &mut Vec<Entry>) -> bool {
        let found = disk.len();
        let mut from = found;
        for (index, outcome) in pending.outcomes.iter().enumerate() {
            let Some(state) = state_of(*outcome) else {
                continue;
            };
            let location = Some(Location {
                first: pending.first,
                index,
            });
            let place = find_from(&self.queue, from, |entry| {
                entry.location == location
                    && matches!(entry.state, State::Pending | State::Acked(_))
            });
            let Some((place, entry)) = place.and_then(|at| Some((at, self.queue.get(at)?))) else {
                disk.truncate(found);
                return false;
            };
            from = place + 1;
            disk.push(stored(entry.local.clone(), state, location));
        }
        true
    }

    fn merge(&mut self, disk: Vec<Entry>) {
        let memory = core::mem::take(&mut self.queue);
        let on_disk: Map<CommitId, (Location, State)> = disk
            .iter()
            .filter_map(|entry| Some((entry.id(), (entry.location?, entry.state))))
            .collect();
        // A commit is on its way out only as long as the disk still has it as it was.
        let still_pending = |id: &CommitId, location: Option<Location>| {
            location.is_none()
                || on_disk
                    .get(id)
                    .is_some_and(|(at, state)| Some(*at) == location && *state == State::Pending)
        };
        // What left the disk without this tab: it was confirmed (then it is not in the queue either), or another tab
        // parked it or found that nothing was left to do.
        let gone = memory
            .iter()
            .map(|entry| (entry.id(), entry.location))
            .chain(self.departing.iter().map(|d| (d.id, d.location)));
        let gone: Vec<CommitId> = gone
            .filter(|(id, location)| location.is_some() && !on_disk.contains_key(id))
            .map(|(id, _)| id)
            .collect();
        let acked: Vec<(CommitId, Position)> = memory
            .iter()
            .filter(|entry| !entry.is_acked())
            .filter_map(|entry| match on_disk.get(&entry.id())?.1 {
                State::Acked(position) => Some((entry.id(), position)),
                _ => None,
            })
            .collect();
        // One that was never on disk as far as this tab knows may be there after all, by a write whose end was unknown.
        let parked = &self.parked;
        let mut known = Vec::new();
        self.departing.retain(|departing| {
            let there = on_disk.contains_key(&departing.id) || parked.contains_key(&departing.id);
            match departing.location {
                None if there && !departing.listed => {
                    known.push(departing.id);
                    false
                }
                location => still_pending(&departing.id, location),
            }
        });
        let leaving: Set<CommitId> = self.departing.iter().map(|d| d.id).collect();
        // Taken out in place: removing would move what lies behind, for each of thousands.
        let mut replaced: Map<CommitId, Option<Entry>> = Map::new();
        let mut fresh = Vec::new();
        let mut durable = Vec::new();
        let mut elsewhere = gone;
        let on_list = known.into_iter().filter(|id| self.parked.contains_key(id));
        elsewhere.extend(on_list);
        for mut entry in memory {
            let id = entry.id();
            match entry.state {
                State::Unresolved | State::Writing
                    if on_disk.contains_key(&id) && entry.location.is_none() =>
                {
                    durable.push(id);
                }
                State::Unresolved | State::Writing | State::Unwritten
                    if entry.location.is_none() =>
                {
                    entry.state = State::Unwritten;
                    let parked = self.parked.contains_key(&id) && !entry.revived;
                    if parked {
                        durable.push(id);
                        elsewhere.push(id);
                    } else if !on_disk.contains_key(&id) {
                        fresh.push(entry);
                    }
                }
                State::Unresolved | State::Writing | State::Unwritten => {
                    if still_pending(&id, entry.location) {
                        entry.state = State::Unwritten;
                        replaced.insert(id, Some(entry));
                    }
                }
                State::Pending | State::Acked(_) => {
                    replaced.insert(id, Some(entry));
                }
            }
        }
        for entry in disk {
            if leaving.contains(&entry.id()) {
                continue;
            }
            // Keep what only memory knows: an attempt that replaces this one, or the server's refusal of it.
            match replaced.get_mut(&entry.id()).and_then(Option::take) {
                Some(known) if known.state == State::Unwritten => self.queue.push(known),
                Some(known) if known.attempt() == entry.attempt() => {
                    self.queue.push(Entry {
                        refused: known.refused,
                        ..entry
                    });
                }
                _ => self.queue.push(entry),
            }
        }
        #[cfg(feature = "canaries")]
        if self.planted(Canary::MemoryForgotten) {
            fresh.clear();
        }
        self.queue.extend(fresh);
        for id in durable {
            self.receipt(id, ReceiptState::Durable);
        }
        for (id, position) in acked {
            self.receipt(id, ReceiptState::Acked(position));
        }
        for id in elsewhere {
            let state = if self.parked.contains_key(&id) {
                ReceiptState::Parked
            } else {
                ReceiptState::Confirmed(self.head.cursor.position)
            };
            self.receipt(id, state);
        }
    }

    /// A frame follows: its commits are confirmed, but for the first events, which were before.
    pub(super) fn confirm(
        &mut self,
        frame: Arc<Columns>,
        skip: usize,
    ) -> Result<(), InconsistentLog> {
        self.cancel_question();
        self.confirmed.extend(&frame)?;
        self.erasing.note(&frame);
        let waiting = self.opened
            || !self.queue.is_empty()
            || !self.departing.is_empty()
            || !self.parked.is_empty();
        if !waiting {
            // Replaying: nothing here is about any of these commits.
            self.notices.push_back(Notice::Confirmed {
                frame,
                skip,
                settled: Vec::new(),
            });
            return Ok(());
        }
        let ids: Set<CommitId> = (0..frame.commits())
            .map(|number| frame.commit_id(number))
            .collect();
        let mut settled = Vec::new();
        self.queue.retain(|entry| {
            let confirmed = ids.contains(&entry.id());
            if confirmed {
                settled.push(entry.id());
            }
            !confirmed
        });
        // Of its own are all that it held, whatever its id is by now: a copied profile takes another.
        let mut held: Set<CommitId> = settled.iter().copied().collect();
        let leaving = self.departing.iter().map(|departing| departing.id);
        held.extend(leaving.chain(self.parked.keys().copied()));
        self.departing
            .retain(|departing| !ids.contains(&departing.id));
        let before = self.parked.len();
        self.parked.retain(|id, _| !ids.contains(id));
        if self.parked.len() != before {
            self.notices.push_back(Notice::Parked);
        }
        self.notices.push_back(Notice::Confirmed {
            frame: Arc::clone(&frame),
            skip,
            settled,
        });
        if self.opened {
            for number in 0..frame.commits() {
                let id = frame.commit_id(number);
                let end = frame.commit_end().get(number).copied().unwrap_or_default();
                let own = frame.replica(number) == self.id || held.contains(&id);
                if own && end as usize > skip {
                    let last = frame.position((end as usize).saturating_sub(1));
                    self.receipt(id, ReceiptState::Confirmed(last));
                }
            }
        }
        Ok(())
    }

    /// All confirmed state begins again; what is not confirmed stays, and what only memory holds is written again.
    pub(super) fn start_again(&mut self, reason: ResetReason) {
        self.cancel_question();
        if reason == ResetReason::History {
            self.sync.left = Some(self.head.cursor.epoch);
        }
        self.confirmed = super::Confirmed::default();
        self.last_frame = None;
        self.erasing.forget();
        // What was to be done about the state as it was is no longer right.
        self.found = None;
        self.disk.snapshot = Sought::No;
        self.disk.repair = None;
        self.head = crate::store::Head::default();
        self.chain_known = true;
        self.pending.clear();
        self.known_frames.clear();
        self.sync.restart();
        for entry in &mut self.queue {
            // It was said of another history.
            entry.refused = None;
        }
        if reason == ResetReason::Storage {
            self.new_id = None;
            for entry in &mut self.queue {
                // The record of one that was brought back went with the database, too.
                entry.only_copy |= entry.location.is_some() || entry.revived;
                entry.state = State::Unwritten;
                entry.location = None;
                entry.revived = false;
                self.parked.remove(&entry.id());
            }
            for departing in &mut self.departing {
                departing.location = None;
                departing.listed = false;
                self.parked.remove(&departing.id);
            }
            self.retries.clear();
            // The records went with the database; they are written again.
            for (id, parked) in core::mem::take(&mut self.parked) {
                self.departing.push(Departing {
                    id,
                    location: None,
                    parked: Some(parked),
                    listed: false,
                });
            }
        }
        self.notices.push_back(Notice::Reset {
            reason,
            after: Position::START,
        });
        self.queue_changed();
    }
}

/// The commits of a pending frame that wait for something.
fn take_stored(pending: &PendingFrame, disk: &mut Vec<Entry>) -> Result<(), StoreError> {
    let decoded = frame::decode(&pending.frame).map_err(|error| corrupt("pending", &error))?;
    let Body::Local(locals) = decoded.body else {
        return Err(corrupt("pending", &InconsistentLog::NotRecorded));
    };
    if locals.len() != pending.outcomes.len() {
        return Err(corrupt("outcome", &"it does not fit its frame"));
    }
    let commits = locals.into_iter().zip(&pending.outcomes).enumerate();
    disk.extend(commits.filter_map(|(index, (local, outcome))| {
        let location = Location {
            first: pending.first,
            index,
        };
        Some(stored(local, state_of(*outcome)?, Some(location)))
    }));
    Ok(())
}

/// How far a commit has come that waits for something.
const fn state_of(outcome: Outcome) -> Option<State> {
    match outcome {
        Outcome::Pending => Some(State::Pending),
        Outcome::Acked(position) => Some(State::Acked(position)),
        Outcome::Settled => None,
    }
}

/// The chain hash at a position inside a frame.
fn chain_at(bytes: &[u8], position: Position) -> Result<ChainHash, frame::FrameError> {
    let frame = frame::decode(bytes)?;
    let before = frame.steps().take_while(|step| step.last() <= position);
    Ok(before.fold(frame.chain_before, |chain, step| step.chain_after(chain)))
}

fn corrupt(place: &str, detail: &impl ToString) -> StoreError {
    StoreError::Corrupt {
        place: place.to_string(),
        detail: detail.to_string(),
    }
}
