//! The software token of an official signer, read only: `keyconf.xml` and `softtoken/*.p12` (`trust.md` 6.3, 6.4).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::pkcs12;
use super::token::{CertificateStatus, KeyPurpose, Token, TokenCertificate, TokenError, TokenKey};
use crate::crypto::{Certificate, SoftwareKey};
use crate::limits::TOKEN_FILE_BYTES_MAX;
use crate::message::MemberId;
use crate::xml::{Document, Limits, Node};

const XROAD: &str = "http://x-road.eu/xsd/xroad.xsd";
const IDENTIFIERS: &str = "http://x-road.eu/xsd/identifiers";
const SOFTWARE_DEVICE: &str = "softToken";

/// A key as keyconf.xml lists it, without its private half.
#[derive(Debug, Clone)]
pub struct ListedKey {
    /// `keyId`, the name of its PKCS#12 file.
    pub id: String,
    /// `usage`.
    pub purpose: Option<KeyPurpose>,
    /// `cert` elements, without the ones whose contents are no certificate.
    pub certificates: Vec<TokenCertificate>,
}

/// The software token beside a keyconf.xml.
#[derive(Debug, Clone)]
pub struct OfficialToken {
    keyconf: PathBuf,
    pin: String,
}

impl OfficialToken {
    /// `keyconf` is the path of keyconf.xml; the PKCS#12 files are in `softtoken` beside it.
    pub fn new(keyconf: &Path, pin: &str) -> Self {
        Self { keyconf: keyconf.to_owned(), pin: pin.to_owned() }
    }
}

impl Token for OfficialToken {
    fn name(&self) -> String {
        format!("software token of {}", self.keyconf.display())
    }

    fn keys(&self) -> Result<Vec<TokenKey>, TokenError> {
        let malformed = |reason| TokenError::Malformed { path: self.keyconf.clone(), reason };
        let listed = parse_keyconf(&pkcs12::read_file(&self.keyconf)?).map_err(malformed)?;
        let directory = self.keyconf.with_file_name("softtoken");
        let mut keys = Vec::new();
        for listed in listed {
            let path = directory.join(format!("{}.p12", listed.id));
            let pkcs8 = pkcs12::read_key(&path, &listed.id, &self.pin)?;
            let key = SoftwareKey::from_pkcs8_der(&pkcs8)?;
            keys.push(TokenKey {
                id: listed.id,
                purpose: listed.purpose,
                pkcs8: Some(key.pkcs8_der().into()),
                key: Arc::new(key),
                certificates: listed.certificates,
                batch_signing: true,
            });
        }
        Ok(keys)
    }
}

/// The keys of the software tokens in a keyconf.xml. Official servers do not validate the file; neither is
/// it here: what is not understood is passed over.
pub fn parse_keyconf(bytes: &[u8]) -> Result<Vec<ListedKey>, String> {
    let limits = Limits::bytes(TOKEN_FILE_BYTES_MAX as usize);
    let document = Document::parse(bytes, &limits).map_err(|error| error.to_string())?;
    let root = document.root();
    if !root.is(XROAD, "keyConf") {
        return Err("its root element is not keyConf".into());
    }
    let devices = named(root, "device").filter(|device| text(*device, "deviceType") == SOFTWARE_DEVICE);
    // A key without id has not been made yet.
    let keys = devices.flat_map(|device| named(device, "key")).filter(|key| !text(*key, "keyId").is_empty());
    keys.map(listed_key).collect()
}

fn listed_key(key: Node<'_>) -> Result<ListedKey, String> {
    let id = text(key, "keyId");
    // The id becomes part of a path.
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(format!("{id:?} is not a key id"));
    }
    let purpose = match key.attribute("usage") {
        Some("SIGNING") => Some(KeyPurpose::Signing),
        Some("AUTHENTICATION") => Some(KeyPurpose::Authentication),
        _ => None,
    };
    let certificates = named(key, "cert").filter_map(|cert| certificate(cert, &id)).collect();
    Ok(ListedKey { id, purpose, certificates })
}

fn certificate(cert: Node<'_>, key_id: &str) -> Option<TokenCertificate> {
    let contents: Vec<u8> =
        text(cert, "contents").bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let Some(certificate) = STANDARD.decode(contents).ok().and_then(|der| Certificate::from_der(&der).ok())
    else {
        tracing::warn!(key_id, "a certificate in keyconf.xml cannot be read");
        return None;
    };
    let active = cert.attribute("active").is_none_or(|active| matches!(active.trim(), "true" | "1"));
    let member = named(cert, "memberId").next().and_then(member_id);
    let status = CertificateStatus::from_words(&text(cert, "status"));
    Some(TokenCertificate { certificate, member, active, status })
}

/// The member of an identifier; a subsystem stands for its member.
fn member_id(identifier: Node<'_>) -> Option<MemberId> {
    let field = |name| identifier.child(IDENTIFIERS, name).map(|node| node.text().trim().to_owned());
    MemberId::new(&field("xRoadInstance")?, &field("memberClass")?, &field("memberCode")?).ok()
}

fn named<'d>(parent: Node<'d>, name: &'static str) -> impl Iterator<Item = Node<'d>> {
    parent.elements().filter(move |node| node.local() == name)
}

fn text(parent: Node<'_>, name: &'static str) -> String {
    named(parent, name).next().map(|node| node.text().trim().to_owned()).unwrap_or_default()
}
