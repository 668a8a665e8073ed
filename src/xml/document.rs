use std::borrow::Cow;
use std::ops::Range;

use super::event::Event;
use super::namespaces::NamespaceId;
use super::{Limits, Node, Reader, XmlError};

/// A document as a tree in one arena. Borrows names and most texts from the input.
#[derive(Debug)]
pub struct Document<'a> {
    pub(super) input: &'a [u8],
    pub(super) nodes: Vec<NodeData<'a>>,
    pub(super) attributes: Vec<AttributeData<'a>>,
    pub(super) declarations: Vec<(&'a str, NamespaceId)>,
    pub(super) uris: Vec<Cow<'a, str>>,
    root: u32,
    encoding: Option<&'a str>,
}

/// Index 0 is the document itself, so 0 stands for "none" among siblings and children.
#[derive(Debug)]
pub(super) struct NodeData<'a> {
    pub(super) kind: Kind,
    pub(super) parent: u32,
    pub(super) next: u32,
    pub(super) first_child: u32,
    pub(super) prefix: &'a str,
    pub(super) local: &'a str,
    pub(super) namespace: NamespaceId,
    pub(super) attributes: Range<u32>,
    pub(super) declarations: Range<u32>,
    pub(super) text: Cow<'a, str>,
    pub(super) range: Range<usize>,
    pub(super) content: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Document,
    Element,
    Text,
    CData,
    Comment,
    Pi,
}

#[derive(Debug)]
pub(super) struct AttributeData<'a> {
    pub(super) prefix: &'a str,
    pub(super) local: &'a str,
    pub(super) namespace: NamespaceId,
    pub(super) value: Cow<'a, str>,
}

impl<'a> Document<'a> {
    /// Parses a whole document. Errors: whatever breaks XML 1.0, its namespaces or the bounds; a declared encoding
    /// other than UTF-8 or US-ASCII.
    pub fn parse(input: &'a [u8], limits: &Limits) -> Result<Self, XmlError> {
        let document = Self::parse_transcoded(input, limits)?;
        let is_utf8 = |name: &str| ["utf-8", "utf8", "us-ascii"].iter().any(|n| name.eq_ignore_ascii_case(n));
        match document.encoding {
            Some(name) if !is_utf8(name) => Err(XmlError::Encoding),
            _ => Ok(document),
        }
    }

    /// As [`Document::parse`] for text that the caller has converted to UTF-8, whatever encoding it still declares.
    pub fn parse_transcoded(input: &'a [u8], limits: &Limits) -> Result<Self, XmlError> {
        let mut reader = Reader::new(input, limits)?;
        reader.keep_namespaces();
        let mut builder = Builder::new(input, limits.max_nodes);
        while let Some(event) = reader.next()? {
            builder.take(event)?;
        }
        let mut document = builder.document;
        document.uris = reader.into_scope().into_uris();
        Ok(document)
    }

    /// The document element.
    pub fn root(&self) -> Node<'_> {
        Node { document: self, index: self.root }
    }

    /// The document node, whose children are the document element and the comments and processing instructions
    /// beside it.
    pub fn top(&self) -> Node<'_> {
        Node { document: self, index: 0 }
    }

    /// The bytes that were parsed.
    pub fn input(&self) -> &'a [u8] {
        self.input
    }

    /// The encoding of the XML declaration, as written.
    pub fn encoding(&self) -> Option<&'a str> {
        self.encoding
    }
}

struct Builder<'a> {
    document: Document<'a>,
    max_nodes: usize,
    // Open nodes from the document down: (node, its last child so far).
    open: Vec<(u32, u32)>,
}

impl<'a> Builder<'a> {
    fn new(input: &'a [u8], max_nodes: usize) -> Self {
        let estimate = (input.len() / 32).min(max_nodes);
        let mut nodes = Vec::with_capacity(estimate + 1);
        nodes.push(NodeData::new(Kind::Document, 0..input.len()));
        let document = Document {
            input,
            nodes,
            attributes: Vec::new(),
            declarations: Vec::new(),
            uris: Vec::new(),
            root: 0,
            encoding: None,
        };
        Self { document, max_nodes, open: vec![(0, 0)] }
    }

    fn take(&mut self, event: Event<'_, 'a>) -> Result<(), XmlError> {
        match event {
            Event::Declaration(declaration) => self.document.encoding = declaration.encoding,
            Event::Start(tag) => {
                let document = &mut self.document;
                let mut node = NodeData::new(Kind::Element, tag.range.clone());
                (node.prefix, node.local, node.namespace) = (tag.prefix, tag.local, tag.namespace_id);
                node.content = tag.range.end..tag.range.end;
                let (attributes, declarations) = (document.attributes.len(), document.declarations.len());
                for raw in tag.raw {
                    if raw.declares() {
                        let id = tag.scope.resolve(raw.declared_prefix()).unwrap_or(NamespaceId::NONE);
                        document.declarations.push((raw.declared_prefix(), id));
                    } else {
                        document.attributes.push(AttributeData {
                            prefix: raw.prefix,
                            local: raw.local,
                            namespace: raw.namespace,
                            value: raw.value.clone(),
                        });
                    }
                }
                node.attributes = attributes as u32..document.attributes.len() as u32;
                node.declarations = declarations as u32..document.declarations.len() as u32;
                let index = self.append(node)?;
                if self.open.len() == 1 {
                    self.document.root = index;
                }
                self.open.push((index, 0));
            }
            Event::End { range } => {
                if let Some((index, _)) = self.open.pop()
                    && let Some(node) = self.document.nodes.get_mut(index as usize)
                {
                    node.content.end = range.start;
                    node.range.end = range.end;
                }
            }
            Event::Text { text, range } => self.leaf(Kind::Text, "", text, range)?,
            Event::CData { text, range } => self.leaf(Kind::CData, "", text, range)?,
            Event::Comment { text, range } => self.leaf(Kind::Comment, "", text, range)?,
            Event::Pi { target, data, range } => self.leaf(Kind::Pi, target, data, range)?,
        }
        Ok(())
    }

    fn leaf(
        &mut self,
        kind: Kind,
        local: &'a str,
        text: Cow<'a, str>,
        range: Range<usize>,
    ) -> Result<(), XmlError> {
        let mut node = NodeData::new(kind, range);
        (node.local, node.text) = (local, text);
        self.append(node).map(|_| ())
    }

    fn append(&mut self, mut node: NodeData<'a>) -> Result<u32, XmlError> {
        let nodes = &mut self.document.nodes;
        let index = nodes.len() as u32;
        if nodes.len() > self.max_nodes || nodes.len() >= u32::MAX as usize {
            return Err(XmlError::TooLarge { what: "nodes" });
        }
        if let Some((parent, last)) = self.open.last_mut() {
            node.parent = *parent;
            let link = match *last {
                0 => nodes.get_mut(*parent as usize).map(|n| &mut n.first_child),
                last => nodes.get_mut(last as usize).map(|n| &mut n.next),
            };
            if let Some(link) = link {
                *link = index;
            }
            *last = index;
        }
        nodes.push(node);
        Ok(index)
    }
}

impl NodeData<'_> {
    fn new(kind: Kind, range: Range<usize>) -> Self {
        Self {
            kind,
            parent: 0,
            next: 0,
            first_child: 0,
            prefix: "",
            local: "",
            namespace: NamespaceId::NONE,
            attributes: 0..0,
            declarations: 0..0,
            text: Cow::Borrowed(""),
            content: range.clone(),
            range,
        }
    }
}
