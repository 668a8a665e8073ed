use std::borrow::Cow;
use std::ops::Range;

use super::namespaces::{NamespaceId, Scope};
use super::reader::RawAttribute;

/// What the reader met. `'a` borrows from the input, `'r` from the reader until the next event.
#[derive(Debug)]
pub enum Event<'r, 'a> {
    /// `<?xml …?>`, at most once and first.
    Declaration(Declaration<'a>),
    /// A start tag, or an empty-element tag (`StartTag::empty`).
    Start(StartTag<'r, 'a>),
    /// An end tag. An empty-element tag is followed by an `End` as well, whose range is empty.
    End {
        /// Bytes of the end tag.
        range: Range<usize>,
    },
    /// Character data between tags with references resolved and line ends normalised.
    Text {
        /// The characters.
        text: Cow<'a, str>,
        /// Bytes in the input.
        range: Range<usize>,
    },
    /// One CDATA section.
    CData {
        /// The characters, line ends normalised.
        text: Cow<'a, str>,
        /// Bytes in the input, markup included.
        range: Range<usize>,
    },
    /// A comment.
    Comment {
        /// The characters between the marks, line ends normalised.
        text: Cow<'a, str>,
        /// Bytes in the input, markup included.
        range: Range<usize>,
    },
    /// A processing instruction.
    Pi {
        /// Its target.
        target: &'a str,
        /// What follows the white space after the target; may be empty.
        data: Cow<'a, str>,
        /// Bytes in the input, markup included.
        range: Range<usize>,
    },
}

/// The XML declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration<'a> {
    /// The declared encoding, as written.
    pub encoding: Option<&'a str>,
    /// The standalone declaration.
    pub standalone: Option<bool>,
    /// Bytes in the input.
    pub range: Range<usize>,
}

/// A start tag with its namespace resolved.
#[derive(Debug)]
pub struct StartTag<'r, 'a> {
    /// Prefix as written; empty when there is none.
    pub prefix: &'a str,
    /// Local name.
    pub local: &'a str,
    /// Namespace name; empty when there is none.
    pub namespace: &'r str,
    /// Whether it was written as an empty-element tag.
    pub empty: bool,
    /// Bytes of the tag.
    pub range: Range<usize>,
    pub(super) namespace_id: NamespaceId,
    pub(super) raw: &'r [RawAttribute<'a>],
    pub(super) scope: &'r Scope<'a>,
}

/// One attribute (never a namespace declaration), value normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'r> {
    /// Prefix as written; empty when there is none.
    pub prefix: &'r str,
    /// Local name.
    pub local: &'r str,
    /// Namespace name; empty when there is none.
    pub namespace: &'r str,
    /// Normalised value.
    pub value: &'r str,
}

impl<'r, 'a> StartTag<'r, 'a> {
    /// Whether this is the element `local` of `namespace`.
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        self.local == local && self.namespace == namespace
    }

    /// The attributes in document order.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'r>> + use<'r, 'a> {
        let scope = self.scope;
        self.raw.iter().filter(|raw| !raw.declares()).map(move |raw| Attribute {
            prefix: raw.prefix,
            local: raw.local,
            namespace: scope.uri(raw.namespace),
            value: &raw.value,
        })
    }

    /// The value of an attribute without namespace.
    pub fn attribute(&self, local: &str) -> Option<&'r str> {
        self.attribute_ns("", local)
    }

    /// The value of an attribute of a namespace.
    pub fn attribute_ns(&self, namespace: &str, local: &str) -> Option<&'r str> {
        self.attributes().find(|a| a.local == local && a.namespace == namespace).map(|a| a.value)
    }

    /// The namespace declarations of this tag: prefix (empty for the default) and namespace name.
    pub fn declarations(&self) -> impl Iterator<Item = (&'a str, &'r str)> + use<'r, 'a> {
        self.raw.iter().filter(|raw| raw.declares()).map(|raw| (raw.declared_prefix(), &*raw.value))
    }

    /// The namespace that a prefix (empty for the default) is bound to here; `None` when it is not bound.
    pub fn namespace_of(&self, prefix: &str) -> Option<&'r str> {
        self.scope.resolve(prefix).map(|id| self.scope.uri(id))
    }
}
