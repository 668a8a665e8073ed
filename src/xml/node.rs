use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::document::{Document, Kind, NodeData};
use super::event::Attribute;

/// A handle on one node of a document; cheap to copy.
#[derive(Clone, Copy)]
pub struct Node<'d> {
    pub(super) document: &'d Document<'d>,
    pub(super) index: u32,
}

impl<'d> Node<'d> {
    /// Whether it is an element.
    pub fn is_element(self) -> bool {
        self.data().kind == Kind::Element
    }

    /// Whether it is text or a CDATA section.
    pub fn is_text(self) -> bool {
        matches!(self.data().kind, Kind::Text | Kind::CData)
    }

    /// Whether it is the element `local` of `namespace` (empty: none).
    pub fn is(self, namespace: &str, local: &str) -> bool {
        self.is_element() && self.local() == local && self.namespace() == namespace
    }

    /// Local name of an element, target of a processing instruction; empty otherwise.
    pub fn local(self) -> &'d str {
        self.data().local
    }

    /// Prefix as written; empty when there is none.
    pub fn prefix(self) -> &'d str {
        self.data().prefix
    }

    /// Namespace name; empty when there is none.
    pub fn namespace(self) -> &'d str {
        self.uri(self.data().namespace.index())
    }

    /// The value of an attribute without namespace.
    pub fn attribute(self, local: &str) -> Option<&'d str> {
        self.attribute_ns("", local)
    }

    /// The value of an attribute of a namespace.
    pub fn attribute_ns(self, namespace: &str, local: &str) -> Option<&'d str> {
        self.attributes().find(|a| a.local == local && a.namespace == namespace).map(|a| a.value)
    }

    /// The attributes in document order, without namespace declarations.
    pub fn attributes(self) -> impl Iterator<Item = Attribute<'d>> + use<'d> {
        let range = &self.data().attributes;
        let list = self.document.attributes.get(range.start as usize..range.end as usize).unwrap_or_default();
        list.iter().map(move |a| Attribute {
            prefix: a.prefix,
            local: a.local,
            namespace: self.uri(a.namespace.index()),
            value: &a.value,
        })
    }

    /// The namespace declarations written on this element: prefix (empty for the default) and namespace name.
    pub fn declarations(self) -> impl Iterator<Item = (&'d str, &'d str)> + use<'d> {
        let range = &self.data().declarations;
        let list =
            self.document.declarations.get(range.start as usize..range.end as usize).unwrap_or_default();
        list.iter().map(move |(prefix, id)| (*prefix, self.uri(id.index())))
    }

    /// All child nodes in order.
    pub fn children(self) -> Children<'d> {
        Children { document: self.document, next: self.data().first_child }
    }

    /// The child elements in order.
    pub fn elements(self) -> impl Iterator<Item = Node<'d>> + use<'d> {
        self.children().filter(|node| node.is_element())
    }

    /// The first child element `local` of `namespace`.
    pub fn child(self, namespace: &str, local: &str) -> Option<Node<'d>> {
        self.elements().find(|node| node.is(namespace, local))
    }

    /// The node itself and everything below it, in document order.
    pub fn descendants(self) -> impl Iterator<Item = Node<'d>> + use<'d> {
        let mut next = Some(self);
        std::iter::from_fn(move || {
            let node = next?;
            next = node.following_within(self);
            Some(node)
        })
    }

    /// Direct text and CDATA sections of an element, concatenated; the content of a text, comment or instruction.
    pub fn text(self) -> Cow<'d, str> {
        if !matches!(self.data().kind, Kind::Element | Kind::Document) {
            return Cow::Borrowed(&self.data().text);
        }
        let mut texts = self.children().filter(|node| node.is_text());
        let first = texts.next().map_or("", |node| &*node.data().text);
        match texts.next() {
            None => Cow::Borrowed(first),
            Some(second) => {
                let mut all = String::from(first);
                all.push_str(&second.data().text);
                texts.for_each(|node| all.push_str(&node.data().text));
                Cow::Owned(all)
            }
        }
    }

    /// Bytes of the whole node in the input, markup included.
    pub fn range(self) -> Range<usize> {
        self.data().range.clone()
    }

    /// Bytes between the start and the end tag of an element; empty for an empty-element tag.
    pub fn content_range(self) -> Range<usize> {
        self.data().content.clone()
    }

    /// The enclosing element; `None` for the document element and what stands beside it.
    pub fn parent(self) -> Option<Node<'d>> {
        let parent = self.data().parent;
        (parent != 0).then_some(Node { document: self.document, index: parent })
    }

    /// The document that the node belongs to.
    pub fn document(self) -> &'d Document<'d> {
        self.document
    }

    pub(super) fn data(self) -> &'d NodeData<'d> {
        // Handles are made by their own document only, which never shrinks: the index is in range.
        &self.document.nodes[self.index as usize]
    }

    pub(super) fn next_sibling(self) -> Option<Node<'d>> {
        let next = self.data().next;
        (next != 0).then_some(Node { document: self.document, index: next })
    }

    // Nodes are stored in document order, so a subtree is a run of indices.
    fn following_within(self, top: Node<'d>) -> Option<Node<'d>> {
        let next = Node { document: self.document, index: self.index + 1 };
        let data = self.document.nodes.get(next.index as usize)?;
        let outside = data.range.start >= top.data().range.end;
        (!outside).then_some(next)
    }

    fn uri(self, index: usize) -> &'d str {
        self.document.uris.get(index).map_or("", |uri| &**uri)
    }
}

impl PartialEq for Node<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.document, other.document) && self.index == other.index
    }
}

impl Eq for Node<'_> {}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({:?} {}:{} at {:?})", self.data().kind, self.prefix(), self.local(), self.range())
    }
}

/// Child nodes in order.
#[derive(Debug, Clone)]
pub struct Children<'d> {
    document: &'d Document<'d>,
    next: u32,
}

impl<'d> Iterator for Children<'d> {
    type Item = Node<'d>;

    fn next(&mut self) -> Option<Node<'d>> {
        if self.next == 0 {
            return None;
        }
        let node = Node { document: self.document, index: self.next };
        self.next = node.data().next;
        Some(node)
    }
}
