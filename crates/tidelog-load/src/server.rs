//! A server of its own, in a process of its own.

use crate::{Outcome, at};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

pub(crate) const LOG: &str = "load";
/// How long a server may take to answer its first request, or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// `127.0.0.1:port`
    pub(crate) address: String,
}

/// The program of the server with these words, on a database.
pub(crate) fn program(store: &str, words: &[&str]) -> Outcome<Command> {
    let this = std::env::current_exe().map_err(at("this program"))?;
    let mut command = Command::new(this);
    command
        .args(words)
        .env("TIDELOG_STORE", store)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    Ok(command)
}

/// An SQLite file in a folder, as an address.
pub(crate) fn sqlite(folder: &Path) -> PathBuf {
    folder.join("tidelog.db")
}

impl Server {
    /// On the database of this address, with the log.
    pub(crate) async fn start(store: &str) -> Outcome<Self> {
        Self::start_with(store, &["--dev"]).await
    }

    /// With these words that say who may do what.
    pub(crate) async fn start_with(store: &str, words: &[&str]) -> Outcome<Self> {
        let serve = ["serve", "--listen", "127.0.0.1:0", "--log", LOG];
        let mut child = program(store, &[&serve[..], words].concat())?
            .stdout(Stdio::piped())
            .spawn()
            .map_err(at("a server"))?;
        let stdout = child.stdout.take().ok_or("a server without output")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = lines.next_line().await.map_err(at("a server"))?;
        let line = line.ok_or("a server ended before it listened")?;
        let (_, address) = line
            .split_once("http://")
            .ok_or_else(|| format!("a server said {line:?}"))?;
        Ok(Self {
            child,
            address: address.trim().to_owned(),
        })
    }

    /// Bytes of memory that the process holds.
    pub(crate) fn memory(&self) -> Outcome<f64> {
        let process = self.child.id().ok_or("the server has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{process}/status"))
            .map_err(at("the server's memory"))?;
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<f64>().ok())
            .map(|kilobytes| kilobytes * 1024.0)
            .ok_or_else(|| "the server's memory is not said".into())
    }

    /// How many files and sockets the process has open.
    pub(crate) fn files(&self) -> Outcome<usize> {
        let process = self.child.id().ok_or("the server has ended")?;
        let files = std::fs::read_dir(format!("/proc/{process}/fd"));
        Ok(files.map_err(at("the server's files"))?.count())
    }

    /// Waits until it has no more open than this.
    pub(crate) async fn wait_for_files(&self, most: usize) -> Outcome {
        let begun = Instant::now();
        while self.files()? > most {
            if begun.elapsed() > PATIENCE {
                return Err("the server keeps connections that were ended".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Ends it as an operator would.
    pub(crate) async fn stop(mut self) -> Outcome {
        let process = self.child.id().ok_or("the server has ended")?.to_string();
        let told = Command::new("kill").args(["-s", "TERM", &process]).status();
        told.await.map_err(at("kill"))?;
        match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            ended => Err(format!("the server did not end well: {ended:?}")),
        }
    }

    /// Ends it as a power cut would.
    pub(crate) async fn kill(mut self) -> Outcome {
        self.child.kill().await.map_err(at("kill"))
    }

    /// Waits until `/readyz` says so, and gives how long that took from `begun` on.
    pub(crate) async fn ready(&self, begun: Instant) -> Outcome<Duration> {
        while begun.elapsed() < PATIENCE {
            if let Ok(mut client) = crate::client::Client::open(&self.address).await
                && client.get("/readyz", &[]).await.is_ok()
            {
                return Ok(begun.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Err("the server is not ready after a minute".into())
    }
}
