//! What one transaction sees.
//!
//! Inside it nothing is awaited but its own requests, and requests that belong together are issued before the first is
//! awaited.

use crate::connection::Connection;
use crate::error::Failure;
use crate::raw::{Answer, Transaction};
use crate::record::{self, Meta};
use crate::schema::meta::HEAD;
use crate::schema::stores::META;
use js_sys::Array;
use tidelog_core::store::StoreError;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::IdbCursorWithValue;

/// A transaction that reads, or the reading part of one that writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    connection: &'a Connection,
    transaction: &'a Transaction,
}

/// Keys and values that were asked for side by side.
#[derive(Debug)]
pub(crate) struct Entries {
    pub(crate) keys: Answer,
    pub(crate) values: Answer,
}

/// The keys of a store that mostly holds nothing.
#[derive(Debug)]
pub(crate) struct Few {
    store: &'static str,
    keys: Answer,
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

    /// The same, with the key behind them, if there is one.
    pub(crate) fn entries_and_next(
        &self,
        store: &str,
        range: &JsValue,
        limit: Option<u32>,
    ) -> Result<Entries, StoreError> {
        let keys = limit.and_then(|limit| limit.checked_add(1));
        Ok(Entries {
            keys: self.checked(self.transaction.all_keys(store, range, keys))?,
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

    /// Asks for all of a store that mostly holds nothing, which then costs one request instead of two.
    pub(crate) fn ask_few(&self, store: &'static str) -> Result<Few, StoreError> {
        let keys = self.checked(self.transaction.all_keys(store, &JsValue::UNDEFINED, None))?;
        Ok(Few { store, keys })
    }

    pub(crate) async fn few(
        &self,
        Few { store, keys }: Few,
    ) -> Result<Vec<(JsValue, JsValue)>, StoreError> {
        let keys = self.array(Ok(keys)).await?;
        if keys.length() == 0 {
            return Ok(Vec::new());
        }
        let values = self.transaction.all(store, &JsValue::UNDEFINED, None);
        let values = self.array(values).await?;
        Ok(keys.iter().zip(values.iter()).collect())
    }

    /// The last entry of a range under a numeric key, if there is one.
    pub(crate) async fn last(
        &self,
        store: &str,
        range: &JsValue,
    ) -> Result<Option<(u64, JsValue)>, StoreError> {
        match self.cursor(self.transaction.last(store, range)).await? {
            Some((key, value)) => Ok(Some((numeric(store, &key)?, value))),
            None => Ok(None),
        }
    }

    /// Asks for a cursor on the last entry of all.
    pub(crate) fn last_of(&self, store: &str) -> Result<Answer, StoreError> {
        self.checked(self.transaction.last(store, &JsValue::UNDEFINED))
    }

    /// The entry that a cursor stands on.
    pub(crate) async fn cursor(
        &self,
        asked: Result<Answer, Failure>,
    ) -> Result<Option<(JsValue, JsValue)>, StoreError> {
        let found = self.value(asked).await?;
        let Some(cursor) = found.dyn_ref::<IdbCursorWithValue>() else {
            return Ok(None);
        };
        let entry = cursor
            .key()
            .and_then(|key| cursor.value().map(|value| (key, value)));
        self.checked(entry.map_err(|thrown| Failure::of(&thrown)))
            .map(Some)
    }

    pub(crate) async fn count(&self, store: &str) -> Result<u64, StoreError> {
        let count = self.value(self.transaction.count(store)).await?;
        Ok(record::number(&count).unwrap_or_default())
    }

    /// Replica, head and term as they stand in [`META`], of a format that this build reads.
    pub(crate) async fn meta(&self) -> Result<Meta, StoreError> {
        let asked = self.get_by(META, &HEAD.into())?;
        record::read_meta(&self.value(Ok(asked)).await?)
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
