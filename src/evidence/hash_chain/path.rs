//! What a hash chain says, without its XML: for whoever stores many of them.
//!
//! Only documents in the one form in which this server (and official ones) write them have a path, so that the
//! document can be written again from it with the same bytes.

use super::DigestList;
use super::form::{self, Form};
use super::tree::{self, Leaf};
use crate::crypto::{Digest, DigestAlgorithm};
use crate::evidence::{PartName, base64};
use crate::limits::{ATTACHMENTS_MAX, HASH_CHAIN_STEPS_MAX};

/// The way of one leaf through its tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainPath {
    /// Of all digests.
    pub algorithm: DigestAlgorithm,
    /// The digests beside the way, from the root down to the leaf, each with whether it stands to the left.
    pub siblings: Vec<(Digest, bool)>,
    /// The digests of the data.
    pub leaf: Leaf,
}

impl ChainPath {
    /// The path of a hash chain document over `data_uri`; `None` unless [`Self::to_xml`] gives exactly these bytes.
    pub fn read(xml: &[u8], data_uri: &str) -> Option<Self> {
        let (mut form, algorithm) = Form::chain(xml)?;
        let mut siblings = Vec::with_capacity(12);
        let leaf = loop {
            let step = siblings.len();
            if step == HASH_CHAIN_STEPS_MAX {
                return None;
            }
            form.take(form::STEP_NAMED)?;
            number(&mut form, step)?;
            form.take(form::STEP_OPEN)?;
            let left = form.hash_value(|form| digest_value(form, algorithm))?;
            if let Some(digest) = data_ref(&mut form, data_uri, algorithm)? {
                if left.is_none() && form.take(form::STEP_END).is_some() {
                    break Leaf::Parts(vec![digest]);
                }
                let sibling = match left {
                    Some(left) => Some((left, true)),
                    None => {
                        form.hash_value(|form| digest_value(form, algorithm))?.map(|right| (right, false))
                    }
                };
                let leaf = match sibling {
                    Some(sibling) => {
                        siblings.push(sibling);
                        Leaf::Single(digest)
                    }
                    None => Leaf::Parts(further_parts(&mut form, digest, algorithm)?),
                };
                form.take(form::STEP_END)?;
                break leaf;
            }
            form.take(form::STEP_REF_NAMED)?;
            number(&mut form, step + 1)?;
            form.take(form::CLOSED)?;
            siblings.push(match left {
                Some(left) => (left, true),
                None => (form.hash_value(|form| digest_value(form, algorithm))??, false),
            });
            form.take(form::STEP_END)?;
        };
        form.end(form::CHAIN_END)?;
        Some(Self { algorithm, siblings, leaf })
    }

    /// The value of the tree that the path leads to.
    pub fn root(&self) -> Digest {
        let mut list = DigestList::with_capacity(4);
        let leaf = self.leaf.value(self.algorithm, &mut list);
        self.siblings.iter().rev().fold(leaf, |own, sibling| self.parent(&own, sibling, &mut list))
    }

    /// The value of the node over `own` and its sibling.
    pub(super) fn parent(&self, own: &Digest, sibling: &(Digest, bool), list: &mut DigestList) -> Digest {
        let (sibling, is_left) = sibling;
        let (left, right) = if *is_left { (sibling, own) } else { (own, sibling) };
        list.push(left);
        list.push(right);
        list.digest(self.algorithm)
    }

    /// The hash chain document.
    pub fn to_xml(&self, data_uri: &str) -> Vec<u8> {
        let siblings = self.siblings.iter().map(|(digest, is_left)| (digest, *is_left));
        tree::chain_xml(self.algorithm, siblings, self.siblings.len(), &self.leaf, data_uri)
    }
}

/// The value of a hash chain result over the first step of `chain_uri`; `None` unless [`result_xml`] gives exactly
/// these bytes.
pub fn read_result(xml: &[u8], chain_uri: &str) -> Option<Digest> {
    let mut form = Form::result(xml)?;
    form.take(chain_uri)?;
    form.take("#STEP0")?;
    let algorithm = form.result_method()?;
    let value = digest_value(&mut form, algorithm)?;
    form.end(form::RESULT_END)?;
    Some(value)
}

/// The hash chain result document over the first step of `chain_uri`.
pub fn result_xml(value: &Digest, chain_uri: &str) -> Vec<u8> {
    tree::result_xml(value, chain_uri)
}

const BASE64_BYTES_MAX: usize = 88;

// Written as the writer writes it: no sign, no leading zeros.
fn number(form: &mut Form<'_>, expected: usize) -> Option<()> {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut left = expected;
    loop {
        at -= 1;
        *digits.get_mut(at)? = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    form.take_bytes(digits.get(at..)?)
}

fn data_ref(form: &mut Form<'_>, uri: &str, algorithm: DigestAlgorithm) -> Option<Option<Digest>> {
    if form.take(form::DATA_REF).is_none() {
        return Some(None);
    }
    form.take(uri)?;
    form.data_value(|form| digest_value(form, algorithm)).map(Some)
}

fn further_parts(form: &mut Form<'_>, first: Digest, algorithm: DigestAlgorithm) -> Option<Vec<Digest>> {
    let mut parts = vec![first];
    while let Some(part) = data_ref(form, &PartName::at(parts.len()).uri(), algorithm)? {
        parts.push(part);
        (parts.len() <= ATTACHMENTS_MAX + 1).then_some(())?;
    }
    Some(parts)
}

fn digest_value(form: &mut Form<'_>, algorithm: DigestAlgorithm) -> Option<Digest> {
    let text = form.digest_text(|_| Some(algorithm.length().div_ceil(3) * 4))?;
    let mut value = [0; BASE64_BYTES_MAX];
    // One spelling of a value only is accepted.
    let length = base64::decode_into(text, &mut value)?;
    Digest::from_bytes(algorithm, value.get(..length)?)
}

#[cfg(test)]
mod tests {
    use super::super::HashTree;
    use super::*;

    const DATA: &str = "/message.xml";

    fn trees() -> Vec<HashTree> {
        let mut trees = Vec::new();
        for algorithm in [DigestAlgorithm::Sha512, DigestAlgorithm::Sha256, DigestAlgorithm::Sha384] {
            for leaves in [1, 2, 3, 5, 8, 33] {
                let digest = |at: usize| algorithm.digest(&at.to_be_bytes());
                let parts = |at| Leaf::Parts((0..1 + at % 4).map(|part| digest(100 * at + part)).collect());
                let mixed = |at| if at % 2 == 0 { parts(at) } else { Leaf::Single(digest(at)) };
                trees.push(HashTree::new((0..leaves).map(parts).collect()).unwrap());
                trees.push(HashTree::new((0..leaves).map(mixed).collect()).unwrap());
            }
        }
        trees
    }

    #[test]
    fn a_chain_is_written_again_from_its_path() {
        for tree in trees() {
            for at in 0..tree.len() {
                let xml = tree.chain_xml(at, DATA);
                let path = ChainPath::read(&xml, DATA).unwrap();
                assert_eq!(path.to_xml(DATA), xml);
                assert_eq!(path.root(), *tree.root());
                assert_eq!(ChainPath::read(&xml, "/other.xml"), None);
            }
            let xml = tree.result_xml("/chain.xml");
            let value = read_result(&xml, "/chain.xml").unwrap();
            assert_eq!((&value, result_xml(&value, "/chain.xml")), (tree.root(), xml));
        }
    }

    #[test]
    fn what_cannot_be_written_again_has_no_path() {
        for tree in trees().iter().step_by(5) {
            let xml = tree.chain_xml(tree.len() - 1, DATA);
            let result = tree.result_xml("/chain.xml");
            for at in 0..xml.len() {
                for byte in *b"\"<& A=/0\n\r\xff" {
                    let mut altered = xml.clone();
                    altered[at] = byte;
                    let again = ChainPath::read(&altered, DATA).map(|path| path.to_xml(DATA));
                    assert!(again.is_none_or(|again| again == altered));
                    let mut altered = result.clone();
                    let Some(place) = altered.get_mut(at) else { continue };
                    *place = byte;
                    let again =
                        read_result(&altered, "/chain.xml").map(|value| result_xml(&value, "/chain.xml"));
                    assert!(again.is_none_or(|again| again == altered));
                }
                assert_eq!(ChainPath::read(&xml[..at], DATA), None);
            }
            assert_eq!(ChainPath::read(&[&xml[..], b" "].concat(), DATA), None);
        }
    }
}
