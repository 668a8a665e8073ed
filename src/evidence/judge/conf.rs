//! Where the trusted configuration of a verdict comes from. With `GlobalConf::load_dir`, all that pure rooms read from disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;

use crate::evidence::asic::read_archive;
use crate::limits;
use crate::trust::{GlobalConf, Metadata, Part, PartKind, unescape_instance};

const INSTANCE_IDENTIFIER: &str = "instance-identifier";
const FOLDER: &str = "verificationconf";
const KINDS: [PartKind; 4] =
    [PartKind::Shared, PartKind::Private, PartKind::FetchInterval, PartKind::NextUpdate];

/// The configuration cannot be used: where it was looked for and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("the configuration {path} cannot be used: {what}")]
pub struct ConfError {
    path: String,
    what: String,
}

/// Reads a configuration: the ZIP of `GET /verificationconf`, its folder or the folder around it, or a server's
/// global configuration directory.
///
/// # Errors
/// [`ConfError`] when nothing of that kind is there, or when it is malformed or too large.
pub fn load(path: &Path) -> Result<GlobalConf, ConfError> {
    let fail = |what: String| ConfError { path: path.display().to_string(), what };
    let metadata = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?;
    if metadata.is_dir() {
        let inner = path.join(FOLDER);
        let folder = if path.join(INSTANCE_IDENTIFIER).is_file() { path } else { &inner };
        if !folder.join(INSTANCE_IDENTIFIER).is_file() {
            return Err(fail(format!("it has no file {INSTANCE_IDENTIFIER}")));
        }
        return GlobalConf::load_dir(folder).map_err(|error| fail(error.text().to_owned()));
    }
    let bytes =
        read_bounded(path, limits::ASIC_CONTAINER_BYTES_MAX).map_err(|error| fail(error.to_string()))?;
    let bytes = bytes.ok_or_else(|| fail("it is too large".to_owned()))?;
    let (instance, parts) = read_zip(&bytes).map_err(fail)?;
    GlobalConf::from_parts(&instance, &parts, None).map_err(|error| fail(error.text().to_owned()))
}

fn read_zip(bytes: &Bytes) -> Result<(String, Vec<Part>), String> {
    let prefix = format!("{FOLDER}/");
    let mut files = BTreeMap::new();
    for entry in read_archive(bytes).map_err(|error| error.to_string())? {
        let name = entry.name.strip_prefix(&prefix).unwrap_or(&entry.name);
        files.insert(name.to_owned(), entry.data);
    }
    let local =
        files.get(INSTANCE_IDENTIFIER).ok_or_else(|| format!("it has no file {INSTANCE_IDENTIFIER}"))?;
    let local = String::from_utf8_lossy(local).trim().to_owned();
    let mut parts = Vec::new();
    for (name, data) in &files {
        let Some((folder, file)) = name.split_once('/') else { continue };
        let Some(kind) = KINDS.into_iter().find(|kind| kind.file_name() == file) else { continue };
        let Some(instance) = unescape_instance(folder) else { continue };
        let metadata = files.get(&format!("{name}.metadata"));
        let metadata: Option<Metadata> = metadata.and_then(|json| serde_json::from_slice(json).ok());
        let version = metadata.as_ref().map_or(Some(2), Metadata::version);
        let version = version.ok_or_else(|| format!("{name} is of an unknown version"))?;
        let expires = metadata.as_ref().and_then(Metadata::expires);
        parts.push(Part { kind, instance, bytes: data.to_vec(), version, expires });
    }
    if !parts.iter().any(|part| part.kind == PartKind::Shared && part.instance == local) {
        return Err(format!("it has no shared parameters of its own instance {local:?}"));
    }
    Ok((local, parts))
}

/// The bytes of a file, `None` when there are more than `bytes_max`.
///
/// # Errors
/// The operating system's.
pub fn read_bounded(path: &Path, bytes_max: usize) -> std::io::Result<Option<Bytes>> {
    let file = File::open(path)?;
    let expected = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if expected > bytes_max {
        return Ok(None);
    }
    // Made in one piece: growing step by step would hold it twice.
    let mut bytes = Vec::with_capacity(expected + 1);
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= bytes_max).then(|| bytes.into()))
}
