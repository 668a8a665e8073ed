//! `GET /asic`: the evidence of a message, as containers (`transport.md` 7.4, `signature.md` 6.5).

use std::io::{Cursor, Write};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::query::Query;
use crate::control::archive;
use crate::exchange::answer;
use crate::exchange::client_authentication::authenticate_client;
use crate::exchange::context::Worker;
use crate::log::{Direction, LogError, StoredRecord, encoded_query_id};
use crate::message::{ClientId, XRoadError};
use crate::worker::{HttpError, RequestHead, ServerExchange};

/// Why there is no container: HTTP status and one line of text.
pub(super) type Refused = (u16, String);

struct Asked {
    client: ClientId,
    query_id: String,
    direction: Option<Direction>,
    unique: bool,
    force: bool,
}

/// Answers with one container (`unique`) or a ZIP of them.
pub async fn answer(
    worker: &Worker,
    head: &RequestHead,
    exchange: &mut ServerExchange,
) -> Result<(), HttpError> {
    match steps(worker, head, exchange).await {
        Ok((content_type, disposition, body)) => {
            let mut headers = vec![("Content-Type", content_type)];
            headers.push(("Content-Disposition", disposition.as_str()));
            answer::write(worker, exchange, 200, &headers, Bytes::from(body)).await
        }
        Err((status, text)) => answer::bare(worker, exchange, status, &text).await,
    }
}

async fn steps(
    worker: &Worker,
    head: &RequestHead,
    exchange: &mut ServerExchange,
) -> Result<(&'static str, String, Vec<u8>), Refused> {
    let query = Query::of(&head.target);
    let client = client_id(&query)?;
    authenticate(worker, &client, exchange)?;
    let asked = asked(&query, client)?;
    // Whoever waits for it has nothing in memory yet.
    let place = match worker.shared.config.log.archive_encryption {
        true => Some(worker.shared.encryptions.place().await?),
        false => None,
    };
    let mut records = find(worker, &asked)?;
    for record in &mut records {
        stamp(worker, &asked, record).await?;
    }
    let failed = |error: String| (500, error);
    if asked.unique {
        if records.len() > 1 {
            return Err((400, "More than one signed document found: the query id is not unique".into()));
        }
        let record = records.first().ok_or((404, "No signed documents found".to_string()))?;
        let name = record.container_file_name();
        let bytes = container(record).map_err(|error| failed(error.to_string()))?;
        return encrypted(worker, place, &asked, "application/vnd.etsi.asic-e+zip", name, bytes).await;
    }
    let bytes = bundle(&records).map_err(|error| failed(error.to_string()))?;
    let suffix = match asked.direction {
        None => "",
        Some(Direction::Request) => "-request",
        Some(Direction::Response) => "-response",
    };
    let name = format!("{}{suffix}.zip", encoded_query_id(&asked.query_id));
    encrypted(worker, place, &asked, "application/zip", name, bytes).await
}

/// What is downloaded, encrypted where archives are, which takes a place.
async fn encrypted(
    worker: &Worker,
    place: Option<OwnedSemaphorePermit>,
    asked: &Asked,
    content_type: &'static str,
    name: String,
    bytes: Vec<u8>,
) -> Result<(&'static str, String, Vec<u8>), Refused> {
    let Some(place) = place else { return Ok((content_type, attachment(&name), bytes)) };
    let (config, member) = (Arc::clone(&worker.shared.config), asked.client.member());
    let task = worker.shared.control.spawn_blocking(move || {
        let encrypted = archive::encrypt(&config.log, &member, &bytes);
        // Also when nobody waits for it any more.
        drop(place);
        encrypted
    });
    let failed = |error: String| (500, format!("the answer could not be encrypted: {error}"));
    let bytes = task.await.map_err(|error| failed(error.to_string()))?;
    let bytes = bytes.map_err(|error| failed(error.to_string()))?;
    Ok(("application/octet-stream", attachment(&format!("{name}.gpg")), bytes))
}

fn client_id(query: &Query) -> Result<ClientId, Refused> {
    let required = |name: &str| {
        query.value(name).ok_or_else(|| (400, format!("Parameter \"{name}\"  must be specified.")))
    };
    let (instance, class, code) =
        (required("xRoadInstance")?, required("memberClass")?, required("memberCode")?);
    ClientId::new(instance, class, code, query.value("subsystemCode"))
        .map_err(|error| (400, error.to_string()))
}

fn authenticate(worker: &Worker, id: &ClientId, exchange: &ServerExchange) -> Result<(), Refused> {
    let registry = worker.registry();
    let Some(client) = registry.client(id) else {
        return Err((401, format!("Client '{}:{id}' not found", id.type_name())));
    };
    authenticate_client(worker, client, exchange.peer()).map_err(|error| (401, error.text().to_string()))
}

fn asked(query: &Query, client: ClientId) -> Result<Asked, Refused> {
    let query_id = query.value("queryId");
    let query_id =
        query_id.ok_or_else(|| (400, "Parameter \"queryId\"  must be specified.".to_string()))?.to_string();
    let direction = match (query.has("requestOnly"), query.has("responseOnly")) {
        (true, true) => {
            let text = "Parameters \"requestOnly\" and \"responseOnly\" cannot be used at the same time.";
            return Err((400, text.into()));
        }
        (true, false) => Some(Direction::Request),
        (false, true) => Some(Direction::Response),
        (false, false) => None,
    };
    let unique = query.has("unique");
    if unique && direction.is_none() {
        let text = "Parameter \"unique\" not applicable without \"requestOnly\" or \"responseOnly\".";
        return Err((400, text.into()));
    }
    Ok(Asked { client, query_id, direction, unique, force: query.has("force") })
}

fn find(worker: &Worker, asked: &Asked) -> Result<Vec<StoredRecord>, Refused> {
    let reader = worker.shared.log.reader();
    let found = reader.find(&asked.client, &asked.query_id, asked.direction).map_err(unreadable)?;
    if found.is_empty() {
        return Err((404, "No signed documents found".into()));
    }
    found.iter().map(|summary| reader.read(summary.id).map_err(unreadable)).collect()
}

async fn stamp(worker: &Worker, asked: &Asked, record: &mut StoredRecord) -> Result<(), Refused> {
    if record.stamp.is_some() {
        return Ok(());
    }
    if !asked.force {
        return Err((500, "Message signature has not been timestamped yet!".into()));
    }
    let id = record.summary.id;
    let stamped = worker.shared.stamper.stamp_now(id).await;
    stamped.map_err(|error| (500, format!("the signature could not be time-stamped: {}", error.text())))?;
    *record = worker.shared.log.reader().read(id).map_err(unreadable)?;
    Ok(())
}

fn unreadable(error: LogError) -> Refused {
    (500, error.to_string())
}

fn container(record: &StoredRecord) -> Result<Vec<u8>, XRoadError> {
    Ok(record.container()?.to_bytes(record.summary.time))
}

fn bundle(records: &[StoredRecord]) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for record in records {
        zip.start_file(record.container_file_name(), stored)?;
        zip.write_all(&container(record)?)?;
    }
    Ok(zip.finish()?.into_inner())
}

fn attachment(file_name: &str) -> String {
    format!("attachment; filename=\"{file_name}\"")
}
