//! Push and pull over fetch. Whatever is not an answer of the protocol is a [`SyncError`], never a verdict.
//!
//! - A call ends: when its answer is read to the end, or after a time that its size allows for. Nothing waits for a connection
//!   that hangs, nor for a token that never comes.
//! - A redirect is not followed: the protocol has none, so it leads to somebody else, who is not to get the commits.
//! - A 401 is answered once by asking the app for another token. One that was refused is not sent again before something
//!   happens: the page is looked at, the network changes, or the app has another one.
//! - Commits travel as frames, and as JSON where the server has no frames: a pull says which it likes better and looks at what
//!   comes, a push goes as the last answers came, or as JSON once frames were not taken.

mod json;

use crate::answer::push_response;
use crate::fields::Fields;
use crate::options::TokenSource;
use crate::platform::{describe, now, within};
use crate::segments::{Ask, Segments};
use js_sys::{Array, Function, Promise, Reflect, Uint8Array};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tidelog_core::cursor::Cursor;
use tidelog_core::protocol::{
    CLIENT_HEADER, CLIENT_VERSION, CURSOR_HEADER, FRAMES, HEAD_HEADER, PROBLEM, PushResponse,
    REPLICA_HEADER, SEGMENTS_HEADER,
};
use tidelog_core::replica::SyncError;
use tidelog_core::store::Direction;
use tidelog_core::{
    Commit, Filter, Local, Policy, Position, ReplicaId, Seq, StreamId, Version, frame,
};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, Headers, Request, RequestCache, RequestInit, RequestRedirect, Response,
};

const JSON: &str = "application/json";
/// What a pull takes: frames for preference.
const COMMITS: &str = "application/vnd.tidelog.frames, application/json;q=0.5";
const UNSUPPORTED_MEDIA_TYPE: u16 = 415;
const WAIT_SECONDS: u32 = 25;
/// How long a call may take that carries next to nothing.
const TIMEOUT_MILLIS: u32 = 30_000;
/// What a slow line carries at least. A line that is slower is taken for one that hangs.
const BYTES_PER_MILLI: u32 = 16;
/// About what a server sends at once.
const ANSWER_BYTES: u32 = 1024 * 1024;
/// What it sends as a segment at most, before it is compressed.
const SEGMENT_BYTES: u32 = 8 * ANSWER_BYTES;

/// A server's endpoint for one log.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) url: String,
    pub(crate) token: Option<TokenSource>,
    pub(crate) refused: Refused,
    pub(crate) segments: Rc<Segments>,
    /// The server has no frames.
    pub(crate) only_json: Rc<Cell<bool>>,
}

/// The token that the server refused last.
pub(crate) type Refused = Rc<RefCell<Option<Option<String>>>>;

/// One call of the protocol.
struct Call<'a> {
    url: String,
    headers: &'a [(&'a str, String)],
    /// The body of a POST; without one it is a GET.
    body: Option<Uint8Array>,
    /// What the answer has to be: [`JSON`], which is parsed, [`FRAMES`] or [`COMMITS`].
    accept: &'a str,
    /// How long the server may hold the answer back.
    wait: u32,
    /// Is it a segment? Then the answer is long.
    is_segment: bool,
}

/// An answer, read to its end. Commits are a text if they came as JSON.
struct Answer {
    response: Response,
    body: JsValue,
}

/// What a pull gave.
#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) frames: Vec<Vec<u8>>,
    pub(crate) head: Position,
}

impl Endpoint {
    pub(crate) async fn push(
        &self,
        abort: &AbortController,
        replica: ReplicaId,
        cursor: Cursor,
        commits: Vec<Commit>,
    ) -> Result<PushResponse, SyncError> {
        let first = commits.first().map_or(Seq::default(), |commit| commit.seq);
        // The policy is this device's business; the wire always says the default.
        let locals: Vec<Local> = commits
            .into_iter()
            .map(|commit| Local {
                commit,
                command: None,
                policy: Policy::default(),
            })
            .collect();
        let mut answer = Err(no_frames());
        if !self.only_json.get() {
            let body = Uint8Array::from(frame::encode_local(first, &locals).as_slice());
            let headers = [
                ("content-type", FRAMES.into()),
                (REPLICA_HEADER, replica.to_string()),
                (CURSOR_HEADER, cursor.to_string()),
            ];
            answer = self.send_commits(abort, &headers, body).await;
        }
        if answer.as_ref().is_err_and(takes_no_frames) {
            self.only_json.set(true);
            let body = Uint8Array::from(json::push(replica, cursor, &locals).as_bytes());
            let headers = [("content-type", JSON.into())];
            answer = self.send_commits(abort, &headers, body).await;
        }
        let answer = answer?;
        push_response(&answer.body, &locals).map_err(|error| bad(&error.to_string()))
    }

    async fn send_commits(
        &self,
        abort: &AbortController,
        headers: &[(&str, String)],
        body: Uint8Array,
    ) -> Result<Answer, SyncError> {
        let call = Call {
            url: format!("{}/commits", self.url),
            headers,
            body: Some(body),
            accept: JSON,
            wait: 0,
            is_segment: false,
        };
        self.call(abort, &call).await
    }

    pub(crate) async fn pull(
        &self,
        abort: &AbortController,
        cursor: Cursor,
        filter: &Filter,
        wait: bool,
    ) -> Result<Pulled, SyncError> {
        let here = cursor.position;
        let ask = if wait || !filter.is_everything() {
            Ask::Page
        } else {
            self.segments.next(here)
        };
        if let Ask::Segment(number) = ask
            && let Some(segment) = self.segment(abort, cursor, number).await?
        {
            return Ok(segment);
        }
        let mut after = if cursor == Cursor::default() {
            String::from("0")
        } else {
            cursor.to_string()
        };
        if let Ask::PageOf(events) = ask {
            after.push_str(&format!("&limit={events}"));
        }
        if wait {
            after.push_str(&format!("&wait={WAIT_SECONDS}"));
        }
        let wait = if wait { WAIT_SECONDS * 1_000 } else { 0 };
        after.push_str(&query(filter));
        let (pulled, events) = self.frames(abort, &after, Some(cursor), wait).await?;
        let last = last(&pulled.frames).unwrap_or(here);
        self.segments.page(ask, here, last, pulled.head, events);
        Ok(pulled)
    }

    /// The segment of this number, if there is one and it follows on the cursor.
    async fn segment(
        &self,
        abort: &AbortController,
        cursor: Cursor,
        number: u64,
    ) -> Result<Option<Pulled>, SyncError> {
        let call = Call {
            url: format!("{}/segments/{}/{number}", self.url, cursor.epoch),
            headers: &[],
            body: None,
            accept: FRAMES,
            wait: 0,
            is_segment: true,
        };
        let frames = match self.call(abort, &call).await {
            Ok(answer) => frames_of(&answer.body)?,
            // If the log is what is not there, the page that is asked for instead says so.
            Err(SyncError::UnknownLog { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let first = frames.first().and_then(|bytes| frame::header(bytes).ok());
        let first = first.map(|header| header.first_position());
        if first != Some(cursor.position.next()) {
            return Ok(None);
        }
        let last = last(&frames).unwrap_or(cursor.position);
        let head = self.segments.segment(last);
        Ok(Some(Pulled { frames, head }))
    }

    /// Frames that begin right after a position, of whatever history the server has.
    pub(crate) async fn page(
        &self,
        abort: &AbortController,
        after: Position,
        filter: &Filter,
    ) -> Result<Pulled, SyncError> {
        let after = format!("{after}{}", query(filter));
        Ok(self.frames(abort, &after, None, 0).await?.0)
    }

    /// A page, and how many positions lie between the ends of the server's segments (0: it has none).
    async fn frames(
        &self,
        abort: &AbortController,
        after: &str,
        cursor: Option<Cursor>,
        wait: u32,
    ) -> Result<(Pulled, u64), SyncError> {
        let call = Call {
            url: format!("{}/commits?after={after}", self.url),
            headers: &[],
            body: None,
            accept: COMMITS,
            wait,
            is_segment: false,
        };
        let Answer { response, body } = self.call(abort, &call).await?;
        let text = body.as_string();
        self.only_json.set(text.is_some());
        if let Some(text) = text {
            return Ok((json::page(&text, cursor)?, 0));
        }
        let head = header(&response, HEAD_HEADER)
            .and_then(|head| head.parse().ok())
            .ok_or_else(|| bad("the answer does not say where the log ends"))?;
        let pulled = Pulled {
            frames: frames_of(&body)?,
            head: Position::new(head),
        };
        let events = header(&response, SEGMENTS_HEADER).and_then(|events| events.parse().ok());
        Ok((pulled, events.unwrap_or(0)))
    }

    /// One stream's events from a version on, as the JSON that the server sends.
    pub(crate) async fn stream(
        &self,
        abort: &AbortController,
        stream: &StreamId,
        from: Version,
        direction: Direction,
    ) -> Result<JsValue, SyncError> {
        let stream = String::from(js_sys::encode_uri_component(stream.as_str()));
        let direction = match direction {
            Direction::Forward => "forward",
            Direction::Backward => "backward",
        };
        let call = Call {
            url: format!(
                "{}/streams/{stream}?from={from}&direction={direction}",
                self.url
            ),
            headers: &[],
            body: None,
            accept: JSON,
            wait: 0,
            is_segment: false,
        };
        Ok(self.call(abort, &call).await?.body)
    }

    /// Makes a call and reads its answer, within the time that both allow for.
    async fn call(&self, abort: &AbortController, call: &Call<'_>) -> Result<Answer, SyncError> {
        let sent = call.body.as_ref().map_or(0, Uint8Array::length);
        let answer = if call.is_segment {
            SEGMENT_BYTES
        } else {
            ANSWER_BYTES
        };
        let time = TIMEOUT_MILLIS + call.wait + (sent + answer) / BYTES_PER_MILLI;
        match within(time, self.answered(abort, call)).await {
            Some(answer) => answer,
            None => {
                abort.abort();
                Err(SyncError::Network {
                    detail: format!("no answer within {} s", time / 1_000),
                })
            }
        }
    }

    /// Sends it with a token; if that is refused, once more with another one.
    async fn answered(
        &self,
        abort: &AbortController,
        call: &Call<'_>,
    ) -> Result<Answer, SyncError> {
        let mut token = self.ask_token(false).await?;
        let refused = self.refused.borrow().clone();
        if refused.as_ref() == Some(&token) {
            token = self.ask_token(true).await?;
            if refused.as_ref() == Some(&token) {
                return Err(SyncError::Unauthorized {
                    detail: "the token that it refused has not been replaced".into(),
                });
            }
        }
        let mut result = exchange(abort, call, token.as_deref()).await;
        if let Err(SyncError::Unauthorized { .. }) = result {
            let another = self.ask_token(true).await?;
            if another != token {
                token = another;
                result = exchange(abort, call, token.as_deref()).await;
            }
        }
        match &result {
            Ok(_) => *self.refused.borrow_mut() = None,
            Err(SyncError::Unauthorized { .. }) => *self.refused.borrow_mut() = Some(token),
            Err(_) => {}
        }
        result
    }

    async fn ask_token(&self, another: bool) -> Result<Option<String>, SyncError> {
        match &self.token {
            Some(source) => source(another).await.map_err(|why| SyncError::Network {
                detail: format!("the app could not say who is signed in: {why}"),
            }),
            None => Ok(None),
        }
    }

    /// Something happened: a token that was refused may be taken now.
    pub(crate) fn forget_refusal(&self) {
        *self.refused.borrow_mut() = None;
    }
}

fn frames_of(body: &JsValue) -> Result<Vec<Vec<u8>>, SyncError> {
    let bytes = Uint8Array::new(body).to_vec();
    let frames = frame::split(&bytes).map_err(|error| bad(&error.to_string()))?;
    Ok(frames.into_iter().map(<[u8]>::to_vec).collect())
}

/// The last position that frames cover.
fn last(frames: &[Vec<u8>]) -> Option<Position> {
    let header = frame::header(frames.last()?).ok()?;
    Some(header.last_position())
}

/// What a filter asks for, as the rest of a query.
fn query(filter: &Filter) -> String {
    let kinds = filter.kinds().iter().map(|kind| ("kind", kind.as_str()));
    let streams = filter.streams().iter();
    let streams = streams.map(|stream| ("stream", stream.as_str()));
    let mut query = String::new();
    for (name, value) in kinds.chain(streams) {
        let value = String::from(js_sys::encode_uri_component(value));
        query.push_str(&format!("&{name}={value}"));
    }
    query
}

/// Sends a call and reads its answer.
async fn exchange(
    abort: &AbortController,
    call: &Call<'_>,
    token: Option<&str>,
) -> Result<Answer, SyncError> {
    let response = fetch(abort, call, token).await?;
    if !response.ok() {
        return Err(refusal(response).await);
    }
    let body = match call.accept {
        JSON => {
            expect_type(&response, JSON)?;
            response.json()
        }
        COMMITS if expect_type(&response, JSON).is_ok() => response.text(),
        _ => {
            expect_type(&response, FRAMES)?;
            response.array_buffer()
        }
    };
    let body = read(body).await?;
    Ok(Answer { response, body })
}

fn set(headers: &Headers, name: &str, value: &str) -> Result<(), SyncError> {
    headers.set(name, value).map_err(|error| network(&error))
}

fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name).ok().flatten()
}

fn network(error: &JsValue) -> SyncError {
    SyncError::Network {
        detail: describe(error),
    }
}

fn bad(detail: &str) -> SyncError {
    SyncError::BadAnswer {
        detail: detail.into(),
    }
}

/// What a server says that does not know frames.
fn no_frames() -> SyncError {
    SyncError::Refused {
        status: UNSUPPORTED_MEDIA_TYPE,
        code: String::new(),
        detail: String::new(),
    }
}

fn takes_no_frames(error: &SyncError) -> bool {
    matches!(error, SyncError::Refused { status, .. } if *status == UNSUPPORTED_MEDIA_TYPE)
}

fn expect_type(response: &Response, expected: &str) -> Result<(), SyncError> {
    let found = header(response, "content-type").unwrap_or_default();
    if found.starts_with(expected) {
        return Ok(());
    }
    Err(SyncError::BadAnswer {
        detail: format!(
            "it has the type {found:?} and should have {expected}; a proxy or sign-in page?"
        ),
    })
}

async fn read(promise: Result<Promise, JsValue>) -> Result<JsValue, SyncError> {
    let promise = promise.map_err(|error| network(&error))?;
    JsFuture::from(promise)
        .await
        .map_err(|error| network(&error))
}

async fn fetch(
    abort: &AbortController,
    call: &Call<'_>,
    token: Option<&str>,
) -> Result<Response, SyncError> {
    let headers = Headers::new().map_err(|error| network(&error))?;
    set(&headers, "accept", call.accept)?;
    set(&headers, CLIENT_HEADER, &CLIENT_VERSION.to_string())?;
    for (name, value) in call.headers {
        set(&headers, name, value)?;
    }
    if let Some(token) = token {
        headers
            .set("authorization", &format!("Bearer {token}"))
            .map_err(|error| SyncError::Unauthorized {
                detail: format!("the token is no text for a header: {}", describe(&error)),
            })?;
    }
    let init = RequestInit::new();
    init.set_headers(&headers);
    // Nothing of a log is left in the browser's cache, where what is erased later would stay.
    init.set_cache(RequestCache::NoStore);
    init.set_redirect(RequestRedirect::Manual);
    init.set_signal(Some(&abort.signal()));
    if let Some(body) = &call.body {
        init.set_method("POST");
        init.set_body(body);
    }
    let request =
        Request::new_with_str_and_init(&call.url, &init).map_err(|error| network(&error))?;
    // A page and a worker have fetch on different classes, and it is the same function.
    let global = js_sys::global();
    let function: Function = Reflect::get(&global, &JsValue::from_str("fetch"))
        .ok()
        .and_then(|function| function.dyn_into().ok())
        .ok_or_else(|| SyncError::Network {
            detail: "there is no fetch here".into(),
        })?;
    let promise = function
        .apply(&global, &Array::of1(&request))
        .map_err(|error| network(&error))?;
    let response = JsFuture::from(Promise::from(promise)).await;
    response
        .map_err(|error| network(&error))?
        .dyn_into()
        .map_err(|_other| bad("fetch gave no response"))
}

/// How long to wait, in milliseconds: `Retry-After` is a number of seconds or a date.
fn retry_after(response: &Response) -> Option<u64> {
    let asked = header(response, "retry-after")?;
    if let Ok(seconds) = asked.trim().parse::<u64>() {
        return Some(seconds.saturating_mul(1_000));
    }
    let at = js_sys::Date::parse(&asked);
    // By the server's own clock where it can be read, so that this device's may be wrong.
    let here = header(response, "date").map(|date| js_sys::Date::parse(&date));
    #[allow(
        clippy::cast_precision_loss,
        reason = "milliseconds are exact in a double"
    )]
    let here = here
        .filter(|here| here.is_finite())
        .unwrap_or(now().millis() as f64);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number that is not negative; anything else saturates"
    )]
    at.is_finite().then(|| (at - here).max(0.0) as u64)
}

/// What a response without success says.
async fn refusal(response: Response) -> SyncError {
    let status = response.status();
    let is_problem = expect_type(&response, PROBLEM).is_ok();
    let problem = if is_problem {
        read(response.json()).await.unwrap_or_default()
    } else {
        JsValue::UNDEFINED
    };
    let said = |field| Fields::of(&problem).text(field).unwrap_or_default();
    let (code, detail) = (said("code"), said("detail"));
    let max = || Fields::of(&problem).whole("max").ok();
    match status {
        // What a redirect looks like that is not followed.
        0 => bad("it leads elsewhere; a sign-in page?"),
        401 => SyncError::Unauthorized { detail },
        // Proxies have caps of their own, and say so without a problem document.
        413 if code == "too_many_commits" => SyncError::TooManyCommits { max: max() },
        413 => SyncError::TooLarge { max: max() },
        426 => SyncError::ClientTooOld,
        429 => SyncError::RateLimited {
            retry_after_millis: retry_after(&response),
        },
        // The request did not arrive in time, or came too early.
        408 | 425 | 500.. => SyncError::Unavailable {
            status,
            detail,
            retry_after_millis: retry_after(&response),
        },
        _ if !is_problem => SyncError::BadAnswer {
            detail: format!("status {status} without a problem document; a proxy or sign-in page?"),
        },
        403 => SyncError::Forbidden { code, detail },
        404 => SyncError::UnknownLog { detail },
        409 if code == "cursor_mismatch" || code == "cursor_ahead" => SyncError::HistoryChanged,
        _ => SyncError::Refused {
            status,
            code,
            detail,
        },
    }
}
