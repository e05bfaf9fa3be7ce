//! Deciders: how a command becomes events, and events become state.
//!
//! The pattern is Jérémie Chassaing's ("Functional Event Sourcing Decider", 2021). The same decider runs in the browser
//! when the user acts, again when a conflict makes its command be decided anew, and on a server that validates.
//!
//! ```
//! use tidelog_core::decider::{decide_on, Decider};
//!
//! struct Todo;
//! #[derive(Clone, Default, PartialEq, Debug)]
//! struct State { exists: bool, done: bool }
//! enum Command { Add, Complete }
//! #[derive(Clone, PartialEq, Debug)]
//! enum Event { Added, Completed }
//!
//! impl Decider for Todo {
//!     type State = State;
//!     type Command = Command;
//!     type Event = Event;
//!     type Refusal = &'static str;
//!     fn initial(&self) -> State { State::default() }
//!     fn decide(&self, state: &State, command: &Command) -> Result<Vec<Event>, &'static str> {
//!         match command {
//!             Command::Add if state.exists => Err("exists"),
//!             Command::Add => Ok(vec![Event::Added]),
//!             Command::Complete if state.done => Ok(vec![]),
//!             Command::Complete => Ok(vec![Event::Completed]),
//!         }
//!     }
//!     fn evolve(&self, state: State, event: &Event) -> State {
//!         match event {
//!             Event::Added => State { exists: true, ..state },
//!             Event::Completed => State { done: true, ..state },
//!         }
//!     }
//! }
//!
//! assert_eq!(decide_on(&Todo, &[Event::Added], &Command::Add), Err("exists"));
//! assert_eq!(decide_on(&Todo, &[Event::Added], &Command::Complete), Ok(vec![Event::Completed]));
//! ```

use alloc::vec::Vec;

/// Decides commands of one kind of stream. Pure: the same state and command always give the same answer; time and ids
/// are part of the command.
pub trait Decider {
    /// What the decision is made on.
    type State: Clone;
    /// What is asked for.
    type Command;
    /// What happened.
    type Event;
    /// Why not.
    type Refusal;

    /// The state of a stream without events.
    fn initial(&self) -> Self::State;

    /// The events that the command causes, none if it changes nothing.
    ///
    /// # Errors
    /// A refusal, if the state does not allow the command.
    fn decide(
        &self,
        state: &Self::State,
        command: &Self::Command,
    ) -> Result<Vec<Self::Event>, Self::Refusal>;

    /// The state after an event. Total: it never fails, and it never asks whether the event should have happened.
    fn evolve(&self, state: Self::State, event: &Self::Event) -> Self::State;
}

/// The state after these events.
pub fn fold<D: Decider>(decider: &D, events: &[D::Event]) -> D::State {
    events.iter().fold(decider.initial(), |state, event| {
        decider.evolve(state, event)
    })
}

/// Decides a command on the state that these events give.
///
/// # Errors
/// The decider's refusal.
pub fn decide_on<D: Decider>(
    decider: &D,
    events: &[D::Event],
    command: &D::Command,
) -> Result<Vec<D::Event>, D::Refusal> {
    decider.decide(&fold(decider, events), command)
}
