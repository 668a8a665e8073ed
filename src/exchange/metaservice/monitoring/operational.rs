//! getSecurityServerOperationalData.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::answer::Elements;
use super::{NAMESPACE, internal, invalid, request};
use crate::control::monitoring::{Criteria, FIELDS, Page, QueryError};
use crate::exchange::body::Hashing;
use crate::exchange::context::Worker;
use crate::exchange::incoming::Attachment;
use crate::exchange::metaservice::SoapAnswer;
use crate::exchange::random::letters;
use crate::message::{SoapHeader, SoapMessage, XRoadError};
use crate::transport::{Boundary, PartHeaders};
use crate::trust::TrustSnapshot;

/// Name of the attachment, which collectors look for.
const CONTENT_ID: &str = "operational-monitoring-data.json.gz";
const RESPONSE: &str = "getSecurityServerOperationalDataResponse";

pub async fn answer(
    worker: &Worker,
    trust: &TrustSnapshot,
    message: &SoapMessage,
) -> Result<SoapAnswer, XRoadError> {
    let request = request::operational(message, NAMESPACE).map_err(invalid)?;
    if let Some(unknown) = request.fields.iter().find(|field| !FIELDS.contains(&field.as_str())) {
        return Err(invalid(format!("unknown output field \"{unknown}\"")));
    }
    let criteria = Criteria {
        from: request.from,
        to: request.to,
        party: (!sees_everything(worker, trust, message.header())).then(|| message.header().client.clone()),
        provider: request.provider,
        fields: request.fields,
    };
    let (page, packed) = query(worker, criteria).await?;

    let mut elements = Elements::open_root(&request.prefix, NAMESPACE, RESPONSE);
    elements.text("recordsCount", page.count);
    elements.text("records", format_args!("cid:{CONTENT_ID}"));
    elements.optional("nextRecordsFrom", page.next_from);
    let soap = message.with_body(elements.finish(RESPONSE).as_bytes());
    let boundary = Boundary::from_random(&letters(&*worker.shared.entropy)).related();
    let content_type = format!("multipart/related; type=\"text/xml\"; charset=UTF-8; boundary={boundary}");
    Ok(SoapAnswer { soap, attachment: Some(attachment(worker, packed)?), content_type })
}

/// The central monitoring client, and the owner when it names the server; everybody else sees his own exchanges only.
fn sees_everything(worker: &Worker, trust: &TrustSnapshot, header: &SoapHeader) -> bool {
    let is_monitoring_client = trust.global_conf.monitoring_client() == Some(&header.client);
    let named = header.security_server.as_ref().filter(|id| **id == worker.shared.config.server_id);
    is_monitoring_client || named.is_some_and(|server| server.owner().client() == header.client)
}

// The database is read, and the answer packed, where no message waits for it.
async fn query(worker: &Worker, criteria: Criteria) -> Result<(Page, Bytes), XRoadError> {
    let (monitoring, now) = (Arc::clone(&worker.shared.monitoring), worker.now());
    let task = worker.shared.control.spawn(async move {
        let mut page = monitoring.query(&criteria, now).await?;
        let json = std::mem::take(&mut page.json);
        let packed = tokio::task::spawn_blocking(move || pack(&json)).await;
        Ok::<_, QueryError>((page, packed))
    });
    match task.await {
        Ok(Ok((page, Ok(Ok(packed))))) => Ok((page, packed)),
        Ok(Err(QueryError::Invalid(text))) => Err(invalid(text)),
        Ok(Err(error)) => Err(internal(error.to_string())),
        _ => Err(internal("the records could not be read")),
    }
}

fn pack(json: &str) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(json.len() / 8), Compression::default());
    encoder.write_all(json.as_bytes())?;
    Ok(Bytes::from(encoder.finish()?))
}

// Lower case, and Content-ID last: collectors find the data by these bytes.
fn attachment(worker: &Worker, packed: Bytes) -> Result<Attachment, XRoadError> {
    let headers = PartHeaders {
        content_type: Some("application/gzip".into()),
        fields: vec![
            (Bytes::from_static(b"content-transfer-encoding"), Bytes::from_static(b"binary")),
            (Bytes::from_static(b"content-id"), Bytes::from(format!("<{CONTENT_ID}>"))),
        ],
    };
    let mut hashing = Hashing::new(&worker.shared.spools);
    hashing.write(packed).map_err(|error| internal(error.to_string()))?;
    Ok(Attachment { headers, body: hashing.finish() })
}
