//! Hash chains and their results without their XML, and the same XML again.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};

use super::format::{self, Fields};
use crate::crypto::{Digest, DigestAlgorithm};
use crate::evidence::hash_chain::{ChainPath, Leaf, read_result, result_xml};
use crate::evidence::{PartName, SIGNATURE_HASH_CHAIN};

const NONE: u8 = 0;
const AS_IT_IS: u8 = 1;
const USUAL_FORM: u8 = 2;

/// Appends a `chain`; `known` is what it says, where that was found out already.
pub(super) fn put_chain(out: &mut BytesMut, chain: Option<&[u8]>, known: Option<&ChainPath>) {
    let Some(xml) = chain else { return out.put_u8(NONE) };
    let read = || ChainPath::read(xml, &PartName::Message.uri()).map(Cow::Owned);
    let Some(path) = known.map(Cow::Borrowed).or_else(read) else {
        out.put_u8(AS_IT_IS);
        return format::put_blob(out, xml);
    };
    debug_assert_eq!(path.to_xml(&PartName::Message.uri()), xml, "a chain is stored as it was signed");
    out.put_u8(USUAL_FORM);
    out.put_u8(algorithm_code(path.algorithm));
    out.put_u8(path.siblings.len() as u8);
    let (parts, digests) = match &path.leaf {
        Leaf::Single(digest) => (0, std::slice::from_ref(digest)),
        Leaf::Parts(digests) => (digests.len() as u16, digests.as_slice()),
    };
    out.put_u16_le(parts);
    let left = path.siblings.iter().enumerate().filter(|(_, (_, is_left))| *is_left);
    out.put_u64_le(left.fold(0, |sides, (at, _)| sides | 1 << at));
    path.siblings.iter().map(|(digest, _)| digest).chain(digests).for_each(|digest| {
        out.put_slice(digest.as_ref());
    });
}

/// Reads a `chain`; the outer option is whether it can be read.
pub(super) fn chain(fields: &mut Fields<'_>, payload: &Bytes) -> Option<Option<Bytes>> {
    match fields.u8()? {
        NONE => Some(None),
        AS_IT_IS => Some(Some(payload.slice_ref(fields.blob()?))),
        USUAL_FORM => {
            let algorithm = algorithm(fields.u8()?)?;
            let (depth, parts, sides) = (fields.u8()?, fields.u16()?, fields.u64()?);
            let mut digest = || Digest::from_bytes(algorithm, fields.take(algorithm.length())?);
            let is_left = |at: u8| sides.checked_shr(at.into()).unwrap_or(0) & 1 == 1;
            let siblings = (0..depth).map(|at| Some((digest()?, is_left(at)))).collect::<Option<_>>()?;
            let leaf = match parts {
                0 => Leaf::Single(digest()?),
                parts => Leaf::Parts((0..parts).map(|_| digest()).collect::<Option<_>>()?),
            };
            let path = ChainPath { algorithm, siblings, leaf };
            Some(Some(path.to_xml(&PartName::Message.uri()).into()))
        }
        _ => None,
    }
}

/// Appends a `result`.
pub(super) fn put_result(out: &mut BytesMut, result: Option<&[u8]>) {
    let Some(xml) = result else { return out.put_u8(NONE) };
    match read_result(xml, SIGNATURE_HASH_CHAIN) {
        Some(digest) => {
            debug_assert_eq!(result_xml(&digest, SIGNATURE_HASH_CHAIN), xml);
            out.put_u8(USUAL_FORM);
            put_digest(out, &digest);
        }
        None => {
            out.put_u8(AS_IT_IS);
            format::put_blob(out, xml);
        }
    }
}

/// Reads a `result`; the outer option is whether it can be read.
pub(super) fn result(fields: &mut Fields<'_>, payload: &Bytes) -> Option<Option<Bytes>> {
    match fields.u8()? {
        NONE => Some(None),
        AS_IT_IS => Some(Some(payload.slice_ref(fields.blob()?))),
        USUAL_FORM => Some(Some(result_xml(&digest(fields)?, SIGNATURE_HASH_CHAIN).into())),
        _ => None,
    }
}

/// Appends a `digest`.
pub(super) fn put_digest(out: &mut BytesMut, digest: &Digest) {
    out.put_u8(algorithm_code(digest.algorithm()));
    out.put_slice(digest.as_ref());
}

/// Reads a `digest`.
pub(super) fn digest(fields: &mut Fields<'_>) -> Option<Digest> {
    let algorithm = algorithm(fields.u8()?)?;
    Digest::from_bytes(algorithm, fields.take(algorithm.length())?)
}

fn algorithm_code(algorithm: DigestAlgorithm) -> u8 {
    match algorithm {
        DigestAlgorithm::Sha1 => 0,
        DigestAlgorithm::Sha224 => 1,
        DigestAlgorithm::Sha256 => 2,
        DigestAlgorithm::Sha384 => 3,
        DigestAlgorithm::Sha512 => 4,
    }
}

fn algorithm(code: u8) -> Option<DigestAlgorithm> {
    DigestAlgorithm::ALL.into_iter().find(|algorithm| algorithm_code(*algorithm) == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::hash_chain::HashTree;

    fn round_trip(xml: &[u8]) -> (usize, Option<Bytes>) {
        let mut out = BytesMut::new();
        put_chain(&mut out, Some(xml), None);
        let payload = out.freeze();
        (payload.len(), chain(&mut Fields(&payload), &payload).unwrap())
    }

    #[test]
    fn a_chain_comes_back_byte_for_byte_in_a_third_of_the_space() {
        let digest = |at: usize| DigestAlgorithm::Sha512.digest(&at.to_be_bytes());
        let leaves = (0..100).map(|at| match at % 3 {
            0 => Leaf::Single(digest(at)),
            parts => Leaf::Parts((0..parts).map(|part| digest(1000 * part + at)).collect()),
        });
        let tree = HashTree::new(leaves.collect()).unwrap();
        for at in 0..tree.len() {
            let xml = tree.chain_xml(at, "/message.xml");
            let (len, again) = round_trip(&xml);
            assert_eq!(again.as_deref(), Some(&xml[..]));
            assert!(len * 3 < xml.len(), "{len} of {}", xml.len());
        }
    }

    #[test]
    fn a_chain_of_another_form_is_kept_as_it_is() {
        for xml in [&b""[..], b"<HashChain/>", b"\xff"] {
            assert_eq!(round_trip(xml).1.as_deref(), Some(xml));
        }
    }
}
