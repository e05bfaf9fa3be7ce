//! Tokens of a file: each names a subject and what it may do with which logs.

use super::Scope;
use std::collections::BTreeMap;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use tidelog_core::{Digest, LogName, Subject};

/// Bearer tokens and what they allow. Only digests of tokens are kept.
#[derive(Default)]
pub struct Tokens(Vec<(Digest, Grants)>);

/// What one token allows, and as whom, by log.
type Grants = BTreeMap<LogName, (Subject, Scope)>;

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({})", self.0.len())
    }
}

/// Why a token file cannot be used. Never holds a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {wrong}. A line is `log token subject [read|append]`")]
pub struct TokenError {
    line: usize,
    wrong: String,
}

/// The fewest characters of a token.
const MIN_TOKEN: usize = 16;

impl Tokens {
    /// Reads a token file: on each line a log, a token, a subject and, optionally, `read` or `append` (the default).
    /// Empty lines and lines that begin with `#` are left out. The same token may stand on several lines.
    ///
    /// # Errors
    /// [`TokenError`] for the first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let mut tokens = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                tokens.add(line).map_err(|wrong| TokenError {
                    line: index + 1,
                    wrong,
                })?;
            }
        }
        Ok(tokens)
    }

    /// Does it allow nothing at all?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (log, token, subject, scope) = match words.as_slice() {
            [log, token, subject] => (log, token, subject, Scope::Append),
            [log, token, subject, "append"] => (log, token, subject, Scope::Append),
            [log, token, subject, "read"] => (log, token, subject, Scope::Read),
            [_, _, _, _] => return Err("the fourth word is neither `read` nor `append`".into()),
            _ => return Err(format!("it has {} words, not 3 or 4", words.len())),
        };
        if token.chars().count() < MIN_TOKEN {
            return Err(format!("the token is shorter than {MIN_TOKEN} characters"));
        }
        let log = LogName::new(log).map_err(|error| error.to_string())?;
        let subject = Subject::new(subject).map_err(|error| error.to_string())?;
        let digest = Digest::of(token.as_bytes());
        let at = self
            .0
            .iter()
            .position(|(known, _)| *known == digest)
            .unwrap_or_else(|| {
                self.0.push((digest, BTreeMap::new()));
                self.0.len() - 1
            });
        let grants = self.0.get_mut(at).map(|(_, grants)| grants);
        match grants.and_then(|grants| grants.insert(log.clone(), (subject, scope))) {
            Some(_) => Err(format!("the same token was given for log {log} before")),
            None => Ok(()),
        }
    }

    /// Which of its tokens this is. Every token is looked at in the same way, so the time tells nothing.
    pub(super) fn find(&self, token: &str) -> Option<usize> {
        let digest = Digest::of(token.as_bytes());
        let mut found = 0_u64;
        let mut any = Choice::from(0);
        for (at, (known, _)) in (0_u64..).zip(&self.0) {
            let same = known.as_bytes().ct_eq(digest.as_bytes());
            found = u64::conditional_select(&found, &at, same);
            any |= same;
        }
        bool::from(any)
            .then_some(found)
            .and_then(|at| usize::try_from(at).ok())
    }

    /// As whom the token at this place may do what on a log.
    pub(super) fn grant(&self, at: usize, log: &LogName) -> Option<(&Subject, Scope)> {
        let (_, grants) = self.0.get(at)?;
        grants.get(log).map(|(subject, scope)| (subject, *scope))
    }
}
