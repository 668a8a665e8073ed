//! The two suites, and the key block as RFC 5246 6.3 orders it.

use rustls::crypto::aws_lc_rs::cipher_suite;
use rustls::crypto::cipher::{
    AeadKey, KeyBlockShape, MessageDecrypter, MessageEncrypter, Tls12AeadAlgorithm, UnsupportedOperationError,
};
use rustls::crypto::tls12::Prf;
use rustls::crypto::{ActiveKeyExchange, CipherSuiteCommon};
use rustls::{CipherSuite, ConnectionTrafficSecrets, Error, SupportedCipherSuite, Tls12CipherSuite};

use super::context::{AES_KEY_BYTES, MAC_KEY_BYTES};
use super::record::{RecordDecrypter, RecordEncrypter};

/// 0xC028 and 0xC024, to be offered after everything else.
pub fn suites() -> Vec<SupportedCipherSuite> {
    vec![SupportedCipherSuite::Tls12(&ECDHE_RSA), SupportedCipherSuite::Tls12(&ECDHE_ECDSA)]
}

static GCM_RSA: &Tls12CipherSuite = tls12(cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384);
static GCM_ECDSA: &Tls12CipherSuite = tls12(cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384);

static ECDHE_RSA: Tls12CipherSuite = like(GCM_RSA, CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384);
static ECDHE_ECDSA: Tls12CipherSuite = like(GCM_ECDSA, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384);

static PRF: OrderedKeyBlock = OrderedKeyBlock(GCM_RSA.prf_provider);

const fn tls12(suite: SupportedCipherSuite) -> &'static Tls12CipherSuite {
    match suite {
        SupportedCipherSuite::Tls12(suite) => suite,
        SupportedCipherSuite::Tls13(_) => panic!("evaluated when compiled"),
    }
}

const fn like(gcm: &'static Tls12CipherSuite, suite: CipherSuite) -> Tls12CipherSuite {
    Tls12CipherSuite {
        common: CipherSuiteCommon {
            suite,
            hash_provider: gcm.common.hash_provider,
            // 2^42 blocks if all records are full; the connection ends there, TLS 1.2 cannot change keys.
            confidentiality_limit: 1 << 32,
        },
        prf_provider: &PRF,
        kx: gcm.kx,
        sign: gcm.sign,
        aead_alg: &CbcSha384,
    }
}

const KEY_BLOCK_BYTES: usize = 2 * (MAC_KEY_BYTES + AES_KEY_BYTES);

/// The inner PRF, but for the key block, which is turned from the order of RFC 5246 6.3 (MAC keys, then cipher keys)
/// to the one in which rustls cuts it (cipher keys, then "IVs": the MAC keys here).
struct OrderedKeyBlock(&'static dyn Prf);

impl Prf for OrderedKeyBlock {
    fn for_key_exchange(
        &self,
        output: &mut [u8; 48],
        kx: Box<dyn ActiveKeyExchange>,
        peer_pub_key: &[u8],
        label: &[u8],
        seed: &[u8],
    ) -> Result<(), Error> {
        self.0.for_key_exchange(output, kx, peer_pub_key, label, seed)
    }

    fn for_secret(&self, output: &mut [u8], secret: &[u8], label: &[u8], seed: &[u8]) {
        self.0.for_secret(output, secret, label, seed);
        // An exporter may be asked for the same label, hence the length.
        if label == b"key expansion" && output.len() == KEY_BLOCK_BYTES {
            output.rotate_left(2 * MAC_KEY_BYTES);
        }
    }
}

/// The AEAD as rustls asks for it: a MAC key takes the place of the IV, which each record carries.
struct CbcSha384;

impl Tls12AeadAlgorithm for CbcSha384 {
    fn encrypter(&self, key: AeadKey, mac_key: &[u8], _: &[u8]) -> Box<dyn MessageEncrypter> {
        Box::new(RecordEncrypter::new(mac_key, key.as_ref()))
    }

    fn decrypter(&self, key: AeadKey, mac_key: &[u8]) -> Box<dyn MessageDecrypter> {
        Box::new(RecordDecrypter::new(mac_key, key.as_ref()))
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        KeyBlockShape { enc_key_len: AES_KEY_BYTES, fixed_iv_len: MAC_KEY_BYTES, explicit_nonce_len: 0 }
    }

    fn extract_keys(
        &self,
        _: AeadKey,
        _: &[u8],
        _: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}
