use std::borrow::Cow;
use std::ops::Range;

use super::chars::{self, class, is};
use super::event::{Declaration, Event, StartTag};
use super::namespaces::{NamespaceId, Scope, forbidden_declaration};
use super::{Limits, XmlError};
use crate::limits::XML_NAMESPACE_BYTES_MAX;

mod text;

/// Pull reader over a document in memory: strict, namespace-aware, linear in the input, no recursion.
///
/// A byte order mark of UTF-8 is skipped; ranges count from the first byte of the input all the same.
/// White space outside the document element is not reported. After an error every call returns it again.
#[derive(Debug)]
pub struct Reader<'a> {
    input: &'a str,
    at: usize,
    limits: Limits,
    place: Place,
    keep_namespaces: bool,
    scope: Scope<'a>,
    open: Vec<Open<'a>>,
    attributes: Vec<RawAttribute<'a>>,
    // An empty-element tag was reported, its end was not.
    end_is_due: bool,
    failure: Option<XmlError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Prolog,
    Content,
    Epilog,
}

#[derive(Debug)]
struct Open<'a> {
    name: &'a str,
    outer_scope: usize,
}

/// An attribute or namespace declaration as the reader holds it.
#[derive(Debug, Clone)]
pub(super) struct RawAttribute<'a> {
    pub(super) prefix: &'a str,
    pub(super) local: &'a str,
    pub(super) namespace: NamespaceId,
    pub(super) value: Cow<'a, str>,
}

impl<'a> RawAttribute<'a> {
    pub(super) fn declares(&self) -> bool {
        self.prefix == "xmlns" || (self.prefix.is_empty() && self.local == "xmlns")
    }

    pub(super) fn declared_prefix(&self) -> &'a str {
        if self.prefix.is_empty() { "" } else { self.local }
    }
}

type Parsed<T> = Result<T, XmlError>;

impl<'a> Reader<'a> {
    /// Starts to read. Errors: the input is too large, or not UTF-8.
    pub fn new(input: &'a [u8], limits: &Limits) -> Result<Self, XmlError> {
        if input.len() > limits.max_bytes {
            return Err(XmlError::TooLarge { what: "bytes" });
        }
        let text = std::str::from_utf8(input).map_err(|e| XmlError::NotUtf8 { at: e.valid_up_to() })?;
        Ok(Self {
            input: text,
            at: if text.starts_with('\u{FEFF}') { 3 } else { 0 },
            limits: *limits,
            place: Place::Start,
            keep_namespaces: false,
            scope: Scope::new(),
            open: Vec::with_capacity(16),
            attributes: Vec::with_capacity(16),
            end_is_due: false,
            failure: None,
        })
    }

    /// The next event; `None` after the end of a well-formed document.
    // Lending: an event borrows the reader's attribute buffer, which the trait Iterator cannot express.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Event<'_, 'a>>, XmlError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        match self.step() {
            Ok(step) => Ok(step.map(|step| self.event(step))),
            Err(error) => {
                self.failure = Some(error);
                Err(error)
            }
        }
    }

    /// How many elements are open: 1 after the start tag of the document element, 0 after its end.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// Offset of the first byte that was not read yet.
    pub fn position(&self) -> usize {
        self.at
    }

    pub(super) fn keep_namespaces(&mut self) {
        self.keep_namespaces = true;
    }

    pub(super) fn into_scope(self) -> Scope<'a> {
        self.scope
    }

    fn event(&self, step: Step<'a>) -> Event<'_, 'a> {
        match step {
            Step::Start { prefix, local, namespace, empty, range } => Event::Start(StartTag {
                prefix,
                local,
                namespace: self.scope.uri(namespace),
                empty,
                range,
                namespace_id: namespace,
                raw: &self.attributes,
                scope: &self.scope,
            }),
            Step::Other(event) => event,
        }
    }

    fn step(&mut self) -> Parsed<Option<Step<'a>>> {
        if self.end_is_due {
            self.end_is_due = false;
            self.close();
            return Ok(Some(Step::Other(Event::End { range: self.at..self.at })));
        }
        if self.place == Place::Content {
            if self.peek(0) != Some(b'<') {
                return self.text().map(|event| Some(Step::Other(event)));
            }
        } else if self.place != Place::Start {
            self.skip_space();
        }
        let first = self.place == Place::Start;
        if first {
            self.place = Place::Prolog;
            if self.rest().starts_with("<?xml") && self.peek(5).is_some_and(|b| is(b, class::SPACE)) {
                return self.declaration().map(|event| Some(Step::Other(event)));
            }
            self.skip_space();
        }
        match (self.peek(0), self.peek(1)) {
            (None, _) if self.place == Place::Epilog => Ok(None),
            (None, _) => self.fail("the document ends too early"),
            (Some(b'<'), Some(b'/')) => self.end_tag().map(Some),
            (Some(b'<'), Some(b'?')) => self.processing_instruction().map(|event| Some(Step::Other(event))),
            (Some(b'<'), Some(b'!')) => self.markup().map(|event| Some(Step::Other(event))),
            (Some(b'<'), _) if self.place == Place::Epilog => self.fail("a second document element"),
            (Some(b'<'), _) => self.start_tag().map(Some),
            _ => self.fail("text outside the document element"),
        }
    }

    fn start_tag(&mut self) -> Parsed<Step<'a>> {
        let start = self.at;
        self.at += 1;
        let (prefix, local) = self.qualified_name()?;
        let name = self.input.get(start + 1..self.at).unwrap_or_default();
        self.attributes.clear();
        let empty = loop {
            let spaces = self.skip_space();
            match self.peek(0) {
                Some(b'>') => {
                    self.at += 1;
                    break false;
                }
                Some(b'/') => {
                    self.expect("/>", "a start tag ends with > or />")?;
                    break true;
                }
                Some(_) if spaces > 0 => self.attribute()?,
                _ => return self.fail("white space or the end of the start tag expected"),
            }
        };
        if self.open.len() >= self.limits.max_depth {
            return Err(XmlError::TooDeep { at: start });
        }
        let outer_scope = self.scope.mark();
        let namespace = self.resolve_names(prefix, start)?;
        self.open.push(Open { name, outer_scope });
        self.place = Place::Content;
        self.end_is_due = empty;
        Ok(Step::Start { prefix, local, namespace, empty, range: start..self.at })
    }

    fn attribute(&mut self) -> Parsed<()> {
        if self.attributes.len() >= self.limits.max_attributes {
            return Err(XmlError::TooLarge { what: "attributes" });
        }
        let at = self.at;
        let (prefix, local) = self.qualified_name()?;
        self.skip_space();
        self.expect("=", "an attribute needs = and a value")?;
        self.skip_space();
        let value = self.attribute_value()?;
        // Few per element, so looking along the list is linear in the input.
        if self.attributes.iter().any(|other| other.local == local && other.prefix == prefix) {
            self.at = at;
            return self.fail("an attribute is repeated");
        }
        self.attributes.push(RawAttribute { prefix, local, namespace: NamespaceId::NONE, value });
        Ok(())
    }

    // Declarations of the tag first, since they hold for the names of the tag itself.
    fn resolve_names(&mut self, prefix: &str, at: usize) -> Parsed<NamespaceId> {
        let fault = |what| XmlError::Malformed { at, what };
        for raw in self.attributes.iter().filter(|raw| raw.declares()) {
            if raw.value.len() > XML_NAMESPACE_BYTES_MAX {
                return Err(XmlError::TooLarge { what: "bytes of a namespace name" });
            }
            if forbidden_declaration(raw.declared_prefix(), &raw.value) {
                return Err(fault("a forbidden namespace declaration"));
            }
            self.scope.declare(raw.declared_prefix(), raw.value.clone());
        }
        let unbound = fault("a prefix without namespace");
        let namespace = match prefix {
            "xmlns" => return Err(unbound),
            _ => self.scope.resolve(prefix).ok_or(unbound)?,
        };
        for at in 0..self.attributes.len() {
            let (before, rest) = self.attributes.split_at_mut(at);
            let Some(raw) = rest.first_mut() else { break };
            if raw.prefix.is_empty() || raw.declares() {
                continue;
            }
            raw.namespace = self.scope.resolve(raw.prefix).ok_or(unbound)?;
            let scope = &self.scope;
            let twin = |other: &RawAttribute| {
                !other.prefix.is_empty()
                    && other.local == raw.local
                    && scope.same(other.namespace, raw.namespace)
            };
            if before.iter().any(|other| !other.declares() && twin(other)) {
                return Err(fault("an attribute is repeated under another prefix"));
            }
        }
        Ok(namespace)
    }

    fn end_tag(&mut self) -> Parsed<Step<'a>> {
        let start = self.at;
        self.at += 2;
        let Some(name) = self.open.last().map(|open| open.name) else {
            return self.fail("an end tag without start tag");
        };
        if !self.rest().starts_with(name) {
            return self.fail("an end tag that does not match the start tag");
        }
        self.at += name.len();
        self.skip_space();
        self.expect(">", "an end tag that does not match the start tag")?;
        self.close();
        Ok(Step::Other(Event::End { range: start..self.at }))
    }

    fn close(&mut self) {
        if let Some(open) = self.open.pop() {
            self.scope.leave(open.outer_scope, self.keep_namespaces);
        }
        if self.open.is_empty() {
            self.place = Place::Epilog;
        }
    }

    fn qualified_name(&mut self) -> Parsed<(&'a str, &'a str)> {
        let first = self.name()?;
        if self.peek(0) != Some(b':') {
            return Ok(("", first));
        }
        self.at += 1;
        let local = self.name()?;
        if self.peek(0) == Some(b':') {
            return self.fail("a name with two colons");
        }
        Ok((first, local))
    }

    fn name(&mut self) -> Parsed<&'a str> {
        let rest = self.rest();
        let name = rest.get(..chars::ncname_len(rest)).unwrap_or_default();
        if name.is_empty() {
            return self.fail("a name expected");
        }
        self.at += name.len();
        Ok(name)
    }

    fn rest(&self) -> &'a str {
        self.input.get(self.at..).unwrap_or_default()
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.input.as_bytes().get(self.at + ahead).copied()
    }

    fn skip_space(&mut self) -> usize {
        let from = self.at;
        while self.peek(0).is_some_and(|byte| is(byte, class::SPACE)) {
            self.at += 1;
        }
        self.at - from
    }

    fn expect(&mut self, literal: &str, what: &'static str) -> Parsed<()> {
        if !self.rest().starts_with(literal) {
            return self.fail(what);
        }
        self.at += literal.len();
        Ok(())
    }

    fn fail<T>(&self, what: &'static str) -> Parsed<T> {
        Err(XmlError::Malformed { at: self.at, what })
    }
}

// What a step found; turned into an event only when the reader is no longer borrowed for writing.
enum Step<'a> {
    Start { prefix: &'a str, local: &'a str, namespace: NamespaceId, empty: bool, range: Range<usize> },
    Other(Event<'a, 'a>),
}
