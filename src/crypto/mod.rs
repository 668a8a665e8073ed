//! Digests, signature algorithms, public keys, certificates, names and signing keys.
//!
//! Hashing, signing and verifying are aws-lc's. Certificates are read by [`der`], which keeps the exact
//! bytes of what was signed and copes with test certificates that stricter readers refuse. This room knows
//! what *can* be computed; what is *acceptable* (key sizes, SHA-1) is decided by `trust::Policy`.

mod algorithm;
mod certificate;
pub mod der;
mod digest;
pub mod ecdsa;
mod extensions;
mod key;
mod name;
mod record_keys;
mod signing;

pub use algorithm::SignatureAlgorithm;
pub use certificate::{Certificate, CertificateError};
pub use digest::{Digest, DigestAlgorithm, Hasher, sha1, sha224, sha256, sha512, to_hex};
pub use extensions::{BasicConstraints, Extensions, KeyUsage, oid};
pub use key::{Curve, EcdsaFormat, KeyKind, PublicKey, VerifyError, verifications};
pub use name::Name;
pub use record_keys::{CipherError, OfficialCipher, RECORD_NONCE_BYTES, RecordCipher, RecordKeys};
pub use signing::{SignError, SigningKey, SoftwareKey};
