//! What is measured, and how long.

use crate::Outcome;
use crate::figures::Figure;
use clap::Parser;
use std::path::PathBuf;
use std::time::Duration;

/// Load on a real server, each figure beside its reference in the same run.
#[derive(Debug, Parser)]
#[command(
    name = "load",
    after_help = "\
Examples:
  npm run load -- --json load.json
  npm run load -- --only push-sqlite,push-postgres --seconds 5
  npm run load -- --only soak --minutes 30
  npm run load -- --smoke"
)]
pub(crate) struct Plan {
    /// Write the rows to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Measure these only: push-sqlite, push-postgres, catch-up, idle, fan-out, crowd, restart, soak.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// How long each round of a figure takes.
    #[arg(long, value_name = "SECONDS", default_value_t = 6.0)]
    seconds: f64,
    /// How often server and reference take turns.
    #[arg(long, value_name = "ROUNDS", default_value_t = 3)]
    rounds: u32,
    /// How long the soak takes.
    #[arg(long, value_name = "MINUTES", default_value_t = 30.0)]
    minutes: f64,
    /// A short run of everything on little data that holds no figure against its bar: does the harness work?
    #[arg(long)]
    pub(crate) smoke: bool,
}

impl Plan {
    pub(crate) fn chosen(&self) -> Outcome<Vec<Figure>> {
        if self.only.is_empty() {
            return Ok(Figure::ALL.to_vec());
        }
        let figure = |name: &String| {
            let found = Figure::ALL.iter().find(|figure| figure.name() == name);
            found.copied().ok_or_else(|| {
                let names: Vec<_> = Figure::ALL.iter().map(|figure| figure.name()).collect();
                format!(
                    "there is no figure {name:?}; there are {}",
                    names.join(", ")
                )
            })
        };
        self.only.iter().map(figure).collect()
    }

    /// How long a round takes.
    pub(crate) fn round(&self) -> Duration {
        match self.smoke {
            true => Duration::from_secs(1),
            false => Duration::from_secs_f64(self.seconds.clamp(1.0, 600.0)),
        }
    }

    pub(crate) fn rounds(&self) -> u32 {
        self.few(self.rounds.max(1), 1)
    }

    pub(crate) fn soak(&self) -> Duration {
        match self.smoke {
            true => Duration::from_secs(3),
            false => Duration::from_secs_f64(self.minutes.clamp(0.1, 600.0) * 60.0),
        }
    }

    /// So much, or so little of it for a smoke run.
    pub(crate) fn few<N>(&self, whole: N, little: N) -> N {
        match self.smoke {
            true => little,
            false => whole,
        }
    }
}
