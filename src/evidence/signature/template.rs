use bytes::Bytes;

use super::super::base64;
use super::super::part::SIGNATURE_HASH_CHAIN_RESULT;
use super::names::{POLICY_HASH, POLICY_ID, ROOT_NAMESPACES, SIGNED_PROPERTIES_TYPE};
use crate::crypto::{Certificate, Digest, DigestAlgorithm, Hasher, SignatureAlgorithm};
use crate::time::UnixTime;
use crate::xml::{C14n, escape_text};

/// What a signature covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// One message without other parts.
    Message,
    /// The hash chain result of a batch.
    HashChainResult,
}

impl Reference {
    /// The URI of the reference.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Message => "/message.xml",
            Self::HashChainResult => SIGNATURE_HASH_CHAIN_RESULT,
        }
    }

    const fn mime_type(self) -> &'static str {
        match self {
            Self::Message => "text/xml",
            Self::HashChainResult => "application/hash-chain-result",
        }
    }
}

/// Signature documents of one certificate and its OCSP responses, everything constant written beforehand.
///
/// The canonical form of what is signed is known, since the document is ours: signing needs no parser and no
/// canonicaliser. A new template is made when an OCSP response changes.
pub struct SignatureTemplate {
    algorithm: SignatureAlgorithm,
    // Has taken in the canonical signed properties up to the text of SigningTime.
    properties_hasher: Hasher,
    canonical_tail: [String; 2],
    // From after the signature value up to the text of SigningTime, and from there to the end.
    document_middle: String,
    document_tail: [String; 2],
}

/// A signature document that lacks its value.
pub struct Prepared<'t> {
    template: &'t SignatureTemplate,
    reference: Reference,
    digest: Digest,
    properties_digest: Digest,
    signing_time: String,
    signed_info: String,
}

// How the same elements are spelt in the document and in canonical form.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Document,
    Canonical,
}

impl SignatureTemplate {
    /// Writes everything that does not change from one signature to the next. `extra_certificates` are the
    /// intermediate authorities, issuer of the signing certificate first; `ocsp_responses` (DER) are of the
    /// signing certificate and of each extra one, in that order.
    pub fn new(
        sign_certificate: &Certificate,
        extra_certificates: &[Certificate],
        ocsp_responses: &[Bytes],
        algorithm: SignatureAlgorithm,
    ) -> Self {
        let digest = algorithm.digest();
        let mut head = String::with_capacity(512);
        push_properties_head(&mut head, Form::Canonical);
        let mut properties_hasher = Hasher::new(digest);
        properties_hasher.update(head.as_bytes());

        let tail = |reference: Reference, form| {
            let mut out = String::with_capacity(2048);
            push_properties_tail(&mut out, sign_certificate, digest, reference, form);
            out
        };
        let both = |form| [tail(Reference::Message, form), tail(Reference::HashChainResult, form)];

        let mut document_middle = String::with_capacity(4096);
        push_key_info(&mut document_middle, sign_certificate);
        document_middle.push_str("<ds:Object><xades:QualifyingProperties Target=\"#signature\">");
        push_properties_head(&mut document_middle, Form::Document);
        let mut document_tail = both(Form::Document);
        for tail in &mut document_tail {
            push_unsigned(tail, extra_certificates, ocsp_responses, digest);
            tail.push_str(
                "</xades:QualifyingProperties></ds:Object>\n</ds:Signature></asic:XAdESSignatures>",
            );
        }
        Self {
            algorithm,
            properties_hasher,
            canonical_tail: both(Form::Canonical),
            document_middle,
            document_tail,
        }
    }

    /// The algorithm that the signature value must be made with.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// A document over `digest`, ready to be signed.
    pub fn prepare(&self, reference: Reference, digest: &Digest, signing_time: UnixTime) -> Prepared<'_> {
        let signing_time = signing_time.to_rfc3339();
        let mut hasher = self.properties_hasher.clone();
        hasher.update(signing_time.as_bytes());
        hasher.update(self.canonical_tail[reference as usize].as_bytes());
        let properties_digest = hasher.finish();
        let mut prepared = Prepared {
            template: self,
            reference,
            digest: *digest,
            properties_digest,
            signing_time,
            signed_info: String::with_capacity(1280),
        };
        let mut signed_info = std::mem::take(&mut prepared.signed_info);
        prepared.push_signed_info(&mut signed_info, Form::Canonical);
        prepared.signed_info = signed_info;
        prepared
    }
}

impl Prepared<'_> {
    /// The canonical octets that are hashed and signed.
    pub fn signed_info(&self) -> &[u8] {
        self.signed_info.as_bytes()
    }

    /// The complete document. An ECDSA value is raw `r || s`.
    pub fn finish(&self, signature_value: &[u8]) -> Bytes {
        let (middle, tail) =
            (&self.template.document_middle, &self.template.document_tail[self.reference as usize]);
        let mut out = String::with_capacity(1664 + signature_value.len() * 2 + middle.len() + tail.len());
        out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?><asic:XAdESSignatures");
        out.push_str(ROOT_NAMESPACES);
        out.push_str("><ds:Signature Id=\"signature\">\n");
        self.push_signed_info(&mut out, Form::Document);
        out.push_str("\n<ds:SignatureValue Id=\"signature-value\">");
        // A value longer than one line stands on a line of its own, unbroken.
        let line_end = if signature_value.len() > 57 { "\n" } else { "" };
        out.push_str(line_end);
        base64::push(&mut out, signature_value);
        out.push_str(line_end);
        out.push_str(middle);
        out.push_str(&self.signing_time);
        out.push_str(tail);
        Bytes::from(out)
    }

    fn push_signed_info(&self, out: &mut String, form: Form) {
        form.open(out, "ds:SignedInfo");
        out.push_str(">\n");
        form.algorithm(out, "ds:CanonicalizationMethod", C14n::Inclusive10.uri());
        out.push('\n');
        form.algorithm(out, "ds:SignatureMethod", self.template.algorithm.uri());
        out.push_str("\n<ds:Reference Id=\"signature-reference-0\" URI=\"");
        out.push_str(self.reference.uri());
        out.push_str("\">\n");
        form.wrapped_digest(out, &self.digest);
        out.push_str("</ds:Reference>\n<ds:Reference Id=\"signature-reference-1\" Type=\"");
        out.push_str(SIGNED_PROPERTIES_TYPE);
        out.push_str("\" URI=\"#signed-properties\">\n");
        form.wrapped_digest(out, &self.properties_digest);
        out.push_str("</ds:Reference>\n</ds:SignedInfo>");
    }
}

impl Form {
    // The start of an element that is canonicalised as the top of a subtree: all namespaces are in scope there.
    fn open(self, out: &mut String, name: &str) {
        out.push('<');
        out.push_str(name);
        if self == Self::Canonical {
            out.push_str(ROOT_NAMESPACES);
        }
    }

    fn algorithm(self, out: &mut String, name: &str, uri: &str) {
        out.push('<');
        out.push_str(name);
        out.push_str(" Algorithm=\"");
        out.push_str(uri);
        match self {
            Self::Document => out.push_str("\"/>"),
            Self::Canonical => {
                out.push_str("\"></");
                out.push_str(name);
                out.push('>');
            }
        }
    }

    // Lines end with a carriage return that is part of the text, as official servers write them.
    fn wrapped_digest(self, out: &mut String, digest: &Digest) {
        self.algorithm(out, "ds:DigestMethod", digest.algorithm().uri());
        out.push_str("\n<ds:DigestValue>");
        let line_end = if self == Self::Canonical { "&#xD;\n" } else { "&#13;\n" };
        base64::push_lines(out, digest.as_ref(), line_end);
        out.push_str("</ds:DigestValue>\n");
    }

    fn digest(self, out: &mut String, digest: &Digest) {
        self.algorithm(out, "ds:DigestMethod", digest.algorithm().uri());
        out.push_str("<ds:DigestValue>");
        base64::push(out, digest.as_ref());
        out.push_str("</ds:DigestValue>");
    }

    fn certificate_id(self, out: &mut String, certificate: &Certificate, digest: DigestAlgorithm) {
        out.push_str("<xades:CertDigest>");
        self.digest(out, &digest.digest(certificate.der()));
        out.push_str("</xades:CertDigest><xades:IssuerSerial><ds:X509IssuerName>");
        out.push_str(&escape_text(&certificate.issuer().to_string()));
        out.push_str("</ds:X509IssuerName><ds:X509SerialNumber>");
        out.push_str(&certificate.serial_decimal());
        out.push_str("</ds:X509SerialNumber></xades:IssuerSerial>");
    }
}

fn push_properties_head(out: &mut String, form: Form) {
    form.open(out, "xades:SignedProperties");
    out.push_str(" Id=\"signed-properties\"><xades:SignedSignatureProperties><xades:SigningTime>");
}

fn push_properties_tail(
    out: &mut String,
    certificate: &Certificate,
    digest: DigestAlgorithm,
    reference: Reference,
    form: Form,
) {
    out.push_str("</xades:SigningTime><xades:SigningCertificate><xades:Cert>");
    form.certificate_id(out, certificate, digest);
    out.push_str(
        "</xades:Cert></xades:SigningCertificate><xades:SignaturePolicyIdentifier><xades:SignaturePolicyId>",
    );
    out.push_str(POLICY_ID);
    form.algorithm(out, "ds:DigestMethod", DigestAlgorithm::Sha512.uri());
    out.push_str(POLICY_HASH);
    out.push_str(
        "</xades:SignaturePolicyId></xades:SignaturePolicyIdentifier></xades:SignedSignatureProperties>",
    );
    out.push_str("<xades:SignedDataObjectProperties><xades:DataObjectFormat ObjectReference=\"#signature-reference-0\">");
    out.push_str("<xades:MimeType>");
    out.push_str(reference.mime_type());
    out.push_str("</xades:MimeType></xades:DataObjectFormat></xades:SignedDataObjectProperties></xades:SignedProperties>");
}

fn push_key_info(out: &mut String, certificate: &Certificate) {
    out.push_str("</ds:SignatureValue>\n<ds:KeyInfo>\n<ds:X509Data>\n<ds:X509Certificate>\n");
    base64::push_lines(out, certificate.der(), "&#13;\n");
    out.push_str("\n</ds:X509Certificate>\n</ds:X509Data>\n</ds:KeyInfo>\n");
}

fn push_unsigned(out: &mut String, extra: &[Certificate], ocsp_responses: &[Bytes], digest: DigestAlgorithm) {
    let form = Form::Document;
    out.push_str("<xades:UnsignedProperties><xades:UnsignedSignatureProperties>");
    if !extra.is_empty() {
        out.push_str("<xades:CompleteCertificateRefs Id=\"complete-certificate-refs\"><xades:CertRefs>");
        for (certificate, number) in extra.iter().zip(1..) {
            out.push_str(&format!("<xades:Cert URI=\"#encapsulated-cert-{number}\">"));
            form.certificate_id(out, certificate, digest);
            out.push_str("</xades:Cert>");
        }
        out.push_str("</xades:CertRefs></xades:CompleteCertificateRefs><xades:CertificateValues>");
        for (certificate, number) in extra.iter().zip(1..) {
            out.push_str(&format!("<xades:EncapsulatedX509Certificate Id=\"encapsulated-cert-{number}\">"));
            base64::push(out, certificate.der());
            out.push_str("</xades:EncapsulatedX509Certificate>");
        }
        out.push_str("</xades:CertificateValues>");
    }
    out.push_str("<xades:RevocationValues><xades:OCSPValues>");
    for (response, number) in ocsp_responses.iter().zip(1..) {
        out.push_str(&format!("<xades:EncapsulatedOCSPValue Id=\"ocsp-response-{number}\">"));
        base64::push(out, response);
        out.push_str("</xades:EncapsulatedOCSPValue>");
    }
    out.push_str("</xades:OCSPValues></xades:RevocationValues>");
    out.push_str("</xades:UnsignedSignatureProperties></xades:UnsignedProperties>");
}
