//! The connection of a handle, and why it ended.
//!
//! On `versionchange` it closes at once, so that no tab ever waits for this one; on `close` it is gone. What ends it first
//! is the reason that every later call gives.

use crate::error::Failure;
use crate::raw::{End, Ends, Listener, Transaction, Writing};
use crate::term::Knowledge;
use futures_channel::oneshot;
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use tidelog_core::store::{Durability, StoreError};
use wasm_bindgen::JsCast as _;
use web_sys::{Event, IdbDatabase, IdbVersionChangeEvent};

/// An open database.
#[derive(Debug)]
pub(crate) struct Connection {
    database: IdbDatabase,
    state: RefCell<State>,
    /// What this handle knows of the head by its own writes.
    pub(crate) knowledge: Knowledge,
    listeners: RefCell<Vec<Listener>>,
    /// Of the transactions that write.
    ends: Ends,
}

#[derive(Debug)]
enum State {
    Open(Vec<oneshot::Sender<StoreError>>),
    Gone(StoreError),
}

impl Connection {
    /// A handle of this connection. It gives way to other tabs from now on.
    pub(crate) fn new(database: IdbDatabase) -> Rc<Self> {
        let this = Rc::new(Self {
            database,
            state: RefCell::new(State::Open(Vec::new())),
            knowledge: Knowledge::default(),
            listeners: RefCell::default(),
            ends: Ends::new(),
        });
        let weak = Rc::downgrade(&this);
        let ends = this.ends.clone();
        let on_close = Listener::new(&this.database, "close", move |event| {
            ends.closed(&event);
            end(
                &weak,
                StoreError::ConnectionLost {
                    detail: "the browser closed it".into(),
                },
            );
        });
        let weak = Rc::downgrade(&this);
        let on_version_change = Listener::new(&this.database, "versionchange", move |event| {
            end(&weak, version_change(&event));
        });
        this.listeners
            .borrow_mut()
            .extend([on_close, on_version_change]);
        this
    }

    /// The reason why it ended, if it did.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match &*self.state.borrow() {
            State::Open(_) => Ok(()),
            State::Gone(why) => Err(why.clone()),
        }
    }

    /// Settles when it has ended.
    pub(crate) fn gone(&self) -> oneshot::Receiver<StoreError> {
        let (sender, receiver) = oneshot::channel();
        match &mut *self.state.borrow_mut() {
            State::Open(waiting) => waiting.push(sender),
            // The receiver is in our hands.
            State::Gone(why) => drop(sender.send(why.clone())),
        }
        receiver
    }

    /// Begins a transaction that reads.
    pub(crate) fn read(&self, stores: &[&str]) -> Result<Transaction, StoreError> {
        self.check()?;
        Transaction::begin(&self.database, stores).map_err(|failure| self.failed(&failure))
    }

    /// Begins a transaction that writes.
    pub(crate) fn write(
        &self,
        stores: &[&str],
        durability: Durability,
    ) -> Result<Writing, StoreError> {
        self.check()?;
        Writing::begin(&self.database, stores, durability, &self.ends)
            .map_err(|failure| self.failed(&failure))
    }

    /// Commits a transaction. `Ok` means that it is stored.
    pub(crate) async fn commit(&self, transaction: Writing) -> Result<(), StoreError> {
        self.ended(transaction.commit().await)
    }

    /// What a transaction's end means.
    pub(crate) fn ended(&self, end: End) -> Result<(), StoreError> {
        match end {
            End::Complete => Ok(()),
            End::Abort(failure) => Err(self.note(failure.after_commit())),
            End::ConnectionClosed => Err(self.note(StoreError::ConnectionLost {
                detail: "the browser closed it before the transaction's end".into(),
            })),
        }
    }

    /// A transaction that failed before its commit was asked for. A connection that went away meanwhile says why; the
    /// transaction says only that it was aborted.
    pub(crate) fn failed(&self, failure: &Failure) -> StoreError {
        let error = self.note(failure.before_commit());
        self.check().err().unwrap_or(error)
    }

    /// Passes an error on; one that no later call can get over ends the handle.
    pub(crate) fn note(&self, error: StoreError) -> StoreError {
        if matches!(error, StoreError::ConnectionLost { .. } | StoreError::Wiped) {
            self.end(error.clone());
        }
        error
    }

    /// Closes the connection; transactions that have begun run to their end.
    pub(crate) fn end(&self, why: StoreError) {
        let before = match &mut *self.state.borrow_mut() {
            State::Gone(_) => return,
            open => std::mem::replace(open, State::Gone(why.clone())),
        };
        self.database.close();
        if let State::Open(waiting) = before {
            for sender in waiting {
                // Nobody waits any more: then nobody wants to know.
                let _ = sender.send(why.clone());
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.end(StoreError::Closed);
    }
}

fn end(connection: &Weak<Connection>, why: StoreError) {
    if let Some(connection) = connection.upgrade() {
        connection.end(why);
    }
}

/// Somebody deletes the database, or upgrades it to a version that this build does not know.
fn version_change(event: &Event) -> StoreError {
    let version = event
        .dyn_ref::<IdbVersionChangeEvent>()
        .and_then(|event| event.new_version());
    version.map_or(StoreError::Wiped, crate::open::too_new)
}
