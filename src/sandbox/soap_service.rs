//! The example SOAP service: `getRandom` answers with text of the wanted size and gives every attachment back as it
//! came; with a WSDL.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::mime;
use super::rest_service::generated;
use super::station::Stations;
use crate::xml;

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// Namespace of the service's own elements.
pub const NAMESPACE: &str = "http://sandbox.test/producer";

/// The WSDL, with the address where the service really is.
pub fn wsdl(address: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<wsdl:definitions targetNamespace="{NAMESPACE}" xmlns:tns="{NAMESPACE}" xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/"
    xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xs="http://www.w3.org/2001/XMLSchema"
    xmlns:xrd="http://x-road.eu/xsd/xroad.xsd">
  <wsdl:types>
    <xs:schema targetNamespace="{NAMESPACE}" elementFormDefault="qualified">
      <xs:element name="getRandom"><xs:complexType><xs:sequence><xs:element name="size" type="xs:int"/></xs:sequence></xs:complexType></xs:element>
      <xs:element name="getRandomResponse"><xs:complexType><xs:sequence><xs:element name="data" type="xs:string"/></xs:sequence></xs:complexType></xs:element>
    </xs:schema>
  </wsdl:types>
  <wsdl:message name="getRandom"><wsdl:part name="body" element="tns:getRandom"/></wsdl:message>
  <wsdl:message name="getRandomResponse"><wsdl:part name="body" element="tns:getRandomResponse"/></wsdl:message>
  <wsdl:portType name="randomPort">
    <wsdl:operation name="getRandom"><wsdl:input message="tns:getRandom"/><wsdl:output message="tns:getRandomResponse"/></wsdl:operation>
  </wsdl:portType>
  <wsdl:binding name="randomBinding" type="tns:randomPort">
    <soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
    <wsdl:operation name="getRandom">
      <soap:operation soapAction=""/><xrd:version>v1</xrd:version>
      <wsdl:input><soap:body use="literal"/></wsdl:input><wsdl:output><soap:body use="literal"/></wsdl:output>
    </wsdl:operation>
  </wsdl:binding>
  <wsdl:service name="randomService">
    <wsdl:port name="randomPort" binding="tns:randomBinding"><soap:address location="{address}"/></wsdl:port>
  </wsdl:service>
</wsdl:definitions>
"#
    )
}

/// Answers a request with content type and body.
///
/// # Errors
/// One clause that says what is wrong with the request.
pub fn answer(content_type: &str, body: &[u8]) -> Result<(String, Vec<u8>), &'static str> {
    let Some(boundary) = mime::boundary(content_type) else {
        return Ok(("text/xml; charset=UTF-8".to_owned(), envelope(body)?));
    };
    // The first part is the envelope; everything after it goes back as it came, under the same boundary.
    let parts = mime::parts(boundary, body).ok_or("an incomplete multipart")?;
    let first = parts.into_iter().next().ok_or("no part")?;
    let mut out = body[..first.content.start].to_vec();
    out.extend_from_slice(&envelope(&body[first.content.clone()])?);
    out.extend_from_slice(&body[first.content.end..]);
    Ok((content_type.to_owned(), out))
}

// The request's own envelope tag and header come back with another body: the headers must be equal in the answer.
fn envelope(request: &[u8]) -> Result<Vec<u8>, &'static str> {
    let document =
        xml::Document::parse(request, &xml::Limits::default()).map_err(|_| "no well-formed XML")?;
    let root = document.root();
    let header = root.child(SOAP, "Header").ok_or("no Header")?;
    let body = root.child(SOAP, "Body").ok_or("no Body")?;
    let call = body.elements().next().ok_or("an empty Body")?;
    if call.local() != "getRandom" {
        return Err("only getRandom is served");
    }
    let size = call.elements().find(|e| e.local() == "size").ok_or("no size")?.text();
    let size: usize = size.trim().parse().map_err(|_| "a size that is no number")?;
    let prefix = if root.prefix().is_empty() { String::new() } else { format!("{}:", root.prefix()) };
    let mut out = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_vec();
    out.extend_from_slice(&request[root.range().start..root.content_range().start]);
    out.extend_from_slice(&request[header.range()]);
    out.extend_from_slice(
        format!("<{prefix}Body><p:getRandomResponse xmlns:p=\"{NAMESPACE}\"><p:data>").as_bytes(),
    );
    out.extend_from_slice(&generated(size));
    out.extend_from_slice(
        format!("</p:data></p:getRandomResponse></{prefix}Body></{prefix}Envelope>\n").as_bytes(),
    );
    Ok(out)
}

struct Service {
    stations: Arc<Stations>,
    address: String,
}

/// The service over HTTP: POST to `/soap`, `GET /soap?wsdl`. `address` is its own URL.
pub(super) fn router(stations: Arc<Stations>, address: String) -> Router {
    Router::new()
        .route("/soap", get(description).post(call))
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::new(Service { stations, address }))
}

async fn description(State(service): State<Arc<Service>>, RawQuery(query): RawQuery) -> Response {
    if query.as_deref() != Some("wsdl") {
        return StatusCode::NOT_FOUND.into_response();
    }
    ([(header::CONTENT_TYPE, "text/xml; charset=UTF-8")], wsdl(&service.address)).into_response()
}

async fn call(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, StatusCode> {
    service.stations.soap.enter().await?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    Ok(match answer(content_type, &body) {
        Ok((content_type, body)) => ([(header::CONTENT_TYPE, content_type)], body).into_response(),
        Err(reason) => fault(reason),
    })
}

fn fault(reason: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<e:Envelope xmlns:e=\"{SOAP}\"><e:Body><e:Fault>\
         <faultcode>e:Client</faultcode><faultstring>{reason}</faultstring></e:Fault></e:Body></e:Envelope>"
    );
    ([(header::CONTENT_TYPE, "text/xml; charset=UTF-8")], body).into_response()
}
