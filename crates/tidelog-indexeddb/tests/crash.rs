//! Every transaction that writes is stopped at each of its requests, in every way, until it runs through. Reopening shows
//! what was there before or what should be there afterwards, byte for byte, and the answer was true.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod browser;

use browser::{REPLICA, append_on, database, faults, fresh, open};
use tidelog_core::frame;
use tidelog_core::number::Generation;
use tidelog_core::store::{
    Compaction, Durability, ErasedFrame, ErasedLost, FoldName, FoldSnapshot, Head, Outcome,
    Pruning, SnapshotSet, Store, StoreError, StoreOp, WriteBatch, Written,
};
use tidelog_core::{
    ChainHash, CommitId, Cursor, Epoch, Filter, Gap, GapReason, Position, ReplicaId, Seq,
};
use tidelog_indexeddb::IndexedDbStore;
use tidelog_testkit::conformance::recorded;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

const NAME: &str = "crash";

/// How a request goes wrong. The last three strike at the commit, when all requests were made.
const FAULTS: [&str; 4] = ["throw", "abort", "close", "lose"];

/// A transaction that writes.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// One request, by the handle that holds the term.
    Append,
    /// By a handle that must look first, and takes the term away.
    AppendByAnother,
    Confirm,
    Park,
    TakeReplica,
    BeginAgain,
    CutAndQuarantine,
    Erase,
    Compact,
    Seal,
    Prune,
    Save,
    Forget,
}

const STEPS: [Step; 13] = [
    Step::Append,
    Step::AppendByAnother,
    Step::Confirm,
    Step::Park,
    Step::TakeReplica,
    Step::BeginAgain,
    Step::CutAndQuarantine,
    Step::Erase,
    Step::Compact,
    Step::Seal,
    Step::Prune,
    Step::Save,
    Step::Forget,
];

fn cursor(position: u64) -> Cursor {
    Cursor {
        epoch: Epoch::from_bytes([9; 16]),
        position: Position::new(position),
        chain: ChainHash::default(),
    }
}

fn add_log(first: u64, last: u64) -> StoreOp {
    StoreOp::AddLog {
        first: Position::new(first),
        frame: recorded(first, last),
    }
}

fn batch(head: Head, ops: Vec<StoreOp>) -> WriteBatch {
    WriteBatch {
        replica: REPLICA,
        expected: head.generation,
        head: Head {
            generation: head.generation.next(),
            ..head
        },
        ops,
        durability: Durability::Strict,
    }
}

fn compaction(covered: &[u64], last: u64, directory: Option<&[u8]>) -> Compaction {
    Compaction {
        replica: REPLICA,
        covered: covered.iter().copied().map(Position::new).collect(),
        segment: covered.first().map(|first| recorded(*first, last)),
        directory: directory.map(<[u8]>::to_vec),
        erased: Generation::default(),
    }
}

fn snapshot(at: u64, base: u64, names: &[&str], whole: bool) -> SnapshotSet {
    let fold = |name: &&str| FoldSnapshot {
        fold: FoldName {
            name: (*name).into(),
            version: 1,
        },
        buckets: 4,
        changed: vec![(0, at.to_le_bytes().to_vec()), (3, vec![7; 100])],
        whole,
        base: Position::new(base),
    };
    SnapshotSet {
        replica: REPLICA,
        checkpoint: cursor(at),
        filter: Filter::default(),
        folds: names.iter().map(fold).collect(),
    }
}

/// A database with something in every store, the handle that holds its term, and its head.
async fn prepared() -> (IndexedDbStore, Head) {
    let store = fresh(NAME).await;
    let mut head = Head::default();
    for _ in 0..2 {
        let append = append_on(head);
        head = append.head;
        assert_eq!(store.write(append).await, Ok(Written::Done));
    }
    let mut fill = batch(
        head,
        vec![
            add_log(1, 4),
            add_log(5, 8),
            add_log(9, 12),
            add_log(13, 14),
            StoreOp::AddLost { frame: vec![1] },
            StoreOp::PutParked {
                id: CommitId::from_bytes([1; 16]),
                record: vec![2],
            },
        ],
    );
    fill.head.cursor = cursor(14);
    head = fill.head;
    assert_eq!(store.write(fill).await, Ok(Written::Done));
    let sealed = store.compact(compaction(&[1], 4, Some(b"sealed"))).await;
    assert_eq!(sealed, Ok(true));
    let saved = store.save(snapshot(8, 0, &["a", "b"], true)).await;
    assert_eq!(saved, Ok(true));
    (store, head)
}

/// Runs a step: `true` if it says that it is stored.
async fn run(step: Step, store: &IndexedDbStore, head: Head) -> Result<bool, StoreError> {
    let settled = |first| StoreOp::PutOutcomes {
        first: Seq::new(first),
        outcomes: vec![Outcome::Settled],
    };
    let park = |id| StoreOp::PutParked {
        id: CommitId::from_bytes([id; 16]),
        record: vec![id; 20],
    };
    let quarantine = StoreOp::Quarantine {
        first: Position::new(9),
    };
    let write = match step {
        Step::Append | Step::AppendByAnother => append_on(head),
        Step::Confirm => {
            let mut confirm = batch(head, vec![settled(1), settled(2), add_log(15, 16)]);
            confirm.head.cursor = cursor(16);
            confirm
        }
        Step::Park => {
            let id = CommitId::from_bytes([1; 16]);
            let acked = StoreOp::PutOutcomes {
                first: Seq::new(1),
                outcomes: vec![Outcome::Acked(Position::new(15))],
            };
            let ops = vec![acked, settled(2), park(2), StoreOp::RemoveParked { id }];
            batch(head, ops)
        }
        Step::TakeReplica => {
            let replica = ReplicaId::from_bytes([5; 16]);
            batch(head, vec![StoreOp::SetReplica { replica }])
        }
        Step::BeginAgain => {
            let frame = recorded(1, 4);
            let ops = vec![StoreOp::AddLost { frame }, StoreOp::ClearLog, add_log(1, 2)];
            batch(head, ops)
        }
        Step::CutAndQuarantine => {
            let gaps = vec![gap()];
            let after = Position::new(8);
            let mut cut = batch(head, vec![quarantine, StoreOp::TruncateLog { after, gaps }]);
            cut.head.cursor = cursor(8);
            cut
        }
        Step::Erase => {
            let frame = ErasedFrame {
                first: Position::new(1),
                frame: frame::merge(&[&recorded(1, 4)[..]]).expect("a frame").frame,
                directory: b"erased".to_vec(),
            };
            let lost = ErasedLost {
                number: 1,
                frame: Some(vec![3]),
            };
            let (from, through) = (Position::new(2), Position::new(14));
            batch(
                head,
                vec![StoreOp::Erase {
                    from,
                    through,
                    frames: vec![frame],
                    lost: vec![lost],
                }],
            )
        }
        Step::Compact => return store.compact(compaction(&[5, 9, 13], 14, None)).await,
        Step::Seal => return store.compact(compaction(&[5, 9], 12, Some(b"b"))).await,
        Step::Prune => {
            let pruning = Pruning {
                replica: REPLICA,
                epoch: cursor(0).epoch,
                through: Position::new(4),
                gaps: vec![gap()],
            };
            return store.prune(pruning).await;
        }
        Step::Save => return store.save(snapshot(14, 8, &["a", "b"], false)).await,
        Step::Forget => return store.forget(&[]).await.map(|()| true),
    };
    Ok(store.write(write).await? == Written::Done)
}

fn gap() -> Gap {
    Gap {
        from: Position::new(1),
        to: Position::new(4),
        reason: GapReason::Retention,
    }
}

async fn dump() -> String {
    let dumped = faults::dump(&database(NAME)).await.expect("it opens");
    dumped.as_string().expect("it is a text")
}

/// The handle that runs a step on a prepared database.
async fn handle(step: Step) -> (IndexedDbStore, Head) {
    let (store, head) = prepared().await;
    match step {
        Step::AppendByAnother => (open(NAME).await.expect("it opens"), head),
        _ => (store, head),
    }
}

/// What is stored before and after a step, if nothing goes wrong.
async fn expected(step: Step) -> (String, String) {
    let (store, head) = handle(step).await;
    let before = dump().await;
    assert_eq!(run(step, &store, head).await, Ok(true), "{step:?}");
    let after = dump().await;
    assert_ne!(before, after, "{step:?} changes something");
    (before, after)
}

/// What the answer promises is what reopening shows.
async fn assert_true(
    answer: &Result<bool, StoreError>,
    before: &str,
    after: &str,
    which: &str,
) -> bool {
    drop(open(NAME).await.expect("it opens again"));
    let shown = dump().await;
    assert!(
        shown == before || shown == after,
        "{which} left something half done: {shown}"
    );
    match answer {
        Ok(true) => assert_eq!(shown, after, "{which} said that it was stored"),
        Ok(false) => panic!("{which} found something else than it was made for"),
        Err(error) if error.is_outcome_unknown() => {}
        Err(error) => assert_eq!(shown, before, "{which} said {error}: nothing is stored"),
    }
    shown == after
}

async fn strike_everywhere(step: Step) {
    let (before, after) = expected(step).await;
    for how in FAULTS {
        let mut at = 1;
        loop {
            let (store, head) = handle(step).await;
            let strikes = faults::strike(at, how);
            let answer = run(step, &store, head).await;
            let struck = faults::has_struck(&strikes);
            drop(store);
            let which = format!("{step:?}, {how} at request {at}");
            let stored = assert_true(&answer, &before, &after, &which).await;
            if !struck {
                assert!(
                    stored && answer == Ok(true),
                    "{which} runs through: {answer:?}"
                );
                break;
            }
            assert!(how == "close" || !stored, "{which} was stopped: {answer:?}");
            at += 1;
        }
        let requests = at - 1;
        let least = if matches!(step, Step::Append) { 1 } else { 3 };
        assert!(requests >= least, "{step:?} makes {requests} requests");
    }
}

async fn strike_at_the_commit(step: Step) {
    let (before, after) = expected(step).await;
    for (applied, how) in [(false, "abort"), (false, "lost"), (true, "lost")] {
        let (store, head) = handle(step).await;
        match how {
            "abort" => faults::abort_next_commit("QuotaExceededError"),
            _ => faults::lose_next_commit(applied),
        }
        let answer = run(step, &store, head).await;
        assert!(answer.is_err(), "{step:?}, {how} at the commit: {answer:?}");
        drop(store);
        let which = format!("{step:?}, {how} at the commit");
        let stored = assert_true(&answer, &before, &after, &which).await;
        assert_eq!(stored, applied, "{which}");
    }
}

/// One test for each step, so that a failure names it.
macro_rules! crashes {
    ($($name:ident: $step:ident,)*) => {
        $(
            #[wasm_bindgen_test]
            async fn $name() {
                strike_everywhere(Step::$step).await;
                strike_at_the_commit(Step::$step).await;
            }
        )*

        #[wasm_bindgen_test]
        fn no_step_is_left_out() {
            let tested = [$(Step::$step,)*].map(|step| format!("{step:?}"));
            assert_eq!(tested, STEPS.map(|step| format!("{step:?}")));
        }
    };
}

crashes! {
    an_append_is_there_or_not: Append,
    an_append_that_takes_the_term_is_there_or_not: AppendByAnother,
    a_confirmation_is_there_or_not: Confirm,
    a_parking_is_there_or_not: Park,
    a_new_replica_id_is_there_or_not: TakeReplica,
    a_new_beginning_is_there_or_not: BeginAgain,
    a_cut_is_there_or_not: CutAndQuarantine,
    an_erasure_is_there_or_not: Erase,
    a_compaction_is_there_or_not: Compact,
    a_sealing_is_there_or_not: Seal,
    a_pruning_is_there_or_not: Prune,
    a_snapshot_is_there_or_not: Save,
    forgetting_is_there_or_not: Forget,
}
