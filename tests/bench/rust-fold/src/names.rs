//! Names that come again and again, each kept once.

use rustc_hash::FxHashSet;
use std::cell::RefCell;
use std::rc::Rc;

/// Gives the same text the same [`Rc`].
#[derive(Debug, Default)]
pub(crate) struct Names {
    known: RefCell<FxHashSet<Rc<str>>>,
}

impl Names {
    /// The kept copy of a text.
    pub(crate) fn of(&self, text: &str) -> Rc<str> {
        let mut known = self.known.borrow_mut();
        if let Some(name) = known.get(text) {
            return Rc::clone(name);
        }
        let name: Rc<str> = Rc::from(text);
        known.insert(Rc::clone(&name));
        name
    }
}
