//! Stands between a store and its database, and cuts a connection at a chosen moment.

use crate::cluster::Database;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;

/// PostgreSQL's name for the socket of its usual port.
const SOCKET: &str = ".s.PGSQL.5432";
/// The message of the simple protocol that ends a transaction.
const COMMIT: &[u8] = b"COMMIT\0";

/// What only the message that writes has in it: a frame's magic.
const WRITE: &[u8] = b"TIDE";

/// When the next transaction's connection is cut. A store locks the log for its first group and then writes without.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cut {
    /// COMMIT does not arrive.
    BeforeCommit = 1,
    /// COMMIT arrives and is carried out; its answer does not.
    AfterCommit = 2,
    /// The statement that writes does not arrive.
    BeforeWrite = 3,
    /// The statement that writes arrives and is carried out; its answer does not.
    AfterWrite = 4,
}

/// Keeps back the next statement that writes.
const KEEP: u8 = 5;

pub(crate) struct Proxy {
    directory: TempDir,
    database: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    armed: AtomicU8,
    cuts: AtomicUsize,
    kept: Notify,
    let_go: Notify,
}

impl State {
    /// What is to be done at this message, once.
    fn take(&self, message: &[u8]) -> u8 {
        let has = |part: &[u8]| message.windows(part.len()).any(|bytes| bytes == part);
        let armed = self.armed.load(Ordering::SeqCst);
        let is_it = match armed {
            0 => false,
            commit if commit <= Cut::AfterCommit as u8 => has(COMMIT),
            _ => has(WRITE),
        };
        if is_it {
            self.armed.swap(0, Ordering::SeqCst)
        } else {
            0
        }
    }
}

impl Proxy {
    pub(crate) fn start(database: &Database) -> Self {
        let directory = TempDir::new().expect("a directory");
        let listener = UnixListener::bind(directory.path().join(SOCKET)).expect("a socket");
        let state = Arc::new(State::default());
        let (shared, behind) = (Arc::clone(&state), database.directory.join(SOCKET));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&behind).await.expect("the database");
                tokio::spawn(carry(client, server, Arc::clone(&shared)));
            }
        });
        let database = database.name.clone();
        Self {
            directory,
            database,
            state,
        }
    }

    pub(crate) fn url(&self) -> String {
        let (directory, database) = (self.directory.path().display(), &self.database);
        format!("postgres:///{database}?host={directory}&user=postgres&sslmode=disable")
    }

    pub(crate) fn cut(&self, cut: Cut) {
        self.state.armed.store(cut as u8, Ordering::SeqCst);
    }

    /// Keeps back the next statement that writes: does something when it is there, then lets it go.
    pub(crate) async fn before_write<T>(
        &self,
        write: impl Future<Output = T>,
        then: impl Future,
    ) -> T {
        self.state.armed.store(KEEP, Ordering::SeqCst);
        let meanwhile = async {
            self.state.kept.notified().await;
            then.await;
            self.state.let_go.notify_one();
        };
        tokio::join!(write, meanwhile).0
    }

    /// How many connections were cut.
    pub(crate) fn cuts(&self) -> usize {
        self.state.cuts.load(Ordering::SeqCst)
    }
}

async fn carry(mut client: UnixStream, mut server: UnixStream, state: Arc<State>) {
    let (mut from_client, mut from_server) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(read @ 1..) = read else { return };
                let cut = state.take(&from_client[..read]);
                if cut == KEEP {
                    state.kept.notify_one();
                    state.let_go.notified().await;
                }
                if cut == Cut::BeforeCommit as u8 || cut == Cut::BeforeWrite as u8 {
                    state.cuts.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                if server.write_all(&from_client[..read]).await.is_err() {
                    return;
                }
                if cut == Cut::AfterCommit as u8 || cut == Cut::AfterWrite as u8 {
                    // The answer is there, so it has been carried out.
                    let answered = server.read(&mut from_server).await.expect("an answer");
                    assert!(answered > 0);
                    state.cuts.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            }
            read = server.read(&mut from_server) => {
                let Ok(read @ 1..) = read else { return };
                if client.write_all(&from_server[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}
