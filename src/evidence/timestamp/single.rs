//! Single time-stamps: over one signature value, inside its signature document.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;

use super::error::TimestampError;
use crate::crypto::{Digest, DigestAlgorithm};
use crate::limits;
use crate::xml::{Document, Limits, Node};

const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
const XADES: &str = "http://uri.etsi.org/01903/v1.3.2#";

/// The digest that a single time-stamp covers: of the decoded octets of `ds:SignatureValue`, contrary to XAdES,
/// which would stamp the canonical element (`signature.md` 5.1).
///
/// # Errors
/// [`TimestampError::Document`] when there is no signature or its value is no base64.
pub fn single_imprint(
    signature_document: &[u8],
    algorithm: DigestAlgorithm,
) -> Result<Digest, TimestampError> {
    let document = parse(signature_document)?;
    Ok(algorithm.digest(&signature_value(&document)?))
}

/// Puts a token into a signature document: textually, as first child of `UnsignedSignatureProperties`, so that every
/// other byte stays what it was.
///
/// # Errors
/// [`TimestampError::Document`] when there is no place for it or it has been stamped already.
pub fn insert_token(signature_document: &[u8], token: &[u8]) -> Result<Bytes, TimestampError> {
    let document = parse(signature_document)?;
    let properties = named(document.root(), "xades", XADES, "UnsignedSignatureProperties").next();
    let properties = properties.ok_or(TimestampError::Document("it has no unsigned signature properties"))?;
    if properties.elements().any(|element| element.local() == "SignatureTimeStamp") {
        return Err(TimestampError::Document("it has a time-stamp already"));
    }
    let at = properties.content_range();
    if at.is_empty() {
        return Err(TimestampError::Document("its unsigned signature properties are empty"));
    }
    let (before, after) = signature_document.split_at(at.start);
    let encoded = STANDARD.encode(token);
    let mut out = Vec::with_capacity(signature_document.len() + encoded.len() + 120);
    out.extend_from_slice(before);
    out.extend_from_slice(b"<xades:SignatureTimeStamp><xades:EncapsulatedTimeStamp>");
    out.extend_from_slice(encoded.as_bytes());
    out.extend_from_slice(b"</xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp>");
    out.extend_from_slice(after);
    Ok(out.into())
}

/// The token inside a signature document, `None` when there is none. The old format without
/// `EncapsulatedTimeStamp` is understood (`signature.md` 6.3).
///
/// # Errors
/// [`TimestampError::Document`] for several tokens, one that is not where it belongs, or no base64.
pub fn embedded_token(document: &Document<'_>) -> Result<Option<Vec<u8>>, TimestampError> {
    let mut stamps = document.root().descendants().filter(|node| {
        node.is_element() && matches!(node.local(), "SignatureTimeStamp" | "EncapsulatedTimeStamp")
    });
    let Some(stamp) = stamps.next() else { return Ok(None) };
    let misplaced = TimestampError::Document("its time-stamp is not where it belongs");
    let is_named = |node: Node<'_>, local: &str| node.prefix() == "xades" && node.is(XADES, local);
    let in_place = is_named(stamp, "SignatureTimeStamp")
        && stamp.parent().is_some_and(|parent| is_named(parent, "UnsignedSignatureProperties"));
    if !in_place {
        return Err(misplaced);
    }
    let holder = stamps.next().unwrap_or(stamp);
    let is_encapsulated = is_named(holder, "EncapsulatedTimeStamp")
        && holder.parent().is_some_and(|p| p.range() == stamp.range());
    if stamps.next().is_some() || (holder.range() != stamp.range() && !is_encapsulated) {
        return Err(TimestampError::Document("it has several time-stamps"));
    }
    let stray = |node: Node<'_>| node.is_text() && !node.text().trim_ascii().is_empty();
    let is_bare =
        holder.range() == stamp.range() || (stamp.elements().count() == 1 && !stamp.children().any(stray));
    if holder.elements().next().is_some() || !is_bare {
        return Err(misplaced);
    }
    decode(&holder.text()).map(Some).ok_or(TimestampError::Document("its time-stamp is no base64"))
}

/// The decoded octets of the document's signature value.
///
/// # Errors
/// [`TimestampError::Document`] unless there is exactly one, in base64.
pub fn signature_value(document: &Document<'_>) -> Result<Vec<u8>, TimestampError> {
    let mut values = named(document.root(), "ds", DS, "SignatureValue");
    match (values.next(), values.next()) {
        (Some(value), None) => {
            decode(&value.text()).ok_or(TimestampError::Document("its signature value is no base64"))
        }
        _ => Err(TimestampError::Document("it does not have exactly one signature value")),
    }
}

/// Parses a signature document within its bounds.
///
/// # Errors
/// [`TimestampError::Document`].
fn parse(signature_document: &[u8]) -> Result<Document<'_>, TimestampError> {
    Document::parse(signature_document, &Limits::bytes(limits::SIGNATURE_BYTES_MAX))
        .map_err(|_| TimestampError::Document("it is not well-formed XML"))
}

fn named<'d>(root: Node<'d>, prefix: &str, namespace: &str, local: &str) -> impl Iterator<Item = Node<'d>> {
    root.descendants().filter(move |node| node.prefix() == prefix && node.is(namespace, local))
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let text: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(text).ok()
}
