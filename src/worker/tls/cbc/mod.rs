//! TLS 1.2 with AES-256-CBC and HMAC-SHA-384, for peers that speak nothing newer.
//!
//! Official security servers offer 0xC028, 0xC024 and a DHE suite by default (`transport.md` 3.1), rustls has no
//! CBC suite. AWS-LC has the whole record protection, padding and MAC checked in constant time, as one TLS AEAD; this
//! room fits it into rustls's interface and does no cryptography of its own. Key exchange, hash, PRF and signature
//! schemes are those of rustls's own AES-256-GCM suites.
//!
//! [`suites`] is all that others see; the files go inwards: `record` (the record format), `context` (the calls
//! into AWS-LC, the only unsafe code).

mod context;
mod record;
mod suites;

#[cfg(test)]
mod tests;

pub use suites::suites;
