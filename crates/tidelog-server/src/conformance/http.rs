//! Requests to the endpoint, and what of an answer a case looks at.

use super::case::{Done, Ended, Mismatch, same};
use super::seen::Seen;
use serde_json::{Value, json};
use std::time::Duration;
use tidelog_core::protocol::PROBLEM;
use ureq::Agent;
use ureq::http::{HeaderMap, Request, Response};

/// Longer than any wait that a case asks for.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How much of a text is shown.
const SHOWN: usize = 2_000;
/// How often a character is shown in a row.
const LONGEST_RUN: usize = 40;
/// How many bytes of an answer are read at most.
const ANSWER_BYTES: u64 = 256 * 1024 * 1024;

/// A request in the making.
#[derive(Debug)]
pub(crate) struct Call {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Vec<u8>>,
}

/// An answer, read to its end, and the request that it is to.
#[derive(Debug)]
pub(crate) struct Answer {
    seen: Seen,
    pub(super) sent: String,
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// An answer that does not end, read line by line.
pub(crate) struct Lines {
    pub(super) sent: String,
    reader: std::io::BufReader<ureq::BodyReader<'static>>,
}

impl Call {
    pub(crate) fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: Vec::new(),
            body: None,
        }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.bytes("application/json", body.to_string())
    }

    pub(crate) fn bytes(self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut call = self.header("content-type", media_type);
        call.body = Some(body.into());
        call
    }

    /// As one reads it in a report; never with a token.
    fn shown(&self) -> String {
        let headers = self.headers.iter();
        let headers = headers.filter(|(name, _)| name != "authorization");
        let headers: String = headers
            .map(|(name, value)| format!(" {name}: {value};"))
            .collect();
        let body = self.body.as_deref().map_or_else(String::new, shown);
        format!("{} {}{headers} {body}", self.method, self.path)
            .trim_end()
            .to_owned()
    }

    fn exchange(&self, agent: &Agent, base: &str) -> Result<(String, Response<ureq::Body>), Ended> {
        let sent = self.shown();
        let failed = |error: &dyn std::fmt::Display| Mismatch::ended(&sent, "an answer", error);
        let mut request = Request::builder()
            .method(self.method)
            .uri(format!("{base}{}", self.path));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        // A server may refuse a request before it has read the body, and close the connection: nothing else may be on its way there.
        if self.body.is_some() {
            request = request.header("connection", "close");
        }
        let response = match self.body.as_deref() {
            Some(body) => agent.run(request.body(body).map_err(|error| failed(&error))?),
            None => agent.run(request.body(()).map_err(|error| failed(&error))?),
        };
        let response = response.map_err(|error| failed(&error))?;
        Ok((sent, response))
    }

    pub(super) fn send(&self, agent: &Agent, base: &str, seen: &Seen) -> Result<Answer, Ended> {
        let (sent, mut response) = self.exchange(agent, base)?;
        let body = response.body_mut().with_config().limit(ANSWER_BYTES);
        let body = body
            .read_to_vec()
            .map_err(|error| Mismatch::ended(&sent, "a whole answer", error))?;
        if response.status().is_success() {
            seen.call(self.method, &self.path);
        }
        Ok(Answer {
            seen: seen.clone(),
            sent,
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body,
        })
    }

    pub(super) fn open(self, agent: &Agent, base: &str, seen: &Seen) -> Result<Lines, Ended> {
        let (sent, response) = self.exchange(agent, base)?;
        if response.status() != 200 {
            return Err(Mismatch::ended(sent, "status 200", response.status()));
        }
        seen.call(self.method, &self.path);
        let reader = std::io::BufReader::new(response.into_body().into_reader());
        Ok(Lines { sent, reader })
    }
}

impl Lines {
    /// The next line for which this gives something.
    pub(crate) fn find<T>(
        &mut self,
        what: &str,
        mut find: impl FnMut(&str) -> Option<T>,
    ) -> Result<T, Ended> {
        let mut line = String::new();
        loop {
            line.clear();
            let read = std::io::BufRead::read_line(&mut self.reader, &mut line);
            match read {
                Ok(0) => return Err(Mismatch::ended(&self.sent, what, "the answer ended")),
                Err(error) => return Err(Mismatch::ended(&self.sent, what, error)),
                Ok(_) => {}
            }
            if let Some(found) = find(line.trim_end()) {
                return Ok(found);
            }
        }
    }
}

impl Answer {
    pub(crate) fn is(self, status: u16) -> Result<Self, Ended> {
        match self.status == status {
            true => Ok(self),
            false => Err(self.unlike(format_args!("status {status}"))),
        }
    }

    pub(crate) fn json(&self) -> Result<Value, Ended> {
        serde_json::from_slice(&self.body).map_err(|_why| self.unlike("a body of JSON"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Demands a header with this value.
    pub(crate) fn has_header(&self, name: &str, value: &str) -> Done {
        match self.header(name) == Some(value) {
            true => Ok(()),
            false => Err(self.unlike(format_args!("the header {name}: {value}"))),
        }
    }

    /// Demands a problem document of this status and code.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Result<Value, Ended> {
        let expected = format!("status {status} and a problem document of code {code}");
        let is_problem = self
            .header("content-type")
            .is_some_and(|found| found.starts_with(PROBLEM));
        if self.status != status || !is_problem {
            return Err(self.unlike(expected));
        }
        let problem = self.json()?;
        let told = |name: &str| problem[name].as_str().is_some_and(|text| !text.is_empty());
        if problem["code"] != code
            || problem["status"] != status
            || !["type", "title", "detail"].into_iter().all(told)
        {
            return Err(self.unlike(expected));
        }
        self.seen.problem(code);
        Ok(problem)
    }

    /// Demands that a commit of the push was rejected with this code.
    pub(crate) fn rejected(&self, index: usize, code: &str) -> Done {
        self.at(&format!("/results/{index}/verdict"), &json!("rejected"))?;
        self.at(&format!("/results/{index}/code"), &json!(code))?;
        self.seen.rejection(code);
        Ok(())
    }

    /// Demands that the caller is told when to come again: in so many seconds, one at least.
    pub(crate) fn retry_after(&self) -> Result<Duration, Ended> {
        let seconds = self
            .header("retry-after")
            .and_then(|text| text.parse().ok());
        match seconds {
            Some(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
            _ => Err(self.unlike("the header retry-after: a number of seconds, from 1")),
        }
    }

    /// Demands that a part of the body (by its JSON pointer) has this value.
    pub(crate) fn at(&self, pointer: &str, expected: &Value) -> Done {
        let body = self.json()?;
        let got = body.pointer(pointer).cloned().unwrap_or(json!(null));
        same(&self.sent, pointer, expected, &got)
    }

    /// The mismatch between what was demanded and this answer.
    pub(crate) fn unlike(&self, expected: impl std::fmt::Display) -> Ended {
        let media_type = self.header("content-type").unwrap_or_default();
        let got = format!("{} {media_type} {}", self.status, shown(&self.body));
        Mismatch::ended(&self.sent, expected, got)
    }
}

pub(super) fn agent() -> Agent {
    crate::agent::config()
        .http_status_as_error(false)
        .max_redirects(0)
        // Each request has a connection of its own: a server that refuses a body without reading it may close the connection behind its
        // answer, and the next request on that would fail for no fault of its own.
        .max_idle_connections(0)
        .timeout_global(Some(TIMEOUT))
        .build()
        .into()
}

/// As one reads it in a report: without its end if it is long, and without what only makes it long.
fn shown(bytes: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return format!("({} bytes)", bytes.len());
    };
    let (mut shown, mut chars) = (String::new(), text.chars().peekable());
    while let Some(char) = chars.next() {
        if shown.len() >= SHOWN {
            return format!("{shown}… ({} bytes)", bytes.len());
        }
        let mut times = 1;
        while chars.next_if_eq(&char).is_some() {
            times += 1;
        }
        match times {
            0..=LONGEST_RUN => shown.extend(std::iter::repeat_n(char, times)),
            _ => shown.push_str(&format!("{char:?}×{times}")),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::{SHOWN, shown};

    #[test]
    fn what_only_makes_a_text_long_is_counted_and_not_shown() {
        let padded = format!("{{\"a\":1}}{}", " ".repeat(8_000_000));
        assert_eq!(shown(padded.as_bytes()), "{\"a\":1}' '×8000000");
        assert_eq!(shown("a — \u{1F95B}".as_bytes()), "a — \u{1F95B}");
        assert_eq!(shown(&[0xff; 3]), "(3 bytes)");
    }

    #[test]
    fn a_long_text_is_cut_and_says_how_long_it_was() {
        let long = "ab".repeat(SHOWN);
        let expected = format!("{}… ({} bytes)", "ab".repeat(SHOWN / 2), long.len());
        assert_eq!(shown(long.as_bytes()), expected);
    }
}
