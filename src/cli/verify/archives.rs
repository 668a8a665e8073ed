//! Archives and what ties them to each other.

use std::path::{Path, PathBuf};

use crate::evidence::message_archive::VerifiedLinks;
use crate::message::{ErrorCode, XRoadError};

/// One archive as a whole.
pub struct Archive {
    /// Where it is.
    pub file: PathBuf,
    /// Containers in it.
    pub containers: usize,
    /// Its own chain; `None` for a download, which has none.
    pub links: Option<VerifiedLinks>,
    /// Why it is no archive of the log that nothing was added to or taken from.
    pub error: Option<XRoadError>,
    /// What could not be checked, for people.
    pub note: Option<String>,
}

/// Checks that each archive continues the one before it, as far as that one is given: under its name, or under another
/// with its last digest. `previous` is the digest that an archive must continue whose predecessor is not given; empty for
/// the first archive of all.
pub fn check_order(archives: &mut [Archive], previous: Option<&str>) {
    let given: Vec<(String, String)> = archives
        .iter()
        .filter_map(|archive| Some((file_name(&archive.file), archive.links.as_ref()?.last_digest.clone())))
        .collect();
    for archive in archives.iter_mut().filter(|archive| archive.error.is_none()) {
        let Some(links) = &archive.links else { continue };
        if !links.previous_digest.is_empty() && given.iter().any(|(_, last)| *last == links.previous_digest) {
            continue;
        }
        // Encrypted archives have another ending until they are decrypted.
        let name = links.previous_file.strip_suffix(".gpg").unwrap_or(&links.previous_file);
        let named = given.iter().find(|(given, _)| given == name).map(|(_, last)| last.as_str());
        match named.or(previous) {
            Some(expected) if expected.eq_ignore_ascii_case(&links.previous_digest) => {}
            Some(_) => {
                let text = "it does not continue the archive before it: the digests differ";
                archive.error = Some(XRoadError::new(ErrorCode::InvalidHashChain, text));
            }
            None if links.previous_digest.is_empty() => {}
            None => {
                archive.note = Some(format!("the archive before it, {}, is not given", links.previous_file));
            }
        }
    }
}

fn file_name(file: &Path) -> String {
    file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
