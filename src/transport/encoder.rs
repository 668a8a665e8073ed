use bytes::{BufMut, Bytes, BytesMut};

use super::Boundary;
use crate::message::utf8_to_latin1;

/// Writes a transport message byte for byte as official servers do (`transport.md` 3.4).
///
/// Every method appends to `out`; those named `…_start` leave the body to the caller, who sends it after what `out`
/// holds then. Parts must be written in the order of the protocol: OCSP responses, message, attachments or REST body,
/// hash chain result and hash chain, signature or fault, [`Encoder::close`].
#[derive(Debug)]
pub struct Encoder {
    top: String,
    nested: String,
    is_first: bool,
    in_attachments: bool,
}

impl Encoder {
    /// A message with this boundary.
    pub fn new(boundary: &Boundary) -> Self {
        Self::with_boundaries(boundary.top(), boundary.attachments())
    }

    /// A message with given boundaries of message and attachments.
    pub fn with_boundaries(top: String, nested: String) -> Self {
        Self { top, nested, is_first: true, in_attachments: false }
    }

    /// `Content-Type` of the HTTP message.
    pub fn content_type(&self) -> String {
        mixed(&self.top)
    }

    /// A whole OCSP response, DER.
    pub fn ocsp_response(&mut self, out: &mut BytesMut, der: &[u8]) {
        self.whole(out, "application/ocsp-response", der);
    }

    /// The start of an OCSP response; its body is shared by many messages and need not be copied.
    pub fn ocsp_response_start(&mut self, out: &mut BytesMut) {
        self.part_start(out, "application/ocsp-response", &[]);
    }

    /// The SOAP part with the content type and the other headers that it came with.
    pub fn soap_start(&mut self, out: &mut BytesMut, content_type: &str, fields: &[(Bytes, Bytes)]) {
        self.part_start(out, content_type, fields);
    }

    /// The whole part of a REST request.
    pub fn rest_request(&mut self, out: &mut BytesMut, part: &[u8]) {
        self.whole(out, "application/x-road-rest-request", part);
    }

    /// The whole part of a REST response.
    pub fn rest_response(&mut self, out: &mut BytesMut, part: &[u8]) {
        self.whole(out, "application/x-road-rest-response", part);
    }

    /// A REST body.
    pub fn rest_body_start(&mut self, out: &mut BytesMut) {
        self.part_start(out, "application/x-road-rest-body", &[]);
    }

    /// An attachment of a SOAP message; the first one opens the nested multipart.
    pub fn attachment_start(&mut self, out: &mut BytesMut, content_type: &str, fields: &[(Bytes, Bytes)]) {
        if !self.in_attachments {
            let content_type = mixed(&self.nested);
            self.part_start(out, &content_type, &[]);
            self.in_attachments = true;
        }
        out.put_slice(b"\r\n--");
        out.put_slice(self.nested.as_bytes());
        out.put_slice(b"\r\n");
        headers(out, content_type, fields);
    }

    /// A whole hash chain result.
    pub fn hash_chain_result(&mut self, out: &mut BytesMut, xml: &[u8]) {
        self.whole(out, "application/hash-chain-result", xml);
    }

    /// A whole hash chain.
    pub fn hash_chain(&mut self, out: &mut BytesMut, xml: &[u8]) {
        self.whole(out, "application/hash-chain", xml);
    }

    /// The start of the signature part; its body may be shared by many messages and need not be copied.
    pub fn signature_start(&mut self, out: &mut BytesMut) {
        self.part_start(out, "signature/bdoc-1.0/ts", &[]);
    }

    /// A whole signature.
    pub fn signature(&mut self, out: &mut BytesMut, xml: &[u8]) {
        self.whole(out, "signature/bdoc-1.0/ts", xml);
    }

    /// A fault in place of whatever is missing.
    pub fn fault(&mut self, out: &mut BytesMut, xml: &[u8]) {
        self.whole(out, "text/xml; charset=UTF-8", xml);
    }

    /// The end.
    pub fn close(&mut self, out: &mut BytesMut) {
        self.close_attachments(out);
        out.put_slice(b"\r\n--");
        out.put_slice(self.top.as_bytes());
        out.put_slice(b"--\r\n");
    }

    fn whole(&mut self, out: &mut BytesMut, content_type: &str, body: &[u8]) {
        out.reserve(body.len() + 256);
        self.part_start(out, content_type, &[]);
        out.put_slice(body);
    }

    fn part_start(&mut self, out: &mut BytesMut, content_type: &str, fields: &[(Bytes, Bytes)]) {
        self.close_attachments(out);
        if !std::mem::take(&mut self.is_first) {
            out.put_slice(b"\r\n");
        }
        out.put_slice(b"--");
        out.put_slice(self.top.as_bytes());
        out.put_slice(b"\r\n");
        headers(out, content_type, fields);
    }

    fn close_attachments(&mut self, out: &mut BytesMut) {
        if std::mem::take(&mut self.in_attachments) {
            out.put_slice(b"\r\n--");
            out.put_slice(self.nested.as_bytes());
            out.put_slice(b"--\r\n");
        }
    }
}

fn mixed(boundary: &str) -> String {
    format!("multipart/mixed; charset=UTF-8; boundary={boundary}")
}

fn headers(out: &mut BytesMut, content_type: &str, fields: &[(Bytes, Bytes)]) {
    out.put_slice(b"content-type: ");
    out.put_slice(&utf8_to_latin1(content_type));
    out.put_slice(b"\r\n");
    for (name, value) in fields {
        out.put_slice(name);
        out.put_slice(b": ");
        out.put_slice(value);
        out.put_slice(b"\r\n");
    }
    out.put_slice(b"\r\n");
}
