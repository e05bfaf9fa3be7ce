//! One push inside the writer's transaction: gather the facts, let core decide, store what it accepts.

use super::reader::resolve;
use super::rows::{self, LogRow, StreamRow, blob, from_sql, to_sql};
use crate::store::{After, Candidate, Numbering, Push, StoreError};
use rusqlite::{OptionalExtension, Transaction, params};
use std::collections::BTreeMap;
use tidelog_core::authority::{Admission, Facts, Known, Receipt, admit};
use tidelog_core::hash::commit_digest;
use tidelog_core::protocol::{CommitResult, LogHead, PushResponse, Verdict};
use tidelog_core::{
    Attempt, ChainHash, Commit, CommitId, Digest, Position, Recorded, ReplicaId, Seq, StreamId,
    Subject, Timestamp, frame,
};

/// Decides on all commits of a push. After an error the caller rolls the transaction back.
pub(super) fn push(
    transaction: &Transaction<'_>,
    push: &Push,
    now: Timestamp,
) -> Result<PushResponse, StoreError> {
    let mut log = rows::log(transaction, &push.log)?;
    resolve(transaction, log.id, log.state, After::Cursor(push.cursor))?;
    let bound = owner(transaction, log.id, push.replica)?;
    if bound.as_ref().is_some_and(|subject| *subject != push.actor) {
        return Err(StoreError::ReplicaBound {
            replica: push.replica,
        });
    }
    let before = log.state.head.position;
    let mut results = Vec::with_capacity(push.commits.len());
    for Candidate { commit, rejection } in &push.commits {
        let mut commit = commit.clone();
        if push.numbering == Numbering::Store {
            commit.seq = next_seq(transaction, log.id, push.replica)?;
        }
        let (id, attempt) = (commit.id, commit.attempt);
        let verdict = match rejection {
            Some(rejection) => Verdict::Rejected(rejection.clone()),
            None => decide(transaction, &mut log, commit, push.actor.as_ref(), now)?.into(),
        };
        results.push(CommitResult {
            id,
            attempt,
            verdict,
        });
    }
    if log.state.head.position > before {
        if bound.is_none() {
            bind(transaction, log.id, push.replica, push.actor.as_ref())?;
        }
        let sql = "UPDATE logs SET head = ?2, chain = ?3, recorded_at = ?4 WHERE id = ?1";
        let head = log.state.head;
        transaction.prepare_cached(sql)?.execute(params![
            log.id,
            to_sql(head.position.value()),
            head.chain.as_bytes(),
            log.recorded_at.millis()
        ])?;
    }
    Ok(PushResponse {
        epoch: log.state.epoch,
        head: log.state.head,
        results,
    })
}

fn decide(
    transaction: &Transaction<'_>,
    log: &mut LogRow,
    commit: Commit,
    actor: Option<&Subject>,
    now: Timestamp,
) -> Result<Admission, StoreError> {
    let facts = Facts {
        head: log.state.head.position,
        actor: actor.cloned(),
        known: known(transaction, log, commit.id)?,
        seq_taken_by: seq_taken_by(transaction, log.id, &commit)?,
    };
    let streams = streams(transaction, log.id, &commit)?;
    let admission = admit(&commit, &facts, |stream| {
        streams.get(stream).map(|row| row.head)
    });
    if let Admission::Accept(receipt) = &admission {
        let recorded = Recorded {
            position: receipt.first,
            recorded_at: now.max(log.recorded_at),
            actor: facts.actor,
            versions: receipt.versions.clone(),
            commit,
        };
        store(transaction, log, &recorded, &streams)?;
    }
    Ok(admission)
}

/// Stores an accepted commit and moves the log's head past it.
fn store(
    transaction: &Transaction<'_>,
    log: &mut LogRow,
    recorded: &Recorded,
    streams: &BTreeMap<StreamId, StreamRow>,
) -> Result<(), StoreError> {
    let commit = &recorded.commit;
    let chain_before = log.state.head.chain;
    let chain = chain_before.after(recorded);
    let frame = frame::encode_recorded(
        log.state.epoch,
        chain_before,
        std::slice::from_ref(recorded),
    );
    let first = to_sql(recorded.position.value());
    let sql = "INSERT INTO commits
                 (log, first, last, id, attempt, replica, seq, digest, chain, recorded_at, actor, frame)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    transaction.prepare_cached(sql)?.execute(params![
        log.id,
        first,
        to_sql(recorded.last_position().value()),
        commit.id.as_bytes(),
        commit.attempt.value(),
        commit.replica.as_bytes(),
        commit.seq.value().cast_signed(),
        commit_digest(commit).as_bytes(),
        chain.as_bytes(),
        recorded.recorded_at.millis(),
        recorded.actor.as_ref().map(Subject::as_str),
        frame
    ])?;
    for versions in &recorded.versions {
        let Some(last) = commit.last_on(&versions.stream) else {
            continue;
        };
        let version = to_sql(versions.last.value());
        let (id, attempt) = (last.commit.as_bytes(), last.attempt.value());
        let stream = match streams.get(&versions.stream) {
            Some(row) => {
                let sql = "UPDATE streams SET version = ?2, last_commit = ?3, last_attempt = ?4,
                           last_index = ?5 WHERE id = ?1";
                let mut statement = transaction.prepare_cached(sql)?;
                statement.execute(params![row.id, version, id, attempt, last.index])?;
                row.id
            }
            None => {
                let sql = "INSERT INTO streams
                             (log, name, version, last_commit, last_attempt, last_index)
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
                let name = versions.stream.as_str();
                let mut statement = transaction.prepare_cached(sql)?;
                statement.insert(params![log.id, name, version, id, attempt, last.index])?
            }
        };
        let sql =
            "INSERT INTO stream_commits (stream, first, last, position) VALUES (?1, ?2, ?3, ?4)";
        let mut statement = transaction.prepare_cached(sql)?;
        statement.execute(params![
            stream,
            to_sql(versions.first.value()),
            version,
            first
        ])?;
    }
    log.state.head = LogHead {
        position: recorded.last_position(),
        chain,
    };
    log.recorded_at = recorded.recorded_at;
    Ok(())
}

/// The streams that a commit writes or has conditions on, of those that exist.
fn streams(
    transaction: &Transaction<'_>,
    log: i64,
    commit: &Commit,
) -> Result<BTreeMap<StreamId, StreamRow>, StoreError> {
    let written = commit.events.iter().map(|event| &event.stream);
    let read = commit.conditions.iter().map(|condition| &condition.stream);
    let mut asked: Vec<&StreamId> = written.chain(read).collect();
    asked.sort_unstable();
    asked.dedup();
    let mut streams = BTreeMap::new();
    for stream in asked {
        if let Some(row) = rows::stream(transaction, log, stream)? {
            streams.insert(stream.clone(), row);
        }
    }
    Ok(streams)
}

/// The stored commit of this id.
fn known(
    transaction: &Transaction<'_>,
    log: &LogRow,
    id: CommitId,
) -> Result<Option<Known>, StoreError> {
    type Columns = (i64, i64, Attempt, [u8; 32], Option<String>, Vec<u8>);
    let sql = "SELECT first, last, attempt, digest, actor, frame FROM commits
               WHERE log = ?1 AND id = ?2";
    let mut statement = transaction.prepare_cached(sql)?;
    let columns: Option<Columns> = statement
        .query_row(params![log.id, id.as_bytes()], |row| {
            let attempt = Attempt::new(row.get(2)?);
            Ok((
                row.get(0)?,
                row.get(1)?,
                attempt,
                blob(row, 3)?,
                row.get(4)?,
                row.get(5)?,
            ))
        })
        .optional()?;
    let Some((first, last, attempt, digest, actor, bytes)) = columns else {
        return Ok(None);
    };
    let first = Position::new(from_sql(first));
    let versions = match frame::decode(&bytes).map(|frame| frame.body) {
        Ok(frame::Body::Recorded(commits)) => commits
            .into_iter()
            .next()
            .map(|recorded| recorded.versions)
            .unwrap_or_default(),
        _ => {
            let detail = format!("the commit stored at position {first} is damaged");
            return Err(StoreError::Unavailable { detail });
        }
    };
    let last = Position::new(from_sql(last));
    Ok(Some(Known {
        receipt: Receipt {
            attempt,
            first,
            last,
            versions,
        },
        digest: Digest::from_bytes(digest),
        actor: actor.and_then(|actor| Subject::new(actor).ok()),
    }))
}

fn seq_taken_by(
    transaction: &Transaction<'_>,
    log: i64,
    commit: &Commit,
) -> Result<Option<CommitId>, StoreError> {
    let sql = "SELECT id FROM commits WHERE log = ?1 AND replica = ?2 AND seq = ?3";
    let mut statement = transaction.prepare_cached(sql)?;
    let key = params![
        log,
        commit.replica.as_bytes(),
        commit.seq.value().cast_signed()
    ];
    let id = statement.query_row(key, |row| blob(row, 0)).optional()?;
    Ok(id.map(CommitId::from_bytes))
}

fn next_seq(
    transaction: &Transaction<'_>,
    log: i64,
    replica: ReplicaId,
) -> Result<Seq, StoreError> {
    let sql = "SELECT coalesce(max(seq), 0) FROM commits WHERE log = ?1 AND replica = ?2";
    let mut statement = transaction.prepare_cached(sql)?;
    let last: i64 = statement.query_row(params![log, replica.as_bytes()], |row| row.get(0))?;
    Ok(Seq::new(from_sql(last)).next())
}

/// The subject that a replica belongs to; `None` if it is new.
fn owner(
    transaction: &Transaction<'_>,
    log: i64,
    replica: ReplicaId,
) -> Result<Option<Option<Subject>>, StoreError> {
    let sql = "SELECT subject FROM replicas WHERE log = ?1 AND replica = ?2";
    let mut statement = transaction.prepare_cached(sql)?;
    let subject: Option<Option<String>> = statement
        .query_row(params![log, replica.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(subject.map(|subject| subject.and_then(|subject| Subject::new(subject).ok())))
}

fn bind(
    transaction: &Transaction<'_>,
    log: i64,
    replica: ReplicaId,
    subject: Option<&Subject>,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO replicas (log, replica, subject) VALUES (?1, ?2, ?3)";
    let subject = subject.map(Subject::as_str);
    transaction
        .prepare_cached(sql)?
        .execute(params![log, replica.as_bytes(), subject])?;
    Ok(())
}

/// Makes a log if there is none of this name.
pub(super) fn create(
    transaction: &Transaction<'_>,
    log: &tidelog_core::LogName,
    now: Timestamp,
    epoch: tidelog_core::Epoch,
) -> Result<LogRow, StoreError> {
    let sql = "INSERT INTO logs (name, epoch, head, chain, recorded_at, created_at)
               VALUES (?1, ?2, 0, ?3, 0, ?4) ON CONFLICT (name) DO NOTHING";
    let chain = ChainHash::default();
    transaction.execute(
        sql,
        params![
            log.as_str(),
            epoch.as_bytes(),
            chain.as_bytes(),
            now.millis()
        ],
    )?;
    rows::log(transaction, log)
}
