//! A handle on the database of a log and a user.

use crate::connection::Connection;
use crate::name::database_name;
use crate::open::{self, OpenOptions};
use crate::{maintenance, raw, read, snapshot, write};
use futures_channel::oneshot;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::Poll;
use tidelog_core::store::{
    Compaction, Direction, FoldName, Head, Loaded, LostPage, Page, Pruning, SnapshotSet, Store,
    StoreError, StoredSnapshot, Usage, WriteBatch, Written,
};
use tidelog_core::{LogName, Position, ReplicaId, Subject};
use wasm_bindgen_futures::spawn_local;

/// An open database. Dropping it closes it.
///
/// It ends by itself when the browser breaks the connection ([`StoreError::ConnectionLost`]), when the database is
/// deleted ([`StoreError::Wiped`]) or when a newer build upgrades it ([`StoreError::TooNew`]). Every later call then
/// gives that error; only opening again helps, and [`ended`](Self::ended) says when.
#[derive(Debug)]
pub struct IndexedDbStore {
    connection: Rc<Connection>,
}

impl IndexedDbStore {
    /// Opens the database; creates or upgrades it if need be.
    ///
    /// # Errors
    /// - [`StoreError::Blocked`]: another tab keeps an older version open;
    /// - [`StoreError::TooNew`]: a newer build made it;
    /// - [`StoreError::Unavailable`]: there is no IndexedDB here;
    /// - [`StoreError::QuotaExceeded`], [`StoreError::Aborted`], [`StoreError::ConnectionLost`]: it could not be made;
    /// - [`StoreError::Corrupt`]: it is there and damaged.
    pub async fn open(options: OpenOptions) -> Result<Self, StoreError> {
        let name = database_name(&options.log, options.user.as_ref());
        let connection = detached(open::open(name, options.replica)).await?;
        Ok(Self { connection })
    }

    /// Is there a database for this log and user on this device?
    ///
    /// # Errors
    /// As [`IndexedDbStore::open`].
    pub async fn exists(log: &LogName, user: Option<&Subject>) -> Result<bool, StoreError> {
        let name = database_name(log, user);
        detached(async move { raw::exists(&name).await }).await
    }

    /// Deletes the database of this log and user, with all that is pending in it. Open handles of any tab end with
    /// [`StoreError::Wiped`]. It is no error if there is none.
    ///
    /// # Errors
    /// [`StoreError::Blocked`] if a connection that is not of this crate stays open: the browser deletes the database
    /// when that one closes. Otherwise as [`IndexedDbStore::open`].
    pub async fn delete(log: &LogName, user: Option<&Subject>) -> Result<(), StoreError> {
        let name = database_name(log, user);
        detached(async move { raw::delete(&name).await }).await
    }

    /// Closes the handle: every later call gives [`StoreError::Closed`]. What was begun runs to its end.
    pub fn close(&self) {
        self.connection.end(StoreError::Closed);
    }

    /// Settles when the handle has ended, with the reason.
    pub fn ended(&self) -> impl Future<Output = StoreError> + 'static {
        let ended = self.connection.gone();
        // The sender is dropped unsent only with the handle.
        async move { ended.await.unwrap_or(StoreError::Closed) }
    }
}

impl Store for IndexedDbStore {
    async fn write(&self, batch: WriteBatch) -> Result<Written, StoreError> {
        let connection = Rc::clone(&self.connection);
        detached(async move { write::write(&connection, &batch).await }).await
    }

    async fn head(&self) -> Result<(ReplicaId, Head), StoreError> {
        read::head(&self.connection).await
    }

    async fn load(&self, after: Position, max_bytes: usize) -> Result<Loaded, StoreError> {
        read::load(&self.connection, after, max_bytes).await
    }

    async fn frames(&self, positions: &[Position]) -> Result<Vec<Vec<u8>>, StoreError> {
        read::frames(&self.connection, positions).await
    }

    async fn range(
        &self,
        from: Position,
        to: Position,
        direction: Direction,
        max_bytes: usize,
    ) -> Result<Page, StoreError> {
        read::range(&self.connection, from, to, direction, max_bytes).await
    }

    async fn directory(&self, after: Position) -> Result<Vec<(Position, Vec<u8>)>, StoreError> {
        read::directory(&self.connection, after).await
    }

    async fn last_sealed(&self) -> Result<Option<(Position, Vec<u8>)>, StoreError> {
        read::last_sealed(&self.connection).await
    }

    async fn compact(&self, compaction: Compaction) -> Result<bool, StoreError> {
        let connection = Rc::clone(&self.connection);
        detached(async move { maintenance::compact(&connection, &compaction).await }).await
    }

    async fn prune(&self, pruning: Pruning) -> Result<bool, StoreError> {
        let connection = Rc::clone(&self.connection);
        detached(async move { maintenance::prune(&connection, &pruning).await }).await
    }

    async fn save(&self, set: SnapshotSet) -> Result<bool, StoreError> {
        let connection = Rc::clone(&self.connection);
        detached(async move { snapshot::save(&connection, &set).await }).await
    }

    async fn snapshots(
        &self,
        folds: &[FoldName],
    ) -> Result<Vec<Option<StoredSnapshot>>, StoreError> {
        snapshot::snapshots(&self.connection, folds).await
    }

    async fn forget(&self, all_but: &[FoldName]) -> Result<(), StoreError> {
        let connection = Rc::clone(&self.connection);
        let all_but = all_but.to_vec();
        detached(async move { snapshot::forget(&connection, &all_but).await }).await
    }

    async fn usage(&self) -> Result<Usage, StoreError> {
        read::usage(&self.connection).await
    }

    async fn quarantined(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        read::quarantined(&self.connection).await
    }

    async fn lost_after(&self, number: u64, max_bytes: usize) -> Result<LostPage, StoreError> {
        read::lost_after(&self.connection, number, max_bytes).await
    }
}

/// Runs a future to its end even if its caller stops waiting: a write that nobody drives would commit half issued. It begins
/// in the caller's first poll, so that what is asked for first stands first in the browser's queue.
async fn detached<T: 'static>(
    future: impl Future<Output = Result<T, StoreError>> + 'static,
) -> Result<T, StoreError> {
    let mut future = Box::pin(future);
    let begun = poll_fn(|context| Poll::Ready(future.as_mut().poll(context)));
    if let Poll::Ready(done) = begun.await {
        return done;
    }
    let (sender, receiver) = oneshot::channel();
    spawn_local(async move {
        // Nobody waits any more: then nobody wants to know.
        let _ = sender.send(future.await);
    });
    receiver.await.unwrap_or_else(|oneshot::Canceled| {
        // The task was dropped unfinished, which only the end of the page does.
        Err(StoreError::ConnectionLost {
            detail: "the page is going away".into(),
        })
    })
}
