//! Walks XML as strictly as the schemas of the global configuration do: elements in order, each as often as
//! allowed, nothing unknown, values of their types.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::limits;
use crate::message::{ClientId, ServiceId};
use crate::time::UnixTime;
use crate::xml::{Document, Limits, Node, XmlError};

/// Namespace of the roots; their children are in no namespace.
pub(super) const XROAD: &str = "http://x-road.eu/xsd/xroad.xsd";
const IDENTIFIERS: &str = "http://x-road.eu/xsd/identifiers";
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Why a document violates its schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Not XML.
    #[error("not XML: {0}")]
    Xml(#[from] XmlError),
    /// The root element is another one.
    #[error("root element is not \"{0}\"")]
    Root(&'static str),
    /// A mandatory element is missing.
    #[error("element \"{0}\" is missing in \"{1}\"")]
    Missing(&'static str, String),
    /// An element that is unknown or not in its place.
    #[error("element \"{0}\" is not expected in \"{1}\"")]
    Unexpected(String, String),
    /// Text, attributes or children where there may be none.
    #[error("element \"{0}\" has content that it may not have")]
    Content(String),
    /// A value that is not of its type.
    #[error("element \"{0}\" does not hold a valid {1}")]
    Value(String, &'static str),
    /// An id that is missing, repeated or refers to nothing.
    #[error("id \"{0}\" is repeated or not known")]
    Id(String),
}

type Result<T> = std::result::Result<T, SchemaError>;

/// Parses a document of the global configuration.
pub(super) fn parse(bytes: &[u8]) -> Result<Document<'_>> {
    let bounds = Limits {
        max_nodes: limits::GLOBAL_CONF_NODES_MAX,
        ..Limits::bytes(limits::GLOBAL_CONF_PART_BYTES_MAX)
    };
    Ok(Document::parse(bytes, &bounds)?)
}

/// The children of the root element, which must be `local` of the X-Road namespace.
pub(super) fn root<'d>(document: &'d Document<'_>, local: &'static str) -> Result<Sequence<'d>> {
    let root = document.root();
    if !root.is(XROAD, local) {
        return Err(SchemaError::Root(local));
    }
    Sequence::of(root, &[])
}

/// The child elements of one element, taken in the order of the schema.
pub(super) struct Sequence<'d> {
    parent: Node<'d>,
    elements: Vec<Node<'d>>,
    next: usize,
}

impl<'d> Sequence<'d> {
    /// Children of `parent`, which has element content and no attributes but `attributes`.
    pub(super) fn of(parent: Node<'d>, attributes: &[&str]) -> Result<Self> {
        check_attributes(parent, attributes)?;
        if !is_blank(&parent.text()) {
            return Err(SchemaError::Content(parent.local().to_owned()));
        }
        Ok(Self { parent, elements: parent.elements().collect(), next: 0 })
    }

    fn take(&mut self, namespace: &str, local: &str) -> Option<Node<'d>> {
        let node = *self.elements.get(self.next)?;
        if !node.is(namespace, local) {
            return None;
        }
        self.next += 1;
        Some(node)
    }

    pub(super) fn optional(&mut self, local: &'static str) -> Option<Node<'d>> {
        self.take("", local)
    }

    pub(super) fn required(&mut self, local: &'static str) -> Result<Node<'d>> {
        self.optional(local).ok_or_else(|| SchemaError::Missing(local, self.parent.local().to_owned()))
    }

    pub(super) fn many(&mut self, local: &'static str) -> Vec<Node<'d>> {
        std::iter::from_fn(|| self.optional(local)).collect()
    }

    pub(super) fn at_least_one(&mut self, local: &'static str) -> Result<Vec<Node<'d>>> {
        let mut all = vec![self.required(local)?];
        all.extend(self.many(local));
        Ok(all)
    }

    pub(super) fn text(&mut self, local: &'static str) -> Result<String> {
        text(self.required(local)?)
    }

    pub(super) fn optional_text(&mut self, local: &'static str) -> Result<Option<String>> {
        self.optional(local).map(text).transpose()
    }

    fn identifier(&mut self, local: &'static str) -> Result<String> {
        let missing = SchemaError::Missing(local, self.parent.local().to_owned());
        text(self.take(IDENTIFIERS, local).ok_or(missing)?)
    }

    fn optional_identifier(&mut self, local: &'static str) -> Result<Option<String>> {
        self.take(IDENTIFIERS, local).map(text).transpose()
    }

    /// Nothing may be left.
    pub(super) fn finish(self) -> Result<()> {
        match self.elements.get(self.next) {
            None => Ok(()),
            Some(node) => {
                Err(SchemaError::Unexpected(node.local().to_owned(), self.parent.local().to_owned()))
            }
        }
    }
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

fn check_attributes(node: Node<'_>, allowed: &[&str]) -> Result<()> {
    let known = |attribute: &crate::xml::Attribute<'_>| {
        attribute.namespace == XSI || (attribute.namespace.is_empty() && allowed.contains(&attribute.local))
    };
    if node.attributes().all(|attribute| known(&attribute)) {
        Ok(())
    } else {
        Err(SchemaError::Content(node.local().to_owned()))
    }
}

/// An xs:string.
pub(super) fn text(node: Node<'_>) -> Result<String> {
    check_attributes(node, &[])?;
    if node.elements().next().is_some() {
        return Err(SchemaError::Content(node.local().to_owned()));
    }
    Ok(node.text().into_owned())
}

fn collapsed(node: Node<'_>) -> Result<String> {
    let text = text(node)?;
    let words: Vec<&str> = text.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).collect();
    Ok(words.join(" "))
}

/// An xs:base64Binary; blanks are allowed anywhere.
pub(super) fn base64(node: Node<'_>) -> Result<Vec<u8>> {
    let compact: Vec<u8> = text(node)?.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(compact).map_err(|_| SchemaError::Value(node.local().to_owned(), "base64 value"))
}

/// An xs:boolean.
pub(super) fn boolean(node: Node<'_>) -> Result<bool> {
    match collapsed(node)?.as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(SchemaError::Value(node.local().to_owned(), "boolean")),
    }
}

/// An xs:integer that fits 63 bits.
pub(super) fn integer(node: Node<'_>) -> Result<i64> {
    let text = collapsed(node)?;
    text.parse().map_err(|_| SchemaError::Value(node.local().to_owned(), "integer"))
}

/// An xs:dateTime; one without offset is read as UTC.
pub(super) fn date_time(node: Node<'_>) -> Result<UnixTime> {
    let text = collapsed(node)?;
    let with_zone = UnixTime::parse_rfc3339(&text).or_else(|| UnixTime::parse_rfc3339(&format!("{text}Z")));
    with_zone.ok_or_else(|| SchemaError::Value(node.local().to_owned(), "date and time"))
}

/// One of a list of words.
pub(super) fn word(node: Node<'_>, allowed: &'static [&'static str]) -> Result<&'static str> {
    let text = text(node)?;
    let found = allowed.iter().find(|word| **word == text);
    found.copied().ok_or_else(|| SchemaError::Value(node.local().to_owned(), "word of its list"))
}

/// An xs:ID or xs:IDREF.
pub(super) fn id(value: &str) -> Result<String> {
    let id = value.trim_matches([' ', '\t', '\r', '\n']);
    let first = id.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
    if first && !id.contains([':', ' ', '\t', '\r', '\n']) {
        Ok(id.to_owned())
    } else {
        Err(SchemaError::Id(value.to_owned()))
    }
}

/// A client identifier with its `objectType`.
pub(super) fn client_id(node: Node<'_>) -> Result<ClientId> {
    let (kind, mut fields) = identifier_fields(node)?;
    let invalid = || SchemaError::Value(node.local().to_owned(), "client identifier");
    let (instance, class, code) = (
        fields.identifier("xRoadInstance")?,
        fields.identifier("memberClass")?,
        fields.identifier("memberCode")?,
    );
    let subsystem = fields.optional_identifier("subsystemCode")?;
    fields.finish()?;
    // The type decides, as upstream: a member with a subsystem code is the member.
    let subsystem = match (&*kind, subsystem) {
        ("MEMBER", _) => None,
        ("SUBSYSTEM", Some(code)) => Some(code),
        _ => return Err(invalid()),
    };
    ClientId::new(&instance, &class, &code, subsystem.as_deref()).map_err(|_| invalid())
}

/// A service identifier, of which only the form is checked.
pub(super) fn service_id(node: Node<'_>) -> Result<ServiceId> {
    let (kind, mut fields) = identifier_fields(node)?;
    let invalid = || SchemaError::Value(node.local().to_owned(), "service identifier");
    let (instance, class, code) = (
        fields.identifier("xRoadInstance")?,
        fields.identifier("memberClass")?,
        fields.identifier("memberCode")?,
    );
    let subsystem = fields.optional_identifier("subsystemCode")?;
    let (service, version) =
        (fields.identifier("serviceCode")?, fields.optional_identifier("serviceVersion")?);
    fields.finish()?;
    if kind != "SERVICE" {
        return Err(invalid());
    }
    let client = ClientId::new(&instance, &class, &code, subsystem.as_deref()).map_err(|_| invalid())?;
    ServiceId::new(&client, &service, version.as_deref()).map_err(|_| invalid())
}

fn identifier_fields(node: Node<'_>) -> Result<(Cow<'_, str>, Sequence<'_>)> {
    let kind = node.attribute_ns(IDENTIFIERS, "objectType");
    let kind = kind.ok_or_else(|| SchemaError::Content(node.local().to_owned()))?;
    if node.attributes().any(|attribute| ![IDENTIFIERS, XSI].contains(&attribute.namespace)) {
        return Err(SchemaError::Content(node.local().to_owned()));
    }
    if !is_blank(&node.text()) {
        return Err(SchemaError::Content(node.local().to_owned()));
    }
    Ok((Cow::Borrowed(kind), Sequence { parent: node, elements: node.elements().collect(), next: 0 }))
}
