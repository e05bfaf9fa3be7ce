//! What is on disk is what the design says: all stores from the first day, the asked durability, nothing but the bytes.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod browser;

use browser::{Browser, append, append_on, database, faults, fresh, open, stored};
use js_sys::{Array, Reflect, Uint8Array};
use tidelog_core::Seq;
use tidelog_core::store::{Durability, Head, Store, Written};
use tidelog_testkit::conformance::StoreFactory as _;
use wasm_bindgen::JsCast as _;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen_test]
async fn all_stores_exist_from_the_first_day() {
    drop(fresh("stores").await);
    let names = faults::store_names(&database("stores"))
        .await
        .expect("it opens");
    let expected = "directory,log,lost,meta,outcome,parked,pending,snapshots,spare1,spare2";
    assert_eq!(names.as_string().as_deref(), Some(expected));
}

#[wasm_bindgen_test]
async fn a_batch_is_as_durable_as_it_asks_for() {
    let store = fresh("durability").await;
    for (durability, name) in [
        (Durability::Strict, "strict"),
        (Durability::Relaxed, "relaxed"),
    ] {
        let head = store
            .load(tidelog_core::Position::START, 0)
            .await
            .expect("it loads")
            .head;
        let watch = faults::watch_durability();
        let batch = append_on(head);
        let written = store
            .write(tidelog_core::store::WriteBatch {
                durability,
                ..batch
            })
            .await;
        assert_eq!(faults::stop_watching(&watch), name);
        assert_eq!(written, Ok(Written::Done));
    }
}

#[wasm_bindgen_test]
async fn a_replica_id_is_minted_strictly() {
    Browser.wipe("minted").await;
    let watch = faults::watch_durability();
    drop(open("minted").await);
    assert_eq!(faults::stop_watching(&watch), "strict");
}

/// A view over wasm memory would take the whole memory with it into the database.
#[wasm_bindgen_test]
async fn a_frame_takes_nothing_else_into_the_database() {
    let store = fresh("bytes").await;
    assert_eq!(append(&store).await, Ok(Written::Done));
    let key = Array::of2(&1.into(), &1.into());
    let value = faults::read(&database("bytes"), "pending", key.into())
        .await
        .expect("it reads");
    let frame = Reflect::get(&value, &"frame".into()).expect("it is an object");
    let bytes: Uint8Array = frame.dyn_into().expect("a frame is a Uint8Array");
    assert_eq!(bytes.length(), 200 * 1024);
    assert_eq!(
        bytes
            .buffer()
            .unchecked_into::<js_sys::ArrayBuffer>()
            .byte_length(),
        200 * 1024
    );
}

/// What a durable append costs is one request, as long as no other handle writes.
#[wasm_bindgen_test]
async fn appends_in_a_row_cost_one_request_each() {
    let store = fresh("requests").await;
    assert_eq!(append(&store).await, Ok(Written::Done));
    let mut head = store
        .load(tidelog_core::Position::START, 0)
        .await
        .expect("it loads")
        .head;
    let watch = faults::watch_requests();
    for _ in 0..3 {
        let batch = append_on(head);
        head = batch.head;
        assert_eq!(store.write(batch).await, Ok(Written::Done));
    }
    assert_eq!(faults::stop_watching(&watch), "1,1,1");
    assert_eq!(stored("requests").await.len(), 4);
}

/// The caller may lose interest; what it began must not end half done.
#[wasm_bindgen_test]
async fn a_write_that_nobody_waits_for_runs_to_its_end() {
    let store = fresh("dropped").await;
    let mut write = Box::pin(store.write(append_on(Head::default())));
    assert!(futures_util::poll!(write.as_mut()).is_pending());
    drop(write);
    let mut load = Box::pin(store.load(tidelog_core::Position::START, 0));
    assert!(futures_util::poll!(load.as_mut()).is_pending());
    drop(load);
    assert_eq!(
        append(&store).await,
        Ok(Written::Done),
        "the next one stands behind it"
    );
    assert_eq!(stored("dropped").await, [Seq::new(1), Seq::new(2)]);
}
