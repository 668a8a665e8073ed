//! The server's own configuration file.
