//! What a replica asks for: all of a log, or some stream kinds and some streams only.
//!
//! A commit that writes any stream of the filter is sent whole, because a commit is visible whole or not at all. Commits
//! that write none of them are left out; a [`GapRecord`](crate::gap::GapRecord) stands for each run of them.
//!
//! ```
//! use tidelog_core::{Filter, StreamId};
//! let filter = Filter::new(["todo"], ["list/1"])?;
//! assert!(filter.wants(&StreamId::new("todo/7")?) && filter.wants(&StreamId::new("list/1")?));
//! assert!(!filter.wants(&StreamId::new("list/2")?));
//! assert_eq!(filter.canonical().parse(), Ok(filter));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::commit::Commit;
use crate::erasure::is_reserved;
use crate::limits::{MAX_FILTER_BYTES, MAX_FILTER_TERMS, MAX_ID_BYTES};
use crate::stream::StreamId;
use crate::text::{TextError, check_name};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// Which streams of a log a replica asks for. The default is every one.
///
/// It holds kinds and streams sorted, each once, and no stream whose kind it holds: two filters that name the same streams
/// in another order are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Filter {
    kinds: Vec<String>,
    streams: Vec<StreamId>,
}

/// Why something is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// A kind or a stream is not valid.
    #[error("{0}")]
    Name(#[from] TextError),
    /// It names too many kinds and streams.
    #[error("the filter names {count} kinds and streams, more than the {max} allowed")]
    TooMany {
        /// How many it names.
        count: usize,
        /// The most allowed.
        max: usize,
    },
    /// Its names are too long: they travel in the address of each pull.
    #[error("the filter's names have {bytes} bytes together, more than the {max} allowed")]
    TooLong {
        /// How many bytes it has in its canonical form.
        bytes: usize,
        /// The most allowed.
        max: usize,
    },
}

impl Filter {
    /// A filter that asks for these kinds and streams; for everything, if there are none.
    ///
    /// # Errors
    /// [`FilterError`] if a name is not valid or there are too many.
    pub fn new<K: AsRef<str>, S: AsRef<str>>(
        kinds: impl IntoIterator<Item = K>,
        streams: impl IntoIterator<Item = S>,
    ) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        for kind in kinds {
            let kind = kind.as_ref();
            check_name("stream kind", kind, MAX_ID_BYTES)?;
            // Sorting takes more Wasm than inserting a few.
            if let Err(place) = filter.place_of(kind) {
                filter.kinds.insert(place, kind.into());
            }
        }
        for stream in streams {
            let stream = StreamId::new(stream.as_ref())?;
            if filter.place_of(stream.kind()).is_err()
                && let Err(place) = filter.streams.binary_search(&stream)
            {
                filter.streams.insert(place, stream);
            }
        }
        let count = filter.kinds.len() + filter.streams.len();
        if count > MAX_FILTER_TERMS {
            let max = MAX_FILTER_TERMS;
            return Err(FilterError::TooMany { count, max });
        }
        let bytes = filter.canonical().len();
        if bytes > MAX_FILTER_BYTES {
            let max = MAX_FILTER_BYTES;
            return Err(FilterError::TooLong { bytes, max });
        }
        Ok(filter)
    }

    /// Does it ask for every stream?
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        self.kinds.is_empty() && self.streams.is_empty()
    }

    /// Does it ask for this stream?
    #[must_use]
    pub fn wants(&self, stream: &StreamId) -> bool {
        self.is_everything()
            || self.place_of(stream.kind()).is_ok()
            || self.streams.binary_search(stream).is_ok()
    }

    /// Where a kind is, or would be.
    fn place_of(&self, kind: &str) -> Result<usize, usize> {
        self.kinds
            .binary_search_by(|known| known.as_str().cmp(kind))
    }

    /// Does it ask for any stream that this commit writes? An erasure is for everybody: a commit that was asked for may hold what it
    /// erases of a stream that was not.
    #[must_use]
    pub fn matches(&self, commit: &Commit) -> bool {
        let mut events = commit.events.iter();
        self.is_everything()
            || events.any(|event| self.wants(&event.stream) || is_reserved(&event.event_type))
    }

    /// The kinds it asks for, ascending.
    #[must_use]
    pub fn kinds(&self) -> &[String] {
        &self.kinds
    }

    /// The streams it asks for beside those of its kinds, ascending.
    #[must_use]
    pub fn streams(&self) -> &[StreamId] {
        &self.streams
    }

    /// The one text for this filter: its kinds, then its streams, a line each. A kind holds no slash and a stream one at
    /// least. Empty for everything.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.joined("\n")
    }

    fn joined(&self, by: &str) -> String {
        let kinds = self.kinds.iter().map(String::as_str);
        let all: Vec<&str> = kinds
            .chain(self.streams.iter().map(StreamId::as_str))
            .collect();
        all.join(by)
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    /// Reads [`Filter::canonical`], and any other order of its lines.
    fn from_str(text: &str) -> Result<Self, FilterError> {
        let (streams, kinds): (Vec<&str>, Vec<&str>) = text
            .split('\n')
            .filter(|_| !text.is_empty())
            .partition(|line| line.contains('/'));
        Self::new(kinds, streams)
    }
}

/// For people.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_everything() {
            true => f.write_str("everything"),
            false => f.write_str(&self.joined(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;
    use proptest::prelude::*;

    fn name() -> impl Strategy<Value = String> {
        "[a-d]{1,2}"
    }

    proptest! {
        #[test]
        fn it_wants_what_it_was_told_and_has_one_text(
            kinds in prop::collection::vec(name(), 0..5),
            streams in prop::collection::vec((name(), name()), 0..5),
            asked in (name(), name()),
        ) {
            let named: Vec<String> = streams.iter().map(|(kind, key)| format!("{kind}/{key}")).collect();
            let filter = Filter::new(&kinds, &named).expect("few short names");
            let stream = format!("{}/{}", asked.0, asked.1);
            let nothing_named = kinds.is_empty() && named.is_empty();
            prop_assert_eq!(
                filter.wants(&StreamId::new(stream.as_str()).expect("a stream")),
                nothing_named || kinds.contains(&asked.0) || named.contains(&stream)
            );
            prop_assert_eq!(filter.canonical().parse(), Ok(filter.clone()));
            let turned = Filter::new(kinds.iter().rev(), named.iter().rev());
            prop_assert_eq!(turned.map(|turned| turned.canonical()), Ok(filter.canonical()));
        }

        #[test]
        fn any_text_is_a_filter_or_an_error(text in "\\PC{0,80}|[a-c/\n]{0,12}") {
            if let Ok(filter) = text.parse::<Filter>() {
                prop_assert_eq!(filter.canonical().parse(), Ok(filter));
            }
        }
    }

    #[test]
    fn what_names_too_much_or_nothing_valid_is_refused() {
        let names = |count: usize| (0..count).map(|number| format!("k{number}"));
        let none: [&str; 0] = [];
        assert!(Filter::new(names(MAX_FILTER_TERMS), none).is_ok());
        let count = MAX_FILTER_TERMS + 1;
        let max = MAX_FILTER_TERMS;
        assert_eq!(
            Filter::new(names(count), none),
            Err(FilterError::TooMany { count, max })
        );
        let long = (0..10).map(|number| format!("kind/{}{number}", "x".repeat(240)));
        assert!(matches!(
            Filter::new(none, long),
            Err(FilterError::TooLong { .. })
        ));
        for kind in ["", "a/b", "a b", "-a"] {
            assert!(
                matches!(Filter::new([kind], none), Err(FilterError::Name(_))),
                "{kind}"
            );
        }
        assert!(matches!(
            Filter::new(none, ["todo"]),
            Err(FilterError::Name(_))
        ));
        assert!("todo\n".parse::<Filter>().is_err());
    }

    #[test]
    fn a_stream_of_a_kind_that_is_named_is_named_already() {
        let filter = Filter::new(["todo"], ["todo/1", "list/1"]).expect("valid");
        assert_eq!(filter.canonical(), "todo\nlist/1");
        assert_eq!(filter.to_string(), "todo, list/1");
        assert_eq!(Filter::default().to_string(), "everything");
        assert!(Filter::default().is_everything());
    }
}
