//! Snapshots and maintenance.

use super::{LogCore, position, promise};
use crate::batch::set;
use crate::error::{invalid, number, throw};
use js_sys::{Object, Promise};
use tidelog_client::{FieldError, Fields, FoldState};
use tidelog_core::store::FoldName;
use wasm_bindgen::prelude::*;

/// The folds of an option or of a set: a list of objects with a name and a version.
pub(crate) fn fold_name(of: Fields<'_>) -> Result<FoldName, FieldError> {
    Ok(FoldName {
        name: of.text("name")?,
        version: of.small("version")?,
    })
}

fn fold_state(of: Fields<'_>) -> Result<FoldState, FieldError> {
    let mut changed = Vec::new();
    for bucket in of.list("changed")? {
        let bucket = Fields::of(&bucket);
        changed.push((bucket.small("bucket")?, bucket.text("data")?.into_bytes()));
    }
    Ok(FoldState {
        fold: fold_name(of)?,
        buckets: of.small("buckets")?,
        whole: of.value("whole").is_truthy(),
        changed,
    })
}

#[wasm_bindgen]
impl LogCore {
    /// The position at which this tab should save its folds, or 0.
    #[wasm_bindgen(js_name = snapshotDue)]
    #[must_use]
    pub fn snapshot_due(&self) -> f64 {
        let due = self.inner.snapshot_due();
        due.map_or(0.0, |position| number(position.value()))
    }

    /// The same, however little is new.
    #[wasm_bindgen(js_name = snapshotNow)]
    #[must_use]
    pub fn snapshot_now(&self) -> f64 {
        let now = self.inner.snapshot_now();
        now.map_or(0.0, |position| number(position.value()))
    }

    /// Resolves when nothing is being written and nothing waits to be.
    #[wasm_bindgen(js_name = atRest)]
    pub fn at_rest(&self) -> Promise {
        let log = self.inner.clone();
        promise(async move {
            log.at_rest().await;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Saves the folds' states at a position; false if that was not done.
    ///
    /// # Errors
    /// `invalid_argument`, or a store error's code.
    #[wasm_bindgen(js_name = saveSnapshot)]
    pub fn save_snapshot(&self, at: f64, folds: Vec<JsValue>) -> Promise {
        let log = self.inner.clone();
        let folds: Result<Vec<FoldState>, FieldError> = folds
            .iter()
            .map(|fold| fold_state(Fields::of(fold)))
            .collect();
        promise(async move {
            let folds = folds.map_err(|error| invalid("folds", &error))?;
            let saved = log.save_snapshot(position(at), folds).await;
            Ok(saved.map_err(throw)?.into())
        })
    }

    /// Forgets all snapshots.
    ///
    /// # Errors
    /// A store error's code.
    #[wasm_bindgen(js_name = forgetSnapshots)]
    pub fn forget_snapshots(&self) -> Promise {
        let log = self.inner.clone();
        promise(async move {
            log.forget_snapshots().await.map_err(throw)?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Runs maintenance until nothing is left to do, as `{ sealed }`.
    ///
    /// # Errors
    /// A store error's code.
    pub fn compact(&self) -> Promise {
        let log = self.inner.clone();
        promise(async move {
            let sealed = log.compact().await.map_err(throw)?;
            let object = Object::new();
            set(&object, "sealed", &sealed.into());
            Ok(object.into())
        })
    }
}
