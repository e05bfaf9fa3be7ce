//! Why a database of another layout is not opened. The same words for every database.

use super::StoreError;

/// It has none, and none is made.
pub(super) fn none() -> StoreError {
    StoreError::NotOurs {
        detail:
            "there is no log in it yet; `tidelog serve` and `tidelog import` make what they need"
                .into(),
    }
}

/// It is of an older build, and stays as it is.
pub(super) fn older(found: i64, ours: i64) -> StoreError {
    StoreError::NotOurs {
        detail: format!(
            "it has layout {found}, and this build reads layout {ours}. `tidelog serve` changes it, as every command does that writes; \
             servers of the older build take no pushes from then on. Until then, read it with the older tidelog"
        ),
    }
}

/// It is of a newer build.
pub(super) fn newer(found: i64, ours: i64) -> StoreError {
    StoreError::NotOurs {
        detail: format!(
            "it has layout {found}, and this build reads up to {ours}; use a newer tidelog"
        ),
    }
}
