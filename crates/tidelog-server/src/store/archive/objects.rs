//! Where objects lie: a folder, or an S3-compatible bucket.

use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode};
use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Once};

/// Where an archive is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArchiveAddress {
    /// A folder.
    Folder(PathBuf),
    /// `s3://bucket` or `s3://bucket/folder`. Who may use it, and where it is, say the usual variables: `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`.
    S3 {
        /// The bucket.
        bucket: String,
        /// The folder in it; empty for none.
        folder: String,
    },
}

/// Why an archive cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The address is of no known kind.
    #[error("an archive is a folder or s3://bucket/folder, without a password in it")]
    Address,
    /// The folder is not there.
    #[error("there is no folder {}", .path.display())]
    NoFolder {
        /// The folder.
        path: PathBuf,
    },
    /// It cannot be used.
    #[error("the archive cannot be used: {detail}")]
    Refused {
        /// Why, and what to do.
        detail: String,
    },
}

impl FromStr for ArchiveAddress {
    type Err = ArchiveError;

    fn from_str(text: &str) -> Result<Self, ArchiveError> {
        if let Some(path) = text.strip_prefix("s3://") {
            let (bucket, folder) = path.split_once('/').unwrap_or((path, ""));
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            return match !bucket.is_empty() && bucket.chars().all(is_plain) {
                true => Ok(Self::S3 {
                    bucket: bucket.into(),
                    folder: folder.trim_matches('/').into(),
                }),
                false => Err(ArchiveError::Address),
            };
        }
        let path = text.strip_prefix("file://").unwrap_or(text);
        match path.is_empty() || path.contains("://") {
            true => Err(ArchiveError::Address),
            false => Ok(Self::Folder(path.into())),
        }
    }
}

impl fmt::Display for ArchiveAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::S3 { bucket, folder } if folder.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, folder } => write!(f, "s3://{bucket}/{folder}"),
        }
    }
}

/// How the file's name ends that an object is written to. A name is used once, so there is no second one.
const UNFINISHED: &str = "#1";

/// It is said once.
static WARNED: Once = Once::new();

/// Does the file system not know this call, as `EINVAL` and `ENOTSUP` say? A disk that fails says something else.
fn is_no_such_call(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidInput | ErrorKind::Unsupported
    )
}

/// Objects by name.
#[derive(Clone)]
pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
    address: ArchiveAddress,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)
    }
}

impl Objects {
    pub(super) fn open(address: &ArchiveAddress) -> Result<Self, ArchiveError> {
        let store: Arc<dyn ObjectStore> = match address {
            ArchiveAddress::Folder(path) if !path.is_dir() => {
                return Err(ArchiveError::NoFolder { path: path.clone() });
            }
            ArchiveAddress::Folder(path) => {
                let folder = LocalFileSystem::new_with_prefix(path).map_err(refused)?;
                // What is put is on disk, and so is its name, when it is answered.
                Arc::new(folder.with_fsync(true))
            }
            ArchiveAddress::S3 { bucket, .. } => s3(bucket)?,
        };
        Ok(Self {
            store,
            address: address.clone(),
        })
    }

    fn path(&self, name: &str) -> Path {
        match &self.address {
            ArchiveAddress::S3 { folder, .. } => Path::from(format!("{folder}/{name}")),
            ArchiveAddress::Folder(_) => Path::from(name),
        }
    }

    /// An object that should have so many bytes; `None` if there is none of this name. One that is longer is not read whole.
    pub(super) async fn get(&self, name: &str, bytes: u64) -> Result<Option<Arc<[u8]>>, String> {
        let found = match self.store.get(&self.path(name)).await {
            Err(Error::NotFound { .. }) => return Ok(None),
            found => found.map_err(|error| self.said(error))?,
        };
        if found.meta.size > bytes {
            return Ok(Some([].into()));
        }
        let read = found.bytes().await.map_err(|error| self.said(error))?;
        Ok(Some(Arc::from(&*read)))
    }

    /// Is there an object of this name?
    pub(super) async fn has(&self, name: &str) -> Result<bool, String> {
        match self.store.head(&self.path(name)).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.said(error)),
        }
    }

    pub(super) async fn put(&self, name: &str, bytes: Arc<[u8]>) -> Result<(), String> {
        let bytes = bytes::Bytes::from_owner(bytes);
        let put = self.store.put(&self.path(name), bytes.into()).await;
        put.map(|_| ()).map_err(|error| self.said(error))
    }

    /// Puts an object unless there is one of this name.
    pub(super) async fn put_once(&self, name: &str, bytes: Vec<u8>) -> Result<(), String> {
        let (path, bytes) = (self.path(name), bytes::Bytes::from(bytes));
        let once = PutMode::Create.into();
        match self.store.put_opts(&path, bytes.clone().into(), once).await {
            Ok(_) | Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(()),
            // Some file systems have no second names for a file, and some buckets know no conditions.
            Err(_) if self.has(name).await? => Ok(()),
            Err(_) => {
                let put = self.store.put(&path, bytes.into()).await;
                put.map(|_| ()).map_err(|error| self.said(error))
            }
        }
    }

    /// Removes an object, if there is one, and what is there of one whose putting was ended. After a power cut it is gone as well.
    pub(super) async fn remove(&self, name: &str) -> Result<(), String> {
        // First, since whoever is putting it makes the one the other.
        self.remove_unfinished(name).await?;
        match self.store.delete(&self.path(name)).await {
            Ok(()) | Err(Error::NotFound { .. }) => self.sync_folder_of(name).await,
            Err(error) => Err(self.said(error)),
        }
    }

    /// A file is written beside its place and then moved there. Nothing else shows the one beside it, and a bucket has none.
    async fn remove_unfinished(&self, name: &str) -> Result<(), String> {
        let Some(path) = self.file(&format!("{name}{UNFINISHED}")) else {
            return Ok(());
        };
        self.blocking(move || std::fs::remove_file(path)).await
    }

    /// What was removed from a folder comes back after a power cut until the folder is on disk. Where that cannot be asked for, as on some
    /// network mounts, it is as durable as the mount makes it: nothing would ever count as removed otherwise.
    async fn sync_folder_of(&self, name: &str) -> Result<(), String> {
        let file = self.file(name).filter(|_| cfg!(unix));
        let Some(folder) = file.as_deref().and_then(std::path::Path::parent) else {
            return Ok(());
        };
        let folder = folder.to_owned();
        self.blocking(move || match std::fs::File::open(&folder)?.sync_all() {
            Err(error) if is_no_such_call(&error) => {
                WARNED.call_once(|| {
                    tracing::warn!(%error, folder = %folder.display(), "the archive's file system does not sync folders: what is removed may come back after a power cut");
                });
                Ok(())
            }
            synced => synced,
        })
        .await
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        match &self.address {
            ArchiveAddress::Folder(folder) => Some(folder.join(name)),
            ArchiveAddress::S3 { .. } => None,
        }
    }

    /// Does something with a file or a folder on a thread of its own. One that is not there is as well.
    async fn blocking(
        &self,
        work: impl FnOnce() -> std::io::Result<()> + Send + 'static,
    ) -> Result<(), String> {
        let done = tokio::task::spawn_blocking(work).await;
        match done.map_err(|error| self.said(error))? {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.said(error)),
            _ => Ok(()),
        }
    }

    fn said(&self, error: impl fmt::Display) -> String {
        format!("{} answers: {error}", self.address)
    }
}

fn refused(error: impl fmt::Display) -> ArchiveError {
    ArchiveError::Refused {
        detail: error.to_string(),
    }
}

#[cfg(feature = "s3")]
fn s3(bucket: &str) -> Result<Arc<dyn ObjectStore>, ArchiveError> {
    use object_store::RetryConfig;
    use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
    use std::time::Duration;

    // It may be another's already, which is as good.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let retry = RetryConfig {
        max_retries: 5,
        retry_timeout: Duration::from_secs(30),
        ..RetryConfig::default()
    };
    let store = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        // Not every bucket that speaks S3 deletes many at once, and here it is one.
        .with_config(AmazonS3ConfigKey::DisableBulkDelete, "true")
        .with_retry(retry)
        .build()
        .map_err(refused)?;
    Ok(Arc::new(store))
}

#[cfg(not(feature = "s3"))]
fn s3(_: &str) -> Result<Arc<dyn ObjectStore>, ArchiveError> {
    Err(ArchiveError::Refused {
        detail: "this tidelog was built without S3 (the feature `s3`)".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::{ArchiveAddress, ArchiveError};

    #[test]
    fn an_address_is_a_folder_or_a_bucket() {
        let s3 = |bucket: &str, folder: &str| ArchiveAddress::S3 {
            bucket: bucket.into(),
            folder: folder.into(),
        };
        for (text, address) in [
            ("old", ArchiveAddress::Folder("old".into())),
            ("file:///var/old", ArchiveAddress::Folder("/var/old".into())),
            ("s3://b", s3("b", "")),
            ("s3://b/", s3("b", "")),
            ("s3://b/x/y/", s3("b", "x/y")),
        ] {
            assert_eq!(text.parse(), Ok(address), "{text}");
        }
        for text in ["", "s3://", "s3://key:secret@b/x", "gs://b", "https://b/x"] {
            let parsed = text.parse::<ArchiveAddress>();
            assert_eq!(parsed, Err(ArchiveError::Address), "{text}");
        }
    }
}
