//! What one transaction sees.
//!
//! Inside it nothing is awaited but its own requests, and requests that belong together are issued before the first is
//! awaited.

use crate::connection::Connection;
use crate::error::Failure;
use crate::raw::{Answer, Transaction};
use crate::record;
use crate::schema::meta::{FORMAT, HEAD, REPLICA};
use crate::schema::stores::META;
use js_sys::Array;
use tidelog_core::store::{Head, STORE_FORMAT, StoreError};
use tidelog_core::{Gap, ReplicaId};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::IdbCursorWithValue;

/// A transaction that reads, or the reading part of one that writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    connection: &'a Connection,
    transaction: &'a Transaction,
}

/// Which database this is and how far it has come.
#[derive(Debug)]
pub(crate) struct Meta {
    pub(crate) replica: ReplicaId,
    pub(crate) head: Head,
    pub(crate) gaps: Vec<Gap>,
}

/// Keys and values that were asked for side by side.
#[derive(Debug)]
pub(crate) struct Entries {
    keys: Answer,
    values: Answer,
}

impl<'a> View<'a> {
    pub(crate) const fn new(connection: &'a Connection, transaction: &'a Transaction) -> Self {
        Self {
            connection,
            transaction,
        }
    }

    /// Passes on what a request came to.
    pub(crate) fn checked<T>(&self, result: Result<T, Failure>) -> Result<T, StoreError> {
        result.map_err(|failure| self.connection.failed(&failure))
    }

    pub(crate) async fn value(
        &self,
        asked: Result<Answer, Failure>,
    ) -> Result<JsValue, StoreError> {
        let answer = self.checked(asked)?;
        self.checked(answer.value().await)
    }

    pub(crate) async fn array(&self, asked: Result<Answer, Failure>) -> Result<Array, StoreError> {
        // Only requests whose result is a list come here.
        self.value(asked).await.map(JsCast::unchecked_into)
    }

    /// Asks for the value of a number.
    pub(crate) fn get(&self, store: &str, key: u64) -> Result<Answer, StoreError> {
        self.get_by(store, &self.checked(record::key(key))?)
    }

    /// Asks for the value of a key.
    pub(crate) fn get_by(&self, store: &str, key: &JsValue) -> Result<Answer, StoreError> {
        self.checked(self.transaction.get(store, key))
    }

    pub(crate) async fn is_empty(&self, store: &str) -> Result<bool, StoreError> {
        let first = self
            .transaction
            .all_keys(store, &JsValue::UNDEFINED, Some(1));
        Ok(self.array(first).await?.length() == 0)
    }

    pub(crate) async fn keys(&self, store: &str, range: &JsValue) -> Result<Array, StoreError> {
        self.array(self.transaction.all_keys(store, range, None))
            .await
    }

    /// Asks for keys and values of a range, all or as many as `limit`.
    pub(crate) fn entries(
        &self,
        store: &str,
        range: &JsValue,
        limit: Option<u32>,
    ) -> Result<Entries, StoreError> {
        Ok(Entries {
            keys: self.checked(self.transaction.all_keys(store, range, limit))?,
            values: self.checked(self.transaction.all(store, range, limit))?,
        })
    }

    pub(crate) async fn read(
        &self,
        entries: Entries,
    ) -> Result<Vec<(JsValue, JsValue)>, StoreError> {
        let keys = self.array(Ok(entries.keys)).await?;
        let values = self.array(Ok(entries.values)).await?;
        Ok(keys.iter().zip(values.iter()).collect())
    }

    /// The last entry of a range under a numeric key, if there is one.
    pub(crate) async fn last(
        &self,
        store: &str,
        range: &JsValue,
    ) -> Result<Option<(u64, JsValue)>, StoreError> {
        let found = self.value(self.transaction.last(store, range)).await?;
        let Some(cursor) = found.dyn_ref::<IdbCursorWithValue>() else {
            return Ok(None);
        };
        let entry = cursor
            .key()
            .and_then(|key| cursor.value().map(|value| (key, value)));
        let (key, value) = self.checked(entry.map_err(|thrown| Failure::of(&thrown)))?;
        Ok(Some((numeric(store, &key)?, value)))
    }

    pub(crate) async fn count(&self, store: &str) -> Result<u64, StoreError> {
        let count = self.value(self.transaction.count(store)).await?;
        Ok(record::number(&count).unwrap_or_default())
    }

    /// Replica, head and gaps, of a format that this build reads.
    pub(crate) async fn meta(&self) -> Result<Meta, StoreError> {
        let values = self
            .array(self.transaction.all(META, &JsValue::UNDEFINED, None))
            .await?;
        read_meta(&values).map_err(|error| self.connection.note(error))
    }
}

/// Reads all values of [`META`]. Each has a form of its own, so they need no keys.
pub(crate) fn read_meta(values: &Array) -> Result<Meta, StoreError> {
    let (mut format, mut replica, mut head, mut gaps) = (None, None, None, Vec::new());
    for value in values.iter() {
        if let Some(text) = value.as_string() {
            replica = replica.or_else(|| text.parse().ok());
        } else if let Some(number) = record::number(&value) {
            format = Some(number);
        } else if let Some(array) = value.dyn_ref::<Array>() {
            gaps = record::read_gaps(array).ok_or_else(|| record::corrupt(META, "gaps"))?;
        } else {
            head = head.or_else(|| record::read_head(&value));
        }
    }
    if values.length() == 0 {
        return Err(StoreError::Wiped);
    }
    match format.map(|format| u32::try_from(format).unwrap_or(u32::MAX)) {
        Some(found) if found > STORE_FORMAT => Err(StoreError::TooNew {
            found,
            newest: STORE_FORMAT,
        }),
        Some(1..) => Ok(Meta {
            replica: replica.ok_or_else(|| record::corrupt(META, REPLICA))?,
            head: head.ok_or_else(|| record::corrupt(META, HEAD))?,
            gaps,
        }),
        _ => Err(record::corrupt(META, FORMAT)),
    }
}

/// A numeric key, or what is wrong with it.
pub(crate) fn numeric(store: &str, key: &JsValue) -> Result<u64, StoreError> {
    record::number(key).ok_or_else(|| record::corrupt(store, format_args!("{key:?}")))
}

/// Bytes, or what is wrong with them.
pub(crate) fn bytes(store: &str, key: u64, value: &JsValue) -> Result<Vec<u8>, StoreError> {
    record::read_bytes(value).ok_or_else(|| record::corrupt(store, key))
}
