//! What surrounds the answer to every request.
//!
//! Each layer that a router is given is boxed, and boxes its future, for every request; these are services that hold each other, and
//! box once.

use super::{App, Problem, caps, spans};
use crate::store::LogStore;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, MapOk, Ready, TryFutureExt, ready};
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};
use std::time::Instant;
use tidelog_core::protocol::CLIENT_HEADER;
use tower::{Layer, Service};
use tracing::Instrument;

/// Tells the caller which lines of the server's log are about its request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Counts and traces requests, and answers those whose handler panicked.
#[derive(Debug)]
pub(super) struct Trace<S, T = ()> {
    app: App<S>,
    inner: T,
}

impl<S, T: Clone> Clone for Trace<S, T> {
    fn clone(&self) -> Self {
        let (app, inner) = (self.app.clone(), self.inner.clone());
        Self { app, inner }
    }
}

impl<S> Trace<S> {
    pub(super) const fn new(app: App<S>) -> Self {
        Self { app, inner: () }
    }
}

impl<S, T> Layer<T> for Trace<S> {
    type Service = Trace<S, T>;

    fn layer(&self, inner: T) -> Trace<S, T> {
        let app = self.app.clone();
        Trace { app, inner }
    }
}

impl<S: LogStore, T> Service<Request> for Trace<S, T>
where
    T: Service<Request, Response = Response, Error = Infallible>,
    T::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    /// One line for each request: the route and not the path, so that no id, query or token is written down.
    /// The request's number is in its line, in every line that is written while it is answered, and in the answer.
    fn call(&mut self, request: Request) -> Self::Future {
        let begun = Instant::now();
        let method = request.method().clone();
        let matched = request.extensions().get::<MatchedPath>().cloned();
        let parent = spans::parent(request.headers());
        let id = self.app.next_request();
        let span = tracing::error_span!("request", id = format_args!("{id:016x}"));
        let answered =
            span.in_scope(|| catch_unwind(AssertUnwindSafe(|| self.inner.call(request))));
        let app = self.app.clone();
        let answering = async move {
            let route = matched.as_ref().map(MatchedPath::as_str);
            let answered = async {
                let answered = match answered {
                    Ok(answered) => AssertUnwindSafe(answered).catch_unwind().await,
                    Err(panic) => Err(panic),
                };
                match answered {
                    Ok(Ok(response)) => response,
                    Err(_panic) => Problem::bug().into_response(),
                }
            };
            let mut response =
                spans::spanned(parent, (&method, route), answered, Response::status).await;
            finish(&app, &method, route, begun, &response);
            if let Ok(id) = HeaderValue::try_from(format!("{id:016x}")) {
                response.headers_mut().insert(REQUEST_ID, id);
            }
            Ok(response)
        };
        Box::pin(answering.instrument(span))
    }
}

fn finish<S: LogStore>(
    app: &App<S>,
    method: &Method,
    route: Option<&str>,
    begun: Instant,
    response: &Response,
) {
    let (route, time, status) = (
        route.unwrap_or("(file)"),
        begun.elapsed(),
        response.status(),
    );
    app.metrics().answered(method.as_str(), route, status, time);
    tracing::info!(
        %method,
        route,
        status = status.as_u16(),
        milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        "answered"
    );
}

/// For what is below `/v1`: refuses clients that are too old, and lets nobody sniff an answer, or keep one that does not say so
/// itself.
#[derive(Debug, Clone)]
pub(super) struct Protocol<T = ()>(T);

impl Protocol {
    pub(super) const fn new() -> Self {
        Self(())
    }
}

impl<T> Layer<T> for Protocol {
    type Service = Protocol<T>;

    fn layer(&self, inner: T) -> Protocol<T> {
        Protocol(inner)
    }
}

impl<T> Service<Request> for Protocol<T>
where
    T: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future =
        Either<Ready<Result<Response, Infallible>>, MapOk<T::Future, fn(Response) -> Response>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if !is_protocol(request.uri().path()) {
            return Either::Right(self.0.call(request).map_ok(std::convert::identity));
        }
        match too_old(&request) {
            Some(problem) => Either::Left(ready(Ok(kept_private(problem.into_response())))),
            None => Either::Right(self.0.call(request).map_ok(kept_private)),
        }
    }
}

fn is_protocol(path: &str) -> bool {
    path.strip_prefix("/v1")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn too_old(request: &Request) -> Option<Problem> {
    let client = request.headers().get(CLIENT_HEADER)?;
    match client.to_str().unwrap_or_default().parse::<u32>() {
        Ok(version) if version < caps::MIN_CLIENT => {
            let detail = format!(
                "this server serves clients from version {}; reload the app",
                caps::MIN_CLIENT
            );
            let problem = Problem::new(StatusCode::UPGRADE_REQUIRED, "client_too_old", detail);
            Some(problem.field("minClient", caps::MIN_CLIENT))
        }
        Ok(_) => None,
        Err(_) => Some(Problem::bad_request(format!(
            "the {CLIENT_HEADER} header is not a number"
        ))),
    }
}

fn kept_private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::is_protocol;

    #[test]
    fn what_is_below_v1_is_the_protocol_s() {
        for path in ["/v1", "/v1/", "/v1/logs/todos"] {
            assert!(is_protocol(path), "{path}");
        }
        for path in ["/", "/v10/logs", "/assets/v1/x.js", "/healthz"] {
            assert!(!is_protocol(path), "{path}");
        }
    }
}
