use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use super::encoding;
use super::fault::FaultReader;
use super::fields::{Field, Fields};
use super::message::{Places, Soap, SoapFault, SoapMessage};
use super::{SOAP_NAMESPACE, header::SoapHeader};
use crate::message::{ErrorCode, XRoadError};
use crate::xml::{Event, Limits, Reader, StartTag, XmlError};

const NEXT_ACTOR: &str = "http://schemas.xmlsoap.org/soap/actor/next";

pub(super) fn parse(bytes: Bytes) -> Result<Soap, XRoadError> {
    let converted = match encoding::to_utf8(&bytes)? {
        Cow::Borrowed(_) => None,
        Cow::Owned(text) => Some(Bytes::from(text)),
    };
    let text = converted.as_ref().unwrap_or(&bytes);
    let mut reader = Reader::new(text, &Limits::default()).map_err(malformed)?;
    let mut parser = Parser::default();
    while let Some(event) = reader.next().map_err(malformed)? {
        match event {
            Event::Start(tag) => parser.start(&tag)?,
            Event::End { range } => parser.end(range)?,
            Event::Text { text, range } => parser.text(&text, Some(range)),
            Event::CData { text, .. } => parser.text(&text, None),
            Event::Declaration(_) | Event::Comment { .. } | Event::Pi { .. } => {}
        }
    }
    if let Some(fault) = parser.fault {
        return Ok(Soap::Fault(SoapFault { fault: fault.finish(), bytes }));
    }
    let (header, body_element) = parser.checked()?;
    let places = parser.places;
    Ok(Soap::Message(Box::new(SoapMessage { header, body_element, places, converted, bytes })))
}

fn malformed(error: XmlError) -> XRoadError {
    XRoadError::new(ErrorCode::InvalidSoap, error.to_string())
}

fn refuse(code: ErrorCode, text: &'static str) -> XRoadError {
    XRoadError::new(code, text)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Region {
    #[default]
    Other,
    Header,
    Body,
}

#[derive(Debug, Default)]
struct Parser {
    depth: usize,
    region: Region,
    has_header: bool,
    has_body: bool,
    fields: Fields,
    // The header block that is open at depth 3, and the identifier field at depth 4.
    block: Option<Field>,
    child: Option<Field>,
    body_element: Option<String>,
    fault: Option<FaultReader>,
    places: Places,
    block_start: usize,
}

impl Parser {
    fn start(&mut self, tag: &StartTag<'_, '_>) -> Result<(), XRoadError> {
        self.depth += 1;
        match (self.depth, self.region) {
            (1, _) if !tag.is(SOAP_NAMESPACE, "Envelope") => {
                Err(refuse(ErrorCode::InvalidSoap, "The document element is not a SOAP envelope"))
            }
            (2, _) => self.start_region(tag),
            (3, Region::Header) => self.start_block(tag),
            (4, Region::Header) => self.start_child(tag),
            // Two readers could take different pieces of the text around it for the identifier.
            (5, Region::Header) if self.child.is_some() => {
                Err(refuse(ErrorCode::InvalidXml, "An element in a part of an identifier"))
            }
            (3, Region::Body) => self.start_body_element(tag),
            (_, Region::Body) => {
                if let Some(fault) = &mut self.fault {
                    fault.start(tag.local);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn start_region(&mut self, tag: &StartTag<'_, '_>) -> Result<(), XRoadError> {
        if tag.is(SOAP_NAMESPACE, "Header") {
            if self.has_header || self.has_body {
                return Err(refuse(ErrorCode::InvalidSoap, "SOAP header is repeated or after the body"));
            }
            self.has_header = true;
            self.region = Region::Header;
        } else if tag.is(SOAP_NAMESPACE, "Body") {
            if self.has_body {
                return Err(refuse(ErrorCode::InvalidBody, "SOAP body is repeated"));
            }
            self.has_body = true;
            self.region = Region::Body;
            self.places.body_content = tag.range.end..tag.range.end;
        } else {
            self.region = Region::Other;
        }
        Ok(())
    }

    fn start_block(&mut self, tag: &StartTag<'_, '_>) -> Result<(), XRoadError> {
        self.block = Field::of_block(tag.namespace, tag.local);
        self.block_start = tag.range.start;
        let Some(block) = self.block else {
            let is_for_us = tag.attribute_ns(SOAP_NAMESPACE, "actor") == Some(NEXT_ACTOR);
            let must = tag.attribute_ns(SOAP_NAMESPACE, "mustUnderstand").map(str::trim);
            if is_for_us && matches!(must, Some("1" | "true")) {
                return Err(refuse(
                    ErrorCode::InvalidSoap,
                    "A header that the next node must understand is unknown",
                ));
            }
            return Ok(());
        };
        if block == Field::Id {
            if tag.attribute("algorithmId").is_some() {
                return Err(refuse(
                    ErrorCode::InvalidXml,
                    "The id header has an attribute of the request hash",
                ));
            }
            self.places.id_tag = tag.range.clone();
            self.places.id_name = match tag.prefix {
                "" => tag.local.to_owned(),
                prefix => format!("{prefix}:{}", tag.local),
            };
        }
        self.fields.open_block(block, tag)
    }

    fn start_child(&mut self, tag: &StartTag<'_, '_>) -> Result<(), XRoadError> {
        let Some(block) = self.block else { return Ok(()) };
        if block.is_text() {
            return Err(refuse(ErrorCode::InvalidXml, "An element in a header that holds text only"));
        }
        self.child = Field::of_child(tag.namespace, tag.local);
        match self.child {
            Some(child) => self.fields.open_child(block, child),
            None => Ok(()),
        }
    }

    fn start_body_element(&mut self, tag: &StartTag<'_, '_>) -> Result<(), XRoadError> {
        if self.body_element.is_some() {
            return Err(refuse(ErrorCode::InvalidBody, "SOAP body has more than one element"));
        }
        self.body_element = Some(tag.local.to_owned());
        if tag.is(SOAP_NAMESPACE, "Fault") {
            self.fault = Some(FaultReader::default());
        }
        Ok(())
    }

    fn end(&mut self, range: Range<usize>) -> Result<(), XRoadError> {
        match (self.depth, self.region) {
            (2, Region::Body) => self.places.body_content.end = range.start,
            (2, _) => self.region = Region::Other,
            (3, Region::Header) => self.end_block(range.end)?,
            (4, Region::Header) => self.child = None,
            (4.., Region::Body) => {
                if let Some(fault) = &mut self.fault {
                    fault.end();
                }
            }
            _ => {}
        }
        if self.depth == 2 {
            self.region = Region::Other;
        }
        self.depth -= 1;
        Ok(())
    }

    fn end_block(&mut self, end: usize) -> Result<(), XRoadError> {
        match self.block.take() {
            Some(Field::Id) => self.places.id_end = end,
            Some(Field::RequestHash) => self.places.request_hash = Some(self.block_start..end),
            Some(Field::ProtocolVersion) if !self.fields.is_version_4() => {
                return Err(refuse(ErrorCode::InvalidProtocolVersion, "Protocol version is not 4.x"));
            }
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, text: &str, range: Option<Range<usize>>) {
        match (self.depth, self.region) {
            (2, Region::Header) if self.places.header_space.is_empty() => {
                if let Some(range) = range.filter(|_| text.trim().is_empty()) {
                    self.places.header_space = range;
                }
            }
            (3, Region::Header) => {
                if let Some(block) = self.block.filter(|block| block.is_text()) {
                    self.fields.push(block, text);
                }
            }
            (4, Region::Header) => {
                if let Some((block, child)) = self.block.zip(self.child) {
                    self.fields.push_child(block, child, text);
                }
            }
            (4.., Region::Body) => {
                if let Some(fault) = &mut self.fault {
                    fault.text(text);
                }
            }
            _ => {}
        }
    }

    // What is checked at the end of the envelope, in the order of official servers.
    fn checked(&mut self) -> Result<(SoapHeader, String), XRoadError> {
        if !self.has_header {
            return Err(refuse(ErrorCode::MissingHeader, "Malformed SOAP message: header missing"));
        }
        let header = self.fields.take_header()?;
        if !self.has_body {
            return Err(refuse(ErrorCode::MissingBody, "Malformed SOAP message: body missing"));
        }
        let body_element = self.body_element.take().ok_or_else(|| {
            refuse(ErrorCode::InvalidBody, "Malformed SOAP message: body must have exactly one child element")
        })?;
        if !body_element.starts_with(header.service.service_code()) {
            let text = "Malformed SOAP message: service code does not match the name of the body's element";
            return Err(refuse(ErrorCode::InconsistentHeaders, text));
        }
        Ok((header, body_element))
    }
}
