//! Pushing: which commits go when, and what the verdicts mean.

use super::queue::{State, touched};
use super::{ParkReason, Replica, Request, SyncError};
use crate::authority::{Rejection, RejectionCode};
use crate::expected::Expected;
use crate::id::ReplicaId;
use crate::limits::{MAX_BODY_BYTES, MAX_PUSH_COMMITS};
use crate::map::Set;
use crate::number::{Position, Timestamp};
use crate::protocol::{PushResponse, Verdict};
use crate::stream::StreamId;
use alloc::string::String;
use alloc::vec::Vec;

impl Replica {
    /// Pending commits in local order. One is held back behind an earlier one that is not sent, or that may fail without
    /// taking it along; unrelated ones pass.
    pub(super) fn push(&mut self) -> Option<Request> {
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
        let mut commits = Vec::new();
        let mut bytes = 0;
        for entry in &self.queue {
            if entry.is_acked() {
                continue;
            }
            let commit = &entry.local.commit;
            let acking = self.sync.acks.iter().any(|(id, ..)| *id == commit.id);
            if acking {
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
            let full = commits.len() >= self.sync.push_limit
                || bytes + commit.weight() > MAX_BODY_BYTES / 2;
            let sendable = entry.state == State::Pending && entry.refused.is_none();
            if !sendable || alone || blocked || (full && !commits.is_empty()) {
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
            commits.push(commit.clone());
        }
        if commits.is_empty() {
            return None;
        }
        self.sync.pushing = Some(
            commits
                .iter()
                .map(|commit| (commit.id, commit.attempt))
                .collect(),
        );
        Some(Request::Push {
            replica: self.id,
            cursor: self.head.cursor,
            commits,
        })
    }

    /// The answer to a push. Verdicts about attempts that were not sent, or are no longer current, are ignored.
    pub fn handle_pushed(&mut self, now: Timestamp, response: PushResponse) {
        let Some(sent) = self.sync.pushing.take() else {
            return;
        };
        let here = self.head.cursor;
        let other = if here.position > Position::START {
            response.epoch != here.epoch
        } else {
            self.sync.left == Some(response.epoch)
        };
        if other {
            // Verdicts of another history say nothing about this one. The next pull finds out.
            self.sync.failed(now, SyncError::HistoryChanged);
            self.status_changed();
            return;
        }
        if self.sync.succeeded() {
            self.status_changed();
        }
        self.sync.push_limit = MAX_PUSH_COMMITS.min(self.sync.push_limit.saturating_mul(2));
        let head = response.head.position;
        let mut answered = 0_usize;
        for result in response.results {
            if !sent.contains(&(result.id, result.attempt)) {
                continue;
            }
            answered += 1;
            let index = self.queue.iter().position(|entry| {
                entry.id() == result.id
                    && entry.attempt() == result.attempt
                    && entry.state == State::Pending
            });
            let Some(index) = index else { continue };
            match result.verdict {
                Verdict::Accepted { positions, .. } | Verdict::Duplicate { positions, .. } => {
                    self.sync
                        .acks
                        .push((result.id, result.attempt, positions.last));
                }
                Verdict::Conflict { conflicts } => {
                    if let Some(entry) = self.queue.get_mut(index) {
                        entry.refused = Some((conflicts, head));
                    }
                    self.unjudged = true;
                }
                Verdict::Rejected(Rejection {
                    code: RejectionCode::SeqReused,
                    ..
                }) => {
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
        if answered < sent.len() {
            // A server that leaves commits out would be asked for ever without a pause.
            let detail = String::from("it has no verdict for some of the commits");
            self.sync.failed(now, SyncError::BadAnswer { detail });
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
        if self.sync.pushing.take().is_some() {
            self.sync.failed(now, error);
            self.status_changed();
        }
    }
}

fn rejection_code(code: RejectionCode) -> String {
    String::from(match code {
        RejectionCode::InvalidCommit => "invalid_commit",
        RejectionCode::AttemptMismatch => "attempt_mismatch",
        RejectionCode::IdTaken => "id_taken",
        RejectionCode::SeqReused => "seq_reused",
        RejectionCode::InvalidPayload => "invalid_payload",
        RejectionCode::Forbidden => "forbidden",
    })
}
