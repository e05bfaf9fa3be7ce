//! `GET /healthz`, `GET /readyz`: for whoever runs the server.

use crate::http::{App, Problem};
use crate::store::LogStore;
use axum::extract::State;

/// The process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// It takes pushes, and does not shut down.
pub(super) async fn ready<S: LogStore>(State(app): State<App<S>>) -> Result<&'static str, Problem> {
    if app.is_draining() {
        return Err(Problem::unavailable("the server is shutting down"));
    }
    app.store().ready().await?;
    Ok("ready\n")
}
