//! What is acceptable beyond what can be computed.

use crate::crypto::{KeyKind, PublicKey, SignatureAlgorithm};

/// Rules on algorithms and on OCSP answers. The default is strict; each switch admits evidence of the past
/// and the verdict must then warn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Accept SHA-1 in signatures.
    pub allow_sha1: bool,
    /// Accept RSA keys from 1024 bits instead of 2048.
    pub allow_rsa1024: bool,
    /// Accept OCSP answers whose thisUpdate lies after the time of use.
    pub allow_future_ocsp: bool,
    /// How far clocks may differ, in seconds.
    pub clock_skew_secs: i64,
}

impl Policy {
    /// The strict rules.
    pub const STRICT: Self =
        Self { allow_sha1: false, allow_rsa1024: false, allow_future_ocsp: false, clock_skew_secs: 60 };

    /// Everything that official servers of 7.8 accept: for evidence of the past and test certificates.
    pub const LEGACY: Self =
        Self { allow_sha1: true, allow_rsa1024: true, allow_future_ocsp: true, clock_skew_secs: 60 };

    /// Whether a signature made with `algorithm` by `key` may count. `None` stands for an algorithm that is
    /// not supported at all. The error is one clause for people.
    pub fn check_signature(
        &self,
        algorithm: Option<SignatureAlgorithm>,
        key: &PublicKey,
    ) -> Result<(), &'static str> {
        match algorithm {
            None => return Err("the signature algorithm is not supported"),
            Some(algorithm) if algorithm.is_legacy() && !self.allow_sha1 => {
                return Err("signatures with SHA-1 are not accepted");
            }
            Some(SignatureAlgorithm::EcdsaSha224) => return Err("signatures with SHA-224 are not accepted"),
            Some(_) => {}
        }
        self.check_key(key)
    }

    /// Whether a key is strong enough: RSA from 2048 bits, NIST P curves from 256.
    pub fn check_key(&self, key: &PublicKey) -> Result<(), &'static str> {
        match key.kind() {
            KeyKind::Rsa { bits } if bits >= 2048 || (bits >= 1024 && self.allow_rsa1024) => Ok(()),
            KeyKind::Rsa { .. } => Err("the RSA key is too short"),
            KeyKind::Ec { .. } => Ok(()),
            KeyKind::Unsupported => Err("the kind of key is not supported"),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::STRICT
    }
}
