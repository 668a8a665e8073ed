//! Hash chains in the one form in which this server (and official ones) write them, read without a tree.
//!
//! Whatever differs by a single byte from that form is `None` here and left to the strict reader: this one never refuses.

use super::super::base64;
use super::document::{Chain, ChainResult, Item, ItemKind, Step};
use super::tree::{DECLARATION, NAMESPACES};
use crate::crypto::DigestAlgorithm;
use crate::limits::{HASH_CHAIN_BYTES_MAX, HASH_CHAIN_ITEMS_MAX, HASH_CHAIN_STEPS_MAX};

/// A hash chain document.
pub(super) fn chain(bytes: &[u8], allow_sha1: bool) -> Option<Chain<'_>> {
    let mut form = Form::new(bytes, "<ns2:HashChain")?;
    form.take(NAMESPACES)?;
    form.take("    <ns2:DefaultDigestMethod Algorithm=\"")?;
    let method = form.method(allow_sha1)?;
    let mut steps: Vec<Step<'_>> = Vec::with_capacity(12);
    let mut items_left = HASH_CHAIN_ITEMS_MAX;
    while form.take("    <ns2:HashStep id=\"").is_some() {
        let id = form.attribute()?;
        form.take(">\n")?;
        let mut items = Vec::with_capacity(2);
        while form.take("    </ns2:HashStep>\n").is_none() {
            items_left = items_left.checked_sub(1)?;
            items.push(Item { method, kind: form.item()? });
        }
        if steps.len() == HASH_CHAIN_STEPS_MAX || steps.iter().any(|other| other.id == id) {
            return None;
        }
        steps.push(Step { id, items });
    }
    form.end("</ns2:HashChain>\n")?;
    Some(Chain { steps })
}

/// A hash chain result document.
pub(super) fn result(bytes: &[u8], allow_sha1: bool) -> Option<ChainResult> {
    let mut form = Form::new(bytes, "<ns2:HashChainResult URI=\"")?;
    let uri = form.attribute()?.to_owned();
    form.take(NAMESPACES)?;
    form.take("    <DigestMethod Algorithm=\"")?;
    let method = form.method(allow_sha1)?;
    form.take("    ")?;
    let value = form.digest_value()?;
    form.end("</ns2:HashChainResult>\n")?;
    Some(ChainResult { uri, method, value })
}

struct Form<'a> {
    rest: &'a str,
}

impl<'a> Form<'a> {
    fn new(bytes: &'a [u8], root: &str) -> Option<Self> {
        let rest = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= HASH_CHAIN_BYTES_MAX)?;
        let mut form = Self { rest };
        form.take(DECLARATION)?;
        form.take(root)?;
        Some(form)
    }

    fn take(&mut self, literal: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(literal)?;
        Some(())
    }

    fn end(&mut self, literal: &str) -> Option<()> {
        self.take(literal)?;
        self.rest.is_empty().then_some(())
    }

    // Up to the closing quote, of characters that mean only themselves.
    fn attribute(&mut self) -> Option<&'a str> {
        let (value, rest) = self.rest.split_once('"')?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/.#:-_".contains(&b);
        if value.is_empty() || !value.bytes().all(plain) {
            return None;
        }
        self.rest = rest;
        Some(value)
    }

    fn method(&mut self, allow_sha1: bool) -> Option<DigestAlgorithm> {
        let method = DigestAlgorithm::from_uri(self.attribute()?)?;
        self.take("/>\n")?;
        match method {
            DigestAlgorithm::Sha1 if !allow_sha1 => None,
            DigestAlgorithm::Sha224 => None,
            method => Some(method),
        }
    }

    fn item(&mut self) -> Option<ItemKind<'a>> {
        if self.take("        <ns2:StepRef URI=\"").is_some() {
            let uri = self.attribute()?;
            self.take("/>\n")?;
            return Some(ItemKind::StepRef(uri));
        }
        if self.take("        <ns2:HashValue>\n            ").is_some() {
            let value = self.digest_value()?;
            self.take("        </ns2:HashValue>\n")?;
            return Some(ItemKind::HashValue(value));
        }
        self.take("        <ns2:DataRef URI=\"")?;
        let uri = self.attribute()?;
        self.take(">\n            ")?;
        let value = self.digest_value()?;
        self.take("        </ns2:DataRef>\n")?;
        Some(ItemKind::DataRef { uri, transforms: Vec::new(), value })
    }

    fn digest_value(&mut self) -> Option<Vec<u8>> {
        self.take("<DigestValue>")?;
        let (value, rest) = self.rest.split_once('<')?;
        // Entities and white space are the strict reader's.
        let decoded = base64::decode_plain(value)?;
        self.rest = rest;
        self.take("/DigestValue>\n")?;
        Some(decoded)
    }
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
