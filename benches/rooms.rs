//! The pure rooms and the log, one figure for each step of an exchange: `cargo bench --bench rooms`.

#![allow(clippy::unwrap_used)]
// What criterion's macros make has no documentation.
#![allow(missing_docs)]

mod world;

use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hermod::evidence::hash_chain::{HashTree, Leaf};
use hermod::evidence::{SignatureData, VerificationCache, VerifyMode, VerifyRequest, verify};
use hermod::log::{Direction, LogConfig, LogHandle, Record};
use hermod::message::{ClientId, RestRequest, SecurityServerId, ServiceId, Soap};
use hermod::registry::{Client, ClientStatus, ConnectionType, Registry};
use hermod::sandbox::KeyType;
use hermod::time::SystemClock;
use hermod::transport::Decoder;
use hermod::trust::{Policy, verify_client_authentication, verify_server_authentication};
use hermod::xml::{C14n, Document, Limits, canonicalize};
use world::{World, body, digests, request_hash, sha512, signed_parts, transport_message};

fn requests(count: usize) -> Vec<Vec<hermod::crypto::Digest>> {
    (0..count).map(|index| digests(&index.to_be_bytes(), b"body")).collect()
}

fn sign(c: &mut Criterion) {
    for (name, kind) in [("rsa-3072", KeyType::Rsa), ("p-256", KeyType::Ec)] {
        let world = World::new(kind);
        let mut group = c.benchmark_group(format!("sign batch, {name}"));
        for count in [1, 16, 256] {
            let requests = requests(count);
            group.throughput(Throughput::Elements(count as u64));
            group.bench_function(count.to_string(), |b| {
                b.iter(|| world.servers[0].sign(world.now, &requests));
            });
        }
        group.finish();
    }
}

fn verify_signatures(c: &mut Criterion) {
    let world = World::new(KeyType::Rsa);
    let part = world.request("bench-1").part().clone();
    let own = digests(&part, &body());
    let mut batch = requests(64);
    batch[31] = own.clone();
    let data = world.servers[0].sign(world.now, &batch).swap_remove(31);
    let (parts, policy) = (signed_parts(&own, &part), Policy::STRICT);
    let request = VerifyRequest {
        data: &data,
        parts: &parts,
        signer: &world.consumer,
        at: world.now,
        global_conf: &world.global_conf,
        policy: &policy,
        mode: VerifyMode::Exchange,
    };
    c.bench_function("verify signature, first of a batch", |b| b.iter(|| verify(&request).expect("valid")));
    let mut cache = VerificationCache::new();
    cache.verify(&request, &world.global_conf).expect("valid");
    c.bench_function("verify signature, others of a batch of 64", |b| {
        b.iter(|| cache.verify(&request, &world.global_conf).expect("valid"));
    });
    let document = Document::parse(&data.signature, &Limits::default()).expect("document");
    c.bench_function("canonicalise a signature document", |b| {
        b.iter(|| canonicalize(document.root(), C14n::Exclusive, &[]));
    });
    let leaves = batch.iter().map(|digests| Leaf::Parts(digests.clone())).collect();
    let tree = HashTree::new(leaves).expect("tree");
    c.bench_function("hash chain of 1 in 64: write", |b| b.iter(|| tree.chain_xml(31, "/message.xml")));
    let small = [b'x'; 256];
    c.bench_function("hash step (SHA-512 of 256 bytes)", |b| b.iter(|| sha512(&small)));
    let (peer, policy) = (&world.servers[0], Policy::STRICT);
    let (chain, ocsp) = ([peer.authentication.clone()], [peer.authentication_ocsp.clone()]);
    c.bench_function("authenticate a client's server, not remembered", |b| {
        b.iter(|| {
            let chain = [hermod::crypto::Certificate::from_der(chain[0].der()).expect("certificate")];
            verify_client_authentication(
                &world.global_conf,
                &world.consumer,
                &chain,
                &ocsp,
                world.now,
                &policy,
            )
        });
    });
    c.bench_function("authenticate a provider's server, not remembered", |b| {
        b.iter(|| {
            verify_server_authentication(
                &world.global_conf,
                &world.consumer,
                &chain,
                &ocsp,
                world.now,
                &policy,
            )
        });
    });
}

fn messages(c: &mut Criterion) {
    let world = World::new(KeyType::Ec);
    c.bench_function("REST request part: make", |b| b.iter(|| world.request("bench-1")));
    let request = world.request("bench-1");
    c.bench_function("REST request part: parse", |b| {
        b.iter(|| RestRequest::parse(request.part().clone()).expect("request"));
    });
    let hash = request_hash(&request, &body());
    c.bench_function("REST response part: make", |b| b.iter(|| world.response(&request, &hash)));
    for kilobytes in [1, 10] {
        let soap = soap(&world, kilobytes * 1024);
        c.bench_function(&format!("SOAP message of {kilobytes} KiB: parse"), |b| {
            b.iter(|| Soap::parse(soap.clone()).expect("SOAP"));
        });
    }
    let signature = world.servers[0].sign(world.now, &requests(64)).swap_remove(31);
    let ocsp = world.servers[0].authentication_ocsp.der();
    let encode = || transport_message(Some(ocsp), true, request.part(), &body(), &signature);
    c.bench_function("transport message: encode", |b| b.iter(encode));
    let (content_type, message) = encode();
    c.bench_function("transport message: decode", |b| {
        b.iter(|| {
            let mut decoder = Decoder::new(&content_type).expect("content type");
            decoder.feed(message.clone());
            decoder.finish();
            while decoder.next().expect("message").is_some() {}
        });
    });
}

fn soap(world: &World, bytes: usize) -> Bytes {
    let identifier = |tag: &str, id: &ClientId, kind: &str, more: &str| {
        format!(
            "<xro:{tag} id:objectType=\"{kind}\"><id:xRoadInstance>{}</id:xRoadInstance><id:memberClass>{}</id:memberClass>\
             <id:memberCode>{}</id:memberCode><id:subsystemCode>{}</id:subsystemCode>{more}</xro:{tag}>",
            id.instance(),
            id.member_class(),
            id.member_code(),
            id.subsystem_code().unwrap_or_default()
        )
    };
    let client = identifier("client", &world.consumer, "SUBSYSTEM", "");
    let code = "<id:serviceCode>echo</id:serviceCode>";
    let service = identifier("service", &world.provider, "SERVICE", code);
    let filler = "<v>0123456789</v>".repeat(bytes / 17);
    Bytes::from(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xro=\"http://x-road.eu/xsd/xroad.xsd\" xmlns:id=\"http://x-road.eu/xsd/identifiers\"><soap:Header>{client}{service}\
         <xro:id>bench-1</xro:id><xro:protocolVersion>4.0</xro:protocolVersion></soap:Header>\
         <soap:Body><echo>{filler}</echo></soap:Body></soap:Envelope>"
    ))
}

fn append(c: &mut Criterion) {
    let world = World::new(KeyType::Ec);
    let directory = tempfile::tempdir().expect("temporary directory");
    let server = SecurityServerId::new("LAB", "GOV", "100", "ss0").expect("identifier");
    let config = LogConfig::new(directory.path().to_owned(), server);
    let log = LogHandle::open(config, std::sync::Arc::new(SystemClock)).expect("log");
    log.timestamp_status().set_provider_configured(true);
    let part = world.request("bench-1").part().clone();
    let batches: Vec<Vec<SignatureData>> =
        [1, 64].iter().map(|count| world.servers[0].sign(world.now, &requests(*count))).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let record = |index: usize, signature: &SignatureData| Record {
        query_id: format!("bench-{index}"),
        message: part.clone(),
        signature: signature.clone(),
        direction: Direction::Request,
        client: world.consumer.clone(),
        consumer: Some(world.consumer.clone()),
        service: None,
        x_request_id: None,
        attachments: vec![hermod::log::Body::Bytes(body())],
        metadata_only: false,
    };
    let mut group = c.benchmark_group("log: append and make durable");
    for batch in &batches {
        group.throughput(Throughput::Elements(batch.len() as u64));
        group.bench_function(batch.len().to_string(), |b| {
            let records = || batch.iter().enumerate().map(|(at, s)| record(at, s)).collect::<Vec<_>>();
            b.iter_batched(
                records,
                |records| {
                    runtime.block_on(async {
                        let mut appends: Vec<_> =
                            records.into_iter().map(|record| Box::pin(log.append(record))).collect();
                        // The first poll hands the record to the writer.
                        appends.iter_mut().for_each(|append| hand_in(append.as_mut()));
                        for append in appends {
                            append.await.expect("durable");
                        }
                    });
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
    log.close();
}

fn hand_in<F: Future>(future: Pin<&mut F>) {
    let waiting = future.poll(&mut Context::from_waker(Waker::noop())).is_pending();
    assert!(waiting, "no record is durable before it is written");
}

fn registry(c: &mut Criterion) {
    let client = |index: usize| Client {
        id: ClientId::new("LAB", "GOV", &index.to_string(), Some("sub")).expect("identifier"),
        status: ClientStatus::Registered,
        connection_type: ConnectionType::NoSsl,
        certificates: Default::default(),
        services: Vec::new(),
        endpoints: Vec::new(),
        local_groups: Vec::new(),
    };
    let registry = Registry::new((0..1000).map(client).collect(), 1).expect("registry");
    let id = ClientId::new("LAB", "GOV", "500", Some("sub")).expect("identifier");
    let service = ServiceId::new(&id, "echo", None).expect("identifier");
    c.bench_function("registry: client and service of 1000", |b| {
        b.iter(|| (registry.client(&id).is_some(), registry.service(&service).is_some()));
    });
}

fn quick() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
}

criterion_group! {
    name = rooms;
    config = quick();
    targets = sign, verify_signatures, messages, append, registry
}
criterion_main!(rooms);
