//! Where the vectors are.

use std::path::PathBuf;

/// The folder of vectors, or `None` after having said that the test skips.
#[allow(dead_code)]
pub fn vectors() -> Option<PathBuf> {
    let root = std::env::var_os("HERMOD_VECTORS").map(PathBuf::from);
    let root = root.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"));
    if root.is_dir() {
        return Some(root);
    }
    eprintln!("skipped: no vectors at {} (HERMOD_VECTORS names another place)", root.display());
    None
}
