//! Two security servers' keys, certificates, OCSP answers and global configuration, made afresh for a run.

// Each bench uses a part of it.
#![allow(dead_code)]

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hermod::crypto::{Certificate, Digest, DigestAlgorithm, SigningKey, SoftwareKey};
use hermod::evidence::{PartName, SignatureData, SignatureTemplate, SignedPart, sign_batch};
use hermod::message::{
    ClientId, RestRequest, RestRequestIds, RestResponse, RestResponseIds, ServiceId, rest_request_hash,
};
use hermod::sandbox::KeyType;
use hermod::sandbox::ocsp::Responder;
use hermod::sandbox::parameters;
use hermod::sandbox::pki::Pki;
use hermod::sandbox::plan::{INSTANCE, Plan};
use hermod::time::{Clock, SystemClock, UnixTime};
use hermod::transport::{Boundary, Encoder};
use hermod::trust::{GlobalConf, OcspResponse, Part, PartKind, ocsp_request};

/// What a bench needs of an ecosystem, without any server.
pub struct World {
    pub now: UnixTime,
    pub global_conf: Arc<GlobalConf>,
    pub consumer: ClientId,
    pub provider: ClientId,
    pub service: ServiceId,
    /// Consumer's and provider's.
    pub servers: [Server; 2],
}

/// What one security server signs and proves itself with.
pub struct Server {
    pub key: SoftwareKey,
    pub template: SignatureTemplate,
    pub authentication: Certificate,
    pub authentication_ocsp: OcspResponse,
}

impl World {
    pub fn new(kind: KeyType) -> Self {
        let now = SystemClock.now();
        let directory = tempfile::tempdir().expect("temporary directory");
        let plan = Plan::new(2, (94, 1));
        let pki = Arc::new(Pki::open(directory.path(), &plan, kind, now).expect("keys"));
        let responder = Responder::new(Arc::clone(&pki)).expect("responder");
        let ocsp = |certificate: &Certificate| {
            let request = ocsp_request(certificate, pki.ca.certificate());
            OcspResponse::from_der(&responder.respond(&request, now)).expect("OCSP answer")
        };
        let part = |kind, text: String| Part {
            kind,
            instance: INSTANCE.to_owned(),
            bytes: text.into_bytes(),
            version: 6,
            expires: None,
        };
        let parts = [
            part(PartKind::Shared, parameters::shared(&plan, &pki)),
            part(PartKind::Private, parameters::private(&plan, &pki, 60)),
        ];
        let server = |index: usize| {
            let (signing, authentication) =
                (&pki.servers[index].signing, pki.servers[index].authentication.certificate());
            let key = SoftwareKey::from_pkcs8_der(signing.key().pkcs8_der()).expect("key");
            let answers = [ocsp(signing.certificate()).der_bytes()];
            let template = SignatureTemplate::new(signing.certificate(), &[], &answers, key.algorithm());
            Server {
                key,
                template,
                authentication: authentication.clone(),
                authentication_ocsp: ocsp(authentication),
            }
        };
        let client = |index: usize| {
            let server = &plan.servers[index];
            ClientId::new(INSTANCE, "GOV", &server.member_code, Some(server.subsystem_code))
                .expect("identifier")
        };
        let provider = client(1);
        Self {
            now,
            global_conf: Arc::new(GlobalConf::from_parts(INSTANCE, &parts, None).expect("configuration")),
            consumer: client(0),
            service: ServiceId::new(&provider, "echo", None).expect("identifier"),
            provider,
            servers: [server(0), server(1)],
        }
    }

    /// A client's POST as the consumer's server makes a message of it.
    pub fn request(&self, message_id: &str) -> RestRequest {
        let consumer = self.consumer.to_string();
        let target = format!("/r1/{}/echo/path?a=b", self.provider);
        let headers: [(&[u8], &[u8]); 7] = [
            (b"Host", b"127.0.0.1:8080"),
            (b"User-Agent", b"bench/1"),
            (b"Accept", b"application/json"),
            (b"Content-Type", b"application/json"),
            (b"X-Road-Client", consumer.as_bytes()),
            (b"X-Road-Id", message_id.as_bytes()),
            (b"X-Road-UserId", b"EE12345678901"),
        ];
        let ids = RestRequestIds {
            request_id: "1b671a64-40d5-491e-99b0-da01ff1f3341",
            generated_message_id: "unused",
        };
        RestRequest::from_client("POST", target.as_bytes(), headers, &ids)
            .unwrap_or_else(|_| panic!("request"))
    }

    /// The provider's answer to a request.
    pub fn response(&self, request: &RestRequest, request_hash: &str) -> RestResponse {
        let ids = RestResponseIds {
            message_id: request.message_id(),
            client_id: &self.consumer,
            service_id: &self.service,
            request_id: request.request_id().unwrap_or_default(),
            request_hash,
        };
        let headers: [(&[u8], &[u8]); 2] =
            [(b"Content-Type", b"application/json"), (b"Date", b"Mon, 23 Nov 2026 22:39:16 GMT")];
        RestResponse::from_service(200, b"OK", headers, &ids).expect("response")
    }
}

/// A kilobyte that stands for a REST body.
pub fn body() -> Bytes {
    Bytes::from(b"{\"k\":\"0123456789abcdef\"}".repeat(43))
}

pub fn sha512(bytes: &[u8]) -> Digest {
    DigestAlgorithm::Sha512.digest(bytes)
}

/// Digests of a REST message with its body.
pub fn digests(part: &[u8], body: &[u8]) -> Vec<Digest> {
    vec![sha512(part), sha512(body)]
}

/// The request hash of a request with its body.
pub fn request_hash(request: &RestRequest, body: &[u8]) -> String {
    rest_request_hash(sha512(request.part()).as_ref(), Some(sha512(body).as_ref()))
}

/// Parts as the verifier takes them.
pub fn signed_parts<'a>(digests: &[Digest], message: &'a [u8]) -> Vec<SignedPart<'a>> {
    let part = |(index, digest): (usize, &Digest)| SignedPart {
        name: PartName::at(index),
        digest: *digest,
        bytes: (index == 0).then_some(message),
    };
    digests.iter().enumerate().map(part).collect()
}

/// A whole transport message.
pub fn transport_message(
    ocsp: Option<&[u8]>,
    is_request: bool,
    part: &[u8],
    body: &Bytes,
    signature: &SignatureData,
) -> (String, Bytes) {
    let mut encoder = Encoder::new(&Boundary::from_random(b"abcdefghijklmnopqrstuvwxyzABCD"));
    let mut out = BytesMut::with_capacity(16 * 1024);
    if let Some(ocsp) = ocsp {
        encoder.ocsp_response(&mut out, ocsp);
    }
    match is_request {
        true => encoder.rest_request(&mut out, part),
        false => encoder.rest_response(&mut out, part),
    }
    encoder.rest_body_start(&mut out);
    out.extend_from_slice(body);
    if let (Some(result), Some(chain)) = (&signature.hash_chain_result, &signature.hash_chain) {
        encoder.hash_chain_result(&mut out, result);
        encoder.hash_chain(&mut out, chain);
    }
    encoder.signature(&mut out, &signature.signature);
    encoder.close(&mut out);
    (encoder.content_type(), out.freeze())
}

impl Server {
    /// Signs messages together.
    pub fn sign(&self, now: UnixTime, requests: &[Vec<Digest>]) -> Vec<SignatureData> {
        sign_batch(&self.template, &self.key, now, requests).expect("signature")
    }
}
