//! Digests, certificates, public keys and signature algorithms.
