//! One module for each figure.

mod catch_up;
mod crowd;
mod fan_out;
mod idle;
mod push;
mod restart;
mod soak;

use crate::Outcome;
use crate::plan::Plan;
use crate::row::Row;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Figure {
    PushSqlite,
    PushPostgres,
    CatchUp,
    Idle,
    FanOut,
    Crowd,
    Restart,
    Soak,
}

impl Figure {
    pub(crate) const ALL: [Self; 8] = [
        Self::PushSqlite,
        Self::PushPostgres,
        Self::CatchUp,
        Self::Idle,
        Self::FanOut,
        Self::Crowd,
        Self::Restart,
        Self::Soak,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::PushSqlite => "push-sqlite",
            Self::PushPostgres => "push-postgres",
            Self::CatchUp => "catch-up",
            Self::Idle => "idle",
            Self::FanOut => "fan-out",
            Self::Crowd => "crowd",
            Self::Restart => "restart",
            Self::Soak => "soak",
        }
    }

    pub(crate) async fn measure(self, plan: &Plan, files: u64) -> Outcome<Vec<Row>> {
        match self {
            Self::PushSqlite => push::sqlite(plan).await,
            Self::PushPostgres => push::postgres(plan).await,
            Self::CatchUp => catch_up::measure(plan).await,
            Self::Idle => idle::measure(plan, files).await,
            Self::FanOut => fan_out::measure(plan).await,
            Self::Crowd => crowd::measure(plan, files).await,
            Self::Restart => restart::measure(plan).await,
            Self::Soak => soak::measure(plan).await,
        }
    }
}
