//! Who may append without a look at the head: what makes a durable append cost one request.
//!
//! A write that reads the head before it writes needs the browser twice. So one handle at a time holds the *term*, a
//! number in the head. Whoever holds it and knows the head adds its frame under `[next sequence number, term]`, brings the
//! new head along in the same record, and commits at once. Every other write looks first. If the term is not its own, it
//! takes the term away in its own transaction: it puts a *fence* under the one key that the holder, whose knowledge of the
//! head is exact up to this moment, would add next, and names a new term. So a holder that does not know of somebody
//! else's write always finds its key taken, the browser aborts its transaction, and it looks like everybody.
//!
//! Invariants: only the holder adds under its term; a holder's knowledge changes with its own writes alone, and it appends
//! without a look only while none of them is under way; a fence stays until the handle that it was made for removes it,
//! having learnt of it. A handle that is gone leaves at most one, a few bytes. Pending frames stand below the next
//! sequence number; a writer that does it otherwise ends this for its database ([`Term::NEVER`]), and everybody looks.
//!
//! Measured in headless Chromium 156 against a raw strict `put` of the same bytes with `commit()` (medians of 400,
//! interleaved): the head read first, then two adds and a put, 2.1 times; all issued at once and committed after the
//! head's answer 1.5; the same without the answer 1.4; a unique index as the check 1.8; one record alone 1.1. The append as
//! it is here, from Rust, 1.2; a confirmation, which looks, 2.8.

use crate::record::{MAX_KEY, Meta};
use std::cell::{Cell, RefCell};
use tidelog_core::store::{Outcome, StoreOp, WriteBatch};

/// A time in which one handle may append without a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Term(u64);

impl Term {
    /// No handle held one so far.
    pub(crate) const NOBODY: Self = Self(0);
    /// No handle shall hold one.
    pub(crate) const NEVER: Self = Self(MAX_KEY);

    pub(crate) const fn new(value: u64) -> Self {
        Self(value)
    }

    pub(crate) const fn value(self) -> u64 {
        self.0
    }

    /// May somebody hold it?
    pub(crate) fn is_held(self) -> bool {
        self != Self::NOBODY && self != Self::NEVER
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// What a handle knows of the head since its own last write, and how many of its writes are under way.
#[derive(Debug, Default)]
pub(crate) struct Knowledge {
    known: RefCell<Option<Meta>>,
    writing: Cell<usize>,
}

/// A write that is under way.
#[derive(Debug)]
pub(crate) struct UnderWay<'a>(&'a Knowledge);

impl Knowledge {
    /// Counts a write until what it gives is dropped.
    pub(crate) fn begin(&self) -> UnderWay<'_> {
        self.writing.set(self.writing.get().saturating_add(1));
        UnderWay(self)
    }

    /// What was known after the last write with a term of this handle's own.
    pub(crate) fn known(&self) -> Option<Meta> {
        *self.known.borrow()
    }

    /// A write has been stored; this is what it left. Without a term there is nothing to be remembered.
    pub(crate) fn learn(&self, meta: Meta) {
        *self.known.borrow_mut() = meta.term.is_held().then_some(meta);
    }

    /// What is known, if this batch may be appended on it without a look: whole new frames at the end and nothing else.
    pub(crate) fn allows(&self, batch: &WriteBatch) -> Option<Meta> {
        let known = self.known().filter(|_| self.writing.get() == 1)?;
        let same = batch.replica == known.replica
            && batch.expected == known.head.generation
            && batch.head.cursor == known.head.cursor
            && !batch.ops.is_empty();
        (same && is_appending(batch, &known)).then_some(known)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.writing.set(self.0.writing.get().saturating_sub(1));
    }
}

/// Do the frames begin at the next sequence number, ascend, and end before the new one?
fn is_appending(batch: &WriteBatch, known: &Meta) -> bool {
    let mut next = known.head.next_seq;
    for op in &batch.ops {
        let StoreOp::AddPending {
            first, outcomes, ..
        } = op
        else {
            return false;
        };
        let at_end = *first == next || (*first > next && next != known.head.next_seq);
        if !at_end || !is_pending(outcomes) {
            return false;
        }
        next = first.next();
    }
    next <= batch.head.next_seq
}

/// Are there outcomes, and does every commit still wait?
pub(crate) fn is_pending(outcomes: &[Outcome]) -> bool {
    !outcomes.is_empty() && outcomes.iter().all(|outcome| *outcome == Outcome::Pending)
}
