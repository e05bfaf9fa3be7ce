//! How a log is opened.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use tidelog_core::store::{Durability, FoldName};
use tidelog_core::{Filter, LogName, Subject, Timestamp};

/// Gives the bearer token of the signed-in user, or none if nobody is; asked before each request. Asked with `true`, the server has
/// refused the one before: a token that was kept will not do, a refreshed one may. An error says why it cannot be known
/// now, such as that the network is down.
pub type TokenSource =
    Rc<dyn Fn(bool) -> Pin<Box<dyn Future<Output = Result<Option<String>, String>>>>>;

/// A sign of life that is late by less may only be that of a page that is busy.
pub const TAKE_OVER_MILLIS: u32 = 15_000;

/// How a log is opened.
#[derive(Clone)]
pub struct Options {
    /// The log.
    pub log: LogName,
    /// Who is signed in: each user of a device has a database of their own.
    pub user: Subject,
    /// Where the log is on the server, such as `/v1/logs/todos`; none for a log that stays on this device.
    pub url: Option<String>,
    /// Which kinds and streams of the server's log this device holds; the default is every one. Another filter than the last time
    /// is read from the beginning when the server answers.
    pub filter: Filter,
    /// The user's token.
    pub token: Option<TokenSource>,
    /// Only looks: this handle never talks to a server and confirms nothing, whatever the log is. For what another user of the
    /// device has left.
    pub detached: bool,
    /// How long, in milliseconds, the tab that talks to the server may give no sign of life before another one takes over.
    pub take_over_after: u32,
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
            .field("filter", &self.filter)
            .field("detached", &self.detached)
            .field("take_over_after", &self.take_over_after)
            .field("durability", &self.durability)
            .field("retain", &self.retain)
            .field("snapshots", &self.snapshots)
            .field("folds", &self.folds)
            .finish_non_exhaustive()
    }
}
