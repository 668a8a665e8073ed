//! The message log.
