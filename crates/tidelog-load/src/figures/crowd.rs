//! One subject that takes all it can get, and what another one notices of it.

use super::push::push;
use crate::client::{Client, Lines};
use crate::commits::Author;
use crate::plan::Plan;
use crate::pusher::Pusher;
use crate::row::{Row, median, quantile};
use crate::server::{self, LOG, Server};
use crate::{Outcome, at};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Sockets that send a byte a second.
const SLOW: u64 = 5_000;
/// Live connections that one token asks for.
const LIVE: u64 = 10_000;
/// How many of them it may have: what `tidelog serve` allows when nothing is said.
const ALLOWED: u64 = 1_000;
/// How many are asked for at once.
const AT_ONCE: usize = 100;
/// Files that this program and the server need for other things.
const OTHER_FILES: u64 = 300;
/// How many of the server's files may be its own: few beside a crowd.
const OWN_FILES: usize = 100;
const CROWD: &str = "crowd-0123456789abcdef";
const OTHER: &str = "other-0123456789abcdef";
/// Pushes of the other subject a second: half of what one subject may make.
const RATE: f64 = 100.0;
const CLIENTS: u64 = 8;

/// Ends with this.
struct Crowd {
    _slow: JoinSet<()>,
    held: Vec<Lines>,
    /// What was refused: its connection stays, and says nothing more.
    _refused: Vec<Client>,
}

pub(super) async fn measure(plan: &Plan, files: u64) -> Outcome<Vec<Row>> {
    let room = files.saturating_sub(OTHER_FILES);
    let scaled = |count: u64| plan.few(count.min(room * count / (SLOW + LIVE)), 60);
    let (slow, live, allowed) = (scaled(SLOW), scaled(LIVE), plan.few(ALLOWED, 20));
    let folder = TempDir::new().map_err(at("a folder"))?;
    let tokens = folder.path().join("tokens");
    let lines = format!("{LOG} {CROWD} crowd\n{LOG} {OTHER} other\n");
    std::fs::write(&tokens, lines).map_err(at("tokens"))?;
    let (tokens, limit) = (tokens.to_string_lossy(), allowed.to_string());
    let words = ["--tokens", tokens.as_ref(), "--live-limit", limit.as_str()];
    let store = server::sqlite(folder.path());
    let server = Server::start_with(&store.to_string_lossy(), &words).await?;
    let mut authors: Vec<Author> = (1..=CLIENTS).map(Author::new).collect();
    let (mut quiet, mut crowded, mut held) = (Vec::new(), Vec::new(), 0);
    tail(&server, &mut authors, plan).await?;
    // It opens files of its own as it needs them.
    let alone = server.files()? + OWN_FILES;
    for _ in 0..plan.rounds() {
        quiet.push(tail(&server, &mut authors, plan).await?);
        let crowd = Crowd::gather(&server, slow, live).await?;
        held = held.max(crowd.held.len());
        crowded.push(tail(&server, &mut authors, plan).await?);
        drop(crowd);
        // To end thousands of connections at once is work, too, and no part of being without them.
        server.wait_for_files(alone).await?;
    }
    server.stop().await?;
    let (quiet, crowded) = (median(&quiet), median(&crowded));
    let tail = Row::new(
        plan,
        "p99 of another subject's push, beside a crowd of slow sockets and live connections",
        crowded,
        "ms",
    )
    .beside(quiet)
    .bar("< 2 × without them", crowded < 2.0 * quiet)
    .note(format!(
        "{slow} sockets that send a byte a second, {live} live connections asked for with one token; {RATE} pushes a second of another"
    ));
    let capped = Row::new(
        plan,
        "live connections of one token",
        held as f64,
        "connections",
    )
    .bar(&format!("≤ {allowed}"), held as u64 <= allowed)
    .note(format!("of {live} that it asked for"));
    Ok(vec![tail, capped])
}

/// The p99 of a round of pushes, over connections of its own: a server ends those that rest while a crowd gathers.
async fn tail(server: &Server, authors: &mut Vec<Author>, plan: &Plan) -> Outcome<f64> {
    let mut pushers = Vec::new();
    for author in authors.drain(..) {
        pushers.push(Pusher::open_with(&server.address, author, Some(OTHER)).await?);
    }
    let mut pushed = push(pushers, plan.round(), Some(RATE)).await?;
    authors.extend(pushed.pushers.into_iter().map(Pusher::into_author));
    Ok(quantile(&mut pushed.latencies, 0.99))
}

impl Crowd {
    async fn gather(server: &Server, slow: u64, live: u64) -> Outcome<Self> {
        let mut sockets = JoinSet::new();
        for _ in 0..slow {
            sockets.spawn(dawdle(server.address.clone()));
        }
        let (mut held, mut refused) = (Vec::new(), Vec::new());
        let mut tasks = JoinSet::new();
        for number in 0..live {
            let address = server.address.clone();
            tasks.spawn(async move {
                let client = Client::open(&address).await?.with_token(CROWD);
                client.try_live(0).await
            });
            let is_last = number + 1 == live;
            while tasks.len() >= AT_ONCE || (is_last && !tasks.is_empty()) {
                let Some(asked) = tasks.join_next().await else {
                    break;
                };
                match asked.map_err(at("a connection"))?? {
                    Ok(lines) => held.push(lines),
                    Err(client) => refused.push(client),
                }
            }
        }
        Ok(Self {
            _slow: sockets,
            held,
            _refused: refused,
        })
    }
}

/// Sends the head of a request byte by byte, and again when the server has had enough.
async fn dawdle(address: String) {
    let pause = || tokio::time::sleep(Duration::from_secs(1));
    loop {
        if let Ok(mut socket) = TcpStream::connect(&address).await {
            let head = b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ";
            let mut sent = socket.write_all(head).await;
            while sent.is_ok() {
                pause().await;
                sent = socket.write_all(b"a").await;
            }
        }
        pause().await;
    }
}
