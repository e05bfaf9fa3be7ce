//! Every way in which the platform fails is told apart, and none of them loses or doubles what was written.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod browser;

use browser::{Browser, REPLICA, append, append_on, database, faults, fresh, log, open, stored};
use tidelog_core::number::Generation;
use tidelog_core::store::{
    Compaction, FoldName, FoldSnapshot, Head, SnapshotSet, Store, StoreError, StoreOp, Written,
};
use tidelog_core::{Cursor, Filter, Position, ReplicaId, Seq};
use tidelog_indexeddb::IndexedDbStore;
use tidelog_testkit::conformance::{StoreFactory as _, recorded};
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen_test]
async fn a_full_disk_fails_one_write_and_not_the_handle() {
    let store = fresh("quota").await;
    assert_eq!(append(&store).await, Ok(Written::Done));
    faults::abort_next_commit("QuotaExceededError");
    let result = append(&store).await;
    assert!(
        matches!(result, Err(StoreError::QuotaExceeded { .. })),
        "not {result:?}"
    );
    assert_eq!(stored("quota").await, [Seq::new(1)]);
    assert_eq!(append(&store).await, Ok(Written::Done));
    assert_eq!(stored("quota").await, [Seq::new(1), Seq::new(2)]);
}

/// Whatever finds the disk full says so, reads go on, and the same works once there is room.
#[wasm_bindgen_test]
async fn a_disk_that_fills_up_in_the_middle_stops_only_that() {
    let store = fresh("full").await;
    assert_eq!(append(&store).await, Ok(Written::Done));
    let segment = Compaction {
        replica: REPLICA,
        covered: vec![Position::new(1), Position::new(5)],
        segment: Some(recorded(1, 8)),
        directory: None,
        erased: Generation::default(),
    };
    let fold = FoldSnapshot {
        fold: FoldName {
            name: "todo".into(),
            version: 1,
        },
        buckets: 1,
        changed: vec![(0, vec![1])],
        whole: true,
        base: Position::START,
    };
    let set = SnapshotSet {
        replica: REPLICA,
        checkpoint: Cursor::default(),
        filter: Filter::default(),
        folds: vec![fold],
    };
    let head = store.load(Position::START, 0).await.expect("it loads").head;
    let add = |first, last| StoreOp::AddLog {
        first: Position::new(first),
        frame: recorded(first, last),
    };
    let mut pull = append_on(head);
    pull.head.next_seq = head.next_seq;
    pull.ops = vec![add(1, 4), add(5, 8)];
    let expected = [
        ("pull", 1, 2),
        ("append", 2, 2),
        ("compaction", 2, 1),
        ("snapshot", 2, 1),
    ];
    for (what, pending, log) in expected {
        for full in [true, false] {
            if full {
                let method = if matches!(what, "pull" | "append") {
                    "add"
                } else {
                    "put"
                };
                faults::fill_up_at(method);
            }
            let result = match what {
                "pull" => store
                    .write(pull.clone())
                    .await
                    .map(|done| done == Written::Done),
                "append" => append(&store).await.map(|done| done == Written::Done),
                "compaction" => store.compact(segment.clone()).await,
                _ => store.save(set.clone()).await,
            };
            match result {
                Ok(done) => assert!(!full && done, "{what}"),
                Err(StoreError::QuotaExceeded { .. }) => assert!(full, "{what}"),
                Err(error) => panic!("{what}: {error}"),
            }
            let loaded = store.load(Position::START, usize::MAX).await;
            assert!(loaded.is_ok(), "reads go on after the {what}");
        }
        let loaded = store
            .load(Position::START, usize::MAX)
            .await
            .expect("it loads");
        assert_eq!(
            (loaded.pending.len(), loaded.log.len()),
            (pending, log),
            "{what}"
        );
    }
}

/// A read that fails is never taken for a key that is not there.
#[wasm_bindgen_test]
async fn a_value_that_the_disk_does_not_give_back_is_an_error() {
    let store = fresh("unreadable").await;
    assert_eq!(append(&store).await, Ok(Written::Done));
    for method in ["get", "getAll"] {
        faults::fail_next_answer(method, "NotReadableError");
        let loaded = store.load(Position::START, 0).await.map(drop);
        assert!(
            matches!(loaded, Err(StoreError::Corrupt { .. })),
            "{method}: not {loaded:?}"
        );
    }
    let loaded = store.load(Position::START, 0).await;
    assert_eq!(
        loaded.map(|loaded| loaded.pending.len()),
        Ok(1),
        "the handle lives on"
    );
}

#[wasm_bindgen_test]
async fn a_lost_connection_leaves_the_outcome_open() {
    for (name, applied) in [("lost-applied", true), ("lost-not-applied", false)] {
        let store = fresh(name).await;
        let ended = store.ended();
        faults::lose_next_commit(applied);
        assert!(
            append(&store)
                .await
                .is_err_and(|error| error.is_outcome_unknown())
        );
        assert!(ended.await.is_outcome_unknown());

        assert!(
            append(&store)
                .await
                .is_err_and(|error| error.is_outcome_unknown()),
            "it is dead"
        );
        assert!(
            store
                .lost()
                .await
                .is_err_and(|error| error.is_outcome_unknown()),
            "it is dead"
        );
        assert_eq!(
            stored(name).await.len(),
            usize::from(applied),
            "reopening tells"
        );
    }
}

#[wasm_bindgen_test]
async fn a_failing_backing_store_leaves_the_outcome_open() {
    let store = fresh("backing-store").await;
    faults::abort_next_commit("UnknownError");
    assert!(
        append(&store)
            .await
            .is_err_and(|error| error.is_outcome_unknown())
    );
    assert!(store.ended().await.is_outcome_unknown());
}

#[wasm_bindgen_test]
async fn a_connection_that_is_closed_silently_counts_as_lost() {
    let store = fresh("closed-silently").await;
    faults::close_before_next_transaction();
    let result = store.write(append_on(Head::default())).await;
    assert!(
        matches!(result, Err(StoreError::ConnectionLost { .. })),
        "not {result:?}"
    );

    let store = open("closed-silently").await.expect("it opens again");
    faults::close_before_next_transaction();
    let result = store.load(Position::START, 0).await;
    assert!(
        matches!(result, Err(StoreError::ConnectionLost { .. })),
        "not {result:?}"
    );
    let result = store.write(append_on(Head::default())).await;
    assert!(
        matches!(result, Err(StoreError::ConnectionLost { .. })),
        "not {result:?}"
    );
    assert!(stored("closed-silently").await.is_empty());
}

#[wasm_bindgen_test]
async fn a_handle_gives_way_to_a_deletion() {
    let store = fresh("deleted").await;
    assert_eq!(append(&store).await, Ok(Written::Done));
    let ended = store.ended();
    let blocked = faults::deletion_is_blocked(&database("deleted")).await;
    assert_eq!(blocked, Ok(JsValue::FALSE));
    assert_eq!(ended.await, StoreError::Wiped);
    assert_eq!(append(&store).await, Err(StoreError::Wiped));
    assert_eq!(
        IndexedDbStore::exists(&log("deleted"), None).await,
        Ok(false),
        "none was made"
    );
}

#[wasm_bindgen_test]
async fn a_handle_gives_way_to_a_newer_build() {
    let store = fresh("upgraded").await;
    let ended = store.ended();
    let blocked = faults::upgrade_is_blocked(&database("upgraded"), 99).await;
    assert_eq!(blocked, Ok(JsValue::FALSE));
    let too_new = StoreError::TooNew {
        found: 99,
        newest: 2,
    };
    assert_eq!(ended.await, too_new);
    assert_eq!(append(&store).await, Err(too_new.clone()));
    assert_eq!(open("upgraded").await.map(drop), Err(too_new));
}

#[wasm_bindgen_test]
async fn content_of_a_newer_format_is_refused() {
    let store = fresh("newer-format").await;
    let newer = js_sys::Object::new();
    js_sys::Reflect::set(&newer, &"format".into(), &2.into()).expect("it is an object");
    faults::damage(
        &database("newer-format"),
        "meta",
        "head".into(),
        newer.into(),
    )
    .await
    .expect("the format is changed");
    let too_new = StoreError::TooNew {
        found: 2,
        newest: 1,
    };
    assert_eq!(store.load(Position::START, 0).await, Err(too_new.clone()));
    assert_eq!(
        store.write(append_on(Head::default())).await,
        Err(too_new.clone())
    );
    assert_eq!(open("newer-format").await.map(drop), Err(too_new));
}

#[wasm_bindgen_test]
async fn an_upgrade_that_another_tab_blocks_says_so() {
    Browser.wipe("blocked").await;
    let older = faults::open_foreign(&database("blocked"), 1)
        .await
        .expect("it opens");
    assert_eq!(open("blocked").await.map(drop), Err(StoreError::Blocked));
    faults::close_foreign(&older);
    let store = open("blocked").await.expect("nobody blocks it any more");
    assert_eq!(append(&store).await, Ok(Written::Done));
}

#[wasm_bindgen_test]
async fn a_deletion_that_another_tab_blocks_says_so_and_happens_later() {
    let store = fresh("deletion-blocked").await;
    let foreign = faults::open_foreign(&database("deletion-blocked"), 2)
        .await
        .expect("it opens");
    let deleted = IndexedDbStore::delete(&log("deletion-blocked"), None).await;
    assert_eq!(deleted, Err(StoreError::Blocked));
    faults::close_foreign(&foreign);
    assert_eq!(store.ended().await, StoreError::Wiped);
    assert!(stored("deletion-blocked").await.is_empty());
}

#[wasm_bindgen_test]
async fn a_handle_that_is_still_finishing_blocks_nobody() {
    let store = fresh("finishing").await;
    for _ in 0..50 {
        drop(futures_util::poll!(Box::pin(
            store.load(Position::START, 0)
        )));
    }
    store.close();
    let deleted = IndexedDbStore::delete(&log("finishing"), None).await;
    assert_eq!(deleted, Ok(()));
}

/// The deletions are asked for at every stage of the opening; neither ever waits for the other for good.
#[wasm_bindgen_test]
async fn deletions_during_an_opening_do_no_harm() {
    drop(fresh("deleted-while-opening").await);
    for stage in 0..8 {
        let deletions = async {
            for _ in 0..stage {
                let exists = IndexedDbStore::exists(&log("deleted-while-opening"), None).await;
                assert!(exists.is_ok(), "asking goes on: {exists:?}");
            }
            faults::deletion_is_blocked(&database("deleted-while-opening")).await
        };
        let opening = open("deleted-while-opening");
        let (opened, deleted) = futures_util::future::join(opening, deletions).await;
        assert!(deleted.is_ok(), "the deletion ends: {deleted:?}");
        let store = opened.expect("the opening ends with a handle");
        let appended = append(&store).await;
        assert!(
            matches!(appended, Ok(Written::Done) | Err(StoreError::Wiped)),
            "not {appended:?}"
        );
        let expected = usize::from(appended.is_ok());
        assert_eq!(
            stored("deleted-while-opening").await.len(),
            expected,
            "stage {stage}"
        );
        Browser.wipe("deleted-while-opening").await;
    }
}

#[wasm_bindgen_test]
async fn an_empty_database_of_somebody_else_is_made_ours() {
    Browser.wipe("empty").await;
    let foreign = faults::open_foreign(&database("empty"), 1)
        .await
        .expect("it opens");
    faults::close_foreign(&foreign);
    let store = open("empty").await.expect("it is upgraded");
    assert_eq!(append(&store).await, Ok(Written::Done));
}

#[wasm_bindgen_test]
async fn no_database_at_all_says_so() {
    for throws in [false, true] {
        let hidden = faults::hide_indexed_db(throws);
        let opened = open("unavailable").await.map(drop);
        let exists = IndexedDbStore::exists(&log("unavailable"), None).await;
        let deleted = IndexedDbStore::delete(&log("unavailable"), None).await;
        faults::show_indexed_db(&hidden);
        assert!(
            matches!(opened, Err(StoreError::Unavailable { .. })),
            "not {opened:?}"
        );
        assert!(
            matches!(exists, Err(StoreError::Unavailable { .. })),
            "not {exists:?}"
        );
        assert!(
            matches!(deleted, Err(StoreError::Unavailable { .. })),
            "not {deleted:?}"
        );
    }
    fresh("unavailable").await;
}

/// Private modes and blocked origins: some browsers throw, some fail later. Once it works, it works.
#[wasm_bindgen_test]
async fn an_opening_that_fails_says_why() {
    for throws in [true, false] {
        for name in ["SecurityError", "InvalidStateError", "UnknownError"] {
            faults::fail_next_opening(name, throws);
            let opened = open("not-opened").await.map(drop);
            assert!(
                matches!(&opened, Err(StoreError::Unavailable { detail }) if detail.contains(name)),
                "not {opened:?}"
            );
        }
        faults::fail_next_opening("QuotaExceededError", throws);
        let opened = open("not-opened").await.map(drop);
        assert!(
            matches!(opened, Err(StoreError::QuotaExceeded { .. })),
            "not {opened:?}"
        );
    }
    fresh("not-opened").await;
}

#[wasm_bindgen_test]
async fn damage_is_named_by_its_place() {
    let empty = js_sys::Object::new();
    let first = |number: u32| js_sys::Array::of2(&number.into(), &1.into());
    let damages: [(&str, JsValue, JsValue, &str); 8] = [
        ("meta", "head".into(), JsValue::UNDEFINED, "meta head"),
        ("meta", "head".into(), "not a head".into(), "meta head"),
        ("meta", "head".into(), empty.clone().into(), "meta head"),
        ("meta", "gaps".into(), "not gaps".into(), "meta gaps"),
        ("pending", first(1).into(), empty.into(), "pending 1"),
        ("outcome", 1.into(), "not outcomes".into(), "outcome 1"),
        (
            "outcome",
            9.into(),
            js_sys::Array::of1(&0.into()).into(),
            "outcome 9",
        ),
        ("log", 1.into(), "not bytes".into(), "log 1"),
    ];
    for (store, key, value, expected) in damages {
        let handle = fresh("damaged").await;
        assert_eq!(append(&handle).await, Ok(Written::Done));
        faults::damage(&database("damaged"), store, key, value)
            .await
            .expect("it is damaged");
        match handle.load(Position::START, usize::MAX).await {
            Err(StoreError::Corrupt { place, .. }) => {
                assert!(place.starts_with(expected), "{place} is {expected}");
            }
            other => panic!("{expected} is damaged, and yet {:?}", other.map(drop)),
        }
    }
}

/// Builds from before erasures saved states whose header does not say `erases`.
#[wasm_bindgen_test]
async fn a_state_of_a_build_that_knew_no_erasures_says_so() {
    let store = fresh("older-state").await;
    let name = FoldName {
        name: "todo".into(),
        version: 1,
    };
    let save = |whole| store.save(states(&name, whole));
    let found = async || {
        let found = store.snapshots(std::slice::from_ref(&name)).await;
        found.expect("snapshots are read").remove(0)
    };
    let is_followed = async || !found().await.expect("it is there").unfollowed;
    assert_eq!(save(true).await, Ok(true));
    assert!(is_followed().await);
    forget_who_saved(&database("older-state")).await;
    assert!(!is_followed().await);
    assert_eq!(save(false).await, Ok(false), "nothing to go on from");
    assert_eq!(save(true).await, Ok(true));
    assert!(is_followed().await);
}

/// Older builds followed erasures in the log alone, and their mark does not say that lost histories were looked through.
#[wasm_bindgen_test]
async fn what_an_older_build_followed_is_followed_once_more() {
    let store = fresh("older-mark").await;
    let name = FoldName {
        name: "todo".into(),
        version: 1,
    };
    let snapshot = async || {
        let found = store.snapshots(std::slice::from_ref(&name)).await;
        let found = found.expect("snapshots are read").remove(0);
        found.map(|found| found.unfollowed)
    };
    let through = async || {
        let loaded = store.load(Position::START, usize::MAX).await;
        loaded.expect("it is read").erased.through
    };
    let write = async |op| {
        let head = store
            .load(Position::START, 0)
            .await
            .expect("it is read")
            .head;
        let mut batch = append_on(head);
        batch.ops.push(op);
        store.write(batch).await
    };
    let erase = |through| StoreOp::Erase {
        from: Position::new(1),
        through: Position::new(through),
        frames: Vec::new(),
        lost: Vec::new(),
    };
    let older = async || {
        let mark = js_sys::Array::of2(&5.into(), &0.into());
        let database = database("older-mark");
        faults::damage(&database, "meta", "erased".into(), mark.into())
            .await
            .expect("it is as an older build wrote it");
    };
    assert!(matches!(write(erase(5)).await, Ok(Written::Done)));
    assert_eq!(through().await, Position::new(5));
    older().await;
    assert_eq!(through().await, Position::START);
    // What was saved behind it goes: whoever went on from it would not see what is to be followed.
    assert_eq!(store.save(states(&name, true)).await, Ok(true));
    assert_eq!(snapshot().await, Some(true));
    assert!(matches!(write(erase(3)).await, Ok(Written::Done)));
    assert_eq!(through().await, Position::new(3));
    assert_eq!(snapshot().await, None);
    older().await;
    assert!(matches!(write(StoreOp::ClearLog).await, Ok(Written::Done)));
    assert_eq!(store.save(states(&name, true)).await, Ok(true));
    assert_eq!(
        snapshot().await,
        Some(false),
        "an empty log has nothing to follow"
    );
}

fn states(name: &FoldName, whole: bool) -> SnapshotSet {
    SnapshotSet {
        replica: REPLICA,
        checkpoint: Cursor::default(),
        filter: Filter::default(),
        folds: vec![FoldSnapshot {
            fold: name.clone(),
            buckets: 1,
            changed: vec![(0, vec![1])],
            whole,
            base: Position::START,
        }],
    }
}

/// Changes the header of the fold `todo` into what an older build wrote.
async fn forget_who_saved(database: &str) {
    let key = || js_sys::Array::of2(&"todo".into(), &1.into()).into();
    let header = faults::read(database, "snapshots", key()).await;
    let header: js_sys::Object = header.expect("it is read").unchecked_into();
    js_sys::Reflect::delete_property(&header, &"erases".into()).expect("it is an object");
    faults::damage(database, "snapshots", key(), header.into())
        .await
        .expect("it is as an older build wrote it");
}

#[wasm_bindgen_test]
async fn a_closed_handle_says_so() {
    let store = fresh("closed").await;
    let ended = store.ended();
    let last = store.write(append_on(Head::default()));
    let mut last = Box::pin(last);
    let begun = futures_util::poll!(last.as_mut());
    assert!(begun.is_pending());
    store.close();
    assert_eq!(ended.await, StoreError::Closed);
    assert_eq!(append(&store).await, Err(StoreError::Closed));
    assert_eq!(store.frames(&[]).await, Err(StoreError::Closed));
    drop(last);
    fresh("closed").await;
}

#[wasm_bindgen_test]
async fn a_database_exists_from_its_opening_to_its_deletion() {
    let name = log("existence");
    IndexedDbStore::delete(&name, None)
        .await
        .expect("deleting nothing is no error");
    assert_eq!(IndexedDbStore::exists(&name, None).await, Ok(false));
    let store = open("existence").await.expect("it opens");
    assert_eq!(IndexedDbStore::exists(&name, None).await, Ok(true));
    assert_eq!(
        append(&store).await,
        Ok(Written::Done),
        "asking does not disturb"
    );
    IndexedDbStore::delete(&name, None)
        .await
        .expect("it is deleted");
    assert_eq!(IndexedDbStore::exists(&name, None).await, Ok(false));
}

#[wasm_bindgen_test]
async fn tabs_that_open_a_new_database_at_once_agree_on_its_replica_id() {
    Browser.wipe("opened-at-once").await;
    let ids: Vec<ReplicaId> = (1..=5).map(|n| ReplicaId::from_bytes([n; 16])).collect();
    let opened =
        futures_util::future::join_all(ids.iter().map(|id| Browser.open("opened-at-once", *id)));
    let mut replicas = Vec::new();
    for store in opened.await {
        let store = store.expect("it opens");
        replicas.push(
            store
                .load(Position::START, 0)
                .await
                .expect("it loads")
                .replica,
        );
    }
    assert_eq!(replicas.len(), 5);
    assert!(ids.contains(&replicas[0]));
    assert!(
        replicas.iter().all(|replica| *replica == replicas[0]),
        "{replicas:?}"
    );
}
