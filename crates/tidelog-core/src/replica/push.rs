//! Pushing: which commits go when, and what the verdicts mean.

use super::queue::{Refused, State, find_from, touched};
use super::retry::Lane;
use super::{ParkReason, Replica, Request, SyncError};
use crate::authority::{Rejection, RejectionCode};
#[cfg(feature = "canaries")]
use crate::canary::Canary;
use crate::commit::Commit;
use crate::expected::Expected;
use crate::id::{CommitId, ReplicaId};
use crate::limits::{MAX_BODY_BYTES, MAX_PUSH_COMMITS};
use crate::map::Set;
use crate::number::{Attempt, Position, Timestamp};
use crate::protocol::{PushResponse, Verdict};
use crate::stream::StreamId;
use alloc::string::String;
use alloc::vec::Vec;

/// A push that is under way.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    commits: Vec<(CommitId, Attempt)>,
    bytes: usize,
}

/// How much a push may carry, as far as the server, or what stands before it, has said.
#[derive(Debug)]
pub(super) struct Room {
    commits: usize,
    bytes: usize,
    /// Commits that were refused alone: they are sent alone, and seldom.
    oversized: Vec<CommitId>,
    again: Lane,
    may_try: bool,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            commits: MAX_PUSH_COMMITS,
            bytes: MAX_BODY_BYTES / 2,
            oversized: Vec::new(),
            again: Lane::default(),
            may_try: false,
        }
    }
}

impl Room {
    /// A push was too large. What is smaller is sent at once; what cannot be made smaller waits. The size is remembered, so
    /// that not every push is tried too large first.
    fn refused(&mut self, now: Timestamp, random: u64, sent: &Sent, error: &SyncError) {
        let most = |max: &Option<u64>| {
            max.map_or(usize::MAX, |max| usize::try_from(max).unwrap_or(usize::MAX))
        };
        match (sent.commits.as_slice(), error) {
            ([(id, _)], _) => {
                if !self.oversized.contains(id) {
                    self.oversized.push(*id);
                }
                let error = SyncError::CommitOversized { commit: *id };
                self.again.failed(now, random, error);
            }
            (commits, SyncError::TooManyCommits { max }) => {
                self.commits = (commits.len() / 2).min(most(max)).max(1);
            }
            (_, SyncError::TooLarge { max }) => {
                self.bytes = (sent.bytes / 2).min(most(max)).max(1);
            }
            _ => {}
        }
    }

    /// This one has its verdict.
    fn answered(&mut self, id: CommitId) {
        self.keep(|other| other != id);
    }

    /// Forgets the others.
    pub(super) fn keep(&mut self, is_kept: impl Fn(CommitId) -> bool) {
        self.oversized.retain(|id| is_kept(*id));
        if self.oversized.is_empty() {
            self.again = Lane::default();
        }
    }

    pub(super) fn look(&mut self, now: Timestamp) {
        self.may_try = self.again.is_free(now);
    }

    pub(super) const fn kick(&mut self) {
        self.again.kick();
    }

    pub(super) const fn error(&self) -> Option<&SyncError> {
        self.again.error()
    }

    pub(super) const fn next_at(&self) -> Option<Timestamp> {
        self.again.next_at()
    }
}

impl Replica {
    /// The next push, if there is anything to push.
    pub(super) fn push(&mut self) -> Option<Request> {
        let commits: Vec<Commit> = self
            .next_push()
            .into_iter()
            .filter_map(|index| Some(self.queue.get(index)?.local.commit.clone()))
            .collect();
        if commits.is_empty() {
            return None;
        }
        let ids = commits.iter().map(|commit| (commit.id, commit.attempt));
        self.sync.pushing = Some(Sent {
            commits: ids.collect(),
            bytes: commits.iter().map(Commit::weight).sum(),
        });
        Some(Request::Push {
            replica: self.id,
            cursor: self.head.cursor,
            commits,
        })
    }

    /// Pending commits in local order, as places in the queue. One is held back behind an earlier one that is not sent, or that may fail without
    /// taking it along; unrelated ones pass.
    pub(super) fn next_push(&self) -> Vec<usize> {
        let mut held: Set<&StreamId> = Set::new();
        let mut risky: Set<&StreamId> = Set::new();
        // One that leaves the queue is still pending on disk: if this tab ends now, another one sends it.
        let leaving = self
            .departing
            .iter()
            .filter(|departing| departing.location.is_some());
        for parked in leaving.filter_map(|departing| departing.parked.as_ref()) {
            held.extend(touched(&parked.local.commit));
        }
        let acking: Set<CommitId> = self.sync.acks.iter().map(|(id, ..)| *id).collect();
        let mut places = Vec::new();
        let mut bytes = 0;
        let room = &self.sync.room;
        for (place, entry) in self.queue.iter().enumerate() {
            if entry.is_acked() {
                continue;
            }
            let commit = &entry.local.commit;
            if acking.contains(&commit.id) {
                continue;
            }
            let alone = entry.touched().any(|stream| {
                risky.contains(stream)
                    && !commit.conditions.iter().any(|condition| {
                        &condition.stream == stream
                            && matches!(condition.expected, Expected::Exact { event: Some(_), .. })
                    })
            });
            let blocked = entry.touched().any(|stream| held.contains(stream));
            let oversized = room.oversized.contains(&commit.id);
            let full =
                places.len() >= room.commits || bytes + commit.weight() > room.bytes || oversized;
            let waits = oversized && !room.may_try;
            let sendable = entry.state == State::Pending && entry.refused.is_none() && !waits;
            #[cfg(feature = "canaries")]
            let blocked = blocked && !self.planted(Canary::NotHeldBack);
            #[cfg(feature = "canaries")]
            let sendable = sendable
                || (self.planted(Canary::SentBeforeDurable) && entry.state == State::Writing);
            if !sendable || alone || blocked || (full && !places.is_empty()) {
                held.extend(entry.touched());
                continue;
            }
            if commit
                .conditions
                .iter()
                .any(|condition| condition.expected != Expected::Any)
            {
                risky.extend(entry.touched());
            }
            bytes += commit.weight();
            places.push(place);
            if oversized {
                break;
            }
        }
        places
    }

    /// The answer to a push. Verdicts about attempts that were not sent, or are no longer current, are ignored.
    pub fn handle_pushed(&mut self, now: Timestamp, response: PushResponse) {
        let Some(sent) = self.sync.pushing.take() else {
            return;
        };
        self.sync.stale();
        let here = self.head.cursor;
        let other = if here.position > Position::START {
            response.epoch != here.epoch
        } else {
            self.sync.left == Some(response.epoch)
        };
        if other {
            // Verdicts of another history say nothing about this one. The next pull finds out.
            self.sync.push_failed(now, SyncError::HistoryChanged);
            self.status_changed();
            return;
        }
        if self.sync.push_succeeded() {
            self.status_changed();
        }
        let head = response.head.position;
        let mut answered = 0_usize;
        let (mut next_sent, mut next_queued) = (0, 0);
        for result in response.results {
            let attempt = (result.id, result.attempt);
            let Some(at) = find_from(&sent.commits, next_sent, |sent| *sent == attempt) else {
                continue;
            };
            next_sent = at + 1;
            answered += 1;
            self.sync.room.answered(result.id);
            let index = find_from(&self.queue, next_queued, |entry| {
                entry.id() == result.id
                    && entry.attempt() == result.attempt
                    && entry.state == State::Pending
            });
            #[cfg(feature = "canaries")]
            let index = if self.planted(Canary::VerdictOfAnyAttempt) {
                self.queue.iter().position(|entry| entry.id() == result.id)
            } else {
                index
            };
            let Some(index) = index else { continue };
            next_queued = index;
            match result.verdict {
                Verdict::Accepted {
                    positions,
                    versions,
                    ..
                }
                | Verdict::Duplicate {
                    positions,
                    versions,
                    ..
                } => {
                    self.sync.left_out.retain(|id| *id != result.id);
                    let kept = &self.filters.kept;
                    if !versions.iter().any(|written| kept.wants(&written.stream)) {
                        self.sync.left_out.push(result.id);
                    }
                    self.sync
                        .acks
                        .push((result.id, result.attempt, positions.last));
                }
                Verdict::Conflict { conflicts } => {
                    if let Some(entry) = self.queue.get_mut(index) {
                        entry.refused = Some(Refused {
                            conflicts,
                            head,
                            epoch: response.epoch,
                        });
                    }
                    self.unjudged = true;
                }
                Verdict::Rejected(Rejection {
                    code: RejectionCode::SeqReused,
                    ..
                }) => {
                    #[cfg(feature = "canaries")]
                    if self.planted(Canary::CopyNotNoticed) {
                        continue;
                    }
                    self.mint_new_id(now);
                }
                Verdict::Rejected(Rejection { code, message }) => {
                    let code = rejection_code(code);
                    self.park(index, ParkReason::Rejected { code, message }, Vec::new());
                    self.unjudged = true;
                    self.queue_changed();
                }
            }
        }
        if answered < sent.commits.len() {
            // A server that leaves commits out would be asked for ever without a pause.
            let detail = String::from("it has no verdict for some of the commits");
            self.sync.push_failed(now, SyncError::BadAnswer { detail });
        }
        self.heard_of(head);
    }

    fn heard_of(&mut self, head: Position) {
        self.sync.server_head = Some(head.max(self.sync.server_head.unwrap_or_default()));
        self.status_changed();
    }

    /// Another device has this one's replica id: take a new one, and stamp what is not acknowledged again.
    fn mint_new_id(&mut self, now: Timestamp) {
        if self.new_id.is_none() {
            let mut random = [0; 10];
            for (byte, word) in random
                .iter_mut()
                .zip(core::iter::repeat_with(|| self.sync.random()))
            {
                *byte = word.to_be_bytes()[0];
            }
            self.new_id = Some(ReplicaId::mint(now, random));
        }
        for entry in &mut self.queue {
            if entry.state == State::Pending {
                entry.state = State::Unwritten;
            }
        }
    }

    /// A push failed, or its answer was lost: nothing is known, and the same attempts are sent again.
    pub fn handle_push_failed(&mut self, now: Timestamp, error: SyncError) {
        #[cfg(feature = "canaries")]
        if self.planted(Canary::PushNeverEnds) {
            return;
        }
        #[cfg(feature = "canaries")]
        if self.planted(Canary::ErrorParks) && !self.queue.is_empty() {
            self.park(0, ParkReason::Conflict, Vec::new());
            self.queue_changed();
        }
        let Some(sent) = self.sync.pushing.take() else {
            return;
        };
        self.sync.stale();
        match &error {
            SyncError::TooLarge { .. } | SyncError::TooManyCommits { .. } => {
                let random = self.sync.random();
                self.sync.room.refused(now, random, &sent, &error);
            }
            _ => self.sync.push_failed(now, error),
        }
        self.forget_push_trouble();
        self.status_changed();
    }
}

fn rejection_code(code: RejectionCode) -> String {
    String::from(match code {
        RejectionCode::InvalidCommit => "invalid_commit",
        RejectionCode::AttemptMismatch => "attempt_mismatch",
        RejectionCode::IdTaken => "id_taken",
        RejectionCode::SeqReused => "seq_reused",
        RejectionCode::InvalidPayload => "invalid_payload",
        RejectionCode::StreamTombstoned => "stream_tombstoned",
        RejectionCode::Forbidden => "forbidden",
    })
}
