//! The global configuration as it lies on disk, in the layout that official servers use (`trust.md` 1.6).
//!
//! `instance-identifier`, and for each instance a folder (its identifier form-urlencoded) of parts, each with a
//! `.metadata` file beside it. Files are replaced one by one through a rename, the part before its metadata.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::limits::{GLOBALCONF_INSTANCES_MAX, GLOBALCONF_PART_BYTES_MAX, GLOBALCONF_PARTS_MAX};

const INSTANCE_FILE: &str = "instance-identifier";
const METADATA_SUFFIX: &str = ".metadata";

/// What the `.metadata` file of a part says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// Such as `SHARED-PARAMETERS`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_identifier: Option<String>,
    /// The instance that the part is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_identifier: Option<String>,
    /// RFC 3339 time of expiry, as it was signed. A part without one counts as expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration_date: Option<String>,
    /// Name hint of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_file_name: Option<String>,
    /// Where the part came from, as signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_location: Option<String>,
    /// Version of the signed directory; absent means 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration_version: Option<String>,
}

/// One stored part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPart {
    /// File name, such as `shared-params.xml`.
    pub file_name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its metadata; `None` when missing or unreadable.
    pub metadata: Option<Metadata>,
}

/// All parts of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInstance {
    /// The instance identifier.
    pub instance: String,
    /// By file name.
    pub parts: Vec<StoredPart>,
}

/// A whole configuration directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredGlobalConf {
    /// Content of `instance-identifier`, trimmed.
    pub local_instance: String,
    /// By folder name.
    pub instances: Vec<StoredInstance>,
}

/// The directory.
#[derive(Debug, Clone)]
pub struct GlobalConfStore {
    dir: PathBuf,
}

impl GlobalConfStore {
    /// For a directory, which need not exist yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Reads everything. An absent directory or `instance-identifier` is `NotFound`.
    pub fn read(&self) -> io::Result<StoredGlobalConf> {
        let identifier = read_bounded(&self.dir.join(INSTANCE_FILE))?;
        let local_instance = String::from_utf8_lossy(&identifier).trim().to_string();
        let mut instances = Vec::new();
        for folder in sorted(&self.dir)?.into_iter().filter(|path| path.is_dir()) {
            let Some(instance) = folder.file_name().and_then(|name| unescape(name.to_str()?)) else {
                continue;
            };
            if instances.len() == GLOBALCONF_INSTANCES_MAX {
                return Err(io::Error::other("more instances than are supported"));
            }
            instances.push(StoredInstance { instance, parts: read_parts(&folder)? });
        }
        Ok(StoredGlobalConf { local_instance, instances })
    }

    /// Reads one stored part; `None` if it is not there.
    pub fn read_part(&self, instance: &str, file_name: &str) -> io::Result<Option<Vec<u8>>> {
        match read_bounded(&self.folder(instance)?.join(file_name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes an instance consist of exactly `parts`: unchanged files are left alone, all others replaced or removed.
    pub fn write_instance(&self, instance: &StoredInstance) -> io::Result<()> {
        let folder = self.folder(&instance.instance)?;
        fs::create_dir_all(&folder)?;
        let mut kept = Vec::new();
        for part in &instance.parts {
            check_name(&part.file_name)?;
            let file = folder.join(&part.file_name);
            let metadata_file = folder.join(format!("{}{METADATA_SUFFIX}", part.file_name));
            replace(&file, &part.bytes)?;
            if let Some(metadata) = &part.metadata {
                replace(&metadata_file, &serde_json::to_vec(metadata)?)?;
                kept.push(metadata_file);
            }
            kept.push(file);
        }
        for file in sorted(&folder)?.into_iter().filter(|file| file.is_file() && !kept.contains(file)) {
            fs::remove_file(file)?;
        }
        Ok(())
    }

    /// Names the local instance.
    pub fn write_local_instance(&self, instance: &str) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        replace(&self.dir.join(INSTANCE_FILE), instance.as_bytes())
    }

    /// Removes the folders of instances that are not in `known`.
    pub fn keep_instances(&self, known: &[&str]) -> io::Result<()> {
        let keep: Vec<PathBuf> = known.iter().map(|name| self.folder(name)).collect::<io::Result<_>>()?;
        for folder in sorted(&self.dir)?.into_iter().filter(|path| path.is_dir() && !keep.contains(path)) {
            fs::remove_dir_all(folder)?;
        }
        Ok(())
    }

    fn folder(&self, instance: &str) -> io::Result<PathBuf> {
        match instance {
            "" | "." | ".." => Err(io::Error::other(format!("\"{instance}\" cannot be an instance"))),
            _ => Ok(self.dir.join(escape(instance))),
        }
    }
}

fn check_name(name: &str) -> io::Result<()> {
    let bad = name.is_empty()
        || name.starts_with('.')
        || name.ends_with(METADATA_SUFFIX)
        || name.contains(['/', '\\', '\0']);
    if bad { Err(io::Error::other(format!("\"{name}\" cannot be the file name of a part"))) } else { Ok(()) }
}

fn read_parts(folder: &Path) -> io::Result<Vec<StoredPart>> {
    let mut parts = Vec::new();
    for file in sorted(folder)?.into_iter().filter(|file| file.is_file()) {
        let Some(file_name) = file.file_name().and_then(|name| name.to_str()).map(str::to_string) else {
            continue;
        };
        if check_name(&file_name).is_err() {
            continue;
        }
        if parts.len() == GLOBALCONF_PARTS_MAX {
            return Err(io::Error::other("an instance with more parts than are supported"));
        }
        let metadata = read_bounded(&folder.join(format!("{file_name}{METADATA_SUFFIX}"))).ok();
        let metadata = metadata.and_then(|json| serde_json::from_slice(&json).ok());
        parts.push(StoredPart { bytes: read_bounded(&file)?, file_name, metadata });
    }
    Ok(parts)
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}

fn read_bounded(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = GLOBALCONF_PART_BYTES_MAX as u64 + 1;
    fs::File::open(file)?.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > GLOBALCONF_PART_BYTES_MAX {
        return Err(io::Error::other(format!("{} is too large", file.display())));
    }
    Ok(bytes)
}

/// Replaces a file's content at once: a reader sees the old or the new one. Equal content is left alone.
pub(super) fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(file).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    let mut name = std::ffi::OsString::from(".");
    name.push(file.file_name().ok_or_else(|| io::Error::other("no file name"))?);
    name.push(".new");
    let new = file.with_file_name(name);
    let mut writer = fs::File::create(&new)?;
    writer.write_all(bytes)?;
    writer.sync_all()?;
    fs::rename(&new, file)
}

// As `java.net.URLEncoder` writes it: blank is `+`, all but letters, digits and `.-*_` is percent-encoded.
fn escape(instance: &str) -> String {
    let mut text = String::new();
    for byte in instance.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => {
                text.push(char::from(byte))
            }
            b' ' => text.push('+'),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

fn unescape(name: &str) -> Option<String> {
    let instance = crate::config::id_parts(&name.replace('+', " ")).ok()?.pop()?;
    (escape(&instance) == name && !matches!(instance.as_str(), "" | "." | "..")).then_some(instance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(file_name: &str, bytes: &[u8]) -> StoredPart {
        let metadata = Metadata {
            content_identifier: Some("SHARED-PARAMETERS".into()),
            expiration_date: Some("2026-01-10T08:10:00Z".into()),
            ..Metadata::default()
        };
        StoredPart { file_name: file_name.into(), bytes: bytes.into(), metadata: Some(metadata) }
    }

    #[test]
    fn trap_trust_26_folders_are_escaped_and_dots_are_no_instance() {
        let folder = tempfile::tempdir().unwrap();
        let store = GlobalConfStore::new(folder.path().join("globalconf"));
        store.write_local_instance("EE test").unwrap();
        let parts = vec![part("shared-params.xml", b"1"), part("private-params.xml", b"2")];
        let instance = StoredInstance { instance: "EE test".into(), parts };
        store.write_instance(&instance).unwrap();
        assert!(folder.path().join("globalconf/EE+test/shared-params.xml.metadata").is_file());
        for instance in ["../x/ä", "a/b"] {
            store.write_instance(&StoredInstance { instance: instance.into(), parts: vec![] }).unwrap();
        }
        assert!(folder.path().join("globalconf/..%2Fx%2F%C3%A4").is_dir());
        for instance in ["", ".", ".."] {
            assert!(
                store.write_instance(&StoredInstance { instance: instance.into(), parts: vec![] }).is_err()
            );
        }
        let read = store.read().unwrap();
        assert_eq!(read.local_instance, "EE test");
        assert_eq!(read.instances.len(), 3);
        let mut found = read.instances.into_iter().find(|found| found.instance == "EE test").unwrap();
        found.parts.reverse();
        assert_eq!(found, instance);
    }

    #[test]
    fn an_instance_is_made_of_exactly_its_parts() {
        let folder = tempfile::tempdir().unwrap();
        let store = GlobalConfStore::new(folder.path());
        store.write_local_instance("LAB").unwrap();
        let with = |parts| StoredInstance { instance: "LAB".into(), parts };
        store.write_instance(&with(vec![part("a.xml", b"1"), part("b.xml", b"2")])).unwrap();
        store.write_instance(&with(vec![part("b.xml", b"3")])).unwrap();
        assert_eq!(store.read().unwrap().instances, [with(vec![part("b.xml", b"3")])]);
        assert_eq!(store.read_part("LAB", "b.xml").unwrap(), Some(b"3".to_vec()));
        assert_eq!(store.read_part("LAB", "a.xml").unwrap(), None);
        for name in ["", ".hidden", "../x", "b.xml.metadata"] {
            assert!(store.write_instance(&with(vec![part(name, b"")])).is_err(), "{name}");
        }
        store.write_instance(&StoredInstance { instance: "OLD".into(), parts: vec![] }).unwrap();
        store.keep_instances(&["LAB"]).unwrap();
        assert_eq!(store.read().unwrap().instances.len(), 1);
    }

    #[test]
    fn metadata_is_written_as_official_servers_read_it() {
        let json = serde_json::to_string(&part("a", b"").metadata.unwrap()).unwrap();
        assert_eq!(
            json,
            "{\"contentIdentifier\":\"SHARED-PARAMETERS\",\"expirationDate\":\"2026-01-10T08:10:00Z\"}"
        );
        let nulls: Metadata = serde_json::from_str("{\"contentFileName\":null,\"other\":1}").unwrap();
        assert_eq!(nulls, Metadata::default());
    }
}
