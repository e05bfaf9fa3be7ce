//! Request bodies, never more of them in memory than the cap.

use super::{App, Problem, caps, negotiation};
use crate::store::LogStore;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use flate2::read::MultiGzDecoder;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use std::io::Read;
use tidelog_core::limits::MAX_BODY_BYTES;
use tokio::sync::OwnedSemaphorePermit;

/// How much of a body that is too large is still read and thrown away: a client that is writing sees the answer only
/// when it has written.
const DRAIN_BYTES: usize = 4 * MAX_BODY_BYTES;
/// Bodies up to here are decoded where they arrive, larger ones on a thread for such work.
const INLINE_BYTES: usize = 64 * 1024;

/// A whole body, decoded.
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    /// Held while what a large body says is in memory.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

/// Reads a whole body. The cap is on what it decodes to, so a small body that would become a large one is never in memory as that.
pub(crate) async fn read<S: LogStore>(
    app: &App<S>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Received, Problem> {
    let is_packed = is_gzip(headers)?;
    let bytes = match tokio::time::timeout(caps::BODY_TIME, collect(body)).await {
        Ok(result) => result?,
        Err(_late) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            format!(
                "the body did not arrive within {} s",
                caps::BODY_TIME.as_secs()
            ),
        ))?,
    };
    if !is_packed {
        let room = app.room_for(bytes.len()).await;
        return Ok(Received { bytes, room });
    }
    let room = app.room_for(MAX_BODY_BYTES).await;
    let inflated = tokio::task::spawn_blocking(move || inflate(&bytes)).await;
    let bytes = inflated.unwrap_or_else(|error| Err(panicked(&error)))?;
    let room = room.filter(|_| bytes.len() > caps::SMALL_PUSH_BYTES);
    Ok(Received { bytes, room })
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Problem> {
    let encodings: Vec<&[u8]> = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    match encodings.as_slice() {
        [] => Ok(false),
        [one] if one.eq_ignore_ascii_case(b"identity") => Ok(false),
        [one] if one.eq_ignore_ascii_case(b"gzip") => Ok(true),
        _ => {
            let detail = "of Content-Encodings, gzip alone is supported, once".into();
            Err(negotiation::unsupported(detail)
                .header(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip")))
        }
    }
}

/// Unpacks a body up to the cap and not a byte further.
fn inflate(packed: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    MultiGzDecoder::new(packed)
        .take(MAX_BODY_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Problem::bad_request(format!("the body is not gzip: {error}")))?;
    match bytes.len() > MAX_BODY_BYTES {
        true => Err(too_large()),
        false => Ok(bytes),
    }
}

fn too_large() -> Problem {
    let detail =
        format!("the body has more than the {MAX_BODY_BYTES} bytes allowed; send less at once");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", detail)
        .field("max", MAX_BODY_BYTES)
}

fn panicked(error: &tokio::task::JoinError) -> Problem {
    tracing::error!(%error, "decoding a body panicked");
    Problem::bug()
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
        return Err(too_large());
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
    done.unwrap_or_else(|error| Err(panicked(&error)))
}

/// Parses JSON of exactly this shape: unknown and repeated fields are refused.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes)
        .map_err(|error| Problem::bad_request(format!("the body is not as it should be: {error}")))
}
