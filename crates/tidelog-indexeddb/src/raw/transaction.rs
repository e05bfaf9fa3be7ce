//! Transactions: their requests, and for those that write their durability and their true end.

use super::event::{Ends, FirstEvent};
use crate::error::Failure;
use js_sys::{Array, Function, Object, Reflect};
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use tidelog_core::store::Durability;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Event, IdbCursorDirection, IdbDatabase, IdbObjectStore, IdbRequest, IdbTransaction};

/// A transaction that reads. It ends by itself when nothing is asked of it any more.
#[derive(Debug)]
pub(crate) struct Transaction {
    transaction: IdbTransaction,
}

/// A transaction that can write. Dropping it neither commits nor aborts: say which.
pub(crate) struct Writing {
    transaction: Transaction,
    end: Pin<Box<dyn Future<Output = Event>>>,
}

/// How a transaction ended after its commit was asked for.
#[derive(Debug)]
pub(crate) enum End {
    /// All of it is stored.
    Complete,
    /// None of it is stored, or nobody knows: the failure's name decides.
    Abort(Failure),
    /// The connection broke first.
    ConnectionClosed,
}

/// A request that was issued and whose events are listened to.
#[derive(Debug)]
pub(crate) struct Answer {
    request: IdbRequest,
    end: FirstEvent,
}

impl Transaction {
    pub(crate) fn begin(database: &IdbDatabase, stores: &[&str]) -> Result<Self, Failure> {
        let transaction = database
            .transaction_with_str_sequence(&names(stores))
            .map_err(|thrown| Failure::of(&thrown))?;
        Ok(Self { transaction })
    }

    pub(crate) fn store(&self, name: &str) -> Result<IdbObjectStore, Failure> {
        self.transaction
            .object_store(name)
            .map_err(|thrown| Failure::in_transaction(&thrown))
    }

    /// The value of a key. All requests that belong together are issued before the first answer is awaited.
    pub(crate) fn get(&self, store: &str, key: &JsValue) -> Result<Answer, Failure> {
        Answer::to(self.store(store)?.get(key))
    }

    /// Values in the order of their keys, all or as many as `limit`. `query` is a range, or `undefined` for everything.
    pub(crate) fn all(
        &self,
        store: &str,
        query: &JsValue,
        limit: Option<u32>,
    ) -> Result<Answer, Failure> {
        let store = self.store(store)?;
        Answer::to(match limit {
            Some(limit) => store.get_all_with_key_and_limit(query, limit),
            None => store.get_all_with_key(query),
        })
    }

    /// Keys in order, as [`Self::all`] gives their values.
    pub(crate) fn all_keys(
        &self,
        store: &str,
        query: &JsValue,
        limit: Option<u32>,
    ) -> Result<Answer, Failure> {
        let store = self.store(store)?;
        Answer::to(match limit {
            Some(limit) => store.get_all_keys_with_key_and_limit(query, limit),
            None => store.get_all_keys_with_key(query),
        })
    }

    /// A cursor on the last entry of a range, or `null`.
    pub(crate) fn last(&self, store: &str, query: &JsValue) -> Result<Answer, Failure> {
        let store = self.store(store)?;
        Answer::to(store.open_cursor_with_range_and_direction(query, IdbCursorDirection::Prev))
    }

    /// How many entries there are, without a look at them.
    pub(crate) fn count(&self, store: &str) -> Result<Answer, Failure> {
        Answer::to(self.store(store)?.count())
    }
}

impl Writing {
    pub(crate) fn begin(
        database: &IdbDatabase,
        stores: &[&str],
        durability: Durability,
        ends: &Ends,
    ) -> Result<Self, Failure> {
        let options = Object::new();
        let durability = match durability {
            Durability::Strict => "strict",
            Durability::Relaxed => "relaxed",
        };
        let transaction: IdbTransaction =
            Reflect::set(&options, &"durability".into(), &durability.into())
                .and_then(|_| method(database, "transaction"))
                .and_then(|begin| {
                    begin.call3(database, &names(stores), &"readwrite".into(), &options)
                })
                .and_then(JsCast::dyn_into)
                .map_err(|thrown| Failure::of(&thrown))?;
        Ok(Self {
            end: Box::pin(ends.of(&transaction)),
            transaction: Transaction { transaction },
        })
    }

    /// Why the browser has aborted it, if it has.
    pub(crate) fn failure(&self) -> Option<Failure> {
        let error = self.transaction.transaction.error();
        error.map(|error| Failure::of(&error))
    }

    /// Gives the transaction up.
    pub(crate) fn abort(self) {
        // It throws if the transaction has ended already, which is what is asked for.
        let _ = self.transaction.transaction.abort();
    }

    /// Commits, and waits until it is known what became of it.
    pub(crate) async fn commit(self) -> End {
        let transaction = &self.transaction.transaction;
        // Only faster: without it the browser commits when it sees that nothing follows. It throws after an abort,
        // whose event says more.
        let _ = method(transaction, "commit").and_then(|commit| commit.call0(transaction));
        match self.end.await.type_().as_str() {
            "complete" => End::Complete,
            "close" => End::ConnectionClosed,
            _ => End::Abort(
                transaction
                    .error()
                    .map_or_else(Failure::unexplained, |error| Failure::of(&error)),
            ),
        }
    }
}

impl fmt::Debug for Writing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writing").finish_non_exhaustive()
    }
}

impl Deref for Writing {
    type Target = Transaction;

    fn deref(&self) -> &Transaction {
        &self.transaction
    }
}

impl Answer {
    fn to(issued: Result<IdbRequest, JsValue>) -> Result<Self, Failure> {
        let request = issued.map_err(|thrown| Failure::in_transaction(&thrown))?;
        let end = FirstEvent::of(&[(&request, "success"), (&request, "error")]);
        Ok(Self { request, end })
    }

    pub(crate) async fn value(self) -> Result<JsValue, Failure> {
        self.end.await;
        // The result of a request that failed is `undefined`, just as that of a key which is not there.
        match self.request.error() {
            Ok(None) => self.request.result().map_err(|thrown| Failure::of(&thrown)),
            Ok(Some(error)) => Err(Failure::of(&error)),
            Err(thrown) => Err(Failure::of(&thrown)),
        }
    }
}

fn names(stores: &[&str]) -> Array {
    stores.iter().copied().map(JsValue::from_str).collect()
}

/// A method that `web-sys` does not offer: `commit` is marked as deprecated there, and `transaction` lacks its options.
fn method(of: &JsValue, name: &str) -> Result<Function, JsValue> {
    Reflect::get(of, &name.into())?.dyn_into()
}
