use crate::limits;

/// Bounds of one document. The default is what `crate::limits` says for any document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Whole input, in bytes.
    pub max_bytes: usize,
    /// Element nesting; the document element is at depth 1.
    pub max_depth: usize,
    /// Attributes and namespace declarations of one element, together.
    pub max_attributes: usize,
    /// Nodes of a tree: elements, texts, comments and processing instructions. The reader alone does not count them.
    pub max_nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: limits::SOAP_PART_BYTES_MAX,
            max_depth: limits::XML_DEPTH_MAX,
            max_attributes: limits::XML_ATTRIBUTES_MAX,
            max_nodes: limits::XML_NODES_MAX,
        }
    }
}

impl Limits {
    /// The default bounds with another bound on the input, in bytes.
    pub fn bytes(max_bytes: usize) -> Self {
        Self { max_bytes, ..Self::default() }
    }
}

/// Why bytes are not an acceptable XML document. Positions are byte offsets of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// Not well-formed, or not namespace-well-formed.
    #[error("not well-formed at byte {at}: {what}")]
    Malformed {
        /// Where.
        at: usize,
        /// What was wrong, in a few words.
        what: &'static str,
    },
    /// The bytes are not UTF-8.
    #[error("not UTF-8 at byte {at}")]
    NotUtf8 {
        /// The first byte that is not part of a character.
        at: usize,
    },
    /// The document declares an encoding other than UTF-8 or US-ASCII.
    #[error("unsupported encoding declared")]
    Encoding,
    /// A document type declaration, which no document of X-Road needs.
    #[error("document type declaration at byte {at}")]
    Doctype {
        /// Where it starts.
        at: usize,
    },
    /// Elements are nested deeper than allowed.
    #[error("elements nested too deep at byte {at}")]
    TooDeep {
        /// Where the bound was exceeded.
        at: usize,
    },
    /// Input, output, attributes of one element, a namespace name or the number of nodes exceed their bound.
    #[error("too many {what}")]
    TooLarge {
        /// What there was too much of.
        what: &'static str,
    },
}
