//! What PostgreSQL and the way to it can fail with, and how long that is borne.

use super::guard::OUTDATED;
use crate::store::StoreError;
use sqlx::postgres::PgConnectOptions;
use std::time::Duration;
use tokio::time::Instant;

/// How long something that may pass is tried again before the caller is told.
const PATIENCE: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Why a statement did not do what it should.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: StoreError,
    /// May the same succeed in a moment? Then nothing is known to be wrong with what was asked.
    pub(super) passes: bool,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self {
            error,
            passes: false,
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let code = error
            .as_database_error()
            .and_then(|error| error.code())
            .unwrap_or_default();
        let passes = match &error {
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
            // The database gave no connection in time. Pushes of a group that were tried one by one would each wait as long again.
            sqlx::Error::PoolTimedOut => true,
            sqlx::Error::Database(_) => passes(&code),
            _ => false,
        };
        let error = match &*code {
            "53100" => StoreError::Full,
            OUTDATED => StoreError::Outdated,
            _ => StoreError::Unavailable {
                detail: said(&error),
            },
        };
        Self { error, passes }
    }
}

impl Failure {
    /// What is read again is another by then.
    pub(super) fn again(detail: &str) -> Self {
        Self {
            error: StoreError::Unavailable {
                detail: detail.into(),
            },
            passes: true,
        }
    }
}

/// What went wrong, in the database's own words. The line that sqlx adds to them is one of PostgreSQL's source.
fn said(error: &sqlx::Error) -> String {
    match error.as_database_error() {
        Some(said) => match said.code() {
            Some(code) => format!("{} (SQLSTATE {code})", said.message()),
            None => said.message().to_owned(),
        },
        None => error.to_string(),
    }
}

/// Says which database could not be used, for who has just typed its address; never a password.
pub(super) fn at(options: &PgConnectOptions, error: StoreError) -> StoreError {
    let StoreError::Unavailable { detail } = error else {
        return error;
    };
    let user = options.get_username();
    let database = options.get_database().unwrap_or(user);
    let place = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    StoreError::Unavailable {
        detail: format!("PostgreSQL at {place}, database {database}, as {user}: {detail}"),
    }
}

/// Does what this SQLSTATE says pass by itself?
fn passes(code: &str) -> bool {
    matches!(
        code,
        // Serialization failure, deadlock, a lock held for too long.
        "40001" | "40P01" | "55P03"
        // Too many connections; shutting down, crashed, starting up; cut off for having been idle.
        | "53300" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03"
    ) || code.starts_with("08")
}

/// How often and how long something is tried again.
#[derive(Debug)]
pub(super) struct Patience {
    until: Instant,
    pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            until: Instant::now() + PATIENCE,
            pause: FIRST_PAUSE,
        }
    }
}

impl Patience {
    /// Waits for a moment after what passes.
    ///
    /// # Errors
    /// What does not pass, or has not for too long.
    pub(super) async fn after(&mut self, failure: Failure) -> Result<(), StoreError> {
        if !failure.passes || Instant::now() + self.pause >= self.until {
            return Err(failure.error);
        }
        tracing::debug!(detail = ?failure.error, "tried again");
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Patience, passes};
    use crate::store::StoreError;

    #[test]
    fn what_says_that_the_question_is_wrong_is_not_asked_again() {
        for code in ["40001", "40P01", "08006", "57P03", "53300"] {
            assert!(passes(code), "{code}");
        }
        for code in ["23505", "42P01", "28P01", "53100", "22021", ""] {
            assert!(!passes(code), "{code}");
        }
    }

    #[test]
    fn a_database_that_gives_no_connection_is_no_push_s_fault() {
        assert!(Failure::from(sqlx::Error::PoolTimedOut).passes);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let failure = || Failure {
            error: StoreError::Busy,
            passes: true,
        };
        let (mut patience, mut tries) = (Patience::default(), 0);
        while patience.after(failure()).await.is_ok() {
            tries += 1;
        }
        assert!((8..30).contains(&tries), "{tries}");
        let lasting = Failure::from(StoreError::Full);
        let mut patience = Patience::default();
        assert_eq!(patience.after(lasting).await, Err(StoreError::Full));
    }
}
