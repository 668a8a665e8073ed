//! Port 5577: OCSP responses of own certificates for other security servers (`transport.md` 4.2).

use bytes::{BufMut, Bytes, BytesMut};

use super::answer;
use super::context::Worker;
use super::random::letters;
use crate::worker::{BodyFraming, HttpError, NO_HEADERS, RequestHead, ServerExchange};

/// Certificates asked for in one query at most.
const CERTIFICATES_MAX: usize = 32;

/// Answers `GET /?cert=<SHA-1 hex>…` with one part per `cert`, in order; `cert_hash` is not read. `HEAD` is a heartbeat.
/// Anything else, and a certificate without a response here, is a 500 with a line of text.
pub async fn answer(
    worker: &Worker,
    head: &RequestHead,
    exchange: &mut ServerExchange,
) -> Result<(), HttpError> {
    match head.method.as_ref() {
        b"HEAD" => {
            exchange.respond(200, "OK", NO_HEADERS, BodyFraming::Length(0)).await?;
            exchange.finish().await
        }
        b"GET" => match responses(worker, &head.target) {
            Ok(responses) => write(worker, exchange, &responses).await,
            Err(text) => refuse(worker, exchange, &text).await,
        },
        _ => refuse(worker, exchange, "only GET and HEAD are answered here").await,
    }
}

fn responses(worker: &Worker, target: &[u8]) -> Result<Vec<Bytes>, String> {
    let hashes = certificate_hashes(target);
    if hashes.is_empty() {
        return Err("parameter cert is missing".into());
    }
    if hashes.len() > CERTIFICATES_MAX {
        return Err(format!("more than {CERTIFICATES_MAX} certificates in one query"));
    }
    let trust = worker.trust();
    let find = |hash: &String| {
        trust.ocsp.get_by_sha1_hex(hash).map(|response| Bytes::copy_from_slice(response.der()))
    };
    hashes
        .iter()
        .map(|hash| find(hash).ok_or_else(|| format!("no OCSP response for certificate {hash}")))
        .collect()
}

/// The values of `cert` in order, as they stand: hashes are compared as lower-case hex.
fn certificate_hashes(target: &[u8]) -> Vec<String> {
    let Some(query) = target.iter().position(|byte| *byte == b'?').and_then(|at| target.get(at + 1..)) else {
        return Vec::new();
    };
    let parameters = query.split(|byte| *byte == b'&');
    let values = parameters.filter_map(|parameter| parameter.strip_prefix(b"cert="));
    values.map(|value| String::from_utf8_lossy(value).into_owned()).collect()
}

async fn write(worker: &Worker, exchange: &mut ServerExchange, responses: &[Bytes]) -> Result<(), HttpError> {
    let letters = letters(&*worker.shared.entropy);
    let boundary = format!("jetty{}", String::from_utf8_lossy(&letters));
    let mut body = BytesMut::new();
    for (index, response) in responses.iter().enumerate() {
        if index > 0 {
            body.put_slice(b"\r\n");
        }
        body.put_slice(format!("--{boundary}\r\n").as_bytes());
        body.put_slice(b"Content-Type: application/ocsp-response\r\n\r\n");
        body.put_slice(response);
    }
    body.put_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    let content_type =
        format!("multipart/related; type=\"application/ocsp-response\"; charset=UTF-8; boundary={boundary}");
    answer::write(worker, exchange, 200, &[("Content-Type", &content_type)], body.freeze()).await
}

async fn refuse(worker: &Worker, exchange: &mut ServerExchange, text: &str) -> Result<(), HttpError> {
    answer::write(worker, exchange, 500, &[], Bytes::copy_from_slice(text.as_bytes())).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trap_transport_16_only_cert_counts_in_order_and_with_repeats() {
        let hashes = certificate_hashes(b"/any?cert=aa&cert_hash=ff&cert=bb&cert=aa&CERT=cc");
        assert_eq!(hashes, ["aa", "bb", "aa"]);
        assert!(certificate_hashes(b"/?cert_hash=ff").is_empty());
        assert!(certificate_hashes(b"/").is_empty());
    }
}
