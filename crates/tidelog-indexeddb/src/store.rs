//! A handle on the database of a log and a user.

use crate::connection::Connection;
use crate::name::database_name;
use crate::open::{self, OpenOptions};
use crate::{raw, read, write};
use futures_channel::oneshot;
use std::future::Future;
use std::rc::Rc;
use tidelog_core::store::{Loaded, Store, StoreError, WriteBatch, Written};
use tidelog_core::{LogName, Position, Subject};
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

    async fn load(&self, after: Position, max_bytes: usize) -> Result<Loaded, StoreError> {
        let connection = Rc::clone(&self.connection);
        detached(async move { read::load(&connection, after, max_bytes).await }).await
    }

    async fn frames(&self, first_positions: &[Position]) -> Result<Vec<Vec<u8>>, StoreError> {
        let connection = Rc::clone(&self.connection);
        let first_positions = first_positions.to_vec();
        detached(async move { read::frames(&connection, &first_positions).await }).await
    }

    async fn lost(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let connection = Rc::clone(&self.connection);
        detached(async move { read::lost(&connection).await }).await
    }
}

/// Runs a future to its end even if its caller stops waiting: a transaction that nobody drives would hang half issued,
/// and `rexie`'s callbacks break when their future is dropped.
async fn detached<T: 'static>(
    future: impl Future<Output = Result<T, StoreError>> + 'static,
) -> Result<T, StoreError> {
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
