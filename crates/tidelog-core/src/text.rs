//! Checked text: how every name in the vocabulary is parsed, and the one error it gives.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt;

/// Why a text is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// The text is empty.
    #[error("{what} is empty")]
    Empty {
        /// Which kind of name was asked for.
        what: &'static str,
    },
    /// The text has more UTF-8 bytes than allowed.
    #[error("{what} has {bytes} bytes, more than the {max} allowed")]
    TooLong {
        /// Which kind of name was asked for.
        what: &'static str,
        /// Its length in UTF-8 bytes.
        bytes: usize,
        /// The largest length allowed.
        max: usize,
    },
    /// The text has a character that the name may not contain.
    #[error("{what} contains {found:?} at byte {at}, which is not allowed; {rule}")]
    Character {
        /// Which kind of name was asked for.
        what: &'static str,
        /// The character.
        found: char,
        /// Its byte offset.
        at: usize,
        /// What is allowed, in words.
        rule: &'static str,
    },
    /// The text does not have the required form.
    #[error("{what} {found:?} does not have the form {form}")]
    Form {
        /// Which kind of name was asked for.
        what: &'static str,
        /// The text.
        found: String,
        /// The form, in words.
        form: &'static str,
    },
}

/// Refuses empty text, text over `max` bytes and control characters (which includes NUL).
pub(crate) fn check_text(what: &'static str, text: &str, max: usize) -> Result<(), TextError> {
    if text.is_empty() {
        return Err(TextError::Empty { what });
    }
    if text.len() > max {
        return Err(TextError::TooLong {
            what,
            bytes: text.len(),
            max,
        });
    }
    // Almost every name is plain ASCII, and bytes are faster to look through than characters.
    if text.bytes().all(|byte| (b' '..0x7f).contains(&byte)) {
        return Ok(());
    }
    match text.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, found)) => Err(TextError::Character {
            what,
            found,
            at,
            rule: "control characters are refused",
        }),
        None => Ok(()),
    }
}

/// Refuses anything but ASCII letters, digits, `.`, `_` and `-`, starting with a letter or digit.
pub(crate) fn check_name(what: &'static str, text: &str, max: usize) -> Result<(), TextError> {
    check_text(what, text, max)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let begins = text
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric());
    if begins && text.bytes().all(plain) {
        return Ok(());
    }
    let bad = text
        .char_indices()
        .find(|(at, c)| !(c.is_ascii_alphanumeric() || (*at > 0 && matches!(c, '.' | '_' | '-'))));
    match bad {
        Some((at, found)) => Err(TextError::Character {
            what,
            found,
            at,
            rule: "use ASCII letters, digits, `.`, `_` and `-`, and begin with a letter or digit",
        }),
        None => Ok(()),
    }
}

/// A number in the one form it is written in: digits only, no sign, no leading zero. So no two texts are one id.
pub(crate) fn decimal<T: core::str::FromStr>(text: &str) -> Option<T> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let shortest = text == "0" || !text.starts_with('0');
    (digits && shortest).then(|| text.parse().ok()).flatten()
}

/// Declares a newtype over shared, checked text with the conversions that every name has.
macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "alloc::string::String", into = "alloc::string::String")]
        pub struct $name(alloc::sync::Arc<str>);

        impl $name {
            /// Parses and checks.
            ///
            /// # Errors
            /// [`TextError`](crate::text::TextError) that names the rule the text breaks.
            pub fn new(text: impl AsRef<str>) -> Result<Self, $crate::text::TextError> {
                let text = text.as_ref();
                let check: fn(&'static str, &str) -> Result<(), $crate::text::TextError> = $check;
                check($what, text)?;
                Ok(Self(alloc::sync::Arc::from(text)))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            #[allow(dead_code, reason = "only names that the frame's dictionary holds use it")]
            pub(crate) fn from_shared(
                text: &alloc::sync::Arc<str>,
            ) -> Result<Self, $crate::text::TextError> {
                let check: fn(&'static str, &str) -> Result<(), $crate::text::TextError> = $check;
                check($what, text)?;
                Ok(Self(alloc::sync::Arc::clone(text)))
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl core::str::FromStr for $name {
            type Err = $crate::text::TextError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl TryFrom<alloc::string::String> for $name {
            type Error = $crate::text::TextError;
            fn try_from(text: alloc::string::String) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl From<$name> for alloc::string::String {
            fn from(name: $name) -> Self {
                Self::from(&*name.0)
            }
        }

        impl core::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}
pub(crate) use text_newtype;

/// A part of a shared text: cheap to clone, and a whole frame's payloads share one allocation.
#[derive(Clone)]
pub struct SharedText {
    whole: Arc<str>,
    start: u32,
    end: u32,
}

impl SharedText {
    /// The part of `whole` between two byte offsets; `None` if they are not on character borders.
    #[must_use]
    pub fn slice(whole: &Arc<str>, start: usize, end: usize) -> Option<Self> {
        whole.get(start..end)?;
        Some(Self {
            whole: Arc::clone(whole),
            start: u32::try_from(start).ok()?,
            end: u32::try_from(end).ok()?,
        })
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.whole
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

impl From<&str> for SharedText {
    /// No commit may hold a text of 4 GiB or more; one that long is cut to nothing.
    fn from(text: &str) -> Self {
        let end = u32::try_from(text.len()).unwrap_or(0);
        Self {
            whole: Arc::from(text),
            start: 0,
            end,
        }
    }
}

impl fmt::Debug for SharedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl fmt::Display for SharedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for SharedText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for SharedText {}

impl From<SharedText> for String {
    fn from(text: SharedText) -> Self {
        text.as_str().to_string()
    }
}
