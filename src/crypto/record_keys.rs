//! Keys under which messages are kept, and the two ways in which they are encrypted: that of the official message log's
//! database (`signature.md` 7.3), and that of Hermod's own log, in which no two records share a key.
//!
//! Both are AES in counter mode and say nothing about integrity: what is encrypted is signed.

use std::collections::BTreeMap;

use aws_lc_rs::cipher::{AES_128, AES_256, Algorithm, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hkdf;
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroizing;

/// Length of what tells a record's key from that of others, in bytes.
pub const RECORD_NONCE_BYTES: usize = 16;
const BLOCK_BYTES: u64 = 16;
const INFO: &[u8] = b"hermod message record";

/// Named secrets, from a file of lines `NAME = SECRET`. All can be read with, one is written with.
pub struct RecordKeys {
    secrets: BTreeMap<String, Zeroizing<String>>,
    current: Option<String>,
}

impl std::fmt::Debug for RecordKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.secrets.keys().collect();
        f.debug_struct("RecordKeys").field("names", &names).field("current", &self.current).finish()
    }
}

impl RecordKeys {
    /// Reads the lines. `current` names the key for new records; none: they are not encrypted.
    ///
    /// # Errors
    /// A line of text: which line is none, or the key is missing.
    pub fn parse(text: &str, current: Option<&str>) -> Result<Self, String> {
        let mut secrets = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, secret) = line.split_once('=').ok_or(format!("line {number} is not NAME = SECRET"))?;
            let (name, secret) = (name.trim(), secret.trim());
            if name.is_empty() || name.len() > 255 || secret.is_empty() {
                return Err(format!("line {number} has no name, one of more than 255 bytes, or no secret"));
            }
            if secrets.insert(name.to_owned(), Zeroizing::new(secret.to_owned())).is_some() {
                return Err(format!("line {number}: there is another key {name}"));
            }
        }
        if let Some(current) = current.filter(|current| !secrets.contains_key(*current)) {
            return Err(format!("there is no key {current}"));
        }
        Ok(Self { secrets, current: current.map(str::to_owned) })
    }

    /// The key for new records.
    pub fn current(&self) -> Option<&str> {
        self.current.as_deref()
    }

    /// Whether there is a key of this name.
    pub fn has(&self, name: &str) -> bool {
        self.secrets.contains_key(name)
    }

    /// What encrypts and decrypts one record of Hermod's log.
    pub fn record(&self, name: &str, nonce: &[u8; RECORD_NONCE_BYTES]) -> Option<RecordCipher> {
        let okm = Zeroizing::new(derive::<32>(self.secrets.get(name)?, nonce, INFO)?);
        Some(RecordCipher(key(&AES_256, &*okm)?))
    }

    /// What encrypts records of the official database with the current key.
    pub fn official(&self) -> Option<OfficialCipher> {
        let name = self.current.clone()?;
        let okm = Zeroizing::new(derive::<32>(self.secrets.get(&name)?, name.as_bytes(), &[])?);
        let (message, attachment) = okm.split_at(16);
        let (message, attachment) = (key(&AES_128, message)?, key(&AES_128, attachment)?);
        Some(OfficialCipher { name, message, attachment })
    }
}

/// The parts of one record: 0 is the message, then come its attachments.
#[derive(Debug)]
pub struct RecordCipher(EncryptingKey);

impl RecordCipher {
    /// Encrypts or decrypts bytes of a part that begin at a multiple of 16 bytes from its beginning.
    ///
    /// # Errors
    /// When the library refuses, which it does for no input that is known.
    pub fn apply(&self, part: u32, offset: u64, bytes: &mut [u8]) -> Result<(), CipherError> {
        let mut counter = [0; 16];
        let (number, block) = counter.split_at_mut(8);
        number.copy_from_slice(&u64::from(part).to_be_bytes());
        block.copy_from_slice(&(offset / BLOCK_BYTES).to_be_bytes());
        apply(&self.0, counter, bytes)
    }
}

/// The library did not encrypt or decrypt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cipher failed")]
pub struct CipherError;

/// Records of the official database under one key.
#[derive(Debug)]
pub struct OfficialCipher {
    name: String,
    message: EncryptingKey,
    attachment: EncryptingKey,
}

impl OfficialCipher {
    /// `keyid`.
    pub fn key_id(&self) -> &str {
        &self.name
    }

    /// `ciphermessage`.
    ///
    /// # Errors
    /// As [`RecordCipher::apply`].
    pub fn message(&self, record: u64, message: &[u8]) -> Result<Vec<u8>, CipherError> {
        let mut counter = [0; 16];
        counter[..8].copy_from_slice(&record.to_be_bytes());
        let mut bytes = message.to_vec();
        apply(&self.message, counter, &mut bytes)?;
        Ok(bytes)
    }

    /// An attachment; the first has number 1.
    ///
    /// # Errors
    /// As [`RecordCipher::apply`].
    pub fn attachment(&self, record: u64, number: u32, attachment: &[u8]) -> Result<Vec<u8>, CipherError> {
        let mut counter = [0; 16];
        counter[..8].copy_from_slice(&record.to_be_bytes());
        counter[8..12].copy_from_slice(&number.saturating_sub(1).to_be_bytes());
        let mut bytes = attachment.to_vec();
        apply(&self.attachment, counter, &mut bytes)?;
        Ok(bytes)
    }
}

fn derive<const N: usize>(secret: &str, salt: &[u8], info: &[u8]) -> Option<[u8; N]> {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut okm = [0; N];
    let key = hkdf::Salt::new(hkdf::HKDF_SHA512, salt).extract(secret.as_bytes());
    key.expand(&[info], Length(N)).ok()?.fill(&mut okm).ok()?;
    Some(okm)
}

fn key(algorithm: &'static Algorithm, bytes: &[u8]) -> Option<EncryptingKey> {
    EncryptingKey::ctr(UnboundCipherKey::new(algorithm, bytes).ok()?).ok()
}

/// Counter mode: encrypting and decrypting are the same.
fn apply(key: &EncryptingKey, counter: [u8; 16], bytes: &mut [u8]) -> Result<(), CipherError> {
    if bytes.is_empty() {
        return Ok(());
    }
    let context = EncryptionContext::Iv128(FixedLength::from(counter));
    key.less_safe_encrypt(bytes, context).map(drop).map_err(|_| CipherError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_piece_of_a_part_can_be_read_by_itself_and_no_two_records_share_a_key() {
        let keys = RecordKeys::parse("# keys\na = one\nb=two\n", Some("b")).unwrap();
        let plain: Vec<u8> = (0..100).collect();
        let cipher = keys.record("b", &[1; 16]).unwrap();
        let mut sealed = plain.clone();
        cipher.apply(2, 0, &mut sealed).unwrap();
        let mut piece = sealed[32..60].to_vec();
        cipher.apply(2, 32, &mut piece).unwrap();
        assert_eq!(piece, plain[32..60]);
        for other in [keys.record("b", &[2; 16]), keys.record("a", &[1; 16])] {
            let mut opened = sealed.clone();
            other.unwrap().apply(2, 0, &mut opened).unwrap();
            assert_ne!(opened, plain);
        }
        let mut other_part = plain.clone();
        cipher.apply(1, 0, &mut other_part).unwrap();
        assert_ne!(other_part, sealed);
    }

    #[test]
    fn mistakes_in_a_file_of_keys_are_told_and_no_secret_is_shown() {
        let error = |text: &str, current| RecordKeys::parse(text, current).unwrap_err();
        assert_eq!(error("a = 1\nnonsense\n", None), "line 2 is not NAME = SECRET");
        assert_eq!(error("a = 1\na = 2\n", None), "line 2: there is another key a");
        assert_eq!(error("a = 1\n", Some("b")), "there is no key b");
        assert!(error("a =\n", None).contains("no secret"));
        let keys = RecordKeys::parse("a = secret-text\n", Some("a")).unwrap();
        assert!(!format!("{keys:?}").contains("secret-text"));
        assert!(keys.has("a") && !keys.has("b"));
    }
}
