//! The log's frames on disk, read and changed behind the back of their store.

use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen(module = "/tests/browser/disk.js")]
extern "C" {
    #[wasm_bindgen(js_name = frames)]
    fn frames_js(log: &str) -> Promise;
    #[wasm_bindgen(js_name = replace)]
    fn replace_js(log: &str, n: u32, bytes: &Uint8Array) -> Promise;
    #[wasm_bindgen(js_name = spoilSnapshots)]
    fn spoil_snapshots_js(log: &str) -> Promise;
}

/// The frames of the log, oldest first.
pub async fn frames(log: &str) -> Vec<Vec<u8>> {
    let frames: Array = JsFuture::from(frames_js(log))
        .await
        .unwrap()
        .unchecked_into();
    frames
        .iter()
        .map(|frame| Uint8Array::new(&frame).to_vec())
        .collect()
}

/// Puts bytes where the n-th frame is.
pub async fn replace(log: &str, n: u32, bytes: &[u8]) {
    JsFuture::from(replace_js(log, n, &Uint8Array::from(bytes)))
        .await
        .unwrap();
}

/// Changes a byte of every bucket; gives how many there were.
pub async fn spoil_snapshots(log: &str) -> f64 {
    JsFuture::from(spoil_snapshots_js(log))
        .await
        .unwrap()
        .as_f64()
        .unwrap()
}
