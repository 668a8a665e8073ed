//! Records encrypted at rest: the message and its attachments, not what they are found by.

use aws_lc_rs::rand;
use bytes::Bytes;

use super::LogError;
use super::payload::MessagePayload;
use super::record::{Body, Record};
use crate::crypto::{CipherError, RECORD_NONCE_BYTES, RecordCipher, RecordKeys};

/// With what a record is encrypted.
pub(super) struct Sealing {
    pub key: String,
    pub nonce: [u8; RECORD_NONCE_BYTES],
    /// For the bodies that are in files: whoever copies them encrypts them.
    pub cipher: RecordCipher,
}

/// Encrypts what of a record is in memory, with the current key; `None` when there is none.
pub(super) fn seal(record: &mut Record, keys: &RecordKeys) -> Result<Option<Sealing>, String> {
    let Some(key) = keys.current() else { return Ok(None) };
    let mut nonce = [0; RECORD_NONCE_BYTES];
    rand::fill(&mut nonce).map_err(|_| "no randomness")?;
    let cipher = keys.record(key, &nonce).ok_or("the key of the message log cannot be used")?;
    let sealed = |part, bytes: &Bytes| apply(&cipher, part, bytes).map_err(|error| error.to_string());
    record.message = sealed(0, &record.message)?;
    for (part, body) in (1..).zip(&mut record.attachments) {
        if let Body::Bytes(bytes) = body {
            *bytes = sealed(part, bytes)?;
        }
    }
    Ok(Some(Sealing { key: key.to_owned(), nonce, cipher }))
}

/// Decrypts what was read.
pub(super) fn open(record: &mut MessagePayload, id: u64, keys: Option<&RecordKeys>) -> Result<(), LogError> {
    let Some((key, nonce)) = &record.head.encrypted else { return Ok(()) };
    let cipher = keys.and_then(|keys| keys.record(key, nonce));
    let cipher = cipher.ok_or_else(|| LogError::NoKey { id, key: key.clone() })?;
    let failed = |_: CipherError| LogError::Damaged { id, reason: "it cannot be decrypted" };
    record.message = apply(&cipher, 0, &record.message).map_err(failed)?;
    for (part, body) in (1..).zip(&mut record.attachments) {
        *body = apply(&cipher, part, body).map_err(failed)?;
    }
    Ok(())
}

fn apply(cipher: &RecordCipher, part: u32, bytes: &Bytes) -> Result<Bytes, CipherError> {
    let mut bytes = bytes.to_vec();
    cipher.apply(part, 0, &mut bytes)?;
    Ok(bytes.into())
}
