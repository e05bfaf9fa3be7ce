//! Tokens of a file: each names a subject and what it may do with which logs.

use super::watched::Watched;
use super::{Authorizer, Denied, Grant, Kinds, bearer};
use axum::http::request::Parts;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use tidelog_core::{Digest, LogName, StreamId, Subject};

/// Bearer tokens and what they allow, a line each. Only digests of tokens are kept.
///
/// ```text
/// # log  token                             subject  what it may do: read and append everything, if nothing is said
/// todos  3c1f0a6f9b0d4f6c8f0e2b7d5a9c1e4f  ann
/// todos  9a7e5d3b1f8c6a4e2d0b9f7e5c3a1d8b  eve      read
/// acme   51b0c9e8d7f6a5b4c3d2e1f0a9b8c7d6  till     append:order,invoice
/// acme   0f1e2d3c4b5a69788796a5b4c3d2e1f0  guest    read:price append:order
/// acme   7b6a5c4d3e2f10918273645546372819  officer  read erase:person
/// ```
///
/// `append:` names the kinds of streams that may be appended to, `read:` those that may be read beside them; what it may
/// append to or erase in, a token may read. `erase:` names the kinds in which it may erase payloads and close streams; without the
/// word it erases nothing. Without `read:`, everything may be read. Empty lines and lines that begin with `#` are
/// left out. The same token may stand on several lines, for several logs.
pub struct Tokens(Watched<List>);

#[derive(Default)]
struct List(Vec<(Digest, Grants)>);

/// What one token allows, by log.
type Grants = BTreeMap<LogName, Grant>;

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tokens").finish_non_exhaustive()
    }
}

/// Why a token file cannot be used. Never holds a token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// A line is not as it should be.
    #[error(
        "line {line}: {wrong}. A line is `log token subject [read[:kinds]] [append[:kinds]] [erase[:kinds]]`"
    )]
    Line {
        /// Which one, from 1.
        line: usize,
        /// What is wrong with it.
        wrong: String,
    },
    /// There are none.
    #[error("it holds no token, so nobody could do anything")]
    None,
}

/// The holder of a token that is in the file.
#[derive(Clone)]
pub struct Listed {
    list: Arc<List>,
    at: usize,
}

impl std::fmt::Debug for Listed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Listed({})", self.at)
    }
}

/// The fewest characters of a token.
const MIN_TOKEN: usize = 16;

impl Tokens {
    /// Tokens that stay as they are.
    ///
    /// # Errors
    /// [`TokenError`] for the first line that is wrong, or if there is no token.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        Ok(Self(Watched::fixed(parse(text)?)))
    }

    /// Tokens of a file, which is read again when it changes: a token that is taken out is refused from then on, and what was opened with it is
    /// closed within a minute. If the file cannot be read any more, what was read last counts and the log says so.
    ///
    /// # Errors
    /// [`TokenError`] if it cannot be read, for the first line that is wrong, or if there is no token.
    pub fn watch(file: &Path) -> Result<Self, TokenError> {
        Watched::file(file, parse).map(Self)
    }
}

impl Authorizer for Tokens {
    type Caller = Listed;

    async fn identify(&self, request: &Parts) -> Result<Listed, Denied> {
        let token = bearer(&request.headers)?.ok_or_else(super::needed)?;
        let list = self.0.get(parse);
        match list.find(token) {
            Some(at) => Ok(Listed { list, at }),
            None => Err(Denied::unknown("this token is not known here")),
        }
    }

    async fn grant(&self, caller: &Listed, log: &LogName) -> Result<Option<Grant>, Denied> {
        let listed = caller.list.0.get(caller.at);
        Ok(listed.and_then(|(_, grants)| grants.get(log).cloned()))
    }
}

fn parse(text: &str) -> Result<List, TokenError> {
    let mut list = List::default();
    for (index, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first().is_some_and(|word| !word.starts_with('#')) {
            list.add(&words).map_err(|wrong| TokenError::Line {
                line: index + 1,
                wrong,
            })?;
        }
    }
    match list.0.is_empty() {
        true => Err(TokenError::None),
        false => Ok(list),
    }
}

impl List {
    fn add(&mut self, words: &[&str]) -> Result<(), String> {
        let [log, token, subject, rights @ ..] = words else {
            return Err(format!("it has {} words, not 3 at least", words.len()));
        };
        if token.chars().count() < MIN_TOKEN {
            return Err(format!("the token is shorter than {MIN_TOKEN} characters"));
        }
        let log = LogName::new(*log).map_err(|error| error.to_string())?;
        let subject = Subject::new(*subject).map_err(|error| error.to_string())?;
        let grant = granted(subject, rights)?;
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
        match grants.and_then(|grants| grants.insert(log.clone(), grant)) {
            Some(_) => Err(format!("the same token was given for log {log} before")),
            None => Ok(()),
        }
    }

    /// Which of its tokens this is. Every token is looked at in the same way, so the time tells nothing.
    fn find(&self, token: &str) -> Option<usize> {
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
}

/// What the words behind a subject allow.
fn granted(subject: Subject, words: &[&str]) -> Result<Grant, String> {
    let (mut read, mut append, mut erase) = (None, None, None);
    for (index, word) in (4..).zip(words) {
        let (right, kinds) = word
            .split_once(':')
            .map_or((*word, None), |(right, kinds)| (right, Some(kinds)));
        let right = match right {
            "read" => &mut read,
            "append" => &mut append,
            "erase" => &mut erase,
            _ => {
                return Err(format!(
                    "word {index} begins with none of `read`, `append` and `erase`"
                ));
            }
        };
        if right.is_some() {
            return Err(format!("word {index} says again what another one says"));
        }
        *right = Some(kinds.map_or(Ok(Kinds::All), named)?);
    }
    let grant = Grant::append(subject);
    Ok(match (read, append, erase) {
        (None, None, None) => grant,
        (read, append, erase) => grant
            .reading(read.unwrap_or(Kinds::All))
            .appending(append.unwrap_or(Kinds::none()))
            .erasing(erase.unwrap_or(Kinds::none())),
    })
}

fn named(kinds: &str) -> Result<Kinds, String> {
    let kinds: Vec<&str> = kinds.split(',').collect();
    match kinds.iter().find(|kind| !is_kind(kind)) {
        Some(wrong) => Err(format!("{wrong:?} is no kind of streams")),
        None => Ok(kinds.into_iter().collect()),
    }
}

/// Is it what may stand before the first `/` of a stream?
pub(super) fn is_kind(text: &str) -> bool {
    StreamId::new(format!("{text}/1")).is_ok_and(|stream| stream.kind() == text)
}

#[cfg(test)]
mod tests {
    use super::{Kinds, LogName, StreamId, parse};

    const TOKEN: &str = "0123456789abcdef";

    fn may(rights: &str, stream: &str) -> (bool, bool) {
        let list = parse(&format!("shop {TOKEN} ann {rights}")).expect("a file");
        let log = LogName::new("shop").expect("a name");
        let stream = StreamId::new(stream).expect("a stream");
        let at = list.find(TOKEN).expect("the token");
        let grant = list.0.get(at).and_then(|(_, grants)| grants.get(&log));
        let grant = grant.expect("a grant");
        (grant.may_read(&stream), grant.may_append(&stream))
    }

    #[test]
    fn words_say_what_may_be_read_and_appended_to() {
        for (rights, price, order, invoice) in [
            ("", (true, true), (true, true), (true, true)),
            ("append", (true, true), (true, true), (true, true)),
            ("read", (true, false), (true, false), (true, false)),
            ("append:order", (true, false), (true, true), (true, false)),
            (
                "read append:order",
                (true, false),
                (true, true),
                (true, false),
            ),
            ("read:price", (true, false), (false, false), (false, false)),
            (
                "append:order read:price",
                (true, false),
                (true, true),
                (false, false),
            ),
            (
                "read:price,invoice",
                (true, false),
                (false, false),
                (true, false),
            ),
        ] {
            let found = [
                may(rights, "price/1"),
                may(rights, "order/1"),
                may(rights, "invoice/1"),
            ];
            assert_eq!(found, [price, order, invoice], "{rights}");
        }
    }

    #[test]
    fn only_a_word_of_its_own_lets_a_token_erase() {
        let (order, person): (StreamId, StreamId) = (
            StreamId::new("order/1").expect("a stream"),
            StreamId::new("person/1").expect("a stream"),
        );
        for (rights, erases, reads) in [
            ("", (false, false), true),
            ("append", (false, false), true),
            ("erase", (true, true), true),
            ("read:order erase:person", (false, true), true),
            ("read:invoice erase:person", (false, true), false),
        ] {
            let list = parse(&format!("shop {TOKEN} ann {rights}")).expect("a list");
            let log = LogName::new("shop").expect("a name");
            let grants = list.find(TOKEN).and_then(|at| list.0.get(at));
            let grant = grants.and_then(|(_, grants)| grants.get(&log));
            let grant = grant.expect("a grant");
            let found = (grant.may_erase(&order), grant.may_erase(&person));
            assert_eq!(found, erases, "{rights}");
            assert_eq!(grant.may_read(&order), reads, "{rights}");
            assert!(grant.may_read(&person), "{rights}");
        }
    }

    #[test]
    fn a_line_that_says_something_else_is_named() {
        for (rights, says) in [
            ("write", "word 4 begins with none"),
            ("read read:todo", "word 5 says again"),
            ("read:", "\"\" is no kind"),
            ("read:todo,", "\"\" is no kind"),
            ("append:todo/1", "\"todo/1\" is no kind"),
        ] {
            let error = parse(&format!("# who\nshop {TOKEN} ann {rights}"));
            let said = error.err().expect("an error").to_string();
            assert!(said.starts_with("line 2:") && said.contains(says), "{said}");
            assert!(!said.contains(TOKEN));
        }
        assert!(parse("# nobody\n").is_err());
        assert_eq!(Kinds::from_iter([""; 0]), Kinds::none());
    }
}
