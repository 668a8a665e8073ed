//! ASiC-E containers and time-stamps.
