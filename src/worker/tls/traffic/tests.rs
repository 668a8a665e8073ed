//! Pairs of sessions in memory, records made by hand, and rustls itself at the other end.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;

use super::*;
use crate::worker::tls::{
    ClientAuth, IdentitySource, RustlsSession, TlsClient, TlsError, TlsIdentity, TlsServer, TlsSession,
    fixed_identity,
};

fn identity() -> IdentitySource {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["peer".into()]).unwrap().self_signed(&key).unwrap();
    let chain = [Bytes::copy_from_slice(certificate.der())];
    fixed_identity(TlsIdentity::from_der(&chain, &key.serialize_der()).unwrap())
}

fn server() -> TlsServer {
    TlsServer::new(identity(), ClientAuth::Wanted)
}

fn pass(from: &mut RustlsSession, to: &mut RustlsSession) -> Result<(BytesMut, bool), TlsError> {
    let (mut wire, mut plaintext) = (Vec::new(), BytesMut::new());
    from.ciphertext(&mut wire);
    let progress = to.feed(BytesMut::from(&wire[..]), &mut plaintext)?;
    Ok((plaintext, progress.closed))
}

fn shake_hands(client: &mut RustlsSession, server: &mut RustlsSession) {
    for _ in 0..4 {
        pass(client, server).unwrap();
        pass(server, client).unwrap();
    }
    assert!(client.traffic().is_some() && server.traffic().is_some(), "{}", client.description());
}

fn connected() -> (RustlsSession, RustlsSession) {
    let client = TlsClient::new(Some(identity()));
    let (mut client, mut server) = (client.session("127.0.0.1").unwrap(), server().session().unwrap());
    shake_hands(&mut client, &mut server);
    (client, server)
}

/// A record of this inner content, its type and whatever else included.
fn record(from: &mut RustlsSession, inner: &[u8]) -> Vec<u8> {
    let keys = &mut from.traffic().unwrap().transmit;
    let mut out = Vec::new();
    let start = begin_record(inner.len() - 1, &mut out);
    out.extend_from_slice(inner);
    let (header, inner) = out[start..].split_first_chunk_mut::<HEADER_BYTES>().unwrap();
    let nonce = keys.next_nonce();
    let tag = keys.key.seal_in_place_separate_tag(nonce, Aad::from(*header), inner).unwrap();
    out.extend_from_slice(tag.as_ref());
    out
}

fn feed(to: &mut RustlsSession, wire: &[u8]) -> Result<(BytesMut, bool), Error> {
    let mut plaintext = BytesMut::new();
    match to.feed(BytesMut::from(wire), &mut plaintext) {
        Ok(progress) => Ok((plaintext, progress.closed)),
        Err(TlsError::Protocol(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

#[test]
fn every_size_goes_both_ways_in_slices_and_in_pieces() {
    let (mut client, mut server) = connected();
    for size in (0..=40).chain([1023, 16_383, 16_384, 16_385, 40_000, 1 << 20]) {
        let message = bytes(size);
        for pieces in [1, 3, 1000] {
            let slices: Vec<Bytes> =
                message.chunks(size.div_ceil(pieces).max(1)).map(Bytes::copy_from_slice).collect();
            let (mut wire, mut plaintext) = (Vec::new(), BytesMut::new());
            client.write_slices(&slices, &mut wire).unwrap();
            assert_eq!(wire.len(), size + size.div_ceil(PLAINTEXT_BYTES_MAX) * 22);
            let mut received = BytesMut::from(&wire[..]);
            while !received.is_empty() {
                let piece = received.split_to(received.len().min(1 + wire.len() / pieces));
                server.feed(piece, &mut plaintext).unwrap();
            }
            assert!(plaintext == message, "{size} bytes in {pieces} pieces");
        }
        server.write(&message).unwrap();
        assert!(pass(&mut server, &mut client).unwrap().0 == message, "{size}");
    }
    client.close();
    assert!(pass(&mut client, &mut server).unwrap().1);
}

#[test]
fn one_record_is_handed_on_where_it_was_received() {
    let (mut client, mut server) = connected();
    let mut wire = Vec::new();
    client.write_slices(&[Bytes::from(bytes(5000))], &mut wire).unwrap();
    let (received, mut plaintext) = (BytesMut::from(&wire[..]), BytesMut::new());
    let place = received.as_ptr() as usize;
    server.feed(received, &mut plaintext).unwrap();
    assert_eq!(plaintext.as_ptr() as usize, place + HEADER_BYTES);
}

#[test]
fn the_session_still_says_what_the_handshake_found_and_resumes() {
    let (own, server) = (identity(), server());
    let client = TlsClient::new(Some(Arc::clone(&own)));
    for resumed in [false, true, true] {
        let (mut one, mut other) = (client.session("127.0.0.1").unwrap(), server.session().unwrap());
        shake_hands(&mut one, &mut other);
        assert_eq!((one.resumed(), other.resumed()), (resumed, resumed));
        assert_eq!(one.description(), "TLSv1_3 TLS13_AES_256_GCM_SHA384");
        assert_eq!((one.peer_certificates().len(), other.peer_certificates().len()), (1, 1));
    }
}

#[test]
fn padding_and_empty_records_are_taken_off() {
    let (mut client, mut server) = connected();
    let empty = record(&mut client, &[APPLICATION_DATA, 0, 0]);
    assert_eq!(feed(&mut server, &empty).unwrap(), (BytesMut::new(), false));
    let mut wire = record(&mut client, &[b'a', 0, b'b', APPLICATION_DATA, 0, 0, 0]);
    wire.extend(record(&mut client, &[APPLICATION_DATA]));
    wire.extend(record(&mut client, &[b'c', 0, APPLICATION_DATA]));
    assert_eq!(&feed(&mut server, &wire).unwrap().0[..], b"a\0bc\0");
}

#[test]
fn what_breaks_the_rules_of_records_ends_the_session_with_the_right_alert() {
    let inner = |kind: u8, length: usize| [bytes(length), vec![kind]].concat();
    let cases: [(&str, Vec<u8>, AlertDescription); 9] = [
        ("no type", vec![0; 20], AlertDescription::UnexpectedMessage),
        ("too long", inner(APPLICATION_DATA, PLAINTEXT_BYTES_MAX + 1), AlertDescription::RecordOverflow),
        (
            "far too long",
            inner(APPLICATION_DATA, PLAINTEXT_BYTES_MAX + 400),
            AlertDescription::RecordOverflow,
        ),
        ("unknown type", vec![1, 99], AlertDescription::UnexpectedMessage),
        ("change of cipher spec", vec![1, 20], AlertDescription::UnexpectedMessage),
        ("empty handshake", vec![HANDSHAKE], AlertDescription::UnexpectedMessage),
        ("another handshake", vec![1, 0, 0, 0, HANDSHAKE], AlertDescription::UnexpectedMessage),
        (
            "a ticket of a client",
            vec![NEW_SESSION_TICKET, 0, 0, 0, HANDSHAKE],
            AlertDescription::UnexpectedMessage,
        ),
        ("half an alert", vec![WARNING, ALERT], AlertDescription::DecodeError),
    ];
    for (what, inner, expected) in cases {
        let (mut client, mut server) = connected();
        let wire = record(&mut client, &inner);
        let error = feed(&mut server, &wire).expect_err(what);
        assert_eq!(feed(&mut server, &[]).unwrap_err(), error, "{what}: it stays so");
        let mut alert = Vec::new();
        assert!(server.write_slices(&[Bytes::from_static(b"more")], &mut alert).is_err(), "{what}");
        assert_eq!(feed(&mut client, &alert).unwrap_err(), Error::AlertReceived(expected), "{what}");
    }
}

#[test]
fn every_change_of_a_record_is_noticed_and_a_record_counts_once() {
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let (mut client, mut server) = connected();
        let mut wire = Vec::new();
        client.write_slices(&[Bytes::from(bytes(100))], &mut wire).unwrap();
        change(&mut wire);
        let (mut plaintext, received) = (BytesMut::new(), BytesMut::from(&wire[..]));
        let refused = server.feed(received, &mut plaintext).is_err();
        (refused, plaintext.len())
    };
    for at in 0..122 {
        for bit in [1, 0x80] {
            let (is_refused, seen) = refused(&|wire| wire[at] ^= bit);
            // A greater length is waited for.
            assert!(is_refused || matches!(at, 3 | 4), "byte {at}");
            assert_eq!(seen, 0, "byte {at}");
        }
    }
    assert_eq!(refused(&|wire| wire.extend_from_within(..)), (true, 100), "sent again");
    assert_eq!(refused(&|wire| wire.truncate(wire.len() - 1)), (false, 0), "not whole yet");
    let (mut client, mut server) = connected();
    let (first, second) = (record(&mut client, &[1, 23]), record(&mut client, &[2, 23]));
    assert_eq!(
        feed(&mut server, &[second, first].concat()).unwrap_err(),
        Error::DecryptError,
        "another order"
    );
}

#[test]
fn keys_change_whenever_one_side_wants_it() {
    let (mut client, mut server) = connected();
    for round in 0..100_u8 {
        for asked in [0, 1] {
            let mut wire = record(&mut client, &[KEY_UPDATE, 0, 0, 1, asked, HANDSHAKE]);
            let traffic = client.traffic().unwrap();
            traffic.transmit = traffic.schedule.next_transmit().unwrap();
            wire.extend(record(&mut client, &[round, APPLICATION_DATA]));
            assert_eq!(&feed(&mut server, &wire).unwrap().0[..], [round]);
            server.write(&[round]).unwrap();
            assert_eq!(&pass(&mut server, &mut client).unwrap().0[..], [round]);
        }
    }
}

#[test]
fn a_key_is_used_for_so_many_records_and_then_renewed() {
    let (mut client, mut server) = connected();
    client.traffic().unwrap().transmit.record = RECORDS_PER_KEY_MAX - 1;
    server.traffic().unwrap().receive.record = RECORDS_PER_KEY_MAX - 1;
    client.write(&bytes(3 * PLAINTEXT_BYTES_MAX)).unwrap();
    assert!(pass(&mut client, &mut server).unwrap().0 == bytes(3 * PLAINTEXT_BYTES_MAX));
    assert_eq!(client.traffic().unwrap().transmit.record, 2);
    assert_eq!(server.traffic().unwrap().receive.record, 2);
}

#[test]
fn key_updates_without_end_and_malformed_ones_are_refused() {
    let (mut client, mut server) = connected();
    let refused = (0..100).position(|_| {
        let wire = record(&mut client, &[KEY_UPDATE, 0, 0, 1, 0, HANDSHAKE]);
        let traffic = client.traffic().unwrap();
        traffic.transmit = traffic.schedule.next_transmit().unwrap();
        feed(&mut server, &wire).is_err()
    });
    assert_eq!(refused, Some(usize::from(KEY_UPDATES_MAX)));
    let malformed: [&[u8]; 4] = [
        &[KEY_UPDATE, 0, 0, 1, 2, HANDSHAKE],
        &[KEY_UPDATE, 0, 0, 0, HANDSHAKE],
        &[KEY_UPDATE, 0, 0, 2, 0, 0, HANDSHAKE],
        &[KEY_UPDATE, 0, 0, 1, 0, KEY_UPDATE, HANDSHAKE],
    ];
    for inner in malformed {
        let (mut client, mut server) = connected();
        let wire = record(&mut client, inner);
        assert!(feed(&mut server, &wire).is_err(), "{inner:?}");
    }
}

#[test]
fn a_message_in_many_records_is_joined_and_has_bounds() {
    let (mut client, mut server) = connected();
    for byte in [KEY_UPDATE, 0, 0, 1] {
        let wire = record(&mut client, &[byte, HANDSHAKE]);
        assert_eq!(feed(&mut server, &wire).unwrap(), (BytesMut::new(), false));
    }
    let wire = record(&mut client, &[b'x', APPLICATION_DATA]);
    assert!(feed(&mut server, &wire).is_err(), "nothing may come between its parts");
    let (mut client, mut server) = connected();
    let wire = record(&mut client, &[KEY_UPDATE, 1, 0, 0, HANDSHAKE]);
    assert!(feed(&mut server, &wire).is_err(), "longer than any message");
    for begins in [&[11][..], &[KEY_UPDATE, 0, 0, 2]] {
        let (mut client, mut server) = connected();
        let wire = record(&mut client, &[begins, &[HANDSHAKE]].concat());
        assert!(feed(&mut server, &wire).is_err(), "{begins:?}: nothing that could follow makes it good");
    }
    // A client takes tickets of any length up to the bound, in as many records as the server likes.
    let (mut client, mut server) = connected();
    let length = MESSAGE_BYTES_MAX;
    let wire = record(&mut server, &[NEW_SESSION_TICKET, 0, 0xff, 0xff, HANDSHAKE]);
    feed(&mut client, &wire).unwrap();
    for _ in 0..length / 1000 {
        let wire = record(&mut server, &[vec![0; 1000], vec![HANDSHAKE]].concat());
        feed(&mut client, &wire).unwrap();
    }
    let wire = record(&mut server, &[vec![0; length % 1000], vec![HANDSHAKE]].concat());
    assert!(feed(&mut client, &wire).is_err(), "whole, and no ticket");
}

#[test]
fn what_follows_the_end_of_the_peers_side_is_dropped() {
    let (mut client, mut server) = connected();
    client.write(b"last").unwrap();
    client.close();
    let mut wire = Vec::new();
    client.ciphertext(&mut wire);
    wire.extend_from_slice(b"garbage");
    let (plaintext, closed) = feed(&mut server, &wire).unwrap();
    assert_eq!((&plaintext[..], closed), (&b"last"[..], true));
    // The other side may still be written to.
    server.write(b"answer").unwrap();
    assert_eq!(&pass(&mut server, &mut client).unwrap().0[..], b"answer");
}

/// rustls's own records, tickets and key updates against ours.
#[test]
fn rustls_is_understood_and_understands() {
    let own = TlsClient::new(Some(identity()));
    let config = own.config_for_streams().unwrap();
    let server = server();
    for _ in 0..2 {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let mut theirs = rustls::ClientConnection::new(Arc::clone(&config), name).unwrap();
        let mut ours = server.session().unwrap();
        let mut plaintext = BytesMut::new();
        let exchange =
            |theirs: &mut rustls::ClientConnection, ours: &mut RustlsSession, plaintext: &mut BytesMut| {
                for _ in 0..4 {
                    let mut wire = Vec::new();
                    while theirs.wants_write() {
                        theirs.write_tls(&mut wire).unwrap();
                    }
                    ours.feed(BytesMut::from(&wire[..]), plaintext).unwrap();
                    let mut wire = Vec::new();
                    ours.ciphertext(&mut wire);
                    let mut left = &wire[..];
                    while !left.is_empty() {
                        theirs.read_tls(&mut left).unwrap();
                        theirs.process_new_packets().unwrap();
                    }
                }
            };
        exchange(&mut theirs, &mut ours, &mut plaintext);
        assert!(ours.traffic().is_some());
        for round in 0..3 {
            theirs.writer().write_all(&bytes(10_000)).unwrap();
            if round == 1 {
                theirs.refresh_traffic_keys().unwrap();
            }
            theirs.writer().write_all(&bytes(20_000)).unwrap();
            ours.write(&bytes(30_000)).unwrap();
            let mut received = Vec::new();
            for _ in 0..3 {
                exchange(&mut theirs, &mut ours, &mut plaintext);
                let _ = theirs.reader().read_to_end(&mut received);
            }
            assert!(received == bytes(30_000), "round {round}");
            assert!(plaintext.split() == [bytes(10_000), bytes(20_000)].concat(), "round {round}");
        }
        theirs.send_close_notify();
        let mut wire = Vec::new();
        theirs.write_tls(&mut wire).unwrap();
        assert!(feed(&mut ours, &wire).unwrap().1);
    }
}
