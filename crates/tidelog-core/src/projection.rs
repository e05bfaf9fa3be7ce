//! Projections: keyed folds of the log into rows.
//!
//! A [`View`] holds a projection's rows in two layers. The confirmed layer is the fold of the confirmed log and only ever
//! moves forward. The overlay is what the commits that are not confirmed do on top of it; a rebase throws it away and folds
//! it again. What is shown is always `fold(fold(confirmed), acked and pending)`.
//!
//! ```
//! use tidelog_core::{*, projection::{Projection, View}};
//!
//! /// How many events each stream has.
//! struct Count;
//! impl Projection for Count {
//!     type Row = u64;
//!     fn version(&self) -> u32 { 1 }
//!     fn initial(&self) -> u64 { 0 }
//!     fn evolve(&self, row: &mut u64, _event: &Event) { *row += 1; }
//! }
//! let event = Event {
//!     stream: StreamId::new("todo/1")?, event_type: EventType::new("todo.added")?,
//!     schema: SchemaVersion::FIRST, data: Payload::json("{}"),
//!     occurred_at: Timestamp::from_millis(0), tags: vec![], meta: Meta::default(),
//! };
//! let mut view = View::new(Count);
//! view.confirm(&event);
//! view.overlay([&event]);
//! assert_eq!(view.row("todo/1"), Some(&2));
//! view.overlay([]);
//! assert_eq!(view.row("todo/1"), Some(&1));
//! # Ok::<(), tidelog_core::text::TextError>(())
//! ```

use crate::event::Event;
use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};

/// A keyed fold of the log. Pure and total, as [`Decider::evolve`](crate::decider::Decider::evolve) is.
pub trait Projection {
    /// One row.
    type Row: Clone;

    /// The version of the fold. Raise it when the fold changes: rows of another version are never used.
    fn version(&self) -> u32;

    /// A row that no event has touched.
    fn initial(&self) -> Self::Row;

    /// The row that an event touches, none if the projection ignores it. The default is the event's stream.
    fn key<'a>(&self, event: &'a Event) -> Option<Cow<'a, str>> {
        Some(Cow::Borrowed(event.stream.as_str()))
    }

    /// Applies an event to its row.
    fn evolve(&self, row: &mut Self::Row, event: &Event);
}

/// The rows of a projection, confirmed and shown.
#[derive(Debug)]
pub struct View<P: Projection> {
    projection: P,
    confirmed: BTreeMap<String, P::Row>,
    overlay: BTreeMap<String, P::Row>,
}

impl<P: Projection> View<P> {
    /// A view without rows.
    pub const fn new(projection: P) -> Self {
        Self {
            projection,
            confirmed: BTreeMap::new(),
            overlay: BTreeMap::new(),
        }
    }

    /// Applies a confirmed event, in the order of the log. The overlay is as it was: give it anew afterwards.
    pub fn confirm(&mut self, event: &Event) {
        if let Some(key) = self.projection.key(event) {
            let row = self
                .confirmed
                .entry(key.into_owned())
                .or_insert_with(|| self.projection.initial());
            self.projection.evolve(row, event);
        }
    }

    /// Forgets every row: the log begins again.
    pub fn reset(&mut self) {
        self.confirmed.clear();
        self.overlay.clear();
    }

    /// Replaces the overlay by what these events, not confirmed and in order, make of the confirmed rows. Gives the keys
    /// whose row may have changed by that. Costs O(events), not O(rows).
    pub fn overlay<'a>(&mut self, events: impl IntoIterator<Item = &'a Event>) -> BTreeSet<String> {
        let mut changed: BTreeSet<String> =
            core::mem::take(&mut self.overlay).into_keys().collect();
        for event in events {
            changed.extend(self.apply(event));
        }
        changed
    }

    /// Applies one more event that is not confirmed. Gives the key of the row it changed.
    pub fn apply(&mut self, event: &Event) -> Option<String> {
        let key = self.projection.key(event)?;
        let row = self.overlay.entry(key.to_string()).or_insert_with(|| {
            self.confirmed
                .get(&*key)
                .cloned()
                .unwrap_or_else(|| self.projection.initial())
        });
        self.projection.evolve(row, event);
        Some(key.into_owned())
    }

    /// A row as shown.
    #[must_use]
    pub fn row(&self, key: &str) -> Option<&P::Row> {
        self.overlay.get(key).or_else(|| self.confirmed.get(key))
    }

    /// A row as confirmed.
    #[must_use]
    pub fn confirmed(&self, key: &str) -> Option<&P::Row> {
        self.confirmed.get(key)
    }

    /// All rows as shown, by key.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &P::Row)> {
        let mut all: BTreeMap<&str, &P::Row> = self
            .confirmed
            .iter()
            .map(|(key, row)| (key.as_str(), row))
            .collect();
        all.extend(self.overlay.iter().map(|(key, row)| (key.as_str(), row)));
        all.into_iter()
    }

    /// The projection.
    pub const fn projection(&self) -> &P {
        &self.projection
    }
}
