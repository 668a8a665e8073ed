//! Pinned workers: listeners, connections, TLS and HTTP/1.1.
