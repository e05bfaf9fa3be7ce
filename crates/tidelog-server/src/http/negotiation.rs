//! Which of the two encodings a body has and an answer gets.

use super::Problem;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use tidelog_core::protocol::FRAMES;

/// How commits travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    Frames,
}

pub(crate) const JSON: &str = "application/json";

/// The encoding of a request's body.
pub(crate) fn content(headers: &HeaderMap) -> Result<Encoding, Problem> {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    match value.map(essence).as_deref() {
        Some(JSON) => Ok(Encoding::Json),
        Some(FRAMES) => Ok(Encoding::Frames),
        found => Err(unsupported(format!(
            "the Content-Type is {}; send {JSON} or {FRAMES}",
            found.map_or_else(|| "missing".into(), |found| format!("{found:?}"))
        ))),
    }
}

/// Demands a JSON body.
pub(crate) fn json_only(headers: &HeaderMap) -> Result<(), Problem> {
    match content(headers)? {
        Encoding::Json => Ok(()),
        Encoding::Frames => Err(unsupported(format!("this call takes {JSON} only"))),
    }
}

pub(crate) fn unsupported(detail: String) -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        detail,
    )
}

/// The encoding the caller likes best; JSON if they don't care.
pub(crate) fn accepted(headers: &HeaderMap) -> Result<Encoding, Problem> {
    let ranges = ranges(headers, &header::ACCEPT);
    if ranges.is_empty() {
        return Ok(Encoding::Json);
    }
    match (likes(&ranges, JSON), likes(&ranges, FRAMES)) {
        (json, frames) if frames > json => Ok(Encoding::Frames),
        (json, _) if json > 0.0 => Ok(Encoding::Json),
        _ => Err(not_acceptable(&format!("{JSON} or {FRAMES}"))),
    }
}

/// Demands that the caller takes frames, where there is nothing else.
pub(crate) fn takes_frames(headers: &HeaderMap) -> Result<(), Problem> {
    let ranges = ranges(headers, &header::ACCEPT);
    match ranges.is_empty() || likes(&ranges, FRAMES) > 0.0 {
        true => Ok(()),
        false => Err(not_acceptable(FRAMES)),
    }
}

/// Does the caller take an answer that is gzipped?
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    let ranges = ranges(headers, &header::ACCEPT_ENCODING);
    let of = |name: &str| ranges.iter().find(|(range, _)| range == name);
    of("gzip")
        .or_else(|| of("*"))
        .is_some_and(|(_, q)| *q > 0.0)
}

fn not_acceptable(answers: &str) -> Problem {
    let detail = format!("this call answers {answers}; the Accept header takes none of it");
    Problem::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", detail)
}

/// What a header of ranges lists, each with how much it is liked.
fn ranges(headers: &HeaderMap, name: &HeaderName) -> Vec<(String, f32)> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| (essence(range), quality(range)))
        .filter(|(range, _)| !range.is_empty())
        .collect()
}

fn likes(ranges: &[(String, f32)], exact: &str) -> f32 {
    let of = |name: &str| {
        ranges
            .iter()
            .find(|(range, _)| range == name)
            .map(|(_, q)| *q)
    };
    of(exact)
        .or_else(|| of("application/*"))
        .or_else(|| of("*/*"))
        .unwrap_or(0.0)
}

/// A media type without its parameters.
fn essence(value: &str) -> String {
    value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

fn quality(range: &str) -> f32 {
    let q = range
        .split(';')
        .skip(1)
        .find_map(|param| param.trim().strip_prefix("q="));
    q.map_or(1.0, |q| q.trim().parse().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::{Encoding, accepted, takes_gzip};
    use axum::http::{HeaderMap, HeaderValue, header};

    fn accept(value: &'static str) -> Option<Encoding> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(value));
        accepted(&headers).ok()
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        let takes = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            takes_gzip(&headers)
        };
        assert!(!takes_gzip(&HeaderMap::new()));
        for (value, expected) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, *;q=0.1", true),
            ("gzip;q=0, *", false),
            ("identity", false),
        ] {
            assert_eq!(takes(value), expected, "{value}");
        }
    }

    #[test]
    fn the_better_liked_encoding_wins() {
        assert_eq!(accepted(&HeaderMap::new()).ok(), Some(Encoding::Json));
        assert_eq!(accept("*/*"), Some(Encoding::Json));
        assert_eq!(
            accept("application/vnd.tidelog.frames"),
            Some(Encoding::Frames)
        );
        assert_eq!(
            accept("application/json;q=0.5, application/vnd.tidelog.frames"),
            Some(Encoding::Frames)
        );
        assert_eq!(
            accept("application/json, application/vnd.tidelog.frames;q=0.9"),
            Some(Encoding::Json)
        );
        assert_eq!(
            accept("application/json;q=0, application/*"),
            Some(Encoding::Frames)
        );
        assert_eq!(accept("text/html"), None);
    }
}
