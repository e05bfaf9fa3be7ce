//! Calls from pages of other origins.

use axum::http::{HeaderName, HeaderValue, Method, header};
use std::time::Duration;
use tidelog_core::protocol::{
    CHAIN_HEADER, CLIENT_HEADER, CURSOR_HEADER, EPOCH_HEADER, HEAD_HEADER, REPLICA_HEADER,
    SEGMENTS_HEADER,
};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// Which web pages may call the server from other origins.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origins {
    /// None: only pages that the server itself serves.
    None,
    /// All. For development.
    Any,
    /// These, such as `https://app.example`.
    Only(Vec<HeaderValue>),
}

pub(crate) fn layer(origins: &Origins) -> CorsLayer {
    let origin = match origins {
        Origins::None => AllowOrigin::list([]),
        Origins::Any => AllowOrigin::any(),
        Origins::Only(origins) => AllowOrigin::list(origins.iter().cloned()),
    };
    CorsLayer::new()
        .allow_origin(origin)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::CONTENT_ENCODING,
            header::ACCEPT,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static(REPLICA_HEADER),
            HeaderName::from_static(CURSOR_HEADER),
            HeaderName::from_static(CLIENT_HEADER),
        ])
        .expose_headers([
            HeaderName::from_static(EPOCH_HEADER),
            HeaderName::from_static(HEAD_HEADER),
            HeaderName::from_static(CHAIN_HEADER),
            HeaderName::from_static(SEGMENTS_HEADER),
            header::ETAG,
            header::RETRY_AFTER,
            header::DATE,
            HeaderName::from_static("x-request-id"),
        ])
        .max_age(Duration::from_secs(3600))
}
