//! The one form in which this server (and official ones) write hash chains, said once: for who writes it, and for those who
//! read it without a tree. Whatever differs by a single byte is `None` to them.

use crate::crypto::DigestAlgorithm;
use crate::limits::HASH_CHAIN_BYTES_MAX;

macro_rules! step {
    () => {
        "    <ns2:HashStep id=\""
    };
}
macro_rules! step_ref {
    () => {
        "        <ns2:StepRef URI=\""
    };
}

pub(super) const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
pub(super) const NAMESPACES: &str =
    " xmlns=\"http://www.w3.org/2000/09/xmldsig#\" xmlns:ns2=\"http://cyber.ee/hashchain\">\n";
pub(super) const CHAIN: &str = "<ns2:HashChain";
pub(super) const CHAIN_END: &str = "</ns2:HashChain>\n";
pub(super) const DEFAULT_METHOD: &str = "    <ns2:DefaultDigestMethod Algorithm=\"";
pub(super) const RESULT: &str = "<ns2:HashChainResult URI=\"";
pub(super) const RESULT_END: &str = "</ns2:HashChainResult>\n";
pub(super) const METHOD: &str = "    <DigestMethod Algorithm=\"";
pub(super) const RESULT_INDENT: &str = "    ";
pub(super) const STEP: &str = step!();
/// The names of steps that this server writes go on with a number.
pub(super) const STEP_NAMED: &str = concat!(step!(), "STEP");
pub(super) const STEP_OPEN: &str = "\">\n";
pub(super) const STEP_END: &str = "    </ns2:HashStep>\n";
pub(super) const STEP_REF: &str = step_ref!();
pub(super) const STEP_REF_NAMED: &str = concat!(step_ref!(), "#STEP");
pub(super) const HASH_VALUE: &str = "        <ns2:HashValue>\n            ";
pub(super) const HASH_VALUE_END: &str = "        </ns2:HashValue>\n";
pub(super) const DATA_REF: &str = "        <ns2:DataRef URI=\"";
pub(super) const DATA_REF_OPEN: &str = "\">\n            ";
pub(super) const DATA_REF_END: &str = "        </ns2:DataRef>\n";
pub(super) const VALUE: &str = "<DigestValue>";
pub(super) const VALUE_END: &str = "</DigestValue>\n";
/// Behind the last attribute of an element without content.
pub(super) const CLOSED: &str = "\"/>\n";

/// What is left of a document in this form.
pub(super) struct Form<'a> {
    rest: &'a [u8],
}

impl<'a> Form<'a> {
    /// A hash chain up to its first step, and the algorithm of its digests.
    pub(super) fn chain(xml: &'a [u8]) -> Option<(Self, DigestAlgorithm)> {
        let mut form = Self::document(xml, CHAIN)?;
        form.take(NAMESPACES)?;
        form.take(DEFAULT_METHOD)?;
        let method = form.method()?;
        Some((form, method))
    }

    /// A hash chain result up to the address that it begins with.
    pub(super) fn result(xml: &'a [u8]) -> Option<Self> {
        Self::document(xml, RESULT)
    }

    /// What follows that address, up to the value: the algorithm.
    pub(super) fn result_method(&mut self) -> Option<DigestAlgorithm> {
        self.take("\"")?;
        self.take(NAMESPACES)?;
        self.take(METHOD)?;
        let method = self.method()?;
        self.take(RESULT_INDENT)?;
        Some(method)
    }

    fn document(xml: &'a [u8], root: &str) -> Option<Self> {
        let mut form = Self { rest: xml };
        (xml.len() <= HASH_CHAIN_BYTES_MAX).then_some(())?;
        form.take(DECLARATION)?;
        form.take(root)?;
        Some(form)
    }

    pub(super) fn take(&mut self, literal: &str) -> Option<()> {
        self.take_bytes(literal.as_bytes())
    }

    pub(super) fn take_bytes(&mut self, literal: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(literal)?;
        Some(())
    }

    /// The last tag, and nothing behind it.
    pub(super) fn end(&mut self, literal: &str) -> Option<()> {
        self.take(literal)?;
        self.rest.is_empty().then_some(())
    }

    /// Up to the closing quotation mark, which stays, of characters that mean only themselves.
    pub(super) fn attribute(&mut self) -> Option<&'a str> {
        let (value, rest) = self.rest.split_at_checked(self.rest.iter().position(|b| *b == b'"')?)?;
        let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/.#:-_".contains(b);
        if value.is_empty() || !value.iter().all(plain) {
            return None;
        }
        self.rest = rest;
        std::str::from_utf8(value).ok()
    }

    fn method(&mut self) -> Option<DigestAlgorithm> {
        let method = DigestAlgorithm::from_uri(self.attribute()?)?;
        self.take(CLOSED)?;
        Some(method)
    }

    /// The outer option: whether the form is kept to; the inner: whether there is such an item.
    pub(super) fn hash_value<T>(&mut self, value: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.take(HASH_VALUE).is_none() {
            return Some(None);
        }
        let value = value(self)?;
        self.take(HASH_VALUE_END)?;
        Some(Some(value))
    }

    /// What follows the address of a reference to data.
    pub(super) fn data_value<T>(&mut self, value: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.take(DATA_REF_OPEN)?;
        let value = value(self)?;
        self.take(DATA_REF_END)?;
        Some(value)
    }

    /// The text of a digest, of which `length` finds how long it is.
    pub(super) fn digest_text(&mut self, length: impl FnOnce(&[u8]) -> Option<usize>) -> Option<&'a [u8]> {
        self.take(VALUE)?;
        let (text, rest) = self.rest.split_at_checked(length(self.rest)?)?;
        self.rest = rest;
        self.take(VALUE_END)?;
        Some(text)
    }
}
