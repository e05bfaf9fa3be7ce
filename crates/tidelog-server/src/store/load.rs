//! How busy a store is, as it counts that itself.

use super::Load;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a store counts. Nothing is decided on it, so no order is kept between the numbers.
#[derive(Debug, Default)]
pub(super) struct Counted {
    waiting: AtomicU64,
    groups: AtomicU64,
    grouped: AtomicU64,
}

impl Counted {
    /// A push waits.
    pub(super) fn waits(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// A push that waited is not taken after all.
    pub(super) fn left(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// So many pushes that waited are written together.
    pub(super) fn group(&self, pushes: usize) {
        let pushes = pushes as u64;
        self.waiting.fetch_sub(pushes, Ordering::Relaxed);
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.grouped.fetch_add(pushes, Ordering::Relaxed);
    }

    pub(super) fn load(&self) -> Load {
        Load {
            queue: self.waiting.load(Ordering::Relaxed),
            groups: self.groups.load(Ordering::Relaxed),
            grouped: self.grouped.load(Ordering::Relaxed),
        }
    }
}
