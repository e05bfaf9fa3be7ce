//! One write transaction: everything is encoded, then the head is checked, then every change is issued, then the
//! transaction is committed and its end awaited.

use crate::connection::Connection;
use crate::error::Failure;
use crate::maintenance::same_replica;
use crate::raw::{Transaction, Writing};
use crate::record;
use crate::schema::meta::{GAPS, HEAD, REPLICA};
use crate::schema::stores::{
    DIRECTORY, LOG, LOST, META, OUTCOME, PARKED, PENDING, QUARANTINE, SNAPSHOTS,
};
use crate::view::View;
use tidelog_core::map::Map;
use tidelog_core::number::Generation;
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
    let view = View::new(connection, &transaction);
    let (requests, written) = match checked(&view, batch).await {
        Ok(Checked::Good(damaged)) => {
            let mut requests = requests;
            for (key, value) in damaged {
                requests.push(Request::Put(QUARANTINE, key, value));
            }
            (Ok(Some(requests)), Written::Done)
        }
        Ok(Checked::Stale(actual)) => (Ok(None), Written::Stale { actual }),
        Err(error) => (Err(error), Written::Done),
    };
    finish(connection, transaction, requests).await?;
    Ok(written)
}

/// Issues requests and commits: `true` if there were any to be made. Otherwise gives the transaction up.
pub(crate) async fn finish(
    connection: &Connection,
    transaction: Writing,
    requests: Result<Option<Vec<Request>>, StoreError>,
) -> Result<bool, StoreError> {
    let requests = match requests {
        Ok(Some(requests)) => requests,
        other => {
            transaction.abort();
            return other
                .map(|_none| false)
                .map_err(|error| connection.note(error));
        }
    };
    let issued = requests
        .iter()
        .try_for_each(|request| request.issue(&transaction));
    if let Err(failure) = issued {
        transaction.abort();
        return Err(connection.failed(&failure));
    }
    connection.commit(transaction).await.map(|()| true)
}

/// A change of a store, encoded.
#[derive(Debug)]
pub(crate) enum Request {
    /// Adds a value under a key that must be free.
    Add(&'static str, JsValue, JsValue),
    /// Adds a value under the next key.
    AddUnderNewKey(&'static str, JsValue),
    /// Adds or replaces a value.
    Put(&'static str, JsValue, JsValue),
    /// Deletes a key or a range of keys.
    Delete(&'static str, JsValue),
    /// Deletes everything.
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
        StoreOp::ClearLog => {
            requests.extend([LOG, DIRECTORY, SNAPSHOTS].map(Request::Clear));
            requests.push(Request::Delete(META, GAPS.into()));
        }
        StoreOp::TruncateLog { after, gaps } => {
            let gaps = record::gaps(gaps)?;
            requests.push(Request::Put(META, GAPS.into(), gaps));
            let behind = record::from(after.value(), true)?;
            requests.push(Request::Delete(LOG, behind.clone()));
            requests.push(Request::Delete(DIRECTORY, behind));
        }
        StoreOp::Quarantine { first } => {
            let key = record::key(first.value())?;
            requests.push(Request::Delete(LOG, key.clone()));
            requests.push(Request::Delete(DIRECTORY, key));
        }
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
        StoreOp::AddLog { .. } => &[LOG],
        StoreOp::ClearLog => &[LOG, DIRECTORY, SNAPSHOTS],
        StoreOp::TruncateLog { .. } => &[LOG, DIRECTORY],
        StoreOp::Quarantine { .. } => &[LOG, DIRECTORY, QUARANTINE],
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

/// What a look at the store before the changes comes to.
enum Checked {
    /// The changes may be made; these frames are to be kept aside.
    Good(Vec<(JsValue, JsValue)>),
    Stale(Generation),
}

/// Checks format, replica, generation and the frames whose outcomes change, all in the transaction that writes.
async fn checked(view: &View<'_>, batch: &WriteBatch) -> Result<Checked, StoreError> {
    let mut outcomes = Vec::new();
    let mut damaged = Vec::new();
    for op in &batch.ops {
        match op {
            StoreOp::PutOutcomes { first, .. } => {
                outcomes.push((first.value(), view.get(OUTCOME, first.value())?));
            }
            StoreOp::Quarantine { first } => {
                damaged.push((first.value(), view.get(LOG, first.value())?));
            }
            _ => {}
        }
    }
    let meta = view.meta().await?;
    same_replica(meta.replica, batch.replica)?;
    if meta.head.generation != batch.expected {
        return Ok(Checked::Stale(meta.head.generation));
    }
    let mut commits = Map::new();
    for (first, answer) in outcomes {
        let value = view.value(Ok(answer)).await?;
        if !value.is_undefined() {
            let stored =
                record::read_outcomes(&value).ok_or_else(|| record::corrupt(OUTCOME, first))?;
            commits.insert(first, stored.len());
        }
    }
    view.checked(check_outcomes(&batch.ops, commits))?;
    let mut aside = Vec::new();
    for (first, answer) in damaged {
        let value = view.value(Ok(answer)).await?;
        if !value.is_undefined() {
            aside.push((view.checked(record::key(first))?, value));
        }
    }
    Ok(Checked::Good(aside))
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
