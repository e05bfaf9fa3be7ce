//! Finding, creating and upgrading the database of a log and a user.

use crate::connection::Connection;
use crate::error;
use crate::raw::{self, Opened};
use crate::record::{self, Meta};
use crate::schema::meta::HEAD;
use crate::schema::newest;
use crate::schema::stores::{LOG, META, PENDING};
use crate::term::Term;
use crate::view::View;
use crate::write::{Request, finish};
use std::rc::Rc;
use tidelog_core::store::{Durability, Head, StoreError};
use tidelog_core::{LogName, ReplicaId, Subject};
use wasm_bindgen::JsValue;

/// How often another tab may delete the database under our hands before we say so.
const ATTEMPTS: usize = 4;

/// Which database to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOptions {
    /// The log.
    pub log: LogName,
    /// Who is signed in; each user has a database of their own.
    pub user: Option<Subject>,
    /// The replica id of the database if it is new: newly minted, never used before.
    pub replica: ReplicaId,
}

/// Opens the database, made and upgraded if need be, with its replica id in it.
pub(crate) async fn open(name: String, replica: ReplicaId) -> Result<Rc<Connection>, StoreError> {
    for _ in 0..ATTEMPTS {
        let Some(connection) = connect(&name).await? else {
            continue;
        };
        match identify(&connection, replica).await {
            // Deleted between opening and identifying: it was nobody's yet, so a new one is right.
            Err(StoreError::Wiped) => {}
            identified => return identified.map(|()| connection),
        }
    }
    Err(StoreError::Aborted {
        detail: "other tabs keep deleting the database".into(),
    })
}

/// Opens the connection; `None` if there is something to try again for.
///
/// It is not `rexie`'s, because only this one sees that an upgrade is blocked: `rexie` would wait in silence. It gives up
/// an upgrade that it could do, and `rexie`, which knows the stores, does it.
async fn connect(name: &str) -> Result<Option<Rc<Connection>>, StoreError> {
    match raw::open(name, Some(newest::VERSION)).await? {
        Opened::Connection(database) => Ok(Some(Connection::new(database))),
        Opened::NeedsUpgrade => {
            let built = newest::builder(name).build().await;
            built.map_err(|failure| error::building(&failure))?.close();
            Ok(None)
        }
        Opened::Newer => newer(name).await,
    }
}

/// A database of a newer version: the platform's error gives that only in words, so it is opened to learn it.
async fn newer(name: &str) -> Result<Option<Rc<Connection>>, StoreError> {
    let Opened::Connection(database) = raw::open(name, None).await? else {
        return Ok(None);
    };
    let version = database.version();
    database.close();
    if version > f64::from(newest::VERSION) {
        Err(too_new(version))
    } else {
        Ok(None)
    }
}

/// The error for a version of IndexedDB's that this build does not know.
pub(crate) fn too_new(version: f64) -> StoreError {
    let found = record::number(&JsValue::from_f64(version))
        .and_then(|version| u32::try_from(version).ok())
        .unwrap_or(u32::MAX);
    StoreError::TooNew {
        found,
        newest: newest::VERSION,
    }
}

/// Gives a new database its replica id and its head, and checks those of an old one.
async fn identify(connection: &Connection, replica: ReplicaId) -> Result<(), StoreError> {
    let transaction = connection.read(&[META])?;
    if is_identified(&View::new(connection, &transaction)).await? {
        return Ok(());
    }
    let transaction = connection.write(&[META, PENDING, LOG], Durability::Strict)?;
    let requests = naming(&View::new(connection, &transaction), replica).await;
    finish(connection, transaction, requests).await.map(drop)
}

async fn is_identified(view: &View<'_>) -> Result<bool, StoreError> {
    let asked = view.get_by(META, &HEAD.into())?;
    let value = view.value(Ok(asked)).await?;
    if value.is_undefined() {
        return Ok(false);
    }
    record::read_meta(&value).map(|_| true)
}

/// Nothing to be done if another tab came first.
async fn naming(view: &View<'_>, replica: ReplicaId) -> Result<Option<Vec<Request>>, StoreError> {
    if is_identified(view).await? {
        return Ok(None);
    }
    if view.count(PENDING).await? > 0 || view.count(LOG).await? > 0 {
        return Err(record::corrupt(META, HEAD));
    }
    let meta = view.checked(record::meta(&Meta {
        replica,
        head: Head::default(),
        term: Term::NOBODY,
    }))?;
    Ok(Some(vec![Request::Add(META, HEAD.into(), meta)]))
}
