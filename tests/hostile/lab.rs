//! What all attacks share: an ecosystem with stolen keys, the table of cases, and what must hold after each.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hermod::crypto::{Certificate, DigestAlgorithm, SigningKey as _};
use hermod::evidence::{Reference, SignatureData, SignatureTemplate, sign_batch};
use hermod::log::LogReader;
use hermod::sandbox::ocsp::Responder;
use hermod::sandbox::pki::{Pki, ServerIdentities};
use hermod::sandbox::{Ecosystem, KeyType, Options};
use hermod::time::{Clock as _, SystemClock, UnixTime};
use hermod::trust::ocsp_request;
use rustls::ClientConfig;

use crate::draft::{self, Draft};
use crate::wire::{self, Answer, End};

/// A loose bound on a server's resident memory, in KiB; a debug build with its TLS and log takes some 60 MiB.
const RESIDENT_KIB_MAX: u64 = 400 * 1024;

/// The configuration of the servers under attack: changes of the global configuration arrive at once, nothing waits
/// long.
pub const IMPATIENT: &str = "update_interval_secs = 1\n";

/// An ecosystem and the attacker's keys: those of the consumer's server, which is a registered one.
pub struct Lab {
    pub ecosystem: Ecosystem,
    pub tls: Arc<ClientConfig>,
}

/// A certificate, its key, and who answers for it.
pub struct Forger<'l> {
    pub identities: &'l ServerIdentities,
    pub ca: &'l Certificate,
    pub responder: &'l Responder,
}

/// One attack.
pub struct Case {
    pub name: String,
    pub bytes: Vec<u8>,
    pub end: End,
    /// What the answer must be, as `Answer::verdict` says it; alternatives stand between bars.
    pub expect: String,
}

impl Case {
    pub fn new(name: impl Into<String>, draft: &Draft, expect: impl Into<String>) -> Self {
        Self::raw(name, draft.bytes(), expect)
    }

    pub fn raw(name: impl Into<String>, bytes: Vec<u8>, expect: impl Into<String>) -> Self {
        Self { name: name.into(), bytes, end: End::Wait, expect: expect.into() }
    }
}

pub fn now() -> UnixTime {
    SystemClock.now()
}

/// A refusal of the provider's server.
pub fn refused(code: &str) -> String {
    format!("fault server.serverproxy.{code}")
}

impl Lab {
    /// With only the servers at `running` started; the attacker plays the others.
    pub async fn start(running: &[usize]) -> Self {
        Self::start_with(running, "").await
    }

    /// With more of the servers' configuration.
    pub async fn start_with(running: &[usize], config: &str) -> Self {
        let options = Options {
            key_type: KeyType::Ec,
            extra_config: format!("{IMPATIENT}{config}"),
            ..Options::new(env!("CARGO_BIN_EXE_hermod").into())
        };
        let mut ecosystem = Ecosystem::prepare(options, &|_| ()).await.unwrap();
        for index in running {
            ecosystem.server_mut(*index).start().unwrap();
        }
        for index in running {
            ecosystem.server_mut(*index).wait_ready().await.unwrap();
        }
        let tls = wire::client_config(Some(&ecosystem.pki().servers[0].authentication));
        Self { ecosystem, tls }
    }

    /// The stolen identity of the server at `index`.
    pub fn forger(&self, index: usize) -> Forger<'_> {
        let pki = self.ecosystem.pki();
        Forger {
            identities: &pki.servers[index],
            ca: pki.ca.certificate(),
            responder: self.ecosystem.responder(),
        }
    }

    /// Port 5500 of the provider's server.
    pub fn provider(&self) -> SocketAddr {
        SocketAddr::from((self.ecosystem.plan().servers[1].address, 5500))
    }

    /// A whole, good REST request with a body, as the consumer's server would send it.
    pub fn rest(&self) -> Draft {
        self.rest_of(&good_rest_part("POST", "/echo"), Some(b"{\"a\":1}"))
    }

    /// A REST request with this part and body, correctly signed.
    pub fn rest_of(&self, part: &[u8], body: Option<&[u8]>) -> Draft {
        let forger = self.forger(0);
        let mut draft = Draft::request(true);
        draft.push(draft::OCSP, forger.ocsp(forger.identities.authentication.certificate(), 0));
        draft.push(draft::REST_REQUEST, part);
        if let Some(body) = body {
            draft.push(draft::REST_BODY, body);
        }
        let parts: Vec<&[u8]> = std::iter::once(part).chain(body).collect();
        push_signature(&mut draft, &forger.sign(&parts));
        draft
    }

    /// A SOAP request, correctly signed.
    pub fn soap_of(&self, envelope: &[u8]) -> Draft {
        let forger = self.forger(0);
        let mut draft = Draft::request(false);
        draft.push(draft::OCSP, forger.ocsp(forger.identities.authentication.certificate(), 0));
        draft.push(draft::XML, envelope);
        push_signature(&mut draft, &forger.sign(&[envelope]));
        draft
    }

    /// Calls that reached the services, and messages that are evidence.
    pub fn delivered(&self) -> (u64, u64) {
        let stations = self.ecosystem.stations();
        let calls = stations.rest.calls() + stations.soap.calls();
        (calls, records(&self.ecosystem.server(1).files().log()))
    }

    /// Sends a good message; it must arrive.
    pub async fn good(&self) {
        let answer = wire::tls(self.provider(), &self.tls, &self.rest().bytes(), End::Wait).await;
        assert!(answer.text().contains(draft::REST_RESPONSE), "no good answer: {}", answer.text());
    }

    /// Sends each attack to the provider's server and tells all that were not refused as they should.
    pub async fn check(&self, cases: Vec<Case>) {
        self.good().await;
        let (count, mut wrong) = (cases.len(), Vec::new());
        for case in cases {
            let before = self.delivered();
            let answer = wire::tls(self.provider(), &self.tls, &case.bytes, case.end).await;
            judge(&case, &answer, &mut wrong);
            if self.delivered() != before {
                wrong.push(format!("{}: was delivered or logged", case.name));
            }
            self.good().await;
        }
        assert_bounded(self.ecosystem.server(1).id());
        assert!(wrong.is_empty(), "{} of {count} cases:\n{}", wrong.len(), wrong.join("\n"));
        println!("{count} cases refused as they should");
    }
}

/// Remembers a case whose answer is not the expected one.
pub fn judge(case: &Case, answer: &Answer, wrong: &mut Vec<String>) {
    let verdict = answer.verdict();
    if !case.expect.split('|').any(|expected| expected == verdict) {
        let text: String = answer.text().chars().take(700).collect();
        wrong.push(format!("{}: {verdict}, expected {}\n    {text:?}", case.name, case.expect));
    }
}

impl Forger<'_> {
    /// An OCSP response about a certificate, made `offset` seconds from now.
    pub fn ocsp(&self, certificate: &Certificate, offset: i64) -> Vec<u8> {
        self.responder.respond(&ocsp_request(certificate, self.ca), now().plus_secs(offset))
    }

    pub fn template(&self, ocsp: Vec<Vec<u8>>) -> SignatureTemplate {
        let signing = &self.identities.signing;
        let ocsp: Vec<Bytes> = ocsp.into_iter().map(Bytes::from).collect();
        SignatureTemplate::new(signing.certificate(), &[], &ocsp, signing.algorithm())
    }

    pub fn good_template(&self) -> SignatureTemplate {
        self.template(vec![self.ocsp(self.identities.signing.certificate(), 0)])
    }

    /// Signs the parts of one message.
    pub fn sign(&self, parts: &[&[u8]]) -> SignatureData {
        self.sign_with(&self.good_template(), parts)
    }

    pub fn sign_with(&self, template: &SignatureTemplate, parts: &[&[u8]]) -> SignatureData {
        let digests = parts.iter().map(|part| DigestAlgorithm::Sha512.digest(part)).collect();
        sign_batch(template, self.identities.signing.key(), now(), &[digests]).unwrap().remove(0)
    }

    /// A signature over a hash chain result of the attacker's own making, or over a message.
    pub fn sign_reference(&self, reference: Reference, content: &[u8]) -> Vec<u8> {
        let template = self.good_template();
        let digest = template.algorithm().digest().digest(content);
        let prepared = template.prepare(reference, &digest, now());
        let value = self.identities.signing.key().sign(prepared.signed_info()).unwrap();
        prepared.finish(&value).to_vec()
    }
}

pub fn push_signature(draft: &mut Draft, data: &SignatureData) {
    if let (Some(result), Some(chain)) = (&data.hash_chain_result, &data.hash_chain) {
        draft.push(draft::CHAIN_RESULT, result.to_vec());
        draft.push(draft::CHAIN, chain.to_vec());
    }
    draft.push(draft::SIGNATURE, data.signature.to_vec());
}

/// The REST request part of a good message.
pub fn good_rest_part(method: &str, path: &str) -> Vec<u8> {
    let target = format!("/r1/{}{path}", draft::subsystem("200", "provider"));
    let client = draft::subsystem("100", "consumer");
    draft::rest_part(
        method,
        &target,
        &[
            ("X-Road-Client", client.as_str()),
            ("X-Road-Id", "q-1"),
            ("Content-Type", "application/json"),
            ("x-road-request-id", draft::REQUEST_ID),
        ],
    )
}

/// Message records of a log.
pub fn records(log: &Path) -> u64 {
    LogReader::open(log).unwrap().counts().0
}

/// The process is alive and its memory bounded.
pub fn assert_bounded(id: Option<u32>) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", id.unwrap())).expect("it is alive");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is alive");
    let resident: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(resident < RESIDENT_KIB_MAX, "{resident} KiB resident");
}

/// Another PKI with the same names: a foreign authority, or, with `copied` files of the real one, real
/// certificates that were issued at another time.
pub fn other_pki(lab: &Lab, directory: &Path, copied: &[&str], at: UnixTime) -> Arc<Pki> {
    for name in copied {
        std::fs::copy(lab.ecosystem.directory().join("pki").join(name), directory.join(name)).unwrap();
    }
    Arc::new(Pki::open(directory, lab.ecosystem.plan(), KeyType::Ec, at).unwrap())
}
