//! The SOAP envelope around a management request.

use bytes::Bytes;

use super::request::{ManagementRequest, client_element, service_element};
use crate::message::{
    ClientId, IDENTIFIERS_NAMESPACE, SOAP_NAMESPACE, SecurityServerId, Soap, SoapMessage, XROAD_NAMESPACE,
};
use crate::xml::{Document, Limits, escape_text};

/// A request with the server that it is about, the provider of the management services, and an id of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressed {
    /// The server; its owner is the consumer.
    pub server: SecurityServerId,
    /// Who provides the management services.
    pub provider: ClientId,
    /// Message id.
    pub message_id: String,
    /// What is asked for.
    pub request: ManagementRequest,
}

impl Addressed {
    /// The envelope, in UTF-8.
    pub fn envelope(&self) -> Bytes {
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<SOAP-ENV:Envelope xmlns:SOAP-ENV=\"{SOAP_NAMESPACE}\" \
             xmlns:id=\"{IDENTIFIERS_NAMESPACE}\" xmlns:xroad=\"{XROAD_NAMESPACE}\"><SOAP-ENV:Header>"
        );
        client_element(&mut xml, "client", &self.server.owner().client());
        service_element(&mut xml, &self.provider, self.request.service_code());
        xml.push_str(&format!(
            "<xroad:id>{}</xroad:id><xroad:protocolVersion>4.0</xroad:protocolVersion></SOAP-ENV:Header>\
             <SOAP-ENV:Body>{}</SOAP-ENV:Body></SOAP-ENV:Envelope>",
            escape_text(&self.message_id),
            self.request.element(&self.server, None)
        ));
        Bytes::from(xml)
    }
}

/// Reads an envelope back. Error: a line of text.
pub fn read_envelope(soap: &Bytes) -> Result<(SoapMessage, Addressed), String> {
    let message = match Soap::parse(soap.clone()) {
        Ok(Soap::Message(message)) => *message,
        Ok(Soap::Fault(_)) => return Err("a fault is no request".into()),
        Err(error) => return Err(error.to_string()),
    };
    let document = Document::parse(message.text(), &Limits::default()).map_err(|error| error.to_string())?;
    let body = document.root().child(SOAP_NAMESPACE, "Body").ok_or("the request has no body")?;
    let element = body.elements().next().ok_or("the body is empty")?;
    let (server, request) = ManagementRequest::parse(element)?;
    let header = message.header();
    let (provider, message_id) = (header.service.client(), header.message_id.clone());
    if header.service.service_code() != request.service_code() {
        return Err("the body is not of the service that is called".into());
    }
    let addressed = Addressed { server, provider, message_id, request };
    drop(document);
    Ok((message, addressed))
}

/// The response to a request: its headers, its element with the number under which it is kept.
pub fn response(message: &SoapMessage, addressed: &Addressed, request_id: u64) -> Bytes {
    let element = addressed.request.element(&addressed.server, Some(request_id));
    // The prefixes of the element are declared with it: the request may use others.
    let declared = format!(" xmlns:xroad=\"{XROAD_NAMESPACE}\" xmlns:id=\"{IDENTIFIERS_NAMESPACE}\">");
    message.with_body(element.replacen('>', &declared, 1).as_bytes())
}
