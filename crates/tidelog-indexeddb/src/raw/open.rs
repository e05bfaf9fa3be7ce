//! Opening and deleting databases with all their events.

use super::event::{FirstEvent, Listener};
use crate::error;
use futures_util::future::{Either, select};
use js_sys::{Reflect, global};
use std::cell::Cell;
use std::rc::Rc;
use tidelog_core::store::StoreError;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::spawn_local;
use web_sys::{Event, IdbDatabase, IdbFactory, IdbOpenDbRequest, IdbRequest};

/// What was found under a name.
#[derive(Debug)]
pub(crate) enum Opened {
    /// A database at the asked version.
    Connection(IdbDatabase),
    /// Nothing, or an older version. Nothing was changed, and nobody blocks an upgrade.
    NeedsUpgrade,
}

/// Opens a database if it is there, at a version or at whichever it has.
///
/// # Errors
/// `Blocked` if another connection keeps an older version open; the request is then given up.
pub(crate) async fn open(name: &str, version: Option<u32>) -> Result<Opened, StoreError> {
    let factory = factory()?;
    let request = match version {
        Some(version) => factory.open_with_u32(name, version),
        None => factory.open(name),
    }
    .map_err(|thrown| error::opening(&thrown))?;
    let mut opening = Opening::of(request);
    let blocked = FirstEvent::of(&[(&opening.request, "blocked")]);
    let end = match select(&mut opening.end, blocked).await {
        Either::Left((event, _)) => Some(event),
        Either::Right(_) => None,
    };
    if let Some(event) = end {
        return opening.opened(&event);
    }
    spawn_local(async move {
        let event = (&mut opening.end).await;
        if let Ok(Opened::Connection(database)) = opening.opened(&event) {
            database.close();
        }
    });
    Err(StoreError::Blocked)
}

/// Is there a database of this name? Asked by opening it, because `databases()` is not everywhere.
pub(crate) async fn exists(name: &str) -> Result<bool, StoreError> {
    match open(name, None).await? {
        Opened::Connection(database) => {
            database.close();
            Ok(true)
        }
        Opened::NeedsUpgrade => Ok(false),
    }
}

/// Deletes a database. Handles of this crate give way at once.
///
/// # Errors
/// `Blocked` if a connection that is not ours stays open; the browser deletes the database when that one closes.
pub(crate) async fn delete(name: &str) -> Result<(), StoreError> {
    let request = factory()?
        .delete_database(name)
        .map_err(|thrown| error::opening(&thrown))?;
    let event = FirstEvent::of(&[
        (&request, "success"),
        (&request, "error"),
        (&request, "blocked"),
    ])
    .await;
    match event.type_().as_str() {
        "success" => Ok(()),
        "blocked" => Err(StoreError::Blocked),
        _ => Err(error::opening(&request_error(&request))),
    }
}

/// An open request that never upgrades: the schema is not this module's.
#[derive(Debug)]
struct Opening {
    request: IdbOpenDbRequest,
    end: FirstEvent,
    upgrade: Rc<Cell<bool>>,
    _on_upgrade: Listener,
}

impl Opening {
    fn of(request: IdbOpenDbRequest) -> Self {
        let end = FirstEvent::of(&[(&request, "success"), (&request, "error")]);
        let upgrade = Rc::new(Cell::new(false));
        let (asked, seen) = (request.clone(), Rc::clone(&upgrade));
        let on_upgrade = Listener::new(&request, "upgradeneeded", move |_| {
            seen.set(true);
            if let Some(transaction) = asked.transaction() {
                // It is active inside its own event, so it can be aborted.
                let _ = transaction.abort();
            }
        });
        Self {
            request,
            end,
            upgrade,
            _on_upgrade: on_upgrade,
        }
    }

    /// What the request came to, by the event that ended it.
    fn opened(&self, end: &Event) -> Result<Opened, StoreError> {
        if self.upgrade.get() {
            // An aborted upgrade is an error that we asked for: it must not reach `window.onerror`.
            end.prevent_default();
            return Ok(Opened::NeedsUpgrade);
        }
        if end.type_() != "success" {
            return Err(error::opening(&request_error(&self.request)));
        }
        self.request
            .result()
            .and_then(JsCast::dyn_into)
            .map(Opened::Connection)
            .map_err(|thrown| error::opening(&thrown))
    }
}

/// The `indexedDB` of a window or a worker. Reading it throws where the origin may not store anything.
fn factory() -> Result<IdbFactory, StoreError> {
    let found = Reflect::get(&global(), &JsValue::from_str("indexedDB"))
        .map_err(|thrown| error::opening(&thrown))?;
    found.dyn_into().map_err(|_none| StoreError::Unavailable {
        detail: "there is no indexedDB".into(),
    })
}

fn request_error(request: &IdbRequest) -> JsValue {
    request
        .error()
        .ok()
        .flatten()
        .map_or(JsValue::UNDEFINED, JsValue::from)
}
