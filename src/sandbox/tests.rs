use super::client::Client;
use super::plan::ports;
use super::*;
use crate::crypto::Certificate;

async fn prepared(key_type: KeyType) -> Ecosystem {
    let options = Options { key_type, ..Options::new("hermod".into()) };
    Ecosystem::prepare(options, &|_| ()).await.unwrap()
}

fn text(answer: &axum::http::Response<axum::body::Bytes>) -> &str {
    std::str::from_utf8(answer.body()).unwrap()
}

#[tokio::test]
async fn certificates_have_the_contents_that_the_trust_framework_asks_for() {
    for key_type in [KeyType::Ec, KeyType::Rsa, KeyType::Rsa2048] {
        let ecosystem = prepared(key_type).await;
        let pki = ecosystem.pki();
        let issued: Vec<&Certificate> = pki
            .servers
            .iter()
            .flat_map(|s| [&s.authentication, &s.signing])
            .chain([&pki.ocsp, &pki.tsa])
            .map(|identity| identity.certificate())
            .collect();
        for certificate in &issued {
            assert!(certificate.is_issued_by(pki.ca.certificate()));
            assert!(!certificate.has_unknown_critical());
        }
        assert_eq!(pki.issued_serials().len(), issued.len());
        let sign = pki.servers[0].signing.certificate();
        let subject = sign.subject().to_string();
        assert!(subject.ends_with(",CN=100,O=Member 100,C=FI"), "{subject}");
    }
}

#[tokio::test]
async fn the_example_services_answer() {
    let ecosystem = prepared(KeyType::Ec).await;
    let client = Client::default();
    let rest = ecosystem.plan().service_url(ports::REST);
    let soap = ecosystem.plan().service_url(ports::SOAP);
    let pet = client.get(&format!("{rest}/pets/2"), &[]).await.unwrap();
    assert_eq!(text(&pet), "{\"id\":2,\"name\":\"Huginn\",\"kind\":\"raven\"}");
    assert_eq!(client.get(&format!("{rest}/pets/9"), &[]).await.unwrap().status(), 404);
    let random = client.get(&format!("{rest}/random?size=100000"), &[]).await.unwrap();
    assert_eq!(random.body().len(), 100_000);
    let wsdl = client.get(&format!("{soap}/soap?wsdl"), &[]).await.unwrap();
    assert!(text(&wsdl).contains(&format!("location=\"{soap}/soap\"")));
    ecosystem.stations().rest.set_fault(Fault::Unavailable);
    assert_eq!(client.get(&format!("{rest}/pets"), &[]).await.unwrap().status(), 503);
    assert_eq!(ecosystem.stations().rest.calls(), 4);
}

#[tokio::test]
async fn a_kept_directory_gives_the_same_keys_and_addresses_again() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        key_type: KeyType::Ec,
        directory: Some(directory.path().to_owned()),
        ..Options::new("hermod".into())
    };
    let first = Ecosystem::prepare(options.clone(), &|_| ()).await.unwrap();
    let (plan, ca) = (first.plan().clone(), first.pki().ca.certificate().clone());
    drop(first);
    // The listeners go with their tasks, which end at the next turn of the runtime.
    tokio::task::yield_now().await;
    let second = Ecosystem::prepare(options.clone(), &|_| ()).await.unwrap();
    assert_eq!(second.plan(), &plan);
    assert_eq!(second.pki().ca.certificate().der(), ca.der());
    for other in [Options { servers: 3, ..options.clone() }, Options { members: 2, ..options }] {
        assert!(matches!(Ecosystem::prepare(other, &|_| ()).await, Err(SandboxError::Kept { .. })));
    }
}

#[tokio::test]
async fn the_configuration_source_serves_version_6_only() {
    let ecosystem = prepared(KeyType::Ec).await;
    let client = Client::default();
    let source = ecosystem.plan().service_url(ports::SOURCE);
    let directory = client.get(&format!("{source}/internalconf?version=6"), &[]).await.unwrap();
    assert_eq!(directory.status(), 200);
    for line in text(&directory).lines().filter_map(|line| line.strip_prefix("Content-location: ")) {
        assert_eq!(client.get(&format!("{source}{line}"), &[]).await.unwrap().status(), 200);
    }
    assert_eq!(client.get(&format!("{source}/internalconf?version=5"), &[]).await.unwrap().status(), 404);
}

#[tokio::test]
async fn the_configuration_of_every_server_is_accepted() {
    let ecosystem = prepared(KeyType::Ec).await;
    for server in ecosystem.servers() {
        let config = crate::config::Config::load(&server.files().config()).unwrap();
        assert_eq!(config.root, server.files().root());
        assert_eq!(config.log.dir, server.files().log());
        assert_eq!(config.server_id.to_string(), server.plan().server_id());
    }
}

#[tokio::test]
async fn answers_are_checked_byte_for_byte() {
    use super::messages::{Kind, Message};
    use base64::Engine as _;
    let plan = plan::Plan::new(2, (9, 9));
    let message = Message::new(&plan, &plan.servers[1], Kind::SoapAttachments, "q-1".to_owned());
    let content_type = message.headers[0].1.clone();
    let boundary = mime::boundary(&content_type).unwrap();
    let envelope = mime::parts(boundary, &message.body).unwrap()[0].content.clone();
    let hash =
        base64::engine::general_purpose::STANDARD.encode(crate::crypto::sha512(&message.body[envelope]));
    let (_, answer) = soap_service::answer(&content_type, &message.body).unwrap();
    let hashed = |bytes: Vec<u8>, hash: &str| {
        let at = memchr::memmem::find(&bytes, b"</xro:id>").unwrap() + 9;
        let element = format!("\n    <xro:requestHash algorithmId=\"…\">{hash}</xro:requestHash>");
        let body = [&bytes[..at], element.as_bytes(), &bytes[at..]].concat();
        let response = axum::http::Response::builder().header("content-type", &content_type);
        response.body(axum::body::Bytes::from(body)).unwrap()
    };
    assert_eq!(message.check(&hashed(answer.clone(), &hash)), Ok(()));
    assert!(message.check(&hashed(answer.clone(), "b3RoZXI=")).unwrap_err().contains("another request"));
    let mut changed = answer;
    let last = changed.len() - 60;
    changed[last] ^= 1;
    assert!(message.check(&hashed(changed, &hash)).unwrap_err().contains("another attachment"));
}

fn global_conf(ecosystem: &Ecosystem) -> crate::trust::GlobalConf {
    use crate::trust::{GlobalConf, Part, PartKind};
    let parts = ecosystem.source().parts();
    let part = |kind, version, content: String| Part {
        kind,
        instance: plan::INSTANCE.to_owned(),
        bytes: content.into_bytes(),
        version,
        expires: None,
    };
    let parts = [part(PartKind::Shared, 6, parts.shared), part(PartKind::Private, 6, parts.private)];
    GlobalConf::from_parts(plan::INSTANCE, &parts, None).unwrap()
}

#[tokio::test]
async fn the_parameters_are_those_of_a_valid_global_configuration() {
    let ecosystem = prepared(KeyType::Ec).await;
    let conf = global_conf(&ecosystem);
    assert_eq!(conf.problems(), [""; 0]);
    for (server, identities) in ecosystem.plan().servers.iter().zip(&ecosystem.pki().servers) {
        let subsystem =
            crate::message::ClientId::new("SANDBOX", "GOV", &server.member_code, Some(server.subsystem_code));
        let subsystem = subsystem.unwrap();
        assert_eq!(conf.addresses_of(&subsystem), [server.address.to_string()]);
        assert!(conf.is_client_of_auth_cert(&subsystem, identities.authentication.certificate()));
        let member = crate::trust::subject_client_id(&conf, identities.signing.certificate(), plan::INSTANCE);
        assert_eq!(member.unwrap(), subsystem.member());
    }
    assert_eq!(conf.timestamping_interval_secs(), 2);
}

#[tokio::test]
async fn each_member_of_a_server_has_a_subsystem_and_a_signing_key_of_its_own() {
    let options = Options { members: 3, key_type: KeyType::Ec, ..Options::new("hermod".into()) };
    let ecosystem = Ecosystem::prepare(options, &|_| ()).await.unwrap();
    let conf = global_conf(&ecosystem);
    assert_eq!(conf.problems(), [""; 0]);
    let mut members = std::collections::BTreeSet::new();
    for (server, identities) in ecosystem.plan().servers.iter().zip(&ecosystem.pki().servers) {
        let signing: Vec<_> = std::iter::once(&identities.signing).chain(&identities.guests).collect();
        assert_eq!((server.members().len(), signing.len()), (3, 3));
        for (member, identity) in server.members().iter().zip(signing) {
            let code = &member.member_code;
            let subsystem =
                crate::message::ClientId::new("SANDBOX", "GOV", code, Some(member.subsystem_code));
            let subsystem = subsystem.unwrap();
            assert_eq!(conf.addresses_of(&subsystem), [server.address.to_string()]);
            assert!(conf.is_client_of_auth_cert(&subsystem, identities.authentication.certificate()));
            let signer = crate::trust::subject_client_id(&conf, identity.certificate(), plan::INSTANCE);
            assert_eq!(signer.unwrap(), subsystem.member());
            assert!(ecosystem.pki().issued_serials().contains(identity.certificate().serial()));
            members.insert(member.id());
        }
    }
    assert_eq!(members.len(), 6);
}

#[tokio::test]
async fn the_ocsp_responder_tells_good_from_revoked_and_unknown() {
    use crate::trust::{CertStatus, OcspResponse, Policy, ocsp_request};
    for key_type in [KeyType::Rsa, KeyType::Ec] {
        let ecosystem = prepared(key_type).await;
        let (conf, pki) = (global_conf(&ecosystem), ecosystem.pki());
        let now = crate::time::UnixTime::from_secs(1_800_000_000);
        let ask = |certificate: &Certificate| {
            let request = ocsp_request(certificate, pki.ca.certificate());
            OcspResponse::from_der(&ecosystem.responder().respond(&request, now)).unwrap()
        };
        let sign = pki.servers[1].signing.certificate();
        let good = ask(sign);
        good.verify(pki.ca.certificate(), sign, now, &conf, &Policy::default()).unwrap();
        ecosystem.responder().set_revoked(sign.serial().to_vec(), true);
        let revoked = ask(sign);
        assert!(revoked.verify(pki.ca.certificate(), sign, now, &conf, &Policy::default()).is_err());
        assert!(matches!(revoked.status(), CertStatus::Revoked { .. }));
        assert_eq!(ask(pki.source.certificate()).status(), CertStatus::Unknown);
    }
}

#[tokio::test]
async fn the_time_stamping_authority_makes_tokens_that_are_accepted() {
    use crate::evidence::timestamp;
    for key_type in [KeyType::Rsa, KeyType::Ec] {
        let ecosystem = prepared(key_type).await;
        let data = b"a signature document";
        let imprint = crate::crypto::DigestAlgorithm::Sha512.digest(data);
        let request = axum::http::Request::post(ecosystem.plan().service_url(ports::TSA))
            .header("content-type", "application/timestamp-query")
            .body(http_body_util::Full::from(timestamp::request_der(&imprint)))
            .unwrap();
        let reply = Client::default().send(request).await.unwrap();
        let authorities = [ecosystem.pki().tsa.certificate().clone()];
        let policy = crate::trust::Policy::default();
        let accepted = timestamp::accept_response(reply.body(), &imprint, &authorities, &policy);
        accepted.unwrap_or_else(|error| panic!("{key_type:?}: {error}"));
        assert_eq!(ecosystem.stations().tsa.calls(), 1);
    }
}
