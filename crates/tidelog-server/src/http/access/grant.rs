//! What somebody may do with a log.

use super::{Problem, forbidden};
use std::collections::BTreeSet;
use tidelog_core::{Commit, StreamId, Subject};

/// Kinds of streams: what stands before the first `/` of a stream's id.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kinds {
    /// Every kind.
    All,
    /// These kinds.
    Only(BTreeSet<String>),
}

impl Kinds {
    /// No kind.
    #[must_use]
    pub const fn none() -> Self {
        Self::Only(BTreeSet::new())
    }

    /// Is this stream of one of these kinds?
    #[must_use]
    pub fn hold(&self, stream: &StreamId) -> bool {
        match self {
            Self::All => true,
            Self::Only(kinds) => kinds.contains(stream.kind()),
        }
    }

    fn are_none(&self) -> bool {
        matches!(self, Self::Only(kinds) if kinds.is_empty())
    }
}

impl<K: Into<String>> FromIterator<K> for Kinds {
    fn from_iter<I: IntoIterator<Item = K>>(kinds: I) -> Self {
        Self::Only(kinds.into_iter().map(Into::into).collect())
    }
}

/// As whom a caller acts on a log, and what on. Whoever may append to a kind of streams, or erase there, may read it.
///
/// ```
/// use tidelog_server::http::{Grant, Kinds};
/// let ann = || tidelog_core::Subject::new("ann");
/// let reader = Grant::read(ann()?);
/// let clerk = Grant::append(ann()?).appending(Kinds::from_iter(["order"]));
/// let guest = Grant::append(ann()?).appending(Kinds::from_iter(["order"])).reading(Kinds::from_iter(["price"]));
/// let order = tidelog_core::StreamId::new("order/1")?;
/// let officer = Grant::read(ann()?).erasing(Kinds::from_iter(["order"]));
/// assert!(officer.may_erase(&order) && !officer.may_append(&order) && !clerk.may_erase(&order));
/// assert!(reader.may_read(&order) && !reader.may_append(&order));
/// assert!(clerk.may_read(&order) && clerk.may_read(&tidelog_core::StreamId::new("invoice/1")?));
/// assert!(guest.may_read(&order) && !guest.may_read(&tidelog_core::StreamId::new("invoice/1")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    subject: Subject,
    read: Kinds,
    append: Kinds,
    erase: Kinds,
}

impl Grant {
    /// Reading everything.
    #[must_use]
    pub const fn read(subject: Subject) -> Self {
        Self {
            subject,
            read: Kinds::All,
            append: Kinds::none(),
            erase: Kinds::none(),
        }
    }

    /// Reading and appending everything.
    #[must_use]
    pub const fn append(subject: Subject) -> Self {
        Self {
            subject,
            read: Kinds::All,
            append: Kinds::All,
            erase: Kinds::none(),
        }
    }

    /// The same, but reads only these kinds of streams and those it may append to or erase in.
    #[must_use]
    pub fn reading(self, read: Kinds) -> Self {
        Self { read, ..self }
    }

    /// The same, but appends only to these kinds of streams.
    #[must_use]
    pub fn appending(self, append: Kinds) -> Self {
        Self { append, ..self }
    }

    /// The same, but also erases payloads of these kinds of streams, and closes such streams. Nobody may without this.
    #[must_use]
    pub fn erasing(self, erase: Kinds) -> Self {
        Self { erase, ..self }
    }

    /// As whom.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// May it read this stream?
    #[must_use]
    pub fn may_read(&self, stream: &StreamId) -> bool {
        self.read.hold(stream) || self.append.hold(stream) || self.erase.hold(stream)
    }

    /// May it append to this stream?
    #[must_use]
    pub fn may_append(&self, stream: &StreamId) -> bool {
        self.append.hold(stream)
    }

    /// May it erase in this stream?
    #[must_use]
    pub fn may_erase(&self, stream: &StreamId) -> bool {
        self.erase.hold(stream)
    }

    pub(crate) fn into_subject(self) -> Subject {
        self.subject
    }

    pub(crate) fn reads_all(&self) -> bool {
        [&self.read, &self.append, &self.erase].contains(&&Kinds::All)
    }

    pub(crate) fn appends(&self) -> bool {
        !self.append.are_none()
    }

    pub(crate) fn erases(&self) -> bool {
        !self.erase.are_none()
    }

    /// May it see this commit? A commit is visible whole or not at all, so every stream that it names has to be one that may
    /// be read: those that it writes and those that it has conditions on.
    pub(crate) fn may_see(&self, commit: &Commit) -> bool {
        self.reads_all() || named(commit).all(|stream| self.may_read(stream))
    }

    /// Refuses all of it if a commit writes one stream that may not be appended to, or asks how far one is that may not be read.
    pub(crate) fn check<'a>(
        &self,
        mut commits: impl Iterator<Item = &'a Commit> + Clone,
    ) -> Result<(), Problem> {
        let mut written = commits.clone().flat_map(|commit| &commit.events);
        if let Some(event) = written.find(|event| !self.may_append(&event.stream)) {
            return Err(refused("append to", &event.stream));
        }
        let unread = commits.find_map(|commit| {
            let mut expected = commit.conditions.iter().map(|one| &one.stream);
            expected.find(|stream| !self.may_read(stream))
        });
        match unread {
            Some(stream) => Err(refused("read", stream)),
            None => Ok(()),
        }
    }
}

/// The streams that a commit writes or has conditions on.
fn named(commit: &Commit) -> impl Iterator<Item = &StreamId> {
    let written = commit.events.iter().map(|event| &event.stream);
    written.chain(commit.conditions.iter().map(|one| &one.stream))
}

/// Says what may not be done to a stream.
pub(crate) fn refused(act: &str, stream: &StreamId) -> Problem {
    let kind = stream.kind();
    let detail =
        format!("this token may not {act} streams of the kind {kind:?}; nothing was stored");
    forbidden(detail).field("stream", stream.as_str())
}
