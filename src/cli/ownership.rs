//! Files of the server that root has made are given to the user that the server runs as: the owner of its state.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// User and group of the state, when this process is root's and the state is not.
pub fn of_state(root: &Path) -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let metadata = std::fs::metadata(root).ok()?;
    (metadata.uid() != 0).then(|| (metadata.uid(), metadata.gid()))
}

/// Gives what root owns below `root` to the owner of `root`. Links are not followed. What cannot be given is left.
pub fn hand_over(root: &Path) {
    let Some((user, group)) = of_state(root) else { return };
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(metadata) = std::fs::symlink_metadata(entry.path()) else { continue };
            if metadata.uid() == 0 {
                let _ = std::os::unix::fs::lchown(entry.path(), Some(user), Some(group));
            }
            if metadata.is_dir() {
                folders.push(entry.path());
            }
        }
    }
}

/// Lets the owner of `root` read a file elsewhere that root has written, and write it too where the server does.
pub fn share(root: &Path, file: &Path, is_written: bool) {
    use std::os::unix::fs::PermissionsExt as _;
    let Some((user, group)) = of_state(root) else { return };
    let (user, mode) = if is_written { (user, 0o600) } else { (0, 0o640) };
    let _ = std::os::unix::fs::lchown(file, Some(user), Some(group));
    let _ = std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode));
}
