//! The store on PostgreSQL, for any number of processes on one database.
//!
//! A log is one row, which every group of pushes changes: so commits of a log are decided one group after the other,
//! whichever process has them, while other logs go on beside it. Every push that waits for a log joins the next group: one
//! statement that looks up what the group before did not leave, and one that writes, which is a transaction of its own and does
//! nothing if the row has changed in between; then, and where several processes write to a log, the row is locked first. A push is answered when its transaction
//! is committed, with `synchronous_commit` on.
//!
//! What goes wrong on the way is tried again for a few seconds and then said ([`StoreError::Unavailable`]). A commit
//! without an answer is not guessed at: the group is decided again, where a commit that did arrive is
//! found by its id.
//!
//! Heads are told to other processes by NOTIFY after the commit, many in one ([`news`]), and looked at now and then in
//! case a message was lost.
//!
//! Through a pooler only in session mode: LISTEN and prepared statements belong to a connection.

mod archive;
mod erase;
mod failure;
mod group;
mod guard;
mod held;
mod keeping;
mod news;
mod reader;
mod schema;
mod segments;
mod verify;
mod ways;

use super::archive::{self as shelved, Archive};
use super::heads::Heads;
use super::segment::Sealed;
use super::{
    After, Erase, Erased, ErasurePlace, ErasureRecord, Load, LogState, LogStore, Page, PageCap,
    Push, Segment, StoreError, StreamPage, StreamRange, Verified, segment,
};
use crate::clock;
use failure::Patience;
use group::Groups;
use news::News;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use std::sync::Arc;
use std::time::Duration;
use tidelog_core::protocol::PushResponse;
use tidelog_core::{Epoch, LogName, Position, StreamId};
use tokio::sync::{Mutex, watch};

/// How many groups are stored at once, and how many reads run at once; more wait their turn.
const CONNECTIONS: u32 = 8;
/// How long a request waits for a connection.
const TURN: Duration = Duration::from_secs(5);
/// A connection that has been idle for longer is tried out before it is used.
const FRESH: Duration = Duration::from_secs(1);

/// Set on each connection. An answer means that the bytes are on disk. Nobody holds a log's row for ever, not even a
/// process that has vanished in the middle. Every statement of this store is a walk along an index, whatever the planner
/// knows of the tables: it must cost what it returns and not what the log holds.
const SESSION: &str = "
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
SET lock_timeout = '5s';
SET statement_timeout = '30s';
SET idle_in_transaction_session_timeout = '10s';
SET default_transaction_isolation = 'read committed';
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_sort = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET jit = off;
";

/// Logs in one PostgreSQL database, in a schema of their own (`tidelog`). Cheap to clone.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    writers: PgPool,
    readers: PgPool,
    groups: Arc<Groups>,
    heads: Heads,
    /// Held by whoever encodes a segment: others wait and find it kept.
    sealing: Arc<Mutex<()>>,
    archive: Option<Archive>,
}

impl PostgresStore {
    /// Connects, and makes the tables of a database that has none.
    ///
    /// The address is a URL, `postgres://user@host/database`; what it leaves out comes from `PGPASSWORD`, `PGSSLMODE` and
    /// their like, and from `~/.pgpass`.
    ///
    /// # Errors
    /// [`StoreError::NotOurs`] for an address that cannot be read, a database that is not in UTF-8 or one of a newer
    /// build; [`StoreError::Unavailable`] if it cannot be reached.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::connect_with(url, false).await
    }

    /// Connects; if it shall `keep` the layout that the database has, one without tables or of an older build is refused.
    pub(super) async fn connect_with(url: &str, keep: bool) -> Result<Self, StoreError> {
        let options: PgConnectOptions = url.parse().map_err(|error| {
            // An error of the parser may repeat what it could not read, which may be a password.
            let _: sqlx::Error = error;
            StoreError::NotOurs {
                detail: "its address is not a URL such as postgres://user@host/database".into(),
            }
        })?;
        let options = options.application_name("tidelog");
        schema::prepare(&options, keep)
            .await
            .map_err(|error| failure::at(&options, error))?;
        let writers = pool(options.clone(), CONNECTIONS);
        let heads = Heads::default();
        let news = News::start(options.clone(), heads.clone());
        Ok(Self {
            groups: Arc::new(Groups::new(writers.clone(), heads.clone(), news)),
            writers,
            readers: pool(options, CONNECTIONS),
            heads,
            sealing: Arc::default(),
            archive: None,
        })
    }
}

impl PostgresStore {
    async fn kept(&self, log: &LogName, number: u64) -> Result<Option<Sealed>, StoreError> {
        let mut patience = Patience::default();
        loop {
            match segments::kept(&self.readers, log, number).await {
                Ok(kept) => return Ok(kept),
                Err(failure) => patience.after(failure).await?,
            }
        }
    }
}

impl PostgresStore {
    async fn run_of(&self, log: &LogName, number: u64) -> Result<Option<shelved::Run>, StoreError> {
        let mut patience = Patience::default();
        loop {
            match archive::run_of(&self.readers, log, number).await {
                Ok(run) => return Ok(run),
                Err(failure) => patience.after(failure).await?,
            }
        }
    }
}

/// Connections are opened when they are needed.
fn pool(options: PgConnectOptions, connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(TURN)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > FRESH {
                    sqlx::Connection::ping(connection).await?;
                }
                Ok(true)
            })
        })
        .after_connect(|connection, _| {
            Box::pin(async move {
                sqlx::raw_sql(SESSION).execute(&mut *connection).await?;
                guard::introduce(connection).await
            })
        })
        .connect_lazy_with(options)
}

impl LogStore for PostgresStore {
    async fn create(&self, log: &LogName) -> Result<LogState, StoreError> {
        let random = clock::random().map_err(|error| StoreError::Unavailable {
            detail: error.to_string(),
        })?;
        let now = clock::now();
        let epoch = Epoch::mint(now, random);
        let mut patience = Patience::default();
        loop {
            match schema::create(&self.writers, log, epoch, now).await {
                Ok(()) => return self.state(log).await,
                Err(failure) => patience.after(failure).await?,
            }
        }
    }

    async fn state(&self, log: &LogName) -> Result<LogState, StoreError> {
        let mut patience = Patience::default();
        loop {
            match reader::state(&self.readers, log).await {
                Ok(state) => return Ok(state),
                Err(failure) => patience.after(failure).await?,
            }
        }
    }

    async fn push(&self, push: Push) -> Result<PushResponse, StoreError> {
        Groups::push(&self.groups, push).await
    }

    async fn page(&self, log: &LogName, after: After, cap: PageCap) -> Result<Page, StoreError> {
        shelved::page(self, log, after, cap).await
    }

    async fn stream(
        &self,
        log: &LogName,
        stream: &StreamId,
        range: StreamRange,
    ) -> Result<StreamPage, StoreError> {
        shelved::stream(self, log, stream, range).await
    }

    async fn segment(&self, log: &LogName, number: u64) -> Result<Option<Segment>, StoreError> {
        if let Some(kept) = self.kept(log, number).await? {
            return Ok(kept.segment());
        }
        if let Some(run) = self.run_of(log, number).await?
            && let Some(segment) = shelved::segment(self, log, run).await?
        {
            return Ok(segment);
        }
        let _sealing = self.sealing.lock().await;
        if let Some(kept) = self.kept(log, number).await? {
            return Ok(kept.segment());
        }
        let Some(sealed) = segment::build(self, log, number).await? else {
            return Ok(None);
        };
        if let Err(failure) = segments::keep(&self.writers, log, number, &sealed).await {
            // It is as good as one that is kept; the next who asks pays for it again.
            tracing::warn!(error = ?failure.error, "a segment could not be kept");
        }
        Ok(sealed.segment())
    }

    async fn erase(&self, erase: Erase) -> Result<Erased, StoreError> {
        shelved::erase(self, &erase).await
    }

    async fn erasures(
        &self,
        log: &LogName,
        after: Option<ErasurePlace>,
        limit: usize,
    ) -> Result<Vec<ErasureRecord>, StoreError> {
        let mut patience = Patience::default();
        loop {
            match erase::listed(&self.readers, log, after, limit).await {
                Ok(records) => return Ok(records),
                Err(failure) => patience.after(failure).await?,
            }
        }
    }

    async fn revision(&self, log: &LogName) -> Result<u64, StoreError> {
        let mut patience = Patience::default();
        loop {
            match erase::revision(&self.readers, log).await {
                Ok(revision) => return Ok(revision),
                Err(failure) => patience.after(failure).await?,
            }
        }
    }

    async fn verify(&self, log: &LogName) -> Result<Verified, StoreError> {
        shelved::verify(self, log).await
    }

    fn watch(&self, log: &LogName) -> watch::Receiver<Position> {
        self.heads.watch(log)
    }

    fn load(&self) -> Load {
        self.groups.load()
    }

    async fn ready(&self) -> Result<(), StoreError> {
        schema::ready(&self.writers).await?;
        if self.archive.is_none() {
            archive::demand_none(&self.readers).await?;
        }
        Ok(())
    }
}
