//! The one place that reads the server's clock.

use std::time::{SystemTime, UNIX_EPOCH};
use tidelog_core::Timestamp;

/// The time now, to the millisecond. Metadata only: no order and no verdict depends on it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the runtime's one clock")]
pub fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Random bytes for a new id.
///
/// # Errors
/// If the operating system gives none.
pub fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
