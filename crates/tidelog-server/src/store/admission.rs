//! One push: gather the facts, let core decide, store what it accepts. The same for every database.

use super::ledger::{Entry, Ledger};
use super::place::Place;
use super::{After, Candidate, Numbering, Push, StoreError};
use tidelog_core::authority::{Admission, Facts, Rejection, RejectionCode, admit};
use tidelog_core::protocol::{CommitResult, LogHead, PushResponse};
use tidelog_core::{Commit, Recorded, Seq, StreamId, Subject, Timestamp};

/// The highest number that a store gives: databases tell the highest of those up to here.
const LAST_NUMBER: Seq = Seq::new(i64::MAX.cast_unsigned());

/// Decides on all commits of a push, one after the other.
///
/// # Errors
/// What the ledger says: then nothing of the transaction may stay. [`StoreError::ReplicaBound`],
/// [`StoreError::CursorMismatch`] and [`StoreError::CursorAhead`] are said before anything is written.
pub(super) fn push(
    ledger: &mut impl Ledger,
    push: &Push,
    now: Timestamp,
) -> Result<PushResponse, StoreError> {
    let before = ledger.state();
    let place = Place::of(before, After::Cursor(push.cursor))?;
    if let Some(position) = place.to_look_up() {
        place.confirm(before, ledger.chain_at(position)?)?;
    }
    let bound = ledger.owner(push.replica)?;
    if bound.as_ref().is_some_and(|subject| *subject != push.actor) {
        return Err(StoreError::ReplicaBound {
            replica: push.replica,
        });
    }
    let mut results = Vec::with_capacity(push.commits.len());
    for Candidate { commit, rejection } in &push.commits {
        let mut commit = commit.clone();
        let mut rejection = rejection.clone();
        if push.numbering == Numbering::Store {
            let last = ledger.last_seq(push.replica)?;
            commit.seq = last.next();
            if last >= LAST_NUMBER {
                rejection = Some(Rejection {
                    code: RejectionCode::SeqReused,
                    message: "there is no sequence number left: somebody used the highest".into(),
                });
            }
        }
        let (id, attempt) = (commit.id, commit.attempt);
        let actor = push.actor.as_ref();
        let verdict = decide(ledger, commit, rejection.as_ref(), actor, now)?.into();
        results.push(CommitResult {
            id,
            attempt,
            verdict,
        });
    }
    let after = ledger.state();
    if bound.is_none() && after.head.position > before.head.position {
        ledger.bind(push.replica, push.actor.as_ref())?;
    }
    Ok(PushResponse {
        epoch: after.epoch,
        head: after.head,
        results,
    })
}

fn decide(
    ledger: &mut impl Ledger,
    commit: Commit,
    rejection: Option<&Rejection>,
    actor: Option<&Subject>,
    now: Timestamp,
) -> Result<Admission, StoreError> {
    let LogHead { position, chain } = ledger.state().head;
    let streams = ledger.streams(&touched(&commit))?;
    let tombstoned = streams.keys().filter(|stream| ledger.is_tombstoned(stream));
    let facts = Facts {
        tombstoned: tombstoned.cloned().collect(),
        head: position,
        actor: actor.cloned(),
        known: ledger.known(commit.id)?,
        seq_taken_by: ledger.seq_taken_by(commit.replica, commit.seq)?,
    };
    let admission = admit(&commit, &facts, |stream| streams.get(stream).copied());
    let admission = match (admission, rejection) {
        // What is forbidden on one past may be allowed on the one that the author has not seen yet.
        (Admission::Conflict(conflicts), Some(rejection))
            if rejection.code == RejectionCode::Forbidden =>
        {
            Admission::Conflict(conflicts)
        }
        (Admission::Accept(_) | Admission::Conflict(_), Some(rejection)) => {
            Admission::Reject(rejection.clone())
        }
        (admission, _) => admission,
    };
    if let Admission::Accept(receipt) = &admission {
        let recorded = Recorded {
            position: receipt.first,
            recorded_at: now.max(ledger.recorded_at()),
            actor: facts.actor,
            versions: receipt.versions.clone(),
            commit,
        };
        let epoch = ledger.state().epoch;
        ledger.store(Entry::of(epoch, chain, recorded))?;
    }
    Ok(admission)
}

/// The streams that a commit writes or has conditions on, each once.
pub(super) fn touched(commit: &Commit) -> Vec<&StreamId> {
    let written = commit.events.iter().map(|event| &event.stream);
    let read = commit.conditions.iter().map(|condition| &condition.stream);
    let mut touched: Vec<&StreamId> = written.chain(read).collect();
    touched.sort_unstable();
    touched.dedup();
    touched
}
