//! The calls of the protocol and what surrounds each of them.

mod append;
mod erasures;
mod health;
mod live;
mod log;
mod pull;
mod push;
mod segment;
mod sse;
mod stream;

pub(crate) use erasures::ErasureJson;
pub(super) use pull::recorded_json;

use super::around::{Protocol, Trace};
use super::{App, Problem, cors, openapi, www};
use crate::store::{LogState, LogStore};
use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::routing::{MethodRouter, any, get, post};
use tidelog_core::protocol::{CHAIN_HEADER, EPOCH_HEADER, HEAD_HEADER};
use tower::Layer;

/// The calls of the protocol, below `/v1`.
fn protocol<S: LogStore>() -> Vec<(&'static str, MethodRouter<App<S>>)> {
    vec![
        ("/logs/{log}", get(log::describe::<S>)),
        (
            "/logs/{log}/commits",
            get(pull::pull::<S>).post(push::push::<S>),
        ),
        (
            "/logs/{log}/segments/{epoch}/{number}",
            get(segment::read::<S>),
        ),
        ("/logs/{log}/live", get(sse::follow::<S>)),
        (
            "/logs/{log}/streams/{*stream}",
            get(stream::read::<S>).post(append::append::<S>),
        ),
        (
            "/logs/{log}/erasures",
            get(erasures::list::<S>).post(erasures::erase::<S>),
        ),
        ("/live", post(live::follow::<S>)),
    ]
}

/// What is asked by whoever runs the server, and by tools.
fn operations<S: LogStore>() -> Vec<(&'static str, MethodRouter<App<S>>)> {
    vec![
        ("/healthz", get(health::alive)),
        ("/readyz", get(health::ready::<S>)),
        ("/openapi.json", get(openapi::serve)),
    ]
}

/// The whole server as a router. In an app of your own, [nest](Router::nest) it under a path: it answers `/healthz`, `/readyz`, `/openapi.json` and
/// everything below `/v1`, and has a fallback. [Merged](Router::merge) with an app that has routes or a fallback of its own there, axum panics
/// when it is built.
pub fn router<S: LogStore>(app: App<S>) -> Router {
    let files = match &app.settings().www {
        Some(directory) => www::files(directory),
        None => Router::new().fallback(not_found),
    };
    // Not nested: a nested router wraps each of its routes twice more. What it has no route for is not a file's, either.
    let below = protocol()
        .into_iter()
        .map(|(path, methods)| (format!("/v1{path}"), methods));
    let nothing = ["/v1", "/v1/", "/v1/{*path}"].map(|path| (path.to_owned(), any(not_found)));
    let beside = operations()
        .into_iter()
        .map(|(path, methods)| (path.to_owned(), methods));
    let around = (
        Trace::new(app.clone()),
        cors::layer(&app.settings().origins),
        Protocol::new(),
    );
    below
        .chain(nothing)
        .chain(beside)
        .fold(Router::new(), |router, (path, methods)| {
            router.route(&path, methods)
        })
        .method_not_allowed_fallback(method_not_allowed)
        .layer(around)
        // Files are for pages of the server's own origin.
        .fallback_service(Trace::new(app.clone()).layer(files))
        .with_state(app)
}

/// The headers that tell a log's end.
pub(crate) fn head_headers(state: &LogState) -> HeaderMap {
    let head = &state.head;
    // With room for what the answer gets on its way out.
    let mut headers = HeaderMap::with_capacity(12);
    for (name, value) in [
        (EPOCH_HEADER, state.epoch.to_string()),
        (HEAD_HEADER, head.position.to_string()),
        (CHAIN_HEADER, head.chain.to_string()),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

pub(crate) async fn not_found() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not_found",
        "there is nothing at this path",
    )
}

async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this path does not take this method",
    )
}

#[cfg(test)]
mod tests {
    use super::{operations, protocol};
    use crate::http::openapi::document;
    use crate::store::SqliteStore;
    use std::collections::BTreeSet;

    #[test]
    fn the_document_has_the_calls_that_there_are() {
        let protocol = protocol::<SqliteStore>()
            .into_iter()
            .map(|(path, _)| format!("/v1{}", path.replace("{*", "{")));
        let operations = operations::<SqliteStore>()
            .into_iter()
            .map(|(path, _)| path.to_owned());
        let routed: BTreeSet<String> = protocol.chain(operations).collect();
        let documented: BTreeSet<String> = document().paths.paths.into_keys().collect();
        assert_eq!(documented, routed);
    }
}
