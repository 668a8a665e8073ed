//! Two sessions of our own, in memory.

use super::*;

#[test]
fn every_size_goes_both_ways_with_rsa_and_ec_certificates() {
    let sizes = (1..=300).chain([1023, 1024, 1025, 16_336, 16_383, 16_384, 16_385, 32_768, 1 << 20]);
    let sizes: Vec<usize> = sizes.collect();
    for (kind, suite) in KINDS {
        let (mut client, mut server) = connected(kind);
        assert_eq!((client.description(), server.description()), (suite.into(), suite.into()));
        assert_eq!((client.peer_certificates().len(), server.peer_certificates().len()), (1, 1));
        for &size in &sizes {
            let message: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            client.write(&message).unwrap();
            assert!(pass(&mut client, &mut server).unwrap() == message, "{size}");
            server.write(&message).unwrap();
            assert!(pass(&mut server, &mut client).unwrap() == message, "{size}");
        }
        client.close();
        let (mut wire, mut plaintext) = (Vec::new(), BytesMut::new());
        client.ciphertext(&mut wire);
        assert!(server.feed(BytesMut::from(&wire[..]), &mut plaintext).unwrap().closed);
    }
}

#[test]
fn trap_tls_10_the_first_flight_is_one_small_packet() {
    let client = TlsClient::new(Some(identity(&rcgen::PKCS_RSA_SHA256)));
    let client = client.with_suites(TlsVersions::Both, suites());
    let mut wire = Vec::new();
    client.session("127.0.0.1").unwrap().ciphertext(&mut wire);
    assert!(wire.len() < 600, "{}", wire.len());
}

#[test]
fn a_handshake_that_never_becomes_whole_takes_bounded_memory() {
    let server = TlsServer::new(identity(&rcgen::PKCS_ECDSA_P256_SHA256), required());
    let mut server = server.session().unwrap();
    // A ClientHello that says it has 65,000 bytes, in records of one byte each.
    let hello = [1, 0, 0xfd, 0xe8].into_iter().chain(std::iter::repeat(0));
    let fed = hello.take(65_000).position(|byte| {
        let record = [22, 3, 1, 0, 1, byte];
        server.feed(BytesMut::from(&record[..]), &mut BytesMut::new()).is_err()
    });
    assert!(fed.is_some_and(|records| records <= 0xffff / 6 + 1), "{fed:?}");
    assert!(server.feed(BytesMut::from(&[0][..]), &mut BytesMut::new()).is_err(), "it has ended");
}

#[test]
fn a_record_has_the_length_that_the_padding_rule_says() {
    let (mut client, mut server) = connected(&rcgen::PKCS_ECDSA_P256_SHA256);
    for length in (1..=200).chain([10_000, 16_384]) {
        client.write(&vec![7; length]).unwrap();
        let mut wire = Vec::new();
        client.ciphertext(&mut wire);
        assert_eq!(wire.len(), 5 + 16 + 16 * ((length + 48) / 16) + 16);
        server.feed(BytesMut::from(&wire[..]), &mut BytesMut::new()).unwrap();
    }
}

#[test]
fn trap_transport_01_anything_better_is_taken_first_whatever_the_client_prefers() {
    use rustls::crypto::aws_lc_rs::cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 as GCM;
    let kind = &rcgen::PKCS_RSA_SHA256;
    let server = TlsServer::new(identity(kind), required()).with_suites(TlsVersions::Both, suites());
    let own = identity(kind);
    let tls13 = rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384;
    let cases = [
        (vec![GCM], "TLSv1_2 TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
        (vec![GCM, tls13], "TLSv1_3 TLS13_AES_256_GCM_SHA384"),
        (vec![], "TLSv1_2 TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384"),
    ];
    for (better, expected) in cases {
        let config = Arc::new(client_config([suites(), better].concat(), &own));
        let (mut client, mut server) = (session(&config), server.session().unwrap());
        shake_hands(&mut client, &mut server).unwrap();
        assert_eq!(client.description(), expected);
    }
    // Our own client and server together.
    let client = TlsClient::new(Some(own)).with_suites(TlsVersions::Both, suites());
    let (mut client, mut server) = (client.session("127.0.0.1").unwrap(), server.session().unwrap());
    shake_hands(&mut client, &mut server).unwrap();
    assert_eq!(client.description(), "TLSv1_3 TLS13_AES_256_GCM_SHA384");
}

#[test]
fn trap_transport_01_the_suites_come_last_and_only_when_asked_for() {
    let numbers = |suites: &[rustls::SupportedCipherSuite]| {
        let provider = crate::worker::tls::crypto_provider(suites);
        provider.cipher_suites.iter().map(|suite| u16::from(suite.suite())).collect::<Vec<_>>()
    };
    assert!(numbers(&suites()).ends_with(&[0xC028, 0xC024]));
    let without = numbers(&[]);
    assert!(!without.contains(&0xC028) && !without.contains(&0xC024));
    // 0x006B is left out on purpose: every official default list has an ECDHE suite too.
    assert!(!numbers(&suites()).contains(&0x006B));
}

#[test]
fn trap_trust_01_servers_with_the_official_defaults_are_reached_in_the_first_attempt() {
    // The other end knows TLS 1.2 and the two suites alone; ours offers everything in one ClientHello.
    for (kind, suite) in KINDS {
        let official = Arc::new(server_config(&identity(kind)));
        let client = TlsClient::new(Some(identity(kind))).with_suites(TlsVersions::Both, suites());
        for resumed in [false, true, true] {
            let mut server =
                RustlsSession::server(UnbufferedServerConnection::new(Arc::clone(&official)).unwrap());
            let mut client = client.session("127.0.0.1").unwrap();
            shake_hands(&mut client, &mut server).unwrap();
            assert_eq!((client.description(), client.resumed()), (suite.into(), resumed));
            assert_eq!((client.peer_certificates().len(), server.peer_certificates().len()), (1, 1));
        }
    }
}

#[test]
fn a_session_resumes_by_ticket_and_by_session_id() {
    use rustls::client::{Resumption, Tls12Resumption};
    for (kind, suite) in KINDS {
        for way in [Tls12Resumption::SessionIdOrTickets, Tls12Resumption::SessionIdOnly] {
            let server = TlsServer::new(identity(kind), required()).with_suites(TlsVersions::Both, suites());
            let mut config = client_config(suites(), &identity(kind));
            config.resumption = Resumption::in_memory_sessions(4).tls12_resumption(way);
            let config = Arc::new(config);
            for resumed in [false, true, true] {
                let (mut client, mut server) = (session(&config), server.session().unwrap());
                shake_hands(&mut client, &mut server).unwrap();
                assert_eq!((client.resumed(), server.resumed()), (resumed, resumed), "{way:?}");
                assert_eq!(server.description(), suite);
                assert_eq!(server.peer_certificates().len(), 1);
                client.write(b"resumed").unwrap();
                assert_eq!(&pass(&mut client, &mut server).unwrap()[..], b"resumed");
            }
        }
    }
}

#[test]
fn exporters_agree_whatever_the_label_and_the_length() {
    let kind = &rcgen::PKCS_ECDSA_P256_SHA256;
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
    let mut config = client_config(suites(), &identity(kind));
    config.require_ems = true;
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut config = server_config(&identity(kind));
    config.require_ems = true;
    let mut server = rustls::ServerConnection::new(Arc::new(config)).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let (mut there, mut back) = (Vec::new(), Vec::new());
        while client.wants_write() {
            client.write_tls(&mut there).unwrap();
        }
        server.read_tls(&mut &there[..]).unwrap();
        server.process_new_packets().unwrap();
        while server.wants_write() {
            server.write_tls(&mut back).unwrap();
        }
        client.read_tls(&mut &back[..]).unwrap();
        client.process_new_packets().unwrap();
    }
    for label in [b"EXPORTER-test".as_slice(), b"key expansion"] {
        for length in [32, 159, 160, 161] {
            let ours = client.export_keying_material(vec![0; length], label, None).unwrap();
            assert_eq!(ours, server.export_keying_material(vec![0; length], label, None).unwrap());
        }
    }
}
