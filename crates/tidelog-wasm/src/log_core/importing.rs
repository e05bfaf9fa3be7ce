//! Importing events and frames.

use super::{LogCore, promise};
use crate::batch::set;
use crate::draft::{self, DraftError};
use crate::error::{invalid, number, throw};
use js_sys::{Object, Promise};
use tidelog_client::Imported;
use wasm_bindgen::prelude::*;

fn imported(imported: Imported, with_skipped: bool) -> JsValue {
    let object = Object::new();
    set(&object, "events", &number(imported.events).into());
    set(&object, "commits", &number(imported.commits).into());
    if with_skipped {
        set(&object, "skipped", &number(imported.skipped).into());
    }
    object.into()
}

#[wasm_bindgen]
impl LogCore {
    /// Takes in events as columns, as `{ events, commits }` when they are durable.
    ///
    /// # Errors
    /// `invalid_argument`, `invalid_commit`, `commit_too_large`, or a store error's code.
    #[wasm_bindgen(js_name = importEvents)]
    pub fn import_events(&self, batch: JsValue) -> Promise {
        let log = self.inner.clone();
        let commits = draft::import(&batch);
        promise(async move {
            let commits = commits.map_err(|error: DraftError| invalid("import", &error))?;
            let taken = log.import_events(commits).await.map_err(throw)?;
            Ok(imported(taken, false))
        })
    }

    /// Takes in whole frames, as `{ events, commits, skipped }` when they are durable.
    ///
    /// # Errors
    /// `import_mismatch`, or a store error's code.
    #[wasm_bindgen(js_name = importFrames)]
    pub fn import_frames(&self, bytes: Vec<u8>) -> Promise {
        let log = self.inner.clone();
        promise(async move {
            let taken = log.import_frames(&bytes).await.map_err(throw)?;
            Ok(imported(taken, true))
        })
    }
}
