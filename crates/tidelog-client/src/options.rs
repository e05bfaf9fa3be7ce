//! How a log is opened.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use tidelog_core::store::{Durability, FoldName};
use tidelog_core::{LogName, Subject, Timestamp};

/// Gives the bearer token of the signed-in user; asked before each request, so it may refresh.
pub type TokenSource = Rc<dyn Fn() -> Pin<Box<dyn Future<Output = Option<String>>>>>;

/// How a log is opened.
#[derive(Clone)]
pub struct Options {
    /// The log.
    pub log: LogName,
    /// Who is signed in: each user of a device has a database of their own.
    pub user: Subject,
    /// Where the log is on the server, such as `/v1/logs/todos`; none for a log that stays on this device.
    pub url: Option<String>,
    /// The user's token.
    pub token: Option<TokenSource>,
    /// How much a commit must survive before its receipt says durable.
    pub durability: Durability,
    /// How much of the confirmed log this device keeps.
    pub retain: Retain,
    /// Are snapshots of folds read and written? Without them, opening replays the whole log.
    pub snapshots: bool,
    /// The folds whose snapshots are looked for when the log is opened.
    pub folds: Vec<FoldName>,
    /// Called when [`Log::poll_notice`](crate::Log::poll_notice) may have something. Nothing is borrowed meanwhile.
    pub wake: Rc<dyn Fn()>,
}

/// How much of the confirmed log a device keeps. What no snapshot stands for is kept in any case; the rest is on the
/// server and is fetched from there when somebody reads it. Needs a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Retain {
    /// Everything.
    #[default]
    All,
    /// At least so many of the newest events.
    Newest(u64),
    /// Everything that was recorded since.
    Since(Timestamp),
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("log", &self.log)
            .field("user", &self.user)
            .field("url", &self.url)
            .field("durability", &self.durability)
            .field("retain", &self.retain)
            .field("snapshots", &self.snapshots)
            .field("folds", &self.folds)
            .finish_non_exhaustive()
    }
}
