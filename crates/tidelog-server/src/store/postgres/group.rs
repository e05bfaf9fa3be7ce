//! Group commit: every push that waits for a log is decided and stored in the log's next transaction.
//!
//! A group is stored *at once* where it can be: one statement looks everything up, without a lock, and one writes everything,
//! which does nothing if the log's row is another by then. What a group has looked up and written the next one need not look
//! up, on the same condition. Where another process was faster, and for a while afterwards, the row is locked first: then
//! nobody can be outrun for ever.

use super::failure::{Failure, Patience};
use super::held::Held;
use super::news::News;
use super::ways::Ways;
use crate::clock;
use crate::store::heads::Heads;
use crate::store::load::Counted;
use crate::store::{Load, Push, StoreError, admission};
use futures_util::FutureExt;
use sqlx::postgres::{PgConnection, PgPool};
use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tidelog_core::protocol::{PushResponse, Verdict};
use tidelog_core::{LogName, Position};
use tokio::sync::oneshot;

/// How many pushes may wait; one more is answered [`StoreError::Busy`].
const QUEUE: usize = 1_024;
/// How many pushes share a transaction at most.
const GROUP_PUSHES: usize = 256;
/// About how many bytes of commits share a transaction at most.
const GROUP_BYTES: usize = 8 * 1024 * 1024;

type Answer = Result<PushResponse, StoreError>;
type Answers = Vec<Answer>;

#[derive(Debug)]
struct Waiting {
    push: Push,
    answer: oneshot::Sender<Result<PushResponse, StoreError>>,
}

/// The pushes that wait, for each log that has a task serving it.
#[derive(Debug, Default)]
struct Queues {
    logs: BTreeMap<LogName, VecDeque<Waiting>>,
    length: usize,
}

/// Serves pushes, one group of a log after the other, logs beside each other.
#[derive(Debug)]
pub(super) struct Groups {
    pool: PgPool,
    heads: Heads,
    news: News,
    queues: Mutex<Queues>,
    counted: Counted,
    ways: Mutex<Ways>,
}

impl Groups {
    pub(super) fn new(pool: PgPool, heads: Heads, news: News) -> Self {
        Self {
            pool,
            heads,
            news,
            queues: Mutex::default(),
            counted: Counted::default(),
            ways: Mutex::default(),
        }
    }

    pub(super) async fn push(self: &Arc<Self>, push: Push) -> Result<PushResponse, StoreError> {
        let (answer, answered) = oneshot::channel();
        let log = push.log.clone();
        let is_served = {
            let mut queues = self.queues();
            if queues.length == QUEUE {
                return Err(StoreError::Busy);
            }
            queues.length += 1;
            self.counted.waits();
            let is_served = queues.logs.contains_key(&log);
            let queue = queues.logs.entry(log.clone()).or_default();
            queue.push_back(Waiting { push, answer });
            is_served
        };
        if !is_served {
            // Not in the caller's own future: that may be dropped at any moment, and others wait for the same group.
            tokio::spawn(Arc::clone(self).serve(log));
        }
        answered.await.unwrap_or_else(|_| Err(ended()))
    }

    /// How busy it is.
    pub(super) fn load(&self) -> Load {
        self.counted.load()
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores group after group until nobody waits for this log.
    async fn serve(self: Arc<Self>, log: LogName) {
        while let Some(group) = self.next(&log) {
            let (pushes, answers): (Vec<Push>, Vec<_>) =
                group.into_iter().map(|one| (one.push, one.answer)).unzip();
            let pushes: Vec<&Push> = pushes.iter().collect();
            let results = self.store(&log, &pushes).await;
            for (answer, result) in answers.into_iter().zip(results) {
                // Nobody waits for the answer if its receiver is gone.
                let _ = answer.send(result);
            }
        }
    }

    /// The next group. With `None` the log is no longer served.
    fn next(&self, log: &LogName) -> Option<Vec<Waiting>> {
        let mut queues = self.queues();
        let queue = queues.logs.get_mut(log)?;
        let (mut group, mut bytes) = (Vec::new(), 0_usize);
        while group.len() < GROUP_PUSHES
            && bytes < GROUP_BYTES
            && let Some(waiting) = queue.pop_front()
        {
            let commits = waiting.push.commits.iter();
            bytes += commits.map(|one| one.commit.weight()).sum::<usize>();
            group.push(waiting);
        }
        if group.is_empty() {
            queues.logs.remove(log);
            return None;
        }
        queues.length -= group.len();
        self.counted.group(group.len());
        Some(group)
    }

    /// Stores a group; one that cannot be stored together is stored push by push, since it may be one push's fault.
    async fn store(&self, log: &LogName, pushes: &[&Push]) -> Answers {
        let error = match self.group(log, pushes).await {
            Ok(results) => return results,
            Err(failure) => failure,
        };
        tracing::error!(detail = ?error.error, pushes = pushes.len(), "a group was not stored");
        let is_one_s_fault = matches!(error.error, StoreError::Unavailable { .. }) && !error.passes;
        if pushes.len() == 1 || !is_one_s_fault {
            return pushes.iter().map(|_| Err(error.error.clone())).collect();
        }
        let mut results = Vec::with_capacity(pushes.len());
        for push in pushes {
            let mut alone = match self.group(log, std::slice::from_ref(push)).await {
                Ok(results) => results,
                Err(failure) => vec![Err(failure.error)],
            };
            results.push(alone.pop().unwrap_or_else(|| Err(ended())));
        }
        results
    }

    /// Tries a group until it is stored, or what is in the way does not pass.
    async fn group(&self, log: &LogName, pushes: &[&Push]) -> Result<Answers, Failure> {
        let mut patience = Patience::default();
        let mut decided = None;
        loop {
            let attempt = AssertUnwindSafe(self.transaction(log, pushes, &mut decided));
            let failure = match attempt.catch_unwind().await {
                Ok(Ok(results)) => return Ok(results),
                Ok(Err(failure)) => failure,
                Err(_panic) => Failure::from(ended()),
            };
            let passes = failure.passes;
            if let Err(error) = patience.after(failure).await {
                return Err(Failure { error, passes });
            }
        }
    }

    /// Decides on all pushes in one transaction. The answers stand only because it is committed.
    ///
    /// `decided` keeps the answers of a try whose commit was not answered: where this one finds those commits stored, the
    /// first decision was the truth, and is what is answered.
    async fn transaction(
        &self,
        log: &LogName,
        pushes: &[&Push],
        decided: &mut Option<Answers>,
    ) -> Result<Answers, Failure> {
        let at_once = self.ways().at_once(log);
        if let Some(id) = at_once {
            if let Some(results) = self.store_at_once((log, id), pushes, decided).await? {
                return Ok(results);
            }
            self.ways().outrun(log);
        }
        // Not READ WRITE: a database that was set to read only, by an operator or because its disk is nearly full, stays so.
        let begin = "BEGIN ISOLATION LEVEL READ COMMITTED";
        let mut transaction = self.pool.begin_with(begin).await?;
        let mut held = Held::lock(&mut transaction, log).await?;
        held.look_up(&mut transaction, log, pushes).await?;
        let results = decide(&mut held, pushes, decided.as_deref())?;
        held.write(&mut transaction).await?;
        if let Err(error) = transaction.commit().await {
            *decided = Some(results);
            let mut failure = Failure::from(error);
            // Whatever the error was: deciding again under the lock finds out what became of it.
            failure.passes |= !matches!(failure.error, StoreError::Full);
            return Err(failure);
        }
        self.stored(log, held);
        Ok(results)
    }

    /// Decides on what is known of the log and stores with one statement, which is a transaction of its own, or looks up with another
    /// one before it; `None` if the log has moved between them.
    async fn store_at_once(
        &self,
        (log, id): (&LogName, i64),
        pushes: &[&Push],
        decided: &mut Option<Answers>,
    ) -> Result<Option<Answers>, Failure> {
        let mut connection = self.pool.acquire().await?;
        let mut kept = self.ways().take(log);
        if let Some(held) = kept.take_if(|kept| kept.is_sure && kept.held.guess(pushes)) {
            let known = (log, held.held);
            if let Some(results) = self.write(known, pushes, decided, &mut connection).await? {
                return Ok(Some(results));
            }
        }
        let Some(mut held) = Held::look(&mut connection, (log, id), pushes).await? else {
            return Ok(None);
        };
        if let Some(kept) = kept {
            held.remember(kept.held);
        }
        self.write((log, held), pushes, decided, &mut connection)
            .await
    }

    /// `None` if it was decided on what is not so.
    async fn write(
        &self,
        (log, mut held): (&LogName, Held),
        pushes: &[&Push],
        decided: &mut Option<Answers>,
        connection: &mut PgConnection,
    ) -> Result<Option<Answers>, Failure> {
        let results = decide(&mut held, pushes, decided.as_deref())?;
        match held.write_at_once(connection).await {
            Ok(true) => {
                self.stored(log, held);
                Ok(Some(results))
            }
            Ok(false) => {
                // Where nothing was to be written, nothing was tried.
                if held.moved().is_some() && held.is_guess() {
                    self.ways().was_wrong(log);
                }
                Ok(None)
            }
            Err(failure) => {
                // It may have been stored and only the answer be lost.
                *decided = Some(results);
                Err(failure)
            }
        }
    }

    fn stored(&self, log: &LogName, held: Held) {
        if let Some(head) = held.moved() {
            self.tell_moved(log, head);
        }
        self.ways().stored(log, held);
    }
    /// Tells those who watch the log, here and in other processes, where it ends.
    pub(super) fn tell_moved(&self, log: &LogName, head: Position) {
        self.heads.moved(log, head);
        self.news.tell(log, head);
    }

    fn ways(&self) -> MutexGuard<'_, Ways> {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Decides on all pushes, one after the other.
fn decide(
    held: &mut Held,
    pushes: &[&Push],
    decided: Option<&[Answer]>,
) -> Result<Answers, Failure> {
    let now = clock::now();
    let mut results = Vec::with_capacity(pushes.len());
    for push in pushes {
        match admission::push(held, push, now) {
            Err(error @ (StoreError::Full | StoreError::Unavailable { .. })) => {
                return Err(error.into());
            }
            result => results.push(result),
        }
    }
    let pairs = results.iter_mut().zip(decided.unwrap_or_default());
    pairs.for_each(|(found, earlier)| own(found, earlier));
    Ok(results)
}

/// A duplicate of what this very push stored in a try without an answer was accepted by it.
fn own(found: &mut Result<PushResponse, StoreError>, earlier: &Result<PushResponse, StoreError>) {
    let (Ok(found), Ok(earlier)) = (found, earlier) else {
        return;
    };
    for (found, earlier) in found.results.iter_mut().zip(&earlier.results) {
        let is_own = match (&found.verdict, &earlier.verdict) {
            (
                Verdict::Duplicate {
                    accepted_attempt,
                    positions,
                    versions,
                },
                Verdict::Accepted {
                    accepted_attempt: attempt,
                    positions: places,
                    versions: counted,
                },
            ) => accepted_attempt == attempt && positions == places && versions == counted,
            _ => false,
        };
        if is_own {
            found.verdict = earlier.verdict.clone();
        }
    }
}

fn ended() -> StoreError {
    StoreError::Unavailable {
        detail: "the group that the push was in gave no answer".into(),
    }
}
