//! A look at the head by a write that does not append on its own knowledge, and what such a write leaves.

use crate::raw::Answer;
use crate::record::{self, Meta};
use crate::schema::meta::HEAD;
use crate::schema::stores::{META, PENDING};
use crate::term::Term;
use crate::view::View;
use crate::write::Request;
use tidelog_core::store::{Head, StoreError};

/// The requests of a look, issued.
#[derive(Debug)]
pub(crate) struct Asked {
    meta: Answer,
    newest: Answer,
}

/// What a look has found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// What stands in [`META`].
    pub(crate) stored: Meta,
    /// The head, which a pending frame may have moved on since.
    pub(crate) head: Head,
}

impl Look {
    pub(crate) fn ask(view: &View<'_>) -> Result<Asked, StoreError> {
        Ok(Asked {
            meta: view.get_by(META, &HEAD.into())?,
            newest: view.last_of(PENDING)?,
        })
    }

    pub(crate) async fn read(view: &View<'_>, asked: Asked) -> Result<Self, StoreError> {
        let stored = record::read_meta(&view.value(Ok(asked.meta)).await?)?;
        let mut head = stored.head;
        // Who holds the term adds behind everything else, so the last entry is the newest that brings a head along.
        if let Some((key, value)) = view.cursor(Ok(asked.newest)).await?
            && let Some(newest) = record::read_pending(key, &value)?
        {
            newest.advance(&mut head);
        }
        Ok(Self { stored, head })
    }

    /// The term after a write: this handle's own, unless `regular` is not so.
    pub(crate) fn term(&self, own: Option<Meta>, regular: bool) -> Term {
        let stored = self.stored.term;
        if !regular || stored == Term::NEVER {
            Term::NEVER
        } else if own.is_some_and(|own| own.term == stored) {
            stored
        } else {
            stored.next()
        }
    }

    /// Leaves a head. Takes the term away from whoever else holds it, and removes what was put up against this handle.
    pub(crate) fn leave(
        &self,
        view: &View<'_>,
        after: &Meta,
        own: Option<Meta>,
        requests: &mut Vec<Request>,
    ) -> Result<(), StoreError> {
        let stored = self.stored.term;
        if let Some(own) = own.filter(|own| own.term != stored) {
            let key = record::pending_key(own.head.next_seq.value(), own.term);
            requests.push(Request::Delete(PENDING, view.checked(key)?));
        }
        if stored.is_held() && stored != after.term {
            let key = record::pending_key(self.head.next_seq.value(), stored);
            let fence = record::fence();
            requests.push(Request::Put(PENDING, view.checked(key)?, fence));
        }
        let meta = view.checked(record::meta(after))?;
        requests.push(Request::Put(META, HEAD.into(), meta));
        Ok(())
    }
}
