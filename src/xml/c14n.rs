use super::{Node, XmlError};

mod base;
mod writer;

use writer::Writer;

/// A canonicalisation method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum C14n {
    /// Canonical XML 1.0, inclusive, without comments.
    Inclusive10,
    /// Canonical XML 1.0, inclusive, with comments.
    Inclusive10WithComments,
    /// Canonical XML 1.1, inclusive, without comments.
    Inclusive11,
    /// Canonical XML 1.1, inclusive, with comments.
    Inclusive11WithComments,
    /// Exclusive Canonical XML 1.0 without comments.
    Exclusive,
    /// Exclusive Canonical XML 1.0 with comments.
    ExclusiveWithComments,
}

impl C14n {
    /// The algorithm identifier (XML Signature).
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Inclusive10 => "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
            Self::Inclusive10WithComments => "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
            Self::Inclusive11 => "http://www.w3.org/2006/12/xml-c14n11",
            Self::Inclusive11WithComments => "http://www.w3.org/2006/12/xml-c14n11#WithComments",
            Self::Exclusive => "http://www.w3.org/2001/10/xml-exc-c14n#",
            Self::ExclusiveWithComments => "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
        }
    }

    fn exclusive(self) -> bool {
        matches!(self, Self::Exclusive | Self::ExclusiveWithComments)
    }

    fn with_comments(self) -> bool {
        matches!(
            self,
            Self::Inclusive10WithComments | Self::Inclusive11WithComments | Self::ExclusiveWithComments
        )
    }

    fn version_1_1(self) -> bool {
        matches!(self, Self::Inclusive11 | Self::Inclusive11WithComments)
    }

    /// The method of an algorithm identifier.
    pub fn from_uri(uri: &str) -> Option<Self> {
        [
            Self::Inclusive10,
            Self::Inclusive10WithComments,
            Self::Inclusive11,
            Self::Inclusive11WithComments,
            Self::Exclusive,
            Self::ExclusiveWithComments,
        ]
        .into_iter()
        .find(|method| method.uri() == uri)
    }
}

/// The canonical octets of an element, or of a whole document (`Document::top`), with everything below it; the
/// namespaces and, if inclusive, the `xml:` attributes of an element's ancestors are in scope.
/// `inclusive_prefixes` is the InclusiveNamespaces PrefixList of the exclusive method (`#default` for the default).
pub fn canonicalize(node: Node<'_>, method: C14n, inclusive_prefixes: &[&str]) -> Vec<u8> {
    canonicalize_within(node, method, inclusive_prefixes, usize::MAX).unwrap_or_default()
}

/// As [`canonicalize`], refusing to write more than `max_bytes` (repeated namespace declarations can make the
/// canonical form much longer than the input). Error: `TooLarge`.
pub fn canonicalize_within(
    node: Node<'_>,
    method: C14n,
    inclusive_prefixes: &[&str],
    max_bytes: usize,
) -> Result<Vec<u8>, XmlError> {
    let source = node.range().len();
    let mut writer = Writer::new(method, inclusive_prefixes, source.saturating_add(512).min(max_bytes));
    writer.subtree(node, max_bytes)?;
    Ok(writer.finish())
}
