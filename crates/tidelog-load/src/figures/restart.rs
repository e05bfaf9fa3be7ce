//! A server that was killed starts again on a long log.

use super::catch_up::import;
use crate::commits::Author;
use crate::plan::Plan;
use crate::pusher::Pusher;
use crate::row::{Row, median};
use crate::server::{self, Server};
use crate::{Outcome, at};
use std::time::Instant;
use tempfile::TempDir;

const EVENTS: u64 = 10_000_000;

pub(super) async fn measure(plan: &Plan) -> Outcome<Vec<Row>> {
    let events = plan.few(EVENTS, 20_000);
    let folder = TempDir::new().map_err(at("a folder"))?;
    let file = server::sqlite(folder.path());
    let store = file.to_string_lossy().into_owned();
    let begun = Instant::now();
    import(&store, events).await?;
    let size = std::fs::metadata(&file).map_err(at("the database"))?.len() as f64 / 1e9;
    eprintln!(
        "  {events} events, {size:.2} GB, made in {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    let mut times = Vec::new();
    for round in 0..u64::from(plan.rounds()) {
        let begun = Instant::now();
        let server = Server::start(&store).await?;
        times.push(server.ready(begun).await?.as_secs_f64());
        // The next one finds what a process leaves that was killed after it had written.
        let author = Author::new(1 + round);
        Pusher::open(&server.address, author).await?.push().await?;
        server.kill().await?;
    }
    let time = median(&times);
    let row = Row::new(plan, format!("restart with {events} events on disk"), time, "s")
        .bar("≤ 1 s", time <= 1.0)
        .note(format!(
            "from starting the process to the answer of /readyz, {size:.2} GB, killed (SIGKILL) after a push each time but the first; \
             median of {} starts",
            times.len()
        ));
    Ok(vec![row])
}
