//! A build without object stores.

use std::path::Path;
use std::sync::Arc;

use super::StoreStatus;
use crate::config;
use crate::time::SharedClock;

/// No archive can be moved.
#[derive(Debug, thiserror::Error)]
#[error("archive_store.bucket: this program was built without object stores (feature `object-store`)")]
pub struct StoreError;

/// There is none.
#[derive(Debug)]
pub enum ArchiveStore {}

impl ArchiveStore {
    /// `None` when the configuration names no store.
    ///
    /// # Errors
    /// When it names one.
    pub fn new(settings: &config::ArchiveStore, _: &Path) -> Result<Option<Self>, StoreError> {
        if settings.bucket.is_some() { Err(StoreError) } else { Ok(None) }
    }

    /// Of no store.
    pub fn status(&self) -> Arc<StoreStatus> {
        match *self {}
    }

    /// Moves nothing.
    pub async fn run(self, _: SharedClock) {
        match self {}
    }

    /// Moves nothing.
    ///
    /// # Errors
    /// Never.
    pub async fn move_all(&self) -> Result<usize, StoreError> {
        match *self {}
    }
}
