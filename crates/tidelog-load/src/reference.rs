//! What a database does without a server around it: the rows that a server has stored, stored again.

pub(crate) mod postgres;
pub(crate) mod sqlite;

/// A commit's row with those that came with it: its event's place in its stream, and the stream's new end.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) id: Vec<u8>,
    pub(crate) attempt: i64,
    pub(crate) replica: Vec<u8>,
    pub(crate) seq: i64,
    pub(crate) digest: Vec<u8>,
    pub(crate) chain: Vec<u8>,
    pub(crate) recorded_at: i64,
    pub(crate) actor: Option<String>,
    pub(crate) frame: Vec<u8>,
    pub(crate) stream: i64,
    pub(crate) name: String,
    pub(crate) version: i64,
}

/// The columns of [`Stored`], of commits that hold one event.
const STORED: &str = "
SELECT c.first, c.last, c.id, c.attempt, c.replica, c.seq, c.digest, c.chain, c.recorded_at, c.actor, c.frame,
       s.id, s.name, p.last";

/// How many commits shared a transaction: those of one have the same time, and few others have it too. So this is
/// rather too much than too little, which the reference profits from.
pub(crate) fn group(rows: &[Stored]) -> usize {
    let mut times: Vec<i64> = rows.iter().map(|row| row.recorded_at).collect();
    times.dedup();
    rows.len().div_ceil(times.len().max(1)).max(1)
}
