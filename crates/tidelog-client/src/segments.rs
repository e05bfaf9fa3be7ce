//! What to ask the server for when this device is far behind: sealed runs of its log, which it need not make anew for every
//! device, instead of pages.
//!
//! Segment `n` ends with the commit that holds position `n · events`. A device that stands elsewhere pulls up to such an end
//! first. Nothing here is trusted: a segment that does not follow is left, and one that was given and not taken is not asked for
//! again from the same place.

use std::cell::Cell;
use tidelog_core::Position;

/// What to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// A page, as large as the server likes.
    Page,
    /// A page of so many events, which ends where a segment begins.
    PageOf(u64),
    /// The segment of this number.
    Segment(u64),
}

/// What is known of the server's segments.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    /// How many positions lie between the ends of two of them; 0 if there are none.
    events: Cell<u64>,
    head: Cell<Position>,
    /// Where one is known to end.
    end: Cell<Position>,
    /// From where one was asked for last.
    tried: Cell<Option<Position>>,
}

impl Segments {
    /// What to ask for from here on, where everything is wanted.
    pub(crate) fn next(&self, here: Position) -> Ask {
        let (events, at, head) = (self.events.get(), here.value(), self.head.get().value());
        let Some(before) = at.checked_div(events) else {
            return Ask::Page;
        };
        let end = before.saturating_add(1).saturating_mul(events);
        let begins_here = at.is_multiple_of(events) || here == self.end.get();
        match begins_here {
            true if end <= head && self.tried.replace(Some(here)) != Some(here) => {
                Ask::Segment(before + 1)
            }
            // It costs a page more, so there must be a whole one behind it.
            false if end.saturating_add(events) <= head => Ask::PageOf(end - at),
            _ => Ask::Page,
        }
    }

    /// A page came, with the server's head and what it says of segments.
    pub(crate) fn page(
        &self,
        ask: Ask,
        here: Position,
        last: Position,
        head: Position,
        events: u64,
    ) {
        self.events.set(events);
        self.head.set(head);
        if let Ask::PageOf(wanted) = ask
            && last.value() >= here.value().saturating_add(wanted)
        {
            self.end.set(last);
        }
    }

    /// A segment came that ends here. Gives the server's head as it was last heard of.
    pub(crate) fn segment(&self, last: Position) -> Position {
        self.end.set(last);
        self.head.get().max(last)
    }
}

#[cfg(test)]
mod tests {
    use super::{Ask, Segments};
    use tidelog_core::Position;

    fn at(position: u64) -> Position {
        Position::new(position)
    }

    /// After a first page that ended at 150, of a log of 1,000 with segments of 100.
    fn segments() -> Segments {
        let segments = Segments::default();
        assert_eq!(segments.next(at(0)), Ask::Page, "nothing is known yet");
        segments.page(Ask::Page, at(0), at(150), at(1_000), 100);
        segments
    }

    #[test]
    fn a_device_goes_to_the_end_of_a_segment_and_on_from_there() {
        let segments = segments();
        assert_eq!(segments.next(at(150)), Ask::PageOf(50));
        // The commit that crosses the end is left out, so it is what comes next.
        segments.page(Ask::PageOf(50), at(150), at(195), at(1_000), 100);
        assert_eq!(segments.next(at(195)), Ask::PageOf(5));
        segments.page(Ask::PageOf(5), at(195), at(204), at(1_000), 100);
        assert_eq!(segments.next(at(204)), Ask::Segment(3));
        assert_eq!(segments.segment(at(300)), at(1_000));
        assert_eq!(segments.next(at(300)), Ask::Segment(4));
        segments.segment(at(1_001));
        assert_eq!(segments.next(at(1_001)), Ask::Page, "it is not there yet");
    }

    #[test]
    fn the_rest_of_the_log_is_pulled() {
        let segments = segments();
        assert_eq!(segments.next(at(950)), Ask::Page);
        assert_eq!(segments.next(at(900)), Ask::Segment(10));
        assert_eq!(segments.next(at(1_000)), Ask::Page);
        segments.page(Ask::Page, at(0), at(10), at(1_000), 0);
        assert_eq!(
            segments.next(at(300)),
            Ask::Page,
            "a server without segments"
        );
    }

    #[test]
    fn what_was_not_taken_is_not_asked_for_again() {
        let segments = segments();
        assert_eq!(segments.next(at(200)), Ask::Segment(3));
        assert_eq!(segments.next(at(200)), Ask::Page);
        assert_eq!(segments.next(at(300)), Ask::Segment(4));
    }
}
