//! Files of the server that root has made are given to the user that the server runs as: the owner of its state.
//!
//! That user may change what lies in its folders at any moment, so nothing there is named twice: a file or folder is opened
//! without following a link, looked at, and given through the same descriptor. One with a second name may lie elsewhere as
//! well, where it is not the server's, and is left.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, chownat, fchmod, fstat, openat};

/// Folders within folders: state has no more.
const DEPTH_MAX: usize = 32;

/// User and group of the state, when this process is root's and the state is not.
pub fn of_state(root: &Path) -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let metadata = std::fs::metadata(root).ok()?;
    (metadata.uid() != 0).then(|| (metadata.uid(), metadata.gid()))
}

/// Gives what root owns below `root` to the owner of `root`. What cannot be given is left.
pub fn hand_over(root: &Path) {
    let Some(owner) = of_state(root) else { return };
    // The folder itself may be behind a link of the operator's.
    if let Ok(folder) = openat(CWD, root, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    {
        give_within(&folder, owner, DEPTH_MAX);
    }
}

fn give_within(folder: &OwnedFd, owner: (u32, u32), depth: usize) {
    for entry in Dir::read_from(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if [c".", c".."].contains(&name) {
            continue;
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(found) = openat(folder, name, flags, Mode::empty()) else { continue };
        let Ok(what) = fstat(&found) else { continue };
        give(&found, &what, owner);
        if FileType::from_raw_mode(what.st_mode) == FileType::Directory && depth > 0 {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            if let Ok(inner) = openat(&found, c".", flags, Mode::empty()) {
                give_within(&inner, owner, depth - 1);
            }
        }
    }
}

fn give(found: impl AsFd, what: &Stat, (user, group): (u32, u32)) {
    if what.st_uid == 0 && has_one_name(what) {
        let (user, group) = (Some(Uid::from_raw(user)), Some(Gid::from_raw(group)));
        let _ = chownat(found, c"", user, group, AtFlags::EMPTY_PATH);
    }
}

fn has_one_name(what: &Stat) -> bool {
    FileType::from_raw_mode(what.st_mode) == FileType::Directory || what.st_nlink == 1
}

/// Gives one file that root owns to the owner of `root`.
pub fn hand_over_file(root: &Path, file: &Path) {
    let Some(owner) = of_state(root) else { return };
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(found) = openat(CWD, file, flags, Mode::empty()) else { return };
    if let Ok(what) = fstat(&found) {
        give(&found, &what, owner);
    }
}

/// Lets the owner of `root` read a file elsewhere that root has written, and write it too where the server does.
pub fn share(root: &Path, file: &Path, is_written: bool) {
    let Some((user, group)) = of_state(root) else { return };
    let (user, mode) = if is_written { (user, 0o600) } else { (0, 0o640) };
    // One that is no file must not keep whoever opens it.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(found) = openat(CWD, file, flags, Mode::empty()) else { return };
    let Ok(what) = fstat(&found) else { return };
    if FileType::from_raw_mode(what.st_mode) == FileType::RegularFile {
        give(&found, &what, (user, group));
        if what.st_nlink == 1 {
            let _ = fchmod(&found, Mode::from_raw_mode(mode));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    const SERVER: u32 = 65534;

    fn owner(file: &Path) -> u32 {
        std::fs::symlink_metadata(file).unwrap().uid()
    }

    #[test]
    fn what_root_made_is_given_and_nothing_that_lies_elsewhere() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root gives files away");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (state, elsewhere) = (folder.path().join("state"), folder.path().join("elsewhere"));
        let (inner, secret) = (state.join("tokens/inner"), elsewhere.join("secret"));
        for made in [&inner, &elsewhere] {
            std::fs::create_dir_all(made).unwrap();
        }
        let files = [state.join("registry.sqlite"), inner.join("key.p12")];
        files.iter().chain([&secret]).for_each(|file| std::fs::write(file, "").unwrap());
        symlink(&elsewhere, inner.join("folder")).unwrap();
        symlink(&secret, inner.join("link")).unwrap();
        std::fs::hard_link(&secret, inner.join("second-name")).unwrap();
        hand_over(&state);
        assert_eq!(owner(&files[0]), 0, "the state is root's own");
        chown(&state, Some(SERVER), Some(SERVER)).unwrap();
        hand_over(&state);
        for given in files.iter().chain([&inner, &state.join("tokens")]) {
            assert_eq!(owner(given), SERVER, "{}", given.display());
        }
        for left in [&elsewhere, &secret] {
            assert_eq!(owner(left), 0, "{}", left.display());
        }
        // Alone, files elsewhere are shared by name, and links are not.
        let (plain, link) = (elsewhere.join("plain"), elsewhere.join("link"));
        std::fs::write(&plain, "").unwrap();
        symlink(&secret, &link).unwrap();
        let mode = |file: &Path| std::fs::metadata(file).unwrap().permissions().mode() & 0o777;
        let before = mode(&secret);
        [&plain, &link].into_iter().for_each(|file| share(&state, file, true));
        assert_eq!((owner(&plain), mode(&plain)), (SERVER, 0o600));
        assert_eq!((owner(&secret), mode(&secret)), (0, before));
        hand_over_file(&state, &link);
        assert_eq!(owner(&secret), 0);
        share(&state, &files[0], false);
        assert_eq!((owner(&files[0]), mode(&files[0])), (SERVER, 0o640), "what is the server's stays so");
    }
}
