use std::borrow::Cow;

use super::super::document::Kind;
use super::super::escape::{push_attribute, push_text};
use super::super::namespaces::Scope;
use super::super::{Attribute, Node, XML_NAMESPACE, XmlError};
use super::{C14n, base};

/// Writes canonical octets of one subtree, in one pass and without recursion.
pub(super) struct Writer<'d, 'p> {
    out: Vec<u8>,
    method: C14n,
    inclusive_prefixes: &'p [&'p str],
    // What the written ancestors have declared; the prefix `xml` counts as declared.
    rendered: Scope<'d>,
    // Marks of `rendered`, one for each open element.
    marks: Vec<usize>,
    after_root: bool,
    // Buffers of one start tag, kept to be used again.
    namespaces: Vec<(&'d str, &'d str)>,
    attributes: Vec<(Attribute<'d>, Option<String>)>,
}

impl<'d, 'p> Writer<'d, 'p> {
    pub(super) fn new(method: C14n, inclusive_prefixes: &'p [&'p str], capacity: usize) -> Self {
        Self {
            out: Vec::with_capacity(capacity),
            method,
            inclusive_prefixes,
            rendered: Scope::new(),
            marks: Vec::new(),
            after_root: false,
            namespaces: Vec::new(),
            attributes: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.out
    }

    pub(super) fn subtree(&mut self, apex: Node<'d>, max_bytes: usize) -> Result<(), XmlError> {
        let mut node = apex;
        loop {
            self.enter(node, node == apex);
            if self.out.len() > max_bytes {
                return Err(XmlError::TooLarge { what: "bytes of canonical form" });
            }
            if let Some(child) = node.children().next() {
                node = child;
                continue;
            }
            loop {
                self.leave(node);
                if node == apex {
                    return Ok(());
                }
                if let Some(next) = node.next_sibling() {
                    node = next;
                    break;
                }
                let Some(parent) = node.parent() else { return Ok(()) };
                node = parent;
            }
        }
    }

    fn enter(&mut self, node: Node<'d>, is_apex: bool) {
        let data = node.data();
        let written =
            matches!(data.kind, Kind::Pi) || (data.kind == Kind::Comment && self.method.with_comments());
        if !is_apex && written && node.parent().is_none() && self.after_root {
            self.out.push(b'\n');
        }
        match data.kind {
            Kind::Document => {}
            Kind::Element => self.start_tag(node, is_apex),
            Kind::Text | Kind::CData => push_text(&mut self.out, &data.text),
            Kind::Comment if self.method.with_comments() => {
                self.out.extend_from_slice(b"<!--");
                self.out.extend_from_slice(data.text.as_bytes());
                self.out.extend_from_slice(b"-->");
            }
            Kind::Comment => {}
            Kind::Pi => {
                self.out.extend_from_slice(b"<?");
                self.out.extend_from_slice(data.local.as_bytes());
                if !data.text.is_empty() {
                    self.out.push(b' ');
                    self.out.extend_from_slice(data.text.as_bytes());
                }
                self.out.extend_from_slice(b"?>");
            }
        }
        if !is_apex && written && node.parent().is_none() && !self.after_root {
            self.out.push(b'\n');
        }
    }

    fn leave(&mut self, node: Node<'d>) {
        if node.is_element() {
            self.out.extend_from_slice(b"</");
            self.name(node.prefix(), node.local());
            self.out.push(b'>');
            if let Some(mark) = self.marks.pop() {
                self.rendered.leave(mark, false);
            }
            self.after_root = self.marks.is_empty();
        }
    }

    fn start_tag(&mut self, node: Node<'d>, is_apex: bool) {
        self.collect_namespaces(node, is_apex);
        self.collect_attributes(node, is_apex);
        self.out.push(b'<');
        self.name(node.prefix(), node.local());
        self.marks.push(self.rendered.mark());
        let namespaces = std::mem::take(&mut self.namespaces);
        for (prefix, uri) in &namespaces {
            let rendered = self.rendered.resolve(prefix).map(|id| self.rendered.uri(id));
            if rendered == Some(*uri) {
                continue;
            }
            self.rendered.declare(prefix, Cow::Borrowed(uri));
            self.out.extend_from_slice(if prefix.is_empty() { b" xmlns" } else { b" xmlns:" });
            self.out.extend_from_slice(prefix.as_bytes());
            self.value(uri);
        }
        self.namespaces = namespaces;
        let attributes = std::mem::take(&mut self.attributes);
        for (attribute, replaced) in &attributes {
            self.out.push(b' ');
            self.name(attribute.prefix, attribute.local);
            self.value(replaced.as_deref().unwrap_or(attribute.value));
        }
        self.attributes = attributes;
        self.out.push(b'>');
    }

    // Candidates sorted by prefix; those that the written ancestors have declared already are dropped later.
    fn collect_namespaces(&mut self, node: Node<'d>, is_apex: bool) {
        self.namespaces.clear();
        let listed = |prefix: &str| {
            let name = if prefix.is_empty() { "#default" } else { prefix };
            self.inclusive_prefixes.contains(&name)
        };
        let exclusive = self.method.exclusive();
        if exclusive {
            self.namespaces.push((node.prefix(), node.namespace()));
            let qualified = node.attributes().filter(|a| !a.prefix.is_empty());
            self.namespaces.extend(qualified.map(|a| (a.prefix, a.namespace)));
        }
        if !exclusive || !self.inclusive_prefixes.is_empty() {
            let mut element = Some(node);
            while let Some(declaring) = element {
                let declarations = declaring.declarations();
                self.namespaces.extend(declarations.filter(|(prefix, _)| !exclusive || listed(prefix)));
                element = if is_apex { declaring.parent() } else { None };
            }
        }
        // Stable: of one prefix, the innermost declaration comes first and is the one that is kept.
        self.namespaces.sort_by_key(|(prefix, _)| *prefix);
        self.namespaces.dedup_by_key(|(prefix, _)| *prefix);
    }

    fn collect_attributes(&mut self, node: Node<'d>, is_apex: bool) {
        self.attributes.clear();
        self.attributes.extend(node.attributes().map(|a| (a, None)));
        if is_apex && !self.method.exclusive() {
            self.inherit_xml_attributes(node);
        }
        self.attributes.sort_by(|(left, _), (right, _)| {
            (left.namespace, left.local).cmp(&(right.namespace, right.local))
        });
    }

    // Attributes like xml:lang of omitted ancestors hold for the apex and are written there.
    fn inherit_xml_attributes(&mut self, apex: Node<'d>) {
        let mut bases = Vec::new();
        let mut ancestor = apex.parent();
        while let Some(element) = ancestor {
            for attribute in element.attributes().filter(|a| a.namespace == XML_NAMESPACE) {
                match attribute.local {
                    "base" if self.method.version_1_1() => bases.push(attribute),
                    "lang" | "space" => self.inherit(attribute),
                    _ if self.method.version_1_1() => {}
                    _ => self.inherit(attribute),
                }
            }
            ancestor = element.parent();
        }
        let Some(nearest) = bases.first().copied() else { return };
        let own = self.attributes.iter().position(|(a, _)| a.namespace == XML_NAMESPACE && a.local == "base");
        let own = own.map(|at| self.attributes.swap_remove(at).0.value);
        let mut joined = String::new();
        for value in bases.iter().rev().map(|a| a.value).chain(own) {
            joined = base::join(&joined, value);
        }
        if !joined.is_empty() {
            self.attributes.push((nearest, Some(joined)));
        }
    }

    fn inherit(&mut self, attribute: Attribute<'d>) {
        let same = |(a, _): &(Attribute, _)| a.namespace == XML_NAMESPACE && a.local == attribute.local;
        if !self.attributes.iter().any(same) {
            self.attributes.push((attribute, None));
        }
    }

    fn name(&mut self, prefix: &str, local: &str) {
        if !prefix.is_empty() {
            self.out.extend_from_slice(prefix.as_bytes());
            self.out.push(b':');
        }
        self.out.extend_from_slice(local.as_bytes());
    }

    fn value(&mut self, value: &str) {
        self.out.extend_from_slice(b"=\"");
        push_attribute(&mut self.out, value);
        self.out.push(b'"');
    }
}
