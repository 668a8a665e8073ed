//! Global configuration, chains, OCSP rules and certificate profiles.
