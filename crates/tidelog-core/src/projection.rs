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

use crate::directory::stream_hash;
use crate::erasure::is_reserved;
use crate::event::Event;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::hash::BuildHasherDefault;
use hashbrown::HashMap;
use rustc_hash::FxHasher;

/// About how many rows a bucket of a snapshot has at most.
const BUCKET_ROWS: usize = 256;

/// Rows by key. Its order means nothing: whoever lists it sorts first.
type Rows<R> = HashMap<Box<str>, R, BuildHasherDefault<FxHasher>>;

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
pub struct View<P: Projection> {
    projection: P,
    confirmed: Rows<P::Row>,
    overlay: Rows<P::Row>,
    unsaved: Unsaved,
}

/// Which buckets a stored snapshot does not have as they are.
#[derive(Debug)]
enum Unsaved {
    /// There is no snapshot, or it has another number of buckets.
    All,
    /// Those that are marked.
    Some(Vec<bool>),
}

/// Confirmed rows for a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buckets {
    /// How many there are in all, a power of two.
    pub count: u32,
    /// Do the stored ones all go?
    pub whole: bool,
    /// Those that changed since the last ones were saved, by number.
    pub changed: Vec<(u32, Vec<u8>)>,
}

impl<P: Projection> fmt::Debug for View<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("confirmed", &self.confirmed.len())
            .field("overlay", &self.overlay.len())
            .finish_non_exhaustive()
    }
}

impl<P: Projection> View<P> {
    /// A view without rows.
    pub fn new(projection: P) -> Self {
        Self {
            projection,
            confirmed: Rows::default(),
            overlay: Rows::default(),
            unsaved: Unsaved::All,
        }
    }

    /// Applies a confirmed event, in the order of the log, and gives the key of the row it changed. The overlay is as it was: give
    /// it anew afterwards. O(1), without allocation for a row that is there.
    pub fn confirm<'e>(&mut self, event: &'e Event) -> Option<Cow<'e, str>> {
        let key = self.key(event)?;
        if let Unsaved::Some(marks) = &mut self.unsaved {
            let bucket = bucket_of(&key, marks.len());
            if let Some(mark) = marks.get_mut(bucket) {
                *mark = true;
            }
        }
        match self.confirmed.get_mut(&*key) {
            Some(row) => self.projection.evolve(row, event),
            None => {
                let mut row = self.projection.initial();
                self.projection.evolve(&mut row, event);
                self.confirmed.insert(Box::from(&*key), row);
            }
        }
        Some(key)
    }

    /// The row that an event changes: none if its payload was erased, or says what was.
    fn key<'e>(&self, event: &'e Event) -> Option<Cow<'e, str>> {
        let tells = event.data.text().is_some() && !is_reserved(&event.event_type);
        tells.then(|| self.projection.key(event)).flatten()
    }

    /// Forgets every row: the log begins again.
    pub fn reset(&mut self) {
        self.confirmed.clear();
        self.overlay.clear();
        self.unsaved = Unsaved::All;
    }

    /// Replaces the overlay by what these events, not confirmed and in order, make of the confirmed rows. Gives the keys
    /// whose row may have changed by that. Costs O(events), not O(rows).
    pub fn overlay<'a>(&mut self, events: impl IntoIterator<Item = &'a Event>) -> BTreeSet<String> {
        let before = core::mem::take(&mut self.overlay).into_keys();
        let mut changed: BTreeSet<String> = before.map(String::from).collect();
        for event in events {
            changed.extend(self.apply(event));
        }
        changed
    }

    /// Applies one more event that is not confirmed. Gives the key of the row it changed.
    pub fn apply(&mut self, event: &Event) -> Option<String> {
        let key = self.key(event)?;
        match self.overlay.get_mut(&*key) {
            Some(row) => self.projection.evolve(row, event),
            None => {
                let below = self.confirmed.get(&*key).cloned();
                let mut row = below.unwrap_or_else(|| self.projection.initial());
                self.projection.evolve(&mut row, event);
                self.overlay.insert(Box::from(&*key), row);
            }
        }
        Some(key.to_string())
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

    /// All rows as shown, by key. Costs a sort of the keys.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &P::Row)> {
        let below = self.confirmed.iter();
        let below = below.filter(|(key, _)| !self.overlay.contains_key(*key));
        let all = below.chain(&self.overlay);
        let mut all: Vec<(&str, &P::Row)> = all.map(|(key, row)| (&**key, row)).collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all.into_iter()
    }

    /// The confirmed rows in buckets, those that changed since [`View::saved`]; `None` if `write` cannot say a row as
    /// bytes. Costs O(rows) for the keys and O(changed buckets) for the rows.
    ///
    /// A bucket holds, for each of its rows by ascending key, the lengths of key and row (u32, little-endian) and both. A
    /// row is in the bucket `stream_hash(key) % count`.
    pub fn unsaved(&self, mut write: impl FnMut(&P::Row) -> Option<Vec<u8>>) -> Option<Buckets> {
        let wanted = self
            .confirmed
            .len()
            .div_ceil(BUCKET_ROWS)
            .next_power_of_two();
        let (count, marks) = match &self.unsaved {
            Unsaved::Some(marks) if marks.len() >= wanted => (marks.len(), Some(marks)),
            _ => (wanted, None),
        };
        let mut rows: Vec<(usize, &str, &P::Row)> = self
            .confirmed
            .iter()
            .map(|(key, row)| (bucket_of(key, count), &**key, row))
            .filter(|(bucket, _, _)| marks.is_none_or(|marks| marks.get(*bucket) == Some(&true)))
            .collect();
        rows.sort_unstable_by_key(|(bucket, key, _)| (*bucket, *key));
        let mut changed: Vec<(u32, Vec<u8>)> = Vec::new();
        for (bucket, key, row) in rows {
            let bucket = u32::try_from(bucket).ok()?;
            if changed.last().map(|(last, _)| *last) != Some(bucket) {
                changed.push((bucket, Vec::new()));
            }
            let (_, bytes) = changed.last_mut()?;
            let row = write(row)?;
            for length in [key.len(), row.len()] {
                bytes.extend_from_slice(&u32::try_from(length).ok()?.to_le_bytes());
            }
            bytes.extend_from_slice(key.as_bytes());
            bytes.extend_from_slice(&row);
        }
        Some(Buckets {
            count: u32::try_from(count).ok()?,
            whole: marks.is_none(),
            changed,
        })
    }

    /// What [`View::unsaved`] gave last is stored, with this number of buckets, and nothing was confirmed since.
    pub fn saved(&mut self, count: u32) {
        self.unsaved = if count.is_power_of_two() {
            Unsaved::Some(alloc::vec![false; count as usize])
        } else {
            Unsaved::All
        };
    }

    /// What is stored is not known any more: the next snapshot is a whole one.
    pub fn forget_saved(&mut self) {
        self.unsaved = Unsaved::All;
    }

    /// Puts the rows of a stored bucket in, as confirmed. False if it is none; then forget the view.
    pub fn restore(
        &mut self,
        mut bucket: &[u8],
        mut read: impl FnMut(&[u8]) -> Option<P::Row>,
    ) -> bool {
        while !bucket.is_empty() {
            let Some((key, row, rest)) = entry(bucket) else {
                return false;
            };
            let Some(row) = read(row) else { return false };
            self.confirmed.insert(Box::from(key), row);
            bucket = rest;
        }
        true
    }

    /// The projection.
    pub const fn projection(&self) -> &P {
        &self.projection
    }
}

fn bucket_of(key: &str, count: usize) -> usize {
    // The count is a power of two.
    stream_hash(key) as usize & count.saturating_sub(1)
}

/// The first key and row of a bucket, and what follows.
fn entry(bucket: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let (key, bucket) = bucket.split_first_chunk()?;
    let (row, bucket) = bucket.split_first_chunk()?;
    let (key, bucket) = bucket.split_at_checked(u32::from_le_bytes(*key) as usize)?;
    let (row, rest) = bucket.split_at_checked(u32::from_le_bytes(*row) as usize)?;
    Some((core::str::from_utf8(key).ok()?, row, rest))
}
