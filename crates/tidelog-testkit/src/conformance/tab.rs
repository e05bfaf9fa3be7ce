//! A store with the view of it that a tab would have, and the frames that it writes.

use super::StoreFactory;
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use tidelog_core::store::{
    Durability, Head, Loaded, Outcome, Store, StoreError, StoreOp, WriteBatch, Written,
};
use tidelog_core::{
    Attempt, ChainHash, Commit, CommitId, Cursor, Epoch, Event, EventType, Meta, Payload, Position,
    Recorded, ReplicaId, SchemaVersion, Seq, StreamId, Timestamp, frame,
};

/// The database of one case.
#[derive(Debug)]
pub struct Database<'a, F> {
    factory: &'a F,
    name: &'static str,
}

/// The replica id that a case's database is made with.
pub(super) const REPLICA: ReplicaId = ReplicaId::from_bytes([0xA5; 16]);

impl<'a, F: StoreFactory> Database<'a, F> {
    /// The empty database of a case.
    pub async fn fresh(factory: &'a F, name: &'static str) -> Self {
        factory.wipe(name).await;
        Self { factory, name }
    }

    /// Opens a handle as a tab does.
    pub async fn open(&self) -> Tab<F::Store> {
        self.open_as(REPLICA).await
    }

    /// Opens a handle with a replica id of the caller's, used if the database is new.
    pub async fn open_as(&self, replica: ReplicaId) -> Tab<F::Store> {
        let store = self
            .factory
            .open(self.name, replica)
            .await
            .expect("the database opens");
        let mut tab = Tab {
            store,
            replica,
            head: Head::default(),
        };
        let loaded = tab.load_all().await;
        (tab.replica, tab.head) = (loaded.replica, loaded.head);
        tab
    }

    /// Deletes it from outside.
    pub async fn wipe(&self) {
        self.factory.wipe(self.name).await;
    }
}

/// A handle and the head it believes in.
#[derive(Debug)]
pub struct Tab<S> {
    pub(super) store: S,
    pub(super) replica: ReplicaId,
    pub(super) head: Head,
}

impl<S: Store> Tab<S> {
    /// The next batch of this tab, with changes but no other head than one generation on.
    pub(super) fn batch(&self, ops: Vec<StoreOp>) -> WriteBatch {
        let head = Head {
            generation: self.head.generation.next(),
            ..self.head
        };
        let expected = self.head.generation;
        WriteBatch {
            replica: self.replica,
            expected,
            head,
            ops,
            durability: Durability::Strict,
        }
    }

    /// Writes a batch and believes in its head if it was stored.
    pub(super) async fn commit(&mut self, batch: WriteBatch) -> Result<Written, StoreError> {
        let head = batch.head;
        let written = self.store.write(batch).await;
        if written == Ok(Written::Done) {
            self.head = head;
        }
        written
    }

    pub(super) async fn write(&mut self, ops: Vec<StoreOp>) -> Result<Written, StoreError> {
        let batch = self.batch(ops);
        self.commit(batch).await
    }

    /// Writes changes that must be stored.
    pub(super) async fn done(&mut self, ops: Vec<StoreOp>) {
        assert_eq!(
            self.write(ops).await,
            Ok(Written::Done),
            "the batch is stored"
        );
    }

    pub(super) async fn load(&self, after: u64, max_bytes: usize) -> Loaded {
        self.store
            .load(Position::new(after), max_bytes)
            .await
            .expect("the store loads")
    }

    pub(super) async fn load_all(&self) -> Loaded {
        self.load(0, usize::MAX).await
    }

    /// Asserts that a batch failed as a whole: aborted, and what is stored is what was stored before.
    pub(super) async fn assert_aborts(&mut self, ops: Vec<StoreOp>) {
        let before = self.load_all().await;
        let lost_before = self.store.lost().await;
        let result = self.write(ops).await;
        assert!(
            matches!(result, Err(StoreError::Aborted { .. })),
            "aborted, not {result:?}"
        );
        assert_eq!(
            self.load_all().await,
            before,
            "an aborted batch leaves nothing behind"
        );
        assert_eq!(
            self.store.lost().await,
            lost_before,
            "an aborted batch leaves nothing behind"
        );
    }
}

pub(super) fn add_pending(first: u64, frame: &[u8], commits: usize) -> StoreOp {
    let outcomes = vec![Outcome::Pending; commits];
    StoreOp::AddPending {
        first: Seq::new(first),
        frame: frame.to_vec(),
        outcomes,
    }
}

pub(super) fn put_outcomes(first: u64, outcomes: &[Outcome]) -> StoreOp {
    StoreOp::PutOutcomes {
        first: Seq::new(first),
        outcomes: outcomes.to_vec(),
    }
}

pub(super) fn add_log(first: u64, frame: &[u8]) -> StoreOp {
    StoreOp::AddLog {
        first: Position::new(first),
        frame: frame.to_vec(),
    }
}

pub(super) fn put_parked(id: u8, record: &[u8]) -> StoreOp {
    StoreOp::PutParked {
        id: commit_id(id),
        record: record.to_vec(),
    }
}

pub(super) fn add_lost(frame: &[u8]) -> StoreOp {
    StoreOp::AddLost {
        frame: frame.to_vec(),
    }
}

pub(super) fn commit_id(id: u8) -> CommitId {
    CommitId::from_bytes([id; 16])
}

pub(super) fn positions(firsts: &[u64]) -> Vec<Position> {
    firsts.iter().copied().map(Position::new).collect()
}

pub(super) fn cursor(position: u64) -> Cursor {
    let epoch = Epoch::from_bytes([9; 16]);
    Cursor {
        epoch,
        position: Position::new(position),
        chain: ChainHash::from_bytes([0xEE; 32]),
    }
}

/// A recorded frame of one commit that holds the positions from `first` to `last`, in the epoch whose bytes are all 9.
///
/// # Panics
/// Never: the names in it are valid.
#[must_use]
pub fn recorded(first: u64, last: u64) -> Vec<u8> {
    let event = |at: u64| Event {
        stream: StreamId::new("todo/1").expect("a stream id"),
        event_type: EventType::new("todo.added").expect("an event type"),
        schema: SchemaVersion::FIRST,
        data: Payload::json(&format!("{{\"at\":{at}}}")),
        occurred_at: Timestamp::from_millis(0),
        tags: vec![],
        meta: Meta::default(),
    };
    let commit = Commit {
        id: commit_id(1),
        attempt: Attempt::FIRST,
        replica: REPLICA,
        seq: Seq::new(1),
        conditions: vec![],
        events: (first..=last).map(event).collect(),
    };
    let recorded = Recorded {
        commit,
        position: Position::new(first),
        recorded_at: Timestamp::from_millis(0),
        actor: None,
        versions: vec![],
    };
    frame::encode_recorded(cursor(0).epoch, ChainHash::default(), &[recorded])
}

pub(super) fn position(at: u64) -> Position {
    Position::new(at)
}

/// A frame of [`recorded`] for each pair of first and last position, added in one batch, and the log's end moved there.
pub(super) async fn fill<S: Store>(tab: &mut Tab<S>, frames: &[(u64, u64)]) -> Vec<Vec<u8>> {
    let bytes: Vec<Vec<u8>> = frames
        .iter()
        .map(|(first, last)| recorded(*first, *last))
        .collect();
    let ops = frames.iter().zip(&bytes);
    let mut batch = tab.batch(
        ops.map(|((first, _), frame)| add_log(*first, frame))
            .collect(),
    );
    batch.head.cursor = cursor(frames.last().map_or(0, |(_, last)| *last));
    assert_eq!(tab.commit(batch).await, Ok(Written::Done));
    bytes
}

/// Runs two futures at once.
pub(super) async fn both<A, B>(
    left: impl Future<Output = A>,
    right: impl Future<Output = B>,
) -> (A, B) {
    let (mut left, mut right) = (pin!(left), pin!(right));
    let (mut from_left, mut from_right) = (None, None);
    poll_fn(|context| {
        if from_left.is_none() {
            from_left = ready(left.as_mut().poll(context));
        }
        if from_right.is_none() {
            from_right = ready(right.as_mut().poll(context));
        }
        match (from_left.take(), from_right.take()) {
            (Some(left), Some(right)) => Poll::Ready((left, right)),
            (left, right) => {
                (from_left, from_right) = (left, right);
                Poll::Pending
            }
        }
    })
    .await
}

fn ready<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
