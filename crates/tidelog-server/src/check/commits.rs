//! Judging commits on what happened before them.

use crate::store::{
    Candidate, Direction, LogStore, Push, StoreError, StreamEvent, StreamPage, StreamRange,
};
use futures_util::future::{BoxFuture, FutureExt};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use tidelog_core::authority::{Rejection, RejectionCode};
use tidelog_core::{Commit, Event, LogName, StreamId, Subject, Version};

/// Looks at commits beside what happened before, such as with the [decider](tidelog_core::decider) that decided on them in
/// the browser: `examples/embedded.rs` does.
///
/// Contract:
///
/// - A commit that is refused is answered `rejected`, `forbidden`, which its author parks; but if a condition of it does not hold, it
///   is a conflict, and its author decides again. What is stored already still gets its receipt, whatever is said of it.
/// - It is asked before the store decides, outside of any lock, for each commit of a push in order. What it reads may have
///   changed when the store decides. A rule that has to hold all the same demands that the commit expects the versions of the
///   streams it is judged on.
/// - The same commit on the same past always gets the same answer.
pub trait CommitCheck: fmt::Debug + Send + Sync + 'static {
    /// May this commit be stored?
    ///
    /// # Errors
    /// [`Refused`], if it may not, or that cannot be found out now.
    fn check(&self, proposed: &Proposed<'_>) -> impl Future<Output = Result<(), Refused>> + Send;
}

/// A commit that asks to be stored, and what happened before it.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Proposed<'a> {
    /// Where to.
    pub log: &'a LogName,
    /// Who asks.
    pub subject: &'a Subject,
    /// The commit.
    pub commit: &'a Commit,
    before: &'a [Candidate],
    past: &'a dyn Past,
}

impl fmt::Debug for Proposed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proposed")
            .field("log", self.log)
            .field("subject", self.subject)
            .field("commit", &self.commit.id)
            .finish_non_exhaustive()
    }
}

/// Why a commit may not be stored.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It never may.
    #[error("{detail}")]
    Forbidden {
        /// Why, in words for its author.
        detail: String,
    },
    /// It cannot be found out now: the whole push is answered as if the store were not there.
    #[error(transparent)]
    Unavailable(#[from] StoreError),
}

impl Refused {
    /// It may never be stored; says why.
    #[must_use]
    pub fn forbidden(detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::Forbidden { detail }
    }
}

impl Proposed<'_> {
    /// All events of a stream, oldest first: those that are stored, and those that earlier commits of the same push add.
    ///
    /// # Errors
    /// What the store says.
    pub async fn stream(&self, stream: &StreamId) -> Result<Vec<Event>, StoreError> {
        let (mut events, mut stored) = (Vec::new(), Vec::new());
        let mut next = Version::NONE.next();
        loop {
            let page = self.past.page(stream, next).await?;
            for StreamEvent { commit, index, .. } in &page.events {
                stored.push(commit.commit.id);
                events.extend(commit.commit.events.get(*index).cloned());
            }
            next = next.plus(page.events.len() as u64);
            if page.events.is_empty() || next > page.version {
                break;
            }
        }
        let added = self.before.iter().filter(|candidate| {
            // A push that is repeated holds what is stored by now.
            candidate.rejection.is_none() && !stored.contains(&candidate.commit.id)
        });
        let added = added.flat_map(|candidate| &candidate.commit.events);
        events.extend(added.filter(|event| event.stream == *stream).cloned());
        Ok(events)
    }
}

/// Reads streams of one log.
trait Past: Send + Sync {
    fn page<'a>(
        &'a self,
        stream: &'a StreamId,
        from: Version,
    ) -> BoxFuture<'a, Result<StreamPage, StoreError>>;
}

struct Stored<'a, S> {
    store: &'a S,
    log: &'a LogName,
}

/// How many events are read at once.
const PAGE: usize = 1_000;

impl<S: LogStore> Past for Stored<'_, S> {
    fn page<'a>(
        &'a self,
        stream: &'a StreamId,
        from: Version,
    ) -> BoxFuture<'a, Result<StreamPage, StoreError>> {
        let range = StreamRange {
            from: Some(from),
            direction: Direction::Forward,
            limit: PAGE,
        };
        self.store.stream(self.log, stream, range).boxed()
    }
}

/// A check of whatever kind.
#[derive(Debug, Clone)]
pub(crate) struct AnyCheck(Arc<dyn Check>);

trait Check: fmt::Debug + Send + Sync {
    fn check<'a>(&'a self, proposed: &'a Proposed<'a>) -> BoxFuture<'a, Result<(), Refused>>;
}

#[derive(Debug)]
struct Held<C>(C);

impl<C: CommitCheck> Check for Held<C> {
    fn check<'a>(&'a self, proposed: &'a Proposed<'a>) -> BoxFuture<'a, Result<(), Refused>> {
        self.0.check(proposed).boxed()
    }
}

impl AnyCheck {
    pub(crate) fn new(check: impl CommitCheck) -> Self {
        Self(Arc::new(Held(check)))
    }
}

/// Judges the commits of a push, each on the ones before it.
pub(crate) async fn commits<S: LogStore>(
    check: &AnyCheck,
    store: &S,
    push: &mut Push,
) -> Result<(), StoreError> {
    let Some(subject) = &push.actor else {
        return Ok(());
    };
    let log = &push.log;
    for index in 0..push.commits.len() {
        let (before, rest) = push.commits.split_at_mut(index);
        let Some(candidate) = rest.first_mut() else {
            break;
        };
        if candidate.rejection.is_some() {
            continue;
        }
        let proposed = Proposed {
            log,
            subject,
            commit: &candidate.commit,
            before,
            past: &Stored { store, log },
        };
        match check.0.check(&proposed).await {
            Ok(()) => {}
            Err(Refused::Unavailable(error)) => return Err(error),
            Err(Refused::Forbidden { detail }) => {
                candidate.rejection = Some(Rejection {
                    code: RejectionCode::Forbidden,
                    message: detail,
                });
            }
        }
    }
    Ok(())
}
