//! What is new in a log, read once for everybody who listens.
//!
//! A log that somebody listens to has one task. Whenever the log's end moves, it reads what has come since and hands the same
//! [`News`] to all listeners, through a buffer of bounded length. Whoever falls behind that buffer is told the newest end only,
//! and reads what they missed: so a slow listener costs a place in a list, and never more.

mod news;

pub(crate) use news::{Carried, News, events, is_at};

use super::App;
use super::caps::NEWS_BYTES;
use crate::store::{After, LogState, LogStore, PageCap, StoreError};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tidelog_core::{LogName, Position};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};

/// How many news a listener may be behind before it misses some.
const BUFFER: usize = 64;
/// How long to wait before reading again what could not be read.
const PAUSE: Duration = Duration::from_millis(500);

type Sender = broadcast::Sender<Arc<News>>;

/// The logs that somebody listens to.
#[derive(Debug, Default)]
pub(crate) struct Feeds(Mutex<BTreeMap<LogName, Sender>>);

/// Hears what is new in a log.
#[derive(Debug)]
pub(crate) struct Listener(broadcast::Receiver<Arc<News>>);

impl Listener {
    /// The next news; after some were missed, the newest. `None` when there is no such log any more.
    pub(crate) async fn next(&mut self) -> Option<Arc<News>> {
        loop {
            match self.0.recv().await {
                Ok(news) => return Some(news),
                Err(RecvError::Closed) => return None,
                Err(RecvError::Lagged(_)) => {}
            }
            let mut newest = None;
            loop {
                match self.0.try_recv() {
                    Ok(news) => newest = Some(news),
                    Err(TryRecvError::Lagged(_)) => {}
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
            if newest.is_some() {
                return newest;
            }
        }
    }
}

impl Feeds {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<LogName, Sender>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn subscribe(&self, log: &LogName) -> Option<Listener> {
        Some(Listener(self.lock().get(log)?.subscribe()))
    }

    /// Enters a log that nobody listens to yet; if somebody does, listens with them.
    fn begin(&self, log: &LogName, sender: &Sender) -> Option<Listener> {
        match self.lock().entry(log.clone()) {
            Entry::Occupied(feed) => Some(Listener(feed.get().subscribe())),
            Entry::Vacant(place) => {
                place.insert(sender.clone());
                None
            }
        }
    }

    fn end(&self, log: &LogName) {
        self.lock().remove(log);
    }

    /// Forgets a log that nobody listens to; under the lock under which others begin to.
    fn is_over(&self, log: &LogName) -> bool {
        let mut feeds = self.lock();
        let is_over = feeds
            .get(log)
            .is_none_or(|sender| sender.receiver_count() == 0);
        if is_over {
            feeds.remove(log);
        }
        is_over
    }
}

impl<S: LogStore> App<S> {
    /// Listens to a log. Whatever lies behind the end that is returned will be heard of.
    ///
    /// # Errors
    /// If there is no such log, or it cannot be read.
    pub(crate) async fn listen(&self, log: &LogName) -> Result<(Listener, LogState), StoreError> {
        // Listening begins before reading, so nothing is missed between the two.
        if let Some(listener) = self.feeds().subscribe(log) {
            return Ok((listener, self.store().state(log).await?));
        }
        let watch = self.store().watch(log);
        let state = self.store().state(log).await?;
        let (sender, listener) = broadcast::channel(BUFFER);
        if let Some(first) = self.feeds().begin(log, &sender) {
            // Somebody else was first.
            return Ok((first, self.store().state(log).await?));
        }
        tokio::spawn(follow(self.clone(), log.clone(), state, watch, sender));
        Ok((Listener(listener), state))
    }
}

/// Reads for all listeners until there are none, or the log is gone.
async fn follow<S: LogStore>(
    app: App<S>,
    log: LogName,
    mut at: LogState,
    mut watch: watch::Receiver<Position>,
    listeners: Sender,
) {
    loop {
        tokio::select! {
            changed = watch.changed() => {
                if changed.is_err() {
                    return app.feeds().end(&log);
                }
            }
            () = listeners.closed() => {
                if app.feeds().is_over(&log) {
                    return;
                }
                continue;
            }
        }
        match next(&app, &log, at).await {
            Ok(news) if news.state() == at => {}
            Ok(news) => {
                at = news.state();
                // Nobody may listen at this moment.
                let _ = listeners.send(Arc::new(news));
            }
            Err(StoreError::UnknownLog { .. }) => return app.feeds().end(&log),
            Err(error) => {
                tracing::warn!(detail = ?error, "what is new could not be read; trying again");
                watch.mark_changed();
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// What follows a place; only the new end if that is much, or another history.
async fn next<S: LogStore>(app: &App<S>, log: &LogName, at: LogState) -> Result<News, StoreError> {
    let cap = PageCap {
        bytes: NEWS_BYTES,
        events: u64::MAX,
    };
    match app.store().page(log, After::Cursor(at.cursor()), cap).await {
        Ok(page) => Ok(News::of(at, page)),
        Err(StoreError::CursorMismatch { state } | StoreError::CursorAhead { state, .. }) => {
            Ok(News::end(state))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::{BUFFER, Listener, News, broadcast};
    use crate::store::LogState;
    use std::sync::Arc;
    use tidelog_core::protocol::LogHead;
    use tidelog_core::{ChainHash, Epoch, Position};

    fn end(position: u64) -> Arc<News> {
        Arc::new(News::end(LogState {
            epoch: Epoch::from_bytes([1; 16]),
            head: LogHead {
                position: Position::new(position),
                chain: ChainHash::default(),
            },
        }))
    }

    async fn heard(listener: &mut Listener) -> Option<u64> {
        Some(listener.next().await?.state().head.position.value())
    }

    #[tokio::test]
    async fn whoever_falls_behind_hears_the_newest_and_then_everything() {
        let (sender, receiver) = broadcast::channel(BUFFER);
        let mut listener = Listener(receiver);
        let buffer = BUFFER as u64;
        for position in 1..=buffer {
            sender.send(end(position)).expect("a listener");
        }
        assert_eq!(heard(&mut listener).await, Some(1), "still in the buffer");
        for position in buffer + 1..=3 * buffer {
            sender.send(end(position)).expect("a listener");
        }
        assert_eq!(heard(&mut listener).await, Some(3 * buffer));
        for position in 3 * buffer + 1..3 * buffer + 3 {
            sender.send(end(position)).expect("a listener");
            assert_eq!(heard(&mut listener).await, Some(position));
        }
        drop(sender);
        assert_eq!(heard(&mut listener).await, None);
    }
}
