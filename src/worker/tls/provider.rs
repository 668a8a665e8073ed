//! Cipher suites and protocol versions.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion, version};

/// Protocol versions that are offered and accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersions {
    /// TLS 1.3 and 1.2.
    #[default]
    Both,
    /// TLS 1.2 alone, as official servers speak it.
    Tls12,
    /// TLS 1.2 with nothing but the suites that were added: what official servers speak by default.
    AddedSuites,
}

impl TlsVersions {
    pub(super) fn list(self) -> &'static [&'static SupportedProtocolVersion] {
        static BOTH: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
        static TLS12: &[&SupportedProtocolVersion] = &[&version::TLS12];
        match self {
            Self::Both => BOTH,
            Self::Tls12 | Self::AddedSuites => TLS12,
        }
    }

    pub(super) fn provider(self, extra_suites: &[SupportedCipherSuite]) -> Arc<CryptoProvider> {
        match self {
            Self::Both | Self::Tls12 => crypto_provider(extra_suites),
            Self::AddedSuites => Arc::new(CryptoProvider {
                cipher_suites: extra_suites.to_vec(),
                ..aws_lc_rs::default_provider()
            }),
        }
    }
}

/// aws-lc-rs's suites, then `extra_suites`: the place of the CBC suites that official servers need
/// (`transport.md` trap 1), offered last.
pub fn crypto_provider(extra_suites: &[SupportedCipherSuite]) -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.extend_from_slice(extra_suites);
    Arc::new(provider)
}
