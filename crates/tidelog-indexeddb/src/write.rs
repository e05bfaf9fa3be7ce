//! One write transaction: the head is looked at, every change is issued, the transaction is committed and its end awaited.
//! Whoever holds the term appends without the look ([`crate::term`]).

use crate::connection::Connection;
use crate::erasing;
use crate::error::Failure;
use crate::look::Look;
use crate::maintenance::same_replica;
use crate::raw::{Answer, End, Transaction, Writing};
use crate::record::{self, Meta};
use crate::schema::meta::{ERASED, FILTERS, GAPS};
use crate::schema::stores::{
    DIRECTORY, LOG, LOST, META, OUTCOME, PARKED, PENDING, QUARANTINE, SNAPSHOTS,
};
use crate::term::is_pending;
use crate::view::{Entries, View};
use tidelog_core::Position;
use tidelog_core::map::Map;
use tidelog_core::number::Generation;
use tidelog_core::store::{Erased, Head, Outcome, StoreError, StoreOp, WriteBatch, Written};
use wasm_bindgen::JsValue;
use web_sys::IdbRequest;

/// Runs one batch.
pub(crate) async fn write(
    connection: &Connection,
    batch: &WriteBatch,
) -> Result<Written, StoreError> {
    connection.check()?;
    if batch.head.generation != batch.expected.next() {
        let failure = "the new head's generation is not the expected one and one";
        return Err(connection.failed(&Failure::refused(failure)));
    }
    let _under_way = connection.knowledge.begin();
    if let Some(known) = connection.knowledge.allows(batch)
        && append(connection, batch, known).await?
    {
        return Ok(Written::Done);
    }
    let transaction = connection.write(&scope(&batch.ops), batch.durability)?;
    let view = View::new(connection, &transaction);
    let (requests, end) = match plan(&view, batch, connection.knowledge.known()).await {
        Ok(Plan::Write(requests, after)) => (Ok(Some(requests)), Ok(after)),
        Ok(Plan::Stale(actual)) => (Ok(None), Err(Written::Stale { actual })),
        Err(error) => (Err(error), Err(Written::Done)),
    };
    finish(connection, transaction, requests).await?;
    match end {
        Ok(after) => {
            connection.knowledge.learn(after);
            Ok(Written::Done)
        }
        Err(written) => Ok(written),
    }
}

/// Appends on what this handle knows; `false`, and nothing is written, if somebody else has written meanwhile.
async fn append(
    connection: &Connection,
    batch: &WriteBatch,
    known: Meta,
) -> Result<bool, StoreError> {
    let failed = |failure: Failure| connection.failed(&failure);
    let mut requests = Vec::with_capacity(batch.ops.len());
    for op in &batch.ops {
        if let StoreOp::AddPending {
            first,
            frame,
            outcomes,
        } = op
        {
            let key = record::pending_key(first.value(), known.term).map_err(failed)?;
            let value = record::pending(frame, outcomes.len(), Some(&batch.head));
            requests.push(Request::Add(PENDING, key, value.map_err(failed)?));
        }
    }
    let transaction = connection.write(&[PENDING], batch.durability)?;
    if let Err(failure) = issue(&requests, &transaction) {
        let error = connection.failed(&failure);
        return Err(give_up(connection, transaction, error));
    }
    match transaction.commit().await {
        End::Abort(failure) if failure.name() == "ConstraintError" => Ok(false),
        end => {
            connection.ended(end)?;
            connection.knowledge.learn(Meta {
                head: batch.head,
                ..known
            });
            Ok(true)
        }
    }
}

/// Issues requests and commits: `true` if there were any to be made. Otherwise gives the transaction up.
pub(crate) async fn finish(
    connection: &Connection,
    transaction: Writing,
    requests: Result<Option<Vec<Request>>, StoreError>,
) -> Result<bool, StoreError> {
    let issued = match requests {
        Ok(None) => {
            transaction.abort();
            return Ok(false);
        }
        Ok(Some(requests)) => {
            issue(&requests, &transaction).map_err(|failure| connection.failed(&failure))
        }
        Err(error) => Err(connection.note(error)),
    };
    if let Err(error) = issued {
        return Err(give_up(connection, transaction, error));
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
        issued
            .map(drop)
            .map_err(|thrown| Failure::in_transaction(&thrown))
    }
}

/// Gives a transaction up before its commit. If the browser has done so already, its reason says more than ours.
fn give_up(connection: &Connection, transaction: Writing, error: StoreError) -> StoreError {
    let why = transaction.failure();
    transaction.abort();
    match (error, why) {
        (StoreError::Aborted { .. }, Some(why)) => connection.note(why.after_commit()),
        (error, _) => error,
    }
}

fn issue(requests: &[Request], transaction: &Transaction) -> Result<(), Failure> {
    requests
        .iter()
        .try_for_each(|request| request.issue(transaction))
}

/// Only the stores that a batch touches: another tab's read of the others need not wait.
fn scope(ops: &[StoreOp]) -> Vec<&'static str> {
    let touched = ops.iter().flat_map(|op| match op {
        StoreOp::AddPending { .. } | StoreOp::PutOutcomes { .. } => &[OUTCOME][..],
        StoreOp::AddLog { .. } => &[LOG],
        StoreOp::ClearLog => &[LOG, DIRECTORY, SNAPSHOTS],
        StoreOp::TruncateLog { .. } => &[LOG, DIRECTORY],
        StoreOp::Erase { .. } => &[LOG, DIRECTORY, SNAPSHOTS, QUARANTINE, LOST],
        StoreOp::Quarantine { .. } => &[LOG, DIRECTORY, QUARANTINE],
        StoreOp::PutParked { .. } | StoreOp::RemoveParked { .. } => &[PARKED],
        StoreOp::AddLost { .. } => &[LOST],
        StoreOp::SetReplica { .. } | StoreOp::SetFilters { .. } => &[],
    });
    let mut stores = vec![META, PENDING];
    for store in touched {
        if !stores.contains(store) {
            stores.push(store);
        }
    }
    stores
}

/// What a look at the store comes to.
enum Plan {
    /// These changes, and what they leave.
    Write(Vec<Request>, Meta),
    Stale(Generation),
}

/// What was asked for in a frame's place.
struct Asked<'a> {
    op: &'a StoreOp,
    entries: Option<Entries>,
    value: Option<Answer>,
}

/// Checks format, replica, generation and the frames that change, all in the transaction that writes.
async fn plan(view: &View<'_>, batch: &WriteBatch, own: Option<Meta>) -> Result<Plan, StoreError> {
    let asked_look = Look::ask(view)?;
    let mut asked = Vec::with_capacity(batch.ops.len());
    for op in &batch.ops {
        asked.push(ask(view, op)?);
    }
    let look = Look::read(view, asked_look).await?;
    same_replica(look.stored.replica, batch.replica)?;
    if look.head.generation != batch.expected {
        return Ok(Plan::Stale(look.head.generation));
    }
    let mut planning = Planning {
        view,
        after: Meta {
            replica: batch.replica,
            head: batch.head,
            term: look.term(own, is_regular(batch, &look.head)),
        },
        frames: Map::new(),
        requests: Vec::with_capacity(batch.ops.len() + 2),
    };
    for asked in asked {
        planning.apply(asked).await?;
    }
    look.leave(view, &planning.after, own, &mut planning.requests)?;
    Ok(Plan::Write(planning.requests, planning.after))
}

fn ask<'a>(view: &View<'_>, op: &'a StoreOp) -> Result<Asked<'a>, StoreError> {
    let entries = match op {
        StoreOp::AddPending { first, .. } | StoreOp::PutOutcomes { first, .. } => {
            let range = view.checked(record::pending_at(first.value()))?;
            Some(view.entries(PENDING, &range, None)?)
        }
        _ => None,
    };
    let value = match op {
        StoreOp::Quarantine { first } => Some(view.get(LOG, first.value())?),
        StoreOp::ClearLog | StoreOp::TruncateLog { .. } | StoreOp::Erase { .. } => {
            Some(view.get_by(META, &ERASED.into())?)
        }
        _ => None,
    };
    Ok(Asked { op, entries, value })
}

/// Do all pending frames stand below the next sequence number afterwards, the new ones not below the one before?
fn is_regular(batch: &WriteBatch, head: &Head) -> bool {
    let next = head.next_seq..batch.head.next_seq;
    batch.head.next_seq >= head.next_seq
        && batch.ops.iter().all(|op| match op {
            StoreOp::AddPending { first, .. } => next.contains(first),
            _ => true,
        })
}

/// The changes of a batch while they are worked out, in order.
struct Planning<'a> {
    view: &'a View<'a>,
    after: Meta,
    /// The pending frames that the batch names, as they stand at this point of it: key and number of commits.
    frames: Map<u64, Option<(JsValue, usize)>>,
    requests: Vec<Request>,
}

impl Planning<'_> {
    async fn apply(&mut self, asked: Asked<'_>) -> Result<(), StoreError> {
        let entries = match asked.entries {
            Some(entries) => self.view.read(entries).await?,
            None => Vec::new(),
        };
        match asked.op {
            StoreOp::AddPending {
                first,
                frame,
                outcomes,
            } => {
                let first = first.value();
                if self.standing(first, entries)?.is_some() {
                    return self.refused(format!("the key {first} of pending is taken"));
                }
                let checked = |result| self.view.checked(result);
                let key = checked(record::pending_key(first, self.after.term))?;
                let stored = checked(record::outcomes(outcomes))?;
                let value = checked(record::pending(frame, outcomes.len(), None))?;
                let number = checked(record::key(first))?;
                self.requests
                    .push(Request::Add(PENDING, key.clone(), value));
                if !is_pending(outcomes) {
                    self.requests.push(Request::Put(OUTCOME, number, stored));
                }
                self.frames.insert(first, Some((key, outcomes.len())));
                Ok(())
            }
            StoreOp::PutOutcomes { first, outcomes } => {
                let first = first.value();
                let Some((key, _)) = self
                    .standing(first, entries)?
                    .filter(|(_, commits)| *commits == outcomes.len())
                else {
                    let commits = outcomes.len();
                    return self.refused(format!(
                        "there is no pending frame {first} of {commits} commits"
                    ));
                };
                let stored = self.view.checked(record::outcomes(outcomes))?;
                let number = self.view.checked(record::key(first))?;
                if outcomes.iter().all(|outcome| *outcome == Outcome::Settled) {
                    self.requests.push(Request::Delete(PENDING, key));
                    self.requests.push(Request::Delete(OUTCOME, number));
                    self.frames.insert(first, None);
                } else {
                    self.requests.push(Request::Put(OUTCOME, number, stored));
                }
                Ok(())
            }
            StoreOp::Quarantine { first } => {
                let key = self.view.checked(record::key(first.value()))?;
                if let Some(asked) = asked.value {
                    let value = self.view.value(Ok(asked)).await?;
                    if !value.is_undefined() {
                        let aside = Request::Put(QUARANTINE, key.clone(), value);
                        self.requests.push(aside);
                    }
                }
                self.requests.push(Request::Delete(LOG, key.clone()));
                self.requests.push(Request::Delete(DIRECTORY, key));
                Ok(())
            }
            StoreOp::Erase {
                from,
                through,
                frames,
                lost,
            } => {
                let (head, positions) = (&self.after.head, *from..*through);
                let erased = erasing::plan(self.view, head, positions, frames).await?;
                let lost = erasing::plan_lost(self.view, lost).await?;
                let (mut mark, in_log_only) = self.mark(asked.value).await?;
                if in_log_only {
                    // Whoever goes on from them would not see what is to be followed once more behind this.
                    self.requests.push(Request::Clear(SNAPSHOTS));
                }
                if !erased.is_empty() {
                    mark.generation = head.generation;
                }
                self.requests.push(Request::Clear(QUARANTINE));
                self.requests.extend(erased);
                self.requests.extend(lost);
                mark.through = *through;
                self.put_mark(record::erased(&mark))
            }
            StoreOp::ClearLog | StoreOp::TruncateLog { .. } => {
                let (_, in_log_only) = self.mark(asked.value).await?;
                let generation = self.after.head.generation;
                let mark = match asked.op {
                    // Its snapshots stay, and they are of that build.
                    StoreOp::TruncateLog { .. } if in_log_only => {
                        record::erased_in_log_only(generation)
                    }
                    _ => record::erased(&Erased {
                        through: Position::START,
                        generation,
                    }),
                };
                self.put_mark(mark)?;
                self.view.checked(encode(asked.op, &mut self.requests))
            }
            StoreOp::SetReplica { replica } => {
                self.after.replica = *replica;
                Ok(())
            }
            op => self.view.checked(encode(op, &mut self.requests)),
        }
    }

    /// How far erasures have been followed, and whether an older build did that in the log alone.
    async fn mark(&self, asked: Option<Answer>) -> Result<(Erased, bool), StoreError> {
        let Some(asked) = asked else {
            return Ok((Erased::default(), false));
        };
        let value = self.view.value(Ok(asked)).await?;
        let in_log_only = record::followed_in_log_only(&value);
        Ok((record::read_erased(&value)?, in_log_only))
    }

    fn put_mark(&mut self, mark: Result<JsValue, Failure>) -> Result<(), StoreError> {
        let mark = self.view.checked(mark)?;
        self.requests.push(Request::Put(META, ERASED.into(), mark));
        Ok(())
    }

    /// The frame of a sequence number, as it stands after what came before in the batch.
    fn standing(
        &self,
        first: u64,
        entries: Vec<(JsValue, JsValue)>,
    ) -> Result<Option<(JsValue, usize)>, StoreError> {
        if let Some(changed) = self.frames.get(&first) {
            return Ok(changed.clone());
        }
        for (key, value) in entries {
            if let Some(found) = record::read_pending(key, &value)? {
                return Ok(Some((found.key, found.commits)));
            }
        }
        Ok(None)
    }

    fn refused<T>(&self, message: String) -> Result<T, StoreError> {
        self.view.checked(Err(Failure::refused(message)))
    }
}

/// The changes that depend on nothing that is stored.
fn encode(op: &StoreOp, requests: &mut Vec<Request>) -> Result<(), Failure> {
    match op {
        StoreOp::AddLog { first, frame } => {
            let key = record::key(first.value())?;
            requests.push(Request::Add(LOG, key, record::bytes(frame)));
        }
        StoreOp::ClearLog => {
            requests.extend([LOG, DIRECTORY, SNAPSHOTS].map(Request::Clear));
            requests.push(Request::Delete(META, GAPS.into()));
        }
        StoreOp::TruncateLog { after, gaps } => {
            requests.push(Request::Put(META, GAPS.into(), record::gaps(gaps)?));
            let behind = record::from(after.value(), true)?;
            requests.push(Request::Delete(LOG, behind.clone()));
            requests.push(Request::Delete(DIRECTORY, behind));
        }
        StoreOp::PutParked { id, record } => {
            let record = record::bytes(record);
            requests.push(Request::Put(PARKED, id.to_string().into(), record));
        }
        StoreOp::RemoveParked { id } => {
            requests.push(Request::Delete(PARKED, id.to_string().into()));
        }
        StoreOp::SetFilters { filters } => {
            let filters = record::filters(filters)?;
            requests.push(Request::Put(META, FILTERS.into(), filters));
        }
        StoreOp::AddLost { frame } => {
            requests.push(Request::AddUnderNewKey(LOST, record::bytes(frame)));
        }
        // What depends on what is stored was taken care of.
        StoreOp::AddPending { .. }
        | StoreOp::PutOutcomes { .. }
        | StoreOp::Quarantine { .. }
        | StoreOp::Erase { .. }
        | StoreOp::SetReplica { .. } => {}
    }
    Ok(())
}
