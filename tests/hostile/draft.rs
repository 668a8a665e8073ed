//! Transport messages as lists of parts that a case may alter at will before they become bytes.

use hermod::sandbox::plan::{INSTANCE, MEMBER_CLASS};

pub const REST_REQUEST: &str = "application/x-road-rest-request";
pub const REST_RESPONSE: &str = "application/x-road-rest-response";
pub const REST_BODY: &str = "application/x-road-rest-body";
pub const OCSP: &str = "application/ocsp-response";
pub const CHAIN_RESULT: &str = "application/hash-chain-result";
pub const CHAIN: &str = "application/hash-chain";
pub const SIGNATURE: &str = "signature/bdoc-1.0/ts";
pub const XML: &str = "text/xml; charset=UTF-8";
pub const REQUEST_ID: &str = "11111111-2222-3333-4444-555555555555";

/// One part.
#[derive(Clone, Debug)]
pub struct Part {
    pub content_type: String,
    pub body: Vec<u8>,
}

/// A message with its HTTP head.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Request line or status line.
    pub start: String,
    pub headers: Vec<(String, String)>,
    pub parts: Vec<Part>,
    /// With the closing boundary.
    pub closed: bool,
}

pub const BOUNDARY: &str = "xtopHostile";

impl Draft {
    /// A request to another server, without parts.
    pub fn request(is_rest: bool) -> Self {
        let mut draft =
            Self { start: "POST / HTTP/1.1".into(), headers: Vec::new(), parts: Vec::new(), closed: true };
        if is_rest {
            draft.header("x-road-message-type", "REST");
        } else {
            draft.header("x-original-soapaction", "\"\"");
        }
        draft.header("x-hash-algorithm", "SHA-512");
        draft.header("x-original-content-type", if is_rest { "application/json" } else { "text/xml" });
        draft.header("x-road-request-id", REQUEST_ID);
        draft.header("x-proxy-version", "7.8.0");
        draft.header("Content-Type", &multipart_mixed(BOUNDARY));
        draft.header("Host", "server:5500");
        draft.header("Connection", "close");
        draft
    }

    /// An answer of a provider's server, without parts.
    pub fn answer() -> Self {
        let mut draft =
            Self { start: "HTTP/1.1 200 OK".into(), headers: Vec::new(), parts: Vec::new(), closed: true };
        draft.header("Content-Type", &multipart_mixed(BOUNDARY));
        draft.header("x-hash-algorithm", "SHA-512");
        draft.header("Connection", "close");
        draft
    }

    pub fn header(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Replaces a header field, or removes it.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        self.headers.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
        if let Some(value) = value {
            self.header(name, value);
        }
    }

    pub fn push(&mut self, content_type: &str, body: impl Into<Vec<u8>>) {
        self.parts.push(Part { content_type: content_type.to_owned(), body: body.into() });
    }

    /// Index of the first part of a type.
    pub fn at(&self, content_type: &str) -> usize {
        self.parts.iter().position(|part| part.content_type == content_type).expect("a part of this type")
    }

    /// The body of the first part of a type.
    pub fn part(&mut self, content_type: &str) -> &mut Vec<u8> {
        let at = self.at(content_type);
        &mut self.parts[at].body
    }

    pub fn remove(&mut self, content_type: &str) {
        let at = self.at(content_type);
        self.parts.remove(at);
    }

    /// The multipart body.
    pub fn body(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (index, part) in self.parts.iter().enumerate() {
            let line = if index == 0 { "" } else { "\r\n" };
            out.extend_from_slice(
                format!("{line}--{BOUNDARY}\r\ncontent-type: {}\r\n\r\n", part.content_type).as_bytes(),
            );
            out.extend_from_slice(&part.body);
        }
        if self.closed {
            out.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        }
        out
    }

    /// The head with further lines.
    pub fn head(&self, framing: &str) -> Vec<u8> {
        let fields: String =
            self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{}\r\n{fields}{framing}\r\n\r\n", self.start).into_bytes()
    }

    /// The whole HTTP message, chunked.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = self.head("Transfer-Encoding: chunked");
        out.extend_from_slice(&chunked(&self.body(), true));
        out
    }
}

pub fn multipart_mixed(boundary: &str) -> String {
    format!("multipart/mixed; charset=UTF-8; boundary={boundary}")
}

/// `body` in one chunk.
pub fn chunked(body: &[u8], last: bool) -> Vec<u8> {
    let mut out = format!("{:x}\r\n", body.len()).into_bytes();
    out.extend_from_slice(body);
    out.extend_from_slice(if last { b"\r\n0\r\n\r\n".as_slice() } else { b"\r\n" });
    out
}

/// A REST request part as the protocol writes it.
pub fn rest_part(method: &str, target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut part = format!("{method}\r\n{target}\r\n");
    for (name, value) in headers {
        part.push_str(&format!("{name}:{value}\r\n"));
    }
    part.into_bytes()
}

/// `SANDBOX/GOV/100/consumer` and the like.
pub fn subsystem(member: &str, code: &str) -> String {
    format!("{INSTANCE}/{MEMBER_CLASS}/{member}/{code}")
}

/// A SOAP envelope of the consumer to the provider; `extra` is put into the header.
pub fn envelope(client: (&str, &str), message_id: &str, extra: &str) -> Vec<u8> {
    let id = |member: &str, subsystem: &str| {
        format!(
            "<i:xRoadInstance>{INSTANCE}</i:xRoadInstance><i:memberClass>{MEMBER_CLASS}</i:memberClass>\
             <i:memberCode>{member}</i:memberCode><i:subsystemCode>{subsystem}</i:subsystemCode>"
        )
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:x=\"http://x-road.eu/xsd/xroad.xsd\" xmlns:i=\"http://x-road.eu/xsd/identifiers\"><e:Header>\
         <x:client i:objectType=\"SUBSYSTEM\">{}</x:client><x:service i:objectType=\"SERVICE\">{}\
         <i:serviceCode>getRandom</i:serviceCode><i:serviceVersion>v1</i:serviceVersion></x:service>\
         <x:id>{message_id}</x:id>{extra}<x:protocolVersion>4.0</x:protocolVersion></e:Header><e:Body>\
         <p:getRandom xmlns:p=\"http://sandbox.test/producer\"><p:size>10</p:size></p:getRandom></e:Body></e:Envelope>",
        id(client.0, client.1),
        id("200", "provider"),
    )
    .into_bytes()
}
