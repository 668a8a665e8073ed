//! What a message cannot do without, measured here and now: the sum is the floor under a server's CPU time.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use hermod::crypto::{EcdsaFormat, PublicKey, SigningKey, SoftwareKey, sha512};
use serde::Serialize;

use crate::scenario::Keys;

const ROUND: Duration = Duration::from_millis(60);
// Signature, hash chain, OCSP response, part heads around a body between servers.
const AROUND_BYTES: usize = 9_000;
const SAMPLE_BYTES: usize = 1024 * 1024;

/// How often a server does what in an exchange.
#[derive(Debug, Clone, Copy, Default)]
pub struct Amounts {
    /// Signatures.
    pub signatures: f64,
    /// Public-key checks.
    pub verifications: f64,
    /// The client's side is TLS too.
    pub client_tls: bool,
}

/// One line: what, and microseconds per exchange.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    /// For people.
    pub what: &'static str,
    /// CPU time per exchange and server.
    pub us: f64,
}

/// Unit costs of this machine, in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Costs {
    sign: f64,
    verify: f64,
    hash_body: f64,
    hash_around: f64,
    seal_to_server: f64,
    seal_to_client: f64,
    socket: f64,
}

impl Costs {
    /// Measures, for bodies of so many bytes and a key of the kind that servers sign with.
    pub fn measure(keys: Keys, body_bytes: usize) -> Option<Self> {
        let key = match keys {
            Keys::Rsa => SoftwareKey::generate_rsa(3072),
            Keys::Rsa2048 => SoftwareKey::generate_rsa(2048),
            Keys::Ec => SoftwareKey::generate_ec_p256(),
        };
        let key = key.ok()?;
        let public = PublicKey::from_spki(key.public_key_spki()).ok()?;
        let message = [7; 1024];
        let signature = key.sign(&message).ok()?;
        // Of a large body a part stands for the whole.
        let sample = vec![7_u8; body_bytes.clamp(1, SAMPLE_BYTES)];
        let around = vec![7_u8; AROUND_BYTES / 4];
        let hash = |bytes: &[u8]| {
            time(|| {
                std::hint::black_box(sha512(bytes));
            })
        };
        Some(Self {
            sign: time(|| drop(key.sign(&message))),
            verify: time(|| {
                let _ = public.verify(key.algorithm(), &message, &signature, EcdsaFormat::Raw);
            }),
            hash_body: hash(&sample) * body_bytes as f64 / sample.len() as f64,
            hash_around: hash(&around),
            seal_to_server: gcm_us(body_bytes + AROUND_BYTES),
            seal_to_client: gcm_us(body_bytes + 500),
            socket: socket_us(body_bytes + 3_000),
        })
    }

    /// One signature, in microseconds.
    pub fn sign_us(&self) -> f64 {
        self.sign
    }

    /// The floor of an exchange on one server.
    pub fn floor(&self, amounts: &Amounts) -> Vec<Part> {
        let part = |what, us: f64| Part { what, us: (us * 10.0).round() / 10.0 };
        vec![
            part("SHA-512 of two bodies", 2.0 * self.hash_body),
            part("SHA-512 of heads, hash chains and signed properties", 2.0 * self.hash_around),
            part("AES-256-GCM towards the other server", 2.0 * self.seal_to_server),
            part(
                "AES-256-GCM towards the client",
                f64::from(u8::from(amounts.client_tls)) * 2.0 * self.seal_to_client,
            ),
            part("signatures, its share of each", amounts.signatures * self.sign),
            part("public-key checks, its share of each", amounts.verifications * self.verify),
            part("a socket read and a write towards each side, twice", 2.0 * self.socket),
        ]
    }
}

/// SHA-512 on one core of this machine, in MiB/s.
pub fn sha512_mib_per_second() -> f64 {
    let sample = vec![7_u8; SAMPLE_BYTES];
    1e6 / time(|| {
        std::hint::black_box(sha512(&sample));
    })
}

// Mean of one call, in microseconds.
fn time(mut call: impl FnMut()) -> f64 {
    call();
    let (began, mut calls) = (Instant::now(), 0_u32);
    while began.elapsed() < ROUND {
        call();
        calls += 1;
    }
    began.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
}

fn gcm_us(bytes: usize) -> f64 {
    const RECORD: usize = 16 * 1024;
    let Ok(key) = UnboundKey::new(&AES_256_GCM, &[7; 32]).map(LessSafeKey::new) else { return 0.0 };
    let mut buffer = vec![7; bytes.min(RECORD)];
    let records = bytes.div_ceil(RECORD).max(1) as f64;
    let scale = bytes as f64 / (records * buffer.len() as f64);
    records
        * scale
        * time(|| {
            let nonce = Nonce::assume_unique_for_key([0; 12]);
            let _ = key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut buffer);
        })
}

// A write and the read of it on loopback, by one thread: no wake-ups.
fn socket_us(bytes: usize) -> f64 {
    let pair = || -> std::io::Result<(TcpStream, TcpStream)> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let near = TcpStream::connect(listener.local_addr()?)?;
        near.set_nodelay(true)?;
        Ok((near, listener.accept()?.0))
    };
    let Ok((mut near, mut far)) = pair() else { return 0.0 };
    let (piece, mut read) = (vec![7; bytes.min(32 * 1024)], vec![0; 64 * 1024]);
    let scale = bytes as f64 / piece.len() as f64;
    scale
        * time(|| {
            let mut rest = if near.write_all(&piece).is_ok() { piece.len() } else { 0 };
            while rest > 0 {
                match far.read(&mut read) {
                    Ok(length) if length > 0 => rest = rest.saturating_sub(length),
                    _ => break,
                }
            }
        })
}
