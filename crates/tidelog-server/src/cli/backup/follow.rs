//! Commits in order, against their own hash chain.

use crate::store::StoreError;
use tidelog_core::protocol::LogHead;
use tidelog_core::{ChainHash, LogName, Position, Recorded};

/// Where a walk along a log has come, and the chain hash there.
#[derive(Debug, Default)]
pub(super) struct Follow {
    position: Position,
    chain: ChainHash,
    commits: u64,
}

impl Follow {
    pub(super) const fn position(&self) -> Position {
        self.position
    }

    pub(super) const fn commits(&self) -> u64 {
        self.commits
    }

    /// Takes the next commit.
    pub(super) fn take(&mut self, log: &LogName, recorded: &Recorded) -> Result<(), StoreError> {
        let next = self.position.next();
        if recorded.position != next {
            let detail = format!("the next commit begins at position {}", recorded.position);
            return Err(self.damaged(log, next, detail));
        }
        self.position = recorded.last_position();
        self.chain = self.chain.after(recorded);
        self.commits += 1;
        Ok(())
    }

    /// It has come to this end, by this chain.
    pub(super) fn demand_end(&self, log: &LogName, head: LogHead) -> Result<(), StoreError> {
        let (position, chain) = (self.position, self.chain);
        if (position, chain) == (head.position, head.chain) {
            return Ok(());
        }
        let detail = format!(
            "its commits lead to position {position} and chain {chain}, and it should end at {} with {}",
            head.position, head.chain
        );
        Err(self.damaged(log, position, detail))
    }

    fn damaged(&self, log: &LogName, position: Position, detail: String) -> StoreError {
        StoreError::Damaged {
            log: log.clone(),
            position,
            detail,
        }
    }
}
