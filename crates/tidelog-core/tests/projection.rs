//! A view shows what a plain fold of the whole log gives, and says which rows changed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod common;

use proptest::collection::vec;
use proptest::prelude::*;
use std::borrow::Cow;
use std::collections::BTreeMap;
use tidelog_core::decider::{self, Decider};
use tidelog_core::projection::{Projection, View};
use tidelog_core::*;

/// Keeps all it sees in order, so that no reordering, loss or repetition goes unnoticed. Streams of the kind `skip` are
/// ignored, and those of the kind `list` share one row.
#[derive(Debug)]
struct Transcript;

impl Projection for Transcript {
    type Row = Vec<String>;

    fn version(&self) -> u32 {
        1
    }

    fn initial(&self) -> Vec<String> {
        vec!["initial".into()]
    }

    fn key<'a>(&self, event: &'a Event) -> Option<Cow<'a, str>> {
        match event.stream.kind() {
            "skip" => None,
            "list" => Some(Cow::Borrowed("lists")),
            _ => Some(Cow::Borrowed(event.stream.as_str())),
        }
    }

    fn evolve(&self, row: &mut Vec<String>, event: &Event) {
        row.push(event.data.text().unwrap_or_default().to_owned());
    }
}

type Rows = BTreeMap<String, Vec<String>>;

fn plain_fold<'a>(events: impl Iterator<Item = &'a Event>) -> Rows {
    let mut rows = Rows::new();
    for event in events {
        if let Some(key) = Transcript.key(event) {
            let row = rows
                .entry(key.into_owned())
                .or_insert_with(|| Transcript.initial());
            Transcript.evolve(row, event);
        }
    }
    rows
}

fn shown(view: &View<Transcript>) -> Rows {
    view.rows()
        .map(|(key, row)| (key.to_owned(), row.clone()))
        .collect()
}

#[derive(Debug, Clone)]
enum Step {
    Confirm(Event),
    Apply(Event),
    Rebase(Vec<Event>),
    Reset,
}

fn event() -> impl Strategy<Value = Event> {
    (
        prop_oneof![4 => "todo/[a-d]", 1 => "list/[ab]", 1 => "skip/a"],
        0..1_000_u32,
    )
        .prop_map(|(stream, data)| common::event(&stream, &data.to_string()))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => event().prop_map(Step::Confirm),
        8 => event().prop_map(Step::Apply),
        4 => vec(event(), 0..5).prop_map(Step::Rebase),
        1 => Just(Step::Reset),
    ]
}

proptest! {
    #[test]
    fn a_view_shows_the_fold_of_confirmed_then_overlay(steps in vec(step(), 0..40)) {
        let mut view = View::new(Transcript);
        let (mut confirmed, mut pending) = (Vec::new(), Vec::new());
        for step in steps {
            let before = shown(&view);
            // A row is named as changed if it is another one now. Confirming names none: the overlay must be given anew.
            let changed = match step {
                Step::Confirm(event) => {
                    view.confirm(&event);
                    let touched = Transcript.key(&event).map(Cow::into_owned);
                    confirmed.push(event);
                    view.overlay(&pending).into_iter().chain(touched).collect()
                }
                Step::Apply(event) => {
                    let changed = view.apply(&event).into_iter().collect();
                    pending.push(event);
                    changed
                }
                Step::Rebase(events) => {
                    pending = events;
                    view.overlay(&pending)
                }
                Step::Reset => {
                    view.reset();
                    confirmed.clear();
                    pending.clear();
                    before.keys().cloned().collect()
                }
            };
            let after = shown(&view);
            prop_assert_eq!(&after, &plain_fold(confirmed.iter().chain(&pending)));
            let truth = plain_fold(confirmed.iter());
            for key in before.keys().chain(after.keys()) {
                prop_assert_eq!(view.row(key), after.get(key));
                prop_assert_eq!(view.confirmed(key), truth.get(key));
                if before.get(key) != after.get(key) {
                    prop_assert!(changed.contains(key), "{} changed unsaid", key);
                }
            }
        }
    }

    /// Saving now and then, only what changed, and restoring what is stored gives the confirmed rows.
    #[test]
    fn stored_buckets_are_the_confirmed_rows(rounds in vec(vec(0..2_000_u32, 0..500), 1..5)) {
        let write = |row: &Vec<String>| Some(row.join("\n").into_bytes());
        let read = |bytes: &[u8]| {
            let text = std::str::from_utf8(bytes).ok()?;
            Some(text.split('\n').map(str::to_owned).collect())
        };
        let mut view = View::new(Transcript);
        let mut stored: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        for round in rounds {
            for number in round {
                view.confirm(&common::event(&format!("todo/{number}"), &number.to_string()));
            }
            view.apply(&common::event("todo/pending", "1"));
            let buckets = view.unsaved(write).unwrap();
            if buckets.whole {
                stored.clear();
            }
            prop_assert!(buckets.changed.iter().all(|(number, _)| *number < buckets.count));
            stored.extend(buckets.changed);
            view.saved(buckets.count);
            prop_assert!(view.unsaved(write).unwrap().changed.is_empty());

            let mut again = View::new(Transcript);
            for bucket in stored.values() {
                prop_assert!(again.restore(bucket, read));
            }
            view.overlay([]);
            prop_assert_eq!(shown(&again), shown(&view));
        }
    }

    #[test]
    fn no_bytes_make_a_bucket_panic(bytes in vec(any::<u8>(), 0..64)) {
        let mut view = View::new(Transcript);
        let taken = view.restore(&bytes, |row| Some(vec![format!("{row:?}")]));
        prop_assert!(taken || !bytes.is_empty());
    }

    #[test]
    fn taking_events_from_the_overlay_to_the_log_changes_nothing_shown(events in vec(event(), 0..20), cut in 0..20_usize) {
        let cut = cut.min(events.len());
        let mut view = View::new(Transcript);
        view.overlay(&events);
        let before = shown(&view);
        for event in &events[..cut] {
            view.confirm(event);
        }
        view.overlay(&events[cut..]);
        prop_assert_eq!(shown(&view), before);
    }
}

#[test]
fn a_row_that_cannot_be_written_makes_no_snapshot() {
    let mut view = View::new(Transcript);
    view.confirm(&common::event("todo/a", "1"));
    assert_eq!(view.unsaved(|_| None), None);
    assert!(!view.restore(&[1, 0, 0, 0, 0, 0, 0, 0], |_| Some(Vec::new())));
}

#[test]
fn rows_come_in_the_order_of_their_keys() {
    let mut view = View::new(Transcript);
    view.confirm(&common::event("todo/c", "1"));
    view.confirm(&common::event("todo/a", "2"));
    view.apply(&common::event("todo/b", "3"));
    let keys: Vec<&str> = view.rows().map(|(key, _)| key).collect();
    assert_eq!(keys, ["todo/a", "todo/b", "todo/c"]);
    assert_eq!(view.projection().version(), 1);
}

/// A seat counter: the smallest decider whose answer depends on history.
#[derive(Debug)]
struct Room {
    seats: u32,
}

impl Decider for Room {
    type State = u32;
    type Command = u32;
    type Event = u32;
    type Refusal = u32;

    fn initial(&self) -> u32 {
        0
    }

    fn decide(&self, taken: &u32, wanted: &u32) -> Result<Vec<u32>, u32> {
        let free = self.seats.saturating_sub(*taken);
        match wanted {
            0 => Ok(vec![]),
            wanted if *wanted > free => Err(free),
            wanted => Ok(vec![*wanted]),
        }
    }

    fn evolve(&self, taken: u32, booked: &u32) -> u32 {
        taken.saturating_add(*booked)
    }
}

proptest! {
    #[test]
    fn deciding_again_on_the_new_state_never_overbooks(wishes in vec(0..5_u32, 0..30)) {
        let room = Room { seats: 20 };
        let mut events = Vec::new();
        for wish in wishes {
            let taken = decider::fold(&room, &events);
            prop_assert_eq!(taken, events.iter().sum::<u32>());
            match decider::decide_on(&room, &events, &wish) {
                Ok(more) => events.extend(more),
                Err(free) => prop_assert!(wish > free && taken + free == 20),
            }
        }
        prop_assert!(events.iter().sum::<u32>() <= 20);
    }
}
