//! Snapshots of folds: a header under `[name, version]` and each bucket under `[name, version, bucket]`, so that a fold
//! lies together, its header first, and one range is all of it.
//!
//! Everything here can be made again from the log. So what has another form than it was stored in counts as not there,
//! and writes are relaxed.

use crate::connection::Connection;
use crate::error::Failure;
use crate::maintenance::same_replica;
use crate::record;
use crate::schema::meta::{ERASED, FILTERS};
use crate::schema::stores::{META, SNAPSHOTS};
use crate::view::View;
use crate::write::{Request, finish};
use js_sys::Array;
use std::ops::Range;
use tidelog_core::number::Generation;
use tidelog_core::store::{
    Durability, FoldName, FoldSnapshot, Head, SnapshotSet, StoreError, StoredSnapshot,
};
use tidelog_core::{Cursor, Epoch, Filter, Position};
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::IdbKeyRange;

/// Writes a set; `false` if it would move something backwards.
pub(crate) async fn save(connection: &Connection, set: &SnapshotSet) -> Result<bool, StoreError> {
    connection.check()?;
    let requests = encode(set).map_err(|failure| connection.failed(&failure))?;
    let transaction = connection.write(&[META, SNAPSHOTS], Durability::Relaxed)?;
    let view = View::new(connection, &transaction);
    let writable = writable(&view, set).await;
    let requests = writable.map(|writable| writable.then_some(requests));
    finish(connection, transaction, requests).await
}

/// Reads the snapshots of some folds.
pub(crate) async fn snapshots(
    connection: &Connection,
    folds: &[FoldName],
) -> Result<Vec<Option<StoredSnapshot>>, StoreError> {
    let transaction = connection.read(&[META, SNAPSHOTS])?;
    let view = View::new(connection, &transaction);
    let mut asked = Vec::with_capacity(folds.len());
    for fold in folds {
        let range = view.checked(all_of(fold))?;
        asked.push(view.entries(SNAPSHOTS, &range, None)?);
    }
    let filters = view.get_by(META, &FILTERS.into())?;
    let erased = view.get_by(META, &ERASED.into())?;
    let head = view.meta().await?.head;
    let filter = record::read_filters(&view.value(Ok(filters)).await?)?.kept;
    let erased = view.value(Ok(erased)).await?;
    let in_log_only = record::followed_in_log_only(&erased);
    let generation = record::read_erased(&erased)?.generation;
    let mut found = Vec::with_capacity(folds.len());
    for entries in asked {
        let mut snapshot = read(&view.read(entries).await?, &filter);
        if let Some(snapshot) = &mut snapshot {
            snapshot.unfollowed |= in_log_only;
            snapshot.erased = generation;
        }
        found.push(snapshot.filter(|snapshot| reaches(&head, snapshot.checkpoint)));
    }
    Ok(found)
}

/// Forgets all snapshots but those of these folds.
pub(crate) async fn forget(
    connection: &Connection,
    all_but: &[FoldName],
) -> Result<(), StoreError> {
    let transaction = connection.write(&[META, SNAPSHOTS], Durability::Relaxed)?;
    let view = View::new(connection, &transaction);
    let requests = forgetting(&view, all_but).await;
    finish(connection, transaction, requests).await.map(drop)
}

/// What forgets the snapshots with a checkpoint in these positions or of another epoch.
pub(crate) async fn forgetting_within(
    view: &View<'_>,
    epoch: Epoch,
    positions: Range<Position>,
) -> Result<Vec<Request>, StoreError> {
    let mut asked = Vec::new();
    for key in view.keys(SNAPSHOTS, &JsValue::UNDEFINED).await?.iter() {
        let buckets = key.dyn_ref::<Array>().is_some_and(|key| key.length() > 2);
        if !buckets {
            asked.push((view.get_by(SNAPSHOTS, &key)?, key));
        }
    }
    let mut requests = Vec::new();
    for (asked, key) in asked {
        let header = read_header(&view.value(Ok(asked)).await?);
        let stays =
            header.is_some_and(|(at, _)| at.epoch == epoch && !positions.contains(&at.position));
        if stays {
            continue;
        }
        let all = match read_fold(&key) {
            Some(fold) => view.checked(all_of(&fold))?,
            None => key,
        };
        requests.push(Request::Delete(SNAPSHOTS, all));
    }
    Ok(requests)
}

fn encode(set: &SnapshotSet) -> Result<Vec<Request>, Failure> {
    let mut requests = Vec::new();
    for fold in &set.folds {
        if fold.whole {
            requests.push(Request::Delete(SNAPSHOTS, all_of(&fold.fold)?));
        }
        let header = header(set.checkpoint, fold.buckets)?;
        requests.push(Request::Put(SNAPSHOTS, key(&fold.fold).into(), header));
        for (bucket, bytes) in &fold.changed {
            if *bucket >= fold.buckets {
                return Err(Failure::refused(
                    "a bucket's number is not below their count",
                ));
            }
            let key = key(&fold.fold);
            key.push(&JsValue::from(*bucket));
            let value = record::bytes(bytes);
            requests.push(Request::Put(SNAPSHOTS, key.into(), value));
        }
    }
    Ok(requests)
}

/// Does the log reach the checkpoint, and is there nothing newer? What changes only some buckets needs the others.
async fn writable(view: &View<'_>, set: &SnapshotSet) -> Result<bool, StoreError> {
    let mut asked = Vec::with_capacity(set.folds.len());
    for fold in &set.folds {
        asked.push(view.get_by(SNAPSHOTS, &key(&fold.fold))?);
    }
    let filters = view.get_by(META, &FILTERS.into())?;
    let erased = view.get_by(META, &ERASED.into())?;
    let meta = view.meta().await?;
    same_replica(meta.replica, set.replica)?;
    let filters = record::read_filters(&view.value(Ok(filters)).await?)?;
    let erased = record::read_erased(&view.value(Ok(erased)).await?)?;
    if set.checkpoint.position < erased.through {
        return Ok(false);
    }
    if !reaches(&meta.head, set.checkpoint) || filters.kept != set.filter {
        return Ok(false);
    }
    for (fold, asked) in set.folds.iter().zip(asked) {
        let stored = read_header(&view.value(Ok(asked)).await?);
        if !follows(fold, set.checkpoint, stored) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn follows(fold: &FoldSnapshot, checkpoint: Cursor, stored: Option<(Cursor, u32)>) -> bool {
    match stored {
        Some((before, buckets)) if before.epoch == checkpoint.epoch => {
            before.position <= checkpoint.position
                && (fold.whole || (buckets, before.position) == (fold.buckets, fold.base))
        }
        _ => fold.whole,
    }
}

async fn forgetting(
    view: &View<'_>,
    all_but: &[FoldName],
) -> Result<Option<Vec<Request>>, StoreError> {
    view.meta().await?;
    let mut requests = Vec::new();
    let mut last = None;
    for key in view.keys(SNAPSHOTS, &JsValue::UNDEFINED).await?.iter() {
        let fold = read_fold(&key);
        match &fold {
            Some(fold) if all_but.contains(fold) => {}
            // Its header came before: the range of that holds this key.
            Some(_) if fold == last => {}
            Some(fold) => {
                let range = view.checked(all_of(fold))?;
                requests.push(Request::Delete(SNAPSHOTS, range));
            }
            None => requests.push(Request::Delete(SNAPSHOTS, key)),
        }
        last = fold;
    }
    Ok(Some(requests))
}

/// Is this state one that the log has led to?
fn reaches(head: &Head, checkpoint: Cursor) -> bool {
    checkpoint.epoch == head.cursor.epoch && checkpoint.position <= head.cursor.position
}

fn key(fold: &FoldName) -> Array {
    Array::of2(&JsValue::from_str(&fold.name), &JsValue::from(fold.version))
}

/// The range of a fold's header and buckets: as keys, lists come behind all numbers.
fn all_of(fold: &FoldName) -> Result<JsValue, Failure> {
    let end = key(fold);
    end.push(&Array::new());
    record::ranged(IdbKeyRange::bound(&key(fold), &end))
}

fn read_fold(key: &JsValue) -> Option<FoldName> {
    let key = key.dyn_ref::<Array>()?;
    Some(FoldName {
        name: key.get(0).as_string()?,
        version: small(&key.get(1))?,
    })
}

/// `{checkpoint, buckets, erases}`. The last says that whoever saved it follows the log's erasures.
fn header(checkpoint: Cursor, buckets: u32) -> Result<JsValue, Failure> {
    record::object([
        ("checkpoint", JsValue::from_str(&checkpoint.to_string())),
        ("buckets", JsValue::from(buckets)),
        ("erases", JsValue::TRUE),
    ])
}

/// The inverse of [`header`]. A state that an older build saved may hold what the log had said to be gone, so nothing is saved on it.
fn read_header(value: &JsValue) -> Option<(Cursor, u32)> {
    read_any_header(value).filter(|_| erases(value))
}

fn erases(header: &JsValue) -> bool {
    record::field(header, "erases").is_some_and(|erases| erases == JsValue::TRUE)
}

/// [`read_header`], whoever saved it.
fn read_any_header(value: &JsValue) -> Option<(Cursor, u32)> {
    let checkpoint = record::field(value, "checkpoint")?.as_string()?;
    Some((
        checkpoint.parse().ok()?,
        small(&record::field(value, "buckets")?)?,
    ))
}

/// A fold as its entries say, the header first.
fn read(entries: &[(JsValue, JsValue)], filter: &Filter) -> Option<StoredSnapshot> {
    let ((_, header), buckets) = entries.split_first()?;
    let (checkpoint, count) = read_any_header(header)?;
    let mut filled = Vec::with_capacity(buckets.len());
    for (key, value) in buckets {
        let bucket = small(&key.dyn_ref::<Array>()?.get(2))?;
        if bucket >= count {
            return None;
        }
        filled.push((bucket, record::read_bytes(value)?));
    }
    Some(StoredSnapshot {
        checkpoint,
        filter: filter.clone(),
        buckets: count,
        filled,
        unfollowed: !erases(header),
        erased: Generation::default(),
    })
}

fn small(value: &JsValue) -> Option<u32> {
    u32::try_from(record::number(value)?).ok()
}
