//! A whole small ecosystem on loopback.
