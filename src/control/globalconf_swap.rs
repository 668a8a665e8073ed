//! One folder put in the place of another, so that who reads it sees all of the old or all of the new.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::globalconf_store::replace;

/// Makes a folder hold exactly the `wanted` files, of which `present` are there now. Files that do not change stay the
/// same files.
pub(super) fn become_exactly(
    folder: &Path,
    present: &[String],
    wanted: &BTreeMap<String, Vec<u8>>,
) -> io::Result<()> {
    let same = |name: &str| {
        wanted.get(name).is_some_and(|bytes| fs::read(folder.join(name)).ok().as_ref() == Some(bytes))
    };
    let unchanged: Vec<&String> = present.iter().filter(|name| same(name)).collect();
    if folder.is_dir() && unchanged.len() == present.len() && present.len() == wanted.len() {
        return Ok(());
    }
    let new = beside(folder)?;
    let prepared = prepare(folder, &new, &unchanged, wanted);
    let swapped = prepared.and_then(|()| swap(&new, folder));
    // What is left there is the old folder, or what could not be put in its place.
    let _ = fs::remove_dir_all(&new);
    if swapped? {
        return Ok(());
    }
    // A file system that cannot exchange folders: file after file.
    for (name, bytes) in wanted {
        replace(&folder.join(name), bytes)?;
    }
    for name in present.iter().filter(|name| !wanted.contains_key(*name)) {
        let file = folder.join(name);
        if file.is_file() {
            fs::remove_file(file)?;
        }
    }
    Ok(())
}

// A name that no instance has: its tilde would be escaped.
fn beside(folder: &Path) -> io::Result<PathBuf> {
    let mut name = folder.file_name().ok_or_else(|| io::Error::other("no folder name"))?.to_os_string();
    name.push("~new");
    let new = folder.with_file_name(name);
    match fs::remove_dir_all(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(new),
    }
}

fn prepare(
    folder: &Path,
    new: &Path,
    unchanged: &[&String],
    wanted: &BTreeMap<String, Vec<u8>>,
) -> io::Result<()> {
    fs::create_dir_all(new)?;
    if let Ok(metadata) = fs::metadata(folder) {
        fs::set_permissions(new, metadata.permissions())?;
    }
    for (name, bytes) in wanted {
        let file = new.join(name);
        if unchanged.contains(&name) && fs::hard_link(folder.join(name), &file).is_ok() {
            continue;
        }
        let mut writer = fs::File::create(&file)?;
        writer.write_all(bytes)?;
        writer.sync_all()?;
    }
    fs::File::open(new)?.sync_all()
}

// Whether it could be done.
fn swap(new: &Path, folder: &Path) -> io::Result<bool> {
    if !folder.exists() {
        fs::rename(new, folder)?;
    } else {
        match renameat_with(CWD, new, CWD, folder, RenameFlags::EXCHANGE) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::XDEV) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(parent) = folder.parent() {
        fs::File::open(parent)?.sync_all()?;
    }
    Ok(true)
}
