//! Where a reader stands, checked against a log's history.

use super::{After, LogState, StoreError};
use tidelog_core::{ChainHash, Cursor, Position};

/// A position that a log has. A cursor in the middle of the log is right only if the log has its chain hash there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    position: Position,
    /// The chain hash that is still to be compared with the log's.
    chain: Option<ChainHash>,
}

impl Place {
    /// As much as the log's end can tell.
    ///
    /// # Errors
    /// [`StoreError::CursorAhead`] past the end, [`StoreError::CursorMismatch`] for another history.
    pub(super) fn of(state: LogState, after: After) -> Result<Self, StoreError> {
        let (position, chain) = match after {
            After::Position(position) => (position, None),
            After::Cursor(cursor) if cursor == Cursor::default() => (Position::START, None),
            After::Cursor(cursor) if cursor.epoch != state.epoch => {
                return Err(StoreError::CursorMismatch { state });
            }
            After::Cursor(cursor) => (cursor.position, Some(cursor.chain)),
        };
        if position > state.head.position {
            return Err(StoreError::CursorAhead { position, state });
        }
        let place = Self { position, chain };
        if position == state.head.position {
            return place.confirm(state, Some(state.head.chain));
        }
        if position == Position::START {
            return place.confirm(state, Some(ChainHash::default()));
        }
        Ok(place)
    }

    /// The position whose chain hash must be looked up for [`Place::confirm`].
    pub(super) fn to_look_up(self) -> Option<Position> {
        self.chain.map(|_| self.position)
    }

    /// Compares with the chain hash that the log has there; `None` if no commit ends there.
    ///
    /// # Errors
    /// [`StoreError::CursorMismatch`].
    pub(super) fn confirm(
        self,
        state: LogState,
        found: Option<ChainHash>,
    ) -> Result<Self, StoreError> {
        match self.chain {
            Some(chain) if found != Some(chain) => Err(StoreError::CursorMismatch { state }),
            _ => Ok(Self {
                chain: None,
                ..self
            }),
        }
    }

    pub(super) const fn position(self) -> Position {
        self.position
    }
}
