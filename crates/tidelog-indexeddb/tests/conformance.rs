//! IndexedDB keeps the store contract, in a real browser.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use tidelog_core::store::StoreError;
use tidelog_core::{LogName, ReplicaId};
use tidelog_indexeddb::{IndexedDbStore, OpenOptions};
use tidelog_testkit::conformance::StoreFactory;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

struct Browser;

impl StoreFactory for Browser {
    type Store = IndexedDbStore;

    async fn open(&self, name: &str, replica: ReplicaId) -> Result<IndexedDbStore, StoreError> {
        IndexedDbStore::open(OpenOptions {
            log: log(name),
            user: None,
            replica,
        })
        .await
    }

    async fn wipe(&self, name: &str) {
        IndexedDbStore::delete(&log(name), None)
            .await
            .expect("the database is deleted");
    }
}

fn log(name: &str) -> LogName {
    LogName::new(name).expect("a case's name is a log's name")
}

tidelog_testkit::store_conformance!(browser, Browser);
