//! The example messages: what is sent, and what must come back.

use axum::body::Bytes;
use axum::http::{Request, Response, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::Full;

use super::plan::{MEMBER_CLASS, Plan, ServerPlan};
use super::{mime, rest_service, soap_service};
use crate::crypto;

/// The kinds of example messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// REST without a body.
    RestGet,
    /// REST with a body.
    RestPost,
    /// SOAP.
    Soap,
    /// SOAP with two attachments, one binary and one in base64.
    SoapAttachments,
}

impl Kind {
    /// All of them, in the order in which a mix takes them.
    pub const ALL: [Self; 4] = [Self::RestGet, Self::RestPost, Self::Soap, Self::SoapAttachments];

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RestGet => "REST GET",
            Self::RestPost => "REST POST",
            Self::Soap => "SOAP",
            Self::SoapAttachments => "SOAP with two attachments",
        }
    }
}

/// Bytes of the answers and bodies in the mix.
const SIZE: usize = 1024;
const SOAP_TYPE: &str = "text/xml; charset=UTF-8";

/// One message of the consumer to a provider.
#[derive(Debug, Clone)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// Its message id.
    pub message_id: String,
    /// Where it goes: the consumer's security server.
    pub url: String,
    /// HTTP headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body; empty for none.
    pub body: Bytes,
}

impl Message {
    /// A message of `kind` from the consumer to `provider`.
    pub fn new(plan: &Plan, provider: &ServerPlan, kind: Kind, message_id: String) -> Self {
        let consumer = plan.consumer();
        let base = consumer.consumer_url();
        let rest_headers =
            || vec![("X-Road-Client", consumer.subsystem()), ("X-Road-Id", message_id.clone())];
        let service = |code: &str| format!("{base}/r1/{}/{code}", provider.subsystem());
        let (url, headers, body) = match kind {
            Kind::RestGet => (format!("{}?size={SIZE}", service("random")), rest_headers(), Bytes::new()),
            Kind::RestPost => {
                let mut headers = rest_headers();
                headers.push(("Content-Type", "application/json".to_owned()));
                let body = format!("{{\"id\":\"{message_id}\",\"text\":\"{}\"}}", super::random_text(SIZE));
                (service("echo"), headers, body.into())
            }
            Kind::Soap => {
                let headers = vec![("Content-Type", SOAP_TYPE.to_owned()), ("SOAPAction", "\"\"".to_owned())];
                (format!("{base}/"), headers, envelope(consumer, provider, &message_id).into())
            }
            Kind::SoapAttachments => {
                let boundary = format!("sandbox-{}", super::random_text(20));
                let content_type =
                    format!("multipart/related; type=\"text/xml\"; charset=UTF-8; boundary={boundary}");
                let headers = vec![("Content-Type", content_type), ("SOAPAction", "\"\"".to_owned())];
                let envelope = envelope(consumer, provider, &message_id);
                (format!("{base}/"), headers, with_attachments(&boundary, &envelope))
            }
        };
        Self { kind, message_id, url, headers, body }
    }

    /// As an HTTP request.
    ///
    /// # Errors
    /// When an identifier cannot be written in a URL or header.
    pub fn request(&self) -> Result<Request<Full<Bytes>>, axum::http::Error> {
        let mut request = match self.kind {
            Kind::RestGet => Request::get(&self.url),
            _ => Request::post(&self.url),
        };
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(Full::new(self.body.clone()))
    }

    /// Is this the answer that the example services give to this message, byte for byte?
    ///
    /// # Errors
    /// What differs.
    pub fn check(&self, answer: &Response<Bytes>) -> Result<(), String> {
        let body = answer.body();
        let wrong = |what: &str| {
            let shown = String::from_utf8_lossy(body.get(..body.len().min(300)).unwrap_or(body)).into_owned();
            Err(format!("{what}: HTTP {}, {shown}", answer.status()))
        };
        let text = |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or("");
        if answer.status() != StatusCode::OK {
            return wrong("not the expected status");
        }
        let content_type = text(header::CONTENT_TYPE.as_str());
        match self.kind {
            Kind::RestGet | Kind::RestPost => {
                let expected = if self.kind == Kind::RestGet {
                    Bytes::from(rest_service::generated(SIZE))
                } else {
                    self.body.clone()
                };
                if text("x-road-id") != self.message_id || text("x-road-request-hash").is_empty() {
                    return wrong("the answer's X-Road headers are not those of this message");
                }
                if *body != expected { wrong("another body than the service sent") } else { Ok(()) }
            }
            Kind::Soap => same_envelope(&self.body, body).or_else(wrong),
            Kind::SoapAttachments => self.same_parts(content_type, body).or_else(wrong),
        }
    }

    fn same_parts(&self, content_type: &str, body: &[u8]) -> Result<(), &'static str> {
        let own_type = self.headers.first().map_or("", |(_, value)| value);
        let sent = mime::boundary(own_type).and_then(|b| mime::parts(b, &self.body)).unwrap_or_default();
        let got = mime::boundary(content_type).ok_or("no multipart")?;
        let got = mime::parts(got, body).ok_or("an incomplete multipart")?;
        if got.len() != sent.len() {
            return Err("another number of attachments than the service sent");
        }
        let pairs = sent.iter().zip(&got);
        for (index, (sent, got)) in pairs.enumerate() {
            let (sent, got) = (&self.body[sent.content.clone()], &body[got.content.clone()]);
            if index == 0 {
                same_envelope(sent, got)?;
            } else if sent != got {
                return Err("another attachment than the service sent");
            }
        }
        Ok(())
    }
}

// The answer must be what the service made, with the hash of the request inserted behind the message id.
fn same_envelope(request: &[u8], answer: &[u8]) -> Result<(), &'static str> {
    const ID_END: &str = "</xro:id>";
    let (_, expected) = soap_service::answer(SOAP_TYPE, request)?;
    let (expected, answer) = (text(&expected)?, text(answer)?);
    let (before, after) = expected.split_once(ID_END).ok_or("no message id")?;
    let rest = answer.strip_prefix(before).and_then(|rest| rest.strip_prefix(ID_END));
    let rest = rest.ok_or("another envelope than the service sent")?;
    let (element, rest) = rest.split_once("</xro:requestHash>").ok_or("no request hash")?;
    if rest.trim_end() != after.trim_end() {
        return Err("another envelope than the service sent");
    }
    if !element.ends_with(&format!(">{}", BASE64.encode(crypto::sha512(request)))) {
        return Err("the hash of another request");
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Result<&str, &'static str> {
    std::str::from_utf8(bytes).map_err(|_| "text that is not UTF-8")
}

fn envelope(consumer: &ServerPlan, provider: &ServerPlan, message_id: &str) -> String {
    let client = |server: &ServerPlan| {
        format!(
            "
      <iden:xRoadInstance>{}</iden:xRoadInstance>
      <iden:memberClass>{MEMBER_CLASS}</iden:memberClass>
      <iden:memberCode>{}</iden:memberCode>
      <iden:subsystemCode>{}</iden:subsystemCode>",
            server.instance, server.member_code, server.subsystem_code
        )
    };
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xro="http://x-road.eu/xsd/xroad.xsd" xmlns:iden="http://x-road.eu/xsd/identifiers">
  <soapenv:Header>
    <xro:client iden:objectType="SUBSYSTEM">{}
    </xro:client>
    <xro:service iden:objectType="SERVICE">{}
      <iden:serviceCode>getRandom</iden:serviceCode>
      <iden:serviceVersion>v1</iden:serviceVersion>
    </xro:service>
    <xro:userId>FI0123456789</xro:userId>
    <xro:id>{message_id}</xro:id>
    <xro:protocolVersion>4.0</xro:protocolVersion>
  </soapenv:Header>
  <soapenv:Body>
    <p:getRandom xmlns:p="{}"><p:size>{SIZE}</p:size></p:getRandom>
  </soapenv:Body>
</soapenv:Envelope>
"#,
        client(consumer),
        client(provider),
        soap_service::NAMESPACE
    )
}

fn with_attachments(boundary: &str, envelope: &str) -> Bytes {
    let mut binary = vec![0; SIZE];
    // Any bytes will do, these included should the generator ever fail.
    let _ = aws_lc_rs::rand::fill(&mut binary);
    let mut body = format!("--{boundary}\r\nContent-Type: {SOAP_TYPE}\r\n\r\n{envelope}\r\n").into_bytes();
    let head = format!(
        "--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\
         Content-ID: <one@sandbox.test>\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(&binary);
    let second = format!(
        "\r\n--{boundary}\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\
         Content-ID: <two@sandbox.test>\r\n\r\n{}\r\n--{boundary}--\r\n",
        BASE64.encode(&binary)
    );
    body.extend_from_slice(second.as_bytes());
    body.into()
}
