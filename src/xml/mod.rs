//! Strict, bounded XML and its canonical form.
//!
//! * [`Reader`]: pull reader over bytes in memory: well-formedness (XML 1.0), namespaces, no document type.
//! * [`Document`] and [`Node`]: a tree in one arena, built by the reader, walked without recursion.
//! * [`canonicalize`]: Canonical XML 1.0 and 1.1, Exclusive Canonical XML 1.0, of a subtree.
//!
//! No entity but the five predefined ones, no address is ever followed, every count is bounded by [`Limits`].
//! The empty string stands for "no prefix" and "no namespace" throughout.

mod c14n;
mod chars;
mod document;
mod error;
mod escape;
mod event;
mod namespaces;
mod node;
mod reader;
#[cfg(test)]
mod tests;

pub use c14n::{C14n, canonicalize, canonicalize_within};
pub use document::Document;
pub use error::{Limits, XmlError};
pub use escape::{escape_attribute, escape_text};
pub use event::{Attribute, Declaration, Event, StartTag};
pub use node::{Children, Node};
pub use reader::Reader;

/// The namespace that the prefix `xml` is always bound to.
pub const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";
/// The namespace of namespace declarations, to which nothing may be bound.
pub const XMLNS_NAMESPACE: &str = "http://www.w3.org/2000/xmlns/";
