//! Request bodies, never more of them in memory than the cap.

use super::{Problem, caps, negotiation};
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tidelog_core::limits::MAX_BODY_BYTES;

/// How much of a body that is too large is still read and thrown away: a client that is writing sees the answer only
/// when it has written.
const DRAIN_BYTES: usize = 4 * MAX_BODY_BYTES;
/// Bodies up to here are decoded where they arrive, larger ones on a thread for such work.
const INLINE_BYTES: usize = 64 * 1024;

/// Reads a whole body.
pub(crate) async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Problem> {
    let mut encoded = headers.get_all(header::CONTENT_ENCODING).iter();
    if encoded.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let detail = "a Content-Encoding is not supported: send the body as it is".into();
        return Err(negotiation::unsupported(detail));
    }
    match tokio::time::timeout(caps::BODY_TIME, collect(body)).await {
        Ok(result) => result,
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            format!(
                "the body did not arrive within {} s",
                caps::BODY_TIME.as_secs()
            ),
        )),
    }
}

async fn collect(body: Body) -> Result<Vec<u8>, Problem> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut length = 0_usize;
    while let Some(chunk) = stream.next().await {
        let chunk =
            chunk.map_err(|error| Problem::bad_request(format!("the body broke off: {error}")))?;
        length += chunk.len();
        if length <= MAX_BODY_BYTES {
            bytes.extend_from_slice(&chunk);
        } else if length <= DRAIN_BYTES {
            bytes = Vec::new();
        } else {
            break;
        }
    }
    if length > MAX_BODY_BYTES {
        let detail =
            format!("the body has more than the {MAX_BODY_BYTES} bytes allowed; send less at once");
        return Err(
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", detail)
                .field("max", MAX_BODY_BYTES),
        );
    }
    Ok(bytes)
}

/// Runs work whose time grows with the body.
pub(crate) async fn decode<T: Send + 'static>(
    bytes: Vec<u8>,
    decode: impl FnOnce(&[u8]) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    if bytes.len() <= INLINE_BYTES {
        return decode(&bytes);
    }
    let done = tokio::task::spawn_blocking(move || decode(&bytes)).await;
    done.unwrap_or_else(|error| {
        tracing::error!(%error, "decoding a body panicked");
        Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the server failed; this is a bug",
        ))
    })
}

/// Parses JSON of exactly this shape: unknown and repeated fields are refused.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes)
        .map_err(|error| Problem::bad_request(format!("the body is not as it should be: {error}")))
}
