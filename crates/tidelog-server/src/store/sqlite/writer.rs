//! The thread that writes.

use super::ledger::{self, Logs};
use super::schema;
use super::seen::Memory;
use crate::clock;
use crate::store::heads::Heads;
use crate::store::load::Counted;
use crate::store::{Load, LogState, Push, StoreError};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tidelog_core::protocol::PushResponse;
use tidelog_core::{Epoch, LogName};
use tokio::sync::oneshot;

/// How many jobs may wait; one more is answered [`StoreError::Busy`].
const QUEUE: usize = 1_024;
/// How many pushes share a transaction at most.
const BATCH_PUSHES: usize = 512;
/// About how many bytes of commits share a transaction at most.
const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// How often the writer looks whether another process has written to the file.
const IDLE: Duration = Duration::from_millis(500);
/// How long an erasure waits for readers to let the write-ahead log be emptied.
const FOLD: Duration = Duration::from_millis(500);

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

enum Job {
    Push(Box<Push>, Answer<PushResponse>),
    Create(LogName, Answer<LogState>),
    /// Something was erased, and the write-ahead log may still hold it.
    Fold(Answer<()>),
    /// Anything else that writes.
    Run(Box<dyn FnOnce(&mut Connection) + Send>),
}

/// A handle on the thread; dropping it finishes what waits, then ends the thread.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<SyncSender<Job>>,
    counted: Arc<Counted>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(connection: Connection, heads: Heads) -> Result<Self, StoreError> {
        let (jobs, queue) = sync_channel(QUEUE);
        let counted = Arc::new(Counted::default());
        let counts = Arc::clone(&counted);
        let thread = std::thread::Builder::new()
            .name("tidelog-writer".into())
            .spawn(move || {
                Loop {
                    connection,
                    memory: Memory::default(),
                    heads,
                    queue,
                    counted: counts,
                    to_fold: false,
                }
                .run()
            })
            .map_err(|error| StoreError::Unavailable {
                detail: error.to_string(),
            })?;
        Ok(Self {
            jobs: Some(jobs),
            counted,
            thread: Mutex::new(Some(thread)),
        })
    }

    pub(super) async fn push(&self, push: Push) -> Result<PushResponse, StoreError> {
        // Counted before it can be taken from the queue.
        self.counted.waits();
        let asked = self.ask(|answer| Job::Push(Box::new(push), answer));
        asked.await
    }

    pub(super) async fn create(&self, log: LogName) -> Result<LogState, StoreError> {
        self.ask(|answer| Job::Create(log, answer)).await
    }

    /// Runs what is no push, in turn with all else that writes.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.ask(|answer| {
            Job::Run(Box::new(move |connection| {
                let done = catch_unwind(AssertUnwindSafe(|| job(connection)));
                // Nobody waits for the answer if its receiver is gone.
                let _ = answer.send(done.unwrap_or_else(|_panic| Err(ended())));
            }))
        })
        .await
    }

    /// As [`run`](Self::run), in a transaction that is committed if the work succeeds.
    pub(super) async fn transaction<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(move |connection| transaction(connection, work))
            .await
    }

    /// Empties the write-ahead log: it holds what was there before. Where a reader is in the way, the writer tries again until it
    /// is empty; this does not wait for that.
    pub(super) async fn fold(&self) {
        // With a queue that is full or a thread that has ended, the next opening or closing folds it.
        let _ = self.ask(Job::Fold).await;
    }

    /// How busy it is.
    pub(super) fn load(&self) -> Load {
        self.counted.load()
    }

    pub(super) fn ready(&self) -> Result<(), StoreError> {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        match thread.as_ref() {
            Some(thread) if !thread.is_finished() => Ok(()),
            _ => Err(ended()),
        }
    }

    async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(ended)?;
        jobs.try_send(job(answer)).map_err(|error| {
            let (job, error) = match error {
                TrySendError::Full(job) => (job, StoreError::Busy),
                TrySendError::Disconnected(job) => (job, ended()),
            };
            if matches!(job, Job::Push(..)) {
                self.counted.left();
            }
            error
        })?;
        answered.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the writer thread ended by a panic");
        }
    }
}

/// Writes in a transaction of its own, unless a newer build has changed the layout; after an error nothing is written.
fn transaction<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    schema::demand_layout(&transaction)?;
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

fn ended() -> StoreError {
    StoreError::Unavailable {
        detail: "the writer gave no answer".into(),
    }
}

struct Loop {
    connection: Connection,
    memory: Memory,
    heads: Heads,
    queue: Receiver<Job>,
    counted: Arc<Counted>,
    /// Whether the write-ahead log still holds what was erased.
    to_fold: bool,
}

impl Loop {
    fn run(mut self) {
        let (mut seen, mut looked) = (None, Instant::now());
        loop {
            match self.queue.recv_timeout(IDLE) {
                Ok(job) => self.serve(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if looked.elapsed() >= IDLE {
                seen = self.look_around(seen);
                if self.to_fold {
                    self.fold(Duration::ZERO);
                }
                looked = Instant::now();
            }
        }
        // The log of what is not yet in the file proper is folded in; failing that, the next opening does it.
        if let Err(error) = self
            .connection
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        {
            tracing::warn!(%error, "the write-ahead log could not be folded into the database");
        }
    }

    /// Folds the write-ahead log into the file and empties it, if no reader is in the way for longer than this.
    fn fold(&mut self, patience: Duration) {
        let folded = || -> rusqlite::Result<bool> {
            self.connection.busy_timeout(patience)?;
            let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
            let is_busy = self
                .connection
                .query_row(sql, [], |row| row.get::<_, bool>(0));
            self.connection.busy_timeout(schema::BUSY)?;
            Ok(!is_busy?)
        };
        self.to_fold = !folded().unwrap_or(false);
    }

    /// Serves a job together with all pushes that wait behind it.
    fn serve(&mut self, job: Job) {
        let mut batch = Vec::new();
        let mut bytes = 0_usize;
        let mut next = Some(job);
        while let Some(job) = next.take() {
            match job {
                Job::Create(log, answer) => {
                    // Nobody waits for the answer if its receiver is gone.
                    let _ = answer.send(self.create(&log));
                }
                Job::Run(job) => {
                    self.memory.forget();
                    job(&mut self.connection);
                }
                Job::Fold(answer) => {
                    self.fold(FOLD);
                    let _ = answer.send(Ok(()));
                }
                Job::Push(push, answer) => {
                    bytes += push
                        .commits
                        .iter()
                        .map(|one| one.commit.weight())
                        .sum::<usize>();
                    batch.push((*push, answer));
                }
            }
            if batch.len() < BATCH_PUSHES && bytes < BATCH_BYTES {
                next = self.queue.try_recv().ok();
            }
        }
        self.write(batch);
    }

    fn write(&mut self, batch: Vec<(Push, Answer<PushResponse>)>) {
        if batch.is_empty() {
            return;
        }
        self.counted.group(batch.len());
        let (pushes, answers): (Vec<Push>, Vec<_>) = batch.into_iter().unzip();
        let results = match self.guarded(&pushes) {
            Ok(results) => results,
            // What fails together may be one push's fault: each gets a transaction of its own.
            Err(StoreError::Unavailable { .. }) if pushes.len() > 1 => {
                let alone = pushes
                    .iter()
                    .map(|push| self.guarded(std::slice::from_ref(push)));
                let alone = alone.map(|result| match result {
                    Ok(mut results) => results.pop().unwrap_or_else(|| Err(ended())),
                    Err(error) => Err(error),
                });
                alone.collect()
            }
            Err(error) => pushes.iter().map(|_| Err(error.clone())).collect(),
        };
        for ((push, answer), result) in pushes.iter().zip(answers).zip(results) {
            if let Ok(response) = &result {
                self.heads.moved(&push.log, response.head.position);
            }
            // Nobody waits for the answer if its receiver is gone.
            let _ = answer.send(result);
        }
    }

    /// A transaction whose failure, even by a panic, leaves nothing behind and the thread alive.
    fn guarded(
        &mut self,
        pushes: &[Push],
    ) -> Result<Vec<Result<PushResponse, StoreError>>, StoreError> {
        let done = catch_unwind(AssertUnwindSafe(|| self.transaction(pushes)));
        let results = done.unwrap_or_else(|_| Err(ended()));
        if let Err(error) = &results {
            tracing::error!(detail = ?error, pushes = pushes.len(), "a write was rolled back");
        }
        results
    }

    /// Decides on all pushes in one transaction. The answers stand only because it is committed.
    fn transaction(
        &mut self,
        pushes: &[Push],
    ) -> Result<Vec<Result<PushResponse, StoreError>>, StoreError> {
        let now = clock::now();
        let memory = &mut self.memory;
        let (results, seen) = transaction(&mut self.connection, |transaction| {
            let mut logs = Logs::new(transaction, memory)?;
            let mut results = Vec::with_capacity(pushes.len());
            for push in pushes {
                match logs.push(push, now) {
                    // The disk or the database: nothing of this transaction can be trusted.
                    Err(error @ (StoreError::Full | StoreError::Unavailable { .. })) => {
                        return Err(error);
                    }
                    // Decided, or refused before anything was written.
                    result => results.push(result),
                }
            }
            Ok((results, logs.save_heads()?))
        })?;
        self.memory.keep(seen.into_iter());
        Ok(results)
    }

    fn create(&mut self, log: &LogName) -> Result<LogState, StoreError> {
        let random = clock::random().map_err(|error| StoreError::Unavailable {
            detail: error.to_string(),
        })?;
        let now = clock::now();
        transaction(&mut self.connection, |transaction| {
            let row = ledger::create(transaction, log, now, Epoch::mint(now, random))?;
            Ok(row.state)
        })
    }

    /// Wakes those who wait for logs that another process has written to.
    fn look_around(&self, seen: Option<i64>) -> Option<i64> {
        let version = self
            .connection
            .query_row("PRAGMA data_version", [], |row| row.get(0))
            .ok();
        if version != seen {
            for log in self.heads.watched() {
                if let Ok(row) = super::rows::log(&self.connection, &log) {
                    self.heads.moved(&log, row.state.head.position);
                }
            }
        }
        version
    }
}
