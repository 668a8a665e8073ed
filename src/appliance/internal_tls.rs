//! The internal TLS key: what this server shows to information systems and services.

use std::path::Path;

use bytes::Bytes;
use p12_keystore::{Certificate as StoreCertificate, KeyStore, KeyStoreEntry, PrivateKeyChain};

use crate::crypto::SoftwareKey;
use crate::worker::tls::fixed_identity;
use crate::worker::{IdentitySource, TlsIdentity};

/// The identity and the DER of its certificate.
pub struct InternalTls {
    /// For TLS.
    pub identity: IdentitySource,
    /// The leaf.
    pub certificate: Vec<u8>,
}

/// Reads the PKCS#12 file; where there is none a key with a self-signed certificate is made and kept there, for the
/// certificate means nothing but itself: it is compared byte for byte. The error is a line of text.
pub fn load_or_make(file: &Path, password: &str, name: &str) -> Result<InternalTls, String> {
    let failed = |error: &dyn std::fmt::Display| format!("internal TLS key {}: {error}", file.display());
    match std::fs::read(file) {
        Ok(bytes) => read(&bytes, password).map_err(|error| failed(&error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let bytes = make(password, name).map_err(|error| failed(&error))?;
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
            }
            write_private(file, &bytes).map_err(|error| failed(&error))?;
            tracing::info!(file = %file.display(), "made an internal TLS key");
            read(&bytes, password).map_err(|error| failed(&error))
        }
        Err(error) => Err(failed(&error)),
    }
}

fn read(bytes: &[u8], password: &str) -> Result<InternalTls, String> {
    let store = KeyStore::from_pkcs12(bytes, password).map_err(|error| error.to_string())?;
    let mut chains = store.entries().filter_map(|(_, entry)| match entry {
        KeyStoreEntry::PrivateKeyChain(chain) => Some(chain),
        KeyStoreEntry::Certificate(_) => None,
    });
    let chain = chains.next().ok_or("it holds no private key")?;
    let certificates: Vec<Bytes> =
        chain.chain().iter().map(|certificate| Bytes::copy_from_slice(certificate.as_der())).collect();
    let certificate = certificates.first().ok_or("it holds no certificate")?.to_vec();
    let identity = TlsIdentity::from_der(&certificates, chain.key()).map_err(|error| error.to_string())?;
    Ok(InternalTls { identity: fixed_identity(identity), certificate })
}

fn make(password: &str, name: &str) -> Result<Vec<u8>, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let key = SoftwareKey::generate_rsa(3072).map_err(|error| text(&error))?;
    let pair = rcgen::KeyPair::try_from(key.pkcs8_der()).map_err(|error| text(&error))?;
    let mut parameters = rcgen::CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2100, 1, 1);
    let certificate = parameters.self_signed(&pair).map_err(|error| text(&error))?;
    let certificate = StoreCertificate::from_der(certificate.der()).map_err(|error| text(&error))?;
    let mut store = KeyStore::new();
    let chain = PrivateKeyChain::new(key.pkcs8_der(), b"internal", [certificate]);
    store.add_entry("internal", KeyStoreEntry::PrivateKeyChain(chain));
    store.writer(password).write().map_err(|error| text(&error))
}

fn write_private(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    opened.write_all(bytes)?;
    opened.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tls/internal.p12");
        let made = load_or_make(&file, "internal", "ss1").unwrap();
        let read = load_or_make(&file, "internal", "ss1").unwrap();
        assert_eq!(made.certificate, read.certificate);
        assert!(load_or_make(&file, "wrong", "ss1").is_err());
    }
}
