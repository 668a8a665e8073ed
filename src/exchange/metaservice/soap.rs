//! SOAP metaservices: listMethods, allowedMethods, getWsdl (`transport.md` 7.1, PR-META).

use std::fmt::Write;

use bytes::Bytes;

use super::{download, monitoring, wsdl};
use crate::exchange::body::Hashing;
use crate::exchange::context::Worker;
use crate::exchange::incoming::Attachment;
use crate::exchange::random::letters;
use crate::exchange::room::cannot_keep;
use crate::message::{
    ErrorCode, IDENTIFIERS_NAMESPACE, ServiceId, SoapHeader, SoapMessage, XROAD_NAMESPACE, XRoadError,
};
use crate::registry::{Registry, Service, ServiceType};
use crate::transport::{Boundary, PartHeaders};
use crate::trust::TrustSnapshot;
use crate::xml::{Document, Limits, escape_text};

/// What a metaservice answers.
#[derive(Debug)]
pub struct Answer {
    /// The envelope, without request hash.
    pub soap: Bytes,
    /// The WSDL.
    pub attachment: Option<Attachment>,
    /// What a service's `Content-Type` would be.
    pub content_type: String,
}

/// Whether a request is one for a metaservice: by its service code alone, or one for this server's monitoring.
pub fn claims(worker: &Worker, header: &SoapHeader) -> bool {
    matches!(header.service.service_code(), "listMethods" | "allowedMethods" | "getWsdl")
        || monitoring::claims(worker, header)
}

/// Answers. Errors: `invalid_request`, `unknown_service`, `service_type`, `internal_error`.
pub async fn answer(
    worker: &Worker,
    trust: &TrustSnapshot,
    registry: &Registry,
    request: &SoapMessage,
) -> Result<Answer, XRoadError> {
    let header = request.header();
    if monitoring::claims(worker, header) {
        return monitoring::answer(worker, trust, request).await;
    }
    let provider = header.service.client();
    match header.service.service_code() {
        "getWsdl" => get_wsdl(worker, registry, request).await,
        "listMethods" => Ok(list("listMethodsResponse", registry.services_of(&provider).iter(), request)),
        _ => {
            let allowed = registry.allowed_services(&header.client, &provider, &*trust.global_conf);
            Ok(list("allowedMethodsResponse", allowed.into_iter(), request))
        }
    }
}

fn list<'s>(element: &str, services: impl Iterator<Item = &'s Service>, request: &SoapMessage) -> Answer {
    let mut body = opening(element);
    for service in services.filter(|service| service.service_type == ServiceType::Wsdl) {
        push_service(&mut body, &service.id);
    }
    // Writing into a String cannot fail.
    let _ = write!(body, "</xroad:{element}>");
    let content_type = "text/xml; charset=UTF-8".into();
    Answer { soap: request.with_body(body.as_bytes()), attachment: None, content_type }
}

fn opening(element: &str) -> String {
    format!("<xroad:{element} xmlns:xroad=\"{XROAD_NAMESPACE}\" xmlns:id=\"{IDENTIFIERS_NAMESPACE}\">")
}

fn push_service(xml: &mut String, id: &ServiceId) {
    let provider = id.client();
    xml.push_str("<xroad:service id:objectType=\"SERVICE\">");
    let mut element = |name: &str, value: &str| {
        let _ = write!(xml, "<id:{name}>{}</id:{name}>", escape_text(value));
    };
    element("xRoadInstance", provider.instance());
    element("memberClass", provider.member_class());
    element("memberCode", provider.member_code());
    if let Some(code) = provider.subsystem_code() {
        element("subsystemCode", code);
    }
    element("serviceCode", id.service_code());
    if let Some(version) = id.service_version() {
        element("serviceVersion", version);
    }
    xml.push_str("</xroad:service>");
}

async fn get_wsdl(worker: &Worker, registry: &Registry, request: &SoapMessage) -> Result<Answer, XRoadError> {
    let (code, version) = asked_service(request)?;
    let provider = request.header().service.client();
    let services = registry.services_of(&provider);
    let found = services.iter().find(|service| {
        service.id.service_code() == code && service.id.service_version() == version.as_deref()
    });
    // As official servers say it: people search for these words.
    let unknown = || match ServiceId::new(&provider, &code, version.as_deref()) {
        Ok(id) => {
            let text = format!("Could not find wsdl URL for service {}:{id}", id.type_name());
            XRoadError::new(ErrorCode::UnknownService, text)
        }
        Err(error) => error.into(),
    };
    let service = found.ok_or_else(unknown)?;
    if service.service_type != ServiceType::Wsdl {
        let text = format!("service \"{code}\" is a REST service and has no WSDL");
        return Err(XRoadError::new(ErrorCode::ServiceType, text));
    }
    let url = service.description_url.as_deref().unwrap_or(&service.url);
    let (_, document) = download::description(worker, registry, service, url).await?;
    let wsdl = wsdl::anonymise(&document)?;

    let mut body = opening("getWsdlResponse");
    let _ = write!(body, "<xroad:serviceCode>{}</xroad:serviceCode>", escape_text(&code));
    if let Some(version) = &version {
        let _ = write!(body, "<xroad:serviceVersion>{}</xroad:serviceVersion>", escape_text(version));
    }
    body.push_str("</xroad:getWsdlResponse>");
    let boundary = Boundary::from_random(&letters(&*worker.shared.entropy)).related();
    let content_type = format!("multipart/related; type=\"text/xml\"; charset=UTF-8; boundary={boundary}");
    let attachment = Some(attachment(worker, wsdl)?);
    Ok(Answer { soap: request.with_body(body.as_bytes()), attachment, content_type })
}

fn attachment(worker: &Worker, wsdl: Bytes) -> Result<Attachment, XRoadError> {
    let content_id = format!("<wsdl={}@x-road.eu>", worker.uuid());
    let headers = PartHeaders {
        content_type: Some("text/xml".into()),
        fields: vec![
            (Bytes::from_static(b"Content-Transfer-Encoding"), Bytes::from_static(b"binary")),
            (Bytes::from_static(b"Content-ID"), Bytes::from(content_id)),
        ],
    };
    let mut hashing = Hashing::new(&worker.shared.spools);
    hashing.write(wsdl).map_err(cannot_keep)?;
    Ok(Attachment { headers, body: hashing.finish() })
}

/// The service that a getWsdl request asks for. Error: `invalid_request`.
fn asked_service(request: &SoapMessage) -> Result<(String, Option<String>), XRoadError> {
    let invalid = |text: &'static str| XRoadError::new(ErrorCode::InvalidRequest, text);
    let document = Document::parse(request.text(), &Limits::default())
        .map_err(|_| invalid("the request cannot be read"))?;
    let found = document.root().descendants().find(|node| node.is(XROAD_NAMESPACE, "getWsdl"));
    let element = found.ok_or_else(|| invalid("the request has no element getWsdl"))?;
    let text = |name: &str| element.child(XROAD_NAMESPACE, name).map(|node| node.text().trim().to_string());
    let code = text("serviceCode").filter(|code| !code.is_empty());
    let code = code.ok_or_else(|| invalid("the request names no serviceCode"))?;
    Ok((code, text("serviceVersion").filter(|version| !version.is_empty())))
}
