//! Connections: how many there may be, how long they may dawdle, and how they end.

use super::App;
use crate::store::LogStore;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// How long the head of a request may take to arrive, and a connection may stay without one.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// How long to wait before accepting again where the system has no room for one more connection.
const PAUSE: Duration = Duration::from_millis(100);

/// What [`serve`] takes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many connections at once. Those that come then wait until one ends.
    pub connections: usize,
    /// How long requests that are being answered may take after the end was asked for.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            drain: Duration::from_secs(10),
        }
    }
}

/// Serves a router, of this app alone ([`router`](super::router)) or with others around it, until `ended` resolves; then everything that waits is ended ([`App::close`]), requests that are being
/// answered are finished within [`Limits::drain`], and nothing new is accepted. `false` if some had to be cut off.
///
/// Unlike [`axum::serve()`] it sets a time limit to the heads of requests, and a limit to the number of connections: so
/// sockets that send a byte a second end, and cannot take more than their share of memory.
pub async fn serve<S: LogStore>(
    listener: TcpListener,
    router: Router,
    app: App<S>,
    limits: Limits,
    ended: impl Future<Output = ()>,
) -> bool {
    let service = TowerToHyperService::new(router);
    let room = Arc::new(Semaphore::new(
        limits.connections.min(Semaphore::MAX_PERMITS),
    ));
    let graceful = GracefulShutdown::new();
    let accepting = async {
        loop {
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            let stream = accept(&listener).await;
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .serve_connection(TokioIo::new(stream), service.clone());
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                // A connection that breaks is its client's to know.
                let _ = connection.await;
                drop(place);
            });
        }
    };
    tokio::select! {
        () = accepting => {}
        () = ended => {}
    }
    // From here on the system refuses new connections.
    drop(listener);
    app.close();
    let finished = tokio::time::timeout(limits.drain, graceful.shutdown()).await;
    finished.is_ok()
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small and awaited; failing that they are a little later.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
