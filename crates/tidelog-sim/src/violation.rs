//! How a world says that an invariant is broken.
//!
//! It panics with a message that names the invariant by its number in the design (section 9), `17` where something is left of
//! what was erased, or `0` for the contract of a model. A panic of the code under test ends a world the same way, so both are caught in one place.

use core::fmt;

/// What broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's number in the design; 0 if the contract of a model was broken or the code panicked.
    pub invariant: u8,
    /// In words.
    pub message: String,
}

const PREFIX: &str = "invariant ";

impl Violation {
    /// What a panic says.
    #[must_use]
    pub fn of_panic(payload: &(dyn core::any::Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("a panic without words");
        let parts = text
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once(": "));
        match parts.and_then(|(number, message)| Some((number.parse().ok()?, message))) {
            Some((invariant, message)) => Self {
                invariant,
                message: message.to_owned(),
            },
            None => Self {
                invariant: 0,
                message: text.to_owned(),
            },
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}: {}", self.invariant, self.message)
    }
}

/// Ends the world.
#[track_caller]
#[doc(hidden)]
pub fn broken(invariant: u8, message: fmt::Arguments<'_>) -> ! {
    panic!("{PREFIX}{invariant}: {message}")
}

/// Asserts an invariant by its number in the design.
#[macro_export]
macro_rules! hold {
    ($invariant:literal, $condition:expr, $($words:tt)+) => {
        if !$condition {
            $crate::violation::broken($invariant, format_args!($($words)+));
        }
    };
}
