//! What is on its way between tabs and servers. The network may lose it, hold it up, repeat it, cut it, change it, or
//! answer by itself.

use crate::dice::Dice;
use tidelog_core::protocol::PushResponse;
use tidelog_core::replica::SyncError;
use tidelog_core::{Commit, Cursor, Filter, Position};

/// Frames after a cursor, and the server's head.
pub type Page = (Vec<Vec<u8>>, Position);

/// Something on its way.
#[derive(Debug, Clone)]
pub enum Flight {
    /// To a server.
    Push {
        tab: u64,
        cursor: Cursor,
        commits: Vec<Commit>,
        /// Nobody waits for the answer any more.
        echo: bool,
    },
    /// To a server.
    Pull {
        tab: u64,
        cursor: Cursor,
        filter: Filter,
        wait: bool,
    },
    /// To a tab.
    Pushed {
        tab: u64,
        answer: Result<PushResponse, SyncError>,
    },
    /// To a tab.
    Pulled {
        tab: u64,
        cursor: Cursor,
        filter: Filter,
        answer: Result<Page, SyncError>,
    },
}

impl Flight {
    /// The tab it comes from or goes to.
    #[must_use]
    pub const fn tab(&self) -> u64 {
        match self {
            Self::Push { tab, .. }
            | Self::Pull { tab, .. }
            | Self::Pushed { tab, .. }
            | Self::Pulled { tab, .. } => *tab,
        }
    }

    /// A build that is too old asks again only after minutes, longer than healing is given: an answer that says so is not to arrive
    /// after all faults ended.
    pub fn forget_too_old(&mut self) {
        match self {
            Self::Pushed { answer, .. } if *answer == Err(SyncError::ClientTooOld) => {
                *answer = Err(unreachable());
            }
            Self::Pulled { answer, .. } if *answer == Err(SyncError::ClientTooOld) => {
                *answer = Err(unreachable());
            }
            _ => {}
        }
    }

    /// Is it an answer?
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        matches!(self, Self::Pushed { .. } | Self::Pulled { .. })
    }
}

/// No answer at all.
#[must_use]
pub fn unreachable() -> SyncError {
    let detail = String::from("injected");
    SyncError::Network { detail }
}

/// The server refuses the person.
pub fn signed_out(dice: &mut Dice) -> SyncError {
    let detail = String::from("injected");
    let code = String::from("injected");
    match dice.below(3) {
        0 => SyncError::Unauthorized { detail },
        1 => SyncError::Forbidden { code, detail },
        _ => SyncError::UnknownLog { detail },
    }
}

/// The server has a passing fault.
pub fn no_service(dice: &mut Dice) -> SyncError {
    let detail = String::from("injected");
    let status = [500, 502, 503, 504, 507][dice.below(5)];
    SyncError::Unavailable {
        status,
        detail,
        retry_after_millis: None,
    }
}

/// The server asks to slow down.
pub fn rate_limited(dice: &mut Dice) -> SyncError {
    let asked = dice.below(8_000) as u64;
    SyncError::RateLimited {
        retry_after_millis: dice.percent(70).then_some(asked),
    }
}

/// A page that is not of this protocol.
#[must_use]
pub fn portal() -> SyncError {
    let detail = String::from("<html>");
    SyncError::BadAnswer { detail }
}
