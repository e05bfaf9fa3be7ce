//! Push and pull over fetch. Whatever is not an answer of the protocol is a [`SyncError`], never a verdict.

use crate::answer::push_response;
use crate::fields::Fields;
use crate::options::TokenSource;
use crate::platform::describe;
use gloo_timers::callback::Timeout;
use js_sys::{Array, Function, Promise, Reflect, Uint8Array};
use tidelog_core::cursor::Cursor;
use tidelog_core::protocol::{CURSOR_HEADER, FRAMES, HEAD_HEADER, PushResponse, REPLICA_HEADER};
use tidelog_core::replica::SyncError;
use tidelog_core::store::Direction;
use tidelog_core::{Commit, Local, Policy, Position, ReplicaId, Seq, StreamId, Version, frame};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Headers, Request, RequestCache, RequestInit, Response};

const WAIT_SECONDS: u32 = 25;
const TIMEOUT_MILLIS: u32 = 30_000;

/// A server's endpoint for one log.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) url: String,
    pub(crate) token: Option<TokenSource>,
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
        let body = Uint8Array::from(frame::encode_local(first, &locals).as_slice());
        let headers = self.headers().await?;
        set(&headers, "content-type", FRAMES)?;
        set(&headers, "accept", "application/json")?;
        set(&headers, REPLICA_HEADER, &replica.to_string())?;
        set(&headers, CURSOR_HEADER, &cursor.to_string())?;
        let url = format!("{}/commits", self.url);
        let response = fetch(&url, "POST", &headers, Some(&body), abort, TIMEOUT_MILLIS).await?;
        expect_type(&response, "application/json")?;
        let body = read(response.json()).await?;
        push_response(&body, &locals).map_err(|error| bad(&error.to_string()))
    }

    pub(crate) async fn pull(
        &self,
        abort: &AbortController,
        cursor: Cursor,
        wait: bool,
    ) -> Result<Pulled, SyncError> {
        let mut after = if cursor == Cursor::default() {
            String::from("0")
        } else {
            cursor.to_string()
        };
        let mut timeout = TIMEOUT_MILLIS;
        if wait {
            after.push_str(&format!("&wait={WAIT_SECONDS}"));
            timeout += WAIT_SECONDS * 1_000;
        }
        self.frames(abort, &after, timeout).await
    }

    /// Frames that begin right after a position, of whatever history the server has.
    pub(crate) async fn page(
        &self,
        abort: &AbortController,
        after: Position,
    ) -> Result<Pulled, SyncError> {
        self.frames(abort, &after.to_string(), TIMEOUT_MILLIS).await
    }

    async fn frames(
        &self,
        abort: &AbortController,
        after: &str,
        timeout: u32,
    ) -> Result<Pulled, SyncError> {
        let headers = self.headers().await?;
        set(&headers, "accept", FRAMES)?;
        let url = format!("{}/commits?after={after}", self.url);
        let response = fetch(&url, "GET", &headers, None, abort, timeout).await?;
        expect_type(&response, FRAMES)?;
        let head = header(&response, HEAD_HEADER)
            .and_then(|head| head.parse().ok())
            .ok_or_else(|| bad("the answer does not say where the log ends"))?;
        let bytes = Uint8Array::new(&read(response.array_buffer()).await?).to_vec();
        let frames = frame::split(&bytes).map_err(|error| SyncError::BadAnswer {
            detail: error.to_string(),
        })?;
        Ok(Pulled {
            frames: frames.into_iter().map(<[u8]>::to_vec).collect(),
            head: Position::new(head),
        })
    }

    /// One stream's events from a version on, as the JSON that the server sends.
    pub(crate) async fn stream(
        &self,
        abort: &AbortController,
        stream: &StreamId,
        from: Version,
        direction: Direction,
    ) -> Result<JsValue, SyncError> {
        let headers = self.headers().await?;
        set(&headers, "accept", "application/json")?;
        let stream = String::from(js_sys::encode_uri_component(stream.as_str()));
        let direction = match direction {
            Direction::Forward => "forward",
            Direction::Backward => "backward",
        };
        let url = format!(
            "{}/streams/{stream}?from={from}&direction={direction}",
            self.url
        );
        let response = fetch(&url, "GET", &headers, None, abort, TIMEOUT_MILLIS).await?;
        expect_type(&response, "application/json")?;
        read(response.json()).await
    }

    async fn headers(&self) -> Result<Headers, SyncError> {
        let headers = Headers::new().map_err(|error| network(&error))?;
        if let Some(source) = &self.token
            && let Some(token) = source().await
        {
            headers
                .set("authorization", &format!("Bearer {token}"))
                .map_err(|error| SyncError::Unauthorized {
                    detail: format!("the token is no text for a header: {}", describe(&error)),
                })?;
        }
        Ok(headers)
    }
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
    url: &str,
    method: &str,
    headers: &Headers,
    body: Option<&Uint8Array>,
    abort: &AbortController,
    timeout: u32,
) -> Result<Response, SyncError> {
    let init = RequestInit::new();
    init.set_method(method);
    init.set_headers(headers);
    init.set_cache(RequestCache::NoStore);
    init.set_signal(Some(&abort.signal()));
    if let Some(body) = body {
        init.set_body(body);
    }
    let request = Request::new_with_str_and_init(url, &init).map_err(|error| network(&error))?;
    // A page and a worker have fetch on different classes, and it is the same function.
    let global = js_sys::global();
    let function: Function = Reflect::get(&global, &JsValue::from_str("fetch"))
        .ok()
        .and_then(|function| function.dyn_into().ok())
        .ok_or_else(|| SyncError::Network {
            detail: "there is no fetch here".into(),
        })?;
    let controller = abort.clone();
    let timer = Timeout::new(timeout, move || controller.abort());
    let promise = function
        .apply(&global, &Array::of1(&request))
        .map_err(|error| network(&error))?;
    let response = JsFuture::from(Promise::from(promise))
        .await
        .map_err(|error| network(&error));
    drop(timer);
    let response: Response = response?
        .dyn_into()
        .map_err(|_other| bad("fetch gave no response"))?;
    if response.ok() {
        Ok(response)
    } else {
        Err(refusal(response).await)
    }
}

/// What a response without success says.
async fn refusal(response: Response) -> SyncError {
    let status = response.status();
    let is_problem = expect_type(&response, "application/problem+json").is_ok();
    let problem = if is_problem {
        read(response.json()).await.unwrap_or_default()
    } else {
        JsValue::UNDEFINED
    };
    let said = |field| Fields::of(&problem).text(field).unwrap_or_default();
    let (code, detail) = (said("code"), said("detail"));
    match status {
        401 => SyncError::Unauthorized { detail },
        429 => SyncError::RateLimited {
            retry_after_millis: header(&response, "retry-after")
                .and_then(|seconds| seconds.parse::<u64>().ok())
                .map(|seconds| seconds.saturating_mul(1_000)),
        },
        500.. => SyncError::Unavailable { status, detail },
        _ if !is_problem => SyncError::BadAnswer {
            detail: format!("status {status} without a problem document; a proxy or sign-in page?"),
        },
        403 => SyncError::Forbidden { code, detail },
        404 => SyncError::UnknownLog { detail },
        409 if code == "cursor_mismatch" || code == "cursor_ahead" => SyncError::HistoryChanged,
        413 => SyncError::TooLarge,
        426 => SyncError::ClientTooOld,
        _ => SyncError::Refused {
            status,
            code,
            detail,
        },
    }
}
