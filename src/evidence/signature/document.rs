//! A signature document, read as strictly as its schema would and stricter: one signature, unique ids, every
//! element at its place.

use std::collections::HashSet;

use super::super::base64;
use super::names::{DS, SIGNED_PROPERTIES_TYPE, XADES, XADES_ANY};
use crate::crypto::DigestAlgorithm;
use crate::limits::{REFERENCES_MAX, SIGNATURE_BYTES_MAX};
use crate::message::{ErrorCode, XRoadError};
use crate::xml::{C14n, Document, Limits, Node, XmlError};

/// The places of a signature document that verification needs.
pub(super) struct SignatureDocument<'d> {
    pub(super) signed_info: Node<'d>,
    pub(super) canonicalization: C14n,
    pub(super) signature_method: &'d str,
    pub(super) references: Vec<DataReference<'d>>,
    pub(super) properties: PropertiesReference,
    pub(super) signature_value: Vec<u8>,
    pub(super) certificate: Option<Vec<u8>>,
    pub(super) signed_properties: Node<'d>,
    pub(super) signed_signature_properties: Node<'d>,
    pub(super) unsigned_signature_properties: Option<Node<'d>>,
}

/// A reference to data outside of the document.
pub(super) struct DataReference<'d> {
    pub(super) uri: &'d str,
    pub(super) method: DigestAlgorithm,
    pub(super) digest: Vec<u8>,
}

/// The reference to the signed properties.
pub(super) struct PropertiesReference {
    pub(super) transform: C14n,
    pub(super) method: DigestAlgorithm,
    pub(super) digest: Vec<u8>,
}

pub(super) type Read<T> = Result<T, XRoadError>;

pub(super) fn malformed(text: &'static str) -> XRoadError {
    XRoadError::new(ErrorCode::MalformedSignature, text)
}

/// Parses; not XML, or not acceptable as XML: `invalid_xml`.
pub(super) fn parse(bytes: &[u8]) -> Read<Document<'_>> {
    let parsed = Document::parse(bytes, &Limits::bytes(SIGNATURE_BYTES_MAX));
    parsed.map_err(|error: XmlError| {
        XRoadError::new(ErrorCode::InvalidXml, format!("signature document is {error}"))
    })
}

impl<'d> SignatureDocument<'d> {
    /// Finds everything at its place. Errors: `malformed_signature`.
    pub(super) fn read(document: &'d Document<'d>) -> Read<Self> {
        let signature = find_signature(document)?;
        no_strangers(document)?;
        let id = ids(signature, &["Id"])?;
        let mut children = children(signature)?;
        let mut next = |local: &'static str| {
            let found = children.next().filter(|node| is_ds(*node, local));
            found.ok_or_else(|| malformed("an element of the signature is missing or not at its place"))
        };
        let (signed_info, value) = (next("SignedInfo")?, next("SignatureValue")?);
        let (key_info, object) = (next("KeyInfo")?, next("Object")?);
        if children.next().is_some() {
            return Err(malformed("an element after the signature's object"));
        }
        ids(value, &["Id"])?;
        ids(object, &["Id", "MimeType", "Encoding"])?;
        let qualifying = only_child(object, XADES, "QualifyingProperties")?;
        let target = ids(qualifying, &["Target", "Id"])?.first().copied().flatten();
        if target.and_then(|target| target.strip_prefix('#')) != id.first().copied().flatten() {
            return Err(malformed("qualifying properties of another signature"));
        }
        let mut qualifying = xades_children(qualifying)?;
        let signed_properties = qualifying.next().filter(|node| node.is(XADES, "SignedProperties"));
        let signed_properties = signed_properties.ok_or_else(|| malformed("no signed properties"))?;
        let unsigned = qualifying.next();
        if unsigned.is_some_and(|node| !node.is(XADES, "UnsignedProperties")) || qualifying.next().is_some() {
            return Err(malformed("unknown qualifying properties"));
        }
        let unsigned_signature_properties = unsigned.map(unsigned_properties).transpose()?;
        let mut signed_children = xades_children(signed_properties)?;
        let signed_signature_properties =
            signed_children.next().filter(|node| node.is(XADES, "SignedSignatureProperties"));
        let rest_known = |node: Node| node.is(XADES, "SignedDataObjectProperties");
        if signed_children.next().is_some_and(|node| !rest_known(node)) || signed_children.next().is_some() {
            return Err(malformed("unknown signed properties"));
        }

        let mut info = children_of(signed_info)?;
        let canonicalization = info.next().filter(|node| is_ds(*node, "CanonicalizationMethod"));
        let canonicalization = canonicalization.map(algorithm).transpose()?.and_then(C14n::from_uri);
        let method = info.next().filter(|node| is_ds(*node, "SignatureMethod")).map(algorithm).transpose()?;
        let properties_id = ids(signed_properties, &["Id"])?.first().copied().flatten();
        let (references, properties) = references(info, properties_id)?;
        Ok(Self {
            signed_info,
            canonicalization: canonicalization.ok_or_else(|| malformed("unknown canonicalisation method"))?,
            signature_method: method.ok_or_else(|| malformed("no signature method"))?,
            references,
            properties,
            signature_value: binary(value)?,
            certificate: certificate(key_info)?,
            signed_properties,
            signed_signature_properties: signed_signature_properties
                .ok_or_else(|| malformed("no signed signature properties"))?,
            unsigned_signature_properties,
        })
    }
}

// The signature is the document element, or the first and only child of the wrapper.
fn find_signature<'d>(document: &'d Document<'d>) -> Read<Node<'d>> {
    let root = document.root();
    if is_ds(root, "Signature") {
        return Ok(root);
    }
    let mut children = root.children();
    match (children.next(), children.next()) {
        (Some(only), None) if is_ds(only, "Signature") && root.local() == "XAdESSignatures" => Ok(only),
        _ => Err(malformed("no ds:Signature as first and only child of the document element")),
    }
}

// What may stand unsigned in a signature: what is used, and what old containers carry without use.
const UNSIGNED_KNOWN: [&str; 7] = [
    "SignatureTimeStamp",
    "CompleteCertificateRefs",
    "CertificateValues",
    "RevocationValues",
    "CompleteRevocationRefs",
    "TimeStampValidationData",
    "XAdESTimeStamp",
];

// Nothing vouches for these elements, so there must be nothing among them that a reader could take for evidence.
fn unsigned_properties<'d>(unsigned: Node<'d>) -> Read<Node<'d>> {
    ids(unsigned, &["Id"])?;
    let mut children = xades_children(unsigned)?;
    let properties = match (children.next(), children.next()) {
        (Some(only), None) if only.is(XADES, "UnsignedSignatureProperties") => only,
        _ => return Err(malformed("not exactly one element of unsigned signature properties")),
    };
    ids(properties, &["Id"])?;
    for property in xades_children(properties)? {
        if !property.namespace().starts_with(XADES_ANY) || !UNSIGNED_KNOWN.contains(&property.local()) {
            return Err(malformed("an unknown unsigned property"));
        }
        if matches!(property.local(), "CertificateValues" | "RevocationValues") {
            only_binaries(property)?;
        }
    }
    Ok(properties)
}

// Values are in elements without child elements, and there is no other text.
fn only_binaries(values: Node<'_>) -> Read<()> {
    ids(values, &["Id"])?;
    for value in children_of(values)? {
        let is_list =
            matches!(value.local(), "OCSPValues" | "CRLValues") && value.namespace().starts_with(XADES_ANY);
        if value.local().starts_with("Encapsulated") {
            encapsulated(value)?;
            continue;
        }
        ids(value, &[])?;
        if !is_list || children_of(value)?.any(|inner| !inner.local().starts_with("Encapsulated")) {
            return Err(malformed("an unknown kind of certificate or revocation value"));
        }
        children_of(value)?.try_for_each(encapsulated)?;
    }
    Ok(())
}

fn encapsulated(value: Node<'_>) -> Read<()> {
    ids(value, &["Id", "Encoding"])?;
    binary(value).map(drop)
}

// What could hide a second signature or a second meaning of an id.
fn no_strangers(document: &Document<'_>) -> Read<()> {
    let mut seen = HashSet::new();
    let mut signatures = 0;
    for node in document.top().descendants() {
        if node.is_element() {
            signatures += usize::from(node.is(DS, "Signature"));
            for attribute in node.attributes() {
                if attribute.local.eq_ignore_ascii_case("id") && !seen.insert(attribute.value) {
                    return Err(malformed("two elements with one id"));
                }
            }
        } else if !node.is_text() && node != document.top() {
            return Err(malformed("a comment or processing instruction in a signature document"));
        }
    }
    if signatures == 1 { Ok(()) } else { Err(malformed("more than one signature")) }
}

fn references<'d>(
    elements: impl Iterator<Item = Node<'d>>,
    properties_id: Option<&str>,
) -> Read<(Vec<DataReference<'d>>, PropertiesReference)> {
    let mut data: Vec<DataReference<'_>> = Vec::new();
    let mut properties = None;
    for (count, element) in elements.enumerate() {
        if !is_ds(element, "Reference") || count >= REFERENCES_MAX {
            return Err(malformed("too many references, or something else among them"));
        }
        let attributes = ids(element, &["URI", "Type", "Id"])?;
        let uri =
            attributes.first().copied().flatten().ok_or_else(|| malformed("a reference without URI"))?;
        let kind = attributes.get(1).copied().flatten();
        let mut children = children_of(element)?.peekable();
        let transforms = children.next_if(|node| is_ds(*node, "Transforms"));
        let method = children.next().filter(|node| is_ds(*node, "DigestMethod"));
        let value = children.next().filter(|node| is_ds(*node, "DigestValue"));
        let (Some(method), Some(value), None) = (method, value, children.next()) else {
            return Err(malformed("a reference has a digest method and a digest value"));
        };
        let (method, digest) = (digest_method(method)?, binary(value)?);
        match uri.strip_prefix('#') {
            Some(id) => {
                let transform = match transforms {
                    None => C14n::Inclusive10,
                    Some(transforms) => {
                        let uri = algorithm(only_child(transforms, DS, "Transform")?)?;
                        C14n::from_uri(uri).ok_or_else(|| malformed("unknown transform"))?
                    }
                };
                let reference = PropertiesReference { transform, method, digest };
                if Some(id) != properties_id
                    || kind != Some(SIGNED_PROPERTIES_TYPE)
                    || properties.replace(reference).is_some()
                {
                    return Err(malformed(
                        "a reference within the document that is not to the signed properties",
                    ));
                }
            }
            None => {
                if transforms.is_some() || kind.is_some() || data.iter().any(|other| other.uri == uri) {
                    return Err(malformed("a reference to data is repeated, typed or transformed"));
                }
                data.push(DataReference { uri, method, digest });
            }
        }
    }
    match properties {
        Some(properties) if !data.is_empty() => Ok((data, properties)),
        _ => Err(malformed("data or signed properties are not referenced")),
    }
}

// The only certificate; a key info without one is a fault of its own, found later. A second way to name a key,
// which another reader might follow, is refused.
fn certificate(key_info: Node<'_>) -> Read<Option<Vec<u8>>> {
    ids(key_info, &["Id"])?;
    let mut data = children_of(key_info)?;
    let (first, second) = (data.next(), data.next());
    let Some(first) = first else { return Ok(None) };
    if second.is_some() || !is_ds(first, "X509Data") {
        return Err(malformed("key info with something else than one X509Data"));
    }
    let mut certificates = children_of(first)?;
    let (certificate, other) = (certificates.next(), certificates.next());
    if other.is_some() || certificate.is_some_and(|node| !is_ds(node, "X509Certificate")) {
        return Err(malformed("something beside the signing certificate"));
    }
    ids(first, &[])?;
    certificate.map(|certificate| ids(certificate, &[])).transpose()?;
    certificate.map(binary).transpose()
}

pub(super) fn is_ds(node: Node<'_>, local: &str) -> bool {
    node.is(DS, local) && node.prefix() == "ds"
}

/// The one child element, of the given name.
pub(super) fn only_child<'d>(parent: Node<'d>, namespace: &str, local: &str) -> Read<Node<'d>> {
    let mut children = children_of(parent)?;
    match (children.next(), children.next()) {
        (Some(child), None) if child.is(namespace, local) => Ok(child),
        _ => Err(malformed("an element does not have the one child that it should have")),
    }
}

fn children(parent: Node<'_>) -> Read<impl Iterator<Item = Node<'_>>> {
    children_of(parent)
}

/// The child elements of an element that may have no text but white space.
pub(super) fn children_of<'d>(parent: Node<'d>) -> Read<impl Iterator<Item = Node<'d>>> {
    let stray = |node: Node| node.is_text() && !node.text().trim_ascii().is_empty();
    if parent.children().any(stray) {
        return Err(malformed("text between elements"));
    }
    Ok(parent.elements())
}

// As `children_of`; XAdES elements carry the prefix that official servers look for.
fn xades_children<'d>(parent: Node<'d>) -> Read<impl Iterator<Item = Node<'d>>> {
    if parent.elements().any(|node| node.prefix() != "xades") {
        return Err(malformed("a XAdES element without the prefix xades"));
    }
    children_of(parent)
}

/// The values of these attributes; any other is refused.
pub(super) fn ids<'d>(element: Node<'d>, known: &[&str]) -> Read<Vec<Option<&'d str>>> {
    if element.attributes().any(|a| !a.namespace.is_empty() || !known.contains(&a.local)) {
        return Err(malformed("an unknown attribute"));
    }
    Ok(known.iter().map(|name| element.attribute(name)).collect())
}

fn algorithm<'d>(element: Node<'d>) -> Read<&'d str> {
    if element.children().next().is_some() {
        return Err(malformed("an algorithm with parameters"));
    }
    let attributes = ids(element, &["Algorithm"])?;
    attributes.first().copied().flatten().ok_or_else(|| malformed("an algorithm without identifier"))
}

/// A digest method that is known here; whether it is acceptable is the policy's matter.
pub(super) fn digest_method(element: Node<'_>) -> Read<DigestAlgorithm> {
    let known = DigestAlgorithm::from_uri(algorithm(element)?);
    known.filter(|known| *known != DigestAlgorithm::Sha224).ok_or_else(|| malformed("unknown digest method"))
}

/// The base64 content of an element without child elements.
pub(super) fn binary(element: Node<'_>) -> Read<Vec<u8>> {
    if element.elements().next().is_some() {
        return Err(malformed("an element where base64 should be"));
    }
    base64::decode(&element.text()).ok_or_else(|| malformed("text that is not base64"))
}
