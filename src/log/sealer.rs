//! Makes the indexes of segments that have become full, beside the writer.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use crossbeam::channel::Receiver;

use super::catalog::Catalog;
use super::recovery::{self, Access};

/// Indexes the segments whose numbers come, until nobody can send any more.
pub(super) fn run(directory: PathBuf, catalog: Arc<RwLock<Catalog>>, full: &Receiver<u32>) {
    while let Ok(number) = full.recv() {
        let done_below = {
            let catalog = catalog.read().unwrap_or_else(PoisonError::into_inner);
            let last_id = catalog.lives().find(|live| live.number == number).and_then(|live| live.last_id());
            catalog.done_below(last_id.unwrap_or(0))
        };
        match recovery::make_index(&directory, number, done_below, Access::Write) {
            Ok(sealed) => {
                tracing::info!(segment = number, messages = sealed.head.messages(), "segment sealed");
                let replaced = catalog.write().unwrap_or_else(PoisonError::into_inner).add_sealed(sealed);
                drop(replaced);
            }
            // It stays in memory; the next start tries again.
            Err(error) => tracing::error!(%error, segment = number, "a segment cannot be indexed"),
        }
    }
}
