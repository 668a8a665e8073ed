//! Chains, OCSP answers, profiles.

use std::path::Path;

use hermod::crypto::{Certificate, Name, der};
use hermod::message::{ClientId, ErrorCode};
use hermod::trust::{
    CertStatus, ChainContext, GlobalConf, OcspResponse, OcspResponses, Policy, Profile, is_auth_certificate,
    is_sign_certificate, ocsp_request, subject_client_id, verify_chain, verify_chain_to,
    verify_client_authentication, verify_server_authentication,
};

use super::{cases, certificate, globalconf, read, time};
use crate::common::vectors;

/// Of a path that cannot be built.
const NO_PATH: &str = "cannot_create_cert_path.internal_error";

struct Captured {
    conf: GlobalConf,
    ca: Certificate,
    ss0_auth: Certificate,
    ss1_auth: Certificate,
    ss0_sign: Certificate,
    auth0: OcspResponse,
    auth1: OcspResponse,
    sign0: OcspResponse,
}

fn captured() -> Option<Captured> {
    let root = vectors()?.join("captures");
    let load = |name: &str| certificate(root.join("trust/certificates").join(name));
    let ocsp = |name: &str| OcspResponse::from_der(&read(root.join("ocsp").join(name))).unwrap();
    Some(Captured {
        conf: GlobalConf::load_dir(&root.join("trust/globalconf-as-seen-by-ss0")).unwrap(),
        ca: load("ca.der"),
        ss0_auth: load("ss0-auth.der"),
        ss1_auth: load("ss1-auth.der"),
        ss0_sign: load("ss0-sign.der"),
        auth0: ocsp("transport-part-ss0-auth.ocsp.der"),
        auth1: ocsp("exchange-ss1-auth.ocsp.der"),
        sign0: ocsp("signature-ss0-sign.ocsp.der"),
    })
}

#[test]
fn captured_ocsp_answers_verify_at_their_time_only() {
    let Some(c) = captured() else { return };
    let verify = |answer: &OcspResponse, subject: &Certificate, at: &str, policy: &Policy| {
        answer.verify(&c.ca, subject, time(at), &c.conf, policy).map_err(|error| error.code().to_owned())
    };
    let at = "2026-11-23T22:55:00Z";
    for (answer, subject) in [(&c.auth0, &c.ss0_auth), (&c.auth1, &c.ss1_auth), (&c.sign0, &c.ss0_sign)] {
        assert_eq!(answer.status(), CertStatus::Good);
        assert_eq!(verify(answer, subject, at, &Policy::STRICT), Ok(()));
        // Again, from the cache.
        assert_eq!(verify(answer, subject, at, &Policy::STRICT), Ok(()));
        let wrong = Err("incorrect_validation_info".to_owned());
        // trap_signature_21: an hour after thisUpdate, long before nextUpdate.
        assert_eq!(verify(answer, subject, "2026-11-24T00:55:00Z", &Policy::STRICT), wrong);
        // trap_signature_20: from the future.
        assert_eq!(verify(answer, subject, "2026-11-23T22:35:00Z", &Policy::STRICT), wrong);
        let allowing = Policy { allow_future_ocsp: true, ..Policy::STRICT };
        assert_eq!(verify(answer, subject, "2026-11-23T22:35:00Z", &allowing), Ok(()));
        assert_eq!(verify(answer, &c.ca, at, &Policy::STRICT), wrong);
        // Any changed byte makes it another answer; only the certificates at its end are not signed.
        for position in (0..480).step_by(7) {
            let mut changed = answer.der().to_vec();
            changed[position] ^= 1;
            let Ok(changed) = OcspResponse::from_der(&changed) else { continue };
            assert!(
                changed.verify(&c.ca, subject, time(at), &c.conf, &Policy::STRICT).is_err(),
                "{position}"
            );
        }
        for length in (0..answer.der().len()).step_by(7) {
            assert!(OcspResponse::from_der(&answer.der()[..length]).is_err());
        }
    }
    assert!(c.auth0.verify(&c.ca, &c.ss1_auth, time(at), &c.conf, &Policy::STRICT).is_err());
    // An unrelated configuration does not know the responder.
    let Some(root) = globalconf() else { return };
    let other = GlobalConf::load_dir(&root.join("stored/globalconf_good_v6")).unwrap();
    let error = c.auth0.verify(&c.ca, &c.ss0_auth, time(at), &other, &Policy::STRICT).unwrap_err();
    assert!(error.is(ErrorCode::IncorrectValidationInfo));
}

#[test]
fn trap_trust_10_requests_have_sha1_ids_with_null_parameters() {
    let Some(c) = captured() else { return };
    let request = ocsp_request(&c.ss0_auth, &c.ca);
    let serial = der::write(der::INTEGER, c.ss0_auth.serial());
    let mut expected = vec![0x30, 9, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0, 4, 20];
    expected.extend(c.ca.subject().sha1());
    expected.extend([4, 20]);
    expected.extend(hermod::crypto::sha1(c.ca.public_key().key_bits()));
    expected.extend(serial);
    let wrapped = (0..5).fold(expected, |inner, _| der::write(der::SEQUENCE, &inner));
    assert_eq!(request, wrapped);
    // The captured answers carry exactly this id.
    let id = wrapped.windows(wrapped.len()).next().unwrap()[8..].to_vec();
    assert!(c.auth0.der().windows(id.len()).any(|window| window == id));
}

#[test]
fn an_old_answer_is_read() {
    let Some(root) = vectors() else { return };
    let answer = OcspResponse::from_der(&read(root.join("ocsp-tsp/test.ocsp"))).unwrap();
    assert_eq!(answer.status(), CertStatus::Good);
    assert!(answer.this_update() < time("2014-01-01T00:00:00Z"));
}

#[test]
fn answers_are_found_by_sha1_as_port_5577_asks() {
    let Some(c) = captured() else { return };
    let mut store = OcspResponses::default();
    store.insert(&c.ss0_auth, c.auth0.clone());
    let hex = hermod::crypto::to_hex(c.ss0_auth.sha1());
    assert_eq!(store.get_by_sha1_hex(&hex), Some(&c.auth0));
    for wrong in [hex.to_uppercase(), hex[1..].to_owned(), format!("{hex}0"), String::new(), "zz".repeat(20)]
    {
        assert_eq!(store.get_by_sha1_hex(&wrong), None);
    }
    assert_eq!(store.get(&c.ss0_auth), Some(&c.auth0));
    assert_eq!(store.get(&c.ss1_auth), None);
    store.retain(|_| false);
    assert!(store.is_empty() && store.get_by_sha1_hex(&hex).is_none());
}

fn client_of(c: &Captured, auth: &Certificate) -> ClientId {
    c.conf.auth_cert_server(auth).unwrap().owner().client()
}

#[test]
fn both_directions_authenticate_the_captured_servers() {
    let Some(c) = captured() else { return };
    let at = time("2026-11-23T22:55:00Z");
    let (owner0, owner1) = (client_of(&c, &c.ss0_auth), client_of(&c, &c.ss1_auth));
    let provider_side = |client: &ClientId, presented: &[Certificate], ocsp: &[OcspResponse]| {
        verify_client_authentication(&c.conf, client, presented, ocsp, at, &Policy::STRICT)
    };
    let consumer_side = |provider: &ClientId, presented: &[Certificate], ocsp: &[OcspResponse]| {
        verify_server_authentication(&c.conf, provider, presented, ocsp, at, &Policy::STRICT)
    };
    let (cert0, cert1) = ([c.ss0_auth.clone()], [c.ss1_auth.clone()]);
    let (ocsp0, ocsp1) = ([c.auth0.clone()], [c.auth1.clone()]);
    provider_side(&owner0, &cert0, &ocsp0).unwrap();
    consumer_side(&owner1, &cert1, &ocsp1).unwrap();
    // trap_trust_06: without an answer there is no authentication.
    let error = provider_side(&owner0, &cert0, &[]).unwrap_err();
    assert_eq!(error.code(), "ssl_authentication_failed");
    // The inner code is lost at the provider and kept at the consumer.
    assert_eq!(provider_side(&owner0, &cert0, &ocsp1).unwrap_err().code(), "ssl_authentication_failed");
    let error = consumer_side(&owner1, &cert1, &ocsp0).unwrap_err();
    assert_eq!(error.code(), "ssl_authentication_failed.invalid_cert_path.cert_validation");
    // trap_trust_13: registered there, and exactly.
    let subsystem = ClientId::new("LAB", owner0.member_class(), owner0.member_code(), Some("no")).unwrap();
    assert_eq!(provider_side(&subsystem, &cert0, &ocsp0).unwrap_err().code(), "ssl_authentication_failed");
    let error = provider_side(&owner0, &cert1, &ocsp1).unwrap_err();
    assert!(error.text().contains("is not registered at security server"), "{error}");
    // A sign certificate does not authenticate.
    let error = provider_side(&owner0, std::slice::from_ref(&c.ss0_sign), std::slice::from_ref(&c.sign0))
        .unwrap_err();
    assert!(error.text().contains("authentication certificate"), "{error}");
    assert!(provider_side(&owner0, &[], &ocsp0).is_err() && consumer_side(&owner0, &[], &ocsp0).is_err());
    // Another instance, and a late hour.
    let foreign = ClientId::new("FOO", "GOV", "1", None).unwrap();
    assert!(provider_side(&foreign, &cert0, &ocsp0).is_err());
    let late = time("2027-11-24T00:00:00Z");
    assert!(verify_client_authentication(&c.conf, &owner0, &cert0, &ocsp0, late, &Policy::STRICT).is_err());
}

#[test]
fn key_usages_classify_certificates() {
    let Some(c) = captured() else { return };
    assert!(is_auth_certificate(&c.ss0_auth) && !is_sign_certificate(&c.ss0_auth));
    assert!(is_sign_certificate(&c.ss0_sign) && !is_auth_certificate(&c.ss0_sign));
}

#[test]
fn trap_signature_22_the_direct_issuer_is_the_anchor() {
    let Some(c) = captured() else { return };
    let at = time("2026-11-23T22:55:00Z");
    let ocsp = [c.sign0.clone()];
    let context =
        ChainContext { global_conf: &c.conf, instance: "LAB", ocsp: &ocsp, at, policy: &Policy::STRICT };
    assert_eq!(verify_chain(context, &c.ss0_sign, &[]).unwrap(), std::slice::from_ref(&c.ss0_sign));
    assert_eq!(verify_chain(context, &c.ss0_sign, std::slice::from_ref(&c.ca)).unwrap().len(), 1);
    let elsewhere = ChainContext { instance: "FOO", ..context };
    assert_eq!(verify_chain(elsewhere, &c.ss0_sign, &[]).unwrap_err().code(), NO_PATH);
    let error = verify_chain(ChainContext { ocsp: &[], ..context }, &c.ss0_sign, &[]).unwrap_err();
    assert_eq!(error.code(), "invalid_cert_path.cert_validation");
    // A CA is not its own subject: no path without status checks.
    assert_eq!(verify_chain(context, &c.ca, &[]).unwrap_err().code(), NO_PATH);
    assert_eq!(subject_client_id(&c.conf, &c.ss0_sign, "LAB").unwrap().instance(), "LAB");
    assert!(subject_client_id(&c.conf, &c.ss0_sign, "FOO").unwrap_err().is(ErrorCode::InternalError));
}

#[test]
fn test_chains_build_with_the_switches_of_the_past_only() {
    let Some(root) = globalconf() else { return };
    let conf = GlobalConf::load_dir(&root.join("stored/globalconf_good_v6")).unwrap();
    let load = |name: &str| certificate(root.join("certs/test_chain").join(format!("{name}.pem")));
    let anchor = load("root_ca");
    let at = anchor.not_before().plus_secs(86_400);
    let rows = cases(&root, "cert-chain");
    assert_eq!(rows.len(), 5);
    for [id, input, context, expected, _] in rows {
        let extra = context.split("extra ").nth(1).unwrap_or_default().split(';').next().unwrap().to_owned();
        let extra: Vec<Certificate> =
            extra.split(',').filter(|name| !name.is_empty()).map(|name| load(name.trim())).collect();
        let subject = certificate(root.join(&input));
        // user_0 is some days younger than the root.
        let at = if id == "chain-0" { subject.not_before().plus_secs(86_400) } else { at };
        let verify = |policy: &Policy, at| {
            let context = ChainContext { global_conf: &conf, instance: "EE", ocsp: &[], at, policy };
            verify_chain_to(context, &anchor, &subject, &extra).unwrap_err()
        };
        // Without answers a chain that builds fails at its first certificate.
        let code = verify(&Policy::LEGACY, at);
        let built = code.code() == "invalid_cert_path.cert_validation";
        assert_eq!(built, expected == "ok", "{id}: {code}");
        assert!(built || code.code() == NO_PATH, "{id}: {code}");
        // SHA-1 is refused by default.
        assert_eq!(verify(&Policy::STRICT, at).code(), NO_PATH, "{id}");
        assert_eq!(verify(&Policy::LEGACY, time("2040-01-01T00:00:00Z")).code(), NO_PATH);
    }
    let md5 = certificate(root.join("certs/test_chain/user_3_md5.extracted.pem"));
    let extra = [load("ca_1"), load("ca_2"), load("ca_3")];
    let context = ChainContext { global_conf: &conf, instance: "EE", ocsp: &[], at, policy: &Policy::LEGACY };
    let error = verify_chain_to(context, &anchor, &md5, &extra).unwrap_err();
    assert_eq!(error.code(), NO_PATH);
}

fn subject_of(root: &Path, text: &str) -> Name {
    if let Some(file) = text.strip_prefix("file:") {
        return certificate(root.join(file)).subject().clone();
    }
    let text = text.strip_prefix("DER order ").unwrap_or(text).split(" (value").next().unwrap();
    let mut sets = Vec::new();
    for pair in text.split(", ").filter(|pair| pair.contains('=')) {
        let (kind, value) = pair.split_once('=').unwrap();
        let oid = match kind {
            "C" => Name::COUNTRY,
            "O" => Name::ORGANIZATION,
            "OU" => Name::ORGANIZATIONAL_UNIT,
            "CN" => Name::COMMON_NAME,
            "serialNumber" | "SERIALNUMBER" => Name::SERIAL_NUMBER,
            "businessCategory" => Name::BUSINESS_CATEGORY,
            "2.5.4.97" => Name::ORGANIZATION_IDENTIFIER,
            other => panic!("{other}"),
        };
        let value = der::write(0x0c, value.replace("\\+", "+").as_bytes());
        let pair = der::write_sequence(&[&der::write(der::OID, oid), &value]);
        sets.extend(der::write(der::SET, &pair));
    }
    Name::from_der(&der::write(der::SEQUENCE, &sets)).unwrap()
}

#[test]
fn profiles_read_members_as_published() {
    let Some(root) = globalconf() else { return };
    let table = String::from_utf8(read(root.join("cases/cert-profile-cases.tsv"))).unwrap();
    let mut seen = 0;
    for line in table.lines().skip(1) {
        let [class, subject, instance, expected] = line.split('\t').take(4).collect::<Vec<_>>()[..] else {
            panic!()
        };
        let profile =
            Profile::from_class(&format!("ee.ria.xroad.common.certificateprofile.impl.{class}")).unwrap();
        let result = profile.member(&subject_of(&root, subject), instance);
        match expected.split_once("ERROR") {
            Some((_, code)) => {
                let error = result.expect_err(line);
                assert!(code.trim().is_empty() || error.code() == code.trim(), "{line}: {error}");
            }
            None => {
                let expected = expected.split(" (").next().unwrap();
                assert_eq!(result.unwrap().to_string(), expected, "{line}");
            }
        }
        seen += 1;
    }
    assert!(seen > 40);
    assert_eq!(Profile::from_class("ee.ria.xroad.common.certificateprofile.impl.KlsBJ"), None);
}
