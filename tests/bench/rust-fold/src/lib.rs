//! The benchmark's fold of loan applications, as a Rust front end would write it: a [`Model`] in a [`Session`].
//!
//! `npm run bench` builds it for the browser and serves it beside the page, which calls [`open`] on a database that the npm
//! package has filled and holds [`Opened::rows`] against a plain fold of the data.

mod loan;
mod names;

use loan::Loans;
use std::rc::Rc;
use tidelog_client::{Options, Retain, Session, TAKE_OVER_MILLIS};
use tidelog_core::store::Durability;
use tidelog_core::{Filter, LogName, Subject};
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

/// The user of a log that names none.
const NOBODY: &str = "anonymous";

/// An open log with its fold.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Opened {
    session: Session<Loans>,
}

/// Opens the database of this log, which stays on this device, and folds all of it: no snapshot is read.
///
/// # Errors
/// If the name is none, or the database cannot be opened or read.
#[wasm_bindgen]
pub async fn open(log: String) -> Result<Opened, JsError> {
    let options = Options {
        log: LogName::new(log)?,
        user: Subject::new(NOBODY)?,
        url: None,
        token: None,
        detached: false,
        filter: Filter::default(),
        take_over_after: TAKE_OVER_MILLIS,
        durability: Durability::Strict,
        retain: Retain::All,
        snapshots: false,
        folds: Vec::new(),
        wake: Rc::new(|| {}),
    };
    let session = Session::open(Loans::default(), options).await?;
    Ok(Opened { session })
}

#[wasm_bindgen]
impl Opened {
    /// All rows as JSON: `[[key, loan], …]`.
    ///
    /// # Errors
    /// Never; a row is always JSON.
    pub fn rows(&self) -> Result<String, JsError> {
        let rows = self.session.with_states(|states| {
            states
                .map(|(key, state)| (key.to_owned(), state.to_row()))
                .collect::<Vec<_>>()
        });
        Ok(serde_json::to_string(&rows)?)
    }
}
