//! The global configuration as it lies on disk, in the layout that official servers use (`trust.md` 1.6).
//!
//! `instance-identifier`, and for each instance a folder (its identifier form-urlencoded) of parts, each with a
//! `.metadata` file beside it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::time::UnixTime;
use crate::trust::{Metadata, escape_instance};

const INSTANCE_FILE: &str = "instance-identifier";
const METADATA_SUFFIX: &str = ".metadata";

/// One part as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPart {
    /// File name, such as `shared-params.xml`.
    pub file_name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its metadata.
    pub metadata: Metadata,
}

/// What tells two states of the directory apart: names, sizes and times of all files.
pub type Fingerprint = Vec<(PathBuf, u64, Option<SystemTime>)>;

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

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The present state, to be compared with a later one; empty if there is no directory.
    pub fn fingerprint(&self) -> Fingerprint {
        let folders = sorted(&self.dir).unwrap_or_default();
        let files = folders.into_iter().flat_map(|path| match path.is_dir() {
            true => sorted(&path).unwrap_or_default(),
            false => vec![path],
        });
        let describe = |file: PathBuf| {
            let metadata = fs::metadata(&file).ok();
            let size = metadata.as_ref().map_or(0, fs::Metadata::len);
            (file, size, metadata.and_then(|metadata| metadata.modified().ok()))
        };
        files.map(describe).collect()
    }

    /// Reads one stored part; `None` if it is not there.
    pub fn read_part(&self, instance: &str, file_name: &str) -> io::Result<Option<Vec<u8>>> {
        check_name(file_name)?;
        match fs::read(self.folder(instance)?.join(file_name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// When a stored part expires, as its metadata say; `None` if it is not there or they are not readable.
    pub fn expires(&self, instance: &str, file_name: &str) -> Option<UnixTime> {
        let metadata = self.folder(instance).ok()?.join(format!("{file_name}{METADATA_SUFFIX}"));
        serde_json::from_slice::<Metadata>(&fs::read(metadata).ok()?).ok()?.expires()
    }

    /// Makes an instance consist of exactly `parts`: unchanged files are left alone, all others replaced or removed, in
    /// one step wherever the file system can exchange two folders.
    pub fn write_instance(&self, instance: &str, parts: &[StoredPart]) -> io::Result<()> {
        self.write_beside(instance, parts, &|_| false)
    }

    /// As [`Self::write_instance`], but files for whose names `keeps` is true stay, with their metadata.
    pub fn write_beside(
        &self,
        instance: &str,
        parts: &[StoredPart],
        keeps: &dyn Fn(&str) -> bool,
    ) -> io::Result<()> {
        let folder = self.folder(instance)?;
        parts.iter().try_for_each(|part| check_name(&part.file_name))?;
        let mut wanted: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for part in parts {
            wanted.insert(part.file_name.clone(), part.bytes.clone());
            let metadata = serde_json::to_vec(&part.metadata)?;
            wanted.insert(format!("{}{METADATA_SUFFIX}", part.file_name), metadata);
        }
        let mut present = Vec::new();
        for file in sorted(&folder).unwrap_or_default() {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            if keeps(name.strip_suffix(METADATA_SUFFIX).unwrap_or(&name)) && file.is_file() {
                wanted.entry(name.clone()).or_insert(fs::read(&file)?);
            }
            present.push(name);
        }
        super::globalconf_swap::become_exactly(&folder, &present, &wanted)
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
        match escape_instance(instance) {
            Some(name) => Ok(self.dir.join(name)),
            None => Err(io::Error::other(format!("\"{instance}\" cannot be an instance"))),
        }
    }
}

pub(super) fn check_name(name: &str) -> io::Result<()> {
    let bad = name.is_empty()
        || name.starts_with('.')
        || name.ends_with(METADATA_SUFFIX)
        || name.contains(['/', '\\', '\0']);
    if bad { Err(io::Error::other(format!("\"{name}\" cannot be the file name of a part"))) } else { Ok(()) }
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    paths.sort();
    Ok(paths)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::read_dir;

    fn part(file_name: &str, bytes: &[u8]) -> StoredPart {
        let metadata = Metadata {
            content_identifier: Some("SHARED-PARAMETERS".into()),
            expiration_date: Some("2026-01-10T08:10:00Z".into()),
            ..Metadata::default()
        };
        StoredPart { file_name: file_name.into(), bytes: bytes.into(), metadata }
    }

    #[test]
    fn trap_trust_26_folders_are_escaped_and_dots_are_no_instance() {
        let folder = tempfile::tempdir().unwrap();
        let store = GlobalConfStore::new(folder.path().join("globalconf"));
        store.write_local_instance("EE test").unwrap();
        let parts = [part("shared-params.xml", b"1"), part("private-params.xml", b"2")];
        store.write_instance("EE test", &parts).unwrap();
        assert!(folder.path().join("globalconf/EE+test/shared-params.xml.metadata").is_file());
        store.write_instance("../x/ä", &[]).unwrap();
        assert!(folder.path().join("globalconf/..%2Fx%2F%C3%A4").is_dir());
        for instance in ["", ".", ".."] {
            assert!(store.write_instance(instance, &[]).is_err());
        }
        let (local, parts) = read_dir(store.dir()).unwrap();
        assert_eq!(local, "EE test");
        let mut names: Vec<_> = parts.iter().map(|part| (part.instance.as_str(), part.file_name())).collect();
        names.sort();
        assert_eq!(names, [("EE test", "private-params.xml"), ("EE test", "shared-params.xml")]);
        assert_eq!(parts[0].expires.unwrap().to_rfc3339(), "2026-01-10T08:10:00Z");
    }

    #[test]
    fn an_instance_is_made_of_exactly_its_parts() {
        let folder = tempfile::tempdir().unwrap();
        let store = GlobalConfStore::new(folder.path());
        store.write_local_instance("LAB").unwrap();
        store.write_instance("LAB", &[part("a.xml", b"1"), part("b.xml", b"2")]).unwrap();
        let before = store.fingerprint();
        store.write_instance("LAB", &[part("a.xml", b"1"), part("b.xml", b"2")]).unwrap();
        assert_eq!(store.fingerprint(), before, "equal content is not written again");
        store.write_instance("LAB", &[part("b.xml", b"three")]).unwrap();
        assert_ne!(store.fingerprint(), before);
        assert_eq!(store.read_part("LAB", "b.xml").unwrap(), Some(b"three".to_vec()));
        assert_eq!(store.read_part("LAB", "a.xml").unwrap(), None);
        for name in ["", ".hidden", "../x", "b.xml.metadata"] {
            assert!(store.write_instance("LAB", &[part(name, b"")]).is_err(), "{name}");
        }
        store.write_instance("OLD", &[]).unwrap();
        store.keep_instances(&["LAB"]).unwrap();
        assert!(!folder.path().join("OLD").exists());
    }

    #[test]
    fn who_reads_meanwhile_sees_one_generation() {
        let folder = tempfile::tempdir().unwrap();
        let store = GlobalConfStore::new(folder.path());
        store.write_local_instance("LAB").unwrap();
        let generation = |number: u32| {
            let text = number.to_string();
            ["shared-params.xml", "private-params.xml"].map(|name| part(name, text.as_bytes()))
        };
        store.write_instance("LAB", &generation(0)).unwrap();
        let writing = std::sync::atomic::AtomicBool::new(true);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = std::collections::BTreeSet::new();
                while writing.load(std::sync::atomic::Ordering::Relaxed) {
                    let (_, parts) = read_dir(store.dir()).unwrap();
                    let texts: Vec<_> = parts.iter().map(|part| part.bytes.clone()).collect();
                    assert_eq!((texts.len(), &texts[0]), (2, &texts[1]));
                    seen.extend(texts);
                }
                seen.len()
            });
            for number in 1..=200 {
                store.write_instance("LAB", &generation(number)).unwrap();
            }
            writing.store(false, std::sync::atomic::Ordering::Relaxed);
            assert!(reader.join().unwrap() > 0);
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside");
    }

    #[test]
    fn some_files_may_stay() {
        let folder = tempfile::tempdir().unwrap();
        let store = GlobalConfStore::new(folder.path());
        store
            .write_instance("LAB", &[part("a.xml", b"1"), part("b.xml", b"2"), part("c.xml", b"3")])
            .unwrap();
        store.write_beside("LAB", &[part("a.xml", b"4")], &|name| name == "b.xml").unwrap();
        let names: Vec<_> = sorted(&folder.path().join("LAB")).unwrap();
        let names: Vec<_> = names.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a.xml", "a.xml.metadata", "b.xml", "b.xml.metadata"]);
    }
}
