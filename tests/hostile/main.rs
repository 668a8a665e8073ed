//! The attacker's side: a registered but hostile consumer's server, a hostile provider's server and hostile clients
//! against the running binary. Every case must be refused with the protocol's code, deliver nothing, log nothing as
//! evidence, and leave a server that still carries good messages in bounded memory.

// A test that cannot go on fails by panicking.
#![allow(clippy::unwrap_used)]

mod clients;
mod draft;
mod families;
mod lab;
mod markup;
mod peer_evidence;
mod peer_framing;
mod peer_parts;
mod peer_tls;
mod provider;
mod provider_cases;
mod repeats;
mod room;
mod wire;
