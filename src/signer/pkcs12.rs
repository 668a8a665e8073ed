//! One private key per PKCS#12 file, as software tokens keep them (`trust.md` 6.4).

use std::path::Path;

use p12_keystore::{Certificate as StoreCertificate, KeyStore, KeyStoreEntry, PrivateKeyChain};

use super::token::TokenError;
use crate::crypto::SoftwareKey;
use crate::limits::TOKEN_FILE_BYTES_MAX;

/// Years that the certificate inside a file claims to be valid; nobody looks at it.
const HOLDER_YEARS: (i32, i32) = (2000, 2100);

/// Reads a file that must not be larger than a token file can be.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, TokenError> {
    use std::io::Read;
    let failed = |source| TokenError::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(TOKEN_FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Reads the private key of a file: the one under `alias`, whatever its case, else the only one there is.
/// PKCS#8 DER.
pub(super) fn read_key(path: &Path, alias: &str, pin: &str) -> Result<Vec<u8>, TokenError> {
    let bytes = read_file(path)?;
    let store = KeyStore::from_pkcs12(&bytes, pin).map_err(|error| explain(path, &error))?;
    let keys = || {
        store.entries().filter_map(|(name, entry)| match entry {
            KeyStoreEntry::PrivateKeyChain(chain) => Some((name, chain)),
            KeyStoreEntry::Certificate(_) => None,
        })
    };
    // Java writes aliases in lower case.
    let named = keys().find(|(name, _)| name.eq_ignore_ascii_case(alias)).or_else(|| keys().next());
    let reason = || TokenError::Malformed { path: path.to_owned(), reason: "it holds no private key".into() };
    named.map(|(_, chain)| chain.key().to_vec()).ok_or_else(reason)
}

fn explain(path: &Path, error: &p12_keystore::error::Error) -> TokenError {
    use p12_keystore::error::Error;
    let path = path.to_owned();
    match error {
        Error::MacError(_) | Error::Pkcs5Error(_) | Error::UnpadError => TokenError::Pin { path },
        other => TokenError::Malformed { path, reason: other.to_string() },
    }
}

/// The bytes of a file with one key under `alias`, encrypted with the PIN.
pub(super) fn write_key(key: &SoftwareKey, alias: &str, pin: &str) -> Result<Vec<u8>, String> {
    let holder = holder_certificate(key).map_err(|error| error.to_string())?;
    let holder = StoreCertificate::from_der(&holder).map_err(|error| error.to_string())?;
    let chain = PrivateKeyChain::new(key.pkcs8_der(), alias.as_bytes(), [holder]);
    let mut store = KeyStore::new();
    // As Java writes it, so that either side finds it.
    store.add_entry(&alias.to_ascii_lowercase(), KeyStoreEntry::PrivateKeyChain(chain));
    store.writer(pin).write().map_err(|error| error.to_string())
}

/// The self-signed certificate `CN=KeyHolder` that PKCS#12 wants beside a key; the real ones are elsewhere.
fn holder_certificate(key: &SoftwareKey) -> Result<Vec<u8>, rcgen::Error> {
    let pair = rcgen::KeyPair::try_from(key.pkcs8_der())?;
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "KeyHolder");
    params.serial_number = Some(1.into());
    params.not_before = rcgen::date_time_ymd(HOLDER_YEARS.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(HOLDER_YEARS.1, 1, 1);
    Ok(params.self_signed(&pair)?.der().to_vec())
}
