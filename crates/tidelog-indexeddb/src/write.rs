//! One write transaction: everything is encoded, then the head is checked, then every change is issued, then the
//! transaction is committed and its end awaited.

use crate::connection::Connection;
use crate::error::Failure;
use crate::open::{check_format, read_replica};
use crate::raw::{Answer, Transaction};
use crate::record;
use crate::schema::meta::{FORMAT, HEAD, REPLICA};
use crate::schema::stores::{LOG, LOST, META, OUTCOME, PARKED, PENDING};
use tidelog_core::map::Map;
use tidelog_core::store::{Outcome, StoreError, StoreOp, WriteBatch, Written};
use wasm_bindgen::JsValue;
use web_sys::IdbRequest;

/// Runs one batch.
pub(crate) async fn write(
    connection: &Connection,
    batch: &WriteBatch,
) -> Result<Written, StoreError> {
    connection.check()?;
    let requests = encode(batch).map_err(|failure| connection.failed(&failure))?;
    let transaction = connection.write(&scope(&batch.ops), batch.durability)?;
    match checked(connection, &transaction, batch).await {
        Ok(None) => {}
        Ok(Some(actual)) => {
            transaction.abort();
            return Ok(actual);
        }
        Err(error) => {
            transaction.abort();
            return Err(connection.note(error));
        }
    }
    if let Err(failure) = requests
        .iter()
        .try_for_each(|request| request.issue(&transaction))
    {
        transaction.abort();
        return Err(connection.failed(&failure));
    }
    connection.commit(transaction).await.map(|()| Written::Done)
}

/// A change of one key, encoded.
#[derive(Debug)]
enum Request {
    Add(&'static str, JsValue, JsValue),
    AddUnderNewKey(&'static str, JsValue),
    Put(&'static str, JsValue, JsValue),
    Delete(&'static str, JsValue),
    Clear(&'static str),
}

impl Request {
    fn issue(&self, transaction: &Transaction) -> Result<(), Failure> {
        let issued: Result<IdbRequest, JsValue> = match self {
            Self::Add(store, key, value) => transaction.store(store)?.add_with_key(value, key),
            Self::AddUnderNewKey(store, value) => transaction.store(store)?.add(value),
            Self::Put(store, key, value) => transaction.store(store)?.put_with_key(value, key),
            Self::Delete(store, key) => transaction.store(store)?.delete(key),
            Self::Clear(store) => transaction.store(store)?.clear(),
        };
        // A request that fails later aborts the transaction, whose end is awaited.
        issued.map(drop).map_err(|thrown| Failure::of(&thrown))
    }
}

fn encode(batch: &WriteBatch) -> Result<Vec<Request>, Failure> {
    if batch.head.generation != batch.expected.next() {
        return Err(Failure::refused(
            "the new head's generation is not the expected one and one",
        ));
    }
    let mut requests = Vec::with_capacity(batch.ops.len() + 2);
    for op in &batch.ops {
        encode_op(op, &mut requests)?;
    }
    requests.push(Request::Put(META, HEAD.into(), record::head(&batch.head)?));
    Ok(requests)
}

fn encode_op(op: &StoreOp, requests: &mut Vec<Request>) -> Result<(), Failure> {
    match op {
        StoreOp::AddPending {
            first,
            frame,
            outcomes,
        } => {
            let key = record::key(first.value())?;
            requests.push(Request::Add(PENDING, key.clone(), record::bytes(frame)));
            requests.push(Request::Add(OUTCOME, key, record::outcomes(outcomes)?));
        }
        StoreOp::PutOutcomes { first, outcomes } => {
            let key = record::key(first.value())?;
            let value = record::outcomes(outcomes)?;
            if all_settled(outcomes) {
                requests.push(Request::Delete(PENDING, key.clone()));
                requests.push(Request::Delete(OUTCOME, key));
            } else {
                requests.push(Request::Put(OUTCOME, key, value));
            }
        }
        StoreOp::AddLog { first, frame } => {
            let key = record::key(first.value())?;
            requests.push(Request::Add(LOG, key, record::bytes(frame)));
        }
        StoreOp::ClearLog => requests.push(Request::Clear(LOG)),
        StoreOp::PutParked { id, record } => {
            requests.push(Request::Put(
                PARKED,
                id.to_string().into(),
                record::bytes(record),
            ));
        }
        StoreOp::RemoveParked { id } => {
            requests.push(Request::Delete(PARKED, id.to_string().into()));
        }
        StoreOp::SetReplica { replica } => {
            requests.push(Request::Put(
                META,
                REPLICA.into(),
                replica.to_string().into(),
            ));
        }
        StoreOp::AddLost { frame } => {
            requests.push(Request::AddUnderNewKey(LOST, record::bytes(frame)));
        }
    }
    Ok(())
}

/// Only the stores that a batch touches: another tab's read of the others need not wait.
fn scope(ops: &[StoreOp]) -> Vec<&'static str> {
    let touched = ops.iter().flat_map(|op| match op {
        StoreOp::AddPending { .. } | StoreOp::PutOutcomes { .. } => &[PENDING, OUTCOME][..],
        StoreOp::AddLog { .. } | StoreOp::ClearLog => &[LOG],
        StoreOp::PutParked { .. } | StoreOp::RemoveParked { .. } => &[PARKED],
        StoreOp::AddLost { .. } => &[LOST],
        StoreOp::SetReplica { .. } => &[],
    });
    let mut stores = vec![META];
    for store in touched {
        if !stores.contains(store) {
            stores.push(store);
        }
    }
    stores
}

/// Checks format, replica, generation and the frames whose outcomes change, all in the transaction that writes.
async fn checked(
    connection: &Connection,
    transaction: &Transaction,
    batch: &WriteBatch,
) -> Result<Option<Written>, StoreError> {
    let failed = |failure: Failure| connection.failed(&failure);
    let get = |store, key: JsValue| transaction.get(store, &key).map_err(failed);
    let (format, replica, head) = (
        get(META, FORMAT.into())?,
        get(META, REPLICA.into())?,
        get(META, HEAD.into())?,
    );
    let mut outcomes: Vec<(u64, Answer)> = Vec::new();
    for op in &batch.ops {
        if let StoreOp::PutOutcomes { first, .. } = op {
            let key = record::key(first.value()).map_err(failed)?;
            outcomes.push((first.value(), get(OUTCOME, key)?));
        }
    }

    let format = format.value().await.map_err(failed)?;
    if format.is_undefined() {
        return Err(StoreError::Wiped);
    }
    check_format(&format)?;
    if read_replica(&replica.value().await.map_err(failed)?)? != batch.replica {
        return Err(StoreError::Wiped);
    }
    let head = record::read_head(&head.value().await.map_err(failed)?)
        .ok_or_else(|| record::corrupt(META, HEAD))?;
    if head.generation != batch.expected {
        return Ok(Some(Written::Stale {
            actual: head.generation,
        }));
    }

    let mut commits = Map::new();
    for (first, answer) in outcomes {
        let value = answer.value().await.map_err(failed)?;
        if !value.is_undefined() {
            let stored =
                record::read_outcomes(&value).ok_or_else(|| record::corrupt(OUTCOME, first))?;
            commits.insert(first, stored.len());
        }
    }
    check_outcomes(&batch.ops, commits).map_err(failed)?;
    Ok(None)
}

/// Follows the changes in order: outcomes may only replace those of a frame that is there, one for each commit.
fn check_outcomes(ops: &[StoreOp], mut commits: Map<u64, usize>) -> Result<(), Failure> {
    for op in ops {
        match op {
            StoreOp::AddPending {
                first, outcomes, ..
            } => {
                commits.insert(first.value(), outcomes.len());
            }
            StoreOp::PutOutcomes { first, outcomes } => {
                if commits.get(&first.value()) != Some(&outcomes.len()) {
                    return Err(Failure::refused(format!(
                        "there is no pending frame {first} of {} commits",
                        outcomes.len()
                    )));
                }
                if all_settled(outcomes) {
                    commits.remove(&first.value());
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn all_settled(outcomes: &[Outcome]) -> bool {
    outcomes.iter().all(|outcome| *outcome == Outcome::Settled)
}
