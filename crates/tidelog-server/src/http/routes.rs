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

use super::{App, Problem, caps, cors, openapi, spans, www};
use crate::clock;
use crate::store::{LogState, LogStore};
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post};
use std::time::Instant;
use tidelog_core::protocol::{CHAIN_HEADER, CLIENT_HEADER, EPOCH_HEADER, HEAD_HEADER};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

/// Tells the caller which lines of the server's log are about its request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

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

fn routed<S: LogStore>(calls: Vec<(&'static str, MethodRouter<App<S>>)>) -> Router<App<S>> {
    calls
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| {
            router.route(path, methods)
        })
}

/// The whole server as a router.
pub fn router<S: LogStore>(app: App<S>) -> Router {
    let protocol = routed(protocol())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(protocol_headers));
    let files = match &app.settings().www {
        Some(directory) => www::files(directory),
        None => Router::new().fallback(not_found),
    };
    routed(operations())
        .nest("/v1", protocol)
        // A nested router does not answer for its own root with a slash.
        .route("/v1/", any(not_found))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(cors::layer(&app.settings().origins))
        .fallback_service(files)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(app.clone(), trace::<S>))
        .with_state(app)
}

/// The headers that tell a log's end.
pub(crate) fn head_headers(state: &LogState) -> HeaderMap {
    let head = &state.head;
    let fields = [
        (EPOCH_HEADER, state.epoch.to_string()),
        (HEAD_HEADER, head.position.to_string()),
        (CHAIN_HEADER, head.chain.to_string()),
    ];
    let fields = fields.into_iter().filter_map(|(name, value)| {
        Some((
            HeaderName::from_static(name),
            HeaderValue::try_from(value).ok()?,
        ))
    });
    fields.collect()
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

/// Refuses clients that are too old, and lets nobody sniff an answer, or keep one that does not say so itself.
async fn protocol_headers(request: Request, next: Next) -> Response {
    let client = request
        .headers()
        .get(CLIENT_HEADER)
        .map(|value| value.to_str().unwrap_or_default());
    let mut response = match client.map(str::parse::<u32>) {
        Some(Ok(version)) if version < caps::MIN_CLIENT => Problem::new(
            StatusCode::UPGRADE_REQUIRED,
            "client_too_old",
            format!(
                "this server serves clients from version {}; reload the app",
                caps::MIN_CLIENT
            ),
        )
        .field("minClient", caps::MIN_CLIENT)
        .into_response(),
        Some(Err(_)) => Problem::bad_request(format!("the {CLIENT_HEADER} header is not a number"))
            .into_response(),
        _ => next.run(request).await,
    };
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

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    let detail = "the server failed; this is a bug";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).into_response()
}

/// One line for each request: the route and not the path, so that no id, query or token is written down.
/// The request's number is in its line, in every line that is written while it is answered, and in the answer.
async fn trace<S: LogStore>(State(app): State<App<S>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    // Without random bytes requests have no number, and are answered.
    let id = clock::random().map_or(0, u64::from_be_bytes);
    let span = tracing::error_span!("request", id = format_args!("{id:016x}"));
    async move {
        let parent = spans::parent(request.headers());
        let named = (&method, route.as_deref());
        let answered = next.run(request);
        let mut response = spans::spanned(parent, named, answered, Response::status).await;
        let (route, time) = (route.as_deref().unwrap_or("(file)"), begun.elapsed());
        let status = response.status();
        app.metrics().answered(method.as_str(), route, status, time);
        tracing::info!(
            %method,
            route,
            status = status.as_u16(),
            milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
            "answered"
        );
        if let Ok(id) = HeaderValue::try_from(format!("{id:016x}")) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }
    .instrument(span)
    .await
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
