//! Files beside the protocol: the app that talks to it.

use super::routes::not_found;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use std::path::Path;
use tower_http::services::ServeDir;

/// What a page may load: its own files, and WebAssembly.
const POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; object-src 'none'; \
    base-uri 'none'; frame-ancestors 'none'";

/// Serves a directory; a directory in it answers with its `index.html`, and `file.gz` stands in for `file`.
pub(crate) fn files<S: Clone + Send + Sync + 'static>(directory: &Path) -> Router<S> {
    let files = ServeDir::new(directory).precompressed_gzip();
    let files = files.fallback(Router::new().fallback(not_found));
    Router::new()
        .fallback_service(files)
        .layer(middleware::from_fn(headers))
}

async fn headers(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    // Bundlers put a hash of the content in the names of files under `assets/`.
    let is_hashed = path.contains("/assets/") && request.method() == Method::GET;
    let mut response = next.run(request).await;
    let cache = if is_hashed && response.status().is_success() {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    for (name, value) in [
        (header::CACHE_CONTROL, cache),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
