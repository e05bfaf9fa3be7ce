//! IndexedDB keeps the store contract, in a real browser's worker.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod browser;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

tidelog_testkit::store_conformance!(browser, browser::Browser);
