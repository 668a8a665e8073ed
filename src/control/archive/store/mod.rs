//! Archives in an S3-compatible object store.
//!
//! The folder of archives is the queue: what is in it is not in the store yet, or not for certain. An archive is put into
//! the store part by part; which parts are there is noted beside it after each, so that a kill costs one part. It leaves
//! the folder when the store has said how long it is. Putting it twice puts the same bytes under the same name.

mod connector;
mod notes;
#[cfg(test)]
#[cfg(feature = "test-servers")]
mod tests;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path as Key;
use object_store::{BackoffConfig, ObjectStoreExt, RetryConfig};

use self::connector::Connector;
use self::notes::Notes;
use super::StoreStatus;
use crate::config;
use crate::time::SharedClock;

/// Bytes of a part: the least that stores take, but for the last one, is 5 MiB.
const PART_BYTES: u64 = 8 * 1024 * 1024;
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// After a failure it is tried again after this, then after twice as much.
const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_LONGEST: Duration = Duration::from_secs(300);
/// Within the folder: archives that are in the store and were to be kept.
const STORED: &str = "stored";

/// Why an archive is not in the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store did not take it.
    #[error("the object store: {0}")]
    Store(#[from] object_store::Error),
    /// A file could not be read or removed.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// It is not what was put.
    #[error("the object store has {found} bytes of {name} instead of {expected}")]
    Length {
        /// The archive.
        name: String,
        /// Bytes that the store has.
        found: u64,
        /// Bytes that the archive has.
        expected: u64,
    },
}

/// Moves archives from their folder into an object store.
pub struct ArchiveStore {
    store: AmazonS3,
    prefix: String,
    directory: PathBuf,
    keep_local: bool,
    part_bytes: u64,
    status: Arc<StoreStatus>,
}

impl ArchiveStore {
    /// The store that the configuration names; `None` when it names none.
    ///
    /// # Errors
    /// When a secret cannot be read or the settings do not make a store.
    pub fn new(settings: &config::ArchiveStore, directory: &Path) -> Result<Option<Self>, StoreError> {
        let Some(bucket) = &settings.bucket else { return Ok(None) };
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: 2,
            retry_timeout: Duration::from_secs(60),
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(&settings.region)
            .with_virtual_hosted_style_request(settings.virtual_hosted)
            .with_checksum_algorithm(Checksum::SHA256)
            .with_retry(retry)
            .with_http_connector(Connector);
        if let Some(endpoint) = &settings.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        if let (Some(id), Some(file)) = (&settings.access_key, &settings.secret_key_file) {
            let secret = fs::read_to_string(file);
            let secret = secret.map_err(|error| StoreError::File { path: file.clone(), error })?;
            builder = builder
                .with_access_key_id(id)
                .with_secret_access_key(secret.lines().next().unwrap_or_default().trim());
        }
        Ok(Some(Self {
            store: builder.build()?,
            prefix: settings.prefix.clone(),
            directory: directory.to_owned(),
            keep_local: settings.keep_local,
            part_bytes: PART_BYTES,
            status: Arc::default(),
        }))
    }

    /// How it goes, also while it runs.
    pub fn status(&self) -> Arc<StoreStatus> {
        Arc::clone(&self.status)
    }

    /// Moves what comes into the folder until the task is dropped. While the store is away it is tried again, less and less
    /// often; archives wait in their folder meanwhile.
    pub async fn run(self, clock: SharedClock) {
        let mut wait = RETRY_FIRST;
        loop {
            match self.move_all().await {
                Ok(moved) => {
                    self.status.succeeded(clock.now());
                    wait = RETRY_FIRST;
                    if moved > 0 {
                        tracing::info!(archives = moved, "archives are in the object store");
                    }
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Err(error) => {
                    self.status.failed();
                    let again_secs = wait.as_secs();
                    tracing::error!(%error, again_secs, "archives cannot be put into the object store; they wait");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(RETRY_LONGEST);
                }
            }
        }
    }

    /// Moves every archive that is in the folder now. How many.
    ///
    /// # Errors
    /// At the first that cannot be moved; it and those after it stay in the folder.
    pub async fn move_all(&self) -> Result<usize, StoreError> {
        let archives = self.waiting().map_err(|error| self.file(&self.directory, error))?;
        self.status.waiting(archives.len());
        for (moved, name) in archives.iter().enumerate() {
            self.put(name).await?;
            self.status.waiting(archives.len() - moved - 1);
        }
        Ok(archives.len())
    }

    /// Archives in the folder, oldest first.
    fn waiting(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.starts_with("mlog-") && (name.ends_with(".zip") || name.ends_with(".zip.gpg")) {
                names.push((entry.metadata()?.modified()?, name));
            }
        }
        names.sort();
        Ok(names.into_iter().map(|(_, name)| name).collect())
    }

    async fn put(&self, name: &str) -> Result<(), StoreError> {
        let path = self.directory.join(name);
        let of_file = |error| self.file(&path, error);
        let file = File::open(&path).map_err(of_file)?;
        let length = file.metadata().map_err(of_file)?.len();
        let key = match self.prefix.as_str() {
            "" => Key::from(name),
            prefix => Key::from(format!("{}/{name}", prefix.trim_matches('/'))),
        };
        if length <= self.part_bytes {
            let bytes = self.read(&file, 0, length).map_err(of_file)?;
            self.store.put(&key, bytes.into()).await?;
        } else {
            self.put_parts(name, &key, &file, length).await?;
        }
        let found = self.store.head(&key).await?.size;
        if found != length {
            return Err(StoreError::Length { name: name.to_owned(), found, expected: length });
        }
        self.status.put(length);
        self.take_away(name).map_err(of_file)?;
        tracing::info!(archive = name, bytes = length, "an archive is in the object store");
        Ok(())
    }

    async fn put_parts(&self, name: &str, key: &Key, file: &File, length: u64) -> Result<(), StoreError> {
        let of_notes = |error| self.file(&self.directory.join(name), error);
        let mut notes = match Notes::read(&self.directory, name, length, self.part_bytes) {
            Some(notes) => notes,
            None => Notes::new(self.store.create_multipart(key).await?, length, self.part_bytes),
        };
        let put = async {
            while notes.next_byte() < length {
                let (at, number) = (notes.next_byte(), notes.parts.len());
                let bytes = self.read(file, at, (length - at).min(self.part_bytes)).map_err(of_notes)?;
                let part = self.store.put_part(key, &notes.upload, number, bytes.into()).await?;
                notes.parts.push(part.content_id);
                notes.write(&self.directory, name).map_err(of_notes)?;
            }
            let parts = notes.parts.iter().map(|id| PartId { content_id: id.clone() }).collect();
            self.store.complete_multipart(key, &notes.upload, parts).await?;
            Ok::<_, StoreError>(())
        };
        let put = put.await;
        if let Err(StoreError::Store(_)) = &put
            && self.answers(key).await
        {
            // It is there and has none of this upload any more, or will not have it: the next one begins anew.
            let _ = self.store.abort_multipart(key, &notes.upload).await;
            Notes::remove(&self.directory, name);
        }
        put?;
        Notes::remove(&self.directory, name);
        Ok(())
    }

    /// Whether the store is there at all.
    async fn answers(&self, key: &Key) -> bool {
        matches!(self.store.head(key).await, Ok(_) | Err(object_store::Error::NotFound { .. }))
    }

    fn read(&self, file: &File, at: u64, length: u64) -> io::Result<Bytes> {
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, at)?;
        Ok(bytes.into())
    }

    fn take_away(&self, name: &str) -> io::Result<()> {
        let path = self.directory.join(name);
        if self.keep_local {
            let stored = self.directory.join(STORED);
            fs::create_dir_all(&stored)?;
            fs::rename(path, stored.join(name))
        } else {
            fs::remove_file(path)
        }
    }

    fn file(&self, path: &Path, error: io::Error) -> StoreError {
        StoreError::File { path: path.to_owned(), error }
    }
}
