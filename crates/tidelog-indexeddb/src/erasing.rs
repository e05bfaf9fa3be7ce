//! Erased payloads: the frames that held them are replaced, and snapshots that had folded them go.

use crate::error::Failure;
use crate::record;
use crate::schema::stores::{DIRECTORY, LOG, LOST};
use crate::snapshot;
use crate::view::{View, bytes};
use crate::write::Request;
use std::ops::Range;
use tidelog_core::Position;
use tidelog_core::frame;
use tidelog_core::store::{ErasedFrame, ErasedLost, Head, StoreError};

/// The changes of it, in a transaction that leaves this head; none if nothing here holds what goes.
pub(crate) async fn plan(
    view: &View<'_>,
    head: &Head,
    positions: Range<Position>,
    frames: &[ErasedFrame],
) -> Result<Vec<Request>, StoreError> {
    let mut requests = snapshot::forgetting_within(view, head.cursor.epoch, positions).await?;
    for erased in frames {
        let first = erased.first.value();
        let key = view.checked(record::key(first))?;
        let sealed = view.keys(DIRECTORY, &key).await?.length() > 0;
        let stored = view.value(Ok(view.get(LOG, first)?)).await?;
        let there = match stored.is_undefined() {
            true => None,
            false => last_position(&bytes(LOG, first, &stored)?),
        };
        if there.is_none() || there != last_position(&erased.frame) {
            let failure = Failure::refused("a frame whose payloads go is no longer there");
            return view.checked(Err(failure));
        }
        let frame = record::bytes(&erased.frame);
        requests.push(Request::Put(LOG, key.clone(), frame));
        if sealed {
            let directory = record::bytes(&erased.directory);
            requests.push(Request::Put(DIRECTORY, key, directory));
        }
    }
    Ok(requests)
}

/// The same of what lost histories held.
pub(crate) async fn plan_lost(
    view: &View<'_>,
    frames: &[ErasedLost],
) -> Result<Vec<Request>, StoreError> {
    let mut requests = Vec::with_capacity(frames.len());
    for erased in frames {
        let key = view.checked(record::key(erased.number))?;
        if view.keys(LOST, &key).await?.length() == 0 {
            let failure = Failure::refused("a lost frame whose payloads go is no longer there");
            return view.checked(Err(failure));
        }
        requests.push(match &erased.frame {
            Some(frame) => Request::Put(LOST, key, record::bytes(frame)),
            None => Request::Delete(LOST, key),
        });
    }
    Ok(requests)
}

fn last_position(bytes: &[u8]) -> Option<Position> {
    let header = frame::header(bytes).ok()?;
    Some(header.last_position())
}
