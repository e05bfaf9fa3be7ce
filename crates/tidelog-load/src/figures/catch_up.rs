//! A new device reads a whole log: as segments, beside the same log as pages of JSON.

use crate::client::Client;
use crate::plan::Plan;
use crate::row::{Row, median};
use crate::server::{self, LOG, Server};
use crate::{Outcome, at};
use flate2::read::GzDecoder;
use serde::Deserialize;
use std::io::Read;
use std::time::Instant;
use tempfile::TempDir;
use tidelog_core::protocol::FRAMES;
use tidelog_core::protocol::json::PullResponse;
use tidelog_core::{ChainHash, Cursor, Epoch, Position, frame};

const EVENTS: u64 = 262_200;

/// What the log's description says of segments.
#[derive(Debug, Deserialize)]
struct Description {
    epoch: Epoch,
    segments: Option<Segments>,
}

#[derive(Debug, Deserialize)]
struct Segments {
    count: u64,
}

pub(super) async fn measure(plan: &Plan) -> Outcome<Vec<Row>> {
    let events = plan.few(EVENTS, 20_000);
    let folder = TempDir::new().map_err(at("a folder"))?;
    let store = server::sqlite(folder.path()).to_string_lossy().into_owned();
    import(&store, events).await?;
    let server = Server::start(&store).await?;
    // Segments are made when they are first asked for, once for all devices; files are then in the system's cache, for both.
    let count = segments(&server, events).await?.1;
    let (mut rates, mut references, mut parts) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.rounds() {
        let reference = json(&server, events).await?;
        let (rate, _) = segments(&server, events).await?;
        eprintln!("  {rate:.0} events/s, beside {reference:.0} as JSON");
        rates.push(rate);
        references.push(reference);
        parts.push(rate / reference);
    }
    server.stop().await?;
    let (rate, part) = (median(&rates), median(&parts));
    let name = format!("catch-up of a new device, {events} events as segments");
    let row = Row::new(plan, name, rate, "events/s")
        .beside(median(&references))
        .bar("≥ 300,000 and ≥ 5 × JSON", rate >= 300_000.0 && part >= 5.0)
        .note(format!(
            "{part:.1} × the same log as pages of JSON, parsed; {count} segments and the rest as pulled frames, checksums and chain \
             checked, one request after the other on one connection; medians of {} rounds by turns",
            rates.len()
        ));
    Ok(vec![row])
}

/// Makes a log of so many events of loan applications.
pub(super) async fn import(store: &str, events: u64) -> Outcome {
    let events = events.to_string();
    let words = ["import", "--log", LOG, "--generate", &events];
    let output = server::program(store, &words)?
        .output()
        .await
        .map_err(at("import"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "import: {}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

/// Events per second as pages of JSON.
async fn json(server: &Server, events: u64) -> Outcome<f64> {
    let mut client = Client::open(&server.address).await?;
    let (begun, mut read) = (Instant::now(), 0);
    while read < events {
        let path = format!("/v1/logs/{LOG}/commits?after={read}");
        let bytes = client.get(&path, &[]).await?;
        let page: PullResponse = serde_json::from_slice(&bytes).map_err(at("a page"))?;
        let before = read;
        read += page
            .commits
            .iter()
            .map(|commit| commit.events.len() as u64)
            .sum::<u64>();
        if read == before {
            return Err(format!("the log ends at {read}"));
        }
    }
    Ok(events as f64 / begun.elapsed().as_secs_f64())
}

/// Events per second as segments, and how many of them there are; what lies behind the last one is pulled as frames.
async fn segments(server: &Server, events: u64) -> Outcome<(f64, u64)> {
    let mut client = Client::open(&server.address).await?;
    let begun = Instant::now();
    let bytes = client.get(&format!("/v1/logs/{LOG}"), &[]).await?;
    let description: Description = serde_json::from_slice(&bytes).map_err(at("a description"))?;
    let count = description.segments.map_or(0, |segments| segments.count);
    let mut cursor = Cursor {
        epoch: description.epoch,
        position: Position::START,
        chain: ChainHash::default(),
    };
    let frames = [("accept", FRAMES)];
    let packed = [("accept", FRAMES), ("accept-encoding", "gzip")];
    for number in 1..=count {
        let path = format!("/v1/logs/{LOG}/segments/{}/{number}", description.epoch);
        let bytes = client.get(&path, &packed).await?;
        let mut unpacked = Vec::new();
        GzDecoder::new(&bytes[..])
            .read_to_end(&mut unpacked)
            .map_err(at("a segment"))?;
        take(&mut cursor, &unpacked)?;
    }
    while cursor.position.value() < events {
        let path = format!("/v1/logs/{LOG}/commits?after={cursor}");
        let bytes = client.get(&path, &frames).await?;
        take(&mut cursor, &bytes)?;
    }
    Ok((events as f64 / begun.elapsed().as_secs_f64(), count))
}

/// Checks frames as a device does, and moves its cursor behind them.
fn take(cursor: &mut Cursor, bytes: &[u8]) -> Outcome {
    let before = cursor.position;
    for bytes in frame::split(bytes).map_err(at("frames"))? {
        let header = frame::header(bytes).map_err(at("a frame"))?;
        if header.chain_before != cursor.chain || header.first != cursor.position.next().value() {
            return Err(format!("a frame does not follow {cursor}"));
        }
        cursor.chain = frame::chain_after(bytes).map_err(at("a frame"))?;
        cursor.position = cursor.position.plus(u64::from(header.events));
    }
    match cursor.position > before {
        true => Ok(()),
        false => Err(format!("nothing came after {cursor}")),
    }
}
