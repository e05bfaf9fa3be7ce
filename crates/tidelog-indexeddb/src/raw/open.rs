//! Opening and deleting databases with all their events.

use super::event::{FirstEvent, Listener};
use crate::error::{self, Failure};
use futures_util::future::{Either, select};
use gloo_timers::future::TimeoutFuture;
use js_sys::{Reflect, global};
use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use tidelog_core::store::StoreError;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::spawn_local;
use web_sys::{Event, IdbDatabase, IdbFactory, IdbOpenDbRequest, IdbRequest};

/// How long a request may be blocked before that is an error. A connection that is closing counts as open until its
/// last transaction ends, so `blocked` alone says nothing; one that stays open this long belongs to somebody who does not
/// give way.
const GRACE_MILLIS: u32 = 1_000;

/// What was found under a name.
#[derive(Debug)]
pub(crate) enum Opened {
    /// A database at the asked version.
    Connection(IdbDatabase),
    /// Nothing, or an older version. Nothing was changed, and nobody blocks an upgrade.
    NeedsUpgrade,
    /// A newer version than was asked for.
    Newer,
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
    .map_err(|thrown| error::opening(&Failure::of(&thrown)))?;
    let mut opening = Opening::of(request);
    if let Some(event) = unless_blocked(&opening.request, &mut opening.end).await {
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
        Opened::NeedsUpgrade | Opened::Newer => Ok(false),
    }
}

/// Deletes a database. Handles of this crate give way at once.
///
/// # Errors
/// `Blocked` if a connection that is not ours stays open; the browser deletes the database when that one closes.
pub(crate) async fn delete(name: &str) -> Result<(), StoreError> {
    let request = factory()?
        .delete_database(name)
        .map_err(|thrown| error::opening(&Failure::of(&thrown)))?;
    let mut end = FirstEvent::of(&[(&request, "success"), (&request, "error")]);
    match unless_blocked(&request, &mut end).await {
        None => Err(StoreError::Blocked),
        Some(event) if event.type_() == "success" => Ok(()),
        Some(_) => Err(error::opening(&request_failure(&request))),
    }
}

/// The event that ends a request, or nothing if somebody blocks it.
async fn unless_blocked(request: &IdbOpenDbRequest, end: &mut FirstEvent) -> Option<Event> {
    let blocked = async {
        FirstEvent::of(&[(request, "blocked")]).await;
        TimeoutFuture::new(GRACE_MILLIS).await;
    };
    match select(end, pin!(blocked)).await {
        Either::Left((event, _)) => Some(event),
        Either::Right(_) => None,
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
            let failure = request_failure(&self.request);
            return match failure.name() {
                "VersionError" => Ok(Opened::Newer),
                _ => Err(error::opening(&failure)),
            };
        }
        self.request
            .result()
            .and_then(JsCast::dyn_into)
            .map(Opened::Connection)
            .map_err(|thrown| error::opening(&Failure::of(&thrown)))
    }
}

/// The `indexedDB` of a window or a worker. Reading it throws where the origin may not store anything.
fn factory() -> Result<IdbFactory, StoreError> {
    let found = Reflect::get(&global(), &JsValue::from_str("indexedDB"))
        .map_err(|thrown| error::opening(&Failure::of(&thrown)))?;
    found.dyn_into().map_err(|_none| StoreError::Unavailable {
        detail: "there is no indexedDB".into(),
    })
}

fn request_failure(request: &IdbRequest) -> Failure {
    let error = request.error().ok().flatten();
    error.map_or_else(Failure::unexplained, |error| Failure::of(&error))
}
