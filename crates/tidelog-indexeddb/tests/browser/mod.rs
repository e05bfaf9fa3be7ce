//! What the browser tests share: the factory of the conformance suite, and faults that no page can cause by itself.

use tidelog_core::store::{
    Durability, Head, Outcome, Store, StoreError, StoreOp, WriteBatch, Written,
};
use tidelog_core::{LogName, Position, ReplicaId, Seq};
use tidelog_indexeddb::{IndexedDbStore, OpenOptions};
use tidelog_testkit::conformance::StoreFactory;

#[allow(dead_code, reason = "not every test file provokes faults")]
pub(crate) mod faults;

pub(crate) const REPLICA: ReplicaId = ReplicaId::from_bytes([1; 16]);

/// Databases of this origin, one per case.
#[derive(Debug)]
pub(crate) struct Browser;

impl StoreFactory for Browser {
    type Store = IndexedDbStore;

    async fn open(&self, name: &str, new_replica: ReplicaId) -> Result<IndexedDbStore, StoreError> {
        IndexedDbStore::open(OpenOptions {
            log: log(name),
            user: None,
            replica: new_replica,
        })
        .await
    }

    async fn wipe(&self, name: &str) {
        IndexedDbStore::delete(&log(name), None)
            .await
            .expect("the database is deleted");
    }
}

pub(crate) fn log(name: &str) -> LogName {
    LogName::new(name).expect("a case's name is a log's name")
}

/// What a log's database is called, as anybody outside would have to call it.
#[allow(dead_code, reason = "the conformance suite does not ask")]
pub(crate) fn database(name: &str) -> String {
    format!("tidelog/{name}/")
}

#[allow(dead_code, reason = "the conformance suite does not ask")]
pub(crate) async fn open(name: &str) -> Result<IndexedDbStore, StoreError> {
    Browser.open(name, REPLICA).await
}

#[allow(dead_code, reason = "the conformance suite does not ask")]
pub(crate) async fn fresh(name: &str) -> IndexedDbStore {
    Browser.wipe(name).await;
    open(name).await.expect("the database opens")
}

/// A batch of one pending frame on a head.
#[allow(dead_code, reason = "the conformance suite does not ask")]
pub(crate) fn append_on(head: Head) -> WriteBatch {
    let frame = vec![7; 200 * 1024];
    WriteBatch {
        replica: REPLICA,
        expected: head.generation,
        head: Head {
            next_seq: head.next_seq.next(),
            generation: head.generation.next(),
            ..head
        },
        ops: vec![StoreOp::AddPending {
            first: head.next_seq,
            frame,
            outcomes: vec![Outcome::Pending],
        }],
        durability: Durability::Strict,
    }
}

/// Appends one pending frame on the stored head.
#[allow(dead_code, reason = "the conformance suite does not ask")]
pub(crate) async fn append(store: &IndexedDbStore) -> Result<Written, StoreError> {
    let head = store.load(Position::START, 0).await?.head;
    store.write(append_on(head)).await
}

/// The sequence numbers that are pending, seen by a handle of their own.
#[allow(dead_code, reason = "the conformance suite does not ask")]
pub(crate) async fn stored(name: &str) -> Vec<Seq> {
    let store = open(name).await.expect("the database opens");
    let loaded = store.load(Position::START, 0).await.expect("it loads");
    loaded.pending.iter().map(|frame| frame.first).collect()
}
