//! Signatures, canonical forms and hash chains.
