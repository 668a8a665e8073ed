//! Tests of the batcher.
