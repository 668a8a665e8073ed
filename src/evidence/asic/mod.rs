//! ASiC-E containers: what is kept of one message as evidence, in one ZIP file (`signature.md` 6).

mod archive;
mod manifest;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;

use bytes::Bytes;

pub use self::archive::{
    ArchiveError, ArchiveLimits, Entry, entry_names, read as read_archive, read_within as read_archive_within,
};
use crate::message::{ErrorCode, XRoadError};
use crate::time::UnixTime;

/// The media type of a container, and the content of its first entry.
pub const MEDIA_TYPE: &str = "application/vnd.etsi.asic-e+zip";

const MIMETYPE: &str = "mimetype";
const MESSAGE: &str = "message.xml";
const SIGNATURE: &str = "META-INF/signatures.xml";
const SIG_HASH_CHAIN_RESULT: &str = "sig-hashchainresult.xml";
const SIG_HASH_CHAIN: &str = "sig-hashchain.xml";
const TS_HASH_CHAIN_RESULT: &str = "ts-hashchainresult.xml";
const TS_HASH_CHAIN: &str = "ts-hashchain.xml";
const MANIFEST: &str = "META-INF/manifest.xml";
const ASIC_MANIFEST: &str = "META-INF/ASiCManifest.xml";
const TIMESTAMP: &str = "META-INF/timestamp.tst";
const ATTACHMENT: &str = "attachment";

const KNOWN: [&str; 10] = [
    MIMETYPE,
    MESSAGE,
    SIGNATURE,
    SIG_HASH_CHAIN_RESULT,
    SIG_HASH_CHAIN,
    TS_HASH_CHAIN_RESULT,
    TS_HASH_CHAIN,
    MANIFEST,
    ASIC_MANIFEST,
    TIMESTAMP,
];

/// The contents of a container. Reading it proves nothing about them; [`judge`](super::judge) does.
#[derive(Debug, Clone, Default)]
pub struct Container {
    /// The message: a SOAP envelope or a REST head.
    pub message: Bytes,
    /// The signature document.
    pub signature: Bytes,
    /// Hash chain result and hash chain of a batch signature.
    pub signature_chain: Option<ChainFiles>,
    /// Hash chain result and hash chain of a batch time-stamp.
    pub timestamp_chain: Option<ChainFiles>,
    /// The token of a batch time-stamp; a single one is inside the signature document.
    pub timestamp: Option<Bytes>,
    /// Attachments by number; the body of a REST message is number 1.
    pub attachments: BTreeMap<u32, Bytes>,
    /// Names of entries that have no meaning here. Nothing vouches for them.
    pub other_entries: Vec<String>,
}

/// A hash chain result and the hash chain that leads to it.
#[derive(Debug, Clone)]
pub struct ChainFiles {
    /// The document that is signed or stamped.
    pub result: Bytes,
    /// The way from one message or signature to it.
    pub chain: Bytes,
}

impl Container {
    /// Reads a container strictly: one reading only, exact and unique names, complete pairs (`signature.md` 6.3).
    ///
    /// # Errors
    /// `asic_*` as official servers name them; `io_error` for a damaged or ambiguous archive.
    pub fn parse(bytes: &Bytes) -> Result<Self, XRoadError> {
        let mut entries: BTreeMap<String, Bytes> = BTreeMap::new();
        let mut order = Vec::new();
        for entry in archive::read(bytes).map_err(archive_error)? {
            order.push(entry.name.clone());
            entries.insert(entry.name, entry.data);
        }
        let mut take = |name: &str| entries.remove(name);
        check_mimetype(take(MIMETYPE))?;
        let message = take(MESSAGE).filter(|message| !is_blank(message));
        let message = message.ok_or_else(|| missing(ErrorCode::AsicMessageNotFound, MESSAGE))?;
        let signature = take(SIGNATURE).filter(|signature| !is_blank(signature));
        let signature = signature.ok_or_else(|| missing(ErrorCode::AsicSignatureNotFound, SIGNATURE))?;
        let signature_chain = pair(take(SIG_HASH_CHAIN_RESULT), take(SIG_HASH_CHAIN))?;
        let timestamp_chain = pair(take(TS_HASH_CHAIN_RESULT), take(TS_HASH_CHAIN))?;
        let timestamp = take(TIMESTAMP);
        if timestamp.as_ref().is_some_and(|timestamp| is_blank(timestamp)) {
            return Err(missing(ErrorCode::AsicTimestampNotFound, TIMESTAMP));
        }
        for name in [MANIFEST, ASIC_MANIFEST] {
            if take(name).is_some_and(|manifest| is_blank(&manifest)) {
                return Err(missing(ErrorCode::AsicManifestNotFound, name));
            }
        }
        let mut attachments = BTreeMap::new();
        let mut other_entries = Vec::new();
        for name in order {
            let Some(data) = entries.remove(&name) else { continue };
            match attachment_number(&name) {
                Some(number) => drop(attachments.insert(number, data)),
                None => other_entries.push(check_other_name(name)?),
            }
        }
        Ok(Self {
            message,
            signature,
            signature_chain,
            timestamp_chain,
            timestamp,
            attachments,
            other_entries,
        })
    }

    /// Writes the container as official servers do: order, compression, comment and manifests (`signature.md` 6.1).
    ///
    /// `created` is the time of the record. `other_entries` are not written.
    pub fn to_bytes(&self, created: UnixTime) -> Vec<u8> {
        let mut entries: Vec<(String, &[u8])> = vec![
            (MIMETYPE.to_owned(), MEDIA_TYPE.as_bytes()),
            (MESSAGE.to_owned(), &self.message),
            (SIGNATURE.to_owned(), &self.signature),
        ];
        if let Some(files) = &self.signature_chain {
            entries.push((SIG_HASH_CHAIN_RESULT.to_owned(), &files.result));
            entries.push((SIG_HASH_CHAIN.to_owned(), &files.chain));
        }
        if let Some(files) = &self.timestamp_chain {
            entries.push((TS_HASH_CHAIN_RESULT.to_owned(), &files.result));
            entries.push((TS_HASH_CHAIN.to_owned(), &files.chain));
        }
        let attachments: Vec<(String, &[u8])> = self
            .attachments
            .iter()
            .map(|(number, data)| (format!("{ATTACHMENT}{number}"), data.as_ref()))
            .collect();
        let names: Vec<&str> = entries
            .iter()
            .chain(&attachments)
            .map(|(name, _)| name.as_str())
            .filter(|name| *name != MIMETYPE && *name != SIGNATURE)
            .collect();
        let manifest = manifest::open_document(&names);
        entries.push((MANIFEST.to_owned(), manifest.as_bytes()));
        let asic_manifest = self.timestamp_chain.as_ref().map(|files| manifest::asic(&files.result));
        if let Some(asic_manifest) = &asic_manifest {
            entries.push((ASIC_MANIFEST.to_owned(), asic_manifest.as_bytes()));
        }
        if let Some(timestamp) = &self.timestamp {
            entries.push((TIMESTAMP.to_owned(), timestamp));
        }
        entries.extend(attachments);
        writer::write(&entries, created)
    }
}

fn archive_error(error: ArchiveError) -> XRoadError {
    let code = match error {
        ArchiveError::NotAnArchive => ErrorCode::AsicMimeTypeNotFound,
        _ => ErrorCode::IoError,
    };
    XRoadError::new(code, error.to_string())
}

fn check_mimetype(mimetype: Option<Bytes>) -> Result<(), XRoadError> {
    let mimetype = mimetype.ok_or_else(|| missing(ErrorCode::AsicMimeTypeNotFound, MIMETYPE))?;
    if !mimetype.eq_ignore_ascii_case(MEDIA_TYPE.as_bytes()) {
        return Err(XRoadError::new(
            ErrorCode::AsicInvalidMimeType,
            "the container's media type is another one",
        ));
    }
    Ok(())
}

fn pair(result: Option<Bytes>, chain: Option<Bytes>) -> Result<Option<ChainFiles>, XRoadError> {
    match (result.filter(|result| !is_blank(result)), chain.filter(|chain| !is_blank(chain))) {
        (Some(result), Some(chain)) => Ok(Some(ChainFiles { result, chain })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(missing(ErrorCode::AsicHashChainNotFound, "hash chain")),
        (None, Some(_)) => Err(missing(ErrorCode::AsicHashChainResultNotFound, "hash chain result")),
    }
}

/// The number of `attachment<i>`, written without leading zeros.
fn attachment_number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix(ATTACHMENT)?;
    let number: u32 = digits.parse().ok()?;
    (number > 0 && digits == number.to_string()).then_some(number)
}

/// Names that another reader could take for a part are refused; the rest is harmless.
fn check_other_name(name: String) -> Result<String, XRoadError> {
    let lower = name.to_lowercase();
    let looks_like_signature = lower.starts_with("meta-inf/")
        && ["signature", "timestamp", ".tst", ".p7s", "asicmanifest"].iter().any(|mark| lower.contains(mark));
    let looks_like_part =
        KNOWN.iter().any(|known| known.eq_ignore_ascii_case(&name)) || lower.starts_with(ATTACHMENT);
    if looks_like_signature || looks_like_part {
        let text = format!("the entry {name:?} is almost, but not exactly, named like a part of a container");
        return Err(XRoadError::new(ErrorCode::IoError, text));
    }
    Ok(name)
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_whitespace)
}

fn missing(code: ErrorCode, what: &str) -> XRoadError {
    XRoadError::new(code, format!("the container has no {what}, or a blank one"))
}
