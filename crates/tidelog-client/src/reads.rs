//! Reads of the store as boxed futures. Each `async fn` that awaits another one becomes a copy of it in Wasm; many read the
//! same way, so these are made once.

use crate::error::ClientError;
use crate::runtime::Runtime;
use std::future::Future;
use std::pin::Pin;
use tidelog_core::Position;
use tidelog_core::store::{Direction, Page, Store};

/// A future that is one thing, however many await it.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, ClientError>> + 'a>>;

impl Runtime {
    /// See [`Store::range`].
    pub(crate) fn range(
        &self,
        from: Position,
        to: Position,
        direction: Direction,
        max_bytes: usize,
    ) -> Boxed<'_, Page> {
        Box::pin(async move { Ok(self.store()?.range(from, to, direction, max_bytes).await?) })
    }

    /// See [`Store::frames`].
    pub(crate) fn frames<'a>(&'a self, positions: &'a [Position]) -> Boxed<'a, Vec<Vec<u8>>> {
        Box::pin(async move { Ok(self.store()?.frames(positions).await?) })
    }

    /// All of [`Store::directory`].
    pub(crate) fn directory(&self) -> Boxed<'_, Vec<(Position, Vec<u8>)>> {
        Box::pin(async move { Ok(self.store()?.directory(Position::START).await?) })
    }
}
