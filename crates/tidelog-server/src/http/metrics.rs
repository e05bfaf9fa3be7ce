//! What a server counts, in the text format of Prometheus.

use super::App;
use crate::store::{Load, LogStore};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};
use std::time::Duration;
use tidelog_core::protocol::{PushResponse, Verdict};

/// Upper ends of the buckets that answers are counted in, in seconds.
const SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

/// Counters of one server. Labels hold routes, statuses and verdicts, never what somebody sent.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: HistogramVec,
    commits: IntCounterVec,
    events: IntCounter,
    live: IntGauge,
    queue: IntGauge,
    groups: IntCounter,
    grouped: IntCounter,
}

impl Default for Metrics {
    #[expect(
        clippy::expect_used,
        reason = "it can only fail for its own constants, and every test of a server makes one"
    )]
    fn default() -> Self {
        Self::new().expect("valid names that differ")
    }
}

impl Metrics {
    fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let requests = HistogramVec::new(
            HistogramOpts::new(
                "tidelog_http_request_seconds",
                "Time to the head of an answer, by route and status.",
            )
            .buckets(SECONDS.to_vec()),
            &["method", "route", "status"],
        )?;
        let commits = IntCounterVec::new(
            Opts::new("tidelog_commits_total", "Commits pushed, by verdict."),
            &["verdict"],
        )?;
        for verdict in ["accepted", "duplicate", "conflict", "rejected"] {
            commits.with_label_values(&[verdict]);
        }
        let events = IntCounter::new("tidelog_events_appended_total", "Events stored.")?;
        let live = IntGauge::new(
            "tidelog_live_connections",
            "Live connections that are open.",
        )?;
        let queue = IntGauge::new("tidelog_store_queue", "Pushes that wait for the store.")?;
        let groups = IntCounter::new(
            "tidelog_store_groups_total",
            "Groups of pushes that the store wrote, a transaction each.",
        )?;
        let grouped = IntCounter::new(
            "tidelog_store_grouped_pushes_total",
            "Pushes in those groups: divided by the groups, how many share a transaction.",
        )?;
        let build = IntGauge::with_opts(
            Opts::new("tidelog_build_info", "1, with the version that runs.")
                .const_label("version", env!("CARGO_PKG_VERSION")),
        )?;
        build.set(1);
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(commits.clone()))?;
        for counter in [&events, &groups, &grouped] {
            registry.register(Box::new(counter.clone()))?;
        }
        for gauge in [&live, &queue, &build] {
            registry.register(Box::new(gauge.clone()))?;
        }
        Ok(Self {
            registry,
            requests,
            commits,
            events,
            live,
            queue,
            groups,
            grouped,
        })
    }

    pub(crate) fn answered(&self, method: &str, route: &str, status: StatusCode, time: Duration) {
        self.requests
            .with_label_values(&[method, route, status.as_str()])
            .observe(time.as_secs_f64());
    }

    pub(crate) fn pushed(&self, response: &PushResponse) {
        for result in &response.results {
            let verdict = match &result.verdict {
                Verdict::Accepted { positions, .. } => {
                    let events = positions.last.value() - positions.first.value() + 1;
                    self.events.inc_by(events);
                    "accepted"
                }
                Verdict::Duplicate { .. } => "duplicate",
                Verdict::Conflict { .. } => "conflict",
                Verdict::Rejected(_) => "rejected",
            };
            self.commits.with_label_values(&[verdict]).inc();
        }
    }

    /// Counts a live connection for as long as what is returned is held.
    pub(crate) fn live(&self) -> Live {
        self.live.inc();
        Live(self.live.clone())
    }

    fn text(&self, load: Load) -> Result<Vec<u8>, prometheus::Error> {
        self.queue
            .set(i64::try_from(load.queue).unwrap_or(i64::MAX));
        for (counter, total) in [(&self.groups, load.groups), (&self.grouped, load.grouped)] {
            counter.inc_by(total.saturating_sub(counter.get()));
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// A live connection.
#[derive(Debug)]
pub(crate) struct Live(IntGauge);

impl Drop for Live {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// `GET /metrics`, for a listener of its own: what a server counts is for whoever runs it, and not for its callers.
pub fn metrics<S: LogStore>(app: App<S>) -> Router {
    Router::new()
        .route("/metrics", get(text::<S>))
        .with_state(app)
}

async fn text<S: LogStore>(State(app): State<App<S>>) -> impl IntoResponse {
    let content = |media_type| -> [(HeaderName, HeaderValue); 1] {
        [(header::CONTENT_TYPE, HeaderValue::from_static(media_type))]
    };
    match app.metrics().text(app.store().load()) {
        Ok(text) => (
            StatusCode::OK,
            content("text/plain; version=0.0.4; charset=utf-8"),
            text,
        ),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            content("text/plain; charset=utf-8"),
            error.to_string().into_bytes(),
        ),
    }
}
