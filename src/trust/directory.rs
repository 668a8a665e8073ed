//! Signed configuration directories.
