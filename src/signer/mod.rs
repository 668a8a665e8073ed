//! Tokens and the batcher.
