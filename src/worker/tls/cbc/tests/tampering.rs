//! Changes on the way: always the same error, always the same alert.

use rustls::{AlertDescription, Error};

use super::*;

const HEADER: usize = 5;

fn refuse(change: impl Fn(&mut Vec<u8>), what: &str) {
    for length in [1, 15, 16, 200, 16_000] {
        let (mut client, mut server) = connected(&rcgen::PKCS_ECDSA_P256_SHA256);
        client.write(&vec![b'x'; length]).unwrap();
        let mut wire = Vec::new();
        client.ciphertext(&mut wire);
        change(&mut wire);
        let mut plaintext = BytesMut::new();
        let error = server.feed(BytesMut::from(&wire[..]), &mut plaintext).unwrap_err();
        assert!(matches!(error, TlsError::Protocol(Error::DecryptError)), "{what}, {length}: {error}");
        assert!(plaintext.is_empty(), "{what}, {length}");
        // The alert is the only word of the refusal.
        let told = pass(&mut server, &mut client).unwrap_err();
        let alert = Error::AlertReceived(AlertDescription::BadRecordMac);
        assert!(matches!(&told, TlsError::Protocol(error) if *error == alert), "{what}, {length}: {told}");
    }
}

fn cut(wire: &mut Vec<u8>, bytes: usize) {
    wire.truncate(wire.len() - bytes);
    let body = ((wire.len() - HEADER) as u16).to_be_bytes();
    wire[3..HEADER].copy_from_slice(&body);
}

#[test]
fn every_change_of_a_record_is_a_decrypt_error() {
    for bit in [0x01, 0x80] {
        refuse(|wire| wire[HEADER] ^= bit, "first byte of the iv");
        refuse(|wire| wire[HEADER + 15] ^= bit, "last byte of the iv");
        refuse(|wire| wire[HEADER + 16] ^= bit, "first byte of the body");
        refuse(|wire| *wire.last_mut().unwrap() ^= bit, "last byte");
        for back in [16, 17, 32, 33, 48, 49, 64] {
            refuse(|wire| *wire.iter_mut().nth_back(back - 1).unwrap() ^= bit, "near the end");
        }
    }
    for bytes in [1, 15, 16, 17] {
        refuse(|wire| cut(wire, bytes), "shortened");
    }
    refuse(|wire| cut(wire, wire.len() - HEADER - 79), "shorter than any record");
    refuse(|wire| cut(wire, wire.len() - HEADER - 64), "whole blocks, but too few");
    refuse(|wire| wire[0] = 22, "another content type");
}

#[test]
fn a_record_counts_once_and_in_its_place() {
    let (mut client, mut server) = connected(&rcgen::PKCS_ECDSA_P256_SHA256);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    client.write(b"first").unwrap();
    client.ciphertext(&mut first);
    client.write(b"second").unwrap();
    client.ciphertext(&mut second);
    let mut plaintext = BytesMut::new();
    server.feed(BytesMut::from(&first[..]), &mut plaintext).unwrap();
    let error = server.feed(BytesMut::from(&first[..]), &mut plaintext).unwrap_err();
    assert!(matches!(error, TlsError::Protocol(Error::DecryptError)));
    assert_eq!(&plaintext[..], b"first");

    let (mut client, mut server) = connected(&rcgen::PKCS_ECDSA_P256_SHA256);
    client.write(b"first").unwrap();
    client.ciphertext(&mut Vec::new());
    client.write(b"second").unwrap();
    assert!(pass(&mut client, &mut server).is_err());
}
