//! Which database a command is about.

use super::{Failure, files, said};
use crate::store::{AnyStore, Archive, ArchiveAddress, Archiving, StoreAddress, StoreError};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Target {
    /// The SQLite file; `serve` and `import` make it if it is missing. TIDELOG_STORE takes one, too.
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// The database instead of --db: `postgres://user@host/database`, or an SQLite file.
    ///
    /// Any number of servers may share one PostgreSQL database. What a URL leaves out comes from PGPASSWORD, PGSSLMODE
    /// and their like; give a password that way, or by this option's variable, since arguments can be seen by others.
    #[arg(
        long,
        value_name = "URL",
        env = "TIDELOG_STORE",
        hide_env_values = true
    )]
    store: Option<StoreAddress>,
    /// Where `tidelog archive` has moved the older history of its logs: a folder, or s3://bucket/folder.
    ///
    /// Every server and command of a database that has such logs needs it. For a bucket, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
    /// AWS_REGION say who may, and AWS_ENDPOINT_URL where it is if not at Amazon (AWS_ALLOW_HTTP=true if that is not https).
    #[arg(long, value_name = "URL", env = "TIDELOG_ARCHIVE")]
    archive: Option<ArchiveAddress>,
}

impl Target {
    /// Opens the database; makes it if it is missing, and changes the layout of one of an older build.
    pub(super) async fn open(&self) -> Result<AnyStore, Failure> {
        self.with_archive(self.open_alone().await?)
    }

    async fn open_alone(&self) -> Result<AnyStore, Failure> {
        let address = self.address()?;
        demand_place(&address)?;
        let opened = AnyStore::open(&address).await;
        opened.map_err(|error| not_opened(&address, error))
    }

    /// Opens the database to write there if it exists: only `serve`, `import` and `restore` make one.
    pub(super) async fn open_existing(&self) -> Result<AnyStore, Failure> {
        self.with_archive(self.open_existing_alone().await?)
    }

    /// As [`Target::open_existing`], without its archive.
    pub(super) async fn open_existing_alone(&self) -> Result<AnyStore, Failure> {
        self.demand_there()?;
        self.open_alone().await
    }

    /// Opens the database to read it. One of an older build is refused and stays as it is: its servers go on.
    pub(super) async fn open_to_read(&self) -> Result<AnyStore, Failure> {
        self.demand_there()?;
        let address = self.address()?;
        let opened = AnyStore::open_to_read(&address).await;
        self.with_archive(opened.map_err(|error| not_opened(&address, error))?)
    }

    fn with_archive(&self, store: AnyStore) -> Result<AnyStore, Failure> {
        match &self.archive {
            None => Ok(store),
            Some(address) => Ok(store.with_archive(archive(address)?)),
        }
    }

    fn demand_there(&self) -> Result<(), Failure> {
        let address = self.address()?;
        demand_place(&address)?;
        match address {
            StoreAddress::Sqlite(path) if !path.is_file() => Err(Failure::Refused(format!(
                "there is no database {}",
                path.display()
            ))),
            _ => Ok(()),
        }
    }

    /// The archive that was named.
    pub(super) const fn archive(&self) -> Option<&ArchiveAddress> {
        self.archive.as_ref()
    }

    /// A file that was named on the command line goes before what may only be the environment's.
    fn address(&self) -> Result<StoreAddress, Failure> {
        let file = self.db.clone().map(StoreAddress::Sqlite);
        file.or_else(|| self.store.clone()).ok_or_else(|| {
            Failure::Refused(
                "which database? Give --db FILE, or --store URL (or TIDELOG_STORE)".into(),
            )
        })
    }
}

/// Refuses a path where no file can be. SQLite says only that it cannot open it.
fn demand_place(address: &StoreAddress) -> Result<(), Failure> {
    let StoreAddress::Sqlite(path) = address else {
        return Ok(());
    };
    if path.is_dir() {
        return Err(Failure::Refused(format!(
            "{} is a folder, and a database is a file: give its path",
            path.display()
        )));
    }
    let folder = files::parent(path);
    match folder.is_dir() {
        true => Ok(()),
        false => Err(Failure::Refused(format!(
            "there is no folder {} for the database {}",
            folder.display(),
            path.display()
        ))),
    }
}

/// Names the file that could not be opened.
fn not_opened(address: &StoreAddress, error: StoreError) -> Failure {
    match (address, said(error)) {
        (StoreAddress::Sqlite(path), said) if !said.contains(&*path.to_string_lossy()) => {
            Failure::Failed(format!("{}: {said}", path.display()))
        }
        (_, said) => Failure::Failed(said),
    }
}

/// An archive that is there.
pub(super) fn archive(address: &ArchiveAddress) -> Result<Archive, Failure> {
    Archive::open(address)
        .map_err(|error| Failure::Refused(format!("the archive {address}: {error}")))
}
