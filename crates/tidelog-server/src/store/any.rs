//! A store that is chosen when the program starts.

#[cfg(feature = "postgres")]
use super::PostgresStore;
use super::{
    After, Archive, Archiving, Audited, Erase, Erased, ErasurePlace, ErasureRecord, Load, LogState,
    LogStore, Moved, Options, Page, PageCap, Push, Segment, SqliteStore, Stats, StoreError,
    StreamPage, StreamRange, Verified, Wanted,
};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use tidelog_core::protocol::PushResponse;
use tidelog_core::{LogName, Position, Recorded, StreamId};
use tokio::sync::watch;

/// Where a database is.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreAddress {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database: a URL, which may hold a password.
    Postgres(String),
}

/// Text that is no address of a database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreAddressError {
    /// There is nothing in it.
    #[error("it is empty; give postgres://user@host/database, or the path of an SQLite file")]
    Empty,
    /// It begins as a URL of something else. The rest of it is not repeated: it may hold a password.
    #[error(
        "{scheme}:// is no database that Tidelog uses; give postgres://user@host/database, or the path of an SQLite file"
    )]
    UnknownScheme {
        /// What comes before `://`.
        scheme: String,
    },
}

impl FromStr for StoreAddress {
    type Err = StoreAddressError;

    /// `postgres://…` and `postgresql://…` are PostgreSQL. A file is a path, with `sqlite:` or `sqlite://` before it or without.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => return Ok(Self::Postgres(text.to_owned())),
            Some(("sqlite", path)) => path,
            Some((scheme, _)) if is_scheme(scheme) => {
                let scheme = scheme.to_owned();
                return Err(StoreAddressError::UnknownScheme { scheme });
            }
            _ => text.strip_prefix("sqlite:").unwrap_or(text),
        };
        match path.is_empty() {
            true => Err(StoreAddressError::Empty),
            false => Ok(Self::Sqlite(path.into())),
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// A URL is not shown: it may hold a password.
impl fmt::Debug for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres(_) => f.write_str("the PostgreSQL database"),
        }
    }
}

/// Either of the stores that Tidelog brings. Servers that know theirs when they are written use it directly.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AnyStore {
    /// An SQLite file.
    Sqlite(SqliteStore),
    /// A PostgreSQL database.
    #[cfg(feature = "postgres")]
    Postgres(PostgresStore),
}

impl AnyStore {
    /// Opens or makes a database.
    ///
    /// # Errors
    /// As [`SqliteStore::open`] and `PostgresStore::connect`; [`StoreError::NotOurs`] for a PostgreSQL database if this
    /// build cannot use any.
    pub async fn open(address: &StoreAddress) -> Result<Self, StoreError> {
        Self::open_with(address, false).await
    }

    /// Opens a database that is there and has the layout of this build: neither is changed.
    pub(crate) async fn open_to_read(address: &StoreAddress) -> Result<Self, StoreError> {
        Self::open_with(address, true).await
    }

    async fn open_with(address: &StoreAddress, keep_layout: bool) -> Result<Self, StoreError> {
        match address {
            StoreAddress::Sqlite(path) => {
                let options = Options {
                    keep_layout,
                    ..Options::default()
                };
                Ok(Self::Sqlite(SqliteStore::open_with(path, &options)?))
            }
            #[cfg(feature = "postgres")]
            StoreAddress::Postgres(url) => Ok(Self::Postgres(
                PostgresStore::connect_with(url, keep_layout).await?,
            )),
            #[cfg(not(feature = "postgres"))]
            StoreAddress::Postgres(_) => Err(StoreError::NotOurs {
                detail: "this tidelog was built without PostgreSQL (the feature `postgres`)".into(),
            }),
        }
    }
}

/// Asks whichever store it is.
macro_rules! either {
    ($store:expr, $it:ident => $answer:expr) => {
        match $store {
            AnyStore::Sqlite($it) => $answer,
            #[cfg(feature = "postgres")]
            AnyStore::Postgres($it) => $answer,
        }
    };
}

/// What operators do with whole logs.
impl AnyStore {
    /// Every log there is, by name.
    pub(crate) async fn logs(&self) -> Result<Vec<LogName>, StoreError> {
        either!(self, it => it.logs().await)
    }

    /// What is wrong with the file below the logs: a few lines, none if it is whole. PostgreSQL has programs of its own for that.
    pub(crate) async fn faults(&self) -> Result<Vec<String>, StoreError> {
        match self {
            Self::Sqlite(it) => it.faults().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Ok(Vec::new()),
        }
    }

    /// Counts what a log holds. Costs O(commits).
    pub(crate) async fn stats(&self, log: &LogName) -> Result<Stats, StoreError> {
        either!(self, it => it.stats(log).await)
    }

    /// Stores commits that another database recorded, just as they are, at the end of a log: all or none. They must follow on it.
    pub(crate) async fn restore(
        &self,
        log: &LogName,
        commits: Vec<Recorded>,
    ) -> Result<(), StoreError> {
        either!(self, it => it.restore(log, commits).await)
    }

    /// What was erased in the logs of this name, with the events.
    pub(crate) async fn audited(&self, log: &LogName) -> Result<Vec<Audited>, StoreError> {
        either!(self, it => it.audited(log).await)
    }

    /// Writes down what the commits of a restored log say of erasures, and closes the streams that they close.
    pub(crate) async fn remember(
        &self,
        log: &LogName,
        erasures: Vec<Audited>,
    ) -> Result<(), StoreError> {
        either!(self, it => it.remember(log, erasures).await)
    }

    /// Gives a log another name. `false`: there is a log of that name.
    pub(crate) async fn rename(&self, log: &LogName, name: &LogName) -> Result<bool, StoreError> {
        either!(self, it => it.rename(log, name).await)
    }

    /// Removes a log and all it holds, if there is one.
    pub(crate) async fn forget(&self, log: &LogName) -> Result<(), StoreError> {
        either!(self, it => it.forget(log).await)
    }
}

impl Archiving for AnyStore {
    fn with_archive(self, archive: Archive) -> Self {
        match self {
            Self::Sqlite(it) => Self::Sqlite(it.with_archive(archive)),
            #[cfg(feature = "postgres")]
            Self::Postgres(it) => Self::Postgres(it.with_archive(archive)),
        }
    }

    async fn archive(
        &self,
        log: &LogName,
        wanted: Wanted,
        done: impl FnMut(Position) + Send,
    ) -> Result<Moved, StoreError> {
        either!(self, it => it.archive(log, wanted, done).await)
    }

    async fn recall(&self, log: &LogName, position: Position) -> Result<(), StoreError> {
        either!(self, it => it.recall(log, position).await)
    }

    async fn shrink(&self) -> Result<(), StoreError> {
        either!(self, it => it.shrink().await)
    }
}

impl LogStore for AnyStore {
    async fn create(&self, log: &LogName) -> Result<LogState, StoreError> {
        either!(self, it => it.create(log).await)
    }

    async fn state(&self, log: &LogName) -> Result<LogState, StoreError> {
        either!(self, it => it.state(log).await)
    }

    async fn push(&self, push: Push) -> Result<PushResponse, StoreError> {
        either!(self, it => it.push(push).await)
    }

    async fn page(&self, log: &LogName, after: After, cap: PageCap) -> Result<Page, StoreError> {
        either!(self, it => it.page(log, after, cap).await)
    }

    async fn stream(
        &self,
        log: &LogName,
        stream: &StreamId,
        range: StreamRange,
    ) -> Result<StreamPage, StoreError> {
        either!(self, it => it.stream(log, stream, range).await)
    }

    async fn erase(&self, erase: Erase) -> Result<Erased, StoreError> {
        either!(self, it => it.erase(erase).await)
    }

    async fn erasures(
        &self,
        log: &LogName,
        after: Option<ErasurePlace>,
        limit: usize,
    ) -> Result<Vec<ErasureRecord>, StoreError> {
        either!(self, it => it.erasures(log, after, limit).await)
    }

    async fn revision(&self, log: &LogName) -> Result<u64, StoreError> {
        either!(self, it => it.revision(log).await)
    }

    async fn segment(&self, log: &LogName, number: u64) -> Result<Option<Segment>, StoreError> {
        either!(self, it => it.segment(log, number).await)
    }

    async fn verify(&self, log: &LogName) -> Result<Verified, StoreError> {
        either!(self, it => it.verify(log).await)
    }

    fn watch(&self, log: &LogName) -> watch::Receiver<Position> {
        either!(self, it => it.watch(log))
    }

    fn load(&self) -> Load {
        either!(self, it => it.load())
    }

    async fn ready(&self) -> Result<(), StoreError> {
        either!(self, it => it.ready().await)
    }
}

#[cfg(test)]
mod tests {
    use super::{StoreAddress, StoreAddressError};

    #[test]
    fn an_address_says_which_store_and_is_not_shown() {
        let of = |text: &str| -> StoreAddress { text.parse().expect("an address") };
        for file in ["a.db", "sqlite:a.db", "sqlite://a.db"] {
            assert_eq!(of(file), StoreAddress::Sqlite("a.db".into()));
        }
        for file in ["/var/a.db", "sqlite:/var/a.db", "sqlite:///var/a.db"] {
            assert_eq!(of(file), StoreAddress::Sqlite("/var/a.db".into()));
        }
        for url in [
            "postgres://me:secret@host/db",
            "postgresql://me:secret@host/db",
        ] {
            assert_eq!(of(url), StoreAddress::Postgres(url.into()));
            assert!(!format!("{0} {0:?}", of(url)).contains("secret"));
        }
    }

    #[test]
    fn the_url_of_something_else_is_no_file_s_name() {
        let wrong = |text: &str| text.parse::<StoreAddress>().expect_err("no address");
        for scheme in ["mysql", "postgress", "POSTGRES", "http"] {
            let error = wrong(&format!("{scheme}://me:secret@host/db"));
            assert_eq!(
                error,
                StoreAddressError::UnknownScheme {
                    scheme: scheme.into()
                }
            );
            assert!(!format!("{error} {error:?}").contains("secret"));
        }
        for empty in ["", "sqlite:", "sqlite://"] {
            assert_eq!(wrong(empty), StoreAddressError::Empty);
        }
    }
}
