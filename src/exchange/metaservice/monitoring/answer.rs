//! Elements of an answer, with the prefix that the request used: collectors look for it in the bytes.

use std::fmt::Write;

use crate::message::{IDENTIFIERS_NAMESPACE, ServiceId};
use crate::xml::escape_text;

/// Writes elements of one namespace.
pub struct Elements {
    prefix: String,
    identifiers: &'static str,
    xml: String,
}

impl Elements {
    /// Opens the root element `name` of `namespace`.
    pub fn open_root(prefix: &str, namespace: &str, name: &str) -> Self {
        let identifiers = if prefix == "id" { "xid" } else { "id" };
        let mut elements = Self { prefix: prefix.to_owned(), identifiers, xml: String::new() };
        let declaration = match prefix {
            "" => "xmlns".to_owned(),
            prefix => format!("xmlns:{prefix}"),
        };
        let name = elements.named(name);
        // Writing into a String cannot fail.
        let _ = write!(
            elements.xml,
            "<{name} {declaration}=\"{namespace}\" xmlns:{identifiers}=\"{IDENTIFIERS_NAMESPACE}\">"
        );
        elements
    }

    fn named(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}:{name}", self.prefix) }
    }

    /// Opens an element.
    pub fn open(&mut self, name: &str) {
        let name = self.named(name);
        let _ = write!(self.xml, "<{name}>");
    }

    /// Closes an element.
    pub fn close(&mut self, name: &str) {
        let name = self.named(name);
        let _ = write!(self.xml, "</{name}>");
    }

    /// An element with text.
    pub fn text(&mut self, name: &str, text: impl std::fmt::Display) {
        let name = self.named(name);
        let _ = write!(self.xml, "<{name}>{}</{name}>", escape_text(&text.to_string()));
    }

    /// An element with text, where there is one.
    pub fn optional(&mut self, name: &str, text: Option<impl std::fmt::Display>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// An element that holds the identifier of a service.
    pub fn service(&mut self, name: &str, id: &ServiceId) {
        let (element, prefix) = (self.named(name), self.identifiers);
        let fields = [
            ("xRoadInstance", Some(id.instance())),
            ("memberClass", Some(id.member_class())),
            ("memberCode", Some(id.member_code())),
            ("subsystemCode", id.subsystem_code()),
            ("serviceCode", Some(id.service_code())),
            ("serviceVersion", id.service_version()),
        ];
        let _ = write!(self.xml, "<{element} {prefix}:objectType=\"SERVICE\">");
        for (field, value) in fields {
            if let Some(value) = value {
                let _ = write!(self.xml, "<{prefix}:{field}>{}</{prefix}:{field}>", escape_text(value));
            }
        }
        let _ = write!(self.xml, "</{element}>");
    }

    /// Closes the root element.
    pub fn finish(mut self, name: &str) -> String {
        self.close(name);
        self.xml
    }
}
