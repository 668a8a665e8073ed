//! The two manifests of a container. Verifiers ignore them; readers of the ASiC standard want them.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::crypto::sha512;

/// The OpenDocument manifest, for the names of the entries outside of `META-INF/`, in their order.
pub fn open_document(names: &[&str]) -> String {
    let mut text = String::from(concat!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
        "<manifest:manifest xmlns:manifest=\"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0\" ",
        "manifest:version=\"1.2\">\n",
        "    <manifest:file-entry manifest:media-type=\"application/vnd.etsi.asic-e+zip\" ",
        "manifest:full-path=\"/\"/>\n",
    ));
    for name in names {
        let media_type = if name.starts_with("attachment") { "application/octet-stream" } else { "text/xml" };
        // Writing to a string has no error to report.
        let _ = writeln!(
            text,
            "    <manifest:file-entry manifest:media-type=\"{media_type}\" manifest:full-path=\"{name}\"/>"
        );
    }
    text.push_str("</manifest:manifest>\n");
    text
}

/// The ASiC manifest that ties `META-INF/timestamp.tst` to the hash chain result it stamps.
pub fn asic(ts_hash_chain_result: &[u8]) -> String {
    format!(
        concat!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n",
            "<asic:ASiCManifest xmlns:asic=\"http://uri.etsi.org/2918/v1.2.1#\" ",
            "xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">\n",
            "<asic:SigReference URI=\"META-INF/timestamp.tst\" MimeType=\"vnd.etsi.timestamp-token\"/>\n",
            "<asic:DataObjectReference URI=\"ts-hashchainresult.xml\" MimeType=\"text/xml\">\n",
            "<ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha512\" />\n",
            "<ds:DigestValue>{}</ds:DigestValue>\n",
            "</asic:DataObjectReference>\n",
            "</asic:ASiCManifest>"
        ),
        STANDARD.encode(sha512(ts_hash_chain_result))
    )
}
