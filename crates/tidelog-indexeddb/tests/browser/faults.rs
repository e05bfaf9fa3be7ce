//! The functions of `faults.js`.

use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/tests/browser/faults.js")]
extern "C" {
    #[wasm_bindgen(js_name = abortNextCommit)]
    pub(crate) fn abort_next_commit(name: &str);
    #[wasm_bindgen(js_name = fillUpAt)]
    pub(crate) fn fill_up_at(method: &str);
    #[wasm_bindgen(js_name = failNextOpening)]
    pub(crate) fn fail_next_opening(name: &str, throws: bool);
    #[wasm_bindgen(js_name = failNextAnswer)]
    pub(crate) fn fail_next_answer(method: &str, name: &str);
    #[wasm_bindgen(js_name = loseNextCommit)]
    pub(crate) fn lose_next_commit(applied: bool);
    #[wasm_bindgen(js_name = closeBeforeNextTransaction)]
    pub(crate) fn close_before_next_transaction();
    #[wasm_bindgen(js_name = watchDurability)]
    pub(crate) fn watch_durability() -> JsValue;
    pub(crate) fn strike(at: u32, how: &str) -> JsValue;
    #[wasm_bindgen(js_name = hasStruck)]
    pub(crate) fn has_struck(strikes: &JsValue) -> bool;
    #[wasm_bindgen(catch)]
    pub(crate) async fn dump(name: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = watchRequests)]
    pub(crate) fn watch_requests() -> JsValue;
    #[wasm_bindgen(js_name = stopWatching)]
    pub(crate) fn stop_watching(watch: &JsValue) -> String;
    #[wasm_bindgen(js_name = hideIndexedDb)]
    pub(crate) fn hide_indexed_db(throws: bool) -> JsValue;
    #[wasm_bindgen(js_name = showIndexedDb)]
    pub(crate) fn show_indexed_db(hidden: &JsValue);
    #[wasm_bindgen(js_name = openForeign, catch)]
    pub(crate) async fn open_foreign(name: &str, version: u32) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = closeForeign)]
    pub(crate) fn close_foreign(database: &JsValue);
    #[wasm_bindgen(js_name = upgradeIsBlocked, catch)]
    pub(crate) async fn upgrade_is_blocked(name: &str, version: u32) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = deletionIsBlocked, catch)]
    pub(crate) async fn deletion_is_blocked(name: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch)]
    pub(crate) async fn damage(
        name: &str,
        store: &str,
        key: JsValue,
        value: JsValue,
    ) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch)]
    pub(crate) async fn read(name: &str, store: &str, key: JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = storeNames, catch)]
    pub(crate) async fn store_names(name: &str) -> Result<JsValue, JsValue>;
}
