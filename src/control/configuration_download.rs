//! One location of the global configuration: the version that it has, its signed directory, and the files that are
//! not stored yet (`trust.md` 1.3 to 1.7).

use std::collections::HashSet;

use super::fetch::{Answer, Fetch, FetchError, Request};
use super::globalconf_store::{GlobalConfStore, StoredPart, check_name};
use crate::limits::{GLOBAL_CONF_DIRECTORY_BYTES_MAX, GLOBAL_CONF_PART_BYTES_MAX};
use crate::message::XRoadError;
use crate::time::UnixTime;
use crate::trust::anchor::Location;
use crate::trust::directory::{self, Directory, DirectoryPart};
use crate::trust::{PartKind, Policy};

/// Versions that are asked for, the newest first; the oldest needs no question.
const VERSIONS_PROBED: [u8; 4] = [6, 5, 4, 3];
const VERSION_OLDEST: u8 = 2;

#[derive(Clone, Copy)]
pub(super) struct Download<'a> {
    pub fetch: &'a dyn Fetch,
    pub store: &'a GlobalConfStore,
    pub policy: &'a Policy,
    pub now: UnixTime,
    pub location: &'a Location,
}

impl Download<'_> {
    /// The URL of the directory in the newest version that the source has. Every status but 404 counts as there.
    pub async fn negotiate(&self) -> Result<String, XRoadError> {
        let url = &self.location.url;
        if url.contains("version=") {
            return Ok(url.clone());
        }
        for version in VERSIONS_PROBED {
            let versioned = versioned(url, version);
            let mut probe = Request::get(&versioned, GLOBAL_CONF_DIRECTORY_BYTES_MAX);
            probe.accepts = |_| true;
            let answer = self.fetch.fetch(probe).await;
            let answer = answer.map_err(|error| failure("global_conf_get_version_failed", error))?;
            if answer.status != 404 {
                return Ok(versioned);
            }
        }
        Ok(versioned(url, VERSION_OLDEST))
    }

    /// The verified directory.
    pub async fn directory(&self, url: &str) -> Result<Directory, XRoadError> {
        let answer = self.get(url, GLOBAL_CONF_DIRECTORY_BYTES_MAX).await?;
        Ok(directory::verify(&answer.body, self.location, self.now, self.policy)?)
    }

    /// All files of a directory: as they are stored where they still have the listed digest, else downloaded.
    pub async fn parts(&self, directory: &Directory, url: &str) -> Result<Vec<StoredPart>, XRoadError> {
        let names: Vec<String> = directory.parts.iter().map(file_name).collect::<Result<_, _>>()?;
        let mut taken = HashSet::new();
        if let Some(name) = names.iter().find(|name| !taken.insert(name.as_str())) {
            return Err(unusable_name(name));
        }
        let mut parts = Vec::with_capacity(names.len());
        for (part, file_name) in directory.parts.iter().zip(names) {
            let bytes = match self.stored(part, &file_name)? {
                Some(bytes) => bytes,
                None => self.downloaded(directory, part, url).await?,
            };
            parts.push(StoredPart { file_name, bytes, metadata: directory.metadata(part, self.location) });
        }
        Ok(parts)
    }

    fn stored(&self, part: &DirectoryPart, file_name: &str) -> Result<Option<Vec<u8>>, XRoadError> {
        let stored = self.store.read_part(&self.location.instance, file_name);
        let stored = stored.map_err(|error| failure("global_conf_part_file_hash_failure", error))?;
        Ok(stored.filter(|bytes| part.matches(bytes)))
    }

    async fn downloaded(
        &self,
        directory: &Directory,
        part: &DirectoryPart,
        url: &str,
    ) -> Result<Vec<u8>, XRoadError> {
        let answer = self.get(&part.url(url), GLOBAL_CONF_PART_BYTES_MAX).await?;
        Ok(directory.check_file(part, self.location, answer.body.to_vec())?.bytes)
    }

    async fn get(&self, url: &str, bytes_max: usize) -> Result<Answer, XRoadError> {
        self.fetch.fetch(Request::get(url, bytes_max)).await.map_err(|error| {
            let code = match error {
                FetchError::Body(..) => "global_conf_part_download_failure",
                _ => "global_conf_download_url_connection_failure",
            };
            failure(code, error)
        })
    }
}

pub(super) fn failure(code: &'static str, error: impl std::fmt::Display) -> XRoadError {
    XRoadError::with_code(code, error.to_string())
}

fn versioned(url: &str, version: u8) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}version={version}")
}

// Known parts have their names, which no other part may take; others the name that the source suggests, or the end of
// their location.
fn file_name(part: &DirectoryPart) -> Result<String, XRoadError> {
    let known = part.kind().file_name();
    if !known.is_empty() {
        return Ok(known.to_string());
    }
    let last = part.content_location.rsplit('/').next().unwrap_or_default();
    let name = part.content_file_name.as_deref().unwrap_or(last);
    if PartKind::is_file_name(name) {
        return Err(unusable_name(name));
    }
    check_name(name).map_err(|error| failure("global_conf_part_file_save_failure", error))?;
    Ok(name.to_string())
}

fn unusable_name(name: &str) -> XRoadError {
    failure("global_conf_part_file_save_failure", format!("\"{name}\" is the file name of another part"))
}
