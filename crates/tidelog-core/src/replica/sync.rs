//! Talking to the server: what to send when, and what its answers mean.

use super::queue::{State, touched};
use super::write::Busy;
use super::{Notice, ParkReason, ReceiptState, Replica};
use crate::authority::{Rejection, RejectionCode};
use crate::commit::Commit;
use crate::cursor::Cursor;
use crate::expected::Expected;
use crate::frame::{self, Body, Frame};
use crate::id::{CommitId, Epoch, ReplicaId};
use crate::limits::{MAX_BODY_BYTES, MAX_PUSH_COMMITS};
use crate::number::{Attempt, Position, Timestamp};
use crate::protocol::{PushResponse, Verdict};
use crate::replica::InconsistentLog;
use crate::stream::StreamId;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

const FIRST_DELAY_MILLIS: u64 = 250;
const MAX_DELAY_MILLIS: u64 = 30_000;

/// What the host has to send.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Push these commits; answer with [`Replica::handle_pushed`] or [`Replica::handle_push_failed`].
    Push {
        /// Who sends.
        replica: ReplicaId,
        /// How far this replica has read.
        cursor: Cursor,
        /// In local order.
        commits: Vec<Commit>,
    },
    /// Pull what comes after the cursor; answer with [`Replica::handle_pulled`] or [`Replica::handle_pull_failed`].
    Pull {
        /// How far this replica has read.
        cursor: Cursor,
        /// May the server hold the answer back until there is something new?
        wait: bool,
    },
}

/// Why the server gave no usable answer. None of these ever parks a commit; all are tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// No answer: the network is down, or the server is.
    #[error(
        "the server cannot be reached ({detail}); changes stay on this device and are sent later"
    )]
    Network {
        /// What the platform said.
        detail: String,
    },
    /// The token is missing, wrong or expired.
    #[error("the server asks to sign in ({detail}); changes stay on this device until then")]
    Unauthorized {
        /// What the server said.
        detail: String,
    },
    /// This subject may not do that; above all, the replica belongs to another subject.
    #[error("the server refuses this user ({code}): {detail}")]
    Forbidden {
        /// The server's code.
        code: String,
        /// What the server said.
        detail: String,
    },
    /// There is no such log, or it is somebody else's.
    #[error("the server has no such log: {detail}")]
    UnknownLog {
        /// What the server said.
        detail: String,
    },
    /// The push was too large; a smaller one is sent next.
    #[error("the server refused the size of a push; smaller ones are sent")]
    TooLarge,
    /// Too many requests.
    #[error("the server asks to slow down")]
    RateLimited {
        /// How long to wait, in milliseconds, if the server said.
        retry_after_millis: Option<u64>,
    },
    /// The server has a passing fault.
    #[error("the server has a fault ({status}): {detail}")]
    Unavailable {
        /// The HTTP status.
        status: u16,
        /// What the server said.
        detail: String,
    },
    /// This build is too old for the server.
    #[error("this version of the app is too old for the server; reload to update")]
    ClientTooOld,
    /// The server has another history than this replica has read.
    #[error("the server has another history of this log; it is read again from the beginning")]
    HistoryChanged,
    /// The server refused the request as a whole.
    #[error("the server refused the request ({status}, {code}): {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The server's code.
        code: String,
        /// What the server said.
        detail: String,
    },
    /// What came is not an answer of this protocol: a proxy's page, cut or changed bytes.
    #[error("the answer is not from a Tidelog server: {detail}")]
    BadAnswer {
        /// What is wrong with it.
        detail: String,
    },
}

impl SyncError {
    /// The stable code of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Network { .. } => "network",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::UnknownLog { .. } => "unknown_log",
            Self::TooLarge => "payload_too_large",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unavailable { .. } => "server_unavailable",
            Self::ClientTooOld => "client_too_old",
            Self::HistoryChanged => "history_changed",
            Self::Refused { .. } => "request_refused",
            Self::BadAnswer { .. } => "bad_answer",
        }
    }

    /// Must a person do something (sign in, ask for rights, update) before it can work?
    #[must_use]
    pub const fn needs_person(&self) -> bool {
        matches!(
            self,
            Self::Unauthorized { .. }
                | Self::Forbidden { .. }
                | Self::UnknownLog { .. }
                | Self::ClientTooOld
        )
    }
}

#[derive(Debug, Clone)]
pub(super) struct PageFrame {
    pub(super) first: Position,
    pub(super) frame: Arc<Frame>,
    pub(super) bytes: Vec<u8>,
}

/// Frames of the confirmed log that wait to be written.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) frames: Vec<PageFrame>,
    /// Where they begin.
    pub(super) after: Cursor,
    /// Where they end.
    pub(super) cursor: Cursor,
}

impl Page {
    pub(super) fn commit_ids(&self) -> impl Iterator<Item = CommitId> {
        self.frames.iter().flat_map(|page| match &page.frame.body {
            Body::Recorded(commits) => commits.iter().map(|recorded| recorded.commit.id).collect(),
            Body::Local(_) => Vec::new(),
        })
    }
}

#[derive(Debug)]
pub(super) struct Sync {
    pub(super) leader: bool,
    pub(super) online: bool,
    pub(super) pushing: Option<Vec<(CommitId, Attempt)>>,
    pub(super) pulling: Option<Cursor>,
    pub(super) acks: Vec<(CommitId, Attempt, Position)>,
    pub(super) page: Option<Page>,
    pub(super) server_head: Option<Position>,
    pub(super) caught_up: bool,
    pub(super) error: Option<SyncError>,
    pub(super) rewind: super::rewind::Rewind,
    /// The history that was left last: answers that still come from it count for nothing.
    pub(super) left: Option<Epoch>,
    failures: u32,
    next_at: Option<Timestamp>,
    push_limit: usize,
    random: u64,
}

impl Sync {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            leader: false,
            online: true,
            pushing: None,
            pulling: None,
            acks: Vec::new(),
            page: None,
            server_head: None,
            caught_up: false,
            error: None,
            rewind: super::rewind::Rewind::No,
            left: None,
            failures: 0,
            next_at: None,
            push_limit: MAX_PUSH_COMMITS,
            random: seed | 1,
        }
    }

    /// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016).
    fn random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn failed(&mut self, now: Timestamp, error: SyncError) {
        let doubled = FIRST_DELAY_MILLIS << self.failures.min(7);
        let longest = doubled.min(MAX_DELAY_MILLIS);
        let mut delay = longest / 2 + self.random() % (longest / 2 + 1);
        if let SyncError::RateLimited {
            retry_after_millis: Some(asked),
        } = &error
        {
            delay = delay.max((*asked).min(10 * MAX_DELAY_MILLIS));
        }
        if error == SyncError::TooLarge {
            self.push_limit = (self.push_limit / 2).max(1);
        }
        self.failures = self.failures.saturating_add(1);
        self.next_at = Some(now.plus_millis(i64::try_from(delay).unwrap_or(i64::MAX)));
        self.error = Some(error);
    }

    fn succeeded(&mut self) -> bool {
        self.failures = 0;
        self.next_at = None;
        self.error.take().is_some()
    }

    pub(super) const fn kick(&mut self, _now: Timestamp) {
        self.failures = 0;
        self.next_at = None;
    }

    pub(super) fn restart(&mut self) {
        self.page = None;
        self.acks.clear();
        self.pushing = None;
        self.pulling = None;
        self.server_head = None;
        self.caught_up = false;
        self.rewind = super::rewind::Rewind::No;
    }

    pub(super) fn frames_failed(&mut self) {
        self.rewind = super::rewind::Rewind::Wanted;
    }
}

impl Replica {
    /// This tab is, or is no longer, the one that talks to the network.
    pub fn handle_leadership(&mut self, leader: bool) {
        if self.sync.leader != leader {
            self.sync.leader = leader;
            self.sync.caught_up = false;
            // What was under way belongs to the time before: its answers no longer count.
            self.sync.pushing = None;
            self.sync.pulling = None;
            self.disk.load = true;
            self.unjudged = true;
            self.notices.push_back(Notice::Status);
        }
    }

    /// The platform says whether there is a network.
    pub fn handle_online(&mut self, now: Timestamp, online: bool) {
        if self.sync.online != online {
            self.sync.online = online;
            if online {
                self.sync.kick(now);
            }
            self.notices.push_back(Notice::Status);
        }
    }

    /// The next request to send: at most one push and one pull are under way.
    pub fn poll_send(&mut self, now: Timestamp) -> Option<Request> {
        if !self.may_send() || self.sync.next_at.is_some_and(|at| at > now) {
            return None;
        }
        self.sync.next_at = None;
        if self.disk.load || self.disk.reopen || !self.sync.rewind.is_no() {
            return None;
        }
        self.judge();
        // What waits to be judged might be sent behind a commit that is about to leave its place.
        if self.sync.pushing.is_none()
            && !self.unjudged
            && let Some(push) = self.push()
        {
            return Some(push);
        }
        let busy = self.sync.page.is_some() || matches!(self.disk.busy, Some(Busy::Sync { .. }));
        if self.sync.pulling.is_none() && !busy {
            self.sync.pulling = Some(self.head.cursor);
            return Some(Request::Pull {
                cursor: self.head.cursor,
                wait: self.sync.caught_up,
            });
        }
        None
    }

    const fn may_send(&self) -> bool {
        let open = self.opened && !self.closed;
        self.config.sync && open && self.sync.leader && self.sync.online
    }

    /// Pending commits in local order. One is held back behind an earlier one that is not sent, or that may fail without
    /// taking it along; unrelated ones pass.
    fn push(&mut self) -> Option<Request> {
        let mut held: BTreeSet<&StreamId> = BTreeSet::new();
        let mut risky: BTreeSet<&StreamId> = BTreeSet::new();
        // One that leaves the queue is still pending on disk: if this tab ends now, another one sends it.
        let leaving = self.departing.iter().filter(|departing| departing.location.is_some());
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
        let other = here.position > Position::START && response.epoch != here.epoch;
        if other || self.sync.left == Some(response.epoch) {
            // Verdicts of another history say nothing about this one. The next pull finds out.
            self.sync.failed(now, SyncError::HistoryChanged);
            self.notices.push_back(Notice::Status);
            return;
        }
        if self.sync.succeeded() {
            self.notices.push_back(Notice::Status);
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
        self.notices.push_back(Notice::Status);
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
            self.notices.push_back(Notice::Status);
        }
    }

    /// The answer to a pull: frames that follow the cursor it was asked with, and the server's head. Everything is checked
    /// (checksum, order, versions, hash chain) before anything is kept.
    ///
    /// # Errors
    /// [`InconsistentLog`] if the answer does not follow what is here. Nothing has changed, and it is asked again later.
    pub fn handle_pulled(
        &mut self,
        now: Timestamp,
        asked: Cursor,
        frames: Vec<Vec<u8>>,
        server_head: Position,
    ) -> Result<(), InconsistentLog> {
        if self.sync.pulling.take().is_none() || asked != self.head.cursor {
            return Ok(());
        }
        if frames.is_empty() {
            self.sync.succeeded();
            if server_head > self.head.cursor.position {
                // It says there is more but gives none: do not ask in a tight loop.
                let detail = String::from("it says that there is more, but sends nothing");
                self.sync.failed(now, SyncError::BadAnswer { detail });
            }
            self.sync.server_head = Some(server_head);
            self.after_confirm();
            // Another tab's hint may have been lost; the quiet moment is a good one to look.
            self.disk.load |= self.sync.caught_up;
            return Ok(());
        }
        match self.check_page(frames) {
            Ok(page) => {
                self.sync.succeeded();
                self.sync.page = Some(page);
                self.sync.server_head = Some(server_head);
                self.notices.push_back(Notice::Status);
                Ok(())
            }
            Err(error) => {
                let detail = error.to_string();
                self.sync.failed(now, SyncError::BadAnswer { detail });
                self.notices.push_back(Notice::Status);
                Err(error)
            }
        }
    }

    fn check_page(&self, frames: Vec<Vec<u8>>) -> Result<Page, InconsistentLog> {
        let mut cursor = self.head.cursor;
        let mut heads = BTreeMap::new();
        let mut page = Vec::new();
        for bytes in frames {
            let frame = frame::decode(&bytes)?;
            let first = cursor.position.next();
            if cursor.position == Position::START && cursor.epoch == Default::default() {
                cursor.epoch = frame.epoch;
            }
            if frame.epoch != cursor.epoch || frame.chain_before != cursor.chain {
                return Err(InconsistentLog::Chain { position: first });
            }
            for recorded in self.confirmed.check(&frame, cursor.position, &mut heads)? {
                cursor.chain = cursor.chain.after(recorded);
                cursor.position = recorded.last_position();
            }
            if cursor.position < first {
                return Err(InconsistentLog::Invalid {
                    detail: String::from("an empty frame"),
                });
            }
            page.push(PageFrame {
                first,
                frame: Arc::new(frame),
                bytes,
            });
        }
        Ok(Page {
            frames: page,
            after: self.head.cursor,
            cursor,
        })
    }

    /// A pull failed.
    pub fn handle_pull_failed(&mut self, now: Timestamp, error: SyncError) {
        if self.sync.pulling.take().is_none() {
            return;
        }
        if error == SyncError::HistoryChanged && self.head.cursor.position > Position::START {
            self.sync.rewind = super::rewind::Rewind::Wanted;
        }
        self.sync.failed(now, error);
        self.notices.push_back(Notice::Status);
    }

    /// The first verdicts are on disk.
    pub(super) fn acked(&mut self, count: usize) {
        for (id, attempt, position) in self.sync.acks.drain(..count).collect::<Vec<_>>() {
            let entry = self.queue.iter_mut().find(|entry| {
                entry.id() == id && entry.attempt() == attempt && entry.state == State::Pending
            });
            if let Some(entry) = entry {
                entry.state = State::Acked(position);
                self.receipt(id, ReceiptState::Acked(position));
                self.notices.push_back(Notice::Queue);
            }
        }
    }

    pub(super) fn after_confirm(&mut self) {
        let here = self.head.cursor.position;
        self.sync.caught_up = self.sync.server_head.is_some_and(|head| head <= here);
        self.unjudged = true;
        self.send_lost_again();
        self.rebuild_heads();
        self.notices.push_back(Notice::Status);
    }

    /// An acked commit whose position was read without finding it there: the history that took it is gone.
    pub(super) fn send_lost_again(&mut self) {
        let here = self.head.cursor.position;
        for entry in &mut self.queue {
            if matches!(entry.state, State::Acked(position) if position <= here) {
                entry.state = State::Pending;
            }
        }
    }

    /// When to poll again even if nothing comes in.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let send = self.sync.next_at.filter(|_| self.may_send());
        [send, self.disk.retry_at].into_iter().flatten().min()
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
