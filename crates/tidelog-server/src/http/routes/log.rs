//! `GET /v1/logs/{log}`: what a log is and what the server takes.

use super::head_headers;
use crate::http::access::Reading;
use crate::http::caps::{Caps, FEATURES, MIN_CLIENT};
use crate::http::{App, Problem};
use crate::store::{LogStore, SEGMENT_EVENTS, sealed};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use tidelog_core::protocol::LogHead;
use tidelog_core::{Epoch, LogName, Position};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Description {
    log: LogName,
    epoch: Epoch,
    head: LogHead,
    /// The oldest position kept.
    horizon: Position,
    segments: Segments,
    caps: Caps,
    features: [&'static str; FEATURES.len()],
    min_client: u32,
}

/// Which sealed runs there are.
#[derive(Debug, Serialize)]
struct Segments {
    /// Segment n ends with the commit that holds position n times this.
    events: u64,
    /// How many there are.
    count: u64,
}

pub(super) async fn describe<S: LogStore>(
    State(app): State<App<S>>,
    Reading(log, grant): Reading,
) -> Result<(HeaderMap, Json<Description>), Problem> {
    let state = app.store().state(&log).await?;
    let description = Description {
        log,
        epoch: state.epoch,
        head: state.head,
        horizon: Position::START.next(),
        segments: Segments {
            events: SEGMENT_EVENTS,
            // A segment is whole, so it is for those who may read all.
            count: match grant.reads_all() {
                true => sealed(state.head.position),
                false => 0,
            },
        },
        caps: Caps::advertised(),
        features: FEATURES,
        min_client: MIN_CLIENT,
    };
    Ok((head_headers(&state), Json(description)))
}
