//! The memory store keeps the contract, and its faults are the ones that were asked for.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use tidelog_core::number::Generation;
use tidelog_core::store::{
    Compaction, Durability, FoldName, FoldSnapshot, Head, Outcome, Pruning, SnapshotSet, Store,
    StoreError, StoreOp, WriteBatch, Written,
};
use tidelog_core::{Cursor, Filter, Position, ReplicaId, Seq};
use tidelog_testkit::conformance::recorded;
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

/// Everything that a database gives out.
fn shown(database: &MemoryDatabase) -> String {
    let store = database.open(REPLICA);
    let fold = fold();
    let folds = std::slice::from_ref(&fold);
    tidelog_testkit::block_on(async {
        format!(
            "{:?}",
            (
                store.load(Position::START, usize::MAX).await,
                store.directory(Position::START).await,
                store.snapshots(folds).await,
                store.quarantined().await,
                store.lost().await,
            )
        )
    })
}

fn fold() -> FoldName {
    FoldName {
        name: "todo".into(),
        version: 1,
    }
}

fn save(whole: bool) -> SnapshotSet {
    SnapshotSet {
        replica: REPLICA,
        checkpoint: Cursor::default(),
        filter: Filter::default(),
        folds: vec![FoldSnapshot {
            fold: fold(),
            buckets: 4,
            changed: vec![(0, vec![u8::from(whole)]), (3, vec![3])],
            whole,
            base: Position::START,
        }],
    }
}

/// A database with two frames of which one is sealed, two pending ones and a snapshot.
fn filled() -> (MemoryDatabase, MemoryStore) {
    let database = MemoryDatabase::default();
    let store = database.open(REPLICA);
    for _ in 0..2 {
        assert_eq!(append(&store), Ok(Written::Done));
    }
    assert_eq!(
        write(&store, vec![log(1, 4), log(5, 8), log(9, 10)]),
        Ok(true)
    );
    let sealed = compact(&store, &[1], 4, Some(b"sealed"));
    assert_eq!(sealed, Ok(true));
    assert_eq!(tidelog_testkit::block_on(store.save(save(true))), Ok(true));
    (database, store)
}

fn log(first: u64, last: u64) -> StoreOp {
    StoreOp::AddLog {
        first: Position::new(first),
        frame: recorded(first, last),
    }
}

fn write(store: &MemoryStore, ops: Vec<StoreOp>) -> Result<bool, StoreError> {
    let head = store.load_now(Position::START, 0)?.head;
    let next = Head {
        generation: head.generation.next(),
        ..head
    };
    let written = store.write_now(&WriteBatch {
        replica: store.replica(),
        expected: head.generation,
        head: next,
        ops,
        durability: Durability::Strict,
    });
    written.map(|written| written == Written::Done)
}

fn compact(
    store: &MemoryStore,
    covered: &[u64],
    last: u64,
    directory: Option<&[u8]>,
) -> Result<bool, StoreError> {
    let first = covered.first().copied().unwrap_or_default();
    tidelog_testkit::block_on(store.compact(Compaction {
        replica: REPLICA,
        covered: covered.iter().copied().map(Position::new).collect(),
        segment: Some(recorded(first, last)),
        directory: directory.map(<[u8]>::to_vec),
        erased: Generation::default(),
    }))
}

/// A transaction that writes, by its name.
type Step = (&'static str, fn(&MemoryStore) -> Result<bool, StoreError>);

const STEPS: [Step; 7] = [
    ("append", |store| {
        append(store).map(|written| written == Written::Done)
    }),
    ("confirm", |store| {
        let settled = |first| StoreOp::PutOutcomes {
            first: Seq::new(first),
            outcomes: vec![Outcome::Settled],
        };
        write(store, vec![settled(1), settled(2), log(11, 12)])
    }),
    ("cut", |store| {
        let gaps = vec![];
        let (first, after) = (Position::new(5), Position::new(4));
        let cut = StoreOp::TruncateLog { after, gaps };
        write(store, vec![StoreOp::Quarantine { first }, cut])
    }),
    ("compaction", |store| {
        compact(store, &[5, 9], 10, Some(b"both"))
    }),
    ("pruning", |store| {
        tidelog_testkit::block_on(store.prune(Pruning {
            replica: REPLICA,
            epoch: Cursor::default().epoch,
            through: Position::new(4),
            gaps: vec![],
        }))
    }),
    ("snapshot", |store| {
        tidelog_testkit::block_on(store.save(save(false)))
    }),
    ("forgetting", |store| {
        tidelog_testkit::block_on(store.forget(&[])).map(|()| true)
    }),
];

#[test]
fn a_page_that_stops_after_any_step_has_written_nothing() {
    for (name, step) in STEPS {
        let (database, store) = filled();
        let before = shown(&database);
        assert_eq!(step(&store), Ok(true), "{name}");
        let after = shown(&database);
        assert_ne!(before, after, "{name} changes something");
        let mut stopped = 0;
        loop {
            let (database, store) = filled();
            database.inject(FaultPlan::new().at(1, Fault::StopAfter(stopped)));
            match step(&store) {
                Ok(done) => {
                    assert!(done, "{name} runs through");
                    assert_eq!(shown(&database), after, "{name} runs through");
                    break;
                }
                Err(error) => {
                    assert!(error.is_outcome_unknown(), "{name}: {error}");
                    assert_eq!(shown(&database), before, "{name} after {stopped} steps");
                }
            }
            stopped += 1;
        }
        assert!(stopped > 0, "{name} was stopped at least once");
    }
}
