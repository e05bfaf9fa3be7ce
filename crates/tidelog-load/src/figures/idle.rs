//! Many live connections that say nothing, and what each costs the server.

use crate::client::{Client, Lines};
use crate::commits::Author;
use crate::plan::Plan;
use crate::pusher::Pusher;
use crate::row::Row;
use crate::server::{self, Server};
use crate::{Outcome, at};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinSet;

const CONNECTIONS: u64 = 10_000;
/// How many are opened at once.
const AT_ONCE: usize = 100;
/// Files that this program and the server need for other things.
const OTHER_FILES: u64 = 200;
/// How long a connection may take to hear of a push at the end.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn measure(plan: &Plan, files: u64) -> Outcome<Vec<Row>> {
    let wanted = plan.few(CONNECTIONS, 100);
    let allowed = wanted.min(files.saturating_sub(OTHER_FILES));
    let folder = TempDir::new().map_err(at("a folder"))?;
    let server = Server::start(&server::sqlite(folder.path()).to_string_lossy()).await?;
    // What the first connections of a process cost is not a matter of their number.
    drop(open(&server, 10).await?);
    let before = server.memory()?;
    let begun = Instant::now();
    let mut held = open(&server, allowed).await?;
    let opened = begun.elapsed().as_secs_f64();
    let after = server.memory()?;
    let each = (after - before) / allowed as f64 / 1024.0;
    // All of them stand: they hear of a push.
    let mut pusher = Pusher::open(&server.address, Author::new(1)).await?;
    pusher.push().await?;
    let mut alive = 0_u64;
    for lines in &mut held {
        let heard = tokio::time::timeout(PATIENCE, news(lines)).await;
        alive += u64::from(matches!(heard, Ok(Ok(()))));
    }
    drop(held);
    server.stop().await?;
    let forbidden = match allowed == wanted {
        true => String::new(),
        false => format!(" This machine allows {files} open files, so no more were tried."),
    };
    let held = Row::new(
        plan,
        "idle live connections held",
        alive as f64,
        "connections",
    )
    .bar(&format!("≥ {wanted}"), alive >= wanted)
    .note(format!(
        "opened in {opened:.1} s; each of them then heard of a push.{forbidden}"
    ));
    let memory = Row::new(plan, "memory of an idle live connection", each, "KB")
        .bar("≤ 40 KB", each <= 40.0)
        .note(format!(
            "resident memory of the server: {:.0} MB before, {:.0} MB with {allowed} connections",
            before / 1e6,
            after / 1e6
        ));
    Ok(vec![held, memory])
}

/// Opens connections, and waits until each has shown that it stands.
async fn open(server: &Server, count: u64) -> Outcome<Vec<Lines>> {
    let (mut tasks, mut held) = (JoinSet::new(), Vec::new());
    for _ in 0..count {
        if tasks.len() == AT_ONCE
            && let Some(opened) = tasks.join_next().await
        {
            held.push(opened.map_err(at("a connection"))??);
        }
        let address = server.address.clone();
        tasks.spawn(async move {
            let mut lines = Client::open(&address).await?.live(0, false).await?;
            lines.next().await?;
            Ok::<_, String>(lines)
        });
    }
    while let Some(opened) = tasks.join_next().await {
        held.push(opened.map_err(at("a connection"))??);
    }
    Ok(held)
}

/// Waits for a line that is no heartbeat.
async fn news(lines: &mut Lines) -> Outcome {
    while lines.next().await? == b"{}\n" {}
    Ok(())
}
