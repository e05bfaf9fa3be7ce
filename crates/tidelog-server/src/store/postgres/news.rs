//! News of heads between processes: NOTIFY after the commit, many logs in one, and a look now and then.
//!
//! NOTIFY inside a transaction makes all such transactions of the database commit one after the other, so it is sent
//! afterwards, on a connection of its own. A message is a hint: one that is lost is made up for by the next look.

use super::failure::Failure;
use crate::store::heads::Heads;
use sqlx::Row;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tidelog_core::{LogName, Position};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

const CHANNEL: &str = "tidelog";
/// PostgreSQL takes messages of less than 8,000 bytes.
const MESSAGE_BYTES: usize = 7_900;
/// How often watched logs are looked at in case a message was lost.
const LOOK: Duration = Duration::from_secs(1);
/// How long to wait before listening again when listening has failed.
const PAUSE: Duration = Duration::from_millis(500);

/// Tells and hears, until it is dropped.
#[derive(Debug)]
pub(super) struct News {
    outbox: Arc<Outbox>,
    tasks: [JoinHandle<()>; 3],
}

/// The heads that others have not been told of, the newest of each log.
#[derive(Debug, Default)]
struct Outbox {
    heads: Mutex<BTreeMap<LogName, Position>>,
    filled: Notify,
}

impl News {
    pub(super) fn start(options: PgConnectOptions, heads: Heads) -> Self {
        // One connection listens, one tells and looks. A message needs no disk.
        let pool = PgPoolOptions::new()
            .max_connections(2)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    let sql = "SET synchronous_commit = off";
                    sqlx::raw_sql(sql).execute(connection).await?;
                    Ok(())
                })
            })
            .connect_lazy_with(options);
        let outbox = Arc::new(Outbox::default());
        let tasks = [
            tokio::spawn(tell(pool.clone(), Arc::clone(&outbox))),
            tokio::spawn(hear(pool.clone(), heads.clone())),
            tokio::spawn(look(pool, heads)),
        ];
        Self { outbox, tasks }
    }

    /// Tells other processes, soon.
    pub(super) fn tell(&self, log: &LogName, head: Position) {
        self.outbox.lock().insert(log.clone(), head);
        self.outbox.filled.notify_one();
    }
}

impl Drop for News {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Outbox {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<LogName, Position>> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends what has gathered; more gathers while that is on its way.
async fn tell(pool: PgPool, outbox: Arc<Outbox>) {
    loop {
        outbox.filled.notified().await;
        let heads = std::mem::take(&mut *outbox.lock());
        for message in messages(&heads) {
            let sent = sqlx::query("SELECT pg_notify($1, $2)")
                .bind(CHANNEL)
                .bind(message)
                .execute(&pool)
                .await;
            if let Err(error) = sent {
                tracing::warn!(%error, "other processes were not told of new heads");
            }
        }
    }
}

/// Lines of `log head`, as many to a message as fit.
fn messages(heads: &BTreeMap<LogName, Position>) -> Vec<String> {
    let mut messages = vec![String::new()];
    for (log, head) in heads {
        let line = format!("{log} {head}\n");
        match messages.last_mut() {
            Some(message) if message.len() + line.len() <= MESSAGE_BYTES => message.push_str(&line),
            _ => messages.push(line),
        }
    }
    messages.retain(|message| !message.is_empty());
    messages
}

async fn hear(pool: PgPool, heads: Heads) {
    loop {
        if let Err(error) = listen(&pool, &heads).await {
            tracing::warn!(%error, "not listening for news of other processes now");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn listen(pool: &PgPool, heads: &Heads) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    while let Some(news) = listener.try_recv().await? {
        for (log, head) in news.payload().lines().filter_map(parse) {
            heads.moved(&log, head);
        }
    }
    Ok(())
}

fn parse(line: &str) -> Option<(LogName, Position)> {
    let (log, head) = line.split_once(' ')?;
    Some((log.parse().ok()?, Position::new(head.parse().ok()?)))
}

async fn look(pool: PgPool, heads: Heads) {
    loop {
        tokio::time::sleep(LOOK).await;
        let watched = heads.watched();
        if !watched.is_empty()
            && let Err(failure) = look_at(&pool, &heads, &watched).await
        {
            tracing::warn!(detail = ?failure.error, "the heads of watched logs could not be read");
        }
    }
}

async fn look_at(pool: &PgPool, heads: &Heads, watched: &[LogName]) -> Result<(), Failure> {
    let names: Vec<&str> = watched.iter().map(LogName::as_str).collect();
    let rows = sqlx::query("SELECT name, head FROM tidelog.logs WHERE name = ANY ($1)")
        .bind(names)
        .fetch_all(pool)
        .await?;
    for row in rows {
        if let Ok(log) = row.try_get::<&str, _>("name")?.parse() {
            heads.moved(&log, Position::new(super::held::number(&row, "head")?));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{MESSAGE_BYTES, messages, parse};
    use std::collections::BTreeMap;
    use tidelog_core::Position;

    #[test]
    fn any_number_of_heads_is_told_in_messages_that_fit() {
        assert!(messages(&BTreeMap::new()).is_empty());
        let heads: BTreeMap<_, _> = (0..1_000)
            .map(|n| {
                let name = format!("a-log-with-a-long-name-{n}");
                (name.parse().expect("a name"), Position::new(n))
            })
            .collect();
        let messages = messages(&heads);
        assert!(messages.len() > 1 && messages.iter().all(|one| one.len() <= MESSAGE_BYTES));
        let told: BTreeMap<_, _> = messages
            .iter()
            .flat_map(|one| one.lines().filter_map(parse))
            .collect();
        assert_eq!(told, heads);
    }

    #[test]
    fn what_others_say_on_the_channel_is_left_alone() {
        for line in ["", "todos", "todos x", " 1", "to dos 1"] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }
}
