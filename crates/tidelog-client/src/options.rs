//! How a log is opened.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use tidelog_core::store::Durability;
use tidelog_core::{LogName, Subject};

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
    /// Called when [`Log::poll_notice`](crate::Log::poll_notice) may have something. Nothing is borrowed meanwhile.
    pub wake: Rc<dyn Fn()>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("log", &self.log)
            .field("user", &self.user)
            .field("url", &self.url)
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}
