//! A span of OpenTelemetry for each request, by the conventions for HTTP servers: the route, the method and the status, and nothing
//! that somebody sent. It belongs to the trace that the caller names (`traceparent`).
//!
//! Spans go to the process's own tracer provider ([`opentelemetry::global`]): the program `tidelog` sets one, and whoever
//! embeds the router has theirs. Without the feature `otel` there is nothing here.

#[cfg(feature = "otel")]
use opentelemetry::{
    Context, KeyValue, global,
    trace::{FutureExt, SpanKind, Status, TraceContextExt, Tracer},
};
#[cfg(feature = "otel")]
use opentelemetry_http::HeaderExtractor;

use axum::http::{HeaderMap, Method, StatusCode};
use std::future::Future;

/// The span of whoever asked, if they told of it.
#[cfg(feature = "otel")]
pub(super) struct Parent(Context);
#[cfg(not(feature = "otel"))]
pub(super) struct Parent;

/// What a caller told of their span.
#[cfg(feature = "otel")]
pub(super) fn parent(headers: &HeaderMap) -> Parent {
    Parent(global::get_text_map_propagator(|propagator| {
        propagator.extract(&HeaderExtractor(headers))
    }))
}

#[cfg(not(feature = "otel"))]
pub(super) fn parent(_headers: &HeaderMap) -> Parent {
    Parent
}

/// Answers a request inside a span of its own, which ends with the head of the answer.
#[cfg(feature = "otel")]
pub(super) async fn spanned<T>(
    Parent(parent): Parent,
    (method, route): (&Method, Option<&str>),
    answered: impl Future<Output = T>,
    status: impl FnOnce(&T) -> StatusCode,
) -> T {
    let tracer = global::tracer("tidelog");
    let name = match route {
        Some(route) => format!("{method} {route}"),
        None => method.to_string(),
    };
    let route = route.map(|route| KeyValue::new("http.route", route.to_owned()));
    let method = KeyValue::new("http.request.method", method.to_string());
    let span = tracer
        .span_builder(name)
        .with_kind(SpanKind::Server)
        .with_attributes([method].into_iter().chain(route))
        .start_with_context(&tracer, &parent);
    let context = parent.with_span(span);
    let answer = answered.with_context(context.clone()).await;
    let (status, span) = (status(&answer), context.span());
    let code = i64::from(status.as_u16());
    span.set_attribute(KeyValue::new("http.response.status_code", code));
    // What a caller did wrong is no error of the server's.
    if status.is_server_error() {
        span.set_status(Status::error(""));
    }
    span.end();
    answer
}

#[cfg(not(feature = "otel"))]
pub(super) async fn spanned<T>(
    _parent: Parent,
    _named: (&Method, Option<&str>),
    answered: impl Future<Output = T>,
    _status: impl FnOnce(&T) -> StatusCode,
) -> T {
    answered.await
}
