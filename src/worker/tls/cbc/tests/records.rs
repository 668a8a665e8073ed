//! Records built with plain AES-CBC and HMAC, without the code under test.

use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use rustls::crypto::cipher::{
    InboundOpaqueMessage, MessageDecrypter, MessageEncrypter, OutboundPlainMessage,
};
use rustls::{ContentType, Error, ProtocolVersion};

use super::super::context::{Context, Direction};
use super::super::record::{RecordDecrypter, RecordEncrypter};

const MAC_KEY: [u8; 48] = [0x4D; 48];
const KEY: [u8; 32] = [0x4B; 32];
const DATA: ContentType = ContentType::ApplicationData;

fn mac(sequence: u64, payload: &[u8]) -> Vec<u8> {
    let mut text = sequence.to_be_bytes().to_vec();
    text.extend([23, 3, 3]);
    text.extend((payload.len() as u16).to_be_bytes());
    text.extend(payload);
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA384, &MAC_KEY), &text).as_ref().to_vec()
}

/// IV and encrypted blocks of a text of whole blocks.
fn encrypt(mut text: Vec<u8>) -> Vec<u8> {
    let key = EncryptingKey::cbc(UnboundCipherKey::new(&AES_256, &KEY).unwrap()).unwrap();
    let iv = [0x49; 16];
    key.less_safe_encrypt(&mut text, EncryptionContext::Iv128(iv.into())).unwrap();
    [&iv[..], &text].concat()
}

/// A right record with `pad + 1` bytes of padding.
fn record(sequence: u64, payload: &[u8], pad: u8) -> Vec<u8> {
    let mut text = [payload, &mac(sequence, payload)].concat();
    text.extend(vec![pad; usize::from(pad) + 1]);
    encrypt(text)
}

// The payload length that makes a record with this padding whole blocks.
fn fitting(pad: u8, blocks: usize) -> usize {
    16 * blocks - (usize::from(pad) + 1) % 16
}

fn open(decrypter: &mut RecordDecrypter, sequence: u64, mut body: Vec<u8>) -> Result<Vec<u8>, Error> {
    let message = InboundOpaqueMessage::new(DATA, ProtocolVersion::TLSv1_2, &mut body);
    decrypter.decrypt(message, sequence).map(|plain| plain.payload.to_vec())
}

fn decrypter() -> RecordDecrypter {
    RecordDecrypter::new(&MAC_KEY, &KEY)
}

#[test]
fn every_padding_that_tls_permits_is_taken_off() {
    let mut decrypter = decrypter();
    for pad in 0..=255 {
        for blocks in [1, 2, 20] {
            let payload = vec![pad; fitting(pad, blocks)];
            let opened = open(&mut decrypter, 5, record(5, &payload, pad)).unwrap();
            assert_eq!(opened, payload, "{pad}");
        }
    }
    for pad in (15..=255).step_by(16) {
        assert_eq!(open(&mut decrypter, 6, record(6, b"", pad)).unwrap(), b"");
    }
}

#[test]
fn wrong_padding_and_wrong_macs_are_the_same_error_and_spoil_nothing() {
    let mut decrypter = decrypter();
    for pad in 0..=255u8 {
        let payload = vec![0xA5; fitting(pad, 3)];
        let right = [&payload[..], &mac(9, &payload)].concat();
        let padding = vec![pad; usize::from(pad) + 1];
        let whole = [&right[..], &padding].concat();
        let (start, end) = (right.len(), whole.len() - 1);
        // First, middle and last byte of the padding, one of the MAC, one of the payload.
        for at in [start, (start + end) / 2, end, start - 1, start - 48, 0] {
            let mut wrong = whole.clone();
            wrong[at] ^= 0x20;
            let result = open(&mut decrypter, 9, encrypt(wrong));
            assert!(matches!(result, Err(Error::DecryptError)), "{pad} {at}: {result:?}");
        }
        assert_eq!(open(&mut decrypter, 9, record(9, &payload, pad)).unwrap(), payload);
    }
}

#[test]
fn padding_longer_than_the_record_is_refused() {
    let mut decrypter = decrypter();
    let result = open(&mut decrypter, 0, encrypt(vec![255; 64]));
    assert!(matches!(result, Err(Error::DecryptError)));
    for length in (0..80).chain(81..96) {
        assert!(matches!(open(&mut decrypter, 0, vec![0; length]), Err(Error::DecryptError)), "{length}");
    }
}

#[test]
fn a_plaintext_over_the_limit_is_refused_as_such() {
    let mut decrypter = decrypter();
    assert_eq!(open(&mut decrypter, 0, record(0, &[1; 16_384], 15)).unwrap().len(), 16_384);
    let result = open(&mut decrypter, 0, record(0, &[1; 16_385], 14));
    assert!(matches!(result, Err(Error::PeerSentOversizedRecord)));
}

#[test]
fn what_is_sent_is_what_the_rfc_says_with_a_new_iv_each_time() {
    let mut encrypter = RecordEncrypter::new(&MAC_KEY, &KEY);
    let mut ivs = std::collections::HashSet::new();
    for sequence in 0..100u64 {
        let payload = vec![sequence as u8; 3 * sequence as usize];
        let message = OutboundPlainMessage {
            typ: DATA,
            version: ProtocolVersion::TLSv1_2,
            payload: (&payload[..]).into(),
        };
        let sealed = encrypter.encrypt(message, sequence).unwrap();
        let body = sealed.payload.as_ref().to_vec();
        assert_eq!(body.len(), encrypter.encrypted_payload_len(payload.len()));
        assert!(ivs.insert(body[..16].to_vec()));
        // The shortest padding, under the IV that was drawn.
        let key = EncryptingKey::cbc(UnboundCipherKey::new(&AES_256, &KEY).unwrap()).unwrap();
        let pad = 15 - (payload.len() % 16) as u8;
        let mut text = [&payload[..], &mac(sequence, &payload)].concat();
        text.extend(vec![pad; usize::from(pad) + 1]);
        let iv: [u8; 16] = body[..16].try_into().unwrap();
        key.less_safe_encrypt(&mut text, EncryptionContext::Iv128((&iv).into())).unwrap();
        assert!(text == body[16..], "{sequence}");
    }
}

#[test]
fn a_context_serves_one_direction_and_needs_whole_keys() {
    assert!(Context::new(&MAC_KEY[1..], &KEY, Direction::Open).is_none());
    assert!(Context::new(&MAC_KEY, &KEY[1..], Direction::Seal).is_none());
    let mut sealing = Context::new(&MAC_KEY, &KEY, Direction::Seal).unwrap();
    let mut opening = Context::new(&MAC_KEY, &KEY, Direction::Open).unwrap();
    let body = &mut record(0, b"fifteen bytes..", 0)[16..];
    assert!(sealing.open(&[0x49; 16], &[0; 11], body).is_none());
    assert!(opening.seal(&[0x49; 16], &[0; 11], body).is_none());
}

#[test]
fn one_copy_of_the_library_is_linked() {
    let lock = include_str!("../../../../../Cargo.lock");
    assert_eq!(lock.matches("name = \"aws-lc-sys\"").count(), 1);
}
