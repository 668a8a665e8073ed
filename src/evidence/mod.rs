//! Signatures, hash chains, containers and time-stamps: made and verified.
