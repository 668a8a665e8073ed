//! Hermod: a high-throughput X-Road security server.
//!
//! The house, from the ground up; a room imports only rooms listed above it.
//!
//! Pure rooms (values in, values out; no I/O, no clock, no threads):
//! * [`time`]: points in time and the one injected clock.
//! * [`limits`]: every bound on input, in one file.
//! * [`crypto`]: digests, certificates, public keys, signature algorithms.
//! * [`xml`]: strict, bounded XML reader and document, canonical XML.
//! * [`message`]: identifiers, REST and SOAP messages, faults and error codes.
//! * [`transport`]: the multipart transport message between security servers.
//! * [`trust`]: global configuration, certificate chains, OCSP rules, certificate profiles.
//! * [`evidence`]: XAdES signatures, Merkle trees and hash chains, ASiC-E containers, time-stamps.
//! * [`registry`]: local clients, services, endpoints and access rights as the data plane reads them.
//! * [`config`]: the server's own configuration file.
//!
//! Planes:
//! * [`host`]: the service manager, sockets that it holds, the bounds of the control group.
//! * [`worker`]: pinned io_uring (or epoll) threads: listeners, connections, TLS, HTTP/1.1.
//! * [`signer`]: tokens and the batcher.
//! * [`log`]: the message log: segments, recovery, search, time-stamping.
//! * [`control`]: configuration client, OCSP and time-stamp clients, registry database.
//! * [`exchange`]: the two message flows as step lists, metaservices, downloads.
//!
//! Wiring: [`appliance`], [`sandbox`], [`cli`].

pub mod appliance;
pub mod cli;
pub mod config;
pub mod control;
pub mod crypto;
pub mod evidence;
pub mod exchange;
pub mod host;
pub mod limits;
pub mod log;
pub mod message;
pub mod registry;
pub mod sandbox;
pub mod signer;
pub mod time;
pub mod transport;
pub mod trust;
pub mod worker;
pub mod xml;
