//! What an app says of its streams, and how that is a projection.

use std::borrow::Cow;
use std::rc::Rc;
use tidelog_core::decider::Decider;
use tidelog_core::projection::Projection;
use tidelog_core::{Event, Policy};

/// A decider whose commands and events can be written down.
pub trait Model: Decider + 'static {
    /// The kind of its streams: the part of a stream's id before the slash.
    const KIND: &'static str;
    /// The version of the fold; raise it when [`Decider::evolve`] changes.
    const VERSION: u32 = 1;

    /// An event's type, schema version and payload as JSON text.
    fn write_event(&self, event: &Self::Event) -> (String, u32, String);
    /// The event of this type, schema version and payload; none if this build does not know it.
    fn read_event(&self, event_type: &str, schema: u32, data: &str) -> Option<Self::Event>;
    /// A command's name and arguments as JSON text.
    fn write_command(&self, command: &Self::Command) -> (String, String);
    /// The command of this name and arguments; none if this build does not know it.
    fn read_command(&self, name: &str, args: &str) -> Option<Self::Command>;
    /// A refusal as a stable code and in words, for a command that was decided again.
    fn describe(&self, refusal: &Self::Refusal) -> (String, String);
    /// What happens to a command on a conflict.
    fn policy(&self, _command: &Self::Command) -> Policy {
        Policy::Rerun
    }
    /// Of a command whose policy is [`Policy::Merge`], when others were faster on its stream: the events to append on top of
    /// theirs, in place of its own. None parks the commit for a person to look at.
    fn merge(&self, _sides: &Sides<'_, Self>) -> Option<Vec<Self::Event>>
    where
        Self: Sized,
    {
        None
    }
    /// A state as bytes, for snapshots. Without it the log is replayed whenever it is opened.
    fn write_state(&self, _state: &Self::State) -> Option<Vec<u8>> {
        None
    }
    /// The state of these bytes; none if they are no state, and then the log is replayed.
    fn read_state(&self, _bytes: &[u8]) -> Option<Self::State> {
        None
    }
}

/// The sides of a merge on one stream.
#[derive(Debug)]
pub struct Sides<'a, M: Model> {
    /// The state before both sides went on.
    pub base: &'a M::State,
    /// The state now, with everything that is before this commit.
    pub theirs: &'a M::State,
    /// The base with the commit's own events.
    pub mine: &'a M::State,
    /// The commit's own events there.
    pub events: &'a [M::Event],
}

/// The states of a model's streams as a projection.
pub(super) struct States<M: Model> {
    pub(super) model: Rc<M>,
}

impl<M: Model> Projection for States<M> {
    type Row = M::State;

    fn version(&self) -> u32 {
        M::VERSION
    }

    fn initial(&self) -> M::State {
        self.model.initial()
    }

    fn key<'a>(&self, event: &'a Event) -> Option<Cow<'a, str>> {
        let (kind, key) = event.stream.as_str().split_once('/')?;
        (kind == M::KIND).then_some(Cow::Borrowed(key))
    }

    fn evolve(&self, state: &mut M::State, event: &Event) {
        // What was erased is folded by nobody.
        let Some(data) = event.data.text() else {
            return;
        };
        let schema = event.schema.value();
        let event_type = event.event_type.as_str();
        if let Some(known) = self.model.read_event(event_type, schema, data) {
            let before = std::mem::replace(state, self.model.initial());
            *state = self.model.evolve(before, &known);
        }
    }
}
