//! The memory store keeps the contract, and its faults are the ones that were asked for.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use tidelog_core::store::{Durability, Head, Outcome, StoreError, StoreOp, WriteBatch, Written};
use tidelog_core::{Position, ReplicaId, Seq};
use tidelog_testkit::memory::{Fault, FaultPlan, MemoryDatabase, MemoryFactory, MemoryStore};

tidelog_testkit::store_conformance!(native, MemoryFactory::default());

const REPLICA: ReplicaId = ReplicaId::from_bytes([1; 16]);

/// Appends one frame on top of what is stored.
fn append(store: &MemoryStore) -> Result<Written, StoreError> {
    let head = store.load_now(Position::START, 0)?.head;
    let next = Head {
        next_seq: head.next_seq.next(),
        generation: head.generation.next(),
        cursor: head.cursor,
    };
    store.write_now(&WriteBatch {
        replica: store.replica(),
        expected: head.generation,
        head: next,
        ops: vec![StoreOp::AddPending {
            first: head.next_seq,
            frame: vec![1],
            outcomes: vec![Outcome::Pending],
        }],
        durability: Durability::Strict,
    })
}

fn stored(database: &MemoryDatabase) -> Vec<Seq> {
    let loaded = database
        .open(REPLICA)
        .load_now(Position::START, 0)
        .expect("it loads");
    loaded.pending.iter().map(|frame| frame.first).collect()
}

#[test]
fn only_the_planned_write_fails() {
    let database = MemoryDatabase::default();
    let store = database.open(REPLICA);
    let quota = StoreError::QuotaExceeded {
        detail: "full".into(),
    };
    database.inject(FaultPlan::new().at(2, Fault::Fail(quota.clone())));
    assert_eq!(append(&store), Ok(Written::Done));
    assert_eq!(append(&store), Err(quota));
    assert_eq!(stored(&database), [Seq::new(1)]);
    assert_eq!(append(&store), Ok(Written::Done), "the handle lives on");
    assert_eq!(stored(&database), [Seq::new(1), Seq::new(2)]);
}

#[test]
fn an_unknown_outcome_is_either_and_kills_the_handle() {
    for (fault, expected) in [(Fault::AppliedThenLost, 1), (Fault::Lost, 0)] {
        let database = MemoryDatabase::default();
        let (store, other_tab) = (database.open(REPLICA), database.open(REPLICA));
        database.inject(FaultPlan::new().at(1, fault));
        assert!(append(&store).is_err_and(|error| error.is_outcome_unknown()));
        assert_eq!(stored(&database).len(), expected);
        assert!(
            append(&store).is_err_and(|error| error.is_outcome_unknown()),
            "it stays dead"
        );
        assert_eq!(
            append(&other_tab),
            Ok(Written::Done),
            "the other tab is not concerned"
        );
    }
}

#[test]
fn a_write_can_find_the_database_wiped() {
    let database = MemoryDatabase::default();
    let store = database.open(REPLICA);
    assert_eq!(append(&store), Ok(Written::Done));
    database.inject(FaultPlan::new().at(1, Fault::Fail(StoreError::Wiped)));
    assert_eq!(append(&store), Err(StoreError::Wiped));
    let again = database.open(ReplicaId::from_bytes([2; 16]));
    assert_eq!(again.replica(), ReplicaId::from_bytes([2; 16]));
    assert!(stored(&database).is_empty());
}

#[test]
fn a_closed_handle_says_so() {
    let database = MemoryDatabase::default();
    let store = database.open(REPLICA);
    store.close();
    assert_eq!(append(&store), Err(StoreError::Closed));
    let lost = database.open(REPLICA);
    lost.lose_connection();
    assert!(append(&lost).is_err_and(|error| error.is_outcome_unknown()));
}
