//! TLS on the wire.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;

use super::super::tls::{TlsVersions, cbc, fixed_identity};
use super::*;

const VERSIONS: [TlsVersions; 2] = [TlsVersions::Both, TlsVersions::Tls12];

pub(super) struct Made {
    der: Bytes,
    identity: TlsIdentity,
}

pub(super) fn make(name: &str, change: impl FnOnce(&mut rcgen::CertificateParams)) -> Made {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec![name.to_string()]).unwrap();
    change(&mut params);
    let der = Bytes::copy_from_slice(params.self_signed(&key).unwrap().der());
    let identity = TlsIdentity::from_der(std::slice::from_ref(&der), &key.serialize_der()).unwrap();
    Made { der, identity }
}

pub(super) fn source(made: Made) -> IdentitySource {
    fixed_identity(made.identity)
}

fn any() -> ClientAuth {
    let hints = Arc::new(vec![Bytes::from_static(b"\x30\x00")]);
    ClientAuth::Required { accept: Arc::new(|_| true), hints: Arc::new(move || Arc::clone(&hints)) }
}

pub(super) fn to(address: SocketAddr, client: &Arc<TlsClient>) -> Target {
    Target::tls(vec![address], "127.0.0.1", Arc::clone(client))
}

#[test]
fn both_sides_see_the_certificates_and_sessions_resume_with_them() {
    on_both(|kind| {
        for versions in VERSIONS {
            let server = make("server", |_| {});
            let server_der = server.der.clone();
            let asked = Arc::new(AtomicUsize::new(0));
            let client = make("client", |_| {});
            let (count, client_der) = (Arc::clone(&asked), client.der.clone());
            let accept = Arc::new(move |leaf: &[u8]| {
                count.fetch_add(1, Ordering::SeqCst);
                leaf == client_der
            });
            let ClientAuth::Required { hints, .. } = any() else { unreachable!() };
            let tls = TlsServer::new(source(server), ClientAuth::Required { accept, hints })
                .with_suites(versions, Vec::new());
            let (workers, address) = start(kind, Some(Arc::new(tls)), ServerTimeouts::default());
            as_worker(kind, async {
                let client = Arc::new(TlsClient::new(Some(source(client))));
                let pool = Pool::new(PoolOptions::default());
                for resumed in [false, true, true] {
                    let mut connection = pool.connect(&to(address, &client), PATIENCE).await.unwrap();
                    let (_, body) = get(&mut connection, "/peer").await.unwrap();
                    assert_eq!(body, format!("1 {resumed} SecurityServer").as_bytes(), "{versions:?}");
                    assert_eq!(connection.resumed(), resumed);
                    assert_eq!(*connection.peer_certificates(), *std::slice::from_ref(&server_der));
                }
            });
            // No verifier is called for a resumed session: callers judge the chain per message.
            assert_eq!(asked.load(Ordering::SeqCst), 1);
            stop(workers);
        }
    });
}

#[test]
fn a_server_can_be_held_to_what_official_servers_speak_and_to_full_handshakes() {
    on_both(|kind| {
        let tls = TlsServer::new(source(make("server", |_| {})), any())
            .with_suites(TlsVersions::AddedSuites, cbc::suites())
            .with_resumption(false);
        let (workers, address) = start(kind, Some(Arc::new(tls)), ServerTimeouts::default());
        as_worker(kind, async {
            let pool = Pool::new(PoolOptions::default());
            let identity = source(make("client", |_| {}));
            let modern = Arc::new(TlsClient::new(Some(Arc::clone(&identity))));
            assert!(pool.connect(&to(address, &modern), PATIENCE).await.is_err(), "nothing is in common");
            for versions in [TlsVersions::Both, TlsVersions::AddedSuites] {
                let client = TlsClient::new(Some(Arc::clone(&identity)));
                let client = Arc::new(client.with_suites(versions, cbc::suites()));
                for _ in 0..2 {
                    let mut connection = pool.connect(&to(address, &client), PATIENCE).await.unwrap();
                    let (_, body) = get(&mut connection, "/peer").await.unwrap();
                    assert_eq!(body, b"1 false SecurityServer", "{versions:?}");
                }
            }
        });
        stop(workers);
    });
}

#[test]
fn another_security_server_must_show_a_registered_certificate() {
    on_both(|kind| {
        for versions in VERSIONS {
            let ClientAuth::Required { hints, .. } = any() else { unreachable!() };
            let auth = ClientAuth::Required { accept: Arc::new(|_| false), hints };
            let tls = TlsServer::new(source(make("server", |_| {})), auth).with_suites(versions, Vec::new());
            let (workers, address) = start(kind, Some(Arc::new(tls)), ServerTimeouts::default());
            as_worker(kind, async {
                for identity in [None, Some(source(make("client", |_| {})))] {
                    let client = Arc::new(TlsClient::new(identity));
                    let pool = Pool::new(PoolOptions::default());
                    // With TLS 1.3 a client learns of the refusal only after its own handshake.
                    let error = match pool.connect(&to(address, &client), PATIENCE).await {
                        Ok(mut connection) => get(&mut connection, "/peer").await.map(|_| ()).unwrap_err(),
                        Err(error) => error,
                    };
                    assert!(matches!(error, HttpError::Tls(_) | HttpError::Io(_)), "{error}");
                }
            });
            stop(workers);
        }
    });
}

#[test]
fn an_information_system_may_show_any_certificate_or_none() {
    on_both(|kind| {
        for versions in VERSIONS {
            let tls = TlsServer::new(source(make("server", |_| {})), ClientAuth::Wanted)
                .with_suites(versions, Vec::new());
            let (workers, address) = start(kind, Some(Arc::new(tls)), ServerTimeouts::default());
            as_worker(kind, async {
                let expired = make("expired", |params| {
                    params.not_before = rcgen::date_time_ymd(2001, 1, 1);
                    params.not_after = rcgen::date_time_ymd(2002, 1, 1);
                });
                let odd = make("odd", |params| {
                    let mut extension =
                        rcgen::CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![0x05, 0x00]);
                    extension.set_criticality(true);
                    params.custom_extensions = vec![extension];
                });
                for (identity, certificates) in
                    [(None, 0), (Some(source(expired)), 1), (Some(source(odd)), 1)]
                {
                    let client = Arc::new(TlsClient::new(identity));
                    let pool = Pool::new(PoolOptions::default());
                    let mut connection = pool.connect(&to(address, &client), PATIENCE).await.unwrap();
                    let (_, body) = get(&mut connection, "/peer").await.unwrap();
                    assert_eq!(body, format!("{certificates} false SecurityServer").as_bytes());
                }
            });
            stop(workers);
        }
    });
}

#[test]
fn a_peer_without_the_key_of_its_certificate_is_refused() {
    on_both(|kind| {
        for versions in VERSIONS {
            // The certificate of one, the key of another.
            let key = rcgen::KeyPair::generate().unwrap().serialize_der();
            let thief = TlsIdentity::from_der(&[make("honest", |_| {}).der], &key).unwrap();
            let tls = TlsServer::new(source(make("server", |_| {})), ClientAuth::Wanted)
                .with_suites(versions, Vec::new());
            let (workers, address) = start(kind, Some(Arc::new(tls)), ServerTimeouts::default());
            let thief_server = TlsIdentity::from_der(&[make("honest", |_| {}).der], &key).unwrap();
            let tls = TlsServer::new(fixed_identity(thief_server), ClientAuth::None)
                .with_suites(versions, Vec::new());
            let (thief_workers, thief_address) = start(kind, Some(Arc::new(tls)), ServerTimeouts::default());
            as_worker(kind, async {
                let pool = Pool::new(PoolOptions::default());
                let client = Arc::new(TlsClient::new(Some(fixed_identity(thief))));
                let refused = match pool.connect(&to(address, &client), PATIENCE).await {
                    Ok(mut connection) => get(&mut connection, "/peer").await.is_err(),
                    Err(_) => true,
                };
                assert!(refused);
                let client = Arc::new(TlsClient::new(None));
                let refused = pool.connect(&to(thief_address, &client), PATIENCE).await.map(|_| ());
                assert!(matches!(refused, Err(HttpError::Tls(_))), "{refused:?}");
            });
            stop(workers);
            stop(thief_workers);
        }
    });
}

#[test]
fn a_client_may_judge_the_server() {
    on_both(|kind| {
        let server = make("server", |_| {});
        let known = server.der.clone();
        let tls = TlsServer::new(source(server), ClientAuth::None);
        let (workers, address) = start(kind, Some(Arc::new(tls)), ServerTimeouts::default());
        as_worker(kind, async {
            let pool = Pool::new(PoolOptions::default());
            for (verdict, expected) in [(true, true), (false, false)] {
                let known = known.clone();
                let accept = Arc::new(move |leaf: &[u8]| verdict && leaf == known);
                let client = Arc::new(TlsClient::new(None).with_accept(accept));
                assert_eq!(pool.connect(&to(address, &client), PATIENCE).await.is_ok(), expected);
            }
        });
        stop(workers);
    });
}

#[test]
fn trap_transport_02_the_chain_goes_out_as_given() {
    on_both(|kind| {
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(vec!["leaf".into()]).unwrap().self_signed(&key).unwrap();
        let chain = vec![Bytes::copy_from_slice(leaf.der()), make("intermediate", |_| {}).der];
        let identity = TlsIdentity::from_der(&chain, &key.serialize_der()).unwrap();
        let tls = TlsServer::new(fixed_identity(identity), ClientAuth::None);
        let (workers, address) = start(kind, Some(Arc::new(tls)), ServerTimeouts::default());
        as_worker(kind, async {
            let pool = Pool::new(PoolOptions::default());
            let client = Arc::new(TlsClient::new(None));
            let connection = pool.connect(&to(address, &client), PATIENCE).await.unwrap();
            assert_eq!(*connection.peer_certificates(), *chain);
        });
        stop(workers);
    });
}

#[test]
fn a_new_key_counts_from_the_next_handshake_on() {
    on_both(|kind| {
        let current = Arc::new(ArcSwapOption::from_pointee(make("first", |_| {}).identity));
        let swap = Arc::clone(&current);
        let tls = TlsServer::new(Arc::new(move || swap.load_full()), any());
        let (workers, address) = start(kind, Some(Arc::new(tls)), ServerTimeouts::default());
        as_worker(kind, async {
            let own = Arc::new(ArcSwapOption::from_pointee(make("client", |_| {}).identity));
            let swap = Arc::clone(&own);
            let client = Arc::new(TlsClient::new(Some(Arc::new(move || swap.load_full()))));
            let pool = Pool::new(PoolOptions::default());
            let mut connection = pool.acquire(&to(address, &client), PATIENCE).await.unwrap();
            get(&mut connection, "/peer").await.unwrap();
            connection.release();

            let second = make("second", |_| {});
            let second_der = second.der.clone();
            current.store(Some(Arc::new(second.identity)));
            let mut connection = pool.connect(&to(address, &client), PATIENCE).await.unwrap();
            get(&mut connection, "/peer").await.unwrap();
            assert!(!connection.resumed());
            assert_eq!(*connection.peer_certificates(), [second_der]);
            connection.release();

            // The client's own change ends its pooled connections and its sessions.
            own.store(Some(Arc::new(make("client two", |_| {}).identity)));
            let mut connection = pool.acquire(&to(address, &client), PATIENCE).await.unwrap();
            get(&mut connection, "/peer").await.unwrap();
            assert!(!connection.reused() && !connection.resumed());

            own.store(None);
            let error = pool.acquire(&to(address, &client), PATIENCE).await.map(|_| ()).unwrap_err();
            assert!(matches!(error, HttpError::Tls(crate::worker::tls::TlsError::NoIdentity)), "{error}");
        });
        stop(workers);
    });
}

#[test]
fn ten_megabytes_go_both_ways_under_tls_and_the_connection_is_pooled() {
    on_both(|kind| {
        for versions in VERSIONS {
            let tls = TlsServer::new(source(make("server", |_| {})), any()).with_suites(versions, Vec::new());
            let (workers, address) = start(kind, Some(Arc::new(tls)), ServerTimeouts::default());
            let body: Vec<u8> = (0..10_000_000u32).map(|i| (i % 253) as u8).collect();
            as_worker(kind, async {
                let client = Arc::new(TlsClient::new(Some(source(make("client", |_| {})))));
                let pool = Pool::new(PoolOptions::default());
                for reused in [false, true] {
                    let mut connection = pool.acquire(&to(address, &client), PATIENCE).await.unwrap();
                    assert_eq!(connection.reused(), reused);
                    let chunked = BodyFraming::Chunked;
                    let (_, answer) = exchange(&mut connection, "POST", "/", chunked, &body).await.unwrap();
                    assert!(answer == body);
                    connection.release();
                }
            });
            stop(workers);
        }
    });
}

/// A blocking TLS server of rustls's own that answers once, with or without close_notify.
fn rustls_server(close_notify: bool) -> Box<dyn FnOnce(TcpStream) + Send> {
    Box::new(move |mut stream| {
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = rcgen::CertificateParams::new(vec!["s".into()]).unwrap().self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.serialize_der().try_into().unwrap())
            .unwrap();
        let mut session = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let mut tls = rustls::Stream::new(&mut session, &mut stream);
        read_until(&mut tls, "\r\n\r\n");
        tls.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwhole").unwrap();
        if close_notify {
            tls.conn.send_close_notify();
        }
        tls.flush().unwrap();
    })
}

#[test]
fn trap_transport_32_a_body_until_close_needs_close_notify() {
    on_both(|kind| {
        let (address, server) = scripted(vec![rustls_server(true), rustls_server(false)]);
        as_worker(kind, async {
            let client = Arc::new(TlsClient::new(None));
            let pool = Pool::new(PoolOptions::default());
            let mut connection = pool.connect(&to(address, &client), PATIENCE).await.unwrap();
            assert_eq!(get(&mut connection, "/").await.unwrap().1, b"whole");
            let mut connection = pool.connect(&to(address, &client), PATIENCE).await.unwrap();
            let error = get(&mut connection, "/").await.unwrap_err();
            assert!(matches!(error, HttpError::Truncated), "{error}");
        });
        server.join().unwrap();
    });
}

#[test]
fn trap_transport_32_both_endings_are_sent_and_understood() {
    on_both(|kind| {
        let tls = TlsServer::new(source(make("server", |_| {})), ClientAuth::Wanted);
        let (workers, address) = start(kind, Some(Arc::new(tls)), ServerTimeouts::default());
        as_worker(kind, async {
            let client = Arc::new(TlsClient::new(None));
            let pool = Pool::new(PoolOptions::default());
            for (target, closes) in [("/close", true), ("/stream", false)] {
                let mut connection = pool.connect(&to(address, &client), PATIENCE).await.unwrap();
                let length = BodyFraming::Length(5);
                let (head, body) = exchange(&mut connection, "POST", target, length, b"hello").await.unwrap();
                assert_eq!(body, b"hello");
                assert_eq!(head.header("connection").is_some(), closes);
                connection.release();
                assert_eq!(pool.idle(), usize::from(!closes));
            }
            let mut connection = pool.connect(&to(address, &client), PATIENCE).await.unwrap();
            assert!(get(&mut connection, "/torn").await.is_err());
        });
        stop(workers);
    });
}

#[test]
fn trap_transport_01_more_suites_come_after_the_built_in_ones() {
    let builtin = rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES;
    let provider = crate::worker::tls::crypto_provider(&builtin[..1]);
    assert_eq!(provider.cipher_suites.last().unwrap().suite(), builtin[0].suite());
    assert!(provider.cipher_suites.len() > 1);
}

#[derive(Debug, Default)]
struct SeenHints(Mutex<Vec<Vec<u8>>>);

impl rustls::client::ResolvesClientCert for SeenHints {
    fn resolve(
        &self,
        hints: &[&[u8]],
        _: &[rustls::SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        *self.0.lock().unwrap() = hints.iter().map(|hint| hint.to_vec()).collect();
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[test]
fn the_certification_authorities_of_the_moment_are_hinted_at() {
    on_both(|kind| {
        let names =
            |names: &[&'static [u8]]| Arc::new(names.iter().map(|&n| Bytes::from_static(n)).collect());
        let one: Arc<Vec<Bytes>> = names(&[b"\x30\x02\x31\x00"]);
        let two: Arc<Vec<Bytes>> = names(&[b"\x30\x02\x31\x00", b"\x30\x00"]);
        let current = Arc::new(arc_swap::ArcSwap::new(Arc::clone(&one)));
        let swap = Arc::clone(&current);
        let auth =
            ClientAuth::Required { accept: Arc::new(|_| true), hints: Arc::new(move || swap.load_full()) };
        let server = make("server", |_| {});
        let mut roots = rustls::RootCertStore::empty();
        roots.add(server.der.to_vec().into()).unwrap();
        let tls = TlsServer::new(source(server), auth);
        let (workers, address) = start(kind, Some(Arc::new(tls)), ServerTimeouts::default());
        for (version, expected) in [(&rustls::version::TLS12, &one), (&rustls::version::TLS13, &two)] {
            current.store(Arc::clone(expected));
            let seen = Arc::new(SeenHints::default());
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let config = rustls::ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(&[version])
                .unwrap()
                .with_root_certificates(roots.clone())
                .with_client_cert_resolver(Arc::clone(&seen) as _);
            let mut session =
                rustls::ClientConnection::new(Arc::new(config), "server".try_into().unwrap()).unwrap();
            let mut stream = connect(address);
            // Without a certificate the handshake fails in the end; the hints have come before.
            let _ = rustls::Stream::new(&mut session, &mut stream).read(&mut [0]);
            assert_eq!(*seen.0.lock().unwrap(), expected.iter().map(|n| n.to_vec()).collect::<Vec<_>>());
        }
        stop(workers);
    });
}
