//! Archives of the message log, as official servers make them (`signature.md` 7.4, 8.2), and the ZIP of containers that
//! `GET /asic` gives.

mod linking;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use bytes::Bytes;

pub use self::linking::{LINKING_INFO, LinkingInfo, link};
use super::asic::{ArchiveLimits, entry_names, read_archive_within};
use crate::message::{ErrorCode, XRoadError};

const CONTAINER_ENDING: &str = ".asice";

/// What a file of evidence is.
#[derive(Debug)]
pub enum EvidenceFile {
    /// One container, or nothing that is known: to be judged as a container.
    Container,
    /// Containers in one ZIP.
    Archive(MessageArchive),
}

/// Several containers in one ZIP, in the order of its bytes.
#[derive(Debug)]
pub struct MessageArchive {
    /// Name and bytes of each container.
    pub containers: Vec<(String, Bytes)>,
    /// The chain of an archive of the message log; a download has none.
    pub linking: Option<Bytes>,
    others: Vec<String>,
}

/// What the chain of an archive shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedLinks {
    /// Last digest of the archive before, hex; empty for the first archive.
    pub previous_digest: String,
    /// File name of the archive before; empty for the first archive.
    pub previous_file: String,
    /// Last digest of this archive, hex.
    pub last_digest: String,
}

impl EvidenceFile {
    /// Tells a container from an archive by the names of the entries.
    ///
    /// # Errors
    /// `io_error` for an archive that is damaged or ambiguous.
    pub fn read(bytes: &Bytes) -> Result<Self, XRoadError> {
        // What is no archive is judged as a container, and the judge says why it is none.
        let Ok(names) = entry_names(bytes, &ArchiveLimits::MESSAGE_ARCHIVE) else {
            return Ok(Self::Container);
        };
        if !names.iter().any(|name| is_container_name(name) || *name == LINKING_INFO) {
            return Ok(Self::Container);
        }
        let entries = read_archive_within(bytes, &ArchiveLimits::MESSAGE_ARCHIVE);
        let entries = entries.map_err(|error| XRoadError::new(ErrorCode::IoError, error.to_string()))?;
        let mut archive = MessageArchive { containers: Vec::new(), linking: None, others: Vec::new() };
        for entry in entries {
            match entry.name.as_str() {
                LINKING_INFO => archive.linking = Some(entry.data),
                name if is_container_name(name) => archive.containers.push((entry.name, entry.data)),
                _ => archive.others.push(entry.name),
            }
        }
        Ok(Self::Archive(archive))
    }
}

impl MessageArchive {
    /// Checks that the archive is whole: every container is in the chain at its place and nothing else is there.
    /// `Ok(None)` for a download, which has no chain.
    ///
    /// # Errors
    /// `invalid_hash_chain` for a container that is not the one of the chain, `malformed_hash_chain`, `invalid_reference`
    /// for a container that is named but not there, `hashchain_unused_inputs` for one that is there but not named,
    /// `asic_hash_chain_not_found` for an archive of the log without its chain.
    pub fn verify_links(&self) -> Result<Option<VerifiedLinks>, XRoadError> {
        if let Some(name) = self.others.first() {
            let text = format!("the archive has an entry {name:?} that nothing vouches for");
            return Err(XRoadError::new(ErrorCode::InvalidReference, text));
        }
        let Some(linking) = &self.linking else { return Ok(None) };
        let linking = LinkingInfo::parse(linking).map_err(|what| {
            XRoadError::new(ErrorCode::MalformedHashChain, format!("{LINKING_INFO} cannot be used: {what}"))
        })?;
        if self.containers.is_empty() {
            return Err(XRoadError::new(ErrorCode::InvalidReference, "the archive has no containers"));
        }
        let mut expected: HashMap<&str, &str> = HashMap::new();
        for (digest, name) in &linking.links {
            if expected.insert(name, digest).is_some() {
                let text = format!("{LINKING_INFO} names {name:?} twice");
                return Err(XRoadError::new(ErrorCode::MalformedHashChain, text));
            }
        }
        let mut digest = linking.previous_digest.clone();
        for (name, container) in &self.containers {
            digest = link(linking.algorithm, &digest, container);
            match expected.remove(name.as_str()) {
                Some(listed) if listed == digest => {}
                Some(_) => {
                    let text = format!("the digest of {name:?} differs from that of {LINKING_INFO}");
                    return Err(XRoadError::new(ErrorCode::InvalidHashChain, text));
                }
                None => {
                    let text = format!("{name:?} is not named by {LINKING_INFO}");
                    return Err(XRoadError::new(ErrorCode::HashchainUnusedInputs, text));
                }
            }
        }
        if let Some(name) = expected.keys().next() {
            let text = format!("{LINKING_INFO} names {name:?}, which is not in the archive");
            return Err(XRoadError::new(ErrorCode::InvalidReference, text));
        }
        let LinkingInfo { previous_digest, previous_file, .. } = linking;
        Ok(Some(VerifiedLinks { previous_digest, previous_file, last_digest: digest }))
    }
}

fn is_container_name(name: &str) -> bool {
    name.len() > CONTAINER_ENDING.len() && name.ends_with(CONTAINER_ENDING)
}
