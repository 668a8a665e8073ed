//! A hostile consumer's server: messages, attachments, signatures and hash chains that do not prove each other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hermod::crypto::DigestAlgorithm;
use hermod::evidence::Reference;
use hermod::evidence::hash_chain::{HashTree, Leaf};
use hermod::sandbox::ocsp::Responder;

use crate::draft::{self, Draft};
use crate::lab::{Case, Forger, Lab, good_rest_part, now, other_pki, push_signature, refused};

#[tokio::test]
async fn messages_that_their_signature_does_not_prove_are_refused() {
    let lab = Lab::start(&[1]).await;
    let mut cases = Vec::new();
    contents(&lab, &mut cases);
    attachments(&lab, &mut cases);
    signatures(&lab, &mut cases);
    signers(&lab, &mut cases);
    exchanged_certificate(&lab, &mut cases);
    chains(&lab, &mut cases);
    lab.check(cases).await;
}

fn verification(code: &str) -> String {
    refused(&format!("signature_verification.{code}"))
}

// What was signed and what is sent differ.
fn contents(lab: &Lab, cases: &mut Vec<Case>) {
    let changed = "malformed_signature.invalid_hash_chain";
    let unused = "malformed_signature.hashchain_unused_inputs";
    let mut add = |name: &str, code: &str, alter: &dyn Fn(&mut Draft)| {
        let mut draft = lab.rest();
        alter(&mut draft);
        cases.push(Case::new(name, &draft, verification(code)));
    };
    add("another body", changed, &|d| *d.part(draft::REST_BODY) = b"{\"a\":2}".to_vec());
    add("a longer body", changed, &|d| d.part(draft::REST_BODY).push(b' '));
    add("an empty body", changed, &|d| d.part(draft::REST_BODY).clear());
    add("no body", "malformed_signature.invalid_reference", &|d| d.remove(draft::REST_BODY));
    add("another path", changed, &|d| *d.part(draft::REST_REQUEST) = good_rest_part("POST", "/echo/x"));
    add("another method", changed, &|d| *d.part(draft::REST_REQUEST) = good_rest_part("PUT", "/echo"));
    add("a further header", changed, &|d| d.part(draft::REST_REQUEST).extend_from_slice(b"X-More:1\r\n"));
    add("no chain", "malformed_signature.invalid_reference", &|d| d.remove(draft::CHAIN));
    add("no chain result", "malformed_signature", &|d| d.remove(draft::CHAIN_RESULT));
    add("neither chain nor result", "malformed_signature", &|d| {
        d.remove(draft::CHAIN);
        d.remove(draft::CHAIN_RESULT);
    });
    let bare = || lab.rest_of(&good_rest_part("POST", "/echo"), None);
    let insert = |draft: &mut Draft, kind: &str, body: &[u8]| {
        let at = draft.parts.len() - 1;
        draft.parts.insert(at, draft::Part { content_type: kind.into(), body: body.to_vec() });
    };
    let mut draft = bare();
    insert(&mut draft, draft::REST_BODY, b"smuggled");
    cases.push(Case::new("a body that a single signature does not cover", &draft, verification(unused)));
    let mut draft = bare();
    insert(&mut draft, draft::REST_BODY, b"");
    cases.push(Case::new(
        "an empty body that a single signature does not cover",
        &draft,
        verification(unused),
    ));
    let mut draft = bare();
    *draft.part(draft::REST_REQUEST) = good_rest_part("POST", "/echo/x");
    cases.push(Case::new("another message", &draft, verification("invalid_signature_value")));
    let batch = lab.rest();
    let mut draft = bare();
    insert(&mut draft, draft::CHAIN_RESULT, &batch.parts[batch.at(draft::CHAIN_RESULT)].body);
    insert(&mut draft, draft::CHAIN, &batch.parts[batch.at(draft::CHAIN)].body);
    cases.push(Case::new("a chain that nothing refers to", &draft, verification("malformed_signature")));
}

fn with_attachments(lab: &Lab, signed: &[&[u8]], sent: &[&[u8]]) -> Draft {
    let envelope = draft::envelope(("100", "consumer"), "q-1", "");
    let mut draft = lab.soap_of(&envelope);
    draft.parts.truncate(2);
    if !sent.is_empty() {
        let mut nested = Vec::new();
        for attachment in sent {
            nested.extend_from_slice(b"\r\n--xattHostile\r\ncontent-type: text/plain\r\n\r\n");
            nested.extend_from_slice(attachment);
        }
        nested.extend_from_slice(b"\r\n--xattHostile--\r\n");
        draft.push(&draft::multipart_mixed("xattHostile"), nested);
    }
    let parts: Vec<&[u8]> = std::iter::once(envelope.as_slice()).chain(signed.iter().copied()).collect();
    push_signature(&mut draft, &lab.forger(0).sign(&parts));
    draft
}

fn attachments(lab: &Lab, cases: &mut Vec<Case>) {
    let (one, two): (&[u8], &[u8]) = (b"one", b"two");
    let changed = "malformed_signature.invalid_hash_chain";
    let reference = "malformed_signature.invalid_reference";
    let unused = "malformed_signature.hashchain_unused_inputs";
    for (name, signed, sent, code) in [
        ("attachment removed", &[one, two][..], &[one][..], reference),
        ("all attachments removed", &[one, two], &[], reference),
        ("attachment added", &[one, two], &[one, two, one], unused),
        ("attachment added to none", &[], &[one], unused),
        ("attachments swapped", &[one, two], &[two, one], changed),
        ("attachment doubled", &[one, two], &[one, one], changed),
        ("attachment changed", &[one, two], &[one, b"tow"], changed),
        ("attachment emptied", &[one, two], &[one, b""], changed),
    ] {
        cases.push(Case::new(name, &with_attachments(lab, signed, sent), verification(code)));
    }
    let mut draft = with_attachments(lab, &[one], &[one]);
    let nested = draft.at(&draft::multipart_mixed("xattHostile"));
    let whole = draft.parts[nested].body.clone();
    draft.parts[nested].body = whole[..whole.len() - 20].to_vec();
    let mime = refused("service_failed.mime_parsing_failed");
    cases.push(Case::new("attachments without end", &draft, mime.clone()));
    draft.parts[nested].body = b"\r\n--xattHostile--\r\n".to_vec();
    cases.push(Case::new("attachments without any", &draft, mime));
    draft.parts[nested].body = b"\r\n--xattHostile\r\n\r\n".repeat(1001);
    let too_many = refused("service_failed.invalid_message");
    cases.push(Case::new("1001 attachments", &draft, too_many));
    draft.parts[nested].body = whole;
    let again = draft.parts[nested].clone();
    draft.parts.insert(nested, again);
    let twice = refused("service_failed.invalid_content_type");
    cases.push(Case::new("attachments twice", &draft, twice));
    let deep = format!("multipart/mixed; boundary={}", "b".repeat(201));
    draft.parts[nested].content_type = deep;
    cases.push(Case::new(
        "attachments with a boundary of 201 bytes",
        &draft,
        refused("service_failed.invalid_content_type"),
    ));
}

// The signature document itself.
fn signatures(lab: &Lab, cases: &mut Vec<Case>) {
    let part = good_rest_part("GET", "/echo");
    let mut add = |name: &str, code: &str, alter: &dyn Fn(String) -> String| {
        let mut draft = lab.rest_of(&part, None);
        let document = draft.part(draft::SIGNATURE);
        *document = alter(String::from_utf8(document.clone()).unwrap()).into_bytes();
        cases.push(Case::new(name, &draft, verification(code)));
    };
    let (malformed, value, xml) = ("malformed_signature", "invalid_signature_value", "invalid_xml");
    add("an empty signature", xml, &|_| String::new());
    add("no XML", xml, &|_| "signature".into());
    add("another document", malformed, &|_| "<a/>".into());
    add("DOCTYPE in the signature", xml, &|d| d.replace("?><asic", "?><!DOCTYPE a><asic"));
    add("entity bomb in the signature", xml, &|d| {
        let bomb = "?><!DOCTYPE a [<!ENTITY a \"xxxxxxxx\"><!ENTITY b \"&a;&a;&a;&a;\">]><asic";
        d.replace("?><asic", bomb)
    });
    add("depth of 5000 in the signature", xml, &|d| {
        d.replace("<ds:Object>", &format!("<ds:Object>{}{}", "<a>".repeat(5000), "</a>".repeat(5000)))
    });
    add("signature cut off", xml, &|d| d[..d.len() - 30].into());
    add("another value", value, &|d| flip(&d, "<ds:SignatureValue Id=\"signature-value\">"));
    add("an empty value", value, &|d| cut(&d, "<ds:SignatureValue Id=\"signature-value\">", "<"));
    add("another digest", value, &|d| flip(&d, "<ds:DigestValue>"));
    add("another time", value, &|d| d.replace("<xades:SigningTime>2", "<xades:SigningTime>1"));
    for (from, to) in [
        ("ecdsa-sha256", "ecdsa-sha1"),
        ("2001/04/xmldsig-more#ecdsa-sha256", "2000/09/xmldsig#hmac-sha1"),
        ("ecdsa-sha256", "rsa-sha256"),
        ("ecdsa-sha256", "none"),
    ] {
        add(&format!("signature method {to}"), value, &|d| d.replacen(from, to, 1));
    }
    for (name, uri, code) in [
        ("SHA-1", "http://www.w3.org/2000/09/xmldsig#sha1", value),
        ("MD5", "http://www.w3.org/2001/04/xmldsig-more#md5", malformed),
    ] {
        add(&format!("digests with {name}"), code, &|d| {
            d.replace("http://www.w3.org/2001/04/xmlenc#sha256", uri)
        });
    }
    add("two signatures", malformed, &|d| {
        let start = d.find("<ds:Signature ").unwrap();
        let end = d.find("</asic:XAdESSignatures>").unwrap();
        format!("{}{}{}", &d[..end], &d[start..end], &d[end..])
    });
    add("a transform", malformed, &|d| {
        d.replace("<ds:DigestMethod", "<ds:Transforms><ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"/></ds:Transforms><ds:DigestMethod")
    });
    add("no certificate", malformed, &|d| cut(&d, "<ds:KeyInfo>", "</ds:KeyInfo>"));
    add("no OCSP value", malformed, &|d| cut(&d, "<xades:OCSPValues>", "</xades:OCSPValues>"));
}

fn flip(document: &str, after: &str) -> String {
    let at = document.find(after).unwrap() + after.len();
    let at = at + usize::from(document[at..].starts_with('\n'));
    let other = if document[at..].starts_with('A') { "B" } else { "A" };
    format!("{}{other}{}", &document[..at], &document[at + 1..])
}

fn cut(document: &str, after: &str, until: &str) -> String {
    let at = document.find(after).unwrap() + after.len();
    let end = at + document[at..].find(until).unwrap();
    format!("{}{}", &document[..at], &document[end..])
}

// Somebody else's key, or a certificate that nobody vouches for.
fn signers(lab: &Lab, cases: &mut Vec<Case>) {
    let part = good_rest_part("GET", "/echo");
    let (foreign, late) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let foreign = other_pki(lab, foreign.path(), &[], now());
    let authority = ["ca.key", "ca.crt", "ocsp.key", "ocsp.crt"];
    let expired = other_pki(lab, late.path(), &authority, now().plus_secs(-11 * 366 * 86_400));
    let (foreign_responder, expired_responder) =
        (Responder::new(foreign.clone()).unwrap(), Responder::new(expired.clone()).unwrap());
    let of = |pki: &'_ hermod::sandbox::pki::Pki| pki.servers[0].signing.certificate().clone();
    let (own, strange, old) = (lab.forger(0), of(&foreign), of(&expired));
    let stranger = Forger {
        identities: &foreign.servers[0],
        ca: foreign.ca.certificate(),
        responder: &foreign_responder,
    };
    let dead = Forger { identities: &expired.servers[0], ca: own.ca, responder: &expired_responder };
    let signing = own.identities.signing.certificate();
    let mut add = |name: &str, code: &str, forger: &Forger<'_>, ocsp: Vec<Vec<u8>>| {
        let mut draft = lab.rest_of(&part, None);
        draft.remove(draft::SIGNATURE);
        push_signature(&mut draft, &forger.sign_with(&forger.template(ocsp), &[&part]));
        cases.push(Case::new(name, &draft, verification(code)));
    };
    let other = lab.forger(1);
    let others = vec![other.ocsp(other.identities.signing.certificate(), 0)];
    add("another member", "incorrect_certificate", &other, others);
    add(
        "a foreign authority",
        "cannot_create_cert_path.internal_error",
        &stranger,
        vec![stranger.ocsp(&strange, 0)],
    );
    add("an expired certificate", "cannot_create_cert_path.internal_error", &dead, vec![dead.ocsp(&old, 0)]);
    let times = "invalid_cert_path.incorrect_validation_info";
    add("an old OCSP response", times, &own, vec![own.ocsp(signing, -7200)]);
    add("an OCSP response from the future", times, &own, vec![own.ocsp(signing, 3600)]);
    add(
        "somebody else's OCSP response",
        "invalid_cert_path.cert_validation",
        &own,
        vec![stranger.ocsp(&strange, 0)],
    );
    own.responder.set_revoked(signing.serial().to_vec(), true);
    let revoked = own.ocsp(signing, 0);
    own.responder.set_revoked(signing.serial().to_vec(), false);
    add("a revoked certificate", "invalid_cert_path.cert_validation", &own, vec![revoked.clone()]);
    add(
        "a good answer beside a revocation",
        "invalid_cert_path.cert_validation",
        &own,
        vec![own.ocsp(signing, 0), revoked],
    );
    let mut forged = own.ocsp(signing, 0);
    // Within the producedAt of the signed data.
    let at = forged.windows(4).position(|w| w == b"\x18\x0f20").unwrap() + 6;
    forged[at] ^= 1;
    add("a forged OCSP response", times, &own, vec![forged]);
    add("garbage as OCSP response", "malformed_signature", &own, vec![b"garbage".to_vec()]);
}

// The signed properties name one certificate, the unsigned key information another, whose key did sign.
fn exchanged_certificate(lab: &Lab, cases: &mut Vec<Case>) {
    let part = good_rest_part("GET", "/echo");
    let (own, other) = (lab.forger(0), lab.forger(1));
    let der = |forger: &Forger<'_>| forger.identities.signing.certificate().der().to_vec();
    let named = Forger { identities: other.identities, ..lab.forger(0) };
    let template = named.template(vec![own.ocsp(own.identities.signing.certificate(), 0)]);
    let mut draft = lab.rest_of(&part, None);
    draft.remove(draft::SIGNATURE);
    push_signature(&mut draft, &own.sign_with(&template, &[&part]));
    let document = String::from_utf8(draft.part(draft::SIGNATURE).clone()).unwrap();
    let (start, end) = ("<ds:X509Certificate>", "</ds:X509Certificate>");
    let shown = cut(&document, start, end).replace(start, &format!("{start}{}", BASE64.encode(der(&own))));
    assert_ne!(der(&own), der(&other));
    *draft.part(draft::SIGNATURE) = shown.into_bytes();
    cases.push(Case::new(
        "another certificate than the signed one",
        &draft,
        verification("malformed_signature"),
    ));
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
const SPACES: &str = " xmlns=\"http://www.w3.org/2000/09/xmldsig#\" xmlns:ns2=\"http://cyber.ee/hashchain\"";
const SHA512: &str = "http://www.w3.org/2001/04/xmlenc#sha512";

// Chains that the attacker signs himself, whatever they say.
fn chains(lab: &Lab, cases: &mut Vec<Case>) {
    let (part, body) = (good_rest_part("POST", "/echo"), b"{\"a\":1}".as_slice());
    let digest = |bytes: &[u8]| DigestAlgorithm::Sha512.digest(bytes);
    let tree =
        |parts: Vec<_>| HashTree::new(vec![Leaf::Parts(parts), Leaf::Single(digest(b"other"))]).unwrap();
    let good = tree(vec![digest(&part), digest(body)]);
    let uri = "/sig-hashchain.xml";
    let result = String::from_utf8(good.result_xml(uri)).unwrap();
    let chain = String::from_utf8(good.chain_xml(0, "/message.xml")).unwrap();
    let mut add = |name: &str, code: &str, result: &str, chain: &str| {
        let mut draft = lab.rest_of(&part, Some(body));
        *draft.part(draft::CHAIN_RESULT) = result.as_bytes().to_vec();
        *draft.part(draft::CHAIN) = chain.as_bytes().to_vec();
        *draft.part(draft::SIGNATURE) =
            lab.forger(0).sign_reference(Reference::HashChainResult, result.as_bytes());
        cases.push(Case::new(name, &draft, verification(&format!("malformed_signature.{code}"))));
    };
    let (malformed, reference, root) = ("malformed_hash_chain", "invalid_reference", "invalid_hash_chain");
    let other =
        String::from_utf8(tree(vec![digest(b"x"), digest(body)]).chain_xml(0, "/message.xml")).unwrap();
    add("chain of another message", "invalid_hash_chain_ref", &result, &other);
    let sibling = String::from_utf8(good.chain_xml(1, "/message.xml")).unwrap();
    add("chain of the other leaf", root, &result, &sibling);
    let other =
        String::from_utf8(tree(vec![digest(body), digest(&part)]).chain_xml(0, "/message.xml")).unwrap();
    add("parts in another order", "invalid_hash_chain_ref", &result, &other);
    let single = HashTree::new(vec![Leaf::Single(digest(&part)), Leaf::Single(digest(b"other"))]).unwrap();
    let (short_result, short) = (single.result_xml(uri), single.chain_xml(0, "/message.xml"));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    add("body not in the chain", "hashchain_unused_inputs", &text(short_result), &text(short));
    let three = tree(vec![digest(&part), digest(body), digest(b"z")]);
    add(
        "a part that is not there",
        reference,
        &text(three.result_xml(uri)),
        &text(three.chain_xml(0, "/message.xml")),
    );
    let foreign = text(good.chain_xml(0, "/etc/passwd"));
    add("a reference to a file", reference, &result, &foreign);
    add("a reference to an address", reference, &result, &text(good.chain_xml(0, "http://127.0.0.1:1/")));
    add("result of another step", malformed, &result.replace("#STEP0", "#STEP9"), &chain);
    add("result without step", malformed, &result.replace("#STEP0", ""), &chain);
    add("result of another chain", reference, &result.replace(uri, "/other.xml"), &chain);
    let value = BASE64.encode(good.root().as_ref());
    let wrong = result.replace(&value, &BASE64.encode(digest(b"wrong").as_ref()));
    add("another root", root, &wrong, &chain);
    add("a step inside", malformed, &result.replace("#STEP0", "#STEP1"), &chain);
    add("a cycle", malformed, &result, &chain.replace("#STEP1", "#STEP0"));
    add("an unknown step", malformed, &result, &chain.replace("#STEP1", "#STEP7"));
    add(
        "a step twice",
        malformed,
        &result,
        &chain.replace(
            "<ns2:StepRef URI=\"#STEP1\"/>",
            "<ns2:StepRef URI=\"#STEP1\"/><ns2:StepRef URI=\"#STEP1\"/>",
        ),
    );
    add("two steps of one name", malformed, &result, &chain.replace("id=\"STEP1\"", "id=\"STEP0\""));
    for (name, uri) in [
        ("SHA-1", "http://www.w3.org/2000/09/xmldsig#sha1"),
        ("MD5", "http://www.w3.org/2001/04/xmldsig-more#md5"),
    ] {
        add(&format!("chain with {name}"), malformed, &result, &chain.replace(SHA512, uri));
        add(&format!("result with {name}"), malformed, &result.replace(SHA512, uri), &chain);
    }
    add("DOCTYPE in the chain", malformed, &result, &chain.replace("?>", "?><!DOCTYPE a>"));
    add(
        "entity bomb in the chain",
        malformed,
        &result,
        &chain.replace("?>", "?><!DOCTYPE a [<!ENTITY a \"x\">]>"),
    );
    add("DOCTYPE in the result", malformed, &result.replace("?>", "?><!DOCTYPE a>"), &chain);
    add("an empty chain", malformed, &result, "");
    add("an empty result", malformed, " ", &chain);
    let steps: String = (0..5000)
        .map(|n| format!("<ns2:HashStep id=\"S{n}\"><ns2:StepRef URI=\"#S{}\"/></ns2:HashStep>", n + 1))
        .collect();
    let method = format!("<ns2:DefaultDigestMethod Algorithm=\"{SHA512}\"/>");
    let long = format!("{HEAD}<ns2:HashChain{SPACES}>{method}{steps}</ns2:HashChain>");
    add("a chain of 5000 steps", malformed, &result.replace("#STEP0", "#S0"), &long);
    let item = format!("<ns2:HashValue><DigestValue>{value}</DigestValue></ns2:HashValue>").repeat(3000);
    let wide = format!(
        "{HEAD}<ns2:HashChain{SPACES}>{method}<ns2:HashStep id=\"STEP0\">{item}</ns2:HashStep></ns2:HashChain>"
    );
    add("a step of 3000 values", malformed, &result, &wide);
    let deep =
        format!("{HEAD}<ns2:HashChain{SPACES}>{}{}</ns2:HashChain>", "<a>".repeat(5000), "</a>".repeat(5000));
    add("depth of 5000 in the chain", malformed, &result, &deep);
    add(
        "a chain without steps",
        malformed,
        &result,
        &format!("{HEAD}<ns2:HashChain{SPACES}>{method}</ns2:HashChain>"),
    );
    let message = format!(
        "{HEAD}<ns2:HashChain{SPACES}>{method}<ns2:HashStep id=\"STEP0\">{item}</ns2:HashStep></ns2:HashChain>",
        item = "<ns2:DataRef URI=\"/message.xml\"/>"
    );
    add("a reference without value", malformed, &result, &message);
}
