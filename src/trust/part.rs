//! Files of the global configuration, their metadata, and the directory layout that official servers use.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::global_conf::GlobalConf;
use crate::limits;
use crate::message::{ErrorCode, XRoadError};
use crate::time::UnixTime;

/// What a file of the configuration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PartKind {
    /// `shared-params.xml`.
    Shared,
    /// `private-params.xml`.
    Private,
    /// `fetchinterval-params.xml`.
    FetchInterval,
    /// `nextupdate-params.xml`.
    NextUpdate,
    /// `monitoring-params.xml`.
    Monitoring,
    /// Anything else: kept, not read.
    Other,
}

const SHARED: &str = "SHARED-PARAMETERS";
const PRIVATE: &str = "PRIVATE-PARAMETERS";
const KINDS: [(PartKind, &str, &str); 5] = [
    (PartKind::Shared, SHARED, "shared-params.xml"),
    (PartKind::Private, PRIVATE, "private-params.xml"),
    (PartKind::FetchInterval, "FETCHINTERVAL", "fetchinterval-params.xml"),
    (PartKind::NextUpdate, "NEXTUPDATE", "nextupdate-params.xml"),
    (PartKind::Monitoring, "MONITORING", "monitoring-params.xml"),
];

impl PartKind {
    /// By the content identifier of a signed directory.
    pub fn from_content_identifier(identifier: &str) -> Self {
        KINDS.iter().find(|kind| kind.1 == identifier).map_or(Self::Other, |kind| kind.0)
    }

    /// Whether a file of this name is read as one of the known parts.
    pub fn is_file_name(name: &str) -> bool {
        KINDS.iter().any(|kind| kind.2 == name)
    }

    /// The name under which the file is stored; empty for other parts.
    pub fn file_name(self) -> &'static str {
        KINDS.iter().find(|kind| kind.0 == self).map_or("", |kind| kind.2)
    }
}

/// One file of the configuration with what is known about it.
#[derive(Debug, Clone)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// The instance that it is of (the name of its directory, unescaped).
    pub instance: String,
    /// The file.
    pub bytes: Vec<u8>,
    /// Version of the signed directory that listed it: 2 to 6.
    pub version: u8,
    /// When it expires; unknown counts as expired for operation.
    pub expires: Option<UnixTime>,
}

impl Part {
    /// The name under which it is stored.
    pub fn file_name(&self) -> &'static str {
        self.kind.file_name()
    }
}

/// The JSON file beside each stored file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// `SHARED-PARAMETERS` and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_identifier: Option<String>,
    /// The instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_identifier: Option<String>,
    /// ISO 8601 offset date-time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration_date: Option<String>,
    /// The file name that the source suggested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_file_name: Option<String>,
    /// Where it was downloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_location: Option<String>,
    /// Version of the signed directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration_version: Option<String>,
}

impl Metadata {
    /// The expiry, when there is one and it can be read.
    pub fn expires(&self) -> Option<UnixTime> {
        UnixTime::parse_rfc3339(self.expiration_date.as_deref()?)
    }

    /// The version; 2 when it is not given.
    pub fn version(&self) -> Option<u8> {
        match &self.configuration_version {
            None => Some(2),
            Some(version) => version.trim().parse().ok().filter(|version| (2..=6).contains(version)),
        }
    }
}

/// The directory name of an instance: form-urlencoded. `None` for names that would leave the directory.
pub fn escape_instance(instance: &str) -> Option<String> {
    if instance.trim().is_empty() || instance.bytes().all(|byte| byte == b'.') {
        return None;
    }
    let mut out = String::new();
    for byte in instance.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    Some(out)
}

/// The instance of a directory name; `None` when it is not one that [`escape_instance`] writes.
pub fn unescape_instance(name: &str) -> Option<String> {
    let mut out = Vec::new();
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
            }
            _ => out.push(byte),
        }
    }
    let instance = String::from_utf8(out).ok()?;
    (escape_instance(&instance)? == name).then_some(instance)
}

fn malformed(text: String) -> XRoadError {
    XRoadError::new(ErrorCode::MalformedGlobalConf, text)
}

fn read_bounded(path: &Path) -> Result<Option<Vec<u8>>, XRoadError> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Ok(metadata) if metadata.len() > limits::GLOBAL_CONF_PART_BYTES_MAX as u64 => {
            return Err(malformed(format!("{} is too large", path.display())));
        }
        _ => {}
    }
    std::fs::read(path).map(Some).map_err(|error| malformed(format!("{}: {error}", path.display())))
}

impl GlobalConf {
    /// Reads a configuration as official servers store it (`instance-identifier` and one directory for each
    /// instance); the same layout without expiry dates serves the verification of evidence. Error:
    /// `malformed_global_conf`.
    pub fn load_dir(path: &Path) -> Result<Self, XRoadError> {
        Self::load_dir_after(path, None)
    }

    /// As [`Self::load_dir`]; what became unreadable is taken from `previous`.
    pub fn load_dir_after(path: &Path, previous: Option<&GlobalConf>) -> Result<Self, XRoadError> {
        let (local, parts) = read_dir(path)?;
        Self::from_parts(&local, &parts, previous)
    }

    /// As [`Self::load_dir_after`], for operation at `now`: a foreign instance whose shared parameters have expired is
    /// left out, so that nothing of it counts any more (X-Road 7.8 behaviour).
    pub fn load_dir_at(
        path: &Path,
        previous: Option<&GlobalConf>,
        now: UnixTime,
    ) -> Result<Self, XRoadError> {
        let (local, mut parts) = read_dir(path)?;
        parts.retain(|part| part.instance == local || part.expires.is_some_and(|expires| now <= expires));
        Self::from_parts(&local, &parts, previous)
    }
}

/// The local instance and all files of a stored configuration.
pub fn read_dir(path: &Path) -> Result<(String, Vec<Part>), XRoadError> {
    let identifier = read_bounded(&path.join("instance-identifier"))?
        .ok_or_else(|| malformed(format!("{} has no instance-identifier", path.display())))?;
    let local = String::from_utf8_lossy(&identifier).trim().to_owned();
    let entries = std::fs::read_dir(path).map_err(|error| malformed(error.to_string()))?;
    let mut parts = Vec::new();
    let mut directories = 0;
    for entry in entries.flatten() {
        let directory = entry.path();
        let Some(instance) = entry.file_name().to_str().and_then(unescape_instance) else { continue };
        if !directory.is_dir() {
            continue;
        }
        directories += 1;
        parts.extend(read_instance(&directory, &instance)?);
    }
    if directories == 0 {
        return Err(malformed(format!("{} has no directory of an instance", path.display())));
    }
    Ok((local, parts))
}

// Who writes a configuration puts a new folder in the place of the old one: files of two of them do not belong together.
fn read_instance(directory: &Path, instance: &str) -> Result<Vec<Part>, XRoadError> {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    for _ in 0..limits::GLOBAL_CONF_READS_MAX {
        // While it is open, no other folder gets its number.
        let Ok(open) = std::fs::File::open(directory) else { continue };
        let before = open.metadata().map(identity).ok();
        let parts = read_files(directory, instance);
        if before == std::fs::metadata(directory).map(identity).ok() {
            return parts;
        }
    }
    Err(malformed(format!("{} changes all the time", directory.display())))
}

fn read_files(directory: &Path, instance: &str) -> Result<Vec<Part>, XRoadError> {
    let mut parts = Vec::new();
    for (kind, _, name) in KINDS {
        let Some(bytes) = read_bounded(&directory.join(name))? else { continue };
        let metadata = read_bounded(&directory.join(format!("{name}.metadata")))?;
        // Without readable metadata the file counts as expired, and as version 2, the oldest.
        let metadata: Option<Metadata> = metadata.and_then(|json| serde_json::from_slice(&json).ok());
        let version = match &metadata {
            None => 2,
            Some(metadata) => metadata.version().ok_or_else(|| {
                malformed(format!("{name} of instance \"{instance}\" is of an unknown version"))
            })?,
        };
        let expires = metadata.as_ref().and_then(Metadata::expires);
        parts.push(Part { kind, instance: instance.to_owned(), bytes, version, expires });
    }
    Ok(parts)
}
