//! Instructions of one exchange on either side, counted by valgrind: `cargo bench --bench instructions`.
//!
//! Counted is the pure path of a REST exchange with bodies of 1 KiB in batches of 64: messages made and read, transport
//! messages encoded and decoded, everything hashed, one signature made and one document verified for each batch, all
//! hash chains. Not counted: sockets, TLS, disk. The figure is the difference of two runs, so that making keys and
//! certificates does not count, and repeats to a fraction of a percent whatever else the machine does. It is kept in
//! `baseline.toml`, whose rule says when it may be changed; `-- --check` compares and fails.

#![allow(clippy::unwrap_used)]

mod world;

use std::process::{Command, ExitCode};

use bytes::Bytes;
use hermod::crypto::Digest;
use hermod::evidence::{SignatureData, VerificationCache, VerifyMode, VerifyRequest};
use hermod::message::{ClientId, RestRequest, RestResponse};
use hermod::sandbox::KeyType;
use hermod::transport::{Decoder, Event, PartKind};
use hermod::trust::Policy;
use world::{Server, World, body, digests, request_hash, sha512, signed_parts, transport_message};

const BATCH: usize = 64;
const SIDES: [&str; 2] = ["consumer", "provider"];
const ROLE: &str = "HERMOD_BENCH_SIDE";
const BATCHES: &str = "HERMOD_BENCH_BATCHES";
/// How far a repeated count may differ, in percent: blinding of signatures is random.
const TOLERANCE_PERCENT: f64 = 2.0;

fn main() -> ExitCode {
    if let Ok(side) = std::env::var(ROLE) {
        let batches = std::env::var(BATCHES).ok().and_then(|text| text.parse().ok()).unwrap_or(1);
        exchanges(&side, batches);
        return ExitCode::SUCCESS;
    }
    let check = std::env::args().any(|argument| argument == "--check");
    let baseline = include_str!("baseline.toml");
    let mut good = true;
    for side in SIDES {
        let (Some(few), Some(many)) = (count(side, 1), count(side, 5)) else {
            eprintln!("valgrind cannot be run; install it (apt-get install valgrind)");
            return if check { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        };
        let each = many.saturating_sub(few) / (4 * BATCH as u64);
        let Some(kept) = baseline_of(baseline, side) else {
            println!("{side}: {each} instructions per exchange, no baseline");
            continue;
        };
        let change = 100.0 * (each as f64 / kept as f64 - 1.0);
        println!("{side}: {each} instructions per exchange, baseline {kept} ({change:+.1} %)");
        good &= change <= TOLERANCE_PERCENT;
    }
    if check && !good { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn baseline_of(baseline: &str, side: &str) -> Option<u64> {
    let line = baseline.lines().find_map(|line| line.strip_prefix(side));
    let value = line.and_then(|rest| rest.trim_start().strip_prefix('='));
    value?.trim().replace('_', "").parse().ok()
}

/// Instructions of this very program with so many batches.
fn count(side: &str, batches: usize) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().ok()?)
        .env(ROLE, side)
        .env(BATCHES, batches.to_string())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find_map(|line| line.split_once("Collected :"));
    line.and_then(|(_, count)| count.trim().parse().ok())
}

fn exchanges(side: &str, batches: usize) {
    let world = World::new(KeyType::Ec);
    let peer_is_provider = side == SIDES[0];
    let (own, peer) = if peer_is_provider { (0, 1) } else { (1, 0) };
    let received = received(&world, peer_is_provider, &world.servers[peer]);
    for _ in 0..batches {
        let mut cache = VerificationCache::new();
        let signer = if peer_is_provider { &world.provider } else { &world.consumer };
        let verified: Vec<Bytes> = received
            .iter()
            .map(|(kind, message)| receive(&world, &mut cache, signer, kind, message))
            .collect();
        let messages: Vec<(Bytes, Vec<Digest>)> = verified
            .iter()
            .enumerate()
            .map(|(index, part)| {
                let part = match peer_is_provider {
                    true => world.request(&format!("bench-{index}")).part().clone(),
                    false => {
                        let request = RestRequest::parse(part.clone()).expect("request");
                        let hash = request_hash(&request, &body());
                        world.response(&request, &hash).part().clone()
                    }
                };
                let digests = digests(&part, &body());
                (part, digests)
            })
            .collect();
        let wanted: Vec<Vec<Digest>> = messages.iter().map(|(_, digests)| digests.clone()).collect();
        let signed = world.servers[own].sign(world.now, &wanted);
        let ocsp = world.servers[own].authentication_ocsp.der();
        for ((part, _), signature) in messages.iter().zip(&signed) {
            let ocsp = peer_is_provider.then_some(ocsp);
            std::hint::black_box(transport_message(ocsp, peer_is_provider, part, &body(), signature));
        }
    }
}

/// A batch of the peer's transport messages.
fn received(world: &World, peer_is_provider: bool, peer: &Server) -> Vec<(String, Bytes)> {
    let part = |index: usize| {
        let request = world.request(&format!("bench-{index}"));
        match peer_is_provider {
            true => world.response(&request, &request_hash(&request, &body())).part().clone(),
            false => request.part().clone(),
        }
    };
    let parts: Vec<Bytes> = (0..BATCH).map(part).collect();
    let wanted: Vec<Vec<Digest>> = parts.iter().map(|part| digests(part, &body())).collect();
    let signed = peer.sign(world.now, &wanted);
    let ocsp = (!peer_is_provider).then(|| peer.authentication_ocsp.der());
    let message = |(part, signature): (&Bytes, &SignatureData)| {
        transport_message(ocsp, !peer_is_provider, part, &body(), signature)
    };
    parts.iter().zip(&signed).map(message).collect()
}

/// Reads and verifies a transport message; gives its REST part.
fn receive(
    world: &World,
    cache: &mut VerificationCache,
    signer: &ClientId,
    content_type: &str,
    message: &Bytes,
) -> Bytes {
    let mut decoder = Decoder::new(content_type).expect("content type");
    decoder.feed(message.clone());
    decoder.finish();
    let (mut part, mut body) = (Bytes::new(), Vec::new());
    let mut data = SignatureData::single(Bytes::new());
    while let Some(event) = decoder.next().expect("message") {
        match event {
            Event::Part(found) => match found.kind {
                PartKind::RestRequest => {
                    RestRequest::parse(found.body.clone()).expect("request");
                    part = found.body;
                }
                PartKind::RestResponse => {
                    RestResponse::parse(found.body.clone()).expect("response");
                    part = found.body;
                }
                PartKind::HashChainResult => data.hash_chain_result = Some(found.body),
                PartKind::HashChain => data.hash_chain = Some(found.body),
                PartKind::Signature => data.signature = found.body,
                _ => {}
            },
            Event::Data(bytes) => body.push(bytes),
            _ => {}
        }
    }
    let whole: Vec<u8> = body.concat();
    let digests = vec![sha512(&part), sha512(&whole)];
    let parts = signed_parts(&digests, &part);
    let request = VerifyRequest {
        data: &data,
        parts: &parts,
        signer,
        at: world.now,
        global_conf: &world.global_conf,
        policy: &Policy::STRICT,
        mode: VerifyMode::Exchange,
    };
    cache.verify(&request, &world.global_conf).expect("valid");
    part
}
