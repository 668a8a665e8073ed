//! A small PKI that makes what tests need, also what no CA would make.

use crate::crypto::{Certificate, DigestAlgorithm, Name, SigningKey, SoftwareKey, der, sha1, to_hex};
use crate::time::UnixTime;
use crate::trust::{GlobalConf, OcspResponse, Part, PartKind};

pub(super) struct Issued {
    pub key: SoftwareKey,
    pub certificate: Certificate,
}

pub(super) struct Template {
    pub name: &'static str,
    pub serial: u8,
    pub from: &'static str,
    pub to: &'static str,
    pub ca: bool,
    pub path_length: Option<u8>,
    pub key_usage: u8,
    pub purpose: Option<&'static [u8]>,
    pub unknown_critical: bool,
}

pub(super) const AUTH_USAGE: u8 = 0xb0;
pub(super) const CA_USAGE: u8 = 0x06;

impl Default for Template {
    fn default() -> Self {
        Self {
            name: "end entity",
            serial: 1,
            from: "20250101000000Z",
            to: "20270101000000Z",
            ca: false,
            path_length: None,
            key_usage: AUTH_USAGE,
            purpose: None,
            unknown_critical: false,
        }
    }
}

impl Template {
    pub(super) fn ca(name: &'static str) -> Self {
        Self { name, ca: true, key_usage: CA_USAGE, ..Self::default() }
    }
}

fn name(text: &str) -> Vec<u8> {
    let pair =
        der::write_sequence(&[&der::write(der::OID, Name::COMMON_NAME), &der::write(0x0c, text.as_bytes())]);
    der::write_sequence(&[&der::write(der::SET, &pair)])
}

fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let flag = if critical { der::write(der::BOOLEAN, &[0xff]) } else { Vec::new() };
    der::write_sequence(&[&der::write(der::OID, oid), &flag, &der::write(der::OCTET_STRING, value)])
}

fn signed(tbs: &[u8], key: &SoftwareKey) -> [Vec<u8>; 2] {
    let signature = key.sign_der(tbs).unwrap();
    [key.algorithm_identifier(), der::write(der::BIT_STRING, &[&[0][..], &signature].concat())]
}

/// Issues a certificate; without issuer it is self-signed.
pub(super) fn issue(template: &Template, issuer: Option<&Issued>) -> Issued {
    let key = SoftwareKey::generate_ec_p256().unwrap();
    let signer = issuer.map_or(&key, |issuer| &issuer.key);
    let subject = name(template.name);
    let issuer_name = issuer.map_or(subject.clone(), |issuer| issuer.certificate.subject().der().to_vec());
    let validity = der::write_sequence(&[
        &der::write(der::GENERALIZED_TIME, template.from.as_bytes()),
        &der::write(der::GENERALIZED_TIME, template.to.as_bytes()),
    ]);
    let mut extensions =
        extension(&[0x55, 0x1d, 0x0f], true, &der::write(der::BIT_STRING, &[0, template.key_usage]));
    if template.ca {
        let length = template.path_length.map(|length| der::write_unsigned(&[length])).unwrap_or_default();
        let value = der::write_sequence(&[&der::write(der::BOOLEAN, &[0xff]), &length]);
        extensions.extend(extension(&[0x55, 0x1d, 0x13], true, &value));
    }
    if let Some(purpose) = template.purpose {
        let value = der::write_sequence(&[&der::write(der::OID, purpose)]);
        extensions.extend(extension(&[0x55, 0x1d, 0x25], false, &value));
    }
    if template.unknown_critical {
        extensions.extend(extension(&[0x2a, 0x03, 0x04], true, &[5, 0]));
    }
    let tbs = der::write_sequence(&[
        &der::write(0xa0, &der::write_unsigned(&[2])),
        &der::write_unsigned(&[template.serial]),
        &signer.algorithm_identifier(),
        &issuer_name,
        &validity,
        &subject,
        key.public_key_spki(),
        &der::write(0xa3, &der::write(der::SEQUENCE, &extensions)),
    ]);
    let [algorithm, signature] = signed(&tbs, signer);
    let certificate = Certificate::from_der(&der::write_sequence(&[&tbs, &algorithm, &signature])).unwrap();
    Issued { key, certificate }
}

/// What an answer says about one certificate.
pub(super) struct Answer<'a> {
    pub subject: &'a Certificate,
    pub issuer: &'a Certificate,
    pub status: Vec<u8>,
    pub this_update: &'a str,
    pub next_update: Option<&'a str>,
}

pub(super) fn good() -> Vec<u8> {
    vec![0x80, 0]
}

pub(super) fn unknown() -> Vec<u8> {
    vec![0x82, 0]
}

pub(super) fn revoked(at: &str) -> Vec<u8> {
    der::write(0xa1, &der::write(der::GENERALIZED_TIME, at.as_bytes()))
}

/// Signs an answer. `by_key` chooses the form of the responder id; `carried` goes into the answer.
pub(super) fn answer(
    answer: &Answer<'_>,
    by: &Issued,
    by_key: bool,
    carried: &[&Certificate],
) -> OcspResponse {
    answers(&[(answer, DigestAlgorithm::Sha1)], by, by_key, carried)
}

fn single(answer: &Answer<'_>, digest: DigestAlgorithm) -> Vec<u8> {
    let hash = |bytes: &[u8]| der::write(der::OCTET_STRING, digest.digest(bytes).as_ref());
    let id = der::write_sequence(&[
        &der::write_sequence(&[&der::write(der::OID, digest.oid())]),
        &hash(answer.issuer.subject().der()),
        &hash(answer.issuer.public_key().key_bits()),
        &der::write(der::INTEGER, answer.subject.serial()),
    ]);
    let next =
        answer.next_update.map(|next| der::write(0xa0, &der::write(der::GENERALIZED_TIME, next.as_bytes())));
    der::write_sequence(&[
        &id,
        &answer.status,
        &der::write(der::GENERALIZED_TIME, answer.this_update.as_bytes()),
        &next.unwrap_or_default(),
    ])
}

/// As [`answer`], with several statements, each under an id with a digest of its own.
pub(super) fn answers(
    statements: &[(&Answer<'_>, DigestAlgorithm)],
    by: &Issued,
    by_key: bool,
    carried: &[&Certificate],
) -> OcspResponse {
    let responder = if by_key {
        let hash = sha1(by.certificate.public_key().key_bits());
        der::write(0xa2, &der::write(der::OCTET_STRING, &hash))
    } else {
        der::write(0xa1, by.certificate.subject().der())
    };
    let singles: Vec<u8> = statements.iter().flat_map(|(answer, digest)| single(answer, *digest)).collect();
    let produced = statements.first().map_or("", |(answer, _)| answer.this_update);
    let produced = der::write(der::GENERALIZED_TIME, produced.as_bytes());
    let tbs = der::write_sequence(&[&responder, &produced, &der::write(der::SEQUENCE, &singles)]);
    let [algorithm, signature] = signed(&tbs, &by.key);
    let certificates: Vec<u8> = carried.iter().flat_map(|certificate| certificate.der().to_vec()).collect();
    let certificates = der::write(0xa0, &der::write(der::SEQUENCE, &certificates));
    let basic = der::write_sequence(&[&tbs, &algorithm, &signature, &certificates]);
    let kind = der::write(der::OID, &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01]);
    let bytes = der::write_sequence(&[&kind, &der::write(der::OCTET_STRING, &basic)]);
    let whole = der::write_sequence(&[&der::write(der::ENUMERATED, &[0]), &der::write(0xa0, &bytes)]);
    OcspResponse::from_der(&whole).unwrap()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Version 6 shared parameters of instance LAB: one member with one server, the given CAs (each with perhaps
/// a responder certificate) and authentication certificates.
pub(super) fn shared_params(cas: &[(&Certificate, Option<&Certificate>)], auth: &[&Certificate]) -> Vec<u8> {
    let cas: String = cas
        .iter()
        .map(|(ca, responder)| {
            let cert = responder.map(|responder| format!("<cert>{}</cert>", base64(responder.der())));
            let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", base64(ca.der()));
            format!(
                "<approvedCA><name>CA {}</name><topCA><cert>{}</cert><ocsp><url>http://ocsp.test</url>{}</ocsp></topCA>\
                 <certificateProfileInfo>x</certificateProfileInfo></approvedCA>",
                to_hex(&ca.sha256()[..4]),
                base64(pem.as_bytes()),
                cert.unwrap_or_default()
            )
        })
        .collect();
    let hashes: String = auth
        .iter()
        .map(|certificate| {
            let hash = DigestAlgorithm::Sha256.digest(certificate.der()).to_base64();
            format!("<authCertHash>{hash}</authCertHash>")
        })
        .collect();
    format!(
        "<c:conf xmlns:c=\"http://x-road.eu/xsd/xroad.xsd\"><instanceIdentifier>LAB</instanceIdentifier>\
         <source><address>conf.test</address></source>{cas}\
         <member id=\"m\"><memberClass><code>ORG</code><description>o</description></memberClass>\
         <memberCode>1</memberCode><name>One</name>\
         <subsystem id=\"s\"><subsystemCode>sub</subsystemCode></subsystem></member>\
         <securityServer><owner>m</owner><serverCode>ss</serverCode><address>ss.test</address>{hashes}\
         <client>s</client></securityServer>\
         <globalSettings><ocspFreshnessSeconds>3600</ocspFreshnessSeconds></globalSettings></c:conf>"
    )
    .into_bytes()
}

/// A configuration of instance LAB with these shared parameters, valid until 2030.
pub(super) fn global_conf(cas: &[(&Certificate, Option<&Certificate>)], auth: &[&Certificate]) -> GlobalConf {
    let part = Part {
        kind: PartKind::Shared,
        instance: "LAB".to_owned(),
        bytes: shared_params(cas, auth),
        version: 6,
        expires: UnixTime::parse_rfc3339("2030-01-01T00:00:00Z"),
    };
    GlobalConf::from_parts("LAB", &[part], None).unwrap()
}
