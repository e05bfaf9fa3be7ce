//! A read-write transaction with its durability and its true end.

use super::event::FirstEvent;
use crate::error::Failure;
use js_sys::{Array, Function, Object, Reflect};
use tidelog_core::store::Durability;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{IdbDatabase, IdbObjectStore, IdbRequest, IdbTransaction};

/// A transaction that can write. Dropping it neither commits nor aborts: say which.
#[derive(Debug)]
pub(crate) struct Transaction {
    transaction: IdbTransaction,
    end: FirstEvent,
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
    pub(crate) fn begin(
        database: &IdbDatabase,
        stores: &[&str],
        durability: Durability,
    ) -> Result<Self, Failure> {
        let names: Array = stores.iter().copied().map(JsValue::from_str).collect();
        let options = Object::new();
        let durability = match durability {
            Durability::Strict => "strict",
            Durability::Relaxed => "relaxed",
        };
        let transaction: IdbTransaction =
            Reflect::set(&options, &"durability".into(), &durability.into())
                .and_then(|_| method(database, "transaction"))
                .and_then(|begin| begin.call3(database, &names, &"readwrite".into(), &options))
                .and_then(JsCast::dyn_into)
                .map_err(|thrown| Failure::of(&thrown))?;
        let end = FirstEvent::of(&[
            (&transaction, "complete"),
            (&transaction, "abort"),
            (database, "close"),
        ]);
        Ok(Self { transaction, end })
    }

    pub(crate) fn store(&self, name: &str) -> Result<IdbObjectStore, Failure> {
        self.transaction
            .object_store(name)
            .map_err(|thrown| Failure::of(&thrown))
    }

    /// Issues a read. All reads that belong together are issued before the first is awaited.
    pub(crate) fn get(&self, store: &str, key: &JsValue) -> Result<Answer, Failure> {
        let request = self
            .store(store)?
            .get(key)
            .map_err(|thrown| Failure::of(&thrown))?;
        let end = FirstEvent::of(&[(&request, "success"), (&request, "error")]);
        Ok(Answer { request, end })
    }

    /// Gives the transaction up.
    pub(crate) fn abort(self) {
        // It throws if the transaction has ended already, which is what is asked for.
        let _ = self.transaction.abort();
    }

    /// Commits, and waits until it is known what became of it.
    pub(crate) async fn commit(self) -> End {
        // Only faster: without it the browser commits when it sees that nothing follows. It throws after an abort,
        // whose event says more.
        let _ =
            method(&self.transaction, "commit").and_then(|commit| commit.call0(&self.transaction));
        match self.end.await.type_().as_str() {
            "complete" => End::Complete,
            "close" => End::ConnectionClosed,
            _ => End::Abort(
                self.transaction
                    .error()
                    .map_or_else(Failure::unexplained, |error| Failure::of(&error)),
            ),
        }
    }
}

impl Answer {
    pub(crate) async fn value(self) -> Result<JsValue, Failure> {
        self.end.await;
        self.request.result().map_err(|thrown| Failure::of(&thrown))
    }
}

/// A method that `web-sys` does not offer: `commit` is marked as deprecated there, and `transaction` lacks its options.
fn method(of: &JsValue, name: &str) -> Result<Function, JsValue> {
    Reflect::get(of, &name.into())?.dyn_into()
}
