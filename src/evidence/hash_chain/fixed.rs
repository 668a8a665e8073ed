//! Hash chains in the one form in which this server (and official ones) write them, read without a tree.
//!
//! Whatever differs by a single byte from that form is `None` here and left to the strict reader: this one never refuses.

use super::super::base64;
use super::document::{Chain, ChainResult, Item, ItemKind, Step};
use super::form::{self, Form};
use crate::crypto::DigestAlgorithm;
use crate::limits::{HASH_CHAIN_ITEMS_MAX, HASH_CHAIN_STEPS_MAX};

/// A hash chain document.
pub(super) fn chain(bytes: &[u8], allow_sha1: bool) -> Option<Chain<'_>> {
    let (mut form, method) = Form::chain(bytes)?;
    let method = allowed(method, allow_sha1)?;
    let mut steps: Vec<Step<'_>> = Vec::with_capacity(12);
    let mut items_left = HASH_CHAIN_ITEMS_MAX;
    while form.take(form::STEP).is_some() {
        let id = form.attribute()?;
        form.take(form::STEP_OPEN)?;
        let mut items = Vec::with_capacity(2);
        while form.take(form::STEP_END).is_none() {
            items_left = items_left.checked_sub(1)?;
            items.push(Item { method, kind: item(&mut form)? });
        }
        if steps.len() == HASH_CHAIN_STEPS_MAX || steps.iter().any(|other| other.id == id) {
            return None;
        }
        steps.push(Step { id, items });
    }
    form.end(form::CHAIN_END)?;
    Some(Chain { steps })
}

/// A hash chain result document.
pub(super) fn result(bytes: &[u8], allow_sha1: bool) -> Option<ChainResult> {
    let mut form = Form::result(bytes)?;
    let uri = form.attribute()?.to_owned();
    let method = allowed(form.result_method()?, allow_sha1)?;
    let value = digest_value(&mut form)?;
    form.end(form::RESULT_END)?;
    Some(ChainResult { uri, method, value })
}

fn allowed(method: DigestAlgorithm, allow_sha1: bool) -> Option<DigestAlgorithm> {
    match method {
        DigestAlgorithm::Sha1 if !allow_sha1 => None,
        DigestAlgorithm::Sha224 => None,
        method => Some(method),
    }
}

fn item<'a>(form: &mut Form<'a>) -> Option<ItemKind<'a>> {
    if form.take(form::STEP_REF).is_some() {
        let uri = form.attribute()?;
        form.take(form::CLOSED)?;
        return Some(ItemKind::StepRef(uri));
    }
    if let Some(value) = form.hash_value(digest_value)? {
        return Some(ItemKind::HashValue(value));
    }
    form.take(form::DATA_REF)?;
    let uri = form.attribute()?;
    let value = form.data_value(digest_value)?;
    Some(ItemKind::DataRef { uri, transforms: Vec::new(), value })
}

fn digest_value(form: &mut Form<'_>) -> Option<Vec<u8>> {
    // Entities and white space are the strict reader's.
    base64::decode_plain(form.digest_text(|rest| memchr::memchr(b'<', rest))?)
}

#[cfg(test)]
mod tests {
    use super::super::document;
    use super::super::{HashTree, Leaf};
    use super::*;

    fn tree(leaves: usize) -> HashTree {
        let digest = |index: usize| DigestAlgorithm::Sha512.digest(&index.to_be_bytes());
        let leaf = |index| match index % 2 {
            0 => Leaf::Single(digest(index)),
            _ => Leaf::Parts(vec![digest(index), digest(1000 + index), digest(2000 + index)]),
        };
        HashTree::new((1..=leaves).map(leaf).collect()).unwrap()
    }

    fn same(fixed: &Chain<'_>, strict: &Chain<'_>) {
        assert_eq!(fixed.steps.len(), strict.steps.len());
        for (one, other) in fixed.steps.iter().zip(&strict.steps) {
            assert_eq!(one.id, other.id);
            assert_eq!(one.items, other.items);
        }
    }

    #[test]
    fn reads_what_the_strict_reader_reads() {
        for leaves in [1, 2, 3, 7, 64, 100] {
            let tree = tree(leaves);
            for index in 0..leaves {
                let xml = tree.chain_xml(index, "/message.xml");
                let parsed = document::parse(&xml).unwrap();
                same(&chain(&xml, false).unwrap(), &Chain::read(&parsed, false).unwrap());
            }
            let xml = tree.result_xml("/sig-hashchain.xml");
            let (one, other) = (result(&xml, false).unwrap(), ChainResult::read(&xml, false).unwrap());
            assert_eq!((one.uri, one.method, one.value), (other.uri, other.method, other.value));
        }
    }

    #[test]
    fn an_altered_chain_is_never_read_differently_from_the_strict_reader() {
        let xml = tree(3).chain_xml(1, "/message.xml");
        for at in 0..xml.len() {
            for byte in [b'"', b'<', b'&', b' ', b'A', b'\n', 0xff] {
                let mut altered = xml.clone();
                altered[at] = byte;
                let Some(fixed) = chain(&altered, false) else { continue };
                let parsed = document::parse(&altered).unwrap();
                same(&fixed, &Chain::read(&parsed, false).unwrap());
            }
        }
    }
}
