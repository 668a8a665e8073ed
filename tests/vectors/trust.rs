//! Global configuration, chains, OCSP.
