//! Decisions that the log asks for when others were faster: commands decided again, and commits merged.

use super::model::{Model, Sides};
use super::{Inner, READ_EVENTS};
use crate::error::ClientError;
use crate::platform::spawn;
use gloo_timers::future::TimeoutFuture;
use std::collections::HashMap;
use tidelog_core::projection::Projection;
use tidelog_core::replica::{Collision, Decision, Question};
use tidelog_core::store::Direction;
use tidelog_core::{
    Attempt, Command, CommitId, Event, EventId, StreamHead, StreamId, Timestamp, Version,
};

/// Nothing else is decided or written meanwhile, so a merge that has to ask the server for the past does not wait for long.
const MERGE_MILLIS: u32 = 5_000;

/// The states of streams as decided last, each with where its stream ends: a row of commands on one stream folds it once.
pub(super) struct Decided<M: Model>(HashMap<StreamId, (StreamHead, M::State)>);

impl<M: Model> Default for Decided<M> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<M: Model> Decided<M> {
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

/// A commit to be decided again.
pub(super) struct Rerun {
    pub(super) question: Question,
    pub(super) attempt: Attempt,
    pub(super) command: Command,
    pub(super) occurred_at: Timestamp,
    pub(super) before: Option<StreamHead>,
}

/// A commit to be merged.
pub(super) struct Merge {
    pub(super) question: Question,
    pub(super) events: Vec<Event>,
    pub(super) collisions: Vec<Collision>,
    pub(super) occurred_at: Timestamp,
}

impl<M: Model> Inner<M> {
    pub(super) fn rerun(&self, rerun: Rerun) {
        let question = rerun.question;
        let decision = self.decide_again(rerun);
        self.log.decide(question, decision);
    }

    fn decide_again(&self, rerun: Rerun) -> Decision {
        let Rerun {
            question,
            attempt,
            command,
            occurred_at,
            before,
        } = rerun;
        let known = self
            .model
            .read_command(command.name.as_str(), command.args.as_str());
        let stream = &command.stream;
        let Some(known) = known.filter(|_| stream.kind() == M::KIND) else {
            return Decision::UnknownCommand;
        };
        let folded = self.decided.borrow_mut().0.remove(stream);
        let mut state = match folded {
            Some((head, state)) if Some(head) == before => state,
            _ => self.state_before(question.id, stream, usize::MAX),
        };
        let events = match self.model.decide(&state, &known) {
            Ok(events) => events,
            Err(refusal) => {
                let (code, message) = self.model.describe(&refusal);
                return Decision::Refused { code, message };
            }
        };
        let written = match self.write(stream, &events, occurred_at) {
            Ok(written) => written,
            Err(error) => {
                return Decision::Refused {
                    code: "invalid_name".into(),
                    message: error.to_string(),
                };
            }
        };
        for event in &events {
            state = self.model.evolve(state, event);
        }
        let head = match written.len().checked_sub(1) {
            None => before,
            Some(last) => Some(StreamHead {
                version: before
                    .map_or(Version::NONE, |head| head.version)
                    .plus(written.len() as u64),
                last: EventId {
                    commit: question.id,
                    attempt,
                    index: u32::try_from(last).unwrap_or(u32::MAX),
                },
            }),
        };
        if let Some(head) = head {
            let mut decided = self.decided.borrow_mut();
            decided.0.insert(stream.clone(), (head, state));
        }
        Decision::Events(written)
    }

    /// A stream's state as confirmed and by the first `most` events of the queue before a commit.
    fn state_before(&self, id: CommitId, stream: &StreamId, most: usize) -> M::State {
        let view = self.view.borrow();
        let confirmed = view.confirmed(stream.key()).cloned();
        let mut state = confirmed.unwrap_or_else(|| self.model.initial());
        self.log.with_queued_before(id, stream, |events| {
            for (_, event) in events.take(most) {
                view.projection().evolve(&mut state, event);
            }
        });
        state
    }

    /// Merges when the base has been read. If that takes too long, a person has to look at it.
    pub(super) fn merge(&self, merge: Merge) {
        let Some(me) = self.me.upgrade() else { return };
        let log = self.log.clone();
        let question = merge.question;
        spawn(async move {
            TimeoutFuture::new(MERGE_MILLIS).await;
            log.decide(question, Decision::Ask);
        });
        spawn(async move {
            let decision = match me.merged(merge).await {
                Ok(Some(events)) => Decision::Events(events),
                Ok(None) | Err(_) => Decision::Ask,
            };
            me.log.decide(question, decision);
            me.drain();
        });
    }

    /// The commit's events with those on streams where others were faster merged; none if they cannot be.
    async fn merged(&self, merge: Merge) -> Result<Option<Vec<Event>>, ClientError> {
        let Merge {
            question,
            mut events,
            collisions,
            occurred_at,
        } = merge;
        for Collision { stream, from, .. } in collisions {
            if stream.kind() != M::KIND {
                return Ok(None);
            }
            let base = self.state_at(question.id, &stream, from).await?;
            let theirs = self.state_before(question.id, &stream, usize::MAX);
            let own = events.iter().filter(|event| event.stream == stream);
            let own: Option<Vec<M::Event>> = own
                .map(|event| {
                    self.model.read_event(
                        event.event_type.as_str(),
                        event.schema.value(),
                        event.data.text().unwrap_or("null"),
                    )
                })
                .collect();
            let Some(own) = own else { return Ok(None) };
            let mine = own
                .iter()
                .fold(base.clone(), |state, event| self.model.evolve(state, event));
            let merged = self.model.merge(&Sides {
                base: &base,
                theirs: &theirs,
                mine: &mine,
                events: &own,
            });
            let Some(merged) = merged else {
                return Ok(None);
            };
            let Ok(merged) = self.write(&stream, &merged, occurred_at) else {
                return Ok(None);
            };
            events.retain(|event| event.stream != stream);
            events.extend(merged);
        }
        Ok(Some(events))
    }

    /// A stream's state before its version `from`.
    async fn state_at(
        &self,
        id: CommitId,
        stream: &StreamId,
        from: Version,
    ) -> Result<M::State, ClientError> {
        let confirmed = self.log.confirmed_head(stream);
        let confirmed = confirmed.map_or(0, |head| head.version.value());
        let wanted = from.value().saturating_sub(1);
        if let Some(more) = wanted.checked_sub(confirmed) {
            let more = usize::try_from(more).unwrap_or(usize::MAX);
            return Ok(self.state_before(id, stream, more));
        }
        let mut state = self.model.initial();
        let mut next = Version::new(1);
        while next.value() <= wanted {
            let page = self
                .log
                .read_stream(
                    stream,
                    next,
                    Version::new(wanted),
                    Direction::Forward,
                    READ_EVENTS,
                )
                .await?;
            let Some(last) = page.events.last() else {
                break;
            };
            next = last.version.next();
            let view = self.view.borrow();
            for read in &page.events {
                view.projection().evolve(&mut state, &read.event);
            }
        }
        Ok(state)
    }
}
