//! Compaction and pruning: transactions that change how the log is stored and not what it says.
//!
//! They check in their own transaction that what they were made for is still so, because a tab's memory may be out of
//! date: another tab may have compacted, or begun the log again from another history. A compaction is strict, because it
//! deletes the only copy of what it has merged.

use crate::connection::Connection;
use crate::error::Failure;
use crate::look::Look;
use crate::record::{self, Meta};
use crate::schema::meta::{ERASED, GAPS};
use crate::schema::stores::{DIRECTORY, LOG, META, PENDING};
use crate::view::{View, bytes, numeric};
use crate::write::{Request, finish};
use tidelog_core::ReplicaId;
use tidelog_core::frame::{self, Header};
use tidelog_core::store::{Compaction, Durability, Head, Pruning, StoreError};
use wasm_bindgen::JsValue;

/// Runs a compaction; `false` if the log is no longer as it was made for.
pub(crate) async fn compact(
    connection: &Connection,
    compaction: &Compaction,
) -> Result<bool, StoreError> {
    connection.check()?;
    let planned = check(compaction).map_err(|failure| connection.failed(&failure))?;
    let transaction = connection.write(&[META, LOG, DIRECTORY], Durability::Strict)?;
    let view = View::new(connection, &transaction);
    let requests = compacting(&view, compaction, &planned).await;
    finish(connection, transaction, requests).await
}

/// Removes old segments; `false` if that is no longer right.
pub(crate) async fn prune(connection: &Connection, pruning: &Pruning) -> Result<bool, StoreError> {
    connection.check()?;
    let gaps = record::gaps(&pruning.gaps).map_err(|failure| connection.failed(&failure))?;
    let through = record::until(pruning.through.value(), false);
    let through = through.map_err(|failure| connection.failed(&failure))?;
    let _under_way = connection.knowledge.begin();
    let own = connection.knowledge.known();
    let transaction = connection.write(&[META, PENDING, LOG, DIRECTORY], Durability::Relaxed)?;
    let view = View::new(connection, &transaction);
    let (requests, after) = match prunable(&view, pruning, &through).await {
        Ok(Some(look)) => {
            let after = Meta {
                replica: look.stored.replica,
                head: Head {
                    generation: look.head.generation.next(),
                    ..look.head
                },
                term: look.term(own, true),
            };
            let mut requests = vec![
                Request::Delete(LOG, through.clone()),
                Request::Delete(DIRECTORY, through),
                Request::Put(META, GAPS.into(), gaps),
            ];
            let left = look.leave(&view, &after, own, &mut requests);
            (left.map(|()| Some(requests)), Some(after))
        }
        Ok(None) => (Ok(None), None),
        Err(error) => (Err(error), None),
    };
    let done = finish(connection, transaction, requests).await?;
    if let Some(after) = after {
        connection.knowledge.learn(after);
    }
    Ok(done)
}

/// The log and the identity that maintenance is for.
pub(crate) fn same_replica(there: ReplicaId, meant: ReplicaId) -> Result<(), StoreError> {
    if there == meant {
        Ok(())
    } else {
        Err(StoreError::Wiped)
    }
}

/// What a compaction says of itself, checked before anything is read.
struct Planned {
    first: u64,
    last: u64,
    covered: JsValue,
    segment: Option<Header>,
}

fn check(compaction: &Compaction) -> Result<Planned, Failure> {
    let covered = &compaction.covered;
    let (Some(first), Some(last)) = (covered.first(), covered.last()) else {
        return Err(Failure::refused("a compaction covers at least one frame"));
    };
    if !covered.is_sorted_by(|left, right| left < right) {
        return Err(Failure::refused("the covered positions do not ascend"));
    }
    let segment = match &compaction.segment {
        None if covered.len() > 1 => {
            return Err(Failure::refused(
                "several frames become one only by a segment",
            ));
        }
        None => None,
        Some(segment) => {
            let header = frame::header(segment);
            Some(header.map_err(|error| Failure::refused(error.to_string()))?)
        }
    };
    Ok(Planned {
        first: first.value(),
        last: last.value(),
        covered: record::between(first.value(), last.value())?,
        segment,
    })
}

/// What a compaction changes; `None` if it must not.
async fn compacting(
    view: &View<'_>,
    compaction: &Compaction,
    planned: &Planned,
) -> Result<Option<Vec<Request>>, StoreError> {
    let last = view.get(LOG, planned.last)?;
    let erased = view.get_by(META, &ERASED.into())?;
    let meta = view.meta().await?;
    same_replica(meta.replica, compaction.replica)?;
    let sealed = view.keys(DIRECTORY, &planned.covered).await?;
    let there = view.keys(LOG, &planned.covered).await?;
    let there: Vec<Option<u64>> = there.iter().map(|key| record::number(&key)).collect();
    let covered = compaction.covered.iter().map(|first| Some(first.value()));
    let erased = record::read_erased(&view.value(Ok(erased)).await?)?;
    if erased.generation != compaction.erased
        || sealed.length() > 0
        || !there.into_iter().eq(covered)
    {
        return Ok(None);
    }
    let value = view.value(Ok(last)).await?;
    if let Some(segment) = &planned.segment {
        let last = frame::header(&bytes(LOG, planned.last, &value)?);
        let same = last.is_ok_and(|last| {
            (last.epoch, last.last_position()) == (segment.epoch, segment.last_position())
        });
        if !same || segment.first != planned.first {
            return Ok(None);
        }
    }
    let key = || view.checked(record::key(planned.first));
    let mut requests = Vec::new();
    if let Some(segment) = &compaction.segment {
        requests.push(Request::Delete(LOG, planned.covered.clone()));
        requests.push(Request::Put(LOG, key()?, record::bytes(segment)));
    }
    if let Some(directory) = &compaction.directory {
        requests.push(Request::Put(DIRECTORY, key()?, record::bytes(directory)));
    }
    Ok(Some(requests))
}

/// The head before, if all of it is sealed and of the same history, and a frame ends there.
async fn prunable(
    view: &View<'_>,
    pruning: &Pruning,
    through: &JsValue,
) -> Result<Option<Look>, StoreError> {
    let look = Look::read(view, Look::ask(view)?).await?;
    same_replica(look.stored.replica, pruning.replica)?;
    if look.head.cursor.epoch != pruning.epoch {
        return Ok(None);
    }
    let sealed = view.keys(DIRECTORY, through).await?;
    let sealed: Vec<Option<u64>> = sealed.iter().map(|key| record::number(&key)).collect();
    for first in view.keys(LOG, through).await?.iter() {
        if sealed.binary_search(&Some(numeric(LOG, &first)?)).is_err() {
            return Ok(None);
        }
    }
    let Some((first, value)) = view.last(LOG, through).await? else {
        return Ok(Some(look));
    };
    let last = frame::header(&bytes(LOG, first, &value)?);
    let ends = last.is_ok_and(|last| last.last_position() <= pruning.through);
    Ok(ends.then_some(look))
}
