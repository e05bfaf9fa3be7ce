//! One message moves.

use super::World;
use crate::canary::Canary;
use crate::disk::Crash;
use crate::hold;
use crate::network::{self, Flight, Page};
use crate::options::Hazard;
use crate::oracle::word;
use tidelog_core::authority::RejectionCode;
use tidelog_core::protocol::{PushResponse, Verdict};
use tidelog_core::replica::SyncError;
use tidelog_core::{Commit, Cursor, Filter, Payload, Position};

/// So many old answers are kept to come back.
const OLD_ANSWERS: usize = 8;

impl World {
    pub(super) fn fly(&mut self) -> bool {
        if self.flights.is_empty() {
            return false;
        }
        let index = self.dice.below(self.flights.len());
        self.land(index)
    }

    /// A message arrives, or what the network makes of it. `false` if it has to wait.
    pub fn land(&mut self, index: usize) -> bool {
        let flight = &self.flights[index];
        let place = self.place_of(flight.tab());
        let cut_off = match (flight, place) {
            (
                Flight::Pull {
                    cursor, wait: true, ..
                },
                _,
            ) if cursor.position == self.server.head().position
                && (cursor.position == Position::START || cursor.epoch == self.server.epoch) =>
            {
                return false;
            }
            (answer, Some(at)) if answer.is_answer() => {
                if self.is_frozen(at) {
                    return false;
                }
                self.devices[self.tabs[at].device].deaf_until > self.now
            }
            (_, Some(at)) => self.devices[self.tabs[at].device].mute_until > self.now,
            (_, None) => false,
        };
        let flight = self.flights.swap_remove(index);
        match flight {
            Flight::Push {
                tab,
                cursor,
                commits,
                echo,
            } => self.push_arrives(tab, cursor, &commits, echo, cut_off),
            Flight::Pull {
                tab,
                cursor,
                filter,
                ..
            } => {
                let answer = if cut_off {
                    Err(network::unreachable())
                } else {
                    self.answer_pull(cursor, &filter)
                };
                self.flights.push(Flight::Pulled {
                    tab,
                    cursor,
                    filter,
                    answer,
                });
            }
            Flight::Pushed { tab, answer } if cut_off => {
                let _lost = answer;
                self.oracle.saw("answer lost");
                self.pushed(tab, Err(network::unreachable()));
            }
            Flight::Pushed { tab, answer } => self.pushed(tab, answer),
            Flight::Pulled {
                tab,
                cursor,
                filter,
                answer,
            } => {
                let lost = cut_off || self.happens(Hazard::LostAnswer);
                let answer = match lost {
                    true => Err(network::unreachable()),
                    false => answer,
                };
                self.pulled(tab, cursor, &filter, answer);
            }
        }
        true
    }

    fn push_arrives(
        &mut self,
        tab: u64,
        cursor: Cursor,
        commits: &[Commit],
        echo: bool,
        cut_off: bool,
    ) {
        let again = |world: &mut Self| {
            world.flights.push(Flight::Push {
                tab,
                cursor,
                commits: commits.to_vec(),
                echo: true,
            });
        };
        if self.happens(Hazard::RepeatedRequest) {
            self.oracle.saw("a request twice");
            again(self);
        }
        let late = self.happens(Hazard::LateRequest);
        let lost = self.happens(Hazard::LostRequest) || cut_off;
        let answer = if lost && !echo {
            Err(network::unreachable())
        } else if lost {
            return;
        } else if late && !echo {
            self.oracle.saw("a request after it was given up");
            again(self);
            Err(network::unreachable())
        } else {
            self.answer_push(cursor, commits)
        };
        if echo {
            return;
        }
        let answer = match answer {
            Ok(_) if self.happens(Hazard::LostAnswer) => {
                self.oracle.saw("answer lost");
                Err(network::unreachable())
            }
            Ok(_) if self.happens(Hazard::Truncated) => {
                let detail = String::from("cut");
                Err(SyncError::BadAnswer { detail })
            }
            answer => answer,
        };
        self.flights.push(Flight::Pushed { tab, answer });
    }

    /// What a proxy or the server says instead of serving.
    fn no_service(&mut self) -> Option<SyncError> {
        if self.happens(Hazard::Portal) {
            return Some(network::portal());
        }
        if self.happens(Hazard::SignedOut) {
            return Some(network::signed_out(&mut self.dice));
        }
        if self.happens(Hazard::TooOld) {
            return Some(SyncError::ClientTooOld);
        }
        if self.happens(Hazard::RateLimited) {
            return Some(network::rate_limited(&mut self.dice));
        }
        if self.happens(Hazard::NoService) {
            return Some(network::no_service(&mut self.dice));
        }
        None
    }

    /// One transaction of the server.
    pub(super) fn answer_push(
        &mut self,
        cursor: Cursor,
        commits: &[Commit],
    ) -> Result<PushResponse, SyncError> {
        if let Some(error) = self.no_service() {
            return Err(error);
        }
        if commits.len() > 1 && self.happens(Hazard::TooLarge) {
            self.oracle.saw("a push that is too large");
            return Err(SyncError::TooLarge { max: None });
        }
        let busy = self.seen.len() > 1 && self.happens(Hazard::Busy);
        if busy || self.happens(Hazard::DiskFull) {
            return Err(network::no_service(&mut self.dice));
        }
        if !self.server.knows(cursor, self.server.log.len()) {
            return Err(SyncError::HistoryChanged);
        }
        let before = self.server.log.len();
        let forbidden = self.rate(Hazard::Forbidden);
        // Its own rule says the same each time it is asked.
        let mut forbids = |commit: &Commit| u32::from(commit.id.as_bytes()[0]) % 100 < forbidden;
        let answer = self.server.push(self.now, commits, &mut forbids);
        let killed = self.happens(Hazard::ServerKill);
        let killed = killed.then(|| self.dice.percent(50));
        let crashed = self.server_crash.as_mut().and_then(Crash::strikes);
        if let Some(committed) = crashed.or(killed) {
            self.server_dies(before, committed);
            return Err(network::unreachable());
        }
        for result in &answer.results {
            self.oracle.trace.mark(word(result.id));
            self.oracle.check_answer(answer.epoch, result);
        }
        self.oracle.check_server(&self.server);
        self.say(|| format!("server answers {:?}", answer.results));
        if self.happens(Hazard::Forged) {
            self.forge(commits);
        }
        Ok(answer)
    }

    /// The process ends in the middle of a transaction that began at this length of the log.
    fn server_dies(&mut self, before: usize, committed: bool) {
        self.oracle.saw("server killed in a commit");
        if !committed {
            let whole = self.server.log.len();
            let torn = self.planted(Canary::HalfCommitted) && whole > before;
            self.server
                .roll_back(if torn { before + 1 } else { before });
            if torn
                && let Some(recorded) = self.server.log.last_mut()
                && recorded.commit.events.len() > 1
            {
                recorded.commit.events.pop();
            }
        }
        self.oracle.check_server(&self.server);
        self.oracle.check_acknowledged(&self.server);
        self.say(|| format!("the server is killed in a commit, committed: {committed}"));
    }

    /// Somebody sends what was accepted again, with another payload under the same id and attempt.
    fn forge(&mut self, commits: &[Commit]) {
        let Some(commit) = commits.iter().find(|commit| {
            let receipt = self.server.receipt(commit.id);
            receipt.is_some_and(|receipt| receipt.attempt == commit.attempt)
        }) else {
            return;
        };
        let mut forged = commit.clone();
        forged.events[0].data = Payload::json("\"forged\"");
        if forged.events[0].data == commit.events[0].data {
            return;
        }
        self.oracle.saw("forged");
        let answer = self.server.push(self.now, &[forged], &mut |_| false);
        let refused = matches!(
            &answer.results[0].verdict,
            Verdict::Rejected(rejection) if rejection.code == RejectionCode::AttemptMismatch
        );
        hold!(
            5,
            refused,
            "other bytes of {} were taken: {:?}",
            commit.id,
            answer.results[0].verdict
        );
    }

    fn answer_pull(&mut self, cursor: Cursor, filter: &Filter) -> Result<Page, SyncError> {
        if self.happens(Hazard::LostRequest) {
            return Err(network::unreachable());
        }
        if let Some(error) = self.no_service() {
            return Err(error);
        }
        let address = (cursor, filter.clone());
        if self.happens(Hazard::Cached)
            && let Some((_, page)) = self.cache.iter().find(|(known, _)| *known == address)
        {
            self.oracle.saw("a page from a cache");
            return Ok(page.clone());
        }
        let process = self.dice.below(self.seen.len());
        if !self.happens(Hazard::StaleRead) {
            self.seen[process] = self.server.log.len();
        }
        let mut seen = self.seen[process].min(self.server.log.len());
        if !self.server.knows(cursor, seen) {
            // A reader that is behind waits until it has what the cursor names.
            seen = self.server.log.len();
        } else if seen < self.server.log.len() {
            self.oracle.saw("a stale read");
        }
        let most = if self.healing { 64 } else { 6 };
        let (per_frame, frames) = (1 + self.dice.below(most), 1 + self.dice.below(4));
        let page = self.server.pull_at(seen, cursor, filter, per_frame, frames);
        let page = page.ok_or(SyncError::HistoryChanged)?;
        if self.rate(Hazard::Cached) > 0 {
            self.cache.retain(|(known, _)| *known != address);
            if self.cache.len() == OLD_ANSWERS {
                self.cache.remove(0);
            }
            self.cache.push((address, page.clone()));
        }
        Ok(page)
    }

    fn pushed(&mut self, uid: u64, answer: Result<PushResponse, SyncError>) {
        let mut answer = answer;
        if let Ok(response) = &answer
            && self.rate(Hazard::RepeatedAnswer) > 0
        {
            if self.old_answers.len() == OLD_ANSWERS {
                self.old_answers.remove(0);
            }
            self.old_answers.push((uid, response.clone()));
        }
        if self.happens(Hazard::RepeatedAnswer) {
            let epoch = self.server.epoch;
            let old = self.old_answers.iter();
            let old = old.filter(|(tab, old)| *tab == uid && old.epoch == epoch);
            let old: Vec<_> = old.map(|(_, old)| old).collect();
            if !old.is_empty() {
                answer = Ok(old[self.dice.below(old.len())].clone());
                self.oracle.saw("an older answer");
            }
        }
        let Some(at) = self.place_of(uid) else {
            return;
        };
        let time = self.time_of(at);
        let replica = &mut self.tabs[at].replica;
        match answer {
            Ok(response) => replica.handle_pushed(time, response),
            Err(error) => replica.handle_push_failed(time, error),
        }
        self.settle(uid);
    }

    fn pulled(
        &mut self,
        uid: u64,
        cursor: Cursor,
        filter: &Filter,
        answer: Result<Page, SyncError>,
    ) {
        let Some(at) = self.place_of(uid) else {
            return;
        };
        let time = self.time_of(at);
        match answer {
            Ok((mut frames, head)) if !frames.is_empty() => {
                let flipped = self.happens(Hazard::Flipped);
                let cut = self.happens(Hazard::Truncated);
                if flipped || cut {
                    let frame = self.dice.below(frames.len());
                    let byte = self.dice.below(frames[frame].len());
                    if flipped {
                        frames[frame][byte] ^= 1 << self.dice.below(8);
                    } else {
                        frames[frame].truncate(byte);
                        frames.truncate(frame + 1);
                    }
                }
                let replica = &mut self.tabs[at].replica;
                let before = replica.head().cursor;
                let result = replica.handle_pulled(time, cursor, filter, frames, head);
                if flipped || cut {
                    self.oracle.saw("a damaged page");
                    let same = replica.head().cursor == before;
                    hold!(6, same, "a damaged page was taken");
                } else if let Err(error) = result {
                    crate::violation::broken(
                        3,
                        format_args!("the server's log does not follow: {error}"),
                    );
                }
            }
            Ok((frames, head)) => {
                let replica = &mut self.tabs[at].replica;
                let result = replica.handle_pulled(time, cursor, filter, frames, head);
                hold!(3, result.is_ok(), "an empty page is refused");
            }
            Err(error) => self.tabs[at].replica.handle_pull_failed(time, error),
        }
        self.settle(uid);
    }
}
